/* SPDX-License-Identifier: BSD-3-Clause
 * What the encoders share: a frame is built front to back, and whatever does
 * not fit makes build_end() return 0. For the X_encode() functions only.
 */
#ifndef WIRE_BUILD_H
#define WIRE_BUILD_H

#include "wire/frame.h"

/* Bytes an extension takes with a value of len bytes. */
#define EXT_BYTES(len) (((size_t)(len) + 2 + 3) & ~(size_t)3)
#define EXT_MAX 1020 /* of all extensions: 4 * 255 */

struct build {
	uint8_t *buf;
	size_t cap;
	size_t len;
	bool failed;
};

/* Writes the header and zeros the body, which it returns; NULL if it does not fit. */
void *build_begin(struct build *b, uint8_t *buf, size_t cap, uint8_t verb, uint8_t flags,
		  uint32_t key, uint64_t conn);
/* Extensions come in ascending order of type. */
void build_ext(struct build *b, uint8_t type, const void *value, uint8_t len);
/* PAD extensions of `size` bytes in all, a multiple of 4. */
void build_pad(struct build *b, size_t size);
/* EXT_META unless its length is 0. */
void build_meta(struct build *b, const uint8_t *meta, uint8_t len);
/* EXT_RETRY_AFTER unless it is 0. */
void build_retry_after(struct build *b, uint32_t milliseconds);
/* EXT_ATTEMPT unless it is 0. */
void build_attempt(struct build *b, uint64_t attempt);
void build_available(struct build *b, uint32_t chunks);
/* bytes NULL: room is left for the caller's. */
void build_payload(struct build *b, const uint8_t *bytes, size_t len);
size_t build_end(struct build *b);
/* The trailer, then build_end(); WIRE_AUTH was among the flags. */
size_t build_end_auth(struct build *b, const uint8_t pair_key[PAIR_KEY_SIZE]);

/* A field that may be absent: NULL leaves the zeros of the body. */
static inline void field_put(void *field, const void *value, size_t size)
{
	if (value)
		memcpy(field, value, size);
}

/* Absent counts as zeros, as field_put() has it. */
static inline bool field_is_zero(const void *field, size_t size)
{
	const uint8_t *b = field;

	for (size_t i = 0; b && i < size; i++)
		if (b[i] != 0)
			return false;
	return true;
}

static inline bool rule_valid(uint8_t rule)
{
	return rule >= 1 && rule < RULE_COUNT;
}

/* Only a refusal has a reason. Which ones there are may grow. */
static inline bool reason_valid(uint8_t reason, bool refused)
{
	return refused || reason == REFUSE_NONE;
}

/* A target has three. */
static inline bool receipt_reason_valid(uint8_t code, uint8_t reason)
{
	if (code != RECEIPT_REFUSED)
		return reason == REFUSE_NONE;
	return reason == REFUSE_TARGET_DECLINED || reason == REFUSE_TARGET_FAILED ||
	       reason == REFUSE_TARGET_STOPPED;
}

static inline bool code_valid(uint8_t code, unsigned int count)
{
	return code >= 1 && code < count;
}

#endif
