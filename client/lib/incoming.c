/* SPDX-License-Identifier: BSD-3-Clause
 * OFFERs: anybody may send one, so an address that has not proved itself gets
 * no more than a few HELLOs for it, in bytes no more than the OFFER had.
 */
#include <stdlib.h>

#include "client/lib/clock.h"
#include "client/lib/receiver.h"

#define HELLOS_AN_OFFER 3

_Static_assert(HELLOS_AN_OFFER *(HELLO_SIZE + 48) <= SEND_MIN + 48, "the least OFFER allows them");

static bool offer_names(const struct delivery *d, const struct offer *o)
{
	return d != NULL && d->leg == o->leg && d->rule == o->rule && d->length == o->length &&
	       memcmp(d->transfer, o->transfer, TRANSFER_SIZE) == 0 && ident_equal(&d->id, o->id);
}

static struct delivery *delivery_find(struct delivery **table, uint32_t count,
				      const struct offer *o)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		if (offer_names(table[i], o))
			return table[i];
	return NULL;
}

/* Makes room: what nobody has answered for goes first, then what never moved. */
static void delivery_evict(struct ow_receiver *r, uint64_t now)
{
	struct delivery *oldest = NULL, *d;
	uint32_t i;

	for (i = 0; i < DELIVERIES_MAX; i++) {
		d = r->active[i];
		if (d->window != NULL && (d->window->pulls.have > 0 || now - d->offered < STALLED))
			continue;
		if (oldest == NULL || (d->window == NULL) > (oldest->window == NULL) ||
		    ((d->window == NULL) == (oldest->window == NULL) &&
		     d->offered < oldest->offered))
			oldest = d;
	}
	if (oldest != NULL)
		delivery_forget(r, oldest);
}

static struct delivery *delivery_make(struct ow_receiver *r, const struct offer *o, uint64_t now)
{
	struct delivery *d;
	uint32_t slot;

	if (r->active_count == DELIVERIES_MAX)
		delivery_evict(r, now);
	for (slot = 0; slot < DELIVERIES_MAX && r->active[slot] != NULL; slot++)
		;
	if (slot == DELIVERIES_MAX)
		return NULL;
	d = calloc(1, sizeof(*d));
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
	d->stream = slot;
	d->attempt = d->newest = o->attempt;
	d->available = d->newest_available = o->available;
	d->part.fd = d->copy_fd = -1;
	r->active[slot] = d;
	r->active_count++;
	return d;
}

static void incoming_renew(struct delivery *d, const struct offer *o, uint64_t now)
{
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
	if (p->budget < budget)
		p->budget = budget;
	if (!p->known)
		contact_ask(p, now);
	return p;
}

static void ended_offered(struct ow_receiver *r, struct delivery *d, const struct offer *o,
			  struct contact *p, uint64_t now)
{
	incoming_renew(d, o, now);
	r->offered = now;
	d->peer = p;
	if (p->known)
		delivery_report(r, d);
	else
		d->receipt_due = true;
}

static void active_offered(struct ow_receiver *r, struct delivery *d, const struct offer *o,
			   struct contact *p, uint64_t now)
{
	if (d->peer != p) {
		/* Another relay offers the same transfer: only if this one fails. */
		if (d->window != NULL && d->state == DELIVERY_PULLING &&
		    now - d->window->progress < STALLED)
			return;
		d->peer = p;
	}
	incoming_renew(d, o, now);
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
	struct delivery *d, *old;
	struct offer o;

	if (offer_decode(f, &o) != DROP_NONE ||
	    (o.holder != NULL && !contact_nameable(o.holder, from)))
		return;
	old = delivery_find(r->ended, ENDED_MAX, &o);
	if (old != NULL && now >= old->offered + old->lifetime)
		old = NULL;
	d = delivery_find(r->active, DELIVERIES_MAX, &o);
	if (old == NULL && d == NULL && receiver_finished(r))
		return;
	p = holder_find(r, f, &o, from, now);
	if (p == NULL)
		return;
	if (p == sender && p->known) {
		p->echo = *o.echo;
		p->heard = now;
	}
	if (old != NULL) {
		ended_offered(r, old, &o, p, now);
		return;
	}
	if (d != NULL) {
		active_offered(r, d, &o, p, now);
		return;
	}
	d = delivery_make(r, &o, now);
	if (d == NULL)
		return;
	d->peer = p;
	incoming_renew(d, &o, now);
	if (p->known && delivery_begin(r, d, now) == d && o.has_inline && p == sender &&
	    d->state == DELIVERY_PULLING)
		inline_take(d, &o);
}
