/* SPDX-License-Identifier: BSD-3-Clause
 * A private relay asks central: QUERY, repeated until ANSWER or time-out.
 */
#include <sodium.h>

#include "control/control.h"

#define QUERY_RETRY_US 200000

static void query_begin(struct control *ctl, struct request *rq)
{
	/* zero means "not asking"; a clash would only confuse two answers */
	do
		randombytes_buf(&rq->query_conn, sizeof(rq->query_conn));
	while (rq->query_conn == 0 || request_by_query(ctl, rq->query_conn) != NULL);
	HASH_ADD(hh_query, ctl->requests.by_query, query_conn, sizeof(rq->query_conn), rq);
	rq->query_started = ctl->now_us;
	rq->query_first = ctl->peers.peer[0].nonce;
}

static void query_transmit(struct control *ctl, struct request *rq)
{
	struct peer *up = &ctl->peers.peer[0];
	struct rte_mbuf *m = outbox_alloc(ctl, rq->ask.worker, &up->addr);
	uint64_t now = control_seconds(ctl);
	const struct ask *a = &rq->ask;
	const struct ask_extras extras = ask_extras_of(&rq->cold);
	struct query q = {
		.nonce = up->nonce++,
		.time = ctl->wall_us / 1000,
		.transfer = a->key.transfer,
		.id = &a->id,
		.target = &a->target,
		.source = &a->key.source,
		.meta = extras.meta,
		.meta_len = extras.meta_len,
		.leg = get16(a->key.leg),
		.rule = a->rule,
		.proof = rq->cold.has_proof ? &rq->cold.proof : NULL,
		.sealed_key = extras.sealed_key,
		.leased = offer_lease(ctl->relay, a->field, &a->target, now) != NULL,
		.deadline = ask_deadline(a, now),
		.send_size = a->send_size,
		.source_key = a->field,
		.length = a->length,
		.source_conn = a->conn,
	};

	/* they may begin anew, when the clock was set */
	rq->query_first = RTE_MIN(rq->query_first, q.nonce);
	rq->query_last = q.nonce;
	if (m != NULL)
		outbox_send(ctl, m,
			    query_encode(egress_payload(m), WIRE_MAX_FRAME, peer_field(up),
					 rq->query_conn, &q, peer_key(up)));
}

static void upstream_judge(struct control *ctl, bool answers)
{
	char text[ADDR_TEXT_MAX];

	addr_text(&ctl->peers.peer[0].addr, text);
	if (answers)
		health_set(&ctl->upstream, ctl->now_us, false, "central relay %s answers", text);
	else
		health_set(&ctl->upstream, ctl->now_us, true,
			   "central relay %s does not answer: what is not here is uploaded; is it "
			   "up, and are its pair key and its clock right?",
			   text);
}

void query_send(struct control *ctl, struct request *rq)
{
	const struct timeval retry = {.tv_usec = QUERY_RETRY_US};
	uint64_t limit = (uint64_t)ctl->config->upstream_timeout_ms * 1000;

	if (rq->query_conn == 0) {
		query_begin(ctl, rq);
	} else if (pending_has(ctl, &ctl->peers.peer[0].addr)) {
		/* the question has not left yet: the time to answer it has not begun */
		rq->query_started = ctl->now_us;
		event_add(rq->timer, &retry);
		return;
	}
	if (ctl->now_us - rq->query_started >= limit) {
		ctl->counters.query_timeouts++;
		upstream_judge(ctl, false);
		request_upload(rq);
		return;
	}
	query_transmit(ctl, rq);
	event_add(rq->timer, &retry);
}

/* Central has it, but only we may push to this target: our OFFER, its ticket. */
static void offer_for_central(struct control *ctl, struct request *rq, const struct ticket *ticket)
{
	uint64_t now = control_seconds(ctl);
	const struct ask *a = &rq->ask;
	const struct ask_extras extras = ask_extras_of(&rq->cold);
	const struct lease *lease = offer_lease(ctl->relay, a->field, &a->target, now);
	struct offer o = {
		.transfer = a->key.transfer,
		.id = &a->id,
		.ticket = ticket,
		.holder = &ctl->peers.peer[0].addr,
		.meta = extras.meta,
		.sealed_key = extras.sealed_key,
		.meta_len = extras.meta_len,
		.leg = get16(a->key.leg),
		.rule = a->rule,
		.deadline = ask_deadline(a, now),
		.length = a->length,
	};
	struct rte_mbuf *m;

	if (lease == NULL)
		return; /* expired meanwhile: the source's next SEND finds another way */
	m = outbox_alloc(ctl, a->worker, &a->target);
	if (m == NULL)
		return;
	ctl->stats.offers++;
	/* as large as the SEND, so that the HELLOs it causes stay below it */
	outbox_send(ctl, m,
		    offer_encode(egress_payload(m), WIRE_MAX_FRAME, lease->key, lease->conn, &o,
				 SEND_MIN));
}

void handle_answer(struct control *ctl, const struct packet *p, const struct frame *f)
{
	struct request *rq;
	struct answer a;
	enum drop reason = answer_decode(f, &a);

	(void)p;
	if (reason != DROP_NONE) {
		control_drop(ctl, reason);
		return;
	}
	if (peer_authenticate(ctl, f->key, a.nonce, a.time) == NULL)
		return;
	if (ctl->upstream.bad)
		upstream_judge(ctl, true);
	rq = request_by_query(ctl, f->conn);
	if (rq == NULL || a.query_nonce < rq->query_first || a.query_nonce > rq->query_last ||
	    memcmp(a.transfer, rq->ask.key.transfer, TRANSFER_SIZE) != 0 ||
	    a.leg != get16(rq->ask.key.leg)) {
		control_drop(ctl, DROP_UNKNOWN_QUERY);
		return;
	}
	switch (a.code) {
	case ANSWER_OFFER:
		offer_for_central(ctl, rq, a.ticket);
		/* fall through */
	case ANSWER_SERVING:
		ctl->counters.query_hits++;
		request_served(rq);
		break;
	case ANSWER_CHALLENGE:
		request_challenged(rq, a.challenge);
		break;
	default: /* query failed; or central may not send there, but we may */
		request_upload(rq);
		break;
	}
}
