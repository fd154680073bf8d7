/* SPDX-License-Identifier: BSD-3-Clause
 * Limits of the store and of its domains: what is refused, and who goes.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/slab_pieces.h"
#include "tests/unit/store_box.h"

static struct store_limits of_domain[2];

static void limits_of(void *ctx, uint32_t domain, struct store_limits *out)
{
	(void)ctx;
	*out = of_domain[domain];
}

static void limit(struct store_limits all, bool refuse)
{
	const struct store_policy p = {.all = all, .refuse = refuse, .of = limits_of};

	store_limit(&store, &p);
	settle();
}

static int limits_set_up(void **state)
{
	memset(of_domain, 0, sizeof(of_domain));
	return set_up(state);
}

static int memory_set_up(void **state)
{
	int ret = limits_set_up(state);

	stop();
	memory_alone = true;
	start();
	return ret;
}

static bool there(uint64_t seed, uint64_t length)
{
	return ask(seed, length, 0, STORE_PRESENCE) == STORE_HERE;
}

/* Those from `first` on are there, and no others. */
static void assert_from(uint64_t first, uint64_t end, uint64_t step, uint64_t length)
{
	for (uint64_t i = 0; i < end; i += step)
		assert_int_equal(there(i, length), i >= first);
}

static void test_the_oldest_go(void **state)
{
	(void)state;
	limit((struct store_limits){.bytes = 4 * LONG}, false);
	for (uint64_t i = 0; i < 10; i++, later(1))
		assert_int_equal(put(i, LONG), 0);
	assert_from(6, 10, 1, LONG);
	assert_int_equal(store_here(&store).bytes, 4 * LONG);
	assert_int_equal(store.counters.trimmed, 6);
	limit((struct store_limits){.blobs = 3}, false);
	assert_from(7, 10, 1, LONG);
	assert_int_equal(put(7, LONG), -EEXIST);
	assert_int_equal(put(10, 1), 0);
	assert_false(there(7, LONG));
	assert_true(there(10, 1));
	restart();
	assert_from(8, 10, 1, LONG);
	assert_int_equal(store_here(&store).blobs, 3);
	check(8, LONG);
}

/* One that could not be here even alone is refused all the same. */
static void test_longer_than_the_limit(void **state)
{
	const struct blob_name name = name_of(1, LONG);
	struct store_put p;

	(void)state;
	assert_int_equal(put(2, SHORT), 0);
	limit((struct store_limits){.bytes = LONG - 1}, false);
	assert_int_equal(store_put_begin(&store, &name, &p), -EFBIG);
	of_domain[1].bytes = LONG - 1;
	limit((struct store_limits){0}, false);
	assert_int_equal(store_put_begin(&store, &name, &p), -EDQUOT);
	assert_true(there(2, SHORT));
	assert_int_equal(store_usage(&store, 1).blobs, 0);
}

/* What is not there yet takes nobody's place: only what has come does. */
static void test_a_promise_evicts_nobody(void **state)
{
	const struct blob_name name = name_of(100, 3 * LONG);
	struct store_put p;

	(void)state;
	limit((struct store_limits){.bytes = 4 * LONG}, false);
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(put(i, LONG), 0);
	assert_int_equal(store_put_begin(&store, &name, &p), 0);
	later(5);
	assert_from(0, 4, 1, LONG);
	assert_int_equal(put_fill(&p, 100), 0);
	settle();
	assert_from(3, 4, 1, LONG);
	put_end(&p); /* it breaks off */
	assert_int_equal(store_here(&store).bytes, LONG);
	assert_int_equal(store_usage(&store, 0).bytes, 0);
}

/* Uploads that are more together than may be: they do not wait for each other for ever. */
static void test_uploads_alone_are_too_much(void **state)
{
	enum { PUTS = 5 };
	const uint64_t length = 30 * (uint64_t)PIECE_SIZE;
	struct store_put p[PUTS];
	unsigned int full = 0;

	(void)state;
	limit((struct store_limits){.bytes = length}, false);
	assert_int_equal(put(50, LONG), 0);
	for (uint64_t i = 0; i < PUTS; i++) {
		const struct blob_name name = name_of(i, length);

		assert_int_equal(store_put_begin(&store, &name, &p[i]), 0);
	}
	/* the others' bytes are there when the last one's come, and nobody else can go */
	for (uint64_t i = 0; i < PUTS; i++)
		full += put_fill(&p[i], i) == -ENOSPC;
	for (uint64_t i = 0; i < PUTS; i++)
		put_end(&p[i]);
	assert_true(full >= 1);
	assert_int_equal(put(51, LONG), 0);
	assert_int_equal(store_here(&store).bytes, LONG);
}

static void test_refused(void **state)
{
	(void)state;
	limit((struct store_limits){.bytes = 2 * LONG, .blobs = 3}, true);
	assert_int_equal(put(1, LONG), 0);
	assert_int_equal(put(2, SHORT), 0);
	assert_int_equal(put(3, LONG), -ENOSPC);
	assert_int_equal(put(3, SHORT), 0);
	assert_int_equal(put(4, 0), -ENOSPC); /* the number */
	assert_true(there(1, LONG) && there(2, SHORT) && there(3, SHORT));
	assert_int_equal(store.counters.trimmed, 0);
	limit((struct store_limits){0}, true);
	assert_int_equal(put(4, LONG), 0);
}

/* A domain's limit is at its own blobs' cost; in memory alone too. */
static void test_of_a_domain(void **state)
{
	(void)state;
	of_domain[1] = (struct store_limits){.blobs = 3};
	limit((struct store_limits){0}, false);
	for (uint64_t i = 0; i < 20; i++, later(1))
		assert_int_equal(put(i, 1000), 0);
	for (uint64_t i = 0; i < 20; i++)
		assert_int_equal(there(i, 1000), i % 2 == 0 || i >= 15);
	of_domain[1] = (struct store_limits){.bytes = 2000};
	limit((struct store_limits){0}, false);
	assert_int_equal(store_usage(&store, 1).blobs, 2);
	assert_int_equal(store_usage(&store, 0).blobs, 10);
	assert_true(there(19, 1000) && there(17, 1000));
	limit((struct store_limits){0}, true);
	assert_int_equal(put(21, 1000), -EDQUOT);
	assert_int_equal(put(22, 1000), 0);
}

/* Without an engine the slab is the store's limit, and no other. */
static void test_memory_has_the_slab(void **state)
{
	(void)state;
	limit((struct store_limits){.bytes = 1000, .blobs = 1}, true);
	for (uint64_t i = 0; i < 5; i++)
		assert_int_equal(put(i, SHORT), 0);
	limit((struct store_limits){.bytes = 1000, .blobs = 1}, false);
	assert_int_equal(put(5, SHORT), 0);
	assert_int_equal(store_here(&store).blobs, 6);
}

static void test_too_old(void **state)
{
	(void)state;
	of_domain[1] = (struct store_limits){.keep_seconds = 10};
	limit((struct store_limits){.keep_seconds = 100}, false);
	for (uint64_t i = 0; i < 200; i++) /* more than are looked at at once */
		assert_int_equal(put(i, 100), 0);
	later(9);
	assert_int_equal(put(201, 100), 0);
	assert_int_equal(store_usage(&store, 1).blobs, 101);
	later(2);
	assert_int_equal(store_usage(&store, 1).blobs, 1);
	assert_int_equal(store_usage(&store, 0).blobs, 100);
	assert_int_equal(store.counters.expired, 100);
	later(9);
	assert_int_equal(store_usage(&store, 1).blobs, 0);
	later(79);
	assert_int_equal(store_usage(&store, 0).blobs, 100);
	later(2);
	assert_int_equal(store_here(&store).blobs, 0);
	assert_int_equal(store.counters.expired, 201);
	assert_int_equal(store.counters.trimmed, 0);
}

static void test_too_old_is_so_after_a_restart(void **state)
{
	(void)state;
	assert_int_equal(put(1, LONG), 0);
	later(50);
	assert_int_equal(put(2, LONG), 0);
	restart();
	limit((struct store_limits){.keep_seconds = 60}, true); /* it goes in any case */
	assert_int_equal(store_here(&store).blobs, 2);
	later(10);
	assert_false(there(1, LONG));
	check(2, LONG);
}

/* No disk has what is asked for here. */
static void test_disk_too_small(void **state)
{
	struct store_policy p = {.free_least = UINT64_C(1) << 60, .refuse = true};

	(void)state;
	for (uint64_t i = 0; i < 100; i++)
		assert_int_equal(put(i, 1000), 0);
	store_limit(&store, &p);
	later(1);
	later(1);
	assert_true(store_disk_full(&store));
	assert_int_equal(put(200, 1000), -ENOSPC);
	assert_int_equal(store_here(&store).blobs, 100);
	p.refuse = false;
	store_limit(&store, &p);
	for (unsigned int i = 0; i < 5; i++)
		later(1);
	assert_int_equal(store_here(&store).blobs, 0);
	assert_int_equal(put(200, 1000), -ENOSPC); /* that did not help */
	p.free_least = 0;
	store_limit(&store, &p);
	assert_false(store_disk_full(&store));
	assert_int_equal(put(200, 1000), 0);
}

/* What is dead comes back: bytes on disk are about those of the blobs. */
static void test_room_comes_back(void **state)
{
	(void)state;
	limit((struct store_limits){.bytes = 8 * LONG}, false);
	for (uint64_t i = 0; i < 60; i++)
		assert_int_equal(put(i, LONG), 0);
	later(1);
	assert_true(store.space.written <= 12 * LONG);
	for (uint64_t i = 52; i < 60; i++)
		check(i, LONG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, limits_set_up, tear_down)
#define IN_MEMORY(name)                                                  \
	{                                                                \
#name "_in_memory", name, memory_set_up, tear_down, NULL \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_oldest_go),
		TEST(test_longer_than_the_limit),
		TEST(test_a_promise_evicts_nobody),
		TEST(test_uploads_alone_are_too_much),
		TEST(test_refused),
		TEST(test_of_a_domain),
		IN_MEMORY(test_of_a_domain),
		IN_MEMORY(test_memory_has_the_slab),
		TEST(test_too_old),
		TEST(test_too_old_is_so_after_a_restart),
		TEST(test_disk_too_small),
		TEST(test_room_comes_back),
	};

	return cmocka_run_group_tests_name("store_limit", tests, group_set_up, group_tear_down);
}
