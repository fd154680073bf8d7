/* SPDX-License-Identifier: BSD-3-Clause
 * What a source says of the beginning of its blob: that is read again only behind the newest of
 * the states that its first pass left.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/lib/prefix.h"

#define MIB (UINT64_C(1) << 20)
#define LENGTH (20 * MIB + 77)

static uint8_t *bytes;
static struct input blob;
static struct prefix prefix;

static int setup(void **state)
{
	(void)state;
	bytes = malloc(LENGTH);
	assert_non_null(bytes);
	for (uint64_t i = 0; i < LENGTH; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 17);
	memset(&prefix, 0, sizeof(prefix));
	return input_open_memory(&blob, bytes, LENGTH);
}

static int teardown(void **state)
{
	(void)state;
	prefix_free(&prefix);
	input_close(&blob);
	free(bytes);
	return 0;
}

/* As a sender does it. */
static void first_pass(uint8_t rule)
{
	struct ident_state *hash = ident_begin(rule);

	prefix_pass(&prefix, LENGTH);
	for (uint64_t at = 0; at < LENGTH;) {
		const uint64_t n = LENGTH - at < INPUT_PIECE ? LENGTH - at : INPUT_PIECE;

		ident_update(hash, bytes + at, n);
		at += n;
		prefix_mark(&prefix, hash, at);
	}
	ident_free(hash);
}

static struct ident ident_of(uint8_t rule, uint64_t length)
{
	struct ident_state *hash = ident_begin(rule);
	struct ident id;

	ident_update(hash, bytes, length);
	ident_final(hash, &id);
	ident_free(hash);
	return id;
}

/* It vouches, rightly, for so many chunks. */
static void vouch_say(uint8_t rule, uint32_t chunks, const struct ident *id)
{
	struct challenge c;
	int ret;

	memset(&c, (int)(chunks % 251), sizeof(c));
	prefix_ask(&prefix, &c, chunks);
	while ((ret = prefix_run(&prefix, &blob, rule, UINT64_MAX - 1)) == 0)
		continue;
	assert_int_equal(ret, 1);
	assert_true(vouch_check(&prefix.vouch, id, chunks));
}

static void read_behind_the_newest(void **state)
{
	static const uint32_t chunks[] = {1, 5 * MIB / CHUNK_SIZE, 8 * MIB / CHUNK_SIZE + 1,
					  17 * MIB / CHUNK_SIZE, LENGTH / CHUNK_SIZE};
	enum { COUNT = sizeof(chunks) / sizeof(chunks[0]) };
	struct ident id[RULE_COUNT][COUNT];

	(void)state;
	for (uint8_t rule = RULE_SHA256; rule < RULE_COUNT; rule++)
		for (unsigned int i = 0; i < COUNT; i++)
			id[rule][i] = ident_of(rule, (uint64_t)chunks[i] * CHUNK_SIZE);
	for (uint8_t rule = RULE_SHA256; rule < RULE_COUNT; rule++) {
		first_pass(rule);
		assert_int_equal(prefix.marks, 2);
		for (unsigned int i = 0; i < COUNT; i++)
			vouch_say(rule, chunks[i], &id[rule][i]);
	}
	/* what is before them is not looked at any more */
	first_pass(RULE_SHA256);
	memset(bytes, 0, 16 * MIB);
	vouch_say(RULE_SHA256, chunks[3], &id[RULE_SHA256][3]);
	vouch_say(RULE_SHA256, chunks[4], &id[RULE_SHA256][4]);
}

/* Their number is bounded, whatever the length. */
static void few_marks(void **state)
{
	struct ident_state *hash = ident_begin(RULE_SHA256);
	const uint64_t length = UINT64_C(64) << 30;

	(void)state;
	prefix_pass(&prefix, length);
	for (uint64_t at = INPUT_PIECE; at <= length; at += INPUT_PIECE)
		prefix_mark(&prefix, hash, at);
	assert_in_range(prefix.marks, PREFIX_MARKS / 2, PREFIX_MARKS);
	ident_free(hash);
	prefix_pass(&prefix, LENGTH);
	assert_int_equal(prefix.marks, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(read_behind_the_newest),
		TEST(few_marks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
