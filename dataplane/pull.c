/* SPDX-License-Identifier: BSD-3-Clause
 * The hit path: the PULLs of a burst. Each step is taken for all of them, so that what the
 * next one reads is on its way from memory meanwhile.
 */
#include <rte_prefetch.h>

#include "dataplane/worker.h"

#define CHAIN_LEAST 512 /* bytes of a chunk from which on a chain is cheaper than a copy */

/* A PULL whose chunks are here. They lie in one piece of the blob, or in two that follow. */
struct served {
	struct item *it;
	const struct piece *piece[2];
	struct nexthop nh;
	struct head head;
	bool chained; /* they leave from where they lie */
	/* of a blob that is still uploaded: */
	bool partial;
	bool later;	    /* it wants more than */
	uint32_t available; /* so many chunks, which are here */
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

/* Is it of those bytes that the PULL wants? */
static bool attempt_match(const struct piece *piece, const struct pull *p)
{
	return p->attempt == 0 || piece->attempt == p->attempt;
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
	return piece_match(piece, it->domain->id, p->id, p->rule, p->length, number) &&
			       attempt_match(piece, p)
		       ? piece
		       : NULL;
}

/* ---- of a blob that is still uploaded ---- */

/* Those of the PULL's chunks that are among the first `available`. */
static uint32_t mask_here(const struct pull *p, uint32_t available)
{
	const uint32_t n = available > p->first ? available - p->first : 0;

	return n < PULL_MAX_CHUNKS ? p->mask & ((UINT32_C(1) << n) - 1) : p->mask;
}

/* A piece of what the slot's source uploads, which must be the blob of the PULL's ticket; NULL:
 * it is not, or has left RAM. */
static const struct piece *partial_piece(const struct worker *w, const struct item *it,
					 const struct upload_slot *u, uint32_t number)
{
	const struct pull *p = &it->pull;
	const uint32_t no = upload_piece(u, number);
	const struct piece *piece;

	if (no == PIECE_NONE)
		return NULL;
	piece = slab_piece(&w->relay->slab, no);
	return piece_is(piece, it->domain->id, p->id, p->rule, p->length, number) ? piece : NULL;
}

/* What there is of the attempt that the PULL names, which its number leads to. Cuts the PULL's
 * mask to that; 0: nothing. False: it is not under way, or not in RAM. */
static bool partial_find(struct worker *w, struct served *s)
{
	struct item *it = s->it;
	struct pull *p = &it->pull;
	struct upload_slot *u = &w->relay->uploads[p->attempt & (UPLOAD_SLOTS - 1)];
	const uint32_t number = p->first / PIECE_CHUNKS, asked = p->mask;

	if (p->attempt == 0 || it->domain == NULL ||
	    atomic_load_explicit(&u->number, memory_order_acquire) != p->attempt)
		return false;
	/* acquire: what control counted is there, and so are its pieces */
	s->available = atomic_load_explicit(&u->available, memory_order_acquire);
	p->mask = mask_here(p, s->available);
	for (uint32_t i = 0; p->mask != 0 && number + i <= pull_last_piece(p); i++) {
		s->piece[i] = partial_piece(w, it, u, number + i);
		if (s->piece[i] == NULL) {
			p->mask = asked;
			return false;
		}
	}
	s->partial = true;
	s->later = p->mask != asked;
	return true;
}

/* ---- of one that is here ---- */

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

/* Of a blob on its way here nothing that is asked for need be here. */
static bool pull_wants(struct worker *w, struct served *s)
{
	if (s->it->pull.mask != 0)
		return true;
	reply_later(w, s->it, s->available);
	return false;
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
	s->partial = s->later = false;
	if (!partial_find(w, s) && !pull_find(w, s)) {
		item_ask_control(w, it, NULL); /* the store may have it */
		return false;
	}
	if (!pull_wants(w, s))
		return false;
	if (!pull_within_rate(w, it)) {
		w->stats.drops[DROP_RATE]++;
		return false;
	}
	return true;
}

/* ---- what they get ---- */

/* Where a chunk lies. */
struct place {
	const uint8_t *bytes;
	const uint16_t *sum;
	uint32_t behind; /* so many follow it at once, and so do their sums */
};

static struct place place_of(const struct worker *w, const struct served *s, uint32_t chunk)
{
	const uint32_t first = s->it->pull.first / PIECE_CHUNKS, in = chunk % PIECE_CHUNKS;
	const struct piece *piece = s->piece[chunk / PIECE_CHUNKS - first];
	struct place at = {.bytes = piece_chunk(&w->relay->slab, piece, in)};

	at.sum = piece_sum(piece, in, at.bytes);
	if (piece->size_class == CLASS_EXTENTS)
		at.behind = EXTENT_CHUNKS - 1 - in % EXTENT_CHUNKS;
	return at;
}

/* Of the next one that is asked for, whose number is `chunk`. */
static struct place place_next(const struct worker *w, const struct served *s, struct place at,
			       uint32_t before, uint32_t chunk)
{
	const uint32_t step = chunk - before;

	if (step > at.behind)
		return place_of(w, s, chunk);
	at.bytes += (size_t)step * CHUNK_SIZE;
	at.sum += step;
	at.behind -= step;
	return at;
}

/* What is read of it: its sum, and its bytes if they are to be copied. */
static void place_prefetch(const struct place *at, uint32_t copied)
{
	for (uint32_t i = 0; i < copied; i += RTE_CACHE_LINE_SIZE)
		rte_prefetch0(at->bytes + i);
	rte_prefetch0(at->sum);
}

/* An mbuf that holds a chunk by reference. It counts as in flight until it is freed. */
static void chunk_attach(struct worker *w, struct rte_mbuf *m, const uint8_t *bytes, uint16_t len)
{
	struct rte_mbuf_ext_shared_info *info = rte_mbuf_to_priv(m);
	void *read_only = (void *)(uintptr_t)bytes;

	info->free_cb = flight_lands;
	info->fcb_opaque = w->flight;
	rte_mbuf_ext_refcnt_set(info, 1);
	rte_pktmbuf_attach_extbuf(m, read_only, (rte_iova_t)(uintptr_t)bytes, len, info);
	m->data_len = len;
}

/* A DATA frame's head, in front of a chunk whose sum is known; which follows in `chain`, or
 * (NULL) is copied. */
static void data_fill(struct worker *w, struct rte_mbuf *m, struct rte_mbuf *chain,
		      const struct served *s, uint32_t chunk, const struct place *at)
{
	const uint16_t len = (uint16_t)chunk_length(s->it->pull.length, chunk);
	const struct head *h = &s->head;
	uint8_t *to;

	m->data_off = RTE_PKTMBUF_HEADROOM;
	m->ol_flags = 0;
	to = rte_pktmbuf_mtod(m, uint8_t *);

	head_write(h, to, chunk, len, *at->sum);
	m->pkt_len = (uint32_t)h->size + len;
	if (chain != NULL) {
		chunk_attach(w, chain, at->bytes, len);
		m->data_len = h->size;
		m->next = chain;
		m->nb_segs = 2;
	} else {
		memcpy(to + h->size, at->bytes, len);
		m->data_len = (uint16_t)m->pkt_len;
	}
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
		.partial = s->partial,
		.available = s->available,
	};

	head_make(&s->head, relay_self(w->relay, &it->packet->peer), &from, &it->packet->peer,
		  &s->nh.mac, it->frame.key, it->frame.conn, &d);
}

/* A single frame takes the PULL's own place, if it has the room; nothing of it is read
 * after that. */
static bool buffer_reuse(const struct served *s)
{
	const uint32_t len = s->chained ? 0 : chunk_length(s->it->pull.length, s->it->pull.first);

	return s->it->pull.mask == 1 && !s->later && buffer_takes(s->it->mbuf, HEAD_MAX + len);
}

/* The mbufs of n frames; where they are chained, of their chunks, too. */
static bool data_alloc(struct worker *w, struct served *s, struct rte_mbuf **m,
		       struct rte_mbuf **chain, unsigned int n)
{
	s->chained = s->chained && s->nh.state == NEXTHOP_READY &&
		     rte_mempool_get_bulk(w->chain_pool, (void **)chain, n) == 0;
	if (buffer_reuse(s)) {
		m[0] = s->it->mbuf;
		s->it->mbuf = NULL;
	} else if (rte_mempool_get_bulk(w->pool, (void **)m, n) != 0) {
		w->stats.drops[DROP_NO_BUFFER]++;
		if (s->chained)
			rte_pktmbuf_free_bulk(chain, n);
		return false;
	}
	if (s->chained)
		flight_sends(w->flight, n);
	return true;
}

static void data_send(struct worker *w, struct served *s)
{
	const struct pull p = s->it->pull;
	const unsigned int n = (unsigned int)__builtin_popcount(p.mask);
	struct rte_mbuf *m[PULL_MAX_CHUNKS], *chain[PULL_MAX_CHUNKS];
	struct place at = place_of(w, s, p.first), next = at;
	uint32_t chunk = p.first, mask = p.mask;

	head_sum(&s->head);
	if (!data_alloc(w, s, m, chain, n))
		return;
	for (unsigned int i = 0; i < n; i++) {
		const uint32_t now = chunk;

		at = next;
		mask &= mask - 1;
		if (mask != 0) {
			chunk = p.first + (uint32_t)__builtin_ctz(mask);
			next = place_next(w, s, at, now, chunk);
			place_prefetch(&next, s->chained ? 0 : CHUNK_SIZE);
		}
		data_fill(w, m[i], s->chained ? chain[i] : NULL, s, now, &at);
	}
	egress_headed(w, m, n, &s->nh, &s->it->packet->peer, s->head.payload);
	w->stats.pulls++;
	w->stats.data_chunks += n;
	w->stats.data_zero_copy += s->chained ? n : 0;
	w->stats.data_partial += s->partial ? n : 0;
	if (s->later)
		reply_later(w, s->it, s->available);
}

/* Of its chunks only a blob's last one is shorter than the first. What is not stored yet may go
 * without waiting for frames: it is copied. */
static bool chains_pay(const struct worker *w, const struct served *s)
{
	const struct pull *p = &s->it->pull;

	return w->flight != NULL && !s->partial && chunk_length(p->length, p->first) >= CHAIN_LEAST;
}

static void served_prefetch(const struct worker *w, struct served *s)
{
	const struct pull *p = &s->it->pull;
	const struct place first = place_of(w, s, p->first);

	s->chained = chains_pay(w, s);
	place_prefetch(&first, s->chained ? 0 : chunk_length(p->length, p->first));
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
		served_prefetch(w, s);
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
