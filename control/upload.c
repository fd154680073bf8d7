/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "control/attempt.h"
#include "control/control.h"

#define LIVELY_US 3000000u /* a source repeats its SEND every second */

void uploads_init(struct control *ctl)
{
	struct uploads *us = &ctl->uploads;

	TAILQ_INIT(&us->dirty);
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
		while (!TAILQ_EMPTY(&u->requests))
			request_free(TAILQ_FIRST(&u->requests));
		if (u->attempt != NULL) {
			u->attempt->hashing = false; /* the hash threads are gone */
			attempt_end(u->attempt);
		}
		upload_free(u);
	}
}

/* Blobs that this source is uploading now. */
static uint32_t uploads_of(struct control *ctl, const struct addr *source)
{
	struct upload *u, *next;
	uint32_t n = 0;

	HASH_ITER(hh, ctl->uploads.by_key, u, next)
	n += addr_same_host(&TAILQ_FIRST(&u->requests)->key.source, source);
	return n;
}

void upload_status(struct request *rq)
{
	const struct upload *u = rq->upload;
	const struct pullwin *w = &u->attempt->window;

	if (rq != TAILQ_FIRST(&u->requests))
		request_status(rq, STATUS_WAITING, REFUSE_NONE, 0);
	else if (pullwin_complete(w))
		request_status(rq, STATUS_WORKING, REFUSE_NONE, 0);
	else
		request_status(rq, STATUS_UPLOAD, REFUSE_NONE, (uint64_t)w->have * CHUNK_SIZE);
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

/* Puts in front the first request whose source was heard of lately: one that
 * lives repeats its SEND, and the dead would cost a stall each. */
static struct request *upload_elect(struct upload *u)
{
	struct request *rq;

	TAILQ_FOREACH (rq, &u->requests, waiter) {
		if (u->ctl->now_us - rq->heard >= LIVELY_US)
			continue;
		TAILQ_REMOVE(&u->requests, rq, waiter);
		TAILQ_INSERT_HEAD(&u->requests, rq, waiter);
		break;
	}
	return TAILQ_FIRST(&u->requests);
}

/* Lets the first request that can upload do so; without one the upload ends. */
static void upload_next(struct upload *u)
{
	struct request *rq;

	while ((rq = upload_elect(u)) != NULL) {
		enum refuse_reason reason = attempt_start(u, rq);

		if (reason == REFUSE_NONE) {
			upload_status(rq);
			return;
		}
		request_refuse(rq, reason);
	}
	upload_free(u);
}

void upload_join(struct request *rq)
{
	struct control *ctl = rq->ctl;
	struct upload_key key = {
		.id = rq->id,
		.length = rq->length,
		.rule = rq->rule,
		.domain = rq->domain,
	};
	struct upload *u;

	/* data that could never be sent on is not asked for */
	if (ctl->router != NULL && !router_reaches(ctl->router, &rq->target)) {
		request_status(rq, STATUS_REFUSED, REFUSE_TARGET_UNREACHABLE, 0);
		request_free(rq);
		return;
	}
	if (relay_hides(ctl->relay, rq->length))
		key.owner = rq->key; /* that somebody uploads the same is not to be seen */

	HASH_FIND(hh, ctl->uploads.by_key, &key, sizeof(key), u);
	if (u != NULL) {
		rq->upload = u;
		TAILQ_INSERT_TAIL(&u->requests, rq, waiter);
		upload_status(rq);
		return;
	}
	if (uploads_of(ctl, &rq->key.source) >= ctl->config->max_uploads_per_source ||
	    (u = calloc(1, sizeof(*u))) == NULL) {
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

void upload_failed(struct upload *u, enum refuse_reason reason)
{
	attempt_end(u->attempt);
	request_refuse(TAILQ_FIRST(&u->requests), reason);
	upload_next(u);
}

void upload_leave(struct request *rq, enum refuse_reason reason)
{
	if (rq == TAILQ_FIRST(&rq->upload->requests))
		upload_failed(rq->upload, reason);
	else
		request_refuse(rq, reason);
}

/* READY and in the index, or there already: what others sent meanwhile serves
 * as well. NULL with the reason if neither. */
static const struct blob *upload_commit(struct upload *u, enum refuse_reason *reason)
{
	struct relay *r = u->ctl->relay;
	const struct upload_key *k = &u->key;
	struct index_key pad, key;
	int ret;

	index_pad(r->index, k->domain, (uint8_t)k->rule, &pad);
	key = index_key_make(&pad, &k->id);
	blob_commit(&r->slab, u->attempt->blob);
	ret = index_insert(r->index, &key, u->attempt->blob);
	u->attempt->committed = ret == 0;
	*reason = ret == -ENOSPC ? REFUSE_STORE_FULL : REFUSE_INTERNAL;
	return ret == 0 || ret == -EEXIST
		       ? control_blob(u->ctl, k->domain, &k->id, (uint8_t)k->rule, k->length)
		       : NULL;
}

void upload_hashed(struct upload *u, const struct ident *computed)
{
	struct request *rq = TAILQ_FIRST(&u->requests);
	enum refuse_reason reason;
	const struct blob *b;

	if (!ident_equal(computed, &u->key.id)) {
		upload_failed(u, REFUSE_WRONG_IDENTIFIER);
		return;
	}
	b = upload_commit(u, &reason);
	if (b == NULL) {
		upload_failed(u, reason);
		return;
	}
	attempt_end(u->attempt);
	u->ctl->counters.uploads++;
	rq->uploaded = true;
	request_status(rq, STATUS_STORED, REFUSE_NONE, u->key.length);
	while ((rq = TAILQ_FIRST(&u->requests)) != NULL)
		request_serve(rq, b);
	upload_free(u);
}
