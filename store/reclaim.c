/* SPDX-License-Identifier: BSD-3-Clause
 * The queue of what waits for a grace period, and that of what then waits for frames to
 * land. Tokens and marks rise along them, so a head is always the first to be due.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

#include <rte_rcu_qsbr.h>

#include "store/flight.h"
#include "store/reclaim.h"

struct deferred {
	TAILQ_ENTRY(deferred) next;
	uint64_t due;	 /* when the grace period with this token is over, or this mark */
	bool then_lands; /* it is of the first queue and goes on to the second */
	void (*fn)(void *ctx, uint64_t arg);
	void *ctx;
	uint64_t arg;
};

TAILQ_HEAD(deferred_queue, deferred);

struct reclaim {
	struct rte_rcu_qsbr *qsbr;
	struct flights *flights;
	struct deferred_queue grace;
	struct deferred_queue landing;
};

struct reclaim *reclaim_create(struct rte_rcu_qsbr *qsbr, struct flights *flights)
{
	struct reclaim *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->qsbr = qsbr;
	r->flights = flights;
	TAILQ_INIT(&r->grace);
	TAILQ_INIT(&r->landing);
	return r;
}

static void head_run(struct deferred_queue *queue)
{
	struct deferred *d = TAILQ_FIRST(queue);

	/* Off the queue first: fn may defer more. */
	TAILQ_REMOVE(queue, d, next);
	d->fn(d->ctx, d->arg);
	free(d);
}

void reclaim_flush(struct reclaim *r)
{
	while (reclaim_waits(r) || reclaim_waits_flown(r))
		head_run(reclaim_waits_flown(r) ? &r->landing : &r->grace);
}

void reclaim_destroy(struct reclaim *r)
{
	if (!r)
		return;
	reclaim_flush(r);
	free(r);
}

static int defer(struct reclaim *r, const struct deferred *what)
{
	struct deferred *d = malloc(sizeof(*d));

	if (!d)
		return -ENOMEM;
	*d = *what;
	d->due = rte_rcu_qsbr_start(r->qsbr);
	TAILQ_INSERT_TAIL(&r->grace, d, next);
	return 0;
}

int reclaim_defer(struct reclaim *r, void (*fn)(void *ctx, uint64_t arg), void *ctx, uint64_t arg)
{
	return defer(r, &(struct deferred){.fn = fn, .ctx = ctx, .arg = arg});
}

int reclaim_defer_flown(struct reclaim *r, void (*fn)(void *ctx, uint64_t arg), void *ctx,
			uint64_t arg)
{
	const bool lands = r->flights != NULL;

	return defer(r, &(struct deferred){.fn = fn, .ctx = ctx, .arg = arg, .then_lands = lands});
}

/* Its grace period is over. */
static void head_graced(struct reclaim *r)
{
	struct deferred *d = TAILQ_FIRST(&r->grace);

	if (!d->then_lands) {
		head_run(&r->grace);
		return;
	}
	TAILQ_REMOVE(&r->grace, d, next);
	d->due = flights_mark(r->flights);
	TAILQ_INSERT_TAIL(&r->landing, d, next);
}

/* Of both queues only what was there at the start: with no worker online a grace period is
 * over at once, and what defers itself again would go round for ever. */
static void grace_poll(struct reclaim *r)
{
	struct deferred *d, *last = TAILQ_LAST(&r->grace, deferred_queue);

	while (last && (d = TAILQ_FIRST(&r->grace)) &&
	       rte_rcu_qsbr_check(r->qsbr, d->due, false) == 1) {
		if (d == last)
			last = NULL;
		head_graced(r);
	}
}

static void landing_poll(struct reclaim *r)
{
	struct deferred *d, *last = TAILQ_LAST(&r->landing, deferred_queue);

	while (last && (d = TAILQ_FIRST(&r->landing)) && flights_over(r->flights, d->due)) {
		if (d == last)
			last = NULL;
		head_run(&r->landing);
	}
}

bool reclaim_poll(struct reclaim *r)
{
	grace_poll(r);
	landing_poll(r);
	return reclaim_waits(r) || reclaim_waits_flown(r);
}

bool reclaim_waits(const struct reclaim *r)
{
	return !TAILQ_EMPTY(&r->grace);
}

bool reclaim_waits_flown(const struct reclaim *r)
{
	return !TAILQ_EMPTY(&r->landing);
}
