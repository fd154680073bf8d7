/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <rte_rcu_qsbr.h>

#include "tests/unit/slab_pieces.h"
#include "tests/unit/store_box.h"
#include "tests/unit/unit_eal.h"
#include "tests/unit/unit_folder.h"

#define PIECES 64
#define SEGMENT MIB

static struct rte_rcu_qsbr *qsbr;
struct slab slab;
static struct index *ix;
static struct reclaim *reclaim;
struct store store;
char folder[64];
uint64_t seconds;
bool memory_alone;

/* ---- RocksDB, but for what the test wants to go wrong ---- */

static const struct engine_ops *real;
static struct engine_ops ops;
int fail_open, fail_find, fail_read, fail_write, fail_commit;
bool forgets;
unsigned int opens, finds, reads, commits;

static int bad(struct engine *e, int err)
{
	if (err != 0)
		snprintf(e->why, sizeof(e->why), "the test says %d", err);
	return err;
}

static int bad_find(struct engine *e, const struct blob_name *name, struct engine_record *r)
{
	__atomic_add_fetch(&finds, 1, __ATOMIC_RELAXED);
	return fail_find != 0 ? bad(e, fail_find) : real->find(e, name, r);
}

static int bad_read(struct engine *e, const struct blob_name *name, struct engine_record *r,
		    uint32_t block, void *to, uint32_t len)
{
	__atomic_add_fetch(&reads, 1, __ATOMIC_RELAXED);
	return fail_read != 0 ? bad(e, fail_read) : real->read(e, name, r, block, to, len);
}

static int bad_write(struct engine *e, struct engine_upload *u, const struct iovec *blocks,
		     uint32_t count)
{
	return fail_write != 0 ? bad(e, fail_write) : real->write(e, u, blocks, count);
}

static int bad_commit(struct engine *e, struct engine_change *changes, uint32_t count, bool durable)
{
	commits++;
	return fail_commit != 0 ? bad(e, fail_commit) : real->commit(e, changes, count, durable);
}

static int bad_recall(struct engine *e, const char *name, void **bytes, size_t *size)
{
	return forgets ? -ENOENT : real->recall(e, name, bytes, size);
}

static int bad_open(struct engine **out, const struct engine_config *c, char *why, size_t why_size)
{
	struct engine_config small = *c;
	int ret = fail_open;

	small.segment_bytes = SEGMENT;
	small.unlogged_bytes = 2 * MIB;
	opens++;
	if (ret == 0)
		ret = engine_rocksdb_open(out, &small, why, why_size);
	else
		snprintf(why, why_size, "the test says no");
	if (ret == 0) {
		real = (*out)->ops;
		ops = *real;
		ops.find = bad_find;
		ops.read = bad_read;
		ops.write = bad_write;
		ops.commit = bad_commit;
		ops.recall = bad_recall;
		(*out)->ops = &ops;
	}
	return ret;
}

/* ---- a store ---- */

void start(void)
{
	static unsigned int number;
	cpu_set_t all;
	struct store_engine c = {.open = bad_open, .path = folder};
	char name[32], why[ENGINE_WHY];

	CPU_ZERO(&all);
	for (int i = 0; i < 64; i++)
		CPU_SET(i, &all);
	snprintf(name, sizeof(name), "kept_%u", number++);
	rte_rcu_qsbr_init(qsbr, 1);
	open_slab(&slab, 8 * MIB, PIECES);
	assert_int_equal(index_create(&ix, name, PIECES, SOCKET_ID_ANY), 0);
	reclaim = reclaim_create(qsbr, NULL);
	assert_int_equal(store_init(&store, &slab, ix, reclaim, 1), 0);
	store_poll(&store, seconds * 1000000);
	if (memory_alone)
		return;
	c.jobs = jobs_start(3, &all);
	assert_non_null(c.jobs);
	assert_int_equal(store_attach(&store, &c, why, sizeof(why)), 0);
	store_poll(&store, seconds * 1000000);
}

void settle(void)
{
	reclaim_poll(reclaim);
	store_drain(&store);
	while (store_waits(&store) || reclaim_waits(reclaim)) {
		reclaim_poll(reclaim);
		store_poll(&store, seconds * 1000000);
		store_drain(&store);
	}
}

void stop(void)
{
	settle();
	while (reclaim_poll(reclaim))
		continue;
	reclaim_destroy(reclaim);
	if (store.jobs != NULL)
		jobs_stop(store.jobs);
	store_fini(&store);
	index_destroy(ix);
	slab_close(&slab);
}

void restart(void)
{
	stop();
	start();
}

void later(uint64_t by)
{
	seconds += by;
	store_poll(&store, seconds * 1000000);
	settle();
}

int set_up(void **state)
{
	(void)state;
	fail_open = fail_find = fail_read = fail_write = fail_commit = 0;
	opens = finds = reads = commits = 0;
	seconds = 100;
	memory_alone = false;
	forgets = true;
	strcpy(folder, "/tmp/oncewire-store-XXXXXX");
	assert_non_null(mkdtemp(folder));
	start();
	return 0;
}

int tear_down(void **state)
{
	(void)state;
	stop();
	return folder_remove(folder);
}

struct blob_name name_of(uint64_t seed, uint64_t length)
{
	return (struct blob_name){
		.id = ident_of(seed), .length = length, .rule = RULE_SHA256, .domain = seed % 2};
}

/* ---- putting ---- */

int result;

void put_stored(struct store_put *put, int ret)
{
	(void)put;
	result = ret;
}

static void put_ended(struct store_put *put)
{
	put->begun = UINT32_MAX;
}

/* As an upload does it: memory, bytes, and ready, piece by piece. */
int put_fill(struct store_put *put, uint64_t seed)
{
	const uint32_t all = chunk_count(put->name.length);

	for (uint32_t at = 0; at < all; at += PIECE_CHUNKS) {
		const uint32_t end = all - at < PIECE_CHUNKS ? all : at + PIECE_CHUNKS;
		int ret;

		while ((ret = store_put_grow(put, end)) == -EAGAIN)
			settle();
		if (ret < 0)
			return ret;
		for (uint32_t k = 0; k < end - at; k++)
			write_chunk(&slab, put->piece[at / PIECE_CHUNKS], seed, k);
		store_put_ready(put, end);
		settle();
	}
	return 0;
}

void put_end(struct store_put *put)
{
	store_put_end(put, put_ended);
	settle();
	assert_int_equal(put->begun, UINT32_MAX);
}

int put(uint64_t seed, uint64_t length)
{
	const struct blob_name name = name_of(seed, length);
	struct store_put p;
	int ret = store_put_begin(&store, &name, &p);

	if (ret < 0)
		return ret;
	ret = put_fill(&p, seed);
	if (ret == 0) {
		result = 1;
		store_put_commit(&p, put_stored);
		settle();
		assert_int_not_equal(result, 1);
		ret = result;
	}
	put_end(&p);
	return ret;
}

/* ---- getting ---- */

unsigned int answers[3];

void got(struct store_get *g, enum store_answer answer)
{
	(void)g;
	answers[answer]++;
}

enum store_answer ask(uint64_t seed, uint64_t length, uint32_t number, enum store_want want)
{
	struct store_get g = {
		.name = name_of(seed, length), .number = number, .want = want, .fn = got};

	memset(answers, 0, sizeof(answers));
	store_get(&store, &g);
	assert_int_equal(answers[0] + answers[1] + answers[2], 0);
	settle();
	assert_int_equal(answers[0] + answers[1] + answers[2], 1);
	return answers[STORE_HERE]     ? STORE_HERE
	       : answers[STORE_ABSENT] ? STORE_ABSENT
				       : STORE_FAILED;
}

/* All of it, brought into RAM by the piece. */
void check(uint64_t seed, uint64_t length)
{
	const struct blob_name name = name_of(seed, length);

	for (uint32_t i = 0; i < piece_count(length); i++) {
		const struct piece *p;

		assert_int_equal(ask(seed, length, i, STORE_PIECE), STORE_HERE);
		p = store_find_piece(&store, &name, i);
		assert_non_null(p);
		for (uint32_t k = 0; k < chunk_count(piece_length(length, i)); k++)
			check_chunk(&slab, (uint32_t)(p - slab.pieces), seed, k);
	}
}

int group_set_up(void **state)
{
	size_t size = RTE_ALIGN(rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE);

	qsbr = aligned_alloc(RTE_CACHE_LINE_SIZE, size);
	return qsbr ? unit_eal_start(state) : -1;
}

int group_tear_down(void **state)
{
	free(qsbr);
	return unit_eal_stop(state);
}
