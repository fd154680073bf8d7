/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include <sodium.h>

#include "control/core.h"
#include "control/net/pending.h"
#include "control/transfer/peer.h"
#include "control/transfer/query.h"

#define QUERY_RETRY_US 200000

void queries_init(struct control *ctl)
{
	TAILQ_INIT(&ctl->queries->news);
}

static struct inquiry *query_find(struct control *ctl, uint64_t conn)
{
	struct inquiry *iq;

	HASH_FIND(hh, ctl->queries->by_conn, &conn, sizeof(conn), iq);
	return iq;
}

/* Asks no more. */
static void query_end(struct inquiry *iq, enum query_news news)
{
	HASH_DELETE(hh, iq->ctl->queries->by_conn, iq);
	iq->conn = 0;
	event_del(iq->timer);
	iq->news = news;
	if (news != QUERY_QUIET)
		TAILQ_INSERT_TAIL(&iq->ctl->queries->news, iq, link);
}

/* ticket: NULL, or of what we hold ourselves; then p as in outbox_offer_held(). Its nonce. */
static uint64_t query_transmit(struct inquiry *iq, uint64_t conn, const struct ticket *ticket,
			       const struct partial *p)
{
	struct control *ctl = iq->ctl;
	struct peer *up = &ctl->peers->peer[0];
	const struct ask *a = iq->ask;
	const struct ask_extras extras = ask_extras_of(iq->cold);
	struct rte_mbuf *m = outbox_alloc(ctl, a->worker, &up->addr);
	uint64_t now = control_seconds(ctl);
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
		.proof = iq->cold->has_proof && ticket == NULL ? &iq->cold->proof : NULL,
		.sealed_key = extras.sealed_key,
		.leased = offer_lease(ctl->relay, a->field, &a->target, now) != NULL,
		.ticket = ticket,
		.attempt = p != NULL ? p->attempt : 0,
		.available = p != NULL ? p->available : 0,
		.deadline = ask_deadline(a, now),
		.send_size = a->send_size,
		.source_key = a->field,
		.length = a->length,
		.source_conn = a->conn,
	};

	if (m != NULL)
		outbox_send(ctl, m,
			    query_encode(egress_payload(m), WIRE_MAX_FRAME, peer_field(up), conn,
					 &q, peer_key(up)));
	return q.nonce;
}

bool query_can_hold(const struct inquiry *iq)
{
	const struct ask *a = iq->ask;

	return iq->target_leased &&
	       offer_lease(iq->ctl->relay, a->field, &a->target, control_seconds(iq->ctl)) == NULL;
}

void query_hold(struct inquiry *iq, const struct partial *p)
{
	struct ticket ticket;
	uint64_t conn;

	answer_ticket(iq->ctl->relay, iq->ask, control_seconds(iq->ctl), &ticket);
	randombytes_buf(&conn, sizeof(conn)); /* there is no ANSWER to it */
	query_transmit(iq, conn, &ticket, p);
}

static void upstream_judge(struct control *ctl, bool answers)
{
	char text[ADDR_TEXT_MAX];

	addr_text(&ctl->peers->peer[0].addr, text);
	if (answers)
		health_set(&ctl->upstream, ctl->now_us, false, "central relay %s answers", text);
	else
		health_set(&ctl->upstream, ctl->now_us, true,
			   "central relay %s does not answer: what is not here is uploaded; is it "
			   "up, and are its pair key and its clock right?",
			   text);
}

static void query_send(struct inquiry *iq)
{
	static const struct timeval retry = {.tv_usec = QUERY_RETRY_US};
	struct control *ctl = iq->ctl;
	const uint64_t limit = (uint64_t)ctl->config->upstream_timeout_ms * 1000;

	if (ctl->now_us - iq->started >= limit) {
		ctl->counters.query_timeouts++;
		upstream_judge(ctl, false);
		query_end(iq, QUERY_FAILED);
		return;
	}
	iq->last = query_transmit(iq, iq->conn, NULL, NULL);
	/* they may begin anew, when the clock was set */
	iq->first = RTE_MIN(iq->first, iq->last);
	event_add(iq->timer, &retry);
}

static void query_timer(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval retry = {.tv_usec = QUERY_RETRY_US};
	struct inquiry *iq = arg;

	(void)fd;
	(void)what;
	control_clock(iq->ctl);
	if (!pending_has(iq->ctl, &iq->ctl->peers->peer[0].addr)) {
		query_send(iq);
		return;
	}
	/* the question has not left yet: the time to answer it has not begun */
	iq->started = iq->ctl->now_us;
	event_add(iq->timer, &retry);
}

int query_init(struct inquiry *iq, struct control *ctl, const struct ask *ask,
	       const struct ask_cold *cold)
{
	*iq = (struct inquiry){.ctl = ctl, .ask = ask, .cold = cold};
	iq->timer = evtimer_new(ctl->base, query_timer, iq);
	return iq->timer != NULL ? 0 : -ENOMEM;
}

void query_fini(struct inquiry *iq)
{
	query_stop(iq);
	event_free(iq->timer);
}

void query_begin(struct inquiry *iq)
{
	struct control *ctl = iq->ctl;

	/* zero means "not asking"; a clash would only confuse two answers */
	do
		randombytes_buf(&iq->conn, sizeof(iq->conn));
	while (iq->conn == 0 || query_find(ctl, iq->conn) != NULL);
	HASH_ADD(hh, ctl->queries->by_conn, conn, sizeof(iq->conn), iq);
	iq->started = ctl->now_us;
	iq->first = ctl->peers->peer[0].nonce;
	query_send(iq);
}

void query_stop(struct inquiry *iq)
{
	if (iq->conn != 0)
		query_end(iq, QUERY_QUIET);
	if (iq->news != QUERY_QUIET)
		TAILQ_REMOVE(&iq->ctl->queries->news, iq, link);
	iq->news = QUERY_QUIET;
}

void handle_answer(struct control *ctl, const struct packet *p, const struct frame *f)
{
	struct ask_extras extras;
	struct inquiry *iq;
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
	iq = query_find(ctl, f->conn);
	if (iq == NULL || a.query_nonce < iq->first || a.query_nonce > iq->last ||
	    memcmp(a.transfer, iq->ask->key.transfer, TRANSFER_SIZE) != 0 ||
	    a.leg != get16(iq->ask->key.leg)) {
		control_drop(ctl, DROP_UNKNOWN_QUERY);
		return;
	}
	iq->target_leased = a.leased;
	switch (a.code) {
	case ANSWER_OFFER: /* central has it, but only we may push to this target */
		extras = ask_extras_of(iq->cold);
		outbox_offer_held(ctl, iq->ask, &extras, &ctl->peers->peer[0].addr, a.ticket, NULL);
		/* fall through */
	case ANSWER_SERVING:
		ctl->counters.query_hits++;
		query_end(iq, QUERY_SERVED);
		break;
	case ANSWER_CHALLENGE:
		iq->challenge = *a.challenge;
		query_end(iq, QUERY_CHALLENGED);
		break;
	default: /* query failed; or central may not send there, but we may */
		query_end(iq, QUERY_FAILED);
		break;
	}
}
