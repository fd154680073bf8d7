/* SPDX-License-Identifier: BSD-3-Clause
 * The hit path: the PULLs of a burst. Each step is taken for all of them, so that what the
 * next one reads is on its way from memory meanwhile.
 */
#include <rte_prefetch.h>

#include "dataplane/worker.h"

/* A PULL whose chunks are here. They lie in one piece of the blob, or in two that follow. */
struct served {
	struct item *it;
	const struct piece *piece[2];
	struct nexthop nh;
	struct head head;
};

/* ---- are they here? ---- */

static void pull_refuse(struct worker *w, struct item *it, enum drop reason, enum error_code code)
{
	w->stats.drops[reason]++;
	reply_error(w, it,
		    &(struct error){
			    .code = (uint8_t)code,
			    .number = it->pull.number,
			    .stream = it->pull.stream,
		    });
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
static bool pull_find(struct worker *w, struct served *s)
{
	const struct item *it = s->it;
	const struct pull *p = &it->pull;
	const uint32_t number = p->first / PIECE_CHUNKS;
	struct index_key key;
	uint32_t no;

	s->piece[0] = pull_match(w, it, it->piece, number);
	if (s->piece[0] == NULL)
		return false;
	/* a piece counts as asked for when its first chunk is; the head when it is SENT */
	if (number > 0 && p->first % PIECE_CHUNKS == 0)
		cache_touch(w->touched, it->piece);
	if (pull_last_piece(p) == number)
		return true;
	key = index_key_make(&it->domain->pad[p->rule], p->id, number + 1);
	no = index_lookup(w->relay->index, &key);
	s->piece[1] = pull_match(w, it, no, number + 1);
	if (s->piece[1] == NULL)
		return false;
	cache_touch(w->touched, no);
	return true;
}

static bool pull_within_rate(struct worker *w, const struct item *it)
{
	const unsigned int n = (unsigned int)__builtin_popcount(it->pull.mask);

	return budget_take(&w->relay->data_target, it->packet->peer.ip, sizeof(it->packet->peer.ip),
			   (uint64_t)n * CHUNK_SIZE, w->now_us);
}

/* Echo, ticket, blob, in this order: nothing is told to who did not hear from us lately. */
static bool pull_admit(struct worker *w, struct served *s)
{
	struct item *it = s->it;

	if (it->echo != DROP_NONE) {
		pull_refuse(w, it, it->echo, ERROR_FRESH);
		return false;
	}
	if (it->ticket != DROP_NONE) {
		pull_refuse(w, it, it->ticket, ERROR_TICKET);
		return false;
	}
	if (!pull_find(w, s)) {
		item_ask_control(w, it, NULL); /* the store may have it */
		return false;
	}
	if (!pull_within_rate(w, it)) {
		w->stats.drops[DROP_RATE]++;
		return false;
	}
	return true;
}

/* ---- what they get ---- */

static const uint8_t *served_chunk(const struct worker *w, const struct served *s, uint32_t chunk,
				   const struct piece **piece)
{
	const uint32_t first = s->it->pull.first / PIECE_CHUNKS;

	*piece = s->piece[chunk / PIECE_CHUNKS - first];
	return piece_chunk(&w->relay->slab, *piece, chunk % PIECE_CHUNKS);
}

static void chunk_prefetch(const struct worker *w, const struct served *s, uint32_t chunk)
{
	const struct piece *piece;
	const uint8_t *from = served_chunk(w, s, chunk, &piece);
	const uint32_t len = chunk_length(piece->length, chunk);

	for (uint32_t at = 0; at < len; at += RTE_CACHE_LINE_SIZE)
		rte_prefetch0(from + at);
	rte_prefetch0(piece_sum(piece, chunk % PIECE_CHUNKS, from));
}

/* One DATA frame: the head is copied, and the chunk, whose sum is known. */
static void data_fill(const struct worker *w, struct rte_mbuf *m, const struct served *s,
		      uint32_t chunk)
{
	const struct head *h = &s->head;
	const struct piece *piece;
	const uint8_t *from = served_chunk(w, s, chunk, &piece);
	const uint32_t len = chunk_length(piece->length, chunk);
	uint8_t *to = rte_pktmbuf_mtod(m, uint8_t *);

	head_write(h, to, chunk, (uint16_t)len, *piece_sum(piece, chunk % PIECE_CHUNKS, from));
	memcpy(to + h->size, from, len);
	m->data_len = (uint16_t)(h->size + len);
	m->pkt_len = m->data_len;
}

static void data_head(const struct worker *w, struct served *s)
{
	const struct item *it = s->it;
	const struct pull *p = &it->pull;
	const struct rte_ether_addr from = port_mac(&w->relay->port);
	const struct data d = {
		.echo = echo_now(p->echo, worker_seconds(w)) ? p->echo : &it->minted,
		.stream = p->stream,
		.number = p->number,
	};

	head_make(&s->head, relay_self(w->relay, &it->packet->peer), &from, &it->packet->peer,
		  &s->nh.mac, it->frame.key, it->frame.conn, &d);
}

/* A single frame takes the PULL's own place, if it has the room; nothing of it is read
 * after that. */
static bool buffer_reuse(const struct served *s)
{
	struct rte_mbuf *m = s->it->mbuf;
	const uint32_t len = chunk_length(s->it->pull.length, s->it->pull.first);

	if (s->it->pull.mask != 1 || RTE_MBUF_HAS_EXTBUF(m) ||
	    m->buf_len < RTE_PKTMBUF_HEADROOM + HEAD_MAX + len)
		return false;
	m->data_off = RTE_PKTMBUF_HEADROOM;
	m->ol_flags = 0;
	return true;
}

static void data_send(struct worker *w, struct served *s)
{
	const struct pull p = s->it->pull;
	const unsigned int n = (unsigned int)__builtin_popcount(p.mask);
	struct rte_mbuf *m[PULL_MAX_CHUNKS];
	uint32_t mask = p.mask;

	head_sum(&s->head);
	if (buffer_reuse(s)) {
		m[0] = s->it->mbuf;
		s->it->mbuf = NULL;
	} else if (rte_pktmbuf_alloc_bulk(w->pool, m, n) != 0) {
		w->stats.drops[DROP_NO_BUFFER]++;
		return;
	}
	for (unsigned int i = 0; i < n; i++) {
		const uint32_t chunk = p.first + (uint32_t)__builtin_ctz(mask);

		mask &= mask - 1;
		if (mask != 0)
			chunk_prefetch(w, s, p.first + (uint32_t)__builtin_ctz(mask));
		data_fill(w, m[i], s, chunk);
		egress_headed(w, m[i], &s->nh, &s->it->packet->peer, s->head.payload);
	}
	w->stats.pulls++;
	w->stats.data_chunks += n;
}

void burst_pulls(struct worker *w, struct item **pulls, uint16_t n)
{
	struct served served[WORKER_BURST];
	const struct item *items[WORKER_BURST];
	struct nexthop nh[WORKER_BURST];
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct served *s = &served[kept];

		s->it = pulls[i];
		if (!pull_admit(w, s))
			continue;
		chunk_prefetch(w, s, pulls[i]->pull.first);
		items[kept++] = pulls[i];
	}
	if (kept == 0)
		return;
	egress_ways(w, items, kept, nh);
	stage_over(STAGE_index);
	for (uint16_t i = 0; i < kept; i++) {
		served[i].nh = nh[i];
		data_head(w, &served[i]);
	}
	for (uint16_t i = 0; i < kept; i++)
		data_send(w, &served[i]);
	stage_over(STAGE_build);
}
