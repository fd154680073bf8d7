/* SPDX-License-Identifier: BSD-3-Clause
 * The store with an engine behind it: RAM is a cache, and what the engine does not do is
 * not said to be done.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/slab_pieces.h"
#include "tests/unit/store_box.h"

/* ---- tests ---- */

static void test_outlives_the_process(void **state)
{
	(void)state;
	assert_int_equal(put(1, SHORT), 0);
	assert_int_equal(put(2, LONG), 0);
	assert_int_equal(put(3, 0), 0);
	assert_int_equal(put(2, LONG), -EEXIST);
	assert_int_equal(store_here(&store).blobs, 3);
	restart();
	assert_int_equal(store_here(&store).blobs, 3);
	assert_int_equal(store_usage(&store, 0).bytes, LONG);
	assert_int_equal(store_usage(&store, 1).blobs, 2);
	assert_null(store_find(&store, &(struct blob_name){.id = ident_of(1), .length = SHORT}));
	check(1, SHORT);
	check(2, LONG);
	check(3, 0);
	assert_int_equal(ask(4, SHORT, 0, STORE_PIECE), STORE_ABSENT);
	assert_int_equal(ask(1, SHORT + 1, 0, STORE_PIECE), STORE_ABSENT);
}

/* One load, however many ask; presence alone reads nothing. */
static void test_one_load(void **state)
{
	struct store_get g[5];

	(void)state;
	assert_int_equal(put(1, SHORT), 0);
	restart();
	finds = reads = 0;
	assert_int_equal(ask(1, SHORT, 0, STORE_PRESENCE), STORE_HERE);
	assert_int_equal(reads, 0);
	assert_null(store_find(&store, &(struct blob_name){.id = ident_of(1),
							   .length = SHORT,
							   .rule = RULE_SHA256,
							   .domain = 1}));
	finds = 0;
	memset(answers, 0, sizeof(answers));
	for (unsigned int i = 0; i < 5; i++) {
		g[i] = (struct store_get){
			.name = name_of(1, SHORT), .want = STORE_PIECE, .fn = got};
		store_get(&store, &g[i]);
	}
	store_get_cancel(&g[2]);
	settle();
	assert_int_equal(answers[STORE_HERE], 4);
	assert_int_equal(finds, 1);
	assert_int_equal(reads, 1);
	assert_int_equal(store.counters.loads, 1);
}

/* Many times what RAM holds, and one that is longer than all of it. */
static void test_more_than_memory(void **state)
{
	enum { BLOBS = 40 };
	const uint64_t longest = 14 * (uint64_t)PIECE_SIZE + 77;

	(void)state;
	for (uint64_t i = 0; i < BLOBS; i++)
		assert_int_equal(put(i, i % 2 ? SHORT : LONG), 0);
	assert_int_equal(put(1000, longest), 0);
	for (uint64_t i = 0; i < BLOBS; i++)
		check(i, i % 2 ? SHORT : LONG);
	check(1000, longest);
	assert_int_equal(store_here(&store).blobs, BLOBS + 1);
	assert_true(store.counters.evicted > 0);
}

/* More uploads at once than RAM has room for: what is written leaves. */
static void test_many_uploads_at_once(void **state)
{
	enum { PUTS = 14 };
	struct store_put p[PUTS];

	(void)state;
	for (uint64_t i = 0; i < PUTS; i++) {
		const struct blob_name name = name_of(i, LONG);

		assert_int_equal(store_put_begin(&store, &name, &p[i]), 0);
	}
	for (uint32_t at = 0; at < chunk_count(LONG); at += PIECE_CHUNKS)
		for (uint64_t i = 0; i < PUTS; i++) {
			const uint32_t left = chunk_count(LONG) - at;
			const uint32_t n = left < PIECE_CHUNKS ? left : PIECE_CHUNKS;
			int ret;

			while ((ret = store_put_grow(&p[i], at + n)) == -EAGAIN)
				settle();
			assert_int_equal(ret, 0);
			for (uint32_t k = 0; k < n; k++)
				write_chunk(&slab, p[i].piece[at / PIECE_CHUNKS], i, k);
			store_put_ready(&p[i], at + n);
		}
	for (uint64_t i = 0; i < PUTS; i++) {
		result = 1;
		store_put_commit(&p[i], put_stored);
		settle();
		assert_int_equal(result, 0);
		put_end(&p[i]);
	}
	assert_int_equal(store.held, 0);
	for (uint64_t i = 0; i < PUTS; i++)
		check(i, LONG);
}

/* What others read while it comes leaves oldest first; and who brought it is known ever after. */
static void test_newest_stay(void **state)
{
	const uint64_t length = 14 * (uint64_t)PIECE_SIZE + 77;
	const struct blob_name name = name_of(5, length);
	struct store_put p;

	(void)state;
	assert_int_equal(store_put_begin(&store, &name, &p), 0);
	p.attempt = 77;
	p.newest_stay = true;
	assert_int_equal(put_fill(&p, 5), 0);
	settle();
	assert_int_equal(p.written, 14 * PIECE_EXTENTS + 1);
	assert_int_equal(p.gone, 14);
	for (uint32_t i = 0; i < 14; i++)
		assert_int_equal(p.piece[i], PIECE_NONE);
	assert_int_not_equal(p.piece[14], PIECE_NONE);
	result = 1;
	store_put_commit(&p, put_stored);
	settle();
	assert_int_equal(result, 0);
	put_end(&p);
	assert_true(store_find_piece(&store, &name, 14)->attempt == 77);
	restart();
	assert_int_equal(ask(5, length, 3, STORE_PIECE), STORE_HERE);
	assert_true(store_find_piece(&store, &name, 3)->attempt == 77);
	check(5, length);
}

static void chunks_got(struct store_read *r, int ret)
{
	(void)r;
	result = ret;
}

static void test_read_chunks(void **state)
{
	const uint32_t all = chunk_count(LONG);
	uint32_t chunk[4] = {0, EXTENT_CHUNKS, PIECE_CHUNKS + 3, all - 1};
	uint8_t here[4 * CHUNK_SIZE], there[4 * CHUNK_SIZE];
	struct store_read r = {
		.name = name_of(2, LONG), .chunk = chunk, .count = 4, .to = here, .fn = chunks_got};

	(void)state;
	assert_int_equal(put(2, LONG), 0);
	check(2, LONG);
	result = 1;
	store_read(&store, &r);
	assert_int_equal(result, 0); /* at once */
	restart();
	r.to = there;
	result = 1;
	store_read(&store, &r);
	assert_int_equal(result, 1);
	settle();
	assert_int_equal(result, 0);
	assert_memory_equal(here, there, 3 * CHUNK_SIZE + chunk_length(LONG, all - 1));
	assert_int_equal(store.counters.loads, 0);
	r.name = name_of(4, LONG);
	store_read(&store, &r);
	settle();
	assert_int_equal(result, -ENOENT);
}

/* "stored" is not said of what is not; the engine comes back, and so does everything. */
static void test_commit_fails(void **state)
{
	static const int errors[] = {-EIO, -ENOSPC};

	(void)state;
	assert_int_equal(put(2, LONG), 0);
	check(2, LONG);
	for (unsigned int i = 0; i < 2; i++) {
		fail_commit = errors[i];
		assert_int_equal(put(10 + i, SHORT), errors[i]);
		assert_true(store.failed);
		assert_non_null(strstr(store.why, "the test says"));
		assert_int_equal(ask(10 + i, SHORT, 0, STORE_PIECE), STORE_FAILED);
		check(2, LONG); /* RAM goes on */
		assert_int_equal(put(20, SHORT), -EIO);
		fail_commit = 0;
		later(2);
		assert_false(store.failed);
		assert_int_equal(ask(10 + i, SHORT, 0, STORE_PIECE), STORE_ABSENT);
		assert_int_equal(put(10 + i, SHORT), 0);
	}
	assert_int_equal(opens, 3);
	assert_int_equal(store.counters.failures, 2);
	restart();
	check(2, LONG);
	check(10, SHORT);
	check(11, SHORT);
	assert_int_equal(store_here(&store).blobs, 3);
}

static void test_write_fails(void **state)
{
	(void)state;
	fail_write = -ENOSPC;
	assert_int_equal(put(2, LONG), -EIO);
	fail_write = 0;
	fail_open = -EIO;
	for (unsigned int i = 0; i < 3; i++) { /* it is tried again, not all the time */
		later(2);
		store_poll(&store, seconds * 1000000);
		settle();
	}
	assert_int_equal(opens, 4);
	assert_true(store.failed);
	assert_string_equal(store.why, "the test says no");
	fail_open = 0;
	later(2);
	assert_int_equal(put(2, LONG), 0);
	check(2, LONG);
	assert_int_equal(store_usage(&store, 0).blobs, 1);
}

/* An upload that began before the engine was opened again lost what it wrote: it must not
 * become a blob. */
static void test_upload_across_a_reopening(void **state)
{
	const struct blob_name name = name_of(2, LONG);
	struct store_put p;

	(void)state;
	assert_int_equal(store_put_begin(&store, &name, &p), 0);
	assert_int_equal(put_fill(&p, 2), 0);
	assert_int_equal(p.written, (LONG + ENGINE_BLOCK - 1) / ENGINE_BLOCK);
	fail_commit = -EIO;
	assert_int_equal(put(1, SHORT), -EIO);
	fail_commit = 0;
	later(2);
	assert_false(store.failed);
	result = 1;
	store_put_commit(&p, put_stored);
	settle();
	assert_int_equal(result, -EIO);
	put_end(&p);
	assert_int_equal(ask(2, LONG, 0, STORE_PIECE), STORE_ABSENT);
	assert_int_equal(store_usage(&store, 0).blobs, 0);
	assert_int_equal(put(2, LONG), 0);
}

/* A damaged blob is a miss, and can be stored again. */
static void test_corrupt(void **state)
{
	(void)state;
	assert_int_equal(put(1, SHORT), 0);
	restart();
	fail_read = -EBADMSG;
	assert_int_equal(ask(1, SHORT, 0, STORE_PIECE), STORE_ABSENT);
	fail_read = 0;
	assert_int_equal(store.counters.corrupt, 1);
	assert_false(store.failed);
	assert_int_equal(store_here(&store).blobs, 0);
	assert_int_equal(store_usage(&store, 1).blobs, 0);
	assert_int_equal(ask(1, SHORT, 0, STORE_PIECE), STORE_ABSENT);
	assert_int_equal(put(1, SHORT), 0);
	restart();
	check(1, SHORT);
}

static void test_read_fails(void **state)
{
	(void)state;
	assert_int_equal(put(1, SHORT), 0);
	restart();
	fail_read = -EIO;
	assert_int_equal(ask(1, SHORT, 0, STORE_PIECE), STORE_FAILED);
	fail_read = 0;
	assert_true(store.failed);
	later(2);
	check(1, SHORT);
}

static void shell(const char *format, ...)
{
	char command[256];
	va_list list;

	va_start(list, format);
	vsnprintf(command, sizeof(command), format, list);
	va_end(list);
	assert_int_equal(system(command), 0);
}

/* Somebody moves it away: nothing is said to be stored from then on, and it goes on where it
 * was when it is back. */
static void test_folder_disappears(void **state)
{
	(void)state;
	assert_int_equal(put(1, SHORT), 0);
	assert_int_equal(put(2, LONG), 0);
	restart();
	check(1, SHORT);
	shell("mv %s %s.away", folder, folder);
	for (unsigned int i = 0; i < 3; i++) {
		later(2);
		assert_true(store.failed);
		check(1, SHORT); /* from RAM */
		assert_int_equal(ask(2, LONG, 0, STORE_PIECE), STORE_FAILED);
		assert_int_equal(put(3, SHORT), -EIO);
	}
	assert_non_null(strstr(store.why, folder));
	assert_non_null(strstr(store.why, "put it back"));
	shell("rm -rf %s && mv %s.away %s", folder, folder, folder);
	later(2);
	assert_false(store.failed);
	check(2, LONG);
	assert_int_equal(put(3, SHORT), 0);
	assert_int_equal(store_here(&store).blobs, 3);
}

/* A backup is put in the place of one that failed: what counts is what it has. */
static void test_folder_of_another_day(void **state)
{
	(void)state;
	assert_int_equal(put(1, SHORT), 0);
	stop();
	shell("cp -r %s %s.copy", folder, folder);
	start();
	assert_int_equal(put(3, LONG), 0);
	fail_commit = fail_open = -EIO;
	assert_int_equal(put(5, SHORT), -EIO);
	later(2); /* it is closed */
	shell("rm -rf %s && mv %s.copy %s", folder, folder, folder);
	fail_commit = fail_open = 0;
	later(2);
	assert_false(store.failed);
	assert_int_equal(store_here(&store).blobs, 1);
	assert_int_equal(store_here(&store).bytes, SHORT);
	assert_int_equal(store_usage(&store, 1).bytes, SHORT);
	check(1, SHORT);
	restart();
	assert_int_equal(ask(3, LONG, 0, STORE_PIECE), STORE_ABSENT);
}

static void test_remove(void **state)
{
	const struct blob_name name = name_of(2, LONG);

	(void)state;
	assert_int_equal(put(2, LONG), 0);
	blob_remove(&store, &name, REMOVE_GONE);
	assert_null(store_find(&store, &name));
	settle();
	assert_int_equal(ask(2, LONG, 1, STORE_PIECE), STORE_ABSENT);
	assert_int_equal(store_here(&store).blobs, 0);
	restart();
	assert_int_equal(store_here(&store).blobs, 0);
	/* one that is not in RAM, while it is being loaded */
	assert_int_equal(put(2, LONG), 0);
	restart();
	{
		struct store_get g = {.name = name, .want = STORE_PIECE, .fn = got};

		memset(answers, 0, sizeof(answers));
		store_get(&store, &g);
		blob_remove(&store, &name, REMOVE_GONE);
		settle();
		assert_int_equal(answers[STORE_ABSENT], 1);
	}
	assert_null(store_find(&store, &name));
	assert_int_equal(store_here(&store).blobs, 0);
}

static bool odd(void *ctx, uint32_t domain)
{
	(void)ctx;
	return domain == 1;
}

static void test_drop(void **state)
{
	enum { BLOBS = 300 };

	(void)state;
	for (uint64_t i = 0; i < BLOBS; i++)
		assert_int_equal(put(i, 100), 0);
	restart();
	check(1, 100);
	assert_int_equal(store_drop(&store, odd, NULL), 0);
	settle();
	assert_false(store_drops(&store));
	assert_int_equal(store_here(&store).blobs, BLOBS / 2);
	assert_int_equal(store.counters.removed, BLOBS / 2);
	assert_int_equal(store_usage(&store, 1).blobs, 0);
	assert_int_equal(ask(1, 100, 0, STORE_PIECE), STORE_ABSENT);
	check(2, 100);
	check(BLOBS - 2, 100);
}

/* Those that come together are committed together. */
static void test_group(void **state)
{
	enum { BLOBS = 20 };
	struct store_put p[BLOBS];

	(void)state;
	for (uint64_t i = 0; i < BLOBS; i++) {
		const struct blob_name name = name_of(i, 300);

		assert_int_equal(store_put_begin(&store, &name, &p[i]), 0);
		assert_int_equal(put_fill(&p[i], i), 0);
	}
	commits = 0;
	for (uint64_t i = 0; i < BLOBS; i++)
		store_put_commit(&p[i], put_stored);
	settle();
	assert_int_equal(commits, 1);
	for (uint64_t i = 0; i < BLOBS; i++)
		put_end(&p[i]);
	assert_int_equal(store_here(&store).blobs, BLOBS);
	restart();
	for (uint64_t i = 0; i < BLOBS; i++)
		check(i, 300);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_outlives_the_process),
		TEST(test_one_load),
		TEST(test_more_than_memory),
		TEST(test_many_uploads_at_once),
		TEST(test_newest_stay),
		TEST(test_read_chunks),
		TEST(test_commit_fails),
		TEST(test_write_fails),
		TEST(test_upload_across_a_reopening),
		TEST(test_corrupt),
		TEST(test_read_fails),
		TEST(test_folder_disappears),
		TEST(test_folder_of_another_day),
		TEST(test_remove),
		TEST(test_drop),
		TEST(test_group),
	};

	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
