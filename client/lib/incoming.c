/* SPDX-License-Identifier: BSD-3-Clause
 * OFFERs: anybody may send one, so an address that has not proved itself gets
 * no more than a few HELLOs for it, in bytes no more than the OFFER had.
 */
#include <stdlib.h>

#include "client/lib/clock.h"
#include "client/lib/receiver.h"

#define HELLOS_AN_OFFER 3

_Static_assert(HELLOS_AN_OFFER *(HELLO_SIZE + 48) <= SEND_MIN + 48, "the least OFFER allows them");

/* Makes room: what has not begun goes first, then, for a relay that has answered, what never
 * moved, which takes a look at all of them. */
static void delivery_evict(struct ow_receiver *r, const struct contact *p, uint64_t now)
{
	struct delivery *d = TAILQ_FIRST(&r->deliveries.waiting);

	if (d == NULL && p->known)
		d = deliveries_idlest(&r->deliveries);
	if (d != NULL && (d->waits || now - d->offered >= STALLED))
		delivery_forget(r, d);
}

/* Under way from now on; NULL: no memory, or too many are. */
static struct delivery *delivery_make(struct ow_receiver *r, const struct offer *o,
				      struct contact *p, uint64_t now)
{
	struct delivery *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->state = DELIVERY_ASKING;
	d->rule = o->rule;
	d->leg = o->leg;
	memcpy(d->transfer, o->transfer, TRANSFER_SIZE);
	d->id = *o->id;
	d->length = o->length;
	d->meta_len = o->meta_len;
	if (o->meta_len > 0)
		memcpy(d->meta, o->meta, o->meta_len);
	d->encrypted = o->sealed_key != NULL;
	if (d->encrypted)
		memcpy(d->sealed_key, o->sealed_key, SEALED_KEY_SIZE);
	d->attempt = d->newest = o->attempt;
	d->available = d->newest_available = o->available;
	d->part.fd = d->copy_fd = -1;
	if (r->deliveries.count == DELIVERIES_MAX)
		delivery_evict(r, p, now);
	if (deliveries_add(&r->deliveries, d) < 0) {
		free(d);
		return NULL;
	}
	d->peer = p;
	p->deliveries++;
	return d;
}

static void incoming_renew(struct ow_receiver *r, struct delivery *d, const struct offer *o,
			   uint64_t now)
{
	deliveries_renew(&r->deliveries, d);
	d->ticket = *o->ticket;
	d->offered = now;
	d->lifetime = o->deadline * SECOND;
}

/* The relay to pull from, and to report to; asks for its cookie if needed. */
static struct contact *holder_find(struct ow_receiver *r, const struct frame *f,
				   const struct offer *o, const struct addr *from, uint64_t now)
{
	const struct addr *holder = o->holder != NULL ? o->holder : from;
	uint32_t budget =
		(uint32_t)((f->len + addr_overhead(from)) / (HELLO_SIZE + addr_overhead(holder)));
	struct contact *p = contacts_to_pull(r, holder);

	if (budget > HELLOS_AN_OFFER)
		budget = HELLOS_AN_OFFER;
	if (p == NULL) {
		p = contacts_add(r, holder, NULL);
		if (p == NULL)
			return NULL;
		p->budget = 0;
	}
	if (p->known && p->budget == 0)
		deliveries_touch_of(&r->deliveries, p);
	if (p->budget < budget)
		p->budget = budget;
	if (!p->known)
		contact_ask(p, now);
	return p;
}

static void ended_offered(struct ow_receiver *r, struct delivery *d, const struct offer *o,
			  struct contact *p, uint64_t now)
{
	incoming_renew(r, d, o, now);
	r->offered = now;
	d->peer = p;
	delivery_conclude(r, d);
}

static void active_offered(struct ow_receiver *r, struct delivery *d, const struct offer *o,
			   struct contact *p, uint64_t now)
{
	if (d->peer != p) {
		/* Another relay offers the same transfer: only if this one fails. */
		if (d->window != NULL && d->state == DELIVERY_PULLING &&
		    now - d->window->progress < STALLED)
			return;
		d->peer->deliveries--;
		d->peer = p;
		p->deliveries++;
	}
	deliveries_touch(&r->deliveries, d);
	incoming_renew(r, d, o, now);
	delivery_offered(r, d, o, now);
	if (d->state == DELIVERY_ASKING) {
		if (p->known && d->copy_fd < 0)
			d = delivery_begin(r, d, now);
		if (!p->known || d->state == DELIVERY_PULLING)
			return;
	}
	delivery_unpause(d, o);
	if (p->known)
		delivery_report(r, d);
}

/* The whole blob came with the OFFER of a relay whose word counts. */
static void inline_take(struct delivery *d, const struct offer *o)
{
	struct iovec iov = {(void *)o->data, o->length};

	d->error = part_write(&d->part, &iov, 1, 0);
	ident_update(d->hash, o->data, o->length);
	d->hashed = o->length;
}

void incoming_take(struct ow_receiver *r, const struct frame *f, const struct addr *from,
		   uint64_t now)
{
	struct contact *sender = contacts_by_conn(r, from, f->conn), *p;
	struct delivery *d;
	struct offer o;

	if (offer_decode(f, &o) != DROP_NONE ||
	    (o.holder != NULL && !contact_nameable(o.holder, from)))
		return;
	d = deliveries_of_offer(&r->deliveries, &o);
	if (d == NULL && receiver_finished(r))
		return;
	p = holder_find(r, f, &o, from, now);
	if (p == NULL)
		return;
	if (p == sender && p->known) {
		p->echo = *o.echo;
		p->heard = now;
	}
	if (d != NULL && delivery_ended(d)) {
		ended_offered(r, d, &o, p, now);
		return;
	}
	if (d != NULL) {
		active_offered(r, d, &o, p, now);
		return;
	}
	d = delivery_make(r, &o, p, now);
	if (d == NULL)
		return;
	incoming_renew(r, d, &o, now);
	if (p->known && delivery_begin(r, d, now) == d && o.has_inline && p == sender &&
	    d->state == DELIVERY_PULLING)
		inline_take(d, &o);
}
