/* SPDX-License-Identifier: BSD-3-Clause
 * Where each chunk is: here, in flight, or to be asked for again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/pulls.h"

static struct pulls q;
static void *memory;

static void begin(uint32_t chunks)
{
	const uint64_t length = (uint64_t)chunks * CHUNK_SIZE;

	free(memory);
	memory = calloc(1, pulls_memory(length) + 8);
	assert_non_null(memory);
	pulls_init(&q, length, memory);
}

static int finish(void **state)
{
	(void)state;
	free(memory);
	memory = NULL;
	return 0;
}

static void sums_check(void)
{
	uint32_t flight = 0, lost = 0, have = 0, i;
	struct pull_request *r;

	for (r = pulls_oldest(&q); r != NULL; r = pulls_from(&q, r->number + 1))
		flight += (uint32_t)__builtin_popcount(r->missing);
	for (i = 0; i < q.chunks; i++) {
		have += pulls_has(&q, i);
		lost += q.lost_bits[i / 64] >> i % 64 & 1;
	}
	assert_int_equal(flight, q.flight);
	assert_int_equal(lost, q.lost);
	assert_int_equal(have, q.have);
	assert_int_equal(q.have + q.flight + q.lost, q.next);
}

static void make(uint32_t n, uint32_t number, uint32_t first, uint32_t mask)
{
	struct pull_request *r = pulls_make(&q, n);

	assert_int_equal(r->number, number);
	assert_int_equal(r->first, first);
	assert_int_equal(r->asked, mask);
	assert_int_equal(r->missing, mask);
	sums_check();
}

static void test_order(void **state)
{
	(void)state;
	begin(100);
	assert_int_equal(pulls_ready(&q), 100);
	make(10, 1, 0, 0x3ff);
	make(32, 2, 10, 0x3fffff); /* up to a multiple of 32 */
	make(32, 3, 32, 0xffffffff);
	q.limit = 66;
	assert_int_equal(pulls_ready(&q), 2);
	make(32, 4, 64, 3);
	assert_int_equal(pulls_ready(&q), 0);
	q.limit = 100;
	make(1, 5, 66, 1);
	make(32, 6, 67, 0x1fffffff);
	make(32, 7, 96, 0xf);
	assert_int_equal(pulls_ready(&q), 0);
	assert_int_equal(q.flight, 100);
}

/* What is here already is not asked for. */
static void test_begin_at(void **state)
{
	(void)state;
	for (uint32_t n = 63; n <= 65; n++) {
		begin(200);
		pulls_begin_at(&q, n);
		sums_check();
		assert_true(pulls_has(&q, 0) && pulls_has(&q, n - 1) && !pulls_has(&q, n));
		assert_int_equal(pulls_ready(&q), 200 - n);
		make(1, 1, n, 1);
	}
}

/* Nor what is here in between: the rest below it is asked for like what is lost. */
static void test_restore(void **state)
{
	static const uint8_t have[13] = {[0] = 0x05, [3] = 0x80, [9] = 0xff, [12] = 0x01};

	(void)state;
	begin(100);
	pulls_restore(&q, have);
	sums_check();
	assert_int_equal(q.have, 12);
	assert_int_equal(q.next, 97);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(pulls_has(&q, i), have[i / 8] >> i % 8 & 1);
	make(2, 1, 1, 0x5); /* 1 and 3 */
	assert_int_equal(pulls_ready(&q), 97 - 12 - 2);
	begin(100);
	pulls_restore(&q, (const uint8_t[13]){0});
	sums_check();
	assert_int_equal(pulls_ready(&q), 100);
}

static void test_lost_go_first(void **state)
{
	(void)state;
	begin(200);
	make(32, 1, 0, 0xffffffff);
	make(32, 2, 32, 0xffffffff);
	pulls_take(&q, pulls_find(&q, 1), 0);
	assert_int_equal(pulls_lose(&q, pulls_find(&q, 2), 0x80000001), 2);
	assert_int_equal(pulls_lose(&q, pulls_find(&q, 1), 0x00000005), 1); /* 0 is here */
	assert_int_equal(pulls_ready(&q), 3);
	/* 2 and 32 fit one mask, 63 does not */
	make(10, 3, 2, 1 | 1U << 30);
	make(10, 4, 63, 1);
	make(10, 5, 64, 0x3ff);
	/* no more than were asked for */
	pulls_lose(&q, pulls_find(&q, 2), 0x0ffffffe);
	make(5, 6, 33, 0x1f);
	assert_int_equal(q.lost, 22);
}

/* A chunk comes after it was given up, once before it is asked for again, once after. */
static void test_late(void **state)
{
	(void)state;
	begin(20);
	make(10, 1, 0, 0x3ff);
	pulls_lose(&q, pulls_find(&q, 1), 3);
	pulls_take(&q, pulls_find(&q, 1), 0);
	sums_check();
	assert_int_equal(q.lost, 1);
	make(2, 2, 1, 1);
	pulls_take(&q, pulls_find(&q, 1), 1);
	sums_check();
	assert_int_equal(q.flight, 8);
	assert_int_equal(pulls_find(&q, 2)->missing, 0);
	pulls_take(&q, NULL, 2); /* its PULL is not known any more */
	sums_check();
	assert_int_equal(q.flight, 7);
}

static void test_find(void **state)
{
	uint32_t i, number = 0;

	(void)state;
	begin(100000);
	assert_null(pulls_oldest(&q));
	assert_null(pulls_find(&q, 0));
	assert_null(pulls_find(&q, 1));
	for (i = 0; i < PULLS_MAX; i++) {
		assert_false(pulls_full(&q));
		number = pulls_make(&q, 1)->number;
	}
	assert_true(pulls_full(&q));
	assert_int_equal(number, PULLS_MAX);
	assert_int_equal(pulls_from(&q, 0)->number, 1);
	assert_int_equal(pulls_from(&q, 77)->number, 77);
	assert_null(pulls_from(&q, number + 1));
	/* one hole in front keeps the ring full */
	for (i = 1; i < PULLS_MAX; i++)
		pulls_take(&q, pulls_find(&q, i + 1), i);
	assert_true(pulls_full(&q));
	assert_int_equal(pulls_oldest(&q)->number, 1);
	pulls_take(&q, pulls_find(&q, 1), 0);
	assert_false(pulls_full(&q));
	assert_null(pulls_oldest(&q));
	assert_null(pulls_from(&q, 1));
	/* those that miss nothing are found until their place is taken */
	assert_non_null(pulls_find(&q, 1));
	pulls_make(&q, 1);
	assert_null(pulls_find(&q, 1));
	assert_non_null(pulls_find(&q, 2));
	assert_int_equal(pulls_from(&q, 1)->number, PULLS_MAX + 1);
	sums_check();
}

/* The memory of a short blob is short, and of an empty one none. */
static void test_memory(void **state)
{
	(void)state;
	assert_int_equal(pulls_memory(0), 0);
	assert_true(pulls_memory(1) < 8192);
	assert_true(pulls_memory(BLOB_MAX_LENGTH) < 16000000);
	begin(0);
	assert_int_equal(pulls_ready(&q), 0);
	assert_null(pulls_find(&q, 1));
	assert_false(pulls_has(&q, 0));
}

/* Whatever happens in whatever order, each chunk is in one place. */
static void test_random(void **state)
{
	uint64_t random = 88172645463325252;
	struct pull_request *r;

	(void)state;
	begin(3000);
	for (int i = 0; i < 100000 && q.have < q.chunks; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		if (random % 8 < 3 && pulls_ready(&q) > 0 && !pulls_full(&q)) {
			pulls_make(&q, 1 + random / 8 % 32);
		} else if (q.next > 0) {
			uint32_t chunk = (uint32_t)(random / 8 % q.next);
			uint32_t number = (uint32_t)(random >> 20) % q.number;

			r = pulls_find(&q, number);
			if (random % 8 == 7 && r != NULL)
				pulls_lose(&q, r, (uint32_t)(random >> 32));
			else if (!pulls_has(&q, chunk))
				pulls_take(&q, r != NULL && pull_asked(r, chunk) ? r : NULL, chunk);
		}
		if (i % 64 == 0)
			sums_check();
	}
	assert_int_equal(q.have, q.chunks);
	sums_check();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_order, finish),
		cmocka_unit_test_teardown(test_lost_go_first, finish),
		cmocka_unit_test_teardown(test_begin_at, finish),
		cmocka_unit_test_teardown(test_restore, finish),
		cmocka_unit_test_teardown(test_late, finish),
		cmocka_unit_test_teardown(test_find, finish),
		cmocka_unit_test_teardown(test_memory, finish),
		cmocka_unit_test_teardown(test_random, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
