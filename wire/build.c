/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/build.h"

/* `size` more bytes of frame, or NULL. */
static uint8_t *build_room(struct build *b, size_t size)
{
	uint8_t *p = b->buf + b->len;

	if (b->failed || size > b->cap - b->len) {
		b->failed = true;
		return NULL;
	}
	b->len += size;
	return p;
}

void *build_begin(struct build *b, uint8_t *buf, size_t cap, uint8_t verb, uint8_t flags,
		  uint32_t key, uint64_t conn)
{
	struct wire_header h = {
		.version = WIRE_VERSION,
		.verb = verb,
		.flags = flags,
		.key = put32(key),
		.conn = put64(conn),
	};
	size_t body = verb_body_size(verb);
	uint8_t *p;

	*b = (struct build){.buf = buf, .cap = cap < WIRE_MAX_FRAME ? cap : WIRE_MAX_FRAME};
	p = build_room(b, sizeof(h) + body);
	if (!p)
		return NULL;
	memcpy(p, &h, sizeof(h));
	return memset(p + sizeof(h), 0, body);
}

void build_ext(struct build *b, uint8_t type, const void *value, uint8_t len)
{
	size_t size = EXT_BYTES(len);
	uint8_t *p;

	if (b->failed || ((struct wire_header *)b->buf)->ext * 4u + size > EXT_MAX) {
		b->failed = true;
		return;
	}
	p = build_room(b, size);
	if (!p)
		return;
	((struct wire_header *)b->buf)->ext += (uint8_t)(size / 4);
	memset(p, 0, size);
	p[0] = type;
	p[1] = len;
	field_put(p + 2, value, len);
}

void build_pad(struct build *b, size_t size)
{
	while (size > 0 && !b->failed) {
		size_t n = size < 256 ? size : 256;

		build_ext(b, EXT_PAD, NULL, (uint8_t)(n - 2));
		size -= n;
	}
}

void build_meta(struct build *b, const uint8_t *meta, uint8_t len)
{
	if (len > 0)
		build_ext(b, EXT_META, meta, len);
}

void build_retry_after(struct build *b, uint32_t milliseconds)
{
	be32 value = put32(milliseconds);

	if (milliseconds)
		build_ext(b, EXT_RETRY_AFTER, &value, sizeof(value));
}

void build_attempt(struct build *b, uint64_t attempt)
{
	be64 value = put64(attempt);

	if (attempt)
		build_ext(b, EXT_ATTEMPT, &value, sizeof(value));
}

void build_available(struct build *b, uint32_t chunks)
{
	be32 value = put32(chunks);

	build_ext(b, EXT_AVAILABLE, &value, sizeof(value));
}

void build_payload(struct build *b, const uint8_t *bytes, size_t len)
{
	uint8_t *p = build_room(b, len);

	if (p)
		field_put(p, bytes, len);
}

size_t build_end(struct build *b)
{
	return b->failed ? 0 : b->len;
}

size_t build_end_auth(struct build *b, const uint8_t pair_key[PAIR_KEY_SIZE])
{
	size_t len = b->len;
	uint8_t *trailer = build_room(b, TRAILER_SIZE);

	if (!trailer)
		return 0;
	trailer_make(pair_key, b->buf, len, trailer);
	return build_end(b);
}
