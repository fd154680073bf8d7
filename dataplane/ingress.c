/* SPDX-License-Identifier: BSD-3-Clause
 * A burst on its way in: packet headers, frame, tokens, one bulk lookup in the
 * index, then the handlers.
 */
#include <rte_prefetch.h>

#include "dataplane/worker.h"

/* Every verb that a client sends after HELLO starts its body with the cookie,
 * which is how even an unknown verb can prove that its sender may be answered. */
_Static_assert(offsetof(struct wire_listen, cookie) == 0 &&
		       offsetof(struct wire_stop, cookie) == 0 &&
		       offsetof(struct wire_send, cookie) == 0 &&
		       offsetof(struct wire_pull, cookie) == 0 &&
		       offsetof(struct wire_receipt, cookie) == 0,
	       "cookie first");

/* Who is it? Its cookie proves its address, a member's trailer its domain. */
static enum drop sender_admit(struct worker *w, struct item *it, const uint8_t *body)
{
	const struct addr *peer = &it->packet->peer;
	uint32_t key = it->frame.key;
	const struct domain_keys *keys;
	enum drop reason;

	it->member = false;
	it->domain = keyring_find(w->keyring, key, &keys);
	reason = cookie_check(w->keys, (const struct cookie *)body, peer, it->frame.conn, key);
	if (reason != DROP_NONE && reason != DROP_COOKIE_STALE)
		return reason;
	if (key == 0)
		return reason;
	if (it->domain == NULL) {
		reply_error(w, it, &(struct error){.code = ERROR_KEY});
		return DROP_KEY_UNKNOWN;
	}
	session_derive(keys, it->frame.conn, peer, &it->session);
	it->member = true;
	return frame_signed(&it->frame, &it->session) ? reason : DROP_AUTH;
}

/* Relay to relay: the pair's key. Nothing else of the frame is looked at before. */
static enum drop pair_admit(const struct worker *w, const struct frame *f)
{
	const struct pair *p = keyring_pair(w->keyring, f->key);

	if (p == NULL)
		return DROP_KEY_UNKNOWN;
	if (f->trailer == NULL ||
	    !trailer_check(p->key, f->start, f->len - TRAILER_SIZE, f->trailer))
		return DROP_AUTH;
	return DROP_NONE;
}

static enum drop listen_admit(struct worker *w, struct item *it)
{
	if (it->domain != NULL)
		return DROP_NONE;
	reply_error(w, it, &(struct error){.code = ERROR_KEY});
	return DROP_KEY_UNKNOWN;
}

/* Without the kernel's routes, where it came from is the way back. */
static void sender_learn(struct worker *w, const struct item *it)
{
	if (w->relay->port.ifindex == 0)
		mac_learn(&w->relay->macs, &it->packet->peer, &it->packet->mac);
}

static void sender_proven(struct worker *w, const struct item *it)
{
	w->stats.flow_evictions += flow_mark(&it->flow);
	sender_learn(w, it);
}

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

/* Checks that cost little and need no lookup; decodes SEND and PULL. */
static enum drop item_admit(struct worker *w, struct item *it)
{
	enum drop reason;

	if (!role_takes(w->relay, &it->frame))
		return DROP_ROLE;
	switch (it->frame.verb) {
	case VERB_HELLO:
	case VERB_DATA:
		return DROP_NONE;
	case VERB_QUERY:
	case VERB_ANSWER:
	case VERB_NOTICE:
		reason = pair_admit(w, &it->frame);
		if (reason == DROP_NONE)
			sender_learn(w, it);
		return reason;
	default:
		stage_over(STAGE_parse);
		reason = sender_admit(w, it, it->frame.body);
		stage_over(STAGE_tokens);
		if (reason == DROP_NONE)
			sender_proven(w, it);
		else
			flow_forget(&it->flow);
		break;
	}
	if (reason == DROP_COOKIE_STALE)
		reply_error(w, it, &(struct error){.code = ERROR_STALE});
	if (reason != DROP_NONE)
		return reason;
	if (it->frame.verb == VERB_SEND)
		return send_decode(&it->frame, &it->send);
	if (it->frame.verb == VERB_PULL)
		return pull_decode(&it->frame, &it->pull);
	if (it->frame.verb == VERB_LISTEN)
		return listen_admit(w, it);
	return DROP_NONE;
}

/* An unknown verb or critical extension is answered to a valid cookie only. */
static void answer_unknown(struct worker *w, struct item *it)
{
	const size_t least = sizeof(struct wire_header) + sizeof(struct cookie);

	if (it->frame.len >= least + (it->frame.trailer != NULL ? TRAILER_SIZE : 0) &&
	    sender_admit(w, it, it->frame.start + sizeof(struct wire_header)) == DROP_NONE)
		reply_error(w, it, &(struct error){.code = ERROR_UNSUPPORTED});
}

/* Is it worth the checks that cost? */
static enum drop stranger_admit(struct worker *w, struct item *it)
{
	const struct addr *peer = &it->packet->peer;

	it->flow = flow_find(&w->relay->flows, peer, it->frame.verb, it->frame.conn);
	return it->flow.known ? DROP_NONE : shed_admit(&w->shed, peer, w->now_us);
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

static enum drop item_parse(struct worker *w, struct item *it)
{
	enum drop shed, reason = packet_parse(it->mbuf, &w->relay->self);

	if (reason == DROP_NONE && it->packet->unfinished)
		reason = unfinished_admit(w, it->packet);
	if (reason != DROP_NONE)
		return reason;
	reason = frame_parse(rte_pktmbuf_mtod(it->mbuf, void *), it->packet->payload_len,
			     &it->frame);
	if (reason != DROP_NONE && reason != DROP_VERB && reason != DROP_EXT_CRITICAL)
		return reason;
	shed = stranger_admit(w, it);
	if (shed != DROP_NONE)
		return shed;
	if (reason == DROP_NONE)
		return item_admit(w, it);
	answer_unknown(w, it);
	return reason;
}

/* What to look up for it, if anything: a SEND among its sender's domain's blobs,
 * a PULL among those of the domain that its ticket is of. */
static bool item_key(struct worker *w, struct item *it, struct index_key *key)
{
	if (it->frame.verb == VERB_PULL && !it->pull.upload) {
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
static void burst_lookup(struct worker *w, struct item *items, uint16_t n)
{
	struct index_key keys[WORKER_BURST];
	struct item *wants[WORKER_BURST];
	uint32_t found[WORKER_BURST];
	unsigned int count = 0;
	uint64_t hits;

	_Static_assert(WORKER_BURST <= INDEX_BURST, "one lookup a burst");
	for (uint16_t i = 0; i < n; i++) {
		struct item *it = &items[i];

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
	case VERB_PULL:
		handle_pull(w, it);
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
	struct item items[WORKER_BURST];
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct item *it = &items[kept];
		enum drop reason;

		if (i + 1 < n)
			rte_prefetch0(rte_pktmbuf_mtod(mbufs[i + 1], void *));
		w->stats.rx_bytes += mbufs[i]->pkt_len;
		it->mbuf = mbufs[i];
		it->packet = packet_of(mbufs[i]);
		reason = item_parse(w, it);
		if (reason != DROP_NONE)
			worker_drop(w, mbufs[i], reason);
		else
			kept++;
	}
	w->stats.rx_packets += n;
	stage_over(STAGE_parse);
	burst_lookup(w, items, kept);
	stage_over(STAGE_index);
	for (uint16_t i = 0; i < kept; i++) {
		item_handle(w, &items[i]);
		rte_pktmbuf_free(items[i].mbuf); /* NULL if handed on */
	}
}
