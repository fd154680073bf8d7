/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "control/control.h"

#define BUSY_RETRY_MS 1000
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
		upload_leave(rq, REFUSE_UPLOAD_TIMEOUT);
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
	const struct status s = {
		.transfer = rq->key.transfer,
		.leg = get16(rq->key.leg),
		.code = (uint8_t)code,
		.reason = (uint8_t)reason,
		.bytes = bytes,
	};

	outbox_status(rq->ctl, rq->worker, &rq->key.source, rq->conn, &s);
}

void request_busy(struct request *rq)
{
	const struct error e = {
		.code = ERROR_BUSY,
		.verb = VERB_SEND,
		.retry_after = BUSY_RETRY_MS,
	};

	outbox_error(rq->ctl, rq->worker, &rq->key.source, rq->conn, &e);
	request_free(rq);
}

void request_free(struct request *rq)
{
	struct control *ctl = rq->ctl;

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
}

void requests_fini(struct control *ctl)
{
	struct request *rq, *next;

	HASH_ITER(hh, ctl->requests.by_key, rq, next)
	request_free(rq);
}

struct offer_request request_offer(const struct request *rq, uint64_t unix_seconds)
{
	return (struct offer_request){
		.transfer = rq->key.transfer,
		.target = &rq->target,
		.source = &rq->key.source,
		.home = &rq->ctl->relay->self,
		.meta = rq->meta,
		.meta_len = rq->meta_len,
		.leg = get16(rq->key.leg),
		.deadline = rq->expiry > unix_seconds ? (uint32_t)(rq->expiry - unix_seconds) : 1,
		.source_conn = rq->conn,
		.send_size = rq->send_size,
	};
}

void control_offer(struct control *ctl, uint16_t worker, const struct offer_request *q,
		   const struct blob *b)
{
	const struct lease *lease =
		lease_lookup(ctl->relay->leases, q->target, control_seconds(ctl));
	struct rte_mbuf *m;
	bool is_inline;
	size_t len;

	if (lease == NULL &&
	    !offer_allowed(&ctl->offer_budget, q->source, q->target, ctl->unix_us)) {
		control_drop(ctl, DROP_OFFER_BUDGET);
		return;
	}
	m = outbox_alloc(ctl, worker, q->target);
	if (m == NULL)
		return;
	len = offer_build(ctl->relay, q, b, lease, control_seconds(ctl), egress_payload(m),
			  &is_inline);
	if (len == 0) /* larger than its SEND */
		control_drop(ctl, DROP_OFFER_BUDGET);
	ctl->stats.offers += len != 0;
	ctl->stats.inline_offers += is_inline;
	outbox_send(ctl, m, len);
}

void request_serve(struct request *rq, const struct blob *b)
{
	struct control *ctl = rq->ctl;
	struct offer_request q = request_offer(rq, control_seconds(ctl));

	request_status(rq, ctl->relay->central ? STATUS_SERVING_CENTRAL : STATUS_SERVING_PRIVATE,
		       REFUSE_NONE, 0);
	control_offer(ctl, rq->worker, &q, b);
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
	const struct timeval keep = {.tv_sec = SERVED_SECONDS};

	query_end(rq);
	request_status(rq, STATUS_SERVING_CENTRAL, REFUSE_NONE, 0);
	rq->served = true;
	TAILQ_INSERT_TAIL(&rq->ctl->requests.served, rq, waiter);
	event_add(rq->timer, &keep);
}

void request_upload(struct request *rq)
{
	struct timeval deadline;
	uint64_t now = control_seconds(rq->ctl);

	query_end(rq);
	deadline = (struct timeval){.tv_sec = rq->expiry > now ? (time_t)(rq->expiry - now) : 1};
	event_add(rq->timer, &deadline);
	upload_join(rq);
}

/* The source asks again: tell it where things stand. */
static void request_again(struct request *rq, const struct packet *p, uint64_t conn)
{
	rq->conn = conn;
	rq->worker = p->worker;
	rq->heard = rq->ctl->now_us;
	if (rq->served) { /* central repeats its OFFER, which the target answers */
		rq->served = false;
		TAILQ_REMOVE(&rq->ctl->requests.served, rq, waiter);
		query_send(rq->ctl, rq);
	} else if (rq->upload == NULL) {
		request_status(rq, STATUS_WORKING, REFUSE_NONE, 0);
	} else {
		upload_status(rq);
	}
}

static struct request *request_create(struct control *ctl, const struct request_key *key,
				      const struct packet *p, const struct frame *f,
				      const struct send *s)
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
	rq->key = *key;
	rq->id = *s->id;
	rq->target = *s->target;
	rq->length = s->length;
	rq->conn = f->conn;
	rq->expiry = control_seconds(ctl) + s->deadline;
	rq->heard = ctl->now_us;
	rq->send_size = p->frame_len;
	rq->worker = p->worker;
	rq->rule = s->rule;
	rq->meta_len = s->meta_len;
	if (s->meta_len > 0)
		memcpy(rq->meta, s->meta, s->meta_len);
	HASH_ADD(hh, ctl->requests.by_key, key, sizeof(rq->key), rq);
	return rq;
}

/* The blob may have come since the worker looked. */
static const struct blob *blob_find(struct control *ctl, const struct send *s)
{
	struct index_key key;
	uint32_t no;

	index_key_make(ctl->relay->index, 0, s->rule, s->id, &key);
	no = index_lookup(ctl->relay->index, &key);
	if (no == BLOB_NONE ||
	    !blob_match(slab_blob(&ctl->relay->slab, no), s->id, s->rule, s->length))
		return NULL;
	return slab_blob(&ctl->relay->slab, no);
}

static void answer_without_request(struct control *ctl, const struct packet *p,
				   const struct frame *f, const struct send *s,
				   enum refuse_reason reason)
{
	const struct status refused = {
		.transfer = s->transfer,
		.leg = s->leg,
		.code = STATUS_REFUSED,
		.reason = (uint8_t)reason,
	};
	const struct error busy = {
		.code = ERROR_BUSY,
		.verb = VERB_SEND,
		.retry_after = BUSY_RETRY_MS,
	};

	if (reason != REFUSE_NONE)
		outbox_status(ctl, p->worker, &p->peer, f->conn, &refused);
	else
		outbox_error(ctl, p->worker, &p->peer, f->conn, &busy);
}

void handle_send_miss(struct control *ctl, const struct packet *p, const struct frame *f)
{
	struct request_key key = {.source = p->peer};
	const struct blob *b;
	struct request *rq;
	struct send s;

	if (send_decode(f, &s) != DROP_NONE)
		return; /* the worker decoded it before */
	memcpy(key.transfer, s.transfer, sizeof(key.transfer));
	key.leg = put16(s.leg);
	HASH_FIND(hh, ctl->requests.by_key, &key, sizeof(key), rq);
	if (rq != NULL) {
		request_again(rq, p, f->conn);
		return;
	}
	if (s.length > ctl->relay->slab.max_blob) {
		answer_without_request(ctl, p, f, &s, REFUSE_TOO_LARGE);
		return;
	}
	if (HASH_COUNT(ctl->requests.by_key) >= ctl->config->max_waiters &&
	    !TAILQ_EMPTY(&ctl->requests.served))
		request_free(TAILQ_FIRST(&ctl->requests.served));
	if (HASH_COUNT(ctl->requests.by_key) >= ctl->config->max_waiters ||
	    (rq = request_create(ctl, &key, p, f, &s)) == NULL) {
		answer_without_request(ctl, p, f, &s, REFUSE_NONE);
		return;
	}
	b = blob_find(ctl, &s);
	if (b != NULL) {
		ctl->stats.hits++;
		request_serve(rq, b);
		return;
	}
	ctl->counters.misses++;
	if (ctl->relay->central || ctl->peers.count == 0) {
		request_upload(rq);
		return;
	}
	request_status(rq, STATUS_WORKING, REFUSE_NONE, 0);
	ctl->counters.queries++;
	query_send(ctl, rq);
}
