/* SPDX-License-Identifier: BSD-3-Clause
 * SEND, STATUS: a source's request and what becomes of it.
 */
#include "wire/build.h"

static enum drop send_check(const struct send *s)
{
	if (!rule_valid(s->rule) || s->deadline < 1 || s->deadline > DEADLINE_MAX ||
	    s->length > BLOB_MAX_LENGTH || !addr_valid(s->target))
		return DROP_FIELD;
	return DROP_NONE;
}

/* What a SEND must have beyond SEND_MIN: the OFFER will repeat it. */
static size_t repeated_bytes(uint8_t meta_len, const uint8_t *sealed_key)
{
	return (meta_len ? EXT_BYTES(meta_len) : 0) + (sealed_key ? EXT_BYTES(SEALED_KEY_SIZE) : 0);
}

size_t send_encode(uint8_t *buf, size_t cap, uint32_t key, uint64_t conn, const struct send *s)
{
	struct build b;
	struct wire_send *w = build_begin(&b, buf, cap, VERB_SEND, 0, key, conn);

	if (!w || send_check(s) != DROP_NONE)
		return 0;
	w->cookie = *s->cookie;
	memcpy(w->transfer, s->transfer, TRANSFER_SIZE);
	w->leg = put16(s->leg);
	w->rule = s->rule;
	w->deadline = put32(s->deadline);
	w->id = *s->id;
	w->length = put64(s->length);
	w->target.addr = *s->target;
	build_meta(&b, s->meta, s->meta_len);
	if (s->proof)
		build_ext(&b, EXT_PROOF, s->proof, sizeof(*s->proof));
	build_pad(&b, SEND_MIN - sizeof(struct wire_header) - sizeof(*w));
	if (s->moved)
		build_ext(&b, EXT_MOVED, s->moved, sizeof(*s->moved));
	if (s->vouch)
		build_ext(&b, EXT_VOUCH, s->vouch, sizeof(*s->vouch));
	if (s->sealed_key)
		build_ext(&b, EXT_SEALED_KEY, s->sealed_key, SEALED_KEY_SIZE);
	return build_end(&b);
}

enum drop send_decode(const struct frame *f, struct send *s)
{
	const struct wire_send *w = (const struct wire_send *)f->body;

	if (f->len < SEND_MIN + repeated_bytes(f->meta_len, f->sealed_key))
		return DROP_SHORT;
	*s = (struct send){
		.cookie = &w->cookie,
		.transfer = w->transfer,
		.id = &w->id,
		.target = &w->target.addr,
		.meta = f->meta,
		.proof = f->proof,
		.vouch = f->vouch,
		.moved = f->moved,
		.sealed_key = f->sealed_key,
		.meta_len = f->meta_len,
		.leg = get16(w->leg),
		.rule = w->rule,
		.deadline = get32(w->deadline),
		.length = get64(w->length),
	};
	if (w->zero != 0 || !field_is_zero(w->target.key_tail, sizeof(w->target.key_tail)))
		return DROP_FIELD;
	return send_check(s);
}

static const char *const refuse_texts[REFUSE_COUNT] = {[REFUSE_NONE] = "no reason given",
#define X(symbol, text) [REFUSE_##symbol] = text,
						       REFUSE_REASONS(X)
#undef X
};

const char *refuse_text(uint8_t reason)
{
	return reason < REFUSE_COUNT ? refuse_texts[reason] : "unknown reason";
}

static enum drop status_check(const struct status *s)
{
	if (!code_valid(s->code, STATUS_CODE_COUNT) ||
	    !reason_valid(s->reason, s->code == STATUS_REFUSED) ||
	    (s->challenge == NULL && s->code == STATUS_CHALLENGE) ||
	    (s->challenge != NULL && s->code != STATUS_CHALLENGE && s->code != STATUS_UPLOAD) ||
	    (s->name_len > 0 && s->code != STATUS_DELIVERED))
		return DROP_FIELD;
	return DROP_NONE;
}

size_t status_encode(uint8_t *buf, size_t cap, uint32_t key, uint64_t conn, const struct status *s)
{
	struct build b;
	struct wire_status *w = build_begin(&b, buf, cap, VERB_STATUS, 0, key, conn);

	if (!w || status_check(s) != DROP_NONE)
		return 0;
	memcpy(w->transfer, s->transfer, TRANSFER_SIZE);
	w->leg = put16(s->leg);
	w->code = s->code;
	w->reason = s->reason;
	w->bytes = put64(s->bytes);
	field_put(w->meta_digest, s->meta_digest, sizeof(w->meta_digest));
	build_meta(&b, s->name, s->name_len);
	if (s->challenge)
		build_ext(&b, EXT_CHALLENGE, s->challenge, sizeof(*s->challenge));
	build_retry_after(&b, s->retry_after);
	return build_end(&b);
}

enum drop status_decode(const struct frame *f, struct status *s)
{
	const struct wire_status *w = (const struct wire_status *)f->body;

	*s = (struct status){
		.transfer = w->transfer,
		.meta_digest = w->meta_digest,
		.challenge = f->challenge,
		.leg = get16(w->leg),
		.code = w->code,
		.reason = w->reason,
		.bytes = get64(w->bytes),
		.retry_after = f->retry_after,
	};
	if (s->code == STATUS_DELIVERED) {
		s->name = f->meta;
		s->name_len = f->meta_len;
	}
	return get32(w->zero) == 0 ? status_check(s) : DROP_FIELD;
}
