/* SPDX-License-Identifier: BSD-3-Clause
 * What RAM had is noted, and read back after the next start, the best first, as far as nobody
 * has to leave for it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/slab_pieces.h"
#include "tests/unit/store_box.h"

#define FEW 20
#define MANY 30 /* LONG ones: three times as much as memory has */

static int hot_set_up(void **state)
{
	int ret = set_up(state);

	forgets = false;
	return ret;
}

static bool here(uint64_t seed, uint64_t length)
{
	const struct blob_name name = name_of(seed, length);

	return store_find(&store, &name) != NULL;
}

static void touch(uint64_t seed, uint64_t length)
{
	const struct blob_name name = name_of(seed, length);
	const struct piece *p = store_find(&store, &name);

	assert_non_null(p);
	cache_touch(cache_reader(store.cache, 0), (uint32_t)(p - slab.pieces));
}

static void put_few(void)
{
	for (uint64_t i = 0; i < FEW; i++)
		assert_int_equal(put(i, SHORT), 0);
	assert_int_equal(put(FEW, LONG), 0);
	check(FEW, LONG); /* most of it left RAM while it came */
}

static void all_back(void)
{
	settle();
	for (uint64_t i = 0; i < FEW; i++)
		assert_true(here(i, SHORT));
	for (uint32_t i = 0; i < piece_count(LONG); i++) {
		const struct blob_name name = name_of(FEW, LONG);

		assert_non_null(store_find_piece(&store, &name, i));
	}
	assert_int_equal(store.counters.read_back, FEW + piece_count(LONG));
	for (uint64_t i = 0; i < FEW; i++)
		check(i, SHORT);
	check(FEW, LONG);
	assert_int_equal(store.counters.loads, FEW + piece_count(LONG));
}

/* What fails is not noted at the end. */
static void break_engine(void)
{
	fail_commit = -EIO;
	assert_int_equal(put(1000, SHORT), -EIO);
	fail_commit = 0;
}

static void test_after_a_stop(void **state)
{
	(void)state;
	put_few();
	restart();
	all_back();
}

static void test_after_a_crash(void **state)
{
	(void)state;
	put_few();
	later(59);
	break_engine();
	restart();
	settle();
	assert_int_equal(store.counters.read_back, 0);
	for (uint64_t i = 0; i < FEW; i++)
		check(i, SHORT);
	check(FEW, LONG);
	later(61); /* the minute is over */
	break_engine();
	restart();
	all_back();
}

/* One that is stopped before all is back leaves the list as it was. */
static void test_stopped_at_once(void **state)
{
	(void)state;
	put_few();
	restart(); /* settle() within stop() polls, but draining reads nothing back */
	store_drain(&store);
	stop();
	start();
	all_back();
}

/* Those that were asked for come first, none is evicted, and some room is left. */
static void test_best_first(void **state)
{
	uint64_t back = 0;

	(void)state;
	for (uint64_t i = 0; i < 6; i++)
		assert_int_equal(put(i, SHORT), 0);
	for (uint64_t i = 0; i < MANY; i++) {
		for (uint64_t k = 0; k < 6; k++)
			if (here(k, SHORT) && k % 2 == 0)
				touch(k, SHORT);
		assert_int_equal(put(100 + i, LONG), 0);
	}
	assert_true(store.counters.evicted > 0);
	restart();
	settle();
	for (uint64_t k = 0; k < 6; k += 2)
		assert_true(here(k, SHORT));
	for (uint64_t i = 0; i < MANY; i++)
		back += here(100 + i, LONG);
	assert_true(back > 0);
	assert_int_equal(store.counters.evicted, 0);
	assert_true(slab_room(&slab, CLASS_EXTENTS) > 0);
	/* they are known as what was asked for before: not the first to go */
	for (uint64_t i = 0; i < 3; i++)
		check(100 + i, LONG);
	for (uint64_t i = 0; i < 2; i++)
		assert_int_equal(put(200 + i, LONG), 0);
	assert_true(store.counters.evicted > 0);
	for (uint64_t k = 0; k < 6; k += 2)
		assert_true(here(k, SHORT));
}

static void noted(struct store_note *n, int ret)
{
	(void)n;
	result = ret;
}

static void note_write(const void *bytes, size_t size)
{
	struct store_note n = {
		.name = "hot", .bytes = (void *)(uintptr_t)bytes, .size = size, .fn = noted};

	store_note_write(&store, &n);
	settle();
	assert_int_equal(result, 0);
}

/* Whatever the disk makes of it. */
static void test_garbage(void **state)
{
	static uint8_t garbage[50 * 40000];
	static const size_t sizes[] = {1, 50, 57, 500, sizeof(garbage)};

	(void)state;
	for (size_t i = 0; i < sizeof(garbage); i++)
		garbage[i] = (uint8_t)(i * 2654435761u >> 11);
	put_few();
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		note_write(garbage, sizes[i]);
		break_engine();
		restart();
		settle();
		assert_false(store.failed);
		assert_int_equal(store.counters.loads, 0);
		assert_int_equal(store.counters.load_failures, 0);
	}
	check(1, SHORT);
}

/* A disk at rest is left at rest. */
static void test_nothing_new(void **state)
{
	(void)state;
	put_few();
	later(61);
	note_write(NULL, 0);
	later(61);
	break_engine();
	restart();
	settle();
	assert_int_equal(store.counters.read_back, 0); /* it was not written again */
	check(1, SHORT);
	later(61);
	break_engine();
	restart();
	settle();
	assert_int_equal(store.counters.read_back, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, hot_set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_after_a_stop), TEST(test_after_a_crash), TEST(test_stopped_at_once),
		TEST(test_best_first),	 TEST(test_garbage),	   TEST(test_nothing_new),
	};

	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
