/* SPDX-License-Identifier: BSD-3-Clause
 * The part of decoding that is the same for every verb: header, lengths,
 * extensions, signatures. The verbs' own fields: frame_hello.c, frame_consent.c,
 * frame_send.c, frame_relay.c, frame_blob.c, frame_error.c.
 */
#include <sodium.h>

#include "wire/build.h"

static const struct verb_info {
	uint8_t body;	  /* bytes; 0: no such verb */
	uint8_t flags;	  /* those it may have */
	bool payload;	  /* may it have one? */
	bool unversioned; /* accepted under any version, and longer than WIRE_MAX_FRAME */
} verbs[VERB_COUNT] = {
	[VERB_HELLO] = {sizeof(struct wire_hello), WIRE_AUTH, true, true},
	[VERB_WELCOME] = {sizeof(struct wire_welcome), WIRE_AUTH | WIRE_CENTRAL | WIRE_BOTH_IP,
			  true, true},
	[VERB_LISTEN] = {sizeof(struct wire_listen), WIRE_AUTH, false, false},
	[VERB_LISTENING] = {sizeof(struct wire_listening), WIRE_AUTH, false, false},
	[VERB_SEND] = {sizeof(struct wire_send), WIRE_AUTH, false, false},
	[VERB_STATUS] = {sizeof(struct wire_status), WIRE_AUTH, false, false},
	[VERB_QUERY] = {sizeof(struct wire_query), WIRE_AUTH | WIRE_LEASED | WIRE_HOLDING, false,
			false},
	[VERB_ANSWER] = {sizeof(struct wire_answer), WIRE_AUTH | WIRE_LEASED, false, false},
	[VERB_OFFER] = {sizeof(struct wire_offer), WIRE_AUTH | WIRE_INLINE, true, false},
	[VERB_PULL] = {sizeof(struct wire_pull), WIRE_AUTH | WIRE_UPLOAD, false, false},
	[VERB_DATA] = {sizeof(struct wire_data), WIRE_AUTH | WIRE_UPLOAD, true, false},
	[VERB_RECEIPT] = {sizeof(struct wire_receipt), WIRE_AUTH, false, false},
	[VERB_NOTICE] = {sizeof(struct wire_notice), WIRE_AUTH | WIRE_ACK, false, false},
	[VERB_STOP] = {sizeof(struct wire_stop), WIRE_AUTH, false, false},
	[VERB_ERROR] = {sizeof(struct wire_error), WIRE_AUTH, false, false},
};

#define MAX_UDP_PAYLOAD 65507

size_t verb_body_size(uint8_t verb)
{
	return verb < VERB_COUNT ? verbs[verb].body : 0;
}

static enum drop ext_u32(const uint8_t *value, uint8_t len, uint32_t *out)
{
	be32 v;

	if (len != sizeof(v))
		return DROP_EXT;
	memcpy(&v, value, sizeof(v));
	*out = get32(v);
	return DROP_NONE;
}

static enum drop ext_holder(const uint8_t *value, uint8_t len, struct frame *f)
{
	const struct addr *a = (const struct addr *)value;

	if (len != sizeof(*a))
		return DROP_EXT;
	if (!addr_valid(a))
		return DROP_FIELD;
	f->holder = a;
	return DROP_NONE;
}

static enum drop ext_moved(const uint8_t *value, uint8_t len, struct frame *f)
{
	const struct moved *m = (const struct moved *)value;

	if (len != sizeof(*m))
		return DROP_EXT;
	if (!addr_valid(&m->addr))
		return DROP_FIELD;
	f->moved = m;
	return DROP_NONE;
}

static enum drop ext_attempt(const uint8_t *value, uint8_t len, struct frame *f)
{
	be64 v;

	if (len != sizeof(v))
		return DROP_EXT;
	memcpy(&v, value, sizeof(v));
	f->attempt = get64(v);
	return f->attempt != 0 ? DROP_NONE : DROP_FIELD;
}

static enum drop ext_available(const uint8_t *value, uint8_t len, struct frame *f)
{
	enum drop d = ext_u32(value, len, &f->available);

	f->has_available = true;
	if (d == DROP_NONE && f->available > chunk_count(BLOB_MAX_LENGTH))
		return DROP_FIELD;
	return d;
}

static enum drop ext_take(uint8_t type, const uint8_t *value, uint8_t len, struct frame *f)
{
	switch (type) {
	case EXT_META:
		f->meta = len ? value : NULL;
		f->meta_len = len;
		return DROP_NONE;
	case EXT_VERSIONS:
		f->versions = len ? value : NULL;
		f->versions_len = len;
		return DROP_NONE;
	case EXT_DOMAIN_PROOF:
		f->domain_proof = (const struct mac *)value;
		return len == sizeof(struct mac) ? DROP_NONE : DROP_EXT;
	case EXT_CHALLENGE:
		f->challenge = (const struct challenge *)value;
		return len == sizeof(struct challenge) ? DROP_NONE : DROP_EXT;
	case EXT_PROOF:
		f->proof = (const struct proof *)value;
		return len == sizeof(struct proof) ? DROP_NONE : DROP_EXT;
	case EXT_VOUCH:
		f->vouch = (const struct proof *)value;
		return len == sizeof(struct proof) ? DROP_NONE : DROP_EXT;
	case EXT_TICKET:
		f->ticket = (const struct ticket *)value;
		return len == sizeof(struct ticket) ? DROP_NONE : DROP_EXT;
	case EXT_SEALED_KEY:
		f->sealed_key = value;
		return len == SEALED_KEY_SIZE ? DROP_NONE : DROP_EXT;
	case EXT_RETRY_AFTER:
		return ext_u32(value, len, &f->retry_after);
	case EXT_HOLDER:
		return ext_holder(value, len, f);
	case EXT_MOVED:
		return ext_moved(value, len, f);
	case EXT_ATTEMPT:
		return ext_attempt(value, len, f);
	case EXT_AVAILABLE:
		return ext_available(value, len, f);
	default:
		return type & 0x80 ? DROP_EXT_CRITICAL : DROP_NONE;
	}
}

/* `left` is a multiple of 4. */
static enum drop ext_walk(const uint8_t *p, size_t left, struct frame *f)
{
	uint8_t last = 0;

	while (left > 0) {
		uint8_t type = p[0], len = p[1];
		size_t size = EXT_BYTES(len);
		enum drop d;

		if (size > left || type < last || (type == last && type != EXT_PAD))
			return DROP_EXT;
		if (!field_is_zero(p + 2 + len, size - 2 - len))
			return DROP_EXT;
		d = ext_take(type, p + 2, len, f);
		if (d != DROP_NONE)
			return d;
		last = type;
		p += size;
		left -= size;
	}
	return DROP_NONE;
}

enum drop frame_parse(const void *buf, size_t len, struct frame *f)
{
	const struct wire_header *h = buf;
	const struct verb_info *v;
	const uint8_t *p;
	size_t left, ext;
	enum drop d;

	*f = (struct frame){.start = buf, .len = len};
	if (len < sizeof(*h))
		return DROP_SHORT;
	f->version = h->version;
	f->verb = h->verb;
	f->flags = h->flags;
	f->key = get32(h->key);
	f->conn = get64(h->conn);
	if ((h->flags & WIRE_AUTH) && len >= sizeof(*h) + TRAILER_SIZE)
		f->trailer = f->start + len - TRAILER_SIZE;
	v = h->verb < VERB_COUNT ? &verbs[h->verb] : &verbs[0];
	if (h->version != WIRE_VERSION && !v->unversioned)
		return DROP_VERSION;
	if (!v->body)
		return DROP_VERB;
	if (len > (v->unversioned ? MAX_UDP_PAYLOAD : WIRE_MAX_FRAME))
		return DROP_OVERLONG;
	if (h->flags & ~v->flags)
		return DROP_FLAGS;

	left = len - sizeof(*h);
	if (left < v->body + (h->flags & WIRE_AUTH ? (size_t)TRAILER_SIZE : 0))
		return DROP_SHORT;
	if (h->flags & WIRE_AUTH)
		left -= TRAILER_SIZE;
	f->body = f->start + sizeof(*h);
	p = f->body + v->body;
	left -= v->body;

	ext = h->ext * 4u;
	if (ext > left)
		return DROP_EXT;
	d = ext_walk(p, ext, f);
	if (d != DROP_NONE)
		return d;
	left -= ext;
	if (left > 0 && !v->payload)
		return DROP_OVERLONG;
	f->payload = p + ext;
	f->payload_len = (uint16_t)left;
	return DROP_NONE;
}

size_t frame_sign_begin(uint8_t *buf, size_t cap, size_t len, const struct session *s,
			struct sip *out)
{
	if (len < sizeof(struct wire_header) || len + TRAILER_SIZE > cap ||
	    len + TRAILER_SIZE > WIRE_MAX_FRAME)
		return 0;
	((struct wire_header *)buf)->flags |= WIRE_AUTH;
	sip_set(out, s->key, buf, len);
	return len + TRAILER_SIZE;
}

void frame_sign_end(const struct sip *s, uint8_t *buf, size_t signed_len)
{
	memcpy(buf + signed_len - TRAILER_SIZE, s->out, TRAILER_SIZE);
}

size_t frame_sign(uint8_t *buf, size_t cap, size_t len, const struct session *s)
{
	struct sip sip;

	len = frame_sign_begin(buf, cap, len, s, &sip);
	if (len == 0)
		return 0;
	sip_hash(&sip, sizeof(sip), 1);
	frame_sign_end(&sip, buf, len);
	return len;
}

bool frame_signed_begin(const struct frame *f, const struct session *s, struct sip *out)
{
	if (f->trailer == NULL)
		return false;
	sip_set(out, s->key, f->start, f->len - TRAILER_SIZE);
	return true;
}

bool frame_signed_end(const struct frame *f, const struct sip *s)
{
	return sodium_memcmp(s->out, f->trailer, TRAILER_SIZE) == 0;
}

bool frame_signed(const struct frame *f, const struct session *s)
{
	struct sip sip;

	if (!frame_signed_begin(f, s, &sip))
		return false;
	sip_hash(&sip, sizeof(sip), 1);
	return frame_signed_end(f, &sip);
}
