/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <rte_rcu_qsbr.h>

#include "store/store_part.h"
#include "tests/unit/slab_pieces.h"
#include "tests/unit/unit_eal.h"

#define PIECES 64
#define LENGTH 100000			    /* one piece, two extents */
#define LONG (2 * (uint64_t)PIECE_SIZE + 5) /* three */

static struct rte_rcu_qsbr *qsbr;
static struct slab slab;
static struct index *ix;
static struct reclaim *reclaim;
static struct store store;

static void start(void)
{
	static unsigned int number;
	char name[32];

	snprintf(name, sizeof(name), "store_%u", number++);
	rte_rcu_qsbr_init(qsbr, 1);
	open_slab(&slab, 16 * MIB, PIECES);
	assert_int_equal(index_create(&ix, name, PIECES, SOCKET_ID_ANY), 0);
	reclaim = reclaim_create(qsbr, NULL);
	assert_int_equal(store_init(&store, &slab, ix, reclaim, 1), 0);
}

static void stop(void)
{
	store_drain(&store);
	reclaim_destroy(reclaim);
	store_fini(&store);
	index_destroy(ix);
	slab_close(&slab);
}

static int set_up(void **state)
{
	(void)state;
	start();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	stop();
	return 0;
}

static struct blob_name name_of(uint64_t seed, uint64_t length)
{
	return (struct blob_name){
		.id = ident_of(seed), .length = length, .rule = RULE_SHA256, .domain = seed % 2};
}

static const struct piece *get(uint64_t seed, uint64_t length)
{
	const struct blob_name name = name_of(seed, length);

	return store_find(&store, &name);
}

static void settle(void)
{
	store_drain(&store);
	while (store_waits(&store)) {
		store_poll(&store, 1000000);
		reclaim_poll(reclaim);
		store_drain(&store);
	}
}

static void take_away(uint64_t seed, uint64_t length)
{
	const struct blob_name name = name_of(seed, length);

	blob_remove(&store, &name, false);
	settle();
}

static void put_write(const struct store_put *put, uint64_t seed)
{
	for (uint32_t i = 0; i < put->begun; i++) {
		const struct piece *p = slab_piece(&slab, put->piece[i]);

		for (uint32_t k = chunk_count(piece_length(p->length, i)); k-- > 0;)
			write_chunk(&slab, put->piece[i], seed, k);
	}
}

static void put_ended(struct store_put *put)
{
	put->begun = UINT32_MAX; /* it was called */
}

static void put_end(struct store_put *put)
{
	store_put_end(put, put_ended);
	settle();
	assert_int_equal(put->begun, UINT32_MAX);
}

/* All but the commit; what store_put_grow() says. */
static int put_make(uint64_t seed, uint64_t length, struct store_put *put)
{
	const struct blob_name name = name_of(seed, length);
	int ret = store_put_begin(&store, &name, put);

	if (ret < 0)
		return ret;
	ret = store_put_grow(put, chunk_count(length));
	if (ret == 0)
		put_write(put, seed);
	else
		put_end(put);
	return ret;
}

static int result;

static void put_stored(struct store_put *put, int ret)
{
	(void)put;
	result = ret;
}

static int put_done(struct store_put *put)
{
	result = 1;
	store_put_ready(put, chunk_count(put->name.length));
	store_put_commit(put, put_stored);
	assert_int_equal(result, 1);
	settle();
	assert_int_not_equal(result, 1);
	put_end(put);
	return result;
}

static void put(uint64_t seed, uint64_t length)
{
	struct store_put p;
	int ret;

	while ((ret = put_make(seed, length, &p)) == -EAGAIN)
		reclaim_poll(reclaim);
	assert_int_equal(ret, 0);
	assert_int_equal(put_done(&p), 0);
}

static void check(uint64_t seed, uint64_t length)
{
	const struct blob_name name = name_of(seed, length);

	for (uint32_t i = 0; i < piece_count(length); i++) {
		const struct piece *p = store_find_piece(&store, &name, i);

		assert_non_null(p);
		for (uint32_t k = 0; k < chunk_count(piece_length(length, i)); k++)
			check_chunk(&slab, (uint32_t)(p - slab.pieces), seed, k);
	}
}

static uint64_t ready_bytes(void)
{
	struct slab_usage u;

	slab_usage(&slab, &u);
	return u.bytes;
}

static void test_comes_and_goes(void **state)
{
	uint32_t free_after;

	(void)state;
	put(1, LENGTH);
	put(2, LONG);
	assert_non_null(get(1, LENGTH));
	assert_null(get(1, LENGTH + 1));
	assert_null(get(3, LENGTH));
	check(2, LONG);
	assert_int_equal(ready_bytes(), LENGTH + LONG);
	assert_int_equal(store_here(&store).blobs, 2);
	free_after = extents_free(&slab);
	take_away(2, LONG);
	assert_null(get(2, LONG));
	assert_int_equal(ready_bytes(), LENGTH);
	assert_int_equal(index_count(ix), 1);
	reclaim_poll(reclaim);
	assert_true(extents_free(&slab) > free_after);
	/* and it may come again */
	put(2, LONG);
	check(2, LONG);
	check(1, LENGTH);
}

/* Whoever found it before reads it to the end. */
static void test_read_while_it_goes(void **state)
{
	const struct piece *p;
	uint32_t before;

	(void)state;
	put(1, LENGTH);
	p = get(1, LENGTH);
	assert_int_equal(rte_rcu_qsbr_thread_register(qsbr, 0), 0);
	rte_rcu_qsbr_thread_online(qsbr, 0);
	take_away(1, LENGTH);
	assert_true(reclaim_poll(reclaim));
	before = extents_free(&slab);
	put(2, LENGTH);
	assert_ptr_not_equal(get(2, LENGTH), p);
	for (uint32_t k = 0; k < chunk_count(LENGTH); k++)
		check_chunk(&slab, (uint32_t)(p - slab.pieces), 1, k);
	rte_rcu_qsbr_quiescent(qsbr, 0);
	assert_false(reclaim_poll(reclaim));
	assert_int_equal(extents_free(&slab), before);
	rte_rcu_qsbr_thread_offline(qsbr, 0);
	rte_rcu_qsbr_thread_unregister(qsbr, 0);
}

static void test_came_second(void **state)
{
	struct store_put first, second;

	(void)state;
	assert_int_equal(put_make(1, LONG, &first), 0);
	assert_int_equal(put_make(1, LONG, &second), 0);
	assert_int_equal(store_usage(&store, 1).blobs, 2);
	assert_int_equal(put_done(&first), 0);
	assert_int_equal(put_done(&second), -EEXIST);
	assert_int_equal(store_usage(&store, 1).blobs, 1);
	assert_int_equal(store_usage(&store, 1).bytes, LONG);
	check(1, LONG);
	assert_int_equal(ready_bytes(), LONG);
	take_away(1, LONG);
	assert_int_equal(ready_bytes(), 0);
	reclaim_poll(reclaim);
	assert_all_free(&slab);
}

/* A key in the way of its second piece: nothing of it is found, nothing is lost. */
static void test_commit_fails_halfway(void **state)
{
	const struct blob_name name = name_of(1, LONG);
	struct index_key key;
	struct index_pad pad;
	struct store_put p;

	(void)state;
	index_pad(ix, name.domain, name.rule, &pad);
	key = index_key_make(&pad, &name.id, 1);
	assert_int_equal(put_make(1, LONG, &p), 0);
	assert_int_equal(index_insert(ix, &key, 0), 0);
	assert_int_equal(put_done(&p), -EEXIST);
	assert_null(get(1, LONG));
	assert_int_equal(index_count(ix), 1);
	reclaim_poll(reclaim);
	assert_all_free(&slab);
	assert_int_equal(store_usage(&store, 1).blobs, 0);
	index_release(ix, index_remove(ix, &key));
	put(1, LONG);
	check(1, LONG);
}

/* Filled and emptied many times over: neither memory nor a key's slot is lost. */
static void test_many_times(void **state)
{
	enum { MOST = 50 };

	(void)state;
	for (unsigned int round = 0; round < 50; round++) {
		for (unsigned int i = 0; i < MOST; i++)
			put(round * 1000 + i, LENGTH);
		assert_int_equal(store_usage(&store, 0).blobs, MOST / 2);
		assert_int_equal(store_usage(&store, 1).bytes, MOST / 2 * LENGTH);
		for (unsigned int i = 0; i < MOST; i++)
			take_away(round * 1000 + i, LENGTH);
		reclaim_poll(reclaim);
		assert_all_free(&slab);
		assert_int_equal(index_count(ix), 0);
	}
	assert_int_equal(store.counters.evicted, 0);
}

/* More than there is room for: the ones that came last are here, whole, and those that
 * were asked for. Of every size: what goes makes room for other sizes as well. */
static void test_full(void **state)
{
	static const uint64_t lengths[] = {0, 200, 5000, LENGTH, LONG};
	enum { BLOBS = 2000, HOT = 500 };
	uint64_t last = 0;

	(void)state;
	put(HOT, 200);
	for (uint64_t seed = HOT + 1; seed < HOT + BLOBS; seed++) {
		const struct piece *hot = get(HOT, 200);

		assert_non_null(hot);
		cache_touch(cache_reader(store.cache, 0), (uint32_t)(hot - slab.pieces));
		put(seed, lengths[seed / 100 % 5]);
		last = seed;
	}
	check(HOT, 200);
	check(last, lengths[last / 100 % 5]);
	assert_true(store.counters.evicted > BLOBS / 2);
	assert_true(store.counters.evicted + store_here(&store).blobs == BLOBS);
	assert_int_equal(store_usage(&store, 0).blobs + store_usage(&store, 1).blobs,
			 store_here(&store).blobs);
	assert_int_equal(store_usage(&store, 0).bytes + store_usage(&store, 1).bytes,
			 ready_bytes());
}

/* What is being uploaded does not go, nor is it in anybody's way for ever. */
static void test_full_of_uploads(void **state)
{
	struct store_put p[16], one;
	unsigned int n = 0;
	int ret;

	(void)state;
	put(100, LONG);
	while ((ret = put_make(n, LONG, &p[n])) == 0 || ret == -EAGAIN) {
		n += ret == 0;
		reclaim_poll(reclaim);
	}
	assert_int_equal(ret, -ENOSPC);
	assert_null(get(100, LONG));
	assert_true(n >= 5);
	assert_int_equal(put_done(&p[0]), 0);
	/* it may go now: */
	assert_int_equal(put_make(200, LONG, &one), -EAGAIN);
	reclaim_poll(reclaim);
	assert_int_equal(put_make(200, LONG, &one), 0);
	assert_int_equal(put_done(&one), 0);
	check(200, LONG);
	for (unsigned int i = 1; i < n; i++)
		put_end(&p[i]);
}

static void test_never_fits(void **state)
{
	const struct blob_name one = name_of(1, 16 * MIB);
	struct blob_name other = name_of(1, 0);
	struct store_put p;

	(void)state;
	assert_int_equal(store_put_begin(&store, &one, &p), -EFBIG);
	other.length = 256 * (uint64_t)EXTENT_SUMS;
	assert_int_equal(store_put_begin(&store, &other, &p), 0);
	assert_int_equal(p.begun, 0);
	put_end(&p);
	assert_all_free(&slab);
	other.length = 0;
	assert_int_equal(store_put_begin(&store, &other, &p), 0);
	assert_int_equal(put_done(&p), 0); /* there is nothing to write */
	assert_non_null(get(1, 0));
}

static bool none(void *ctx, uint32_t domain)
{
	(void)ctx;
	(void)domain;
	return false;
}

static bool odd(void *ctx, uint32_t domain)
{
	(void)ctx;
	return domain == 1;
}

/* All of a domain goes, but for what is not there yet. */
static void test_drop(void **state)
{
	struct store_put filling;

	(void)state;
	for (unsigned int i = 0; i < 9; i++)
		put(i, LENGTH);
	put(9, LONG);
	assert_int_equal(put_make(99, LENGTH, &filling), 0);
	assert_int_equal(store_drop(&store, none, NULL), 0);
	assert_false(store_drops(&store)); /* no walk for nothing */
	assert_int_equal(store_drop(&store, odd, NULL), 0);
	assert_true(store_drops(&store));
	settle();
	assert_false(store_drops(&store));
	for (unsigned int i = 0; i < 10; i++)
		assert_int_equal(get(i, i == 9 ? LONG : LENGTH) != NULL, i % 2 == 0);
	assert_int_equal(store_here(&store).blobs, 5);
	assert_int_equal(store.counters.removed, 5);
	assert_int_equal(store.counters.removed_bytes, 4 * LENGTH + LONG);
	assert_int_equal(store_usage(&store, 0).blobs, 5);
	assert_int_equal(store_usage(&store, 1).blobs, 1); /* the one that is coming */
	assert_int_equal(put_done(&filling), 0);
	check(99, LENGTH);
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
		TEST(test_comes_and_goes),
		TEST(test_read_while_it_goes),
		TEST(test_came_second),
		TEST(test_commit_fails_halfway),
		TEST(test_many_times),
		TEST(test_full),
		TEST(test_full_of_uploads),
		TEST(test_never_fits),
		TEST(test_drop),
	};

	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
