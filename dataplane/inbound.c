/* SPDX-License-Identifier: BSD-3-Clause
 * Frames that a worker acts on alone besides hits: HELLO, upload DATA, RECEIPT,
 * and STOP, which control then makes last.
 */
#include "dataplane/worker.h"

/* DROP_NONE with `session` for a member, or for an open HELLO with *member false. */
static enum drop hello_admit(const struct worker *w, const struct item *it, const struct hello *h,
			     struct session *session, bool *member)
{
	const struct frame *f = &it->frame;
	const struct domain_keys *keys;

	*member = f->key != 0;
	if (f->key == 0)
		return DROP_NONE;
	if (keyring_find(w->keyring, f->key, &keys) == NULL)
		return DROP_KEY_UNKNOWN;
	if (h->proof == NULL || !hello_proven(keys, f->conn, f->key, h->nonce, h->proof))
		return DROP_AUTH;
	session_derive(keys, f->conn, &it->packet->peer, session);
	return DROP_NONE;
}

static void welcome_send(struct worker *w, const struct item *it, const struct hello *h,
			 const struct session *session)
{
	const struct addr *peer = &it->packet->peer;
	uint32_t key = it->frame.key;
	struct cookie cookie;
	struct echo echo;
	struct welcome welcome = {
		.nonce = h->nonce,
		.cookie = &cookie,
		.echo = &echo,
		.seen = peer,
		.self = relay_self(w->relay, peer),
		.longest = welcome_longest(w->relay->max_blob),
		.lifetime = TOKEN_EPOCH_SECONDS,
		.central = w->relay->central,
		.both_ip = w->relay->self.ip4.type != ADDR_NONE &&
			   w->relay->self.ip6.type != ADDR_NONE,
	};
	struct rte_mbuf *m = egress_alloc(w, peer);
	size_t len;

	if (m == NULL)
		return;
	cookie_mint(w->keys, peer, it->frame.conn, key, &cookie);
	echo_mint(w->keys, peer, it->frame.conn, key, worker_seconds(w), &echo);
	len = welcome_encode(egress_payload(m), WIRE_MAX_FRAME, key, it->frame.conn, &welcome);
	if (session != NULL)
		len = frame_sign(egress_payload(m), WIRE_MAX_FRAME, len, session);
	if (egress_sized(m, len))
		egress_return(w, m, it);
}

void handle_hello(struct worker *w, struct item *it)
{
	struct session session;
	struct hello h;
	bool member;
	enum drop reason = hello_decode(&it->frame, &h);

	if (reason == DROP_NONE)
		reason = hello_admit(w, it, &h, &session, &member);
	if (reason == DROP_NONE)
		welcome_send(w, it, &h, member ? &session : NULL);
	else if (reason == DROP_AUTH)
		flow_forget(&it->flow);
	w->stats.drops[reason] += reason != DROP_NONE;
}

void handle_stop_now(struct worker *w, struct item *it)
{
	struct stop s;
	enum drop reason = stop_decode(&it->frame, &s);

	if (reason != DROP_NONE) {
		w->stats.drops[reason]++;
		return;
	}
	lease_revoke(w->relay->leases, &it->packet->peer, s.number);
	item_ask_control(w, it, NULL);
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
		.came_us = w->now_us,
	};
	const struct slab *slab = &w->relay->slab;
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
	chunk_store(slab, slab_piece(slab, s->piece[d->first / PIECE_CHUNKS]),
		    d->first % PIECE_CHUNKS, d->bytes, d->len);
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
		if (s == NULL)
			reason = DROP_UNKNOWN_STREAM;
		else if (s->member && !frame_signed(&it->frame, &s->session))
			reason = DROP_AUTH;
		else
			reason = chunk_accept(w, s, &d);
	}
	if (reason == DROP_AUTH)
		flow_forget(&it->flow);
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
	if (!addr_equal(&rc.ticket->home, relay_self(w->relay, &rc.ticket->home))) {
		item_ask_control(w, it, NULL); /* the source spoke to another relay */
		return;
	}
	s = (struct status){
		.transfer = rc.ticket->transfer,
		.meta_digest = rc.meta_digest,
		.name = rc.name,
		.name_len = rc.name_len,
		.leg = get16(rc.ticket->leg),
		.code = receipt_status(rc.code),
		.reason = rc.reason,
		.bytes = rc.bytes,
	};
	report_status(w, rc.ticket, &s);
}
