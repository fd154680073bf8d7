/* SPDX-License-Identifier: BSD-3-Clause
 * Deferred freeing: what workers may still be reading is freed once every one
 * of them has passed a quiescent state, and what their frames may hold by reference
 * (store/flight.h) when those have landed, too. Control's alone.
 */
#ifndef STORE_RECLAIM_H
#define STORE_RECLAIM_H

#include <stdbool.h>
#include <stdint.h>

struct flights;
struct rte_rcu_qsbr;
struct reclaim;

/* flights: NULL: nothing is held by frames. */
struct reclaim *reclaim_create(struct rte_rcu_qsbr *qsbr, struct flights *flights);
/* Runs what is left as reclaim_flush() does. */
void reclaim_destroy(struct reclaim *r);
/* Runs what there is, and what that defers, without waiting: workers must have stopped, and
 * nothing that is freed is used again before their frames have landed. */
void reclaim_flush(struct reclaim *r);
/* Calls fn(ctx, arg) after a grace period that starts now. Returns 0 or -ENOMEM
 * (then nothing is queued). */
int reclaim_defer(struct reclaim *r, void (*fn)(void *ctx, uint64_t arg), void *ctx, uint64_t arg);
/* Likewise, and after all frames have landed that are in flight at its end. */
int reclaim_defer_flown(struct reclaim *r, void (*fn)(void *ctx, uint64_t arg), void *ctx,
			uint64_t arg);
/* Runs what is due; never blocks. True if something is still waiting. */
bool reclaim_poll(struct reclaim *r);
/* Is something waiting for a grace period, which is over soon? */
bool reclaim_waits(const struct reclaim *r);
/* Is something waiting for frames, which may take as long as a driver likes? */
bool reclaim_waits_flown(const struct reclaim *r);

#endif
