/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "control/attempt.h"
#include "control/control.h"

#define LIVELY_US 3000000u /* a source repeats its SEND every second */
#define JUDGE_US 2000000u  /* a rate is of so long a time */
#define BESIDE_US 5000000u /* an upload that needs no longer is not worth a second one */
#define RATE_LEAST 10000u  /* bytes a second, while another source waits */

void uploads_init(struct control *ctl)
{
	struct uploads *us = &ctl->uploads;

	TAILQ_INIT(&us->dirty);
	tally_init(&us->hosts);
	for (uint32_t i = 0; i < UPLOAD_SLOTS; i++)
		us->free[us->free_count++] = (uint16_t)(UPLOAD_SLOTS - 1 - i);
}

static void upload_free(struct upload *u)
{
	HASH_DEL(u->ctl->uploads.by_key, u);
	free(u);
}

void uploads_fini(struct control *ctl)
{
	struct upload *u, *next;

	HASH_ITER(hh, ctl->uploads.by_key, u, next)
	{
		struct request *rq;

		while ((rq = TAILQ_FIRST(&u->requests)) != NULL) {
			if (rq->attempt != NULL) {
				rq->attempt->hashing = false; /* the hash threads are gone */
				attempt_end(rq->attempt);
			}
			request_free(rq);
		}
		upload_free(u);
	}
}

void upload_status(struct request *rq)
{
	const struct attempt *a = rq->attempt;

	if (a == NULL)
		request_status(rq, STATUS_WAITING, REFUSE_NONE, 0);
	else if (pullwin_complete(&a->window))
		request_status(rq, STATUS_WORKING, REFUSE_NONE, 0);
	else
		request_status(rq, STATUS_UPLOAD, REFUSE_NONE,
			       (uint64_t)a->window.pulls.have * CHUNK_SIZE);
}

/* Ends a request that cannot be uploaded. */
static void request_refuse(struct request *rq, enum refuse_reason reason)
{
	if (reason == REFUSE_BUSY) {
		request_busy(rq);
		return;
	}
	rq->ctl->counters.upload_failures++;
	request_status(rq, STATUS_REFUSED, reason, 0);
	request_free(rq);
}

/* Does a source on this host upload it already, and move? */
static bool upload_by(const struct upload *u, const struct addr *host)
{
	const struct request *rq;

	TAILQ_FOREACH (rq, &u->requests, waiter)
		if (rq->attempt != NULL && !attempt_stalled(rq->attempt) &&
		    addr_same_host(&rq->attempt->source, host))
			return true;
	return false;
}

/* The first that waits and whose source was heard of lately: one that lives
 * repeats its SEND, and the dead would cost a stall each. */
static struct request *upload_elect(const struct upload *u)
{
	struct request *rq;

	TAILQ_FOREACH (rq, &u->requests, waiter)
		if (rq->attempt == NULL && u->ctl->now_us - rq->heard < LIVELY_US &&
		    !upload_by(u, &rq->ask.key.source))
			return rq;
	return NULL;
}

/* Lets the first request that can upload do so, if nobody does; without one the
 * upload ends. */
static void upload_next(struct upload *u)
{
	struct request *rq;

	while (u->attempts == 0 && !TAILQ_EMPTY(&u->requests)) {
		enum refuse_reason reason;

		rq = upload_elect(u);
		if (rq == NULL)
			rq = TAILQ_FIRST(&u->requests);
		reason = attempt_start(u, rq);
		if (reason == REFUSE_NONE)
			upload_status(rq);
		else
			request_refuse(rq, reason);
	}
	if (TAILQ_EMPTY(&u->requests))
		upload_free(u);
}

/* Slowness is no verdict: its source waits from now on, behind all others. */
static void upload_demote(struct attempt *a)
{
	struct request *rq = a->request;
	struct upload *u = rq->upload;

	attempt_end(a);
	TAILQ_REMOVE(&u->requests, rq, waiter);
	TAILQ_INSERT_TAIL(&u->requests, rq, waiter);
	upload_status(rq);
	upload_next(u);
}

/* Nor is silence: its source may begin anew. */
static void upload_put_off(struct attempt *a)
{
	struct request *rq = a->request;
	struct upload *u = rq->upload;

	attempt_end(a);
	rq->ctl->counters.uploads_put_off++;
	request_wait(rq);
	upload_next(u);
}

bool upload_stalled(struct attempt *a)
{
	if (a->goes)
		upload_put_off(a);
	else if (upload_elect(a->request->upload) != NULL)
		upload_demote(a);
	else if (a->ctl->now_us - a->window.progress >= ATTEMPT_PARK_US)
		upload_put_off(a);
	else
		return false;
	return true;
}

/* Of one blob's, the attempt that has been without progress for longest, or NULL. */
static struct attempt *stalled_of(const struct upload *u)
{
	struct attempt *found = NULL;
	struct request *rq;

	TAILQ_FOREACH (rq, &u->requests, waiter)
		if (rq->attempt != NULL && attempt_stalled(rq->attempt) &&
		    (found == NULL || rq->attempt->window.progress < found->window.progress))
			found = rq->attempt;
	return found;
}

/* Who is at its own limit must not take the place of others. */
bool uploads_reclaim(struct control *ctl, const struct addr *host)
{
	struct attempt *found = NULL;
	struct upload *u, *next;
	struct request *rq;

	HASH_ITER(hh, ctl->uploads.by_key, u, next)
	TAILQ_FOREACH (rq, &u->requests, waiter) {
		struct attempt *a = rq->attempt;

		if (a == NULL || a->goes || !attempt_stalled(a) ||
		    (host != NULL && !addr_same_host(&a->source, host)))
			continue;
		if (found == NULL || a->window.progress < found->window.progress)
			found = a;
	}
	if (found == NULL)
		return false;
	found->goes = true;
	attempt_mark(found);
	return true;
}

/* What its slowest and its fastest attempt do. False: it is too early to say, or
 * all of the blob is here. */
static bool upload_judge(struct upload *u, struct attempt **slowest, uint64_t *least,
			 uint64_t *left_us)
{
	struct request *rq;

	*left_us = UINT64_MAX;
	*least = UINT64_MAX;
	TAILQ_FOREACH (rq, &u->requests, waiter) {
		struct attempt *a = rq->attempt;
		uint64_t rate, left;

		if (a == NULL)
			continue;
		if (pullwin_complete(&a->window) || u->ctl->now_us - a->judged < JUDGE_US)
			return false;
		rate = attempt_rate(a);
		left = (uint64_t)(a->window.pulls.chunks - a->window.pulls.have) * CHUNK_SIZE;
		if (rate > 0)
			*left_us = RTE_MIN(*left_us, left * 1000000 / rate);
		if (rate < *least) {
			*least = rate;
			*slowest = a;
		}
	}
	return true;
}

/* Rates count from here. */
static void upload_mark(struct upload *u)
{
	struct request *rq;

	TAILQ_FOREACH (rq, &u->requests, waiter)
		if (rq->attempt != NULL) {
			rq->attempt->judged = u->ctl->now_us;
			rq->attempt->had = rq->attempt->window.pulls.have;
		}
}

/* Who sends an identifier first must not be able to keep all others from sending
 * it: a source that waits uploads beside those that would take long, and the
 * slowest goes when there are too many, or when it hardly moves. */
static void upload_review(struct upload *u)
{
	struct request *waiter = upload_elect(u);
	struct attempt *slowest = NULL, *stalled = stalled_of(u);
	bool full = u->attempts == UPLOAD_BESIDE;
	uint64_t least, left_us;

	if (waiter == NULL) {
		upload_mark(u);
		return;
	}
	if (stalled != NULL) {
		upload_demote(stalled);
		return;
	}
	if (!upload_judge(u, &slowest, &least, &left_us))
		return;
	upload_mark(u);
	if (left_us <= BESIDE_US)
		return;
	/* at a limit of the relay's it goes on waiting */
	if (!full && attempt_start(u, waiter) == REFUSE_NONE)
		upload_status(waiter);
	/* makes room for it at the next review */
	if (full || least < RATE_LEAST)
		upload_demote(slowest);
}

void uploads_review(struct control *ctl)
{
	struct upload *u, *next;

	HASH_ITER(hh, ctl->uploads.by_key, u, next)
	upload_review(u);
}

void upload_join(struct request *rq)
{
	struct control *ctl = rq->ctl;
	struct upload_key key = {
		.id = rq->ask.id,
		.length = rq->ask.length,
		.rule = rq->ask.rule,
		.domain = ask_domain(&rq->ask),
	};
	struct upload *u;

	/* data that could never be sent on is not asked for */
	if (ctl->router != NULL && !router_reaches(ctl->router, &rq->ask.target)) {
		request_status(rq, STATUS_REFUSED, REFUSE_TARGET_UNREACHABLE, 0);
		request_free(rq);
		return;
	}
	if (relay_hides(ctl->relay, rq->ask.length))
		key.owner = rq->ask.key; /* that somebody uploads the same is not to be seen */

	HASH_FIND(hh, ctl->uploads.by_key, &key, sizeof(key), u);
	if (u != NULL) {
		rq->upload = u;
		TAILQ_INSERT_TAIL(&u->requests, rq, waiter);
		upload_status(rq);
		return;
	}
	u = calloc(1, sizeof(*u));
	if (u == NULL) {
		request_busy(rq);
		return;
	}
	u->key = key;
	u->ctl = ctl;
	TAILQ_INIT(&u->requests);
	TAILQ_INSERT_TAIL(&u->requests, rq, waiter);
	rq->upload = u;
	HASH_ADD(hh, ctl->uploads.by_key, key, sizeof(key), u);
	upload_next(u);
}

void upload_failed(struct attempt *a, enum refuse_reason reason)
{
	struct request *rq = a->request;
	struct upload *u = rq->upload;

	attempt_end(a);
	request_refuse(rq, reason);
	upload_next(u);
}

void upload_leave(struct request *rq)
{
	if (rq->attempt != NULL)
		upload_put_off(rq->attempt);
	else
		request_wait(rq);
}

/* READY and in the index, or there already: what others sent meanwhile serves
 * as well. NULL with the reason if neither. */
static const struct blob *upload_commit(struct attempt *a, enum refuse_reason *reason)
{
	const struct ask *ask = &a->request->ask;
	struct relay *r = a->ctl->relay;
	struct index_key pad, key;
	int ret;

	index_pad(r->index, ask_domain(ask), ask->rule, &pad);
	key = index_key_make(&pad, &ask->id);
	blob_commit(&r->slab, a->blob);
	ret = index_insert(r->index, &key, a->blob);
	a->committed = ret == 0;
	*reason = ret == -ENOSPC ? REFUSE_STORE_FULL : REFUSE_INTERNAL;
	return ret == 0 || ret == -EEXIST ? control_blob(a->ctl, &pad, ask) : NULL;
}

void upload_hashed(struct attempt *a, const struct ident *computed)
{
	struct request *rq = a->request, *other;
	struct upload *u = rq->upload;
	enum refuse_reason reason;
	const struct blob *b;

	if (!ident_equal(computed, &u->key.id)) {
		upload_failed(a, REFUSE_WRONG_IDENTIFIER);
		return;
	}
	b = upload_commit(a, &reason);
	if (b == NULL) {
		upload_failed(a, reason);
		return;
	}
	TAILQ_FOREACH (other, &u->requests, waiter)
		if (other->attempt != NULL)
			attempt_end(other->attempt);
	u->ctl->counters.uploads++;
	rq->uploaded = true;
	request_status(rq, STATUS_STORED, REFUSE_NONE, u->key.length);
	while ((rq = TAILQ_FIRST(&u->requests)) != NULL)
		request_serve(rq, b);
	upload_free(u);
}
