/* SPDX-License-Identifier: BSD-3-Clause
 * The deliveries that a receiver knows. Those under way are found by the number of a stream, by
 * an OFFER, by their blob, and in the order in which they are due; those that ended by an OFFER.
 *
 * A delivery is looked at when it is due, or when something has touched it: a frame, its
 * relay's answer, another delivery. Whatever else it waits for may only put it off.
 */
#ifndef CLIENT_LIB_DELIVERIES_H
#define CLIENT_LIB_DELIVERIES_H

#include "client/lib/delivery.h"

#define DELIVERIES_MAX 16384 /* under way; a power of two: the low bits of a stream */
#define ENDED_MAX 16384	     /* remembered */

RB_HEAD(delivery_offers, delivery);
RB_HEAD(delivery_blobs, delivery);
RB_HEAD(delivery_dues, delivery);
TAILQ_HEAD(delivery_list, delivery);

struct deliveries {
	struct delivery **slot; /* `room` of them; NULL: free */
	uint32_t *spare;	/* the free ones, a stack */
	uint32_t room, spare_count;
	uint32_t count; /* under way */
	uint32_t ended_count;
	struct delivery_offers offers; /* with those that ended */
	struct delivery_blobs blobs;
	struct delivery_dues dues;
	struct delivery_list touched;
	struct delivery_list waiting; /* begun in no way yet; not offered for longest: first */
	struct delivery_list ended;   /* likewise */
	struct delivery_list owed;    /* of these, whose relay could not be told yet */
};

void deliveries_init(struct deliveries *ds);
/* Nothing is under way any more: those that ended are forgotten. */
void deliveries_fini(struct deliveries *ds);

/* Under way from now on: it gets a slot, waits, and is touched. -ENOSPC: they are too many, or
 * -ENOMEM. */
int deliveries_add(struct deliveries *ds, struct delivery *d);
/* Under way no more, and in no list. */
void deliveries_remove(struct deliveries *ds, struct delivery *d);
/* It is another transfer's from now on, which no other one is of. */
void deliveries_rename(struct deliveries *ds, struct delivery *d,
		       const uint8_t transfer[TRANSFER_SIZE], uint16_t leg);
/* It waits no more. */
void deliveries_begun(struct deliveries *ds, struct delivery *d);
/* Offered once more, waiting or ended. */
void deliveries_renew(struct deliveries *ds, struct delivery *d);
/* One that was removed is remembered; who ended first goes, if they are too many. */
void deliveries_remember(struct deliveries *ds, struct delivery *d);
/* Forgets those that ended and have not been offered for their lifetime. */
void deliveries_expire(struct deliveries *ds, uint64_t now);
/* Its relay could, or could not, be told how it ended. */
void deliveries_owe(struct deliveries *ds, struct delivery *d, bool owed);

/* All NULL if there is none. */
struct delivery *deliveries_of_stream(const struct deliveries *ds, uint64_t stream);
struct delivery *deliveries_of_offer(struct deliveries *ds, const struct offer *o);
/* Another one under way that is of the same blob: the first, the one after d. */
struct delivery *deliveries_of_blob(struct deliveries *ds, const struct delivery *d);
struct delivery *deliveries_next_of_blob(const struct delivery *d);
/* Begun, but nothing of it has come: the one not offered for longest. */
struct delivery *deliveries_idlest(struct deliveries *ds);

void deliveries_touch(struct deliveries *ds, struct delivery *d);
/* All under way whose relay p is. */
void deliveries_touch_of(struct deliveries *ds, const struct contact *p);
void deliveries_touch_all(struct deliveries *ds);
/* Touches those that are due. */
void deliveries_wake(struct deliveries *ds, uint64_t now);
/* One that is touched, and now is no more; NULL: none is. */
struct delivery *deliveries_touched(struct deliveries *ds);
void deliveries_schedule(struct deliveries *ds, struct delivery *d, uint64_t due);
/* When the next one is due. */
uint64_t deliveries_due(const struct deliveries *ds);

static inline uint32_t delivery_slot(const struct delivery *d)
{
	return (uint32_t)(d->stream & (DELIVERIES_MAX - 1));
}

static inline bool delivery_active(const struct deliveries *ds, uint32_t slot,
				   const struct delivery *d)
{
	return ds->slot[slot] == d;
}

#endif
