/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <rte_rcu_qsbr.h>

#include "store/store.h"
#include "tests/unit/slab_blobs.h"
#include "tests/unit/unit_eal.h"

#define BLOBS 64
#define LENGTH 100000

static struct rte_rcu_qsbr *qsbr;
static struct slab slab;
static struct index *ix;
static struct reclaim *reclaim;
static struct store store;

static int set_up(void **state)
{
	static unsigned int number;
	char name[32];

	(void)state;
	snprintf(name, sizeof(name), "store_%u", number++);
	rte_rcu_qsbr_init(qsbr, 1);
	open_slab(&slab, 16 * MIB, BLOBS, 4 * MIB);
	assert_int_equal(index_create(&ix, name, BLOBS, SOCKET_ID_ANY), 0);
	reclaim = reclaim_create(qsbr);
	store_init(&store, &slab, ix, reclaim);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	reclaim_destroy(reclaim);
	store_fini(&store);
	index_destroy(ix);
	slab_close(&slab);
	return 0;
}

/* Of the open domain. */
static const struct blob *get(uint64_t seed)
{
	const struct ident id = ident_of(seed);
	struct index_key pad;

	index_pad(ix, 0, slab_blob(&slab, 0)->rule, &pad);
	return store_get(&store, &pad, 0, &id, slab_blob(&slab, 0)->rule, LENGTH);
}

static uint32_t put(uint64_t seed)
{
	uint32_t no;

	make_blob(&slab, seed, LENGTH, &no);
	assert_int_equal(store_commit(&store, no), 0);
	return no;
}

static uint64_t ready_bytes(void)
{
	struct slab_usage u;

	slab_usage(&slab, &u);
	return u.bytes;
}

static void test_comes_and_goes(void **state)
{
	uint32_t one = put(1), two = put(2), free_after;

	(void)state;
	assert_ptr_equal(get(1), slab_blob(&slab, one));
	assert_ptr_equal(get(2), slab_blob(&slab, two));
	assert_null(get(3));
	assert_int_equal(ready_bytes(), 2 * LENGTH);
	free_after = extents_free(&slab);
	assert_int_equal(store_remove(&store, one), 0);
	assert_null(get(1));
	assert_non_null(get(2));
	assert_int_equal(ready_bytes(), LENGTH);
	assert_int_equal(index_count(ix), 1);
	reclaim_poll(reclaim);
	assert_true(extents_free(&slab) > free_after);
	/* and it may come again */
	one = put(1);
	assert_ptr_equal(get(1), slab_blob(&slab, one));
	check_blob(&slab, one, 1);
	check_blob(&slab, two, 2);
}

/* Whoever found it before reads it to the end. */
static void test_read_while_it_goes(void **state)
{
	uint32_t no = put(1), other;
	uint32_t before;

	(void)state;
	assert_int_equal(rte_rcu_qsbr_thread_register(qsbr, 0), 0);
	rte_rcu_qsbr_thread_online(qsbr, 0);
	assert_int_equal(store_remove(&store, no), 0);
	assert_true(reclaim_poll(reclaim));
	before = extents_free(&slab);
	other = put(2);
	assert_int_not_equal(other, no);
	check_blob(&slab, no, 1);
	rte_rcu_qsbr_quiescent(qsbr, 0);
	assert_false(reclaim_poll(reclaim));
	assert_int_equal(extents_free(&slab), before);
	rte_rcu_qsbr_thread_offline(qsbr, 0);
	rte_rcu_qsbr_thread_unregister(qsbr, 0);
}

/* Two uploads of one blob: the first stays, and removing the second does not take it. */
static void test_came_second(void **state)
{
	uint32_t first = put(1), second;

	(void)state;
	make_blob(&slab, 1, LENGTH, &second);
	assert_int_equal(store_commit(&store, second), -EEXIST);
	assert_int_equal(store_remove(&store, second), -ENOENT);
	blob_free(&slab, second);
	assert_ptr_equal(get(1), slab_blob(&slab, first));
	assert_int_equal(ready_bytes(), LENGTH);
	assert_int_equal(store_remove(&store, first), 0);
	assert_int_equal(ready_bytes(), 0);
}

/* Filled and emptied many times over: neither memory nor a key's slot is lost. */
static void test_many_times(void **state)
{
	uint32_t no[BLOBS];

	(void)state;
	for (unsigned int round = 0; round < 50; round++) {
		for (unsigned int i = 0; i < BLOBS; i++)
			no[i] = put(round * 1000 + i);
		for (unsigned int i = 0; i < BLOBS; i++)
			assert_int_equal(store_remove(&store, no[i]), 0);
		reclaim_poll(reclaim);
		assert_all_free(&slab);
		assert_int_equal(index_count(ix), 0);
	}
}

static unsigned int met;

static void remove_every_other(void *ctx, uint32_t no)
{
	(void)ctx;
	if (met++ % 2)
		assert_int_equal(store_remove(&store, no), 0);
}

static void test_walk(void **state)
{
	uint32_t cursor = 0, steps = 1, no;

	(void)state;
	for (unsigned int i = 0; i < 10; i++)
		put(i);
	make_blob(&slab, 99, LENGTH, &no); /* not yet there */
	met = 0;
	while (store_walk(&store, &cursor, 7, remove_every_other, NULL))
		steps++;
	assert_int_equal(steps, (BLOBS + 6) / 7);
	assert_int_equal(met, 10);
	assert_int_equal(index_count(ix), 5);
	cursor = met = 0;
	assert_false(store_walk(&store, &cursor, UINT32_MAX, remove_every_other, NULL));
	assert_int_equal(met, 5); /* those that leave are met no more */
}

static int group_set_up(void **state)
{
	size_t size = RTE_ALIGN(rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE);

	qsbr = aligned_alloc(RTE_CACHE_LINE_SIZE, size);
	return qsbr ? unit_eal_start(state) : -1;
}

static int group_tear_down(void **state)
{
	free(qsbr);
	return unit_eal_stop(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_comes_and_goes), TEST(test_read_while_it_goes),
		TEST(test_came_second),	   TEST(test_many_times),
		TEST(test_walk),
	};

	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
