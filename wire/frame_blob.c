/* SPDX-License-Identifier: BSD-3-Clause
 * OFFER, PULL, DATA, RECEIPT: moving a blob.
 */
#include "wire/build.h"

_Static_assert(sizeof(struct wire_header) + sizeof(struct wire_offer) == OFFER_SIZE, "documented");
_Static_assert(sizeof(struct wire_header) + sizeof(struct wire_data) == DATA_HEAD, "documented");
_Static_assert(DATA_HEAD + EXT_BYTES(sizeof(be32)) == DATA_HEAD_PARTIAL, "documented");
_Static_assert(DATA_HEAD_PARTIAL + CHUNK_SIZE <= WIRE_MAX_FRAME, "a chunk fits a frame");

static enum drop offer_check(const struct offer *o)
{
	if (!rule_valid(o->rule) || o->deadline < 1 || o->deadline > DEADLINE_MAX ||
	    o->length > BLOB_MAX_LENGTH || (o->holder && !addr_valid(o->holder)) ||
	    (o->attempt != 0 && (o->has_inline || o->available > chunk_count(o->length))))
		return DROP_FIELD;
	return DROP_NONE;
}

/* Bytes of padding that bring a frame of `len` up to `to`. */
static size_t offer_padding(size_t len, size_t to)
{
	size_t room = OFFER_SIZE + EXT_MAX;

	if (to > room)
		to = room;
	return to > len ? (to - len) & ~(size_t)3 : 0;
}

size_t offer_encode(uint8_t *buf, size_t cap, uint32_t key, uint64_t conn, const struct offer *o,
		    size_t pad_to)
{
	uint8_t flags = o->has_inline ? WIRE_INLINE : 0;
	size_t behind = (o->attempt ? EXT_BYTES(sizeof(be64)) + EXT_BYTES(sizeof(be32)) : 0) +
			(o->holder ? EXT_BYTES(sizeof(*o->holder)) : 0) +
			(o->sealed_key ? EXT_BYTES(SEALED_KEY_SIZE) : 0);
	struct build b;
	struct wire_offer *w = build_begin(&b, buf, cap, VERB_OFFER, flags, key, conn);

	if (!w || offer_check(o) != DROP_NONE || (o->has_inline && pad_to))
		return 0;
	field_put(&w->echo, o->echo, sizeof(w->echo));
	memcpy(w->transfer, o->transfer, TRANSFER_SIZE);
	w->id = *o->id;
	w->length = put64(o->length);
	w->deadline = put32(o->deadline);
	w->leg = put16(o->leg);
	w->rule = o->rule;
	field_put(&w->ticket, o->ticket, sizeof(w->ticket));
	build_meta(&b, o->meta, o->meta_len);
	build_pad(&b, offer_padding(b.len + behind, pad_to));
	build_attempt(&b, o->attempt);
	if (o->attempt)
		build_available(&b, o->available);
	if (o->holder)
		build_ext(&b, EXT_HOLDER, o->holder, sizeof(*o->holder));
	if (o->sealed_key)
		build_ext(&b, EXT_SEALED_KEY, o->sealed_key, SEALED_KEY_SIZE);
	if (o->has_inline)
		build_payload(&b, o->data, o->length);
	return build_end(&b);
}

enum drop offer_decode(const struct frame *f, struct offer *o)
{
	const struct wire_offer *w = (const struct wire_offer *)f->body;
	bool has_inline = f->flags & WIRE_INLINE;

	if (!has_inline && f->payload_len)
		return DROP_OVERLONG;
	*o = (struct offer){
		.echo = &w->echo,
		.transfer = w->transfer,
		.id = &w->id,
		.ticket = &w->ticket,
		.holder = f->holder,
		.meta = f->meta,
		.sealed_key = f->sealed_key,
		.meta_len = f->meta_len,
		.leg = get16(w->leg),
		.rule = w->rule,
		.has_inline = has_inline,
		.deadline = get32(w->deadline),
		.length = get64(w->length),
		.data = has_inline ? f->payload : NULL,
		.attempt = f->attempt,
		.available = f->available,
	};
	if (w->zero != 0 || (has_inline && o->length != f->payload_len) ||
	    (f->attempt != 0) != f->has_available)
		return DROP_FIELD;
	return offer_check(o);
}

/* Bit 0 is set, and no bit is beyond the blob. */
static bool mask_valid(uint32_t first, uint32_t mask, uint64_t length)
{
	uint32_t count = chunk_count(length);

	if (!(mask & 1) || first >= count)
		return false;
	return count - first >= PULL_MAX_CHUNKS || mask >> (count - first) == 0;
}

static enum drop pull_check(const struct pull *p)
{
	if (!rule_valid(p->rule) || p->length > BLOB_MAX_LENGTH ||
	    !mask_valid(p->first, p->mask, p->length))
		return DROP_FIELD;
	if (p->upload && !(field_is_zero(p->cookie, sizeof(*p->cookie)) &&
			   field_is_zero(p->echo, sizeof(*p->echo)) &&
			   field_is_zero(p->ticket, sizeof(*p->ticket))))
		return DROP_FIELD;
	return DROP_NONE;
}

size_t pull_encode(uint8_t *buf, size_t cap, uint32_t key, uint64_t conn, const struct pull *p)
{
	uint8_t flags = p->upload ? WIRE_UPLOAD : 0;
	struct build b;
	struct wire_pull *w = build_begin(&b, buf, cap, VERB_PULL, flags, key, conn);

	if (!w || pull_check(p) != DROP_NONE)
		return 0;
	field_put(&w->cookie, p->cookie, sizeof(w->cookie));
	field_put(&w->echo, p->echo, sizeof(w->echo));
	w->stream = put64(p->stream);
	w->number = put32(p->number);
	w->first = put32(p->first);
	w->mask = put32(p->mask);
	w->rule = p->rule;
	w->id = *p->id;
	w->length = put64(p->length);
	field_put(&w->ticket, p->ticket, sizeof(w->ticket));
	build_attempt(&b, p->attempt);
	return build_end(&b);
}

enum drop pull_decode(const struct frame *f, struct pull *p)
{
	const struct wire_pull *w = (const struct wire_pull *)f->body;

	*p = (struct pull){
		.cookie = &w->cookie,
		.echo = &w->echo,
		.ticket = &w->ticket,
		.id = &w->id,
		.upload = f->flags & WIRE_UPLOAD,
		.rule = w->rule,
		.stream = get64(w->stream),
		.number = get32(w->number),
		.first = get32(w->first),
		.mask = get32(w->mask),
		.length = get64(w->length),
		.attempt = f->attempt,
	};
	if (p->upload)
		p->attempt = 0; /* it has no use for one */
	return field_is_zero(w->zero, sizeof(w->zero)) ? pull_check(p) : DROP_FIELD;
}

static enum drop data_check(const struct data *d)
{
	if (d->len == 0 || d->first >= chunk_count(BLOB_MAX_LENGTH) ||
	    (d->upload && !field_is_zero(d->echo, sizeof(*d->echo))))
		return DROP_FIELD;
	return DROP_NONE;
}

size_t data_encode(uint8_t *buf, size_t cap, uint32_t key, uint64_t conn, const struct data *d)
{
	uint8_t flags = d->upload ? WIRE_UPLOAD : 0;
	struct build b;
	struct wire_data *w = build_begin(&b, buf, cap, VERB_DATA, flags, key, conn);

	if (!w || data_check(d) != DROP_NONE ||
	    d->len > WIRE_MAX_FRAME - data_head_size(d->partial))
		return 0;
	field_put(&w->echo, d->echo, sizeof(w->echo));
	w->stream = put64(d->stream);
	w->number = put32(d->number);
	w->first = put32(d->first);
	if (d->partial)
		build_available(&b, d->available);
	if (!d->bytes)
		return b.failed ? 0 : b.len + d->len;
	build_payload(&b, d->bytes, d->len);
	return build_end(&b);
}

enum drop data_decode(const struct frame *f, struct data *d)
{
	const struct wire_data *w = (const struct wire_data *)f->body;

	*d = (struct data){
		.echo = &w->echo,
		.upload = f->flags & WIRE_UPLOAD,
		.stream = get64(w->stream),
		.number = get32(w->number),
		.first = get32(w->first),
		.bytes = f->payload,
		.len = f->payload_len,
		.partial = f->has_available && !(f->flags & WIRE_UPLOAD),
		.available = f->available,
	};
	return data_check(d);
}

static enum drop receipt_check(const struct receipt *r)
{
	if (!code_valid(r->code, RECEIPT_CODE_COUNT) || !receipt_reason_valid(r->code, r->reason) ||
	    !rule_valid(r->rule) || r->length > BLOB_MAX_LENGTH || r->bytes > r->length ||
	    (r->name_len > 0 && r->code != RECEIPT_COMPLETE))
		return DROP_FIELD;
	return DROP_NONE;
}

size_t receipt_encode(uint8_t *buf, size_t cap, uint32_t key, uint64_t conn,
		      const struct receipt *r)
{
	struct build b;
	struct wire_receipt *w = build_begin(&b, buf, cap, VERB_RECEIPT, 0, key, conn);

	if (!w || receipt_check(r) != DROP_NONE)
		return 0;
	w->cookie = *r->cookie;
	w->code = r->code;
	w->reason = r->reason;
	w->rule = r->rule;
	w->id = *r->id;
	w->length = put64(r->length);
	w->bytes = put64(r->bytes);
	field_put(w->meta_digest, r->meta_digest, sizeof(w->meta_digest));
	w->ticket = *r->ticket;
	build_meta(&b, r->name, r->name_len);
	return build_end(&b);
}

enum drop receipt_decode(const struct frame *f, struct receipt *r)
{
	const struct wire_receipt *w = (const struct wire_receipt *)f->body;

	*r = (struct receipt){
		.cookie = &w->cookie,
		.id = &w->id,
		.meta_digest = w->meta_digest,
		.ticket = &w->ticket,
		.code = w->code,
		.reason = w->reason,
		.rule = w->rule,
		.length = get64(w->length),
		.bytes = get64(w->bytes),
	};
	if (r->code == RECEIPT_COMPLETE) {
		r->name = f->meta;
		r->name_len = f->meta_len;
	}
	return field_is_zero(w->zero, sizeof(w->zero)) ? receipt_check(r) : DROP_FIELD;
}
