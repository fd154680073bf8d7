/* SPDX-License-Identifier: BSD-3-Clause
 * Central answers a private relay's QUERY; on a hit it offers the blob to the
 * target itself.
 */
#include "control/control.h"

struct question {
	struct control *ctl;
	const struct packet *p;
	const struct frame *f;
	struct query q;
};

static possession_fn query_handle;

static struct offer_request question_offer(const struct question *qn)
{
	const struct query *q = &qn->q;

	return (struct offer_request){
		.transfer = q->transfer,
		.target = q->target,
		.source = q->source,
		.home = &qn->p->peer,
		.meta = q->meta,
		.meta_len = q->meta_len,
		.leg = q->leg,
		.key = q->source_key,
		.deadline = q->deadline,
		.source_conn = q->source_conn,
		.sealed_key = q->sealed_key,
		.send_size = q->send_size,
	};
}

static const struct blob *question_blob(const struct question *qn, const struct domain *d)
{
	const struct query *q = &qn->q;
	const struct relay *r = qn->ctl->relay;

	if (d == NULL || (r->rules & (1u << q->rule)) == 0 || relay_hides(r, q->length))
		return NULL;
	return control_blob(qn->ctl, d->id, q->id, q->rule, q->length);
}

/* Decides about the source's proof. ANSWER_SERVING: there is nothing (more) to
 * prove. 0: it is being verified, or there is no room for that now. */
static uint8_t question_possession(const struct question *qn, const struct blob *b,
				   enum possession outcome, struct challenge *challenge)
{
	struct control *ctl = qn->ctl;
	const struct query *q = &qn->q;
	const struct challenge_request claim = {
		.source = q->source,
		.transfer = q->transfer,
		.id = q->id,
		.leg = q->leg,
		.rule = q->rule,
		.key = q->source_key,
		.length = q->length,
	};

	if (!ctl->relay->possession || q->length == 0 || outcome == POSSESSION_PROVEN)
		return ANSWER_SERVING;
	if (outcome == POSSESSION_WRONG)
		return ANSWER_FAILED; /* it may upload what it claims to have */
	if (q->proof != NULL &&
	    challenge_check(relay_keys(ctl->relay), &q->proof->challenge, &claim)) {
		/* if that fails the private relay asks again */
		possession_verify(ctl, qn->p, qn->f, b, query_handle);
		return 0;
	}
	challenge_mint(relay_keys(ctl->relay), &claim, challenge);
	return ANSWER_CHALLENGE;
}

/* A hit: sends the OFFER, or makes the ticket for it. */
static enum answer_code question_serve(const struct question *qn, const struct domain *d,
				       const struct blob *b, struct ticket *ticket,
				       enum refuse_reason *reason)
{
	struct control *ctl = qn->ctl;
	const struct query *q = &qn->q;
	const struct offer_request oq = question_offer(qn);
	uint64_t now = control_seconds(ctl);

	ctl->stats.hits++;
	ctl->usage[d->slot].hits++;
	ctl->counters.query_hits++;
	*reason = offer_refusal(ctl->relay, d, q->target);
	if (*reason != REFUSE_NONE)
		return ANSWER_REFUSED;
	if (q->leased && offer_lease(ctl->relay, q->source_key, q->target, now) == NULL) {
		offer_ticket(ctl->relay, &oq, b, now, ticket);
		return ANSWER_OFFER;
	}
	control_offer(ctl, qn->p->worker, &oq, b);
	return ANSWER_SERVING;
}

static void answer_send(const struct question *qn, struct peer *peer, struct answer *a)
{
	struct rte_mbuf *m = outbox_alloc(qn->ctl, qn->p->worker, &qn->p->peer);

	a->nonce = peer->nonce++;
	a->time = qn->ctl->wall_us / 1000;
	a->query_nonce = qn->q.nonce;
	a->transfer = qn->q.transfer;
	a->leg = qn->q.leg;
	if (m != NULL)
		outbox_send(qn->ctl, m,
			    answer_encode(egress_payload(m), WIRE_MAX_FRAME, peer_field(peer),
					  qn->f->conn, a, peer_key(peer)));
}

/* `f` is authentic, and its nonce was fresh when it came. */
static void query_handle(struct control *ctl, const struct packet *p, const struct frame *f,
			 enum possession outcome)
{
	struct question qn = {.ctl = ctl, .p = p, .f = f};
	struct peer *peer = peer_find(ctl, f->key >> 8);
	enum refuse_reason refusal = REFUSE_NONE;
	struct challenge challenge;
	struct ticket ticket;
	struct answer a = {.code = ANSWER_FAILED};
	const struct domain *d;
	const struct blob *b;

	if (peer == NULL || query_decode(f, &qn.q) != DROP_NONE)
		return;
	ctl->counters.proofs += outcome == POSSESSION_PROVEN;
	ctl->counters.proof_failures += outcome == POSSESSION_WRONG;
	d = keyring_domain(relay_keyring(ctl->relay), qn.q.source_key >> 8);
	b = question_blob(&qn, d);
	if (b == NULL) {
		ctl->counters.misses++;
	} else {
		a.code = question_possession(&qn, b, outcome, &challenge);
		if (a.code == 0)
			return;
		if (a.code == ANSWER_CHALLENGE)
			a.challenge = &challenge;
		else if (a.code == ANSWER_SERVING)
			a.code = (uint8_t)question_serve(&qn, d, b, &ticket, &refusal);
	}
	a.reason = (uint8_t)refusal;
	if (a.code == ANSWER_OFFER)
		a.ticket = &ticket;
	answer_send(&qn, peer, &a);
}

void handle_query(struct control *ctl, const struct packet *p, const struct frame *f)
{
	struct peer *peer;
	struct query q;
	enum drop reason = query_decode(f, &q);

	if (reason != DROP_NONE) {
		control_drop(ctl, reason);
		return;
	}
	peer = peer_authenticate(ctl, f, q.nonce, q.time);
	if (peer == NULL)
		return;
	peer_heard(ctl, peer, &p->peer, f->key);
	ctl->counters.queries++;
	query_handle(ctl, p, f, POSSESSION_UNKNOWN);
}
