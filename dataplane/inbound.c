/* SPDX-License-Identifier: BSD-3-Clause
 * Frames that a worker finishes alone besides hits: HELLO, upload DATA, RECEIPT.
 */
#include "dataplane/worker.h"

void handle_hello(struct worker *w, struct item *it)
{
	const struct addr *peer = &it->packet->peer;
	struct cookie cookie;
	struct echo echo;
	struct hello h;
	struct welcome welcome;
	struct rte_mbuf *m;
	enum drop reason = hello_decode(&it->frame, &h);

	if (reason == DROP_NONE && it->frame.key != 0)
		reason = DROP_KEY_UNKNOWN;
	if (reason != DROP_NONE) {
		w->stats.drops[reason]++;
		return;
	}
	cookie_mint(w->keys, peer, it->frame.conn, 0, &cookie);
	echo_mint(w->keys, peer, it->frame.conn, worker_seconds(w), &echo);
	welcome = (struct welcome){
		.nonce = h.nonce,
		.cookie = &cookie,
		.echo = &echo,
		.seen = peer,
		.self = &w->relay->self,
		.lifetime = TOKEN_EPOCH_SECONDS,
	};
	m = egress_alloc(w, peer);
	if (m != NULL && egress_sized(m, welcome_encode(egress_payload(m), WIRE_MAX_FRAME, 0,
							it->frame.conn, &welcome)))
		egress_send(w, m);
}

/* The open slot that this DATA belongs to, or NULL. */
static struct upload_slot *slot_find(const struct worker *w, const struct item *it,
				     const struct data *d)
{
	struct upload_slot *s = &w->relay->uploads[d->stream & (UPLOAD_SLOTS - 1)];

	if (d->stream == 0 || atomic_load_explicit(&s->stream, memory_order_acquire) != d->stream)
		return NULL;
	if (s->worker != w->id || s->conn != it->frame.conn ||
	    !addr_equal(&s->source, &it->packet->peer))
		return NULL;
	return s;
}

static enum drop chunk_accept(struct worker *w, struct upload_slot *s, const struct data *d)
{
	struct message msg = {
		.kind = MESSAGE_CHUNK,
		.slot = (uint16_t)(d->stream & (UPLOAD_SLOTS - 1)),
		.number = d->number,
		.chunk = d->first,
		.stream_low = (uint32_t)(d->stream >> UPLOAD_SLOT_BITS),
	};
	uint64_t bit = UINT64_C(1) << (d->first % 64);

	/* below `limit`, memory is there; acquire pairs with control's raise */
	if (d->first >= atomic_load_explicit(&s->limit, memory_order_acquire))
		return DROP_UNKNOWN_STREAM;
	if (d->len != chunk_length(s->length, d->first))
		return DROP_FIELD;
	if (s->filled[d->first / 64] & bit)
		return DROP_DUPLICATE_DATA;
	if (rte_ring_full(w->to_control))
		return DROP_CONTROL_BUSY;
	chunk_store(&w->relay->slab, slab_blob(&w->relay->slab, s->blob), d->first, d->bytes,
		    d->len);
	s->filled[d->first / 64] |= bit;
	/* single producer and not full: this cannot fail. The ring's release
	 * makes the chunk visible before the note. */
	message_put(w->to_control, &msg);
	w->told_control = true;
	w->stats.upload_chunks++;
	return DROP_NONE;
}

void handle_data(struct worker *w, struct item *it)
{
	struct upload_slot *s;
	struct data d;
	enum drop reason = data_decode(&it->frame, &d);

	if (reason == DROP_NONE && !d.upload)
		reason = DROP_ROLE;
	if (reason == DROP_NONE) {
		s = slot_find(w, it, &d);
		reason = s != NULL ? chunk_accept(w, s, &d) : DROP_UNKNOWN_STREAM;
	}
	w->stats.drops[reason] += reason != DROP_NONE;
}

void handle_receipt(struct worker *w, struct item *it)
{
	struct receipt rc;
	struct status s;
	enum drop reason = receipt_decode(&it->frame, &rc);

	if (reason == DROP_NONE)
		reason = ticket_check(w->keys, rc.ticket, rc.id, rc.rule, rc.length,
				      worker_seconds(w));
	if (reason != DROP_NONE) {
		w->stats.drops[reason]++;
		return;
	}
	w->stats.receipts++;
	if (!addr_equal(&rc.ticket->home, &w->relay->self)) {
		item_to_control(w, it); /* the source spoke to another relay */
		return;
	}
	s = (struct status){
		.transfer = rc.ticket->transfer,
		.meta_digest = rc.meta_digest,
		.leg = get16(rc.ticket->leg),
		.code = receipt_status(rc.code),
		.reason = rc.reason,
		.bytes = rc.bytes,
	};
	reply_status(w, &rc.ticket->source, get32(rc.ticket->key), get64(rc.ticket->source_conn),
		     &s);
}
