/* SPDX-License-Identifier: BSD-3-Clause
 * The hit path: SENDs whose blob is here, and PULLs.
 */
#include "dataplane/worker.h"

static void offer_send(struct worker *w, const struct item *it, const struct blob *b)
{
	const struct send *s = &it->send;
	const struct relay *r = w->relay;
	const struct offer_request q = {
		.transfer = s->transfer,
		.target = s->target,
		.source = &it->packet->peer,
		.home = &r->self,
		.meta = s->meta,
		.meta_len = s->meta_len,
		.leg = s->leg,
		.key = it->frame.key,
		.deadline = s->deadline,
		.source_conn = it->frame.conn,
		.send_size = it->packet->frame_len,
	};
	const struct lease *lease = lease_lookup(r->leases, s->target, worker_seconds(w));
	struct rte_mbuf *m;
	bool is_inline;
	size_t len;

	if (lease == NULL &&
	    !offer_allowed(&w->offer_budget, &it->packet->peer, s->target, w->now_us)) {
		w->stats.drops[DROP_OFFER_BUDGET]++;
		return;
	}
	m = egress_alloc(w, s->target);
	if (m == NULL)
		return;
	len = offer_build(r, &q, b, lease, worker_seconds(w), egress_payload(m), &is_inline);
	if (!egress_sized(m, len)) { /* larger than its SEND */
		w->stats.drops[DROP_OFFER_BUDGET]++;
		return;
	}
	w->stats.offers++;
	w->stats.inline_offers += is_inline;
	egress_send(w, m);
}

void handle_send(struct worker *w, struct item *it)
{
	const struct relay *r = w->relay;
	const struct send *s = &it->send;
	struct status status = {.transfer = s->transfer, .leg = s->leg};
	const struct blob *b;

	status.reason = (uint8_t)offer_refusal(r, s->target);
	if ((r->rules & (1u << s->rule)) == 0)
		status.reason = REFUSE_RULE;
	if (status.reason != REFUSE_NONE) {
		status.code = STATUS_REFUSED;
		reply_status(w, &it->packet->peer, it->frame.key, it->frame.conn, &status);
		return;
	}
	if (it->blob == BLOB_NONE) {
		item_to_control(w, it);
		return;
	}
	b = slab_blob(&r->slab, it->blob);
	if (!blob_match(b, s->id, s->rule, s->length)) {
		item_to_control(w, it);
		return;
	}
	w->stats.hits++;
	status.code = r->central ? STATUS_SERVING_CENTRAL : STATUS_SERVING_PRIVATE;
	reply_status(w, &it->packet->peer, it->frame.key, it->frame.conn, &status);
	offer_send(w, it, b);
}

/* One DATA frame: the head is written, the chunk copied, its sum known. */
static void data_fill(const struct worker *w, struct rte_mbuf *m, const struct item *it,
		      const struct blob *b, uint32_t chunk, const struct echo *echo)
{
	uint32_t len = chunk_length(b->length, chunk);
	const uint8_t *from = blob_chunk(&w->relay->slab, b, chunk);
	uint8_t *to = egress_payload(m);
	struct packet *p = packet_of(m);
	struct data d = {
		.echo = echo,
		.stream = it->pull.stream,
		.number = it->pull.number,
		.first = chunk,
		.len = (uint16_t)len,
	};
	uint32_t sum;

	data_encode(to, WIRE_MAX_FRAME, it->frame.key, it->frame.conn, &d);
	memcpy(to + DATA_HEAD, from, len);
	sum = (uint32_t)bytes_sum(to, DATA_HEAD) + *blob_sum(&w->relay->slab, b, chunk, from);
	p->peer = it->packet->peer;
	p->sum = (uint16_t)((sum & 0xffff) + (sum >> 16));
	p->has_sum = true;
	m->data_len = (uint16_t)(DATA_HEAD + len);
	m->pkt_len = m->data_len;
}

static void data_send(struct worker *w, const struct item *it, const struct blob *b)
{
	const struct pull *p = &it->pull;
	unsigned int n = (unsigned int)__builtin_popcount(p->mask);
	struct rte_mbuf *m[PULL_MAX_CHUNKS];
	struct echo echo;
	uint32_t mask = p->mask;

	if (!budget_take(&w->data_target, it->packet->peer.ip, sizeof(it->packet->peer.ip),
			 (uint64_t)n * CHUNK_SIZE, w->now_us)) {
		w->stats.drops[DROP_RATE]++;
		return;
	}
	if (rte_pktmbuf_alloc_bulk(w->pool, m, n) != 0) {
		w->stats.drops[DROP_NO_BUFFER]++;
		return;
	}
	echo_mint(w->keys, &it->packet->peer, it->frame.conn, worker_seconds(w), &echo);
	for (unsigned int i = 0; i < n; i++) {
		uint32_t chunk = p->first + (uint32_t)__builtin_ctz(mask);

		mask &= mask - 1;
		data_fill(w, m[i], it, b, chunk, &echo);
		egress_send(w, m[i]);
	}
	w->stats.pulls++;
	w->stats.data_chunks += n;
}

void handle_pull(struct worker *w, struct item *it)
{
	const struct pull *p = &it->pull;
	enum drop reason;
	enum error_code code;

	if (p->upload) {
		w->stats.drops[DROP_ROLE]++;
		return;
	}
	reason = echo_check(w->keys, p->echo, &it->packet->peer, it->frame.conn, worker_seconds(w));
	code = ERROR_FRESH;
	if (reason == DROP_NONE) {
		reason = ticket_check(w->keys, p->ticket, p->id, p->rule, p->length,
				      worker_seconds(w));
		code = ERROR_TICKET;
	}
	if (reason == DROP_NONE &&
	    (it->blob == BLOB_NONE ||
	     !blob_match(slab_blob(&w->relay->slab, it->blob), p->id, p->rule, p->length))) {
		reason = DROP_UNKNOWN_BLOB;
		code = ERROR_GONE;
	}
	if (reason != DROP_NONE) {
		w->stats.drops[reason]++;
		reply_error(w, it, code, p->number, p->stream);
		return;
	}
	data_send(w, it, slab_blob(&w->relay->slab, it->blob));
}
