/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/answer.h"

size_t answer_status(const struct ask *a, struct status *s, uint8_t *buf)
{
	s->transfer = a->key.transfer;
	s->leg = get16(a->key.leg);
	return status_encode(buf, WIRE_MAX_FRAME, a->field, a->conn, s);
}

size_t answer_challenge(const struct ask *a, const struct token_ring *keys, uint8_t *buf)
{
	struct challenge challenge;
	struct status s = {.code = STATUS_CHALLENGE, .challenge = &challenge};

	ask_challenge(a, keys, &challenge);
	return answer_status(a, &s, buf);
}

size_t answer_busy(const struct ask *a, uint8_t *buf)
{
	const struct error e = {
		.code = ERROR_BUSY,
		.verb = VERB_SEND,
		.retry_after = BUSY_RETRY_MS,
	};

	return error_encode(buf, WIRE_MAX_FRAME, a->field, a->conn, &e);
}

/* ---- OFFER ---- */

/* All but its MAC. */
static void ticket_fill(const struct ask *a, uint64_t unix_seconds, struct ticket *out)
{
	/* field by field, as in ask_of_send() */
	out->leg = a->key.leg;
	out->expiry = put32((uint32_t)(unix_seconds + ask_deadline(a, unix_seconds)));
	out->key = put32(a->field);
	out->zero = put32(0);
	out->source_conn = put64(a->conn);
	out->source = a->key.source;
	out->home = a->home;
	memcpy(out->transfer, a->key.transfer, TRANSFER_SIZE);
}

void answer_ticket(const struct relay *r, const struct ask *a, uint64_t unix_seconds,
		   struct ticket *out)
{
	ticket_fill(a, unix_seconds, out);
	ticket_mint(relay_keys(r), out, &a->id, a->rule, a->length);
}

void offer_macs_hash(struct offer_macs *m, unsigned int n)
{
	sip_hash(&m->ticket.sip, sizeof(*m), n);
	sip_hash(&m->echo, sizeof(*m), n);
}

void offer_macs_write(const struct offer_macs *m, uint8_t *buf)
{
	struct wire_offer *w = (struct wire_offer *)(buf + sizeof(struct wire_header));

	ticket_mint_end(&m->ticket, &w->ticket);
	if (m->leased)
		echo_mint_end(&m->echo, m->unix_seconds, &w->echo);
}

/* Until the target speaks, nobody knows its conn: ours is the transfer's head. */
static uint64_t stranger_conn(const struct ask *a)
{
	be64 head;

	memcpy(&head, a->key.transfer, sizeof(head));
	return get64(head);
}

static size_t inline_size(const struct ask_extras *e, const struct piece *b)
{
	size_t ext = (e->meta_len ? (2u + e->meta_len + 3u) & ~3u : 0) +
		     (e->sealed_key ? (2u + SEALED_KEY_SIZE + 3u) & ~3u : 0);

	return OFFER_SIZE + ext + b->length + TRAILER_SIZE;
}

/* The blob, a chunk at most, to the end of a frame of `len` bytes. */
static void blob_put(const struct relay *r, const struct piece *b, uint8_t *buf, size_t len,
		     struct offer_macs *macs)
{
	const uint8_t *from;

	_Static_assert(WIRE_MAX_FRAME - OFFER_SIZE <= CHUNK_SIZE, "a chunk at most");
	_Static_assert(OFFER_SIZE % 4 == 0, "as extensions are: the sum's words are even");
	if (b->length == 0) /* it has no chunk */
		return;
	from = piece_chunk(&r->slab, b, 0);
	memcpy(buf + len - b->length, from, b->length);
	macs->blob = (uint16_t)b->length;
	macs->sum = *piece_sum(b, 0, from);
}

/* To a target that has not said that it wants any. */
static size_t stranger_offer(const struct ask *a, const struct offer *o, uint8_t *buf)
{
	const uint32_t overhead = addr_overhead(&a->target);
	uint32_t allowed;
	size_t len;

	if (a->send_size <= overhead)
		return 0;
	allowed = RTE_MIN(a->send_size - overhead, (uint32_t)WIRE_MAX_FRAME);
	len = offer_encode(buf, WIRE_MAX_FRAME, 0, stranger_conn(a), o, allowed & ~3u);
	return len <= allowed ? len : 0;
}

size_t answer_offer(const struct relay *r, const struct ask *a, const struct ask_extras *e,
		    const struct piece *b, const struct partial *partial, const struct lease *lease,
		    uint64_t unix_seconds, uint8_t *buf, struct stats *stats,
		    struct offer_macs *macs)
{
	const struct token_ring *keys = relay_keys(r);
	struct offer o = {
		.transfer = a->key.transfer,
		.id = &a->id,
		.meta = e->meta,
		.sealed_key = e->sealed_key,
		.meta_len = e->meta_len,
		.leg = get16(a->key.leg),
		.rule = a->rule,
		.deadline = ask_deadline(a, unix_seconds),
		.length = a->length,
		.attempt = b == NULL ? partial->attempt : 0,
		.available = b == NULL ? partial->available : 0,
	};
	size_t len;

	ticket_fill(a, unix_seconds, ticket_mint_place(&macs->ticket));
	ticket_mint_begin(keys, &a->id, a->rule, a->length, &macs->ticket);
	/* without a lease for nobody: what is hashed together is of one kind */
	echo_mint_begin(keys, &a->target, lease != NULL ? lease->conn : 0,
			lease != NULL ? lease->key : 0, unix_seconds, &macs->echo);
	macs->unix_seconds = unix_seconds;
	macs->leased = lease != NULL;
	macs->blob = macs->sum = 0;
	if (lease == NULL) {
		len = stranger_offer(a, &o, buf);
	} else {
		o.has_inline = b != NULL && inline_size(e, b) <= WIRE_MAX_FRAME;
		len = offer_encode(buf, WIRE_MAX_FRAME, lease->key, lease->conn, &o, 0);
		if (o.has_inline && len != 0)
			blob_put(r, b, buf, len, macs);
	}
	stats->drops[DROP_OFFER_BUDGET] += len == 0;
	stats->offers += len != 0;
	stats->inline_offers += len != 0 && o.has_inline;
	return len;
}
