/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "control/control.h"

#define SERVED_SECONDS 5 /* longer than a source waits before it repeats a SEND */

static void request_timer(evutil_socket_t fd, short what, void *arg)
{
	struct request *rq = arg;

	(void)fd;
	(void)what;
	control_clock(rq->ctl);
	if (rq->query_conn != 0)
		query_send(rq->ctl, rq);
	else if (rq->upload != NULL)
		upload_leave(rq);
	else
		request_free(rq);
}

struct request *request_by_query(struct control *ctl, uint64_t conn)
{
	struct request *rq;

	HASH_FIND(hh_query, ctl->requests.by_query, &conn, sizeof(conn), rq);
	return rq;
}

void request_status(struct request *rq, enum status_code code, enum refuse_reason reason,
		    uint64_t bytes)
{
	struct status s = {.code = (uint8_t)code, .reason = (uint8_t)reason, .bytes = bytes};

	outbox_status(rq->ctl, &rq->ask, &s);
}

void request_wait(struct request *rq)
{
	struct status s = {.code = STATUS_WAITING, .retry_after = BUSY_RETRY_MS};

	outbox_status(rq->ctl, &rq->ask, &s);
	request_free(rq);
}

void request_busy(struct request *rq)
{
	outbox_busy(rq->ctl, &rq->ask);
	request_free(rq);
}

/* It counts against the limits of its source and domain while it waits. */
static void request_count(struct request *rq, bool waits)
{
	if (rq->waits == waits)
		return;
	rq->waits = waits;
	*tally_of(&rq->ctl->requests.hosts, &rq->ask.key.source) += waits ? 1 : -1u;
	rq->ctl->usage[rq->slot].requests += waits ? 1 : -1u;
}

void request_free(struct request *rq)
{
	struct control *ctl = rq->ctl;

	request_count(rq, false);

	HASH_DELETE(hh, ctl->requests.by_key, rq);
	if (rq->query_conn != 0)
		HASH_DELETE(hh_query, ctl->requests.by_query, rq);
	if (rq->upload != NULL)
		TAILQ_REMOVE(&rq->upload->requests, rq, waiter);
	if (rq->served)
		TAILQ_REMOVE(&ctl->requests.served, rq, waiter);
	event_free(rq->timer);
	free(rq);
}

void requests_init(struct control *ctl)
{
	TAILQ_INIT(&ctl->requests.served);
	tally_init(&ctl->requests.hosts);
}

void requests_fini(struct control *ctl)
{
	struct request *rq, *next;

	HASH_ITER(hh, ctl->requests.by_key, rq, next)
	request_free(rq);
}

/* Answered: kept a little, because the source repeats its SEND. */
static void request_keep(struct request *rq)
{
	const struct timeval keep = {.tv_sec = SERVED_SECONDS};

	request_count(rq, false);
	if (rq->upload != NULL)
		TAILQ_REMOVE(&rq->upload->requests, rq, waiter);
	rq->upload = NULL;
	if (!rq->served)
		TAILQ_INSERT_TAIL(&rq->ctl->requests.served, rq, waiter);
	rq->served = true;
	event_add(rq->timer, &keep);
}

/* The source is heard of again: it waits once more. */
static void request_resume(struct request *rq)
{
	TAILQ_REMOVE(&rq->ctl->requests.served, rq, waiter);
	rq->served = false;
	request_count(rq, true);
}

void request_serve(struct request *rq, const struct blob *b)
{
	const struct ask_extras extras = ask_extras_of(&rq->cold);
	struct control *ctl = rq->ctl;

	/* who waited for another's upload has shown nothing yet */
	if (ctl->relay->possession && !rq->uploaded && rq->ask.length > 0) {
		outbox_challenge(ctl, &rq->ask);
		request_free(rq);
		return;
	}
	outbox_serve(ctl, &rq->ask, &extras, b);
	if (rq->uploaded && relay_hides(ctl->relay, rq->ask.length))
		request_keep(rq); /* its next SEND must not ask for another upload */
	else
		request_free(rq);
}

static void query_end(struct request *rq)
{
	if (rq->query_conn != 0)
		HASH_DELETE(hh_query, rq->ctl->requests.by_query, rq);
	rq->query_conn = 0;
}

void request_served(struct request *rq)
{
	query_end(rq);
	request_status(rq, STATUS_SERVING_CENTRAL, REFUSE_NONE, 0);
	request_keep(rq);
}

void request_challenged(struct request *rq, const struct challenge *challenge)
{
	struct status s = {.code = STATUS_CHALLENGE, .challenge = challenge};

	query_end(rq);
	outbox_status(rq->ctl, &rq->ask, &s);
	request_keep(rq);
}

static void deadline_arm(struct request *rq)
{
	const struct timeval deadline = {
		.tv_sec = (time_t)ask_deadline(&rq->ask, control_seconds(rq->ctl))};

	event_add(rq->timer, &deadline);
}

void request_upload(struct request *rq)
{
	query_end(rq);
	deadline_arm(rq);
	upload_join(rq);
}

struct request *request_find(struct control *ctl, const struct ask_key *key)
{
	struct request *rq;

	HASH_FIND(hh, ctl->requests.by_key, key, sizeof(*key), rq);
	return rq;
}

/* Each repeat renews the deadline, so a transfer may last for as long as it moves. */
void request_update(struct request *rq, const struct ask_carried *c)
{
	const bool moved = memcmp(&rq->ask.key, &c->ask.key, sizeof(rq->ask.key)) != 0;
	const bool waits = rq->waits;

	if (moved) {
		request_count(rq, false);
		HASH_DELETE(hh, rq->ctl->requests.by_key, rq);
	}
	rq->ask = c->ask;
	rq->cold.has_proof = c->cold.has_proof;
	rq->cold.proof = c->cold.proof;
	rq->heard = rq->ctl->now_us;
	if (moved) {
		HASH_ADD(hh, rq->ctl->requests.by_key, ask.key, sizeof(rq->ask.key), rq);
		request_count(rq, waits);
	}
	if (rq->upload != NULL)
		deadline_arm(rq);
}

void request_again(struct request *rq)
{
	struct control *ctl = rq->ctl;
	struct index_key pad;
	const struct blob *b;

	if (!rq->served) {
		if (rq->upload == NULL)
			request_status(rq, STATUS_WORKING, REFUSE_NONE, 0);
		else
			upload_status(rq);
		return;
	}
	request_resume(rq);
	if (!rq->uploaded) { /* central repeats its OFFER, which the target answers */
		query_send(ctl, rq);
		return;
	}
	index_pad(ctl->relay->index, ask_domain(&rq->ask), rq->ask.rule, &pad);
	b = control_blob(ctl, &pad, &rq->ask);
	if (b != NULL)
		request_serve(rq, b);
	else
		request_upload(rq);
}

bool request_room(struct control *ctl, const struct domain *d, const struct addr *source)
{
	struct requests *rs = &ctl->requests;

	if (d->max_requests > 0 && ctl->usage[d->slot].requests >= d->max_requests) {
		ctl->usage[d->slot].refused++;
		return false;
	}
	if (*tally_of(&rs->hosts, source) >= ctl->config->max_waiters_per_source)
		return false;
	if (HASH_COUNT(rs->by_key) >= ctl->config->max_waiters && !TAILQ_EMPTY(&rs->served))
		request_free(TAILQ_FIRST(&rs->served));
	return HASH_COUNT(rs->by_key) < ctl->config->max_waiters;
}

struct request *request_create(struct control *ctl, const struct domain *d,
			       const struct ask_carried *c)
{
	struct request *rq = calloc(1, sizeof(*rq));

	if (rq == NULL)
		return NULL;
	rq->ctl = ctl;
	rq->timer = evtimer_new(ctl->base, request_timer, rq);
	if (rq->timer == NULL) {
		free(rq);
		return NULL;
	}
	rq->ask = c->ask;
	rq->cold = c->cold;
	rq->slot = d->slot;
	rq->heard = ctl->now_us;
	request_count(rq, true);
	HASH_ADD(hh, ctl->requests.by_key, ask.key, sizeof(rq->ask.key), rq);
	return rq;
}

const struct blob *control_blob(struct control *ctl, const struct index_key *pad,
				const struct ask *a)
{
	const struct index_key key = index_key_make(pad, &a->id);
	const uint32_t no = index_lookup(ctl->relay->index, &key);
	const struct blob *b = no != BLOB_NONE ? slab_blob(&ctl->relay->slab, no) : NULL;

	return b != NULL && blob_match(b, ask_domain(a), &a->id, a->rule, a->length) ? b : NULL;
}
