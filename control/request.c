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
	const struct status s = {
		.transfer = rq->key.transfer,
		.leg = get16(rq->key.leg),
		.code = (uint8_t)code,
		.reason = (uint8_t)reason,
		.bytes = bytes,
	};

	outbox_status(rq->ctl, rq->worker, &rq->key.source, rq->field, rq->conn, &s);
}

void request_wait(struct request *rq)
{
	const struct status s = {
		.transfer = rq->key.transfer,
		.leg = get16(rq->key.leg),
		.code = STATUS_WAITING,
		.retry_after = BUSY_RETRY_MS,
	};

	outbox_status(rq->ctl, rq->worker, &rq->key.source, rq->field, rq->conn, &s);
	request_free(rq);
}

void request_busy(struct request *rq)
{
	const struct error e = {
		.code = ERROR_BUSY,
		.verb = VERB_SEND,
		.retry_after = BUSY_RETRY_MS,
	};

	outbox_error(rq->ctl, rq->worker, &rq->key.source, rq->field, rq->conn, &e);
	request_free(rq);
}

/* It counts against the limits of its source and domain while it waits. */
static void request_count(struct request *rq, bool waits)
{
	if (rq->waits == waits)
		return;
	rq->waits = waits;
	*tally_of(&rq->ctl->requests.hosts, &rq->key.source) += waits ? 1 : -1u;
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
		.key = rq->field,
		.source_conn = rq->conn,
		.sealed_key = rq->has_sealed_key ? rq->sealed_key : NULL,
		.send_size = rq->send_size,
	};
}

void control_offer(struct control *ctl, uint16_t worker, const struct offer_request *q,
		   const struct blob *b)
{
	const struct lease *lease =
		offer_lease(ctl->relay, q->key, q->target, control_seconds(ctl));
	struct rte_mbuf *m;
	bool is_inline;
	size_t len;

	if (lease == NULL &&
	    !offer_allowed(&ctl->relay->offer_budget, q->source, q->target, ctl->unix_us)) {
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

enum status_code status_serving(const struct control *ctl)
{
	return ctl->relay->central ? STATUS_SERVING_CENTRAL : STATUS_SERVING_PRIVATE;
}

static struct challenge_request request_claim(const struct request *rq)
{
	return (struct challenge_request){
		.source = &rq->key.source,
		.transfer = rq->key.transfer,
		.id = &rq->id,
		.leg = get16(rq->key.leg),
		.rule = rq->rule,
		.key = rq->field,
		.length = rq->length,
	};
}

static void status_challenge(struct request *rq, const struct challenge *challenge)
{
	const struct status s = {
		.transfer = rq->key.transfer,
		.challenge = challenge,
		.leg = get16(rq->key.leg),
		.code = STATUS_CHALLENGE,
	};

	outbox_status(rq->ctl, rq->worker, &rq->key.source, rq->field, rq->conn, &s);
}

void request_serve(struct request *rq, const struct blob *b)
{
	struct control *ctl = rq->ctl;
	struct offer_request q = request_offer(rq, control_seconds(ctl));
	struct challenge_request claim = request_claim(rq);
	struct challenge challenge;

	/* who waited for another's upload has shown nothing yet */
	if (ctl->relay->possession && !rq->uploaded && rq->length > 0) {
		challenge_mint(relay_keys(ctl->relay), &claim, &challenge);
		status_challenge(rq, &challenge);
		request_free(rq);
		return;
	}
	request_status(rq, status_serving(ctl), REFUSE_NONE, 0);
	control_offer(ctl, rq->worker, &q, b);
	if (rq->uploaded && relay_hides(ctl->relay, rq->length))
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
	query_end(rq);
	status_challenge(rq, challenge);
	request_keep(rq);
}

static void deadline_arm(struct request *rq)
{
	uint64_t now = control_seconds(rq->ctl);
	const struct timeval deadline = {.tv_sec =
						 rq->expiry > now ? (time_t)(rq->expiry - now) : 1};

	event_add(rq->timer, &deadline);
}

void request_upload(struct request *rq)
{
	query_end(rq);
	deadline_arm(rq);
	upload_join(rq);
}

void request_update(struct request *rq, const struct packet *p, const struct frame *f,
		    const struct send *s)
{
	rq->conn = f->conn;
	rq->field = f->key;
	rq->worker = p->worker;
	rq->heard = rq->ctl->now_us;
	rq->send_size = p->frame_len; /* no OFFER is larger than the SEND that caused it */
	rq->has_proof = s->proof != NULL;
	if (s->proof != NULL)
		rq->proof = *s->proof;
	/* each repeat renews it, so a transfer may last for as long as it moves */
	rq->expiry = control_seconds(rq->ctl) + s->deadline;
	if (rq->upload != NULL)
		deadline_arm(rq);
}

void request_move(struct request *rq, const struct request_key *key)
{
	bool waits = rq->waits;

	request_count(rq, false);
	HASH_DELETE(hh, rq->ctl->requests.by_key, rq);
	rq->key = *key;
	HASH_ADD(hh, rq->ctl->requests.by_key, key, sizeof(rq->key), rq);
	request_count(rq, waits);
}

bool request_is(const struct request *rq, const struct domain *d, const struct send *s)
{
	return rq->domain == d->id && rq->rule == s->rule && rq->length == s->length &&
	       ident_equal(&rq->id, s->id) && addr_equal(&rq->target, s->target);
}

void request_again(struct request *rq)
{
	struct control *ctl = rq->ctl;
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
	b = control_blob(ctl, rq->domain, &rq->id, rq->rule, rq->length);
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

struct request *request_create(struct control *ctl, const struct request_key *key,
			       const struct domain *d, const struct packet *p,
			       const struct frame *f, const struct send *s)
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
	rq->domain = d->id;
	rq->slot = d->slot;
	rq->id = *s->id;
	rq->target = *s->target;
	rq->length = s->length;
	rq->expiry = control_seconds(ctl) + s->deadline;
	rq->rule = s->rule;
	rq->meta_len = s->meta_len;
	if (s->meta_len > 0)
		memcpy(rq->meta, s->meta, s->meta_len);
	rq->has_sealed_key = s->sealed_key != NULL;
	if (s->sealed_key != NULL)
		memcpy(rq->sealed_key, s->sealed_key, sizeof(rq->sealed_key));
	request_update(rq, p, f, s);
	request_count(rq, true);
	HASH_ADD(hh, ctl->requests.by_key, key, sizeof(rq->key), rq);
	return rq;
}

const struct blob *control_blob(struct control *ctl, uint32_t domain, const struct ident *id,
				uint8_t rule, uint64_t length)
{
	struct index_key pad, key;
	uint32_t no;

	index_pad(ctl->relay->index, domain, rule, &pad);
	key = index_key_make(&pad, id);
	no = index_lookup(ctl->relay->index, &key);
	if (no == BLOB_NONE ||
	    !blob_match(slab_blob(&ctl->relay->slab, no), domain, id, rule, length))
		return NULL;
	return slab_blob(&ctl->relay->slab, no);
}
