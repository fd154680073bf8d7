/* SPDX-License-Identifier: BSD-3-Clause
 * QUERY, ANSWER, NOTICE: between private and central. A decoder only sees that
 * there is a trailer; who knows the pair's key checks it (trailer_check).
 */
#include "wire/build.h"

static enum drop query_check(const struct query *q)
{
	if (!rule_valid(q->rule) || q->deadline < 1 || q->deadline > DEADLINE_MAX ||
	    q->length > BLOB_MAX_LENGTH || !addr_valid(q->target) || !addr_valid(q->source) ||
	    (q->attempt != 0 && (q->ticket == NULL || q->available > chunk_count(q->length))))
		return DROP_FIELD;
	return DROP_NONE;
}

size_t query_encode(uint8_t *buf, size_t cap, uint32_t key, uint64_t conn, const struct query *q,
		    const uint8_t pair_key[PAIR_KEY_SIZE])
{
	uint8_t flags =
		WIRE_AUTH | (q->leased ? WIRE_LEASED : 0) | (q->ticket != NULL ? WIRE_HOLDING : 0);
	struct build b;
	struct wire_query *w = build_begin(&b, buf, cap, VERB_QUERY, flags, key, conn);

	if (!w || query_check(q) != DROP_NONE)
		return 0;
	w->nonce = put64(q->nonce);
	w->time = put64(q->time);
	memcpy(w->transfer, q->transfer, TRANSFER_SIZE);
	w->leg = put16(q->leg);
	w->rule = q->rule;
	w->deadline = put32(q->deadline);
	w->send_size = put32(q->send_size);
	w->source_key = put32(q->source_key);
	w->id = *q->id;
	w->length = put64(q->length);
	w->target.addr = *q->target;
	w->source = *q->source;
	w->source_conn = put64(q->source_conn);
	build_meta(&b, q->meta, q->meta_len);
	if (q->proof)
		build_ext(&b, EXT_PROOF, q->proof, sizeof(*q->proof));
	build_attempt(&b, q->attempt);
	if (q->attempt)
		build_available(&b, q->available);
	if (q->ticket)
		build_ext(&b, EXT_TICKET, q->ticket, sizeof(*q->ticket));
	if (q->sealed_key)
		build_ext(&b, EXT_SEALED_KEY, q->sealed_key, SEALED_KEY_SIZE);
	return build_end_auth(&b, pair_key);
}

enum drop query_decode(const struct frame *f, struct query *q)
{
	const struct wire_query *w = (const struct wire_query *)f->body;

	if (!f->trailer)
		return DROP_AUTH;
	*q = (struct query){
		.nonce = get64(w->nonce),
		.time = get64(w->time),
		.transfer = w->transfer,
		.id = &w->id,
		.target = &w->target.addr,
		.source = &w->source,
		.meta = f->meta,
		.proof = f->proof,
		.sealed_key = f->sealed_key,
		.meta_len = f->meta_len,
		.leg = get16(w->leg),
		.rule = w->rule,
		.leased = f->flags & WIRE_LEASED,
		.ticket = f->ticket,
		.attempt = f->attempt,
		.available = f->available,
		.deadline = get32(w->deadline),
		.send_size = get32(w->send_size),
		.source_key = get32(w->source_key),
		.length = get64(w->length),
		.source_conn = get64(w->source_conn),
	};
	if (w->zero != 0 || !field_is_zero(w->target.key_tail, sizeof(w->target.key_tail)) ||
	    (f->ticket != NULL) != ((f->flags & WIRE_HOLDING) != 0) ||
	    (f->attempt != 0) != f->has_available)
		return DROP_FIELD;
	return query_check(q);
}

static enum drop answer_check(const struct answer *a)
{
	bool ticket = !field_is_zero(a->ticket, sizeof(*a->ticket));

	if (!code_valid(a->code, ANSWER_CODE_COUNT) ||
	    !reason_valid(a->reason, a->code == ANSWER_REFUSED) ||
	    ticket != (a->code == ANSWER_OFFER) ||
	    (a->challenge != NULL) != (a->code == ANSWER_CHALLENGE))
		return DROP_FIELD;
	return DROP_NONE;
}

size_t answer_encode(uint8_t *buf, size_t cap, uint32_t key, uint64_t conn, const struct answer *a,
		     const uint8_t pair_key[PAIR_KEY_SIZE])
{
	uint8_t flags = WIRE_AUTH | (a->leased ? WIRE_LEASED : 0);
	struct build b;
	struct wire_answer *w = build_begin(&b, buf, cap, VERB_ANSWER, flags, key, conn);

	if (!w || answer_check(a) != DROP_NONE)
		return 0;
	w->nonce = put64(a->nonce);
	w->time = put64(a->time);
	w->query_nonce = put64(a->query_nonce);
	memcpy(w->transfer, a->transfer, TRANSFER_SIZE);
	w->leg = put16(a->leg);
	w->code = a->code;
	w->reason = a->reason;
	field_put(&w->ticket, a->ticket, sizeof(w->ticket));
	if (a->challenge)
		build_ext(&b, EXT_CHALLENGE, a->challenge, sizeof(*a->challenge));
	return build_end_auth(&b, pair_key);
}

enum drop answer_decode(const struct frame *f, struct answer *a)
{
	const struct wire_answer *w = (const struct wire_answer *)f->body;

	if (!f->trailer)
		return DROP_AUTH;
	*a = (struct answer){
		.nonce = get64(w->nonce),
		.time = get64(w->time),
		.query_nonce = get64(w->query_nonce),
		.transfer = w->transfer,
		.ticket = &w->ticket,
		.challenge = f->challenge,
		.leased = f->flags & WIRE_LEASED,
		.leg = get16(w->leg),
		.code = w->code,
		.reason = w->reason,
	};
	return get32(w->zero) == 0 ? answer_check(a) : DROP_FIELD;
}

static enum drop notice_check(const struct notice *n)
{
	if (!code_valid(n->code, RECEIPT_CODE_COUNT) || !receipt_reason_valid(n->code, n->reason) ||
	    n->bytes > BLOB_MAX_LENGTH || !addr_valid(n->source) ||
	    (!n->ack && n->notice_nonce != 0) ||
	    (n->name_len > 0 && (n->code != RECEIPT_COMPLETE || n->ack)))
		return DROP_FIELD;
	return DROP_NONE;
}

size_t notice_encode(uint8_t *buf, size_t cap, uint32_t key, uint64_t conn, const struct notice *n,
		     const uint8_t pair_key[PAIR_KEY_SIZE])
{
	uint8_t flags = WIRE_AUTH | (n->ack ? WIRE_ACK : 0);
	struct build b;
	struct wire_notice *w = build_begin(&b, buf, cap, VERB_NOTICE, flags, key, conn);

	if (!w || notice_check(n) != DROP_NONE)
		return 0;
	w->nonce = put64(n->nonce);
	w->time = put64(n->time);
	w->notice_nonce = put64(n->notice_nonce);
	memcpy(w->transfer, n->transfer, TRANSFER_SIZE);
	w->leg = put16(n->leg);
	w->code = n->code;
	w->reason = n->reason;
	w->source_key = put32(n->source_key);
	w->bytes = put64(n->bytes);
	field_put(w->meta_digest, n->meta_digest, sizeof(w->meta_digest));
	w->source = *n->source;
	w->source_conn = put64(n->source_conn);
	build_meta(&b, n->name, n->name_len);
	return build_end_auth(&b, pair_key);
}

enum drop notice_decode(const struct frame *f, struct notice *n)
{
	const struct wire_notice *w = (const struct wire_notice *)f->body;

	if (!f->trailer)
		return DROP_AUTH;
	*n = (struct notice){
		.nonce = get64(w->nonce),
		.time = get64(w->time),
		.notice_nonce = get64(w->notice_nonce),
		.transfer = w->transfer,
		.meta_digest = w->meta_digest,
		.source = &w->source,
		.ack = f->flags & WIRE_ACK,
		.leg = get16(w->leg),
		.code = w->code,
		.reason = w->reason,
		.source_key = get32(w->source_key),
		.bytes = get64(w->bytes),
		.source_conn = get64(w->source_conn),
	};
	if (n->code == RECEIPT_COMPLETE && !n->ack) {
		n->name = f->meta;
		n->name_len = f->meta_len;
	}
	return notice_check(n);
}
