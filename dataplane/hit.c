/* SPDX-License-Identifier: BSD-3-Clause
 * The hit path: SENDs whose blob is here, and PULLs.
 */
#include "dataplane/worker.h"

static void offer_send(struct worker *w, const struct item *it, const struct ask *a,
		       const struct piece *b)
{
	const struct ask_extras extras = ask_extras_of_send(&it->send);
	const struct lease *lease;
	struct rte_mbuf *m;

	if (!offer_admit(w->relay, a, w->now_us, &lease, &w->stats))
		return;
	stage_over(STAGE_index);
	m = egress_alloc(w, &a->target);
	if (m == NULL)
		return;
	packet_of(m)->source = a->key.source;
	if (egress_sized(m, answer_offer(w->relay, a, &extras, b, lease, worker_seconds(w),
					 egress_payload(m), &w->stats)))
		egress_send(w, m);
}

/* Refusals that need no lookup. */
static enum refuse_reason send_refusal(const struct worker *w, const struct item *it)
{
	const struct relay *r = w->relay;

	if (it->domain == NULL)
		return REFUSE_MEMBERS_ONLY;
	if ((r->rules & (1u << it->send.rule)) == 0)
		return REFUSE_RULE;
	return offer_refusal(r, it->domain, it->send.target);
}

static bool send_within_rate(struct worker *w, struct item *it)
{
	const struct domain *d = it->domain;

	return bucket_take(&w->relay->domain[d->slot], &d->sends, 1, w->now_us);
}

/* The blob is here: does this source get it at once? */
static void send_hit(struct worker *w, struct item *it, const struct ask *a, const struct piece *b)
{
	const struct relay *r = w->relay;
	struct status serving = {.code = r->central ? STATUS_SERVING_CENTRAL
						    : STATUS_SERVING_PRIVATE};

	if (r->possession && a->length > 0) {
		if (it->send.proof != NULL)
			item_ask_control(w, it, a); /* to be verified beside the hit path */
		else
			reply_challenge(w, it, a);
		return;
	}
	cache_touch(w->touched, it->piece);
	w->stats.hits++;
	w->domain[it->domain->slot].hits++;
	reply_status(w, it, a, &serving);
	offer_send(w, it, a, b);
}

void handle_send(struct worker *w, struct item *it)
{
	const struct relay *r = w->relay;
	struct domain_stats *ds = it->domain != NULL ? &w->domain[it->domain->slot] : NULL;
	const enum refuse_reason refusal = send_refusal(w, it);
	const struct piece *b;
	struct ask a;

	ask_of_send(&a, &it->send, it->packet, &it->frame, relay_self(r, &it->packet->peer), w->id,
		    worker_seconds(w));
	if (ds != NULL)
		ds->requests++;
	if (refusal != REFUSE_NONE) {
		if (ds != NULL)
			ds->refused++;
		reply_status(w, it, &a,
			     &(struct status){.code = STATUS_REFUSED, .reason = (uint8_t)refusal});
		return;
	}
	if (!send_within_rate(w, it)) {
		ds->refused++;
		w->stats.drops[DROP_RATE]++;
		reply_error(w, it,
			    &(struct error){.code = ERROR_BUSY, .retry_after = BUSY_RETRY_MS});
		return;
	}
	b = it->piece != PIECE_NONE ? slab_piece(&r->slab, it->piece) : NULL;
	if (b == NULL || !piece_match(b, it->domain->id, &a.id, a.rule, a.length, 0) ||
	    relay_hides(r, a.length))
		item_ask_control(w, it, &a);
	else
		send_hit(w, it, &a, b);
}

/* One DATA frame: the head is written, the chunk copied, its sum known. */
static void data_fill(const struct worker *w, struct rte_mbuf *m, const struct item *it,
		      const struct piece *p, uint32_t chunk, const struct echo *echo)
{
	const uint32_t len = chunk_length(p->length, chunk), i = chunk % PIECE_CHUNKS;
	const uint8_t *from = piece_chunk(&w->relay->slab, p, i);
	uint8_t *to = egress_payload(m);
	struct packet *packet = packet_of(m);
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
	sum = (uint32_t)bytes_sum(to, DATA_HEAD) + *piece_sum(p, i, from);
	packet_init(m, &it->packet->peer);
	packet->sum = (uint16_t)((sum & 0xffff) + (sum >> 16));
	packet->has_sum = true;
	m->data_len = (uint16_t)(DATA_HEAD + len);
	m->pkt_len = m->data_len;
}

/* What a PULL asks for: its chunks lie in one piece, or in two that follow. */
struct pulled {
	const struct piece *piece[2];
};

static void data_send(struct worker *w, const struct item *it, const struct pulled *from)
{
	const struct pull *p = &it->pull;
	unsigned int n = (unsigned int)__builtin_popcount(p->mask);
	struct rte_mbuf *m[PULL_MAX_CHUNKS];
	struct echo echo;
	uint32_t mask = p->mask;

	if (!budget_take(&w->relay->data_target, it->packet->peer.ip, sizeof(it->packet->peer.ip),
			 (uint64_t)n * CHUNK_SIZE, w->now_us)) {
		w->stats.drops[DROP_RATE]++;
		return;
	}
	if (rte_pktmbuf_alloc_bulk(w->pool, m, n) != 0) {
		w->stats.drops[DROP_NO_BUFFER]++;
		return;
	}
	stage_over(STAGE_build);
	echo_mint(w->keys, &it->packet->peer, it->frame.conn, worker_seconds(w), &echo);
	stage_over(STAGE_tokens);
	for (unsigned int i = 0; i < n; i++) {
		uint32_t chunk = p->first + (uint32_t)__builtin_ctz(mask);

		mask &= mask - 1;
		data_fill(w, m[i], it, from->piece[chunk / PIECE_CHUNKS - p->first / PIECE_CHUNKS],
			  chunk, &echo);
		egress_reply(w, m[i], it);
	}
	w->stats.pulls++;
	w->stats.data_chunks += n;
}

/* NULL: it is not the one that the PULL wants. */
static const struct piece *pull_match(const struct worker *w, const struct item *it, uint32_t no,
				      uint32_t number)
{
	const struct pull *p = &it->pull;
	const struct piece *piece;

	if (no == PIECE_NONE)
		return NULL;
	piece = slab_piece(&w->relay->slab, no);
	return piece_match(piece, it->domain->id, p->id, p->rule, p->length, number) ? piece : NULL;
}

/* False: not all of it is here. */
static bool pull_find(struct worker *w, const struct item *it, struct pulled *out)
{
	const struct pull *p = &it->pull;
	const uint32_t number = p->first / PIECE_CHUNKS;
	struct index_key key;
	uint32_t no;

	out->piece[0] = pull_match(w, it, it->piece, number);
	if (out->piece[0] == NULL)
		return false;
	/* a piece counts as asked for when its first chunk is; the head when it is SENT */
	if (number > 0 && p->first % PIECE_CHUNKS == 0)
		cache_touch(w->touched, it->piece);
	if (pull_last_piece(p) == number)
		return true;
	key = index_key_make(&it->domain->pad[p->rule], p->id, number + 1);
	no = index_lookup(w->relay->index, &key);
	out->piece[1] = pull_match(w, it, no, number + 1);
	if (out->piece[1] == NULL)
		return false;
	cache_touch(w->touched, no);
	return true;
}

void handle_pull(struct worker *w, struct item *it)
{
	const struct pull *p = &it->pull;
	struct pulled from;
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
	stage_over(STAGE_tokens);
	if (reason == DROP_NONE && !pull_find(w, it, &from)) {
		item_ask_control(w, it, NULL); /* the store may have it */
		return;
	}
	if (reason != DROP_NONE) {
		w->stats.drops[reason]++;
		reply_error(w, it,
			    &(struct error){
				    .code = (uint8_t)code,
				    .number = p->number,
				    .stream = p->stream,
			    });
		return;
	}
	stage_over(STAGE_index);
	data_send(w, it, &from);
	stage_over(STAGE_build);
}
