/* SPDX-License-Identifier: BSD-3-Clause
 * Deferred freeing: what workers may still be reading is freed once every one
 * of them has passed a quiescent state. Control's alone.
 */
#ifndef STORE_RECLAIM_H
#define STORE_RECLAIM_H

#include <stdbool.h>
#include <stdint.h>

struct rte_rcu_qsbr;
struct reclaim;

struct reclaim *reclaim_create(struct rte_rcu_qsbr *qsbr);
/* Runs what is left without waiting: workers must have stopped. */
void reclaim_destroy(struct reclaim *r);
/* Calls fn(ctx, arg) after a grace period that starts now. Returns 0 or -ENOMEM
 * (then nothing is queued). */
int reclaim_defer(struct reclaim *r, void (*fn)(void *ctx, uint64_t arg), void *ctx, uint64_t arg);
/* Runs what is due; never blocks. True if something is still waiting. */
bool reclaim_poll(struct reclaim *r);
/* Is something waiting? */
bool reclaim_waits(const struct reclaim *r);

#endif
