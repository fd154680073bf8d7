/* SPDX-License-Identifier: BSD-3-Clause
 * What a store has, asked of it with an engine and without: one blob, pages of all, one that
 * goes, and the engine's own bytes.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/slab_pieces.h"
#include "tests/unit/store_box.h"

#define NOT_YET 1
#define MANY (2 * STORE_PAGE + 10)

static void start_alone(void)
{
	stop();
	memory_alone = true;
	start();
}

/* ---- one ---- */

static void stat_told(struct store_stat *st, int ret)
{
	(void)st;
	result = ret;
}

static int stat_ask(uint64_t seed, struct store_stat *st)
{
	*st = (struct store_stat){.entry.name = name_of(seed, 0), .fn = stat_told};
	result = NOT_YET;
	store_stat(&store, st);
	settle();
	assert_int_not_equal(result, NOT_YET);
	return result;
}

static void stat_both(void)
{
	struct store_stat st;

	assert_int_equal(put(1, SHORT), 0);
	later(5);
	assert_int_equal(put(2, LONG), 0);
	assert_int_equal(put(3, 0), 0);
	assert_int_equal(stat_ask(1, &st), 0);
	assert_int_equal(st.entry.name.length, SHORT);
	assert_int_equal(st.entry.stored / 1000000, 100);
	assert_int_equal(stat_ask(2, &st), 0);
	assert_int_equal(st.entry.name.length, LONG);
	assert_int_equal(st.entry.stored / 1000000, 105);
	assert_int_equal(stat_ask(3, &st), 0);
	assert_int_equal(st.entry.name.length, 0);
	assert_int_equal(stat_ask(4, &st), -ENOENT);
	st.entry.name = name_of(1, 0);
	st.entry.name.domain = 0; /* another domain's */
	store_stat(&store, &st);
	settle();
	assert_int_equal(result, -ENOENT);
}

static void test_stat(void **state)
{
	struct store_stat st;

	(void)state;
	stat_both();
	restart();
	assert_int_equal(stat_ask(2, &st), 0);
	fail_find = fail_commit = -EIO;
	assert_int_equal(put(7, SHORT), -EIO);
	assert_int_equal(stat_ask(2, &st), -EIO); /* until it is opened again */
	fail_find = fail_commit = 0;
	later(2);
	assert_int_equal(stat_ask(2, &st), 0);
}

static void test_stat_alone(void **state)
{
	(void)state;
	start_alone();
	stat_both();
}

/* ---- pages ---- */

static void list_told(struct store_list *l, int ret)
{
	(void)l;
	result = ret;
}

/* Each of the seeds once; returns how many pages it took. */
static unsigned int list_all(const uint32_t *domain, uint64_t from, uint64_t to, uint64_t step)
{
	static struct store_list l;
	bool seen[MANY] = {false};
	unsigned int pages = 0;

	l = (struct store_list){.domain = domain, .most = STORE_PAGE, .fn = list_told};
	do {
		result = NOT_YET;
		store_list(&store, &l);
		settle();
		assert_int_equal(result, 0);
		pages++;
		for (uint32_t i = 0; i < l.count; i++) {
			const uint64_t seed = l.entry[i].name.length;
			const struct ident id = ident_of(seed);

			assert_true(seed < MANY && !seen[seed]);
			assert_true(ident_equal(&l.entry[i].name.id, &id));
			assert_int_equal(l.entry[i].name.domain, seed % 2);
			seen[seed] = true;
		}
	} while (l.more);
	for (uint64_t seed = 0; seed < MANY; seed++)
		assert_int_equal(seen[seed],
				 seed >= from && seed < to && seed % step == from % step);
	return pages;
}

static void test_list(void **state)
{
	const uint32_t odd = 1, none = 9;

	(void)state;
	assert_int_equal(list_all(NULL, 0, 0, 1), 1);
	for (uint64_t seed = 0; seed < MANY; seed++)
		assert_int_equal(put(seed, seed), 0);
	assert_int_equal(list_all(NULL, 0, MANY, 1), 3);
	assert_int_equal(list_all(&odd, 1, MANY, 2), 2);
	assert_int_equal(list_all(&none, 0, 0, 1), 1);
}

static void test_list_alone(void **state)
{
	const uint32_t odd = 1;

	(void)state;
	start_alone();
	list_all(NULL, 0, 0, 1);
	for (uint64_t seed = 0; seed < 40; seed++)
		assert_int_equal(put(seed, seed), 0);
	list_all(NULL, 0, 40, 1);
	list_all(&odd, 1, 40, 2);
}

/* ---- one that goes ---- */

static void removal_told(struct store_removal *r, int ret)
{
	(void)r;
	result = ret;
}

static int take(uint64_t seed, uint64_t length, bool damaged)
{
	struct store_removal r = {
		.name = name_of(seed, length), .damaged = damaged, .fn = removal_told};
	int ret = store_remove(&store, &r);

	if (ret < 0)
		return ret;
	result = NOT_YET;
	settle();
	assert_int_not_equal(result, NOT_YET);
	return result;
}

static void remove_both(void)
{
	assert_int_equal(put(1, SHORT), 0);
	assert_int_equal(put(2, LONG), 0);
	assert_int_equal(take(1, SHORT + 1, false), -ENOENT);
	assert_int_equal(take(3, SHORT, false), -ENOENT);
	assert_int_equal(take(2, LONG, false), 0);
	assert_int_equal(take(2, LONG, false), -ENOENT);
	assert_int_equal(ask(2, LONG, 0, STORE_PIECE), STORE_ABSENT);
	assert_int_equal(store_here(&store).blobs, 1);
	assert_int_equal(store_here(&store).bytes, SHORT);
	assert_int_equal(store.counters.corrupt, 0);
	assert_int_equal(take(1, SHORT, true), 0);
	assert_int_equal(store.counters.corrupt, 1);
	assert_int_equal(put(2, LONG), 0); /* it may come again */
}

static void test_remove(void **state)
{
	(void)state;
	remove_both();
	restart();
	check(2, LONG);
	assert_int_equal(ask(1, SHORT, 0, STORE_PIECE), STORE_ABSENT);
	fail_commit = -EIO;
	assert_int_equal(take(2, LONG, false), -EIO);
	fail_commit = 0;
	later(2);
	check(2, LONG);
}

static void test_remove_alone(void **state)
{
	(void)state;
	start_alone();
	remove_both();
}

/* ---- the engine's bytes ---- */

static void chunks_told(struct store_read *r, int ret)
{
	(void)r;
	result = ret;
}

static int chunks_read(uint64_t seed, bool stored)
{
	const uint32_t chunk[2] = {0, PIECE_CHUNKS};
	uint8_t to[2 * CHUNK_SIZE];
	struct store_read r = {.name = name_of(seed, LONG),
			       .chunk = chunk,
			       .count = 2,
			       .to = to,
			       .stored = stored,
			       .fn = chunks_told};

	result = NOT_YET;
	store_read(&store, &r);
	settle();
	return result;
}

static void test_read_stored(void **state)
{
	(void)state;
	assert_int_equal(put(2, LONG), 0);
	check(2, LONG);
	reads = 0;
	assert_int_equal(chunks_read(2, false), 0);
	assert_int_equal(reads, 0);
	assert_int_equal(chunks_read(2, true), 0);
	assert_int_equal(reads, 2);
	fail_read = -EBADMSG;
	assert_int_equal(chunks_read(2, false), 0);
	assert_int_equal(chunks_read(2, true), -EBADMSG);
	fail_read = 0;
	assert_int_equal(store.counters.corrupt, 1);
	assert_int_equal(chunks_read(2, false), -ENOENT); /* it is put aside, also from RAM */
}

static void test_read_alone(void **state)
{
	(void)state;
	start_alone();
	assert_int_equal(put(2, LONG), 0);
	assert_int_equal(chunks_read(2, true), 0);
	assert_int_equal(chunks_read(4, true), -ENOENT);
}

/* ---- notes ---- */

static void note_told(struct store_note *n, int ret)
{
	(void)n;
	result = ret;
}

static int note_write(const char *name, char *bytes, size_t size)
{
	struct store_note n = {.name = name, .bytes = bytes, .size = size, .fn = note_told};

	result = NOT_YET;
	store_note_write(&store, &n);
	settle();
	return result;
}

static void must_recall(const char *name, const char *bytes)
{
	struct store_note n = {.name = name, .fn = note_told};

	result = NOT_YET;
	store_note_read(&store, &n);
	settle();
	assert_int_equal(result, 0);
	assert_int_equal(n.size, strlen(bytes));
	assert_int_equal(n.size == 0, n.bytes == NULL);
	if (n.size > 0)
		assert_memory_equal(n.bytes, bytes, n.size);
	free(n.bytes);
}

static void test_notes(void **state)
{
	char one[] = "one", three[] = "three";

	(void)state;
	forgets = false;
	must_recall("a", "");
	assert_int_equal(note_write("a", one, 3), 0);
	assert_int_equal(note_write("ab", three, 5), 0);
	restart();
	must_recall("a", "one");
	must_recall("ab", "three");
	assert_int_equal(note_write("a", NULL, 0), 0);
	must_recall("a", "");
	must_recall("ab", "three");
	assert_int_equal(store_here(&store).blobs, 0);
	start_alone();
	assert_int_equal(note_write("a", one, 3), 0);
	must_recall("a", "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_stat),	TEST(test_stat_alone), TEST(test_list),
		TEST(test_list_alone),	TEST(test_remove),     TEST(test_remove_alone),
		TEST(test_read_stored), TEST(test_read_alone), TEST(test_notes),
	};

	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
