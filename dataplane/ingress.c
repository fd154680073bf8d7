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

static enum drop cookie_admit(struct worker *w, const struct item *it, const uint8_t *body)
{
	if (it->frame.key != 0)
		return DROP_KEY_UNKNOWN;
	return cookie_check(w->keys, (const struct cookie *)body, &it->packet->peer, it->frame.conn,
			    it->frame.key);
}

/* Checks that cost little and need no lookup; decodes SEND and PULL. */
static enum drop item_admit(struct worker *w, struct item *it)
{
	enum drop reason;

	switch (it->frame.verb) {
	case VERB_HELLO:
	case VERB_DATA:
		return DROP_NONE;
	case VERB_QUERY:
		return w->relay->central ? DROP_NONE : DROP_ROLE;
	case VERB_ANSWER:
		return w->relay->central ? DROP_ROLE : DROP_NONE;
	case VERB_NOTICE: /* goes to private, its acknowledgement to central */
		return w->relay->central == ((it->frame.flags & WIRE_ACK) != 0) ? DROP_NONE
										: DROP_ROLE;
	case VERB_LISTEN:
	case VERB_STOP:
	case VERB_SEND:
	case VERB_PULL:
	case VERB_RECEIPT:
		break;
	default:
		return DROP_ROLE;
	}
	reason = cookie_admit(w, it, it->frame.body);
	if (reason == DROP_COOKIE_STALE)
		reply_error(w, it, ERROR_STALE, 0, 0);
	if (reason != DROP_NONE)
		return reason;
	if (it->frame.verb == VERB_SEND)
		return send_decode(&it->frame, &it->send);
	if (it->frame.verb == VERB_PULL)
		return pull_decode(&it->frame, &it->pull);
	return DROP_NONE;
}

/* An unknown verb or critical extension is answered to a valid cookie only. */
static void answer_unknown(struct worker *w, struct item *it)
{
	const uint8_t *body = it->frame.start + sizeof(struct wire_header);

	if (it->frame.len >= sizeof(struct wire_header) + sizeof(struct cookie) &&
	    cookie_admit(w, it, body) == DROP_NONE)
		reply_error(w, it, ERROR_UNSUPPORTED, 0, 0);
}

static enum drop item_parse(struct worker *w, struct item *it)
{
	enum drop reason = packet_parse(it->mbuf, &w->relay->self);

	if (reason != DROP_NONE)
		return reason;
	w->last_mac = it->packet->mac;
	reason = frame_parse(rte_pktmbuf_mtod(it->mbuf, void *), it->packet->payload_len,
			     &it->frame);
	if (reason == DROP_VERB || reason == DROP_EXT_CRITICAL)
		answer_unknown(w, it);
	if (reason != DROP_NONE)
		return reason;
	return item_admit(w, it);
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

		it->blob = BLOB_NONE;
		if (it->frame.verb == VERB_SEND)
			index_key_make(w->relay->index, 0, it->send.rule, it->send.id,
				       &keys[count]);
		else if (it->frame.verb == VERB_PULL)
			index_key_make(w->relay->index, 0, it->pull.rule, it->pull.id,
				       &keys[count]);
		else
			continue;
		wants[count++] = it;
	}
	if (count == 0)
		return;
	hits = index_lookup_bulk(w->relay->index, keys, count, found);
	for (unsigned int i = 0; i < count; i++) {
		if ((hits & (UINT64_C(1) << i)) == 0)
			continue;
		wants[i]->blob = found[i];
		rte_prefetch0(slab_blob(&w->relay->slab, found[i]));
	}
}

bool item_to_control(struct worker *w, struct item *it)
{
	struct message msg = {.kind = MESSAGE_FRAME, .mbuf = it->mbuf};

	it->packet->worker = w->id;
	if (!message_put(w->to_control, &msg)) {
		w->stats.drops[DROP_CONTROL_BUSY]++;
		return false;
	}
	it->mbuf = NULL;
	w->told_control = true;
	return true;
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
	default: /* LISTEN, STOP, QUERY, ANSWER, NOTICE: item_admit() let nothing else pass */
		item_to_control(w, it);
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
	burst_lookup(w, items, kept);
	for (uint16_t i = 0; i < kept; i++) {
		item_handle(w, &items[i]);
		rte_pktmbuf_free(items[i].mbuf); /* NULL if handed on */
	}
}
