/* SPDX-License-Identifier: BSD-3-Clause
 * Central answers a private relay's QUERY; on a hit it offers the blob to the
 * target itself.
 */
#include "control/control.h"

/* Decides the answer; on ANSWER_OFFER fills the ticket. */
static enum answer_code query_decide(struct control *ctl, const struct packet *p,
				     const struct query *q, struct ticket *ticket,
				     enum refuse_reason *reason)
{
	const struct offer_request oq = {
		.transfer = q->transfer,
		.target = q->target,
		.source = q->source,
		.home = &p->peer,
		.meta = q->meta,
		.meta_len = q->meta_len,
		.leg = q->leg,
		.key = q->domain,
		.deadline = q->deadline,
		.source_conn = q->source_conn,
		.send_size = q->send_size,
	};
	struct index_key key;
	const struct blob *b;
	uint32_t no;

	if ((ctl->relay->rules & (1u << q->rule)) == 0)
		return ANSWER_FAILED;
	index_key_make(ctl->relay->index, q->domain, q->rule, q->id, &key);
	no = index_lookup(ctl->relay->index, &key);
	b = no != BLOB_NONE ? slab_blob(&ctl->relay->slab, no) : NULL;
	if (b == NULL || !blob_match(b, q->id, q->rule, q->length)) {
		ctl->counters.misses++;
		return ANSWER_FAILED;
	}
	ctl->stats.hits++;
	ctl->counters.query_hits++;
	*reason = offer_refusal(ctl->relay, q->target);
	if (*reason != REFUSE_NONE)
		return ANSWER_REFUSED;
	if (q->leased &&
	    lease_lookup(ctl->relay->leases, q->target, control_seconds(ctl)) == NULL) {
		offer_ticket(ctl->relay, &oq, b, control_seconds(ctl), ticket);
		return ANSWER_OFFER;
	}
	control_offer(ctl, p->worker, &oq, b);
	return ANSWER_SERVING;
}

void handle_query(struct control *ctl, const struct packet *p, const struct frame *f)
{
	enum refuse_reason refusal = REFUSE_NONE;
	struct ticket ticket;
	struct rte_mbuf *m;
	struct peer *peer;
	struct answer a;
	struct query q;
	enum drop reason = query_decode(f, &q);

	if (reason != DROP_NONE) {
		control_drop(ctl, reason);
		return;
	}
	peer = peer_authenticate(ctl, f, q.nonce, q.time);
	if (peer == NULL)
		return;
	peer->addr = p->peer;
	ctl->counters.queries++;
	a = (struct answer){
		.code = (uint8_t)query_decide(ctl, p, &q, &ticket, &refusal),
		.nonce = peer->nonce++,
		.time = ctl->unix_us / 1000,
		.query_nonce = q.nonce,
		.transfer = q.transfer,
		.leg = q.leg,
	};
	a.reason = (uint8_t)refusal;
	if (a.code == ANSWER_OFFER)
		a.ticket = &ticket;
	m = outbox_alloc(ctl, p->worker, &p->peer);
	if (m != NULL)
		outbox_send(ctl, m,
			    answer_encode(egress_payload(m), WIRE_MAX_FRAME, peer->key, f->conn, &a,
					  peer->config->key));
}
