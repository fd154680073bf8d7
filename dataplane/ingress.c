/* SPDX-License-Identifier: BSD-3-Clause
 * A burst on its way in: packet headers and frames, tokens (admit.c), one bulk lookup
 * in the index, then the handlers.
 */
#include <rte_prefetch.h>

#include "dataplane/worker.h"

/* Does this end take such frames at all? */
static bool role_takes(const struct relay *r, const struct frame *f)
{
	switch (f->verb) {
	case VERB_HELLO:
	case VERB_DATA:
	case VERB_LISTEN:
	case VERB_STOP:
	case VERB_SEND:
	case VERB_PULL:
	case VERB_RECEIPT:
		return true;
	case VERB_QUERY:
		return r->central;
	case VERB_ANSWER:
		return !r->central;
	case VERB_NOTICE: /* goes to private, its acknowledgement to central */
		return r->central == ((f->flags & WIRE_ACK) != 0);
	default:
		return false;
	}
}

static enum drop unfinished_admit(struct worker *w, const struct packet *p)
{
	if (w->stats.unfinished_checksums == 0)
		w->unfinished = p->peer;
	/* control looks at the address after it has seen the count */
	__atomic_store_n(&w->stats.unfinished_checksums, w->stats.unfinished_checksums + 1,
			 __ATOMIC_RELEASE);
	return w->relay->unfinished_checksums ? DROP_NONE : DROP_UDP_CHECKSUM;
}

/* ---- checks that cost little and need no key, each for the whole burst: what one of them
 * wrote, or has sent for, is there when the next one reads it ---- */

typedef enum drop (*item_check)(struct worker *w, struct item *it);

/* Drops those that do not pass; how many are left. */
static inline uint16_t items_check(struct worker *w, struct item **items, uint16_t n,
				   item_check check)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		enum drop reason = check(w, items[i]);

		if (reason == DROP_NONE)
			items[kept++] = items[i];
		else
			worker_drop(w, items[i]->mbuf, reason);
	}
	return kept;
}

static inline enum drop headers_check(struct worker *w, struct item *it)
{
	enum drop reason = packet_parse(it->mbuf, &w->relay->self);

	if (reason == DROP_NONE && it->packet->unfinished)
		reason = unfinished_admit(w, it->packet);
	return reason;
}

static inline enum drop frame_check(struct worker *w, struct item *it)
{
	enum drop reason = frame_parse(rte_pktmbuf_mtod(it->mbuf, void *), it->packet->payload_len,
				       &it->frame);

	if (reason != DROP_NONE && reason != DROP_VERB && reason != DROP_EXT_CRITICAL)
		return reason;
	it->unknown = (uint8_t)reason;
	it->by_echo = false;
	it->hash = flow_hash(&w->relay->flows, &it->packet->peer, it->frame.verb, it->frame.conn);
	flow_prefetch(&w->relay->flows, it->hash);
	return DROP_NONE;
}

/* Is it worth the checks that cost? */
static inline enum drop stranger_check(struct worker *w, struct item *it)
{
	enum drop shed;

	it->flow = flow_at(&w->relay->flows, it->hash);
	shed = it->flow.known ? DROP_NONE : shed_admit(&w->shed, &it->packet->peer, w->now_us);
	if (shed != DROP_NONE)
		return shed;
	return it->unknown != DROP_NONE || role_takes(w->relay, &it->frame) ? DROP_NONE : DROP_ROLE;
}

/* What to look up for it, if anything: a SEND among its sender's domain's blobs,
 * a PULL among those of the domain that its ticket is of. */
static bool item_key(struct worker *w, struct item *it, struct index_key *key)
{
	if (it->frame.verb == VERB_PULL) {
		it->domain = keyring_domain(w->keyring, get32(it->pull.ticket->key) >> 8);
		if (it->domain != NULL)
			*key = index_key_make(&it->domain->pad[it->pull.rule], it->pull.id,
					      it->pull.first / PIECE_CHUNKS);
		return it->domain != NULL;
	}
	if (it->frame.verb != VERB_SEND || it->domain == NULL)
		return false;
	*key = index_key_make(&it->domain->pad[it->send.rule], it->send.id, 0);
	return true;
}

/* One bulk lookup for all SENDs and PULLs of the burst. */
static void burst_lookup(struct worker *w, struct item **items, uint16_t n)
{
	struct index_key keys[WORKER_BURST];
	struct item *wants[WORKER_BURST];
	uint32_t found[WORKER_BURST];
	unsigned int count = 0;
	uint64_t hits;

	_Static_assert(WORKER_BURST <= INDEX_BURST, "one lookup a burst");
	for (uint16_t i = 0; i < n; i++) {
		struct item *it = items[i];

		it->piece = PIECE_NONE;
		if (!item_key(w, it, &keys[count]))
			continue;
		wants[count++] = it;
	}
	if (count == 0)
		return;
	hits = index_lookup_bulk(w->relay->index, keys, count, found);
	for (unsigned int i = 0; i < count; i++) {
		if ((hits & (UINT64_C(1) << i)) == 0)
			continue;
		wants[i]->piece = found[i];
		rte_prefetch0(slab_piece(&w->relay->slab, found[i]));
	}
}

/* The frame in the item's buffer, or what was made of it, goes to control. */
static void item_to_control(struct worker *w, struct item *it, enum message_kind kind)
{
	struct message msg = {.kind = (uint8_t)kind, .mbuf = it->mbuf, .came_us = w->now_us};

	if (!message_put(w->to_control, &msg)) {
		w->stats.drops[DROP_CONTROL_BUSY]++;
		return;
	}
	it->mbuf = NULL;
	w->told_control = true;
}

static void frame_to_control(struct worker *w, struct item *it)
{
	it->packet->worker = w->id;
	*packet_frame(it->mbuf) = it->frame;
	item_to_control(w, it, MESSAGE_FRAME);
}

void item_ask_control(struct worker *w, struct item *it, const struct ask *a)
{
	uint64_t source = shed_source(&it->packet->peer);

	if (!budget_take(&w->relay->control_source, &source, sizeof(source), 1, w->now_us)) {
		w->stats.drops[DROP_RATE]++;
		reply_error(w, it,
			    &(struct error){.code = ERROR_BUSY, .retry_after = BUSY_RETRY_MS});
		return;
	}
	if (a == NULL) {
		frame_to_control(w, it);
		return;
	}
	ask_carry_send(it->mbuf, a, &it->send);
	item_to_control(w, it, MESSAGE_ASK);
}

static void handle_query(struct worker *w, struct item *it)
{
	struct query q;
	enum drop reason = query_decode(&it->frame, &q);

	if (reason != DROP_NONE) {
		w->stats.drops[reason]++;
		return;
	}
	ask_carry_query(it->mbuf, &q, &it->frame, w->id, worker_seconds(w));
	item_to_control(w, it, MESSAGE_ASK);
}

static void item_handle(struct worker *w, struct item *it)
{
	switch (it->frame.verb) {
	case VERB_HELLO:
		handle_hello(w, it);
		break;
	case VERB_SEND:
		handle_send(w, it);
		break;
	case VERB_DATA:
		handle_data(w, it);
		break;
	case VERB_RECEIPT:
		handle_receipt(w, it);
		break;
	case VERB_STOP:
		handle_stop_now(w, it);
		break;
	case VERB_LISTEN:
		item_ask_control(w, it, NULL);
		break;
	case VERB_QUERY:
		handle_query(w, it);
		break;
	default: /* ANSWER, NOTICE: item_admit() let nothing else pass */
		frame_to_control(w, it);
		break;
	}
}

void burst_process(struct worker *w, struct rte_mbuf **mbufs, uint16_t n)
{
	struct item *items[WORKER_BURST], *pulls[WORKER_BURST];
	uint16_t kept, pull_count = 0;

	for (uint16_t i = 0; i < n; i++) {
		rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void *));
		w->stats.rx_bytes += mbufs[i]->pkt_len;
		items[i] = &w->items[i];
		items[i]->mbuf = mbufs[i];
		items[i]->packet = packet_of(mbufs[i]);
	}
	kept = items_check(w, items, n, headers_check);
	kept = items_check(w, items, kept, frame_check);
	kept = items_check(w, items, kept, stranger_check);
	w->stats.rx_packets += n;
	stage_over(STAGE_parse);
	kept = burst_admit(w, items, kept);
	stage_over(STAGE_tokens);
	burst_lookup(w, items, kept);
	stage_over(STAGE_index);
	sends_prepare(w, items, kept);
	for (uint16_t i = 0; i < kept; i++)
		if (items[i]->frame.verb == VERB_PULL)
			pulls[pull_count++] = items[i];
		else
			item_handle(w, items[i]);
	burst_pulls(w, pulls, pull_count);
	for (uint16_t i = 0; i < kept; i++)
		rte_pktmbuf_free(items[i]->mbuf); /* NULL if handed on */
}
