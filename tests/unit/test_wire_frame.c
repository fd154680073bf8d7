/* SPDX-License-Identifier: BSD-3-Clause
 * What holds for every verb, and that nothing malformed gets through. What is
 * particular to one: test_VERB, in test_wire_frame_client.c, _relay.c, _blob.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/wire_frames.h"

#define FROZEN "2a7a9f6b6b2499c9315eb6ed7f325bb4eaab8daace6887483d679f4ce1a7679c"

static uint8_t buf[65536];

/* Runs over every sample, in a buffer that ends where the frame does, so that
 * a sanitizer sees a read beyond it. */
static void test_all_truncated(void **state)
{
	(void)state;
	for (size_t i = 0; i < sample_count; i++) {
		size_t len = samples[i].make(buf, sizeof(buf));

		assert_true(len >= sizeof(struct wire_header));
		for (size_t n = 0; n < len; n++) {
			uint8_t *copy = malloc(n + 1);
			struct frame f;
			enum drop d;

			assert_non_null(copy);
			memcpy(copy + 1, buf, n);
			d = frame_parse(copy + 1, n, &f);
			assert_ptr_equal(f.start, copy + 1);
			assert_int_equal(f.len, n);
			if (d == DROP_NONE)
				d = frame_decode(&f);
			if (samples[i].verb == VERB_DATA && n > DATA_HEAD + buf[3] * 4u)
				assert_int_equal(d, DROP_NONE); /* a shorter last chunk */
			else if (n < sizeof(struct wire_header) + verb_body_size(samples[i].verb))
				assert_int_equal(d, DROP_SHORT);
			else
				assert_int_not_equal(d, DROP_NONE);
			free(copy);
		}
	}
}

static void test_all_one_more(void **state)
{
	(void)state;
	for (size_t i = 0; i < sample_count; i++) {
		size_t len = samples[i].make(buf, sizeof(buf));
		uint8_t verb = samples[i].verb;
		struct frame f;
		enum drop d;

		buf[len] = 0;
		d = frame_parse(buf, len + 1, &f);
		if (d == DROP_NONE)
			d = frame_decode(&f);
		if (verb == VERB_HELLO || verb == VERB_WELCOME || verb == VERB_DATA)
			assert_int_equal(d, DROP_NONE);
		else if (f.flags & WIRE_INLINE && verb == VERB_OFFER)
			assert_int_equal(d, DROP_FIELD);
		else
			assert_int_equal(d, DROP_OVERLONG);
	}
}

static void test_all_overlong(void **state)
{
	(void)state;
	for (size_t i = 0; i < sample_count; i++) {
		uint8_t verb = samples[i].verb;
		struct frame f;
		enum drop d;

		memset(buf, 0, sizeof(buf));
		samples[i].make(buf, sizeof(buf));
		d = frame_parse(buf, WIRE_MAX_FRAME + 1, &f);
		assert_int_equal(d, verb == VERB_HELLO || verb == VERB_WELCOME ? DROP_NONE
									       : DROP_OVERLONG);
	}
}

static void test_all_small_buffers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sample_count; i++) {
		size_t len = samples[i].make(buf, sizeof(buf));

		for (size_t cap = 0; cap <= len; cap++) {
			uint8_t *small = malloc(cap + 1);

			assert_non_null(small);
			assert_int_equal(samples[i].make(small + 1, cap), cap < len ? 0 : len);
			free(small);
		}
	}
}

static void test_all_recoded(void **state)
{
	uint8_t again[WIRE_MAX_FRAME];

	(void)state;
	for (size_t i = 0; i < sample_count; i++) {
		size_t len = samples[i].make(buf, sizeof(buf)), body;
		struct frame f, g;

		assert_int_equal(frame_parse(buf, len, &f), DROP_NONE);
		assert_int_equal(f.verb, samples[i].verb);
		body = sizeof(struct wire_header) + verb_body_size(f.verb);
		len = frame_recode(&f, again, sizeof(again));
		assert_true(len >= body && len <= f.len);
		((struct wire_header *)again)->ext = buf[3]; /* an OFFER loses its padding */
		assert_memory_equal(again, buf, body);
		again[3] = (uint8_t)((len - body - f.payload_len -
				      (f.trailer ? (size_t)TRAILER_SIZE : 0)) /
				     4);
		assert_int_equal(frame_parse(again, len, &g), DROP_NONE);
		assert_int_equal(g.payload_len, f.payload_len);
		assert_memory_equal(g.payload, f.payload, f.payload_len);
	}
}

static void test_all_flags(void **state)
{
	static const uint8_t allowed[VERB_COUNT] = {
		[VERB_WELCOME] = WIRE_CENTRAL | WIRE_BOTH_IP,
		[VERB_QUERY] = WIRE_LEASED | WIRE_HOLDING,
		[VERB_ANSWER] = WIRE_LEASED,
		[VERB_OFFER] = WIRE_INLINE,
		[VERB_PULL] = WIRE_UPLOAD,
		[VERB_DATA] = WIRE_UPLOAD,
		[VERB_NOTICE] = WIRE_ACK,
	};

	(void)state;
	for (size_t i = 0; i < sample_count; i++) {
		size_t len = samples[i].make(buf, sizeof(buf));
		uint8_t was = buf[2];
		struct frame f;

		for (unsigned int bit = 1; bit < 256; bit <<= 1) {
			bool known = bit == WIRE_AUTH || (bit & allowed[samples[i].verb]);

			buf[2] = (uint8_t)(was | bit);
			assert_int_equal(frame_parse(buf, len, &f) == DROP_FLAGS, !known);
		}
	}
}

static void test_all_versions(void **state)
{
	(void)state;
	for (size_t i = 0; i < sample_count; i++) {
		size_t len = samples[i].make(buf, sizeof(buf));
		bool fixed = samples[i].verb == VERB_HELLO || samples[i].verb == VERB_WELCOME;
		struct frame f;

		buf[0] = WIRE_VERSION + 1;
		assert_int_equal(frame_parse(buf, len, &f), fixed ? DROP_NONE : DROP_VERSION);
		buf[0] = 0;
		assert_int_equal(frame_parse(buf, len, &f), fixed ? DROP_NONE : DROP_VERSION);
	}
}

/* A trailer on a verb that does not need one is set apart, not taken as payload. */
static void test_trailer(void **state)
{
	size_t len = samples[12].make(buf, sizeof(buf));
	struct frame f;
	struct data d;

	(void)state;
	assert_int_equal(samples[12].verb, VERB_DATA);
	len -= 100; /* leaves room below WIRE_MAX_FRAME */
	buf[2] |= WIRE_AUTH;
	assert_int_equal(frame_parse(buf, len + TRAILER_SIZE, &f), DROP_NONE);
	assert_ptr_equal(f.trailer, buf + len);
	assert_int_equal(data_decode(&f, &d), DROP_NONE);
	assert_int_equal(d.len, len - DATA_HEAD);
	assert_int_equal(frame_parse(buf, DATA_HEAD + TRAILER_SIZE - 1, &f), DROP_SHORT);
}

static void test_unknown_verbs(void **state)
{
	static const uint8_t unknown[] = {0, VERB_COUNT, 127, 255};
	struct frame f;

	(void)state;
	for (size_t i = 0; i < sizeof(unknown); i++) {
		size_t len = samples[2].make(buf, sizeof(buf));

		buf[1] = unknown[i];
		assert_int_equal(frame_parse(buf, len, &f), DROP_VERB);
		assert_int_equal(f.verb, unknown[i]);
		assert_int_equal(f.key, SAMPLE_KEY);
		assert_true(f.conn == SAMPLE_CONN);
		assert_int_equal(verb_body_size(unknown[i]), 0);
	}
}

/* The bytes of every sample, as peers out there know them. Whoever changes
 * them changes the protocol's version. */
static void test_frozen(void **state)
{
	struct ident_state *s = ident_begin(RULE_SHA256);
	char hex[IDENT_HEX_MAX];
	struct ident all;

	(void)state;
	assert_non_null(s);
	for (size_t i = 0; i < sample_count; i++)
		ident_update(s, buf, samples[i].make(buf, sizeof(buf)));
	ident_final(s, &all);
	ident_free(s);
	assert_string_equal(ident_hex(&all, hex), FROZEN);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(drop_name(DROP_NONE), "none");
	assert_string_equal(drop_name(DROP_EXT_CRITICAL), "ext-critical");
	assert_string_equal(drop_name(DROP_TX_FULL), "tx-full");
	assert_string_equal(drop_name(DROP_COUNT), "unknown");
	assert_string_equal(refuse_text(REFUSE_STORE_FULL), "the relay's store is full");
	for (unsigned int reason = 0; reason < 256; reason++)
		assert_non_null(refuse_text((uint8_t)reason));
}

static void test_sign(void **state)
{
	const struct session s = {{1, 2, 3}}, other = {{3, 2, 1}};
	struct frame f;

	(void)state;
	for (size_t i = 0; i < sample_count; i++) {
		size_t len = samples[i].make(buf, sizeof(buf)), full;

		if (((struct wire_header *)buf)->flags & WIRE_AUTH)
			continue; /* between relays */
		assert_int_equal(frame_parse(buf, len, &f), DROP_NONE);
		assert_false(frame_signed(&f, &s));
		assert_int_equal(frame_sign(buf, len + TRAILER_SIZE - 1, len, &s), 0);
		full = frame_sign(buf, sizeof(buf), len, &s);
		assert_int_equal(full, len + TRAILER_SIZE);
		assert_int_equal(frame_parse(buf, full, &f), DROP_NONE);
		assert_true(frame_signed(&f, &s));
		assert_false(frame_signed(&f, &other));
		assert_int_equal(frame_decode(&f), DROP_NONE);
		for (size_t at = 0; at < full; at++) {
			buf[at] ^= 0x10;
			if (frame_parse(buf, full, &f) == DROP_NONE)
				assert_false(frame_signed(&f, &s));
			buf[at] ^= 0x10;
		}
	}
	assert_int_equal(frame_sign(buf, sizeof(buf), WIRE_MAX_FRAME - TRAILER_SIZE + 1, &s), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sign),
		cmocka_unit_test(test_all_truncated),
		cmocka_unit_test(test_all_one_more),
		cmocka_unit_test(test_all_overlong),
		cmocka_unit_test(test_all_small_buffers),
		cmocka_unit_test(test_all_recoded),
		cmocka_unit_test(test_all_flags),
		cmocka_unit_test(test_all_versions),
		cmocka_unit_test(test_trailer),
		cmocka_unit_test(test_unknown_verbs),
		cmocka_unit_test(test_frozen),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
