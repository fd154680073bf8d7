/* SPDX-License-Identifier: BSD-3-Clause
 * The index: what is in it is found, alone and in bursts, while others come and
 * go; what is not in it is not.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <rte_eal.h>
#include <rte_rcu_qsbr.h>

#include "store/index.h"
#include "store/reclaim.h"

/* Distinct for distinct n, and with as little entropy as a flood would have. */
static struct ident ident_of(uint64_t n)
{
	struct ident id = {{0}};

	memcpy(id.b + 8, &n, sizeof(n));
	return id;
}

static struct index_key key_make(const struct index *ix, uint32_t domain, uint8_t rule,
				 const struct ident *id)
{
	struct index_pad pad;

	index_pad(ix, domain, rule, &pad);
	return index_key_make(&pad, id, 0);
}

static struct index_key key_of(const struct index *ix, uint64_t n)
{
	struct ident id = ident_of(n);

	return key_make(ix, 0, RULE_SHA256, &id);
}

static struct index *create(const char *name, uint32_t entries)
{
	struct index *ix = NULL;

	assert_int_equal(index_create(&ix, name, entries, SOCKET_ID_ANY), 0);
	return ix;
}

static void test_create_refuses(void **state)
{
	struct index *ix = create("twin", 10), *other = NULL;

	(void)state;
	assert_int_equal(index_create(&other, "none", 0, SOCKET_ID_ANY), -EINVAL);
	assert_int_equal(index_create(&other, "large", INDEX_MAX_ENTRIES + 1, SOCKET_ID_ANY),
			 -EINVAL);
	assert_int_equal(index_create(&other, "a-name-that-is-longer-than-a-table-can-have", 10,
				      SOCKET_ID_ANY),
			 -EINVAL);
	assert_int_equal(index_create(&other, "twin", 10, SOCKET_ID_ANY), -EEXIST);
	assert_null(other);
	index_destroy(ix);
	ix = create("twin", 10);
	index_destroy(ix);
	index_destroy(NULL);
}

static void test_life_of_a_key(void **state)
{
	struct index *ix = create("life", 100);
	struct index_key a = key_of(ix, 1), b = key_of(ix, 2);
	int position;

	(void)state;
	assert_int_equal(index_lookup(ix, &a), PIECE_NONE);
	assert_int_equal(index_remove(ix, &a), -ENOENT);
	assert_int_equal(index_insert(ix, &a, 0), 0);
	assert_int_equal(index_insert(ix, &b, PIECE_NONE - 1), 0);
	assert_int_equal(index_count(ix), 2);
	assert_int_equal(index_lookup(ix, &a), 0);
	assert_int_equal(index_lookup(ix, &b), PIECE_NONE - 1);

	assert_int_equal(index_insert(ix, &a, 77), -EEXIST);
	assert_int_equal(index_lookup(ix, &a), 0);
	assert_int_equal(index_count(ix), 2);

	position = index_remove(ix, &a);
	assert_true(position >= 0);
	assert_int_equal(index_count(ix), 1);
	assert_int_equal(index_lookup(ix, &a), PIECE_NONE);
	assert_int_equal(index_lookup(ix, &b), PIECE_NONE - 1);
	assert_int_equal(index_remove(ix, &a), -ENOENT);
	/* The same key may be back before the old position is released. */
	assert_int_equal(index_insert(ix, &a, 5), 0);
	index_release(ix, position);
	assert_int_equal(index_lookup(ix, &a), 5);
	index_destroy(ix);
}

static void test_bursts(void **state)
{
	struct index *ix = create("bursts", 1000);
	struct index_key keys[INDEX_BURST];
	uint32_t no[INDEX_BURST];

	(void)state;
	for (uint32_t i = 0; i < 500; i++) {
		struct index_key key = key_of(ix, i);

		assert_int_equal(index_insert(ix, &key, i), 0);
	}
	for (unsigned n = 1; n <= INDEX_BURST; n++) {
		uint64_t expect = 0, hits;

		for (unsigned i = 0; i < n; i++) {
			bool there = (n * 7 + i * i) % 3 != 0;

			keys[i] = key_of(ix, there ? i * 15 + n : 1000 + i);
			no[i] = 0xdead;
			if (there)
				expect |= UINT64_C(1) << i;
		}
		hits = index_lookup_bulk(ix, keys, n, no);
		assert_int_equal(hits, expect);
		for (unsigned i = 0; i < n; i++)
			assert_int_equal(no[i], hits >> i & 1 ? i * 15 + n : 0xdead);
	}
	for (unsigned i = 0; i < INDEX_BURST; i++)
		keys[i] = key_of(ix, 2000 + i);
	assert_int_equal(index_lookup_bulk(ix, keys, INDEX_BURST, no), 0);
	assert_int_equal(index_lookup_bulk(ix, keys, 0, no), 0);
	index_destroy(ix);
}

/* No two pieces of a blob, and no piece and another blob, have one key. */
static void test_keys_of_pieces(void **state)
{
	enum { PIECES = 1000 };
	struct index *ix = create("pieces", 2 * PIECES);
	struct index_pad pad;

	(void)state;
	index_pad(ix, 0, RULE_SHA256, &pad);
	for (uint32_t i = 0; i < PIECES; i++) {
		const struct ident one = ident_of(0), other = ident_of(i + 1);
		struct index_key key = index_key_make(&pad, &one, i);

		assert_int_equal(index_insert(ix, &key, i), 0);
		key = index_key_make(&pad, &other, 0);
		assert_int_equal(index_insert(ix, &key, PIECES + i), 0);
	}
	index_destroy(ix);
}

/* The key is the head only; the descriptor tells the rest. */
static void test_same_head_other_tail(void **state)
{
	struct index *ix = create("heads", 10);
	struct ident id = ident_of(3), twin = id;
	struct index_key key, twin_key;
	struct piece b = {
		.id = id,
		.domain = 5,
		.rule = RULE_SHA256,
		.length = 10,
		.number = 2,
		.state = PIECE_READY,
	};

	(void)state;
	twin.b[IDENT_SIZE - 1] ^= 1;
	key = key_make(ix, 0, RULE_SHA256, &id);
	twin_key = key_make(ix, 0, RULE_SHA256, &twin);
	assert_memory_equal(&key, &twin_key, sizeof(key));
	assert_int_equal(index_insert(ix, &key, 8), 0);
	assert_int_equal(index_insert(ix, &twin_key, 9), -EEXIST);
	assert_int_equal(index_lookup(ix, &twin_key), 8);

	assert_true(piece_match(&b, 5, &id, RULE_SHA256, 10, 2));
	assert_false(piece_match(&b, 4, &id, RULE_SHA256, 10, 2));
	assert_false(piece_match(&b, 5, &twin, RULE_SHA256, 10, 2));
	assert_false(piece_match(&b, 5, &id, RULE_XXH3, 10, 2));
	assert_false(piece_match(&b, 5, &id, RULE_SHA256, 11, 2));
	assert_false(piece_match(&b, 5, &id, RULE_SHA256, 10, 1));
	atomic_store(&b.state, PIECE_FILLING);
	assert_false(piece_match(&b, 5, &id, RULE_SHA256, 10, 2));
	atomic_store(&b.state, PIECE_FREE);
	assert_false(piece_match(&b, 5, &id, RULE_SHA256, 10, 2));
	index_destroy(ix);
}

static void test_rules_and_domains_never_meet(void **state)
{
	struct index *ix = create("pads", 100), *other = create("pads2", 100);
	struct ident id = ident_of(4);
	struct index_key keys[7];

	(void)state;
	keys[0] = key_make(ix, 0, RULE_SHA256, &id);
	keys[1] = key_make(ix, 0, RULE_XXH3, &id);
	keys[2] = key_make(ix, 1, RULE_SHA256, &id);
	keys[3] = key_make(ix, 1, RULE_XXH3, &id);
	keys[4] = key_make(ix, UINT32_MAX, RULE_SHA256, &id);
	keys[5] = key_make(other, 0, RULE_SHA256, &id);
	memcpy(&keys[6], &id, sizeof(keys[6])); /* no pad at all */
	for (unsigned i = 0; i < 7; i++)
		for (unsigned k = 0; k < i; k++)
			assert_memory_not_equal(&keys[i], &keys[k], sizeof(keys[i]));
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(index_insert(ix, &keys[i], i), 0);
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(index_lookup(ix, &keys[i]), i);

	/* Made again, a key is the same. */
	keys[6] = key_make(ix, 1, RULE_XXH3, &id);
	assert_memory_equal(&keys[6], &keys[3], sizeof(keys[6]));
	index_destroy(ix);
	index_destroy(other);
}

static void fill_to_the_last(uint32_t entries)
{
	struct index *ix = create("full", entries);
	struct index_key key, extra = key_of(ix, entries);
	int position;

	for (uint32_t i = 0; i < entries; i++) {
		key = key_of(ix, i);
		assert_int_equal(index_insert(ix, &key, i), 0);
	}
	assert_int_equal(index_count(ix), entries);
	assert_int_equal(index_insert(ix, &extra, 1), -ENOSPC);
	assert_int_equal(index_lookup(ix, &extra), PIECE_NONE);
	key = key_of(ix, entries / 2);
	assert_int_equal(index_insert(ix, &key, 1), -EEXIST);
	position = index_remove(ix, &key);
	assert_true(position >= 0);
	/* A reader may still look at it. */
	assert_int_equal(index_insert(ix, &extra, 1), -ENOSPC);
	index_release(ix, position);
	assert_int_equal(index_insert(ix, &extra, 1), 0);
	assert_int_equal(index_count(ix), entries);
	for (uint32_t i = 0; i < entries; i++) {
		key = key_of(ix, i);
		assert_int_equal(index_lookup(ix, &key), i == entries / 2 ? PIECE_NONE : i);
	}
	index_destroy(ix);
}

static void test_full(void **state)
{
	const uint32_t entries[] = {1, 7, 8, 9, 56, 57, 1000, 1024, 1025, 14336, 16384};

	(void)state;
	for (unsigned i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
		fill_to_the_last(entries[i]);
}

static void test_a_million(void **state)
{
	enum { ENTRIES = 1 << 20 };
	struct index *ix = create("million", ENTRIES);
	struct index_key keys[INDEX_BURST];
	uint32_t no[INDEX_BURST];

	(void)state;
	for (uint32_t i = 0; i < ENTRIES; i++) {
		keys[0] = key_of(ix, i);
		assert_int_equal(index_insert(ix, &keys[0], i), 0);
	}
	for (uint32_t i = 0; i < 2 * ENTRIES; i += INDEX_BURST) {
		for (uint32_t k = 0; k < INDEX_BURST; k++)
			keys[k] = key_of(ix, i + k);
		assert_int_equal(index_lookup_bulk(ix, keys, INDEX_BURST, no),
				 i < ENTRIES ? UINT32_MAX : 0);
		for (uint32_t k = 0; k < INDEX_BURST && i < ENTRIES; k++)
			assert_int_equal(no[k], i + k);
	}
	for (uint32_t i = 0; i < ENTRIES; i++) {
		keys[0] = key_of(ix, i);
		index_release(ix, index_remove(ix, &keys[0]));
	}
	assert_int_equal(index_count(ix), 0);
	index_destroy(ix);
}

/* ---- a reader beside the writer ---- */

#define STABLE 500  /* keys that stay all the time */
#define COMING 4000 /* keys that come and go */
#define RECORDS 1500
#define POISON UINT64_MAX

struct race {
	struct index *ix;
	struct rte_rcu_qsbr *qsbr;
	/* What a descriptor would be: which key it is for. */
	_Atomic uint64_t record[RECORDS];
	int position[RECORDS];
	uint32_t vacant[RECORDS];
	uint32_t vacant_count;
	atomic_bool stop;
	atomic_uint wrong;
	atomic_ulong found;
};

static void *reader_run(void *arg)
{
	struct race *race = arg;
	uint64_t which[INDEX_BURST], state = 1;
	struct index_key keys[INDEX_BURST];
	uint32_t no[INDEX_BURST];

	rte_rcu_qsbr_thread_register(race->qsbr, 0);
	rte_rcu_qsbr_thread_online(race->qsbr, 0);
	while (!atomic_load(&race->stop)) {
		uint64_t hits;

		for (unsigned i = 0; i < INDEX_BURST; i++) {
			state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
			which[i] = (state >> 33) % (STABLE + COMING);
			keys[i] = key_of(race->ix, which[i]);
		}
		hits = index_lookup_bulk(race->ix, keys, INDEX_BURST, no);
		/* Long enough for a writer that does not wait to be caught. */
		if (state >> 60 == 0)
			sched_yield();
		for (unsigned i = 0; i < INDEX_BURST; i++) {
			if (hits >> i & 1) {
				atomic_fetch_add(&race->found, 1);
				if (atomic_load(&race->record[no[i]]) != which[i])
					atomic_fetch_add(&race->wrong, 1);
			} else if (which[i] < STABLE) {
				atomic_fetch_add(&race->wrong, 1);
			}
		}
		rte_rcu_qsbr_quiescent(race->qsbr, 0);
	}
	rte_rcu_qsbr_thread_offline(race->qsbr, 0);
	rte_rcu_qsbr_thread_unregister(race->qsbr, 0);
	return NULL;
}

static void record_release(void *ctx, uint64_t no)
{
	struct race *race = ctx;

	atomic_store(&race->record[no], POISON);
	index_release(race->ix, race->position[no]);
	race->vacant[race->vacant_count++] = (uint32_t)no;
}

static void record_insert(struct race *race, uint64_t n)
{
	struct index_key key = key_of(race->ix, n);
	uint32_t no = race->vacant[--race->vacant_count];

	atomic_store(&race->record[no], n);
	assert_int_equal(index_insert(race->ix, &key, no), 0);
}

static void record_remove(struct race *race, struct reclaim *r, uint64_t n)
{
	struct index_key key = key_of(race->ix, n);
	uint32_t no = index_lookup(race->ix, &key);

	assert_true(no != PIECE_NONE);
	race->position[no] = index_remove(race->ix, &key);
	assert_true(race->position[no] >= 0);
	assert_int_equal(reclaim_defer(r, record_release, race, no), 0);
}

/* Keys of COMING come in order and go in order, 600 at a time in the index. */
static void writer_run(struct race *race, struct reclaim *r, uint64_t steps)
{
	for (uint64_t i = 0; i < steps; i++) {
		while (race->vacant_count == 0) {
			reclaim_poll(r);
			sched_yield();
		}
		record_insert(race, STABLE + i % COMING);
		if (i >= 600)
			record_remove(race, r, STABLE + (i - 600) % COMING);
		reclaim_poll(r);
	}
}

static void test_reader_beside_writer(void **state)
{
	struct race *race = calloc(1, sizeof(*race));
	size_t size = rte_rcu_qsbr_get_memsize(1);
	struct reclaim *r;
	pthread_t reader;

	(void)state;
	assert_non_null(race);
	race->ix = create("race", RECORDS);
	race->qsbr = aligned_alloc(RTE_CACHE_LINE_SIZE, size);
	assert_int_equal(rte_rcu_qsbr_init(race->qsbr, 1), 0);
	r = reclaim_create(race->qsbr, NULL);
	for (uint32_t i = 0; i < RECORDS; i++)
		race->vacant[race->vacant_count++] = i;
	for (uint32_t i = 0; i < STABLE; i++)
		record_insert(race, i);
	assert_int_equal(pthread_create(&reader, NULL, reader_run, race), 0);
	while (atomic_load(&race->found) == 0)
		sched_yield();
	writer_run(race, r, 300000);
	atomic_store(&race->stop, true);
	pthread_join(reader, NULL);

	assert_int_equal(atomic_load(&race->wrong), 0);
	assert_int_equal(index_count(race->ix), STABLE + 600);
	assert_false(reclaim_poll(r));
	assert_int_equal(race->vacant_count, RECORDS - STABLE - 600);
	reclaim_destroy(r);
	index_destroy(race->ix);
	free(race->qsbr);
	free(race);
}

static int eal_start(void **state)
{
	char prefix[64];
	char *argv[] = {"test_index",  "--no-huge", "-m",
			"256",	       "--no-pci",  "--no-telemetry",
			"--no-shconf", prefix,	    "--log-level=error"};

	(void)state;
	snprintf(prefix, sizeof(prefix), "--file-prefix=test-index-%d", (int)getpid());
	return rte_eal_init(sizeof(argv) / sizeof(argv[0]), argv) < 0 ? -1 : 0;
}

static int eal_stop(void **state)
{
	const char *folder = rte_eal_get_runtime_dir();
	int rc;

	(void)state;
	rc = rte_eal_cleanup();
	/* EAL leaves it behind, empty, or could not make it at all. */
	return rmdir(folder) < 0 && errno != ENOENT ? -1 : rc;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create_refuses),
		cmocka_unit_test(test_life_of_a_key),
		cmocka_unit_test(test_bursts),
		cmocka_unit_test(test_same_head_other_tail),
		cmocka_unit_test(test_keys_of_pieces),
		cmocka_unit_test(test_rules_and_domains_never_meet),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_a_million),
		cmocka_unit_test(test_reader_beside_writer),
	};

	return cmocka_run_group_tests_name("index", tests, eal_start, eal_stop);
}
