/* SPDX-License-Identifier: BSD-3-Clause
 * Leases: which targets consent to be pushed to, and under which conn.
 * Control is the single writer (LISTEN, STOP and expiry); workers look up
 * without locks, inside an RCU section.
 */
#ifndef DATAPLANE_LEASE_H
#define DATAPLANE_LEASE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "store/reclaim.h"
#include "wire/addr.h"

/* Immutable once published, but for `revoked`. */
struct lease {
	struct addr target;
	uint32_t key;	      /* domain of the LISTEN, 0 = open */
	uint64_t conn;	      /* the target's: frames to it carry it */
	uint64_t number;      /* of the LISTEN or STOP that made it */
	uint64_t expiry;      /* Unix seconds; 0: withdrawn, kept so that a replay cannot undo it */
	uint64_t forget;      /* Unix seconds after which the number may be forgotten */
	_Atomic bool revoked; /* by a STOP that control has not seen yet; workers: wo */
};

struct lease_table;

/* per_host: entries of one host, withdrawn ones included. */
struct lease_table *lease_table_create(uint32_t entries, uint32_t per_host,
				       struct reclaim *reclaim);
void lease_table_destroy(struct lease_table *t);

#define LEASE_BURST 32
/* The entries of 1 to LEASE_BURST targets, live or not; NULL: there is none. */
void lease_find(const struct lease_table *t, const struct addr *const targets[], unsigned int n,
		const struct lease *out[]);
/* Neither expired nor withdrawn. */
static inline bool lease_live(const struct lease *l, uint64_t unix_seconds)
{
	return l->expiry > unix_seconds &&
	       !atomic_load_explicit(&((struct lease *)(uintptr_t)l)->revoked,
				     memory_order_relaxed);
}
/* NULL: no live lease. */
const struct lease *lease_lookup(const struct lease_table *t, const struct addr *target,
				 uint64_t unix_seconds);

/* Worker: a STOP ends the lease at once, before control hears of it. */
void lease_revoke(struct lease_table *t, const struct addr *target, uint64_t number);

/* Control. Publishes a copy unless a newer number is there: -EALREADY, or this
 * one: -EEXIST. Also -EDQUOT: the host has as many as it may; -ENOSPC, -ENOMEM. */
int lease_set(struct lease_table *t, const struct lease *l);
/* Control: drops what may be forgotten; call once a second. Looks at a bounded
 * part of the table each time. */
void lease_expire(struct lease_table *t, uint64_t unix_seconds);
/* Entries, withdrawn ones included. */
uint32_t lease_count(const struct lease_table *t);

#endif
