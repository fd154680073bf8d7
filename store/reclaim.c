/* SPDX-License-Identifier: BSD-3-Clause
 * The queue of what waits for a grace period. Tokens rise along it, so the head
 * is always the first to be due.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

#include <rte_rcu_qsbr.h>

#include "store/reclaim.h"

struct deferred {
	TAILQ_ENTRY(deferred) next;
	uint64_t token;
	void (*fn)(void *ctx, uint64_t arg);
	void *ctx;
	uint64_t arg;
};

struct reclaim {
	struct rte_rcu_qsbr *qsbr;
	TAILQ_HEAD(deferred_queue, deferred) queue;
};

struct reclaim *reclaim_create(struct rte_rcu_qsbr *qsbr)
{
	struct reclaim *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->qsbr = qsbr;
	TAILQ_INIT(&r->queue);
	return r;
}

static void head_run(struct reclaim *r)
{
	struct deferred *d = TAILQ_FIRST(&r->queue);

	/* Off the queue first: fn may defer more. */
	TAILQ_REMOVE(&r->queue, d, next);
	d->fn(d->ctx, d->arg);
	free(d);
}

void reclaim_destroy(struct reclaim *r)
{
	if (!r)
		return;
	while (!TAILQ_EMPTY(&r->queue))
		head_run(r);
	free(r);
}

int reclaim_defer(struct reclaim *r, void (*fn)(void *ctx, uint64_t arg), void *ctx, uint64_t arg)
{
	struct deferred *d = malloc(sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->fn = fn;
	d->ctx = ctx;
	d->arg = arg;
	d->token = rte_rcu_qsbr_start(r->qsbr);
	TAILQ_INSERT_TAIL(&r->queue, d, next);
	return 0;
}

bool reclaim_poll(struct reclaim *r)
{
	struct deferred *d, *last = TAILQ_LAST(&r->queue, deferred_queue);

	/* Only what was there at the start: with no worker online a grace period
	 * is over at once, and what defers itself again would go round for ever. */
	while (last && (d = TAILQ_FIRST(&r->queue)) &&
	       rte_rcu_qsbr_check(r->qsbr, d->token, false) == 1) {
		if (d == last)
			last = NULL;
		head_run(r);
	}
	return reclaim_waits(r);
}

bool reclaim_waits(const struct reclaim *r)
{
	return !TAILQ_EMPTY(&r->queue);
}
