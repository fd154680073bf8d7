/* SPDX-License-Identifier: BSD-3-Clause
 * Extensions: order, lengths, the unknown.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/wire_frames.h"

/* A LISTENING with `len` bytes (a multiple of 4) of extensions behind it; the
 * buffer ends with the frame, so that a sanitizer sees a read beyond it. */
static enum drop parse(const uint8_t *ext, size_t len, struct frame *f)
{
	static uint8_t *copy;
	const struct listening l = {.number = 1, .seconds = 2};
	uint8_t head[WIRE_MAX_FRAME];
	size_t n = listening_encode(head, sizeof(head), SAMPLE_KEY, SAMPLE_CONN, &l);

	free(copy);
	copy = malloc(n + len);
	assert_non_null(copy);
	memcpy(copy, head, n);
	memcpy(copy + n, ext, len);
	copy[3] = (uint8_t)(len / 4);
	return frame_parse(copy, n + len, f);
}

#define PARSE(f, ...) \
	parse((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), f)

static void test_known(void **state)
{
	struct frame f;

	(void)state;
	assert_int_equal(PARSE(&f, EXT_META, 3, 'a', 'b', 'c', 0, 0, 0, EXT_VERSIONS, 2, 1, 2,
			       EXT_RETRY_AFTER, 4, 0, 1, 2, 3, 0, 0, EXT_PAD, 2, 0, 0),
			 DROP_NONE);
	assert_int_equal(f.meta_len, 3);
	assert_memory_equal(f.meta, "abc", 3);
	assert_int_equal(f.versions_len, 2);
	assert_memory_equal(f.versions, "\1\2", 2);
	assert_int_equal(f.retry_after, 0x010203);
	assert_null(f.holder);
	assert_int_equal(f.payload_len, 0);
}

static void test_none(void **state)
{
	struct frame f;

	(void)state;
	assert_int_equal(parse((const uint8_t *)"", 0, &f), DROP_NONE);
	assert_null(f.meta);
	assert_null(f.versions);
	assert_null(f.holder);
	assert_int_equal(f.retry_after, 0);
	assert_int_equal(f.meta_len, 0);
}

/* Every length of value, in exactly the bytes it needs and in 4 fewer. */
static void test_lengths(void **state)
{
	uint8_t ext[260] = {EXT_META};
	struct frame f;

	(void)state;
	for (unsigned int len = 0; len <= META_MAX; len++) {
		size_t size = (2 + len + 3) / 4 * 4;

		ext[1] = (uint8_t)len;
		assert_int_equal(parse(ext, size, &f), DROP_NONE);
		assert_int_equal(f.meta_len, len);
		assert_int_equal(f.meta != NULL, len > 0);
		if (size > 4)
			assert_int_equal(parse(ext, size - 4, &f), DROP_EXT);
	}
}

static void test_overrun(void **state)
{
	struct frame f;

	(void)state;
	assert_int_equal(PARSE(&f, EXT_PAD, 3, 0, 0), DROP_EXT);
	assert_int_equal(PARSE(&f, EXT_PAD, 255, 0, 0), DROP_EXT);
	assert_int_equal(PARSE(&f, EXT_META, 2, 'a', 'b', EXT_PAD, 3, 0, 0), DROP_EXT);
}

/* More extensions announced than the frame has bytes. */
static void test_overrun_frame(void **state)
{
	uint8_t buf[64];
	const struct listening l = {.number = 1};
	size_t n = listening_encode(buf, sizeof(buf), 0, 1, &l);
	struct frame f;

	(void)state;
	for (unsigned int ext = 1; ext < 256; ext++) {
		buf[3] = (uint8_t)ext;
		assert_int_equal(frame_parse(buf, n, &f), DROP_EXT);
	}
}

static void test_order(void **state)
{
	struct frame f;

	(void)state;
	assert_int_equal(PARSE(&f, EXT_VERSIONS, 1, 1, 0, EXT_META, 1, 'a', 0), DROP_EXT);
	assert_int_equal(PARSE(&f, EXT_PAD, 2, 0, 0, EXT_META, 1, 'a', 0), DROP_EXT);
	assert_int_equal(PARSE(&f, EXT_META, 1, 'a', 0, EXT_META, 1, 'b', 0), DROP_EXT);
	assert_int_equal(PARSE(&f, 0x70, 0, 0, 0, 0x70, 0, 0, 0), DROP_EXT);
	assert_int_equal(PARSE(&f, 0, 2, 0, 0), DROP_EXT); /* no type is 0 */
}

static void test_pad(void **state)
{
	struct frame f;

	(void)state;
	assert_int_equal(PARSE(&f, EXT_PAD, 0, 0, 0, EXT_PAD, 2, 7, 7, EXT_PAD, 1, 0, 0),
			 DROP_NONE);
	/* What fills a value up to a multiple of 4 is zero. */
	assert_int_equal(PARSE(&f, EXT_PAD, 1, 0, 1), DROP_EXT);
	assert_int_equal(PARSE(&f, EXT_PAD, 0, 1, 0), DROP_EXT);
	assert_int_equal(PARSE(&f, EXT_META, 3, 'a', 'b', 'c', 0, 0, 1), DROP_EXT);
}

static void test_unknown(void **state)
{
	struct frame f;

	(void)state;
	assert_int_equal(PARSE(&f, EXT_META, 1, 'a', 0, 0x7f, 2, 1, 2), DROP_NONE);
	assert_memory_equal(f.meta, "a", 1);
	for (unsigned int type = 0x80; type < 256; type++)
		if (type != EXT_HOLDER && type != EXT_SEALED_KEY)
			assert_int_equal(PARSE(&f, (uint8_t)type, 2, 0, 0), DROP_EXT_CRITICAL);
	/* Enough is known for an ERROR to who sent it. */
	assert_int_equal(f.verb, VERB_LISTENING);
	assert_int_equal(f.key, SAMPLE_KEY);
	assert_true(f.conn == SAMPLE_CONN);
	/* Reserved ones that need not be understood are skipped. */
	assert_int_equal(PARSE(&f, EXT_META_MAC, 2, 9, 9, EXT_PUSH_CREDIT, 2, 9, 9), DROP_NONE);
}

static void test_retry_after(void **state)
{
	struct frame f;

	(void)state;
	assert_int_equal(PARSE(&f, EXT_RETRY_AFTER, 2, 0, 0), DROP_EXT);
	assert_int_equal(PARSE(&f, EXT_RETRY_AFTER, 5, 0, 0, 0, 0, 0, 0), DROP_EXT);
}

static void test_holder(void **state)
{
	uint8_t ext[24] = {EXT_HOLDER, sizeof(struct addr)};
	struct frame f;

	(void)state;
	memcpy(ext + 2, &sample_ip6, sizeof(sample_ip6));
	assert_int_equal(parse(ext, sizeof(ext), &f), DROP_NONE);
	assert_true(addr_equal(f.holder, &sample_ip6));
	ext[3] = 1;
	assert_int_equal(parse(ext, sizeof(ext), &f), DROP_FIELD);
	ext[1] = sizeof(struct addr) - 1;
	assert_int_equal(parse(ext, sizeof(ext), &f), DROP_EXT);
}

/* 1020 bytes, the most that a header can announce. */
static void test_most(void **state)
{
	uint8_t ext[1020];
	struct frame f;

	(void)state;
	memset(ext, 0, sizeof(ext));
	for (size_t i = 0; i < sizeof(ext); i += 4)
		ext[i] = EXT_PAD;
	assert_int_equal(parse(ext, sizeof(ext), &f), DROP_NONE);
	ext[1019] = 1;
	assert_int_equal(parse(ext, sizeof(ext), &f), DROP_EXT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),	      cmocka_unit_test(test_none),
		cmocka_unit_test(test_lengths),	      cmocka_unit_test(test_overrun),
		cmocka_unit_test(test_overrun_frame), cmocka_unit_test(test_order),
		cmocka_unit_test(test_pad),	      cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_retry_after),   cmocka_unit_test(test_holder),
		cmocka_unit_test(test_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
