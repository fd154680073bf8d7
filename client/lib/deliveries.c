/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "client/lib/clock.h"
#include "client/lib/deliveries.h"

#define ROOM_FIRST 16

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static int blob_compare(const struct delivery *a, const struct delivery *b)
{
	int order = memcmp(&a->id, &b->id, sizeof(a->id));

	if (order == 0)
		order = COMPARE(a->length, b->length);
	return order != 0 ? order : COMPARE(a->rule, b->rule);
}

static int blobs_compare(const struct delivery *a, const struct delivery *b)
{
	const int order = blob_compare(a, b);

	return order != 0 ? order : COMPARE(delivery_slot(a), delivery_slot(b));
}

static int offers_compare(const struct delivery *a, const struct delivery *b)
{
	int order = memcmp(a->transfer, b->transfer, TRANSFER_SIZE);

	if (order == 0)
		order = COMPARE(a->leg, b->leg);
	return order != 0 ? order : blob_compare(a, b);
}

static int dues_compare(const struct delivery *a, const struct delivery *b)
{
	const int order = COMPARE(a->due, b->due);

	return order != 0 ? order : COMPARE(delivery_slot(a), delivery_slot(b));
}

/* libbsd's RB_GENERATE_STATIC() wants a name that only BSD defines. */
#define TREE(name, link, compare) \
	RB_GENERATE_INTERNAL(name, delivery, link, compare, static __attribute__((unused)))
TREE(delivery_offers, offer_link, offers_compare)
TREE(delivery_blobs, blob_link, blobs_compare)
TREE(delivery_dues, due_link, dues_compare)

void deliveries_init(struct deliveries *ds)
{
	*ds = (struct deliveries){0};
	RB_INIT(&ds->offers);
	RB_INIT(&ds->blobs);
	RB_INIT(&ds->dues);
	TAILQ_INIT(&ds->touched);
	TAILQ_INIT(&ds->waiting);
	TAILQ_INIT(&ds->ended);
	TAILQ_INIT(&ds->owed);
}

/* ---- slots ---- */

static int room_make(struct deliveries *ds)
{
	const uint32_t room = ds->room > 0 ? 2 * ds->room : ROOM_FIRST;
	struct delivery **slot;
	uint32_t *spare;

	if (ds->room == DELIVERIES_MAX)
		return -ENOSPC;
	slot = realloc(ds->slot, room * sizeof(*slot));
	if (slot == NULL)
		return -ENOMEM;
	ds->slot = slot;
	spare = realloc(ds->spare, room * sizeof(*spare));
	if (spare == NULL)
		return -ENOMEM;
	ds->spare = spare;
	for (uint32_t i = room; i-- > ds->room;) { /* the lowest is on top */
		slot[i] = NULL;
		spare[ds->spare_count++] = i;
	}
	ds->room = room;
	return 0;
}

int deliveries_add(struct deliveries *ds, struct delivery *d)
{
	if (ds->spare_count == 0) {
		const int ret = room_make(ds);

		if (ret < 0)
			return ret;
	}
	d->stream = ds->spare[--ds->spare_count];
	ds->slot[d->stream] = d;
	ds->count++;
	d->due = NEVER;
	RB_INSERT(delivery_offers, &ds->offers, d);
	RB_INSERT(delivery_blobs, &ds->blobs, d);
	RB_INSERT(delivery_dues, &ds->dues, d);
	d->waits = true;
	TAILQ_INSERT_TAIL(&ds->waiting, d, list_link);
	deliveries_touch(ds, d);
	return 0;
}

void deliveries_rename(struct deliveries *ds, struct delivery *d,
		       const uint8_t transfer[TRANSFER_SIZE], uint16_t leg)
{
	RB_REMOVE(delivery_offers, &ds->offers, d);
	memcpy(d->transfer, transfer, TRANSFER_SIZE);
	d->leg = leg;
	RB_INSERT(delivery_offers, &ds->offers, d);
}

void deliveries_begun(struct deliveries *ds, struct delivery *d)
{
	if (d->waits)
		TAILQ_REMOVE(&ds->waiting, d, list_link);
	d->waits = false;
}

static void untouch(struct deliveries *ds, struct delivery *d)
{
	if (d->touched)
		TAILQ_REMOVE(&ds->touched, d, touched_link);
	d->touched = false;
}

void deliveries_remove(struct deliveries *ds, struct delivery *d)
{
	const uint32_t slot = delivery_slot(d);

	deliveries_begun(ds, d);
	untouch(ds, d);
	RB_REMOVE(delivery_offers, &ds->offers, d);
	RB_REMOVE(delivery_blobs, &ds->blobs, d);
	RB_REMOVE(delivery_dues, &ds->dues, d);
	ds->slot[slot] = NULL;
	ds->spare[ds->spare_count++] = slot;
	ds->count--;
}

/* ---- those that ended ---- */

static void ended_forget(struct deliveries *ds, struct delivery *d)
{
	deliveries_owe(ds, d, false);
	RB_REMOVE(delivery_offers, &ds->offers, d);
	TAILQ_REMOVE(&ds->ended, d, list_link);
	ds->ended_count--;
	free(d);
}

void deliveries_remember(struct deliveries *ds, struct delivery *d)
{
	if (ds->ended_count == ENDED_MAX)
		ended_forget(ds, TAILQ_FIRST(&ds->ended));
	RB_INSERT(delivery_offers, &ds->offers, d);
	TAILQ_INSERT_TAIL(&ds->ended, d, list_link);
	ds->ended_count++;
}

void deliveries_expire(struct deliveries *ds, uint64_t now)
{
	struct delivery *d;

	while ((d = TAILQ_FIRST(&ds->ended)) != NULL && now >= d->offered + d->lifetime)
		ended_forget(ds, d);
}

void deliveries_renew(struct deliveries *ds, struct delivery *d)
{
	struct delivery_list *list = d->waits		 ? &ds->waiting
				     : delivery_ended(d) ? &ds->ended
							 : NULL;

	if (list == NULL)
		return;
	TAILQ_REMOVE(list, d, list_link);
	TAILQ_INSERT_TAIL(list, d, list_link);
}

void deliveries_owe(struct deliveries *ds, struct delivery *d, bool owed)
{
	if (d->receipt_due && !owed)
		TAILQ_REMOVE(&ds->owed, d, touched_link);
	if (owed && !d->receipt_due)
		TAILQ_INSERT_TAIL(&ds->owed, d, touched_link);
	d->receipt_due = owed;
}

void deliveries_fini(struct deliveries *ds)
{
	struct delivery *d;

	while ((d = TAILQ_FIRST(&ds->ended)) != NULL)
		ended_forget(ds, d);
	free(ds->slot);
	free(ds->spare);
	deliveries_init(ds);
}

/* ---- finding ---- */

struct delivery *deliveries_of_stream(const struct deliveries *ds, uint64_t stream)
{
	const uint32_t slot = (uint32_t)(stream & (DELIVERIES_MAX - 1));
	struct delivery *d = slot < ds->room ? ds->slot[slot] : NULL;

	return d != NULL && d->stream == stream ? d : NULL;
}

struct delivery *deliveries_of_offer(struct deliveries *ds, const struct offer *o)
{
	struct delivery key;

	memcpy(key.transfer, o->transfer, TRANSFER_SIZE);
	key.leg = o->leg;
	key.id = *o->id;
	key.length = o->length;
	key.rule = o->rule;
	return RB_FIND(delivery_offers, &ds->offers, &key);
}

struct delivery *deliveries_of_blob(struct deliveries *ds, const struct delivery *d)
{
	struct delivery key, *first;

	key.id = d->id;
	key.length = d->length;
	key.rule = d->rule;
	key.stream = 0;
	first = RB_NFIND(delivery_blobs, &ds->blobs, &key);
	return first != NULL && blob_compare(first, d) == 0 ? first : NULL;
}

struct delivery *deliveries_next_of_blob(const struct delivery *d)
{
	struct delivery *next = RB_NEXT(delivery_blobs, , (struct delivery *)d);

	return next != NULL && blob_compare(next, d) == 0 ? next : NULL;
}

struct delivery *deliveries_idlest(struct deliveries *ds)
{
	struct delivery *idlest = NULL;

	for (uint32_t i = 0; i < ds->room; i++) {
		struct delivery *d = ds->slot[i];

		if (d != NULL && d->window != NULL && d->window->pulls.have == 0 &&
		    (idlest == NULL || d->offered < idlest->offered))
			idlest = d;
	}
	return idlest;
}

/* ---- when they are due ---- */

void deliveries_touch(struct deliveries *ds, struct delivery *d)
{
	if (!d->touched)
		TAILQ_INSERT_TAIL(&ds->touched, d, touched_link);
	d->touched = true;
}

void deliveries_touch_of(struct deliveries *ds, const struct contact *p)
{
	for (uint32_t i = 0; i < ds->room; i++)
		if (ds->slot[i] != NULL && ds->slot[i]->peer == p)
			deliveries_touch(ds, ds->slot[i]);
}

void deliveries_touch_all(struct deliveries *ds)
{
	for (uint32_t i = 0; i < ds->room; i++)
		if (ds->slot[i] != NULL)
			deliveries_touch(ds, ds->slot[i]);
}

void deliveries_wake(struct deliveries *ds, uint64_t now)
{
	struct delivery *d = RB_MIN(delivery_dues, &ds->dues);

	for (; d != NULL && d->due <= now; d = RB_NEXT(delivery_dues, , d))
		deliveries_touch(ds, d);
}

struct delivery *deliveries_touched(struct deliveries *ds)
{
	struct delivery *d = TAILQ_FIRST(&ds->touched);

	if (d != NULL)
		untouch(ds, d);
	return d;
}

void deliveries_schedule(struct deliveries *ds, struct delivery *d, uint64_t due)
{
	if (due == d->due)
		return;
	RB_REMOVE(delivery_dues, &ds->dues, d);
	d->due = due;
	RB_INSERT(delivery_dues, &ds->dues, d);
}

uint64_t deliveries_due(const struct deliveries *ds)
{
	const struct delivery *first = RB_MIN(delivery_dues, (struct delivery_dues *)&ds->dues);

	return first != NULL ? first->due : NEVER;
}
