/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "client/lib/clock.h"
#include "client/lib/receiver.h"

#define HELLOS_MOST 8 /* in a row, to a relay without a lease: 12 seconds */

struct contact *contacts_by_conn(struct ow_receiver *r, const struct addr *from, uint64_t conn)
{
	uint32_t i;

	for (i = 0; i < PEERS_MAX; i++)
		if (r->peers[i] != NULL && contact_owns(r->peers[i], from, conn))
			return r->peers[i];
	return NULL;
}

static bool contact_at(const struct contact *p, const struct addr *addr)
{
	return p != NULL && (addr_equal(&p->addr, addr) || addr_equal(&p->asked, addr));
}

struct contact *contacts_by_addr(struct ow_receiver *r, const struct addr *addr)
{
	uint32_t i;

	for (i = 0; i < PEERS_MAX; i++)
		if (contact_at(r->peers[i], addr))
			return r->peers[i];
	return NULL;
}

struct contact *contacts_to_pull(struct ow_receiver *r, const struct addr *addr)
{
	struct contact *open = NULL;
	uint32_t i;

	for (i = 0; i < PEERS_MAX; i++) {
		if (!contact_at(r->peers[i], addr))
			continue;
		if (r->peers[i]->known)
			return r->peers[i];
		if (r->peers[i]->member == NULL)
			open = r->peers[i];
	}
	return open;
}

static bool contact_leased(const struct ow_receiver *r, const struct contact *p)
{
	uint32_t i;

	for (i = 0; i < r->subscription_count; i++)
		if (r->leases[i].peer == p)
			return true;
	return false;
}

/* What ended, and was to be told to it, is not. */
static void contact_unowe(struct ow_receiver *r, const struct contact *p)
{
	struct delivery *d, *next;

	for (d = TAILQ_FIRST(&r->deliveries.owed); d != NULL; d = next) {
		next = TAILQ_NEXT(d, touched_link);
		if (d->peer != p)
			continue;
		deliveries_owe(&r->deliveries, d, false);
		d->peer = NULL;
	}
}

/* Frees the place of a relay that nothing under way needs. */
static bool contact_evict(struct ow_receiver *r, uint32_t at)
{
	struct contact *p = r->peers[at];

	if (contact_leased(r, p) || p->deliveries > 0)
		return false;
	contact_unowe(r, p);
	free(p);
	r->peers[at] = NULL;
	return true;
}

struct contact *contacts_add(struct ow_receiver *r, const struct addr *addr,
			     const struct member *member)
{
	uint32_t i;

	for (i = 0; i < PEERS_MAX && r->peers[i] != NULL; i++)
		;
	if (i == PEERS_MAX)
		for (i = 0; i < PEERS_MAX && !contact_evict(r, i); i++)
			;
	if (i == PEERS_MAX)
		return NULL;
	r->peers[i] = malloc(sizeof(*r->peers[i]));
	if (r->peers[i] != NULL)
		contact_init(r->peers[i], addr, member);
	return r->peers[i];
}

/* The relay of an OFFER never answered, or does not any more: a later OFFER
 * starts from anew. */
static void contact_drop_waiting(struct ow_receiver *r, struct contact *p)
{
	struct deliveries *ds = &r->deliveries;
	struct delivery *d;

	p->asking = false;
	p->budget = 0;
	for (uint32_t i = 0; i < ds->room && p->deliveries > 0; i++) {
		d = ds->slot[i];
		if (d != NULL && d->peer == p && d->state == DELIVERY_ASKING)
			delivery_forget(r, d);
	}
	contact_unowe(r, p);
}

/* Begins what waited for it, and tells it what it is owed. */
static void contact_met(struct ow_receiver *r, struct contact *p, uint64_t now)
{
	struct deliveries *ds = &r->deliveries;
	struct delivery *d, *next;

	deliveries_touch_of(ds, p);
	for (uint32_t i = 0; i < ds->room; i++) {
		d = ds->slot[i];
		if (d != NULL && d->peer == p && d->state == DELIVERY_ASKING && d->copy_fd < 0)
			delivery_begin(r, d, now);
	}
	for (d = TAILQ_FIRST(&ds->owed); d != NULL; d = next) {
		next = TAILQ_NEXT(d, touched_link);
		if (d->peer == p)
			delivery_conclude(r, d);
	}
}

void contacts_tick(struct ow_receiver *r, uint64_t now)
{
	struct contact *p;
	uint32_t i;

	for (i = 0; i < PEERS_MAX; i++) {
		p = r->peers[i];
		if (p == NULL || now < contact_due(p))
			continue;
		if (contact_silent(p, now) || (p->hellos >= HELLOS_MOST && !contact_leased(r, p)))
			contact_drop_waiting(r, p);
		else
			contact_tick(p, &r->udp, r->tx, now);
	}
}

uint64_t contacts_due(const struct ow_receiver *r)
{
	uint64_t due = NEVER;
	uint32_t i;

	for (i = 0; i < PEERS_MAX; i++)
		if (r->peers[i] != NULL)
			due = earlier(due, contact_due(r->peers[i]));
	return due;
}

void contacts_welcome(struct ow_receiver *r, const struct frame *f, const struct addr *from,
		      uint64_t now)
{
	struct contact *p = NULL;
	uint32_t i;

	for (i = 0; i < PEERS_MAX && p == NULL; i++)
		if (r->peers[i] != NULL && contact_welcome(r->peers[i], f, from, now))
			p = r->peers[i];
	if (p != NULL)
		contact_met(r, p, now);
}

void contacts_free(struct ow_receiver *r)
{
	uint32_t i;

	for (i = 0; i < PEERS_MAX; i++) {
		free(r->peers[i]);
		r->peers[i] = NULL;
	}
}
