/* SPDX-License-Identifier: BSD-3-Clause
 * What leaves RAM, and what does not.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "store/cache.h"

#define ENTRIES 1000
#define KEEP 100 /* that are here at once */

static struct cache *c;
static uint32_t here, next_no;
static uint64_t key_of[ENTRIES];
static uint32_t free_no[ENTRIES], free_count;

static int set_up(void **state)
{
	(void)state;
	here = next_no = free_count = 0;
	return cache_create(&c, ENTRIES, 2);
}

static int tear_down(void **state)
{
	(void)state;
	cache_destroy(c);
	return 0;
}

static uint64_t hash_of(uint64_t key)
{
	key = (key ^ key >> 31) * UINT64_C(0x94d049bb133111eb);
	return (key ^ key >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
}

static uint32_t evict(void)
{
	const uint32_t no = cache_evict(c);

	assert_int_not_equal(no, CACHE_NONE);
	assert_false(cache_holds(c, no));
	free_no[free_count++] = no;
	here--;
	return no;
}

static uint32_t add_expected(uint64_t key, bool expected)
{
	uint32_t no;

	while (here >= KEEP)
		evict();
	no = free_count > 0 ? free_no[--free_count] : next_no++;
	key_of[no] = key;
	cache_add(c, no, hash_of(key), 1, expected);
	here++;
	return no;
}

static uint32_t add(uint64_t key)
{
	return add_expected(key, false);
}

static void touch(unsigned int reader, uint32_t no)
{
	cache_touch(cache_reader(c, reader), no);
}

static void test_unasked_goes_in_the_order_it_came(void **state)
{
	(void)state;
	for (uint64_t k = 0; k < KEEP; k++)
		add(k);
	for (uint64_t k = 0; k < KEEP; k++)
		assert_int_equal(key_of[evict()], k);
	assert_int_equal(cache_evict(c), CACHE_NONE);
}

/* Thousands that are asked for once do not drive out what is asked for again. */
static void test_scan_passes_through(void **state)
{
	uint32_t hot[10];

	(void)state;
	for (uint64_t k = 0; k < 10; k++)
		hot[k] = add(k);
	for (uint64_t k = 0; k < 10; k++)
		touch(k % 2, hot[k]); /* whichever reader it is */
	for (uint64_t k = 1000; k < 1000 + KEEP; k++)
		add(k);
	for (uint64_t k = 2000; k < 12000; k++) {
		if (k % 50 == 0)
			for (unsigned int i = 0; i < 10; i++)
				touch(0, hot[i]);
		add(k);
	}
	for (unsigned int i = 0; i < 10; i++) {
		assert_true(cache_holds(c, hot[i]));
		assert_int_equal(key_of[hot[i]], i);
	}
}

/* And once nobody asks for it any more, it goes as well. */
static void test_cools_down(void **state)
{
	uint32_t hot = add(1);

	(void)state;
	for (uint64_t k = 1000; k < 1000 + 3 * KEEP; k++) {
		touch(0, hot);
		add(k);
	}
	assert_true(cache_holds(c, hot));
	for (uint64_t k = 2000; k < 2000 + 20 * KEEP && cache_holds(c, hot) && key_of[hot] == 1;
	     k++)
		touch(1, add(k)); /* others are asked for now */
	assert_true(key_of[hot] != 1 || !cache_holds(c, hot));
}

/* Who caused it to be here asks for it: no sign that others will. */
static void test_expected_touch_does_not_count(void **state)
{
	uint32_t once = add_expected(1, true), twice = add_expected(2, true);

	(void)state;
	touch(0, once);
	touch(0, twice);
	for (uint64_t k = 1000; k < 1000 + KEEP; k++)
		add(k);
	/* both had another round, at whose end: */
	touch(0, twice);
	for (uint64_t k = 2000; k < 2000 + 2 * KEEP; k++)
		add(k);
	assert_true(key_of[once] != 1 || !cache_holds(c, once));
	assert_true(cache_holds(c, twice));
	assert_int_equal(key_of[twice], 2);
}

/* What comes back soon after it went was worth keeping. */
static void test_comes_back(void **state)
{
	uint32_t no;

	(void)state;
	for (uint64_t k = 0; k < KEEP; k++) /* the main queue has something */
		touch(0, add(k));
	for (uint64_t k = 1000; k < 1000 + 2 * KEEP; k++)
		add(k);
	no = add(1000 + 2 * KEEP - 15); /* gone, a moment ago */
	for (uint64_t k = 2000; k < 2000 + KEEP / 2; k++)
		add(k);
	assert_true(cache_holds(c, no));
	assert_int_equal(key_of[no], 1000 + 2 * KEEP - 15);
}

/* Where all are asked for all the time, one goes all the same. */
static void test_all_hot(void **state)
{
	(void)state;
	for (uint64_t k = 0; k < KEEP; k++)
		add(k);
	for (uint64_t k = 1000; k < 1000 + 10 * KEEP; k++) {
		for (uint32_t no = 0; no < ENTRIES; no++)
			if (cache_holds(c, no))
				touch(k % 2, no);
		add(k);
	}
	assert_int_equal(here, KEEP);
}

/* A long one counts for what it takes. */
static void test_weights(void **state)
{
	(void)state;
	cache_add(c, 0, hash_of(1), 1000, false);
	touch(0, 0);
	for (uint32_t no = 1; no < 50; no++)
		cache_add(c, no, hash_of(no + 1), 1, false);
	/* the small queue, which the long one overfills, sends it to the main one */
	assert_int_equal(cache_evict(c), 1);
	/* and has less than its tenth now: the long one must be the next, untouched since */
	assert_int_equal(cache_evict(c), 0);
	assert_int_equal(cache_evict(c), 2);
	cache_remove(c, 3);
	assert_int_equal(cache_evict(c), 4);
}

static void test_touch_sets_one_bit_of_its_reader(void **state)
{
	(void)state;
	touch(1, 70);
	assert_int_equal(cache_reader(c, 1)[1], UINT64_C(1) << 6);
	assert_int_equal(cache_reader(c, 1)[0], 0);
	assert_int_equal(cache_reader(c, 0)[1], 0);
	/* no two readers share a cache line */
	assert_true((uintptr_t)cache_reader(c, 0) % 64 == 0);
	assert_true((uintptr_t)cache_reader(c, 1) % 64 == 0);
	assert_true((uintptr_t)cache_reader(c, 1) >= (uintptr_t)cache_reader(c, 0) + ENTRIES / 8);
}

/* What is to be here again after the next start, the best first. */
static void test_rank(void **state)
{
	uint32_t expected, small, asked, main_no;

	(void)state;
	assert_int_equal(cache_rank(c, 5), 0);
	expected = add_expected(1, true);
	small = add(2);
	asked = add(3);
	touch(1, asked);
	cache_remember(c, hash_of(4));
	main_no = add(4);
	assert_int_equal(cache_rank(c, expected), 1);
	assert_int_equal(cache_rank(c, small), 2);
	assert_int_equal(cache_rank(c, asked), 3);
	assert_int_equal(cache_rank(c, main_no), CACHE_RANK_MAIN);
	touch(0, main_no);
	touch(1, main_no);
	assert_int_equal(cache_rank(c, main_no), CACHE_RANK_MAIN + 1);
	/* looking at it has not used the touch up */
	assert_int_equal(evict(), expected);
	assert_int_equal(evict(), small);
	assert_int_equal(cache_rank(c, small), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_unasked_goes_in_the_order_it_came),
		TEST(test_scan_passes_through),
		TEST(test_cools_down),
		TEST(test_expected_touch_does_not_count),
		TEST(test_comes_back),
		TEST(test_all_hot),
		TEST(test_weights),
		TEST(test_rank),
		TEST(test_touch_sets_one_bit_of_its_reader),
	};

	return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
