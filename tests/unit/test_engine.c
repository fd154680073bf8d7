/* SPDX-License-Identifier: BSD-3-Clause
 * The engine of RocksDB by itself: what is committed is there, whole, also after it was
 * closed or its process died; nothing else is.
 */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/engine.h"
#include "tests/unit/slab_pieces.h"

static char folder[64];
static struct engine *e;
static char why[ENGINE_WHY];

static int file_remove(const char *path, const struct stat *st, int what, struct FTW *f)
{
	(void)st;
	(void)what;
	(void)f;
	return remove(path);
}

static void open_engine(void)
{
	assert_int_equal(engine_rocksdb_open(&e, folder, why, sizeof(why)), 0);
}

static void reopen(void)
{
	e->ops->close(e);
	open_engine();
}

static int set_up(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/oncewire-engine-XXXXXX");
	assert_non_null(mkdtemp(folder));
	open_engine();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (e != NULL)
		e->ops->close(e);
	e = NULL;
	return nftw(folder, file_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static struct blob_name name_of(uint64_t seed, uint64_t length)
{
	return (struct blob_name){
		.id = ident_of(seed), .length = length, .rule = RULE_SHA256, .domain = seed % 3};
}

static uint8_t bytes[3 * ENGINE_BLOCK];

/* Of a blob, all its bytes; they follow from the seed. */
static void fill(uint64_t seed, uint64_t length)
{
	for (uint64_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)((seed * 131 + i) * 2654435761u >> 13);
}

static uint32_t blocks_of(uint64_t length, struct iovec *v)
{
	uint32_t n = 0;

	for (uint64_t at = 0; at < length; at += ENGINE_BLOCK, n++) {
		v[n].iov_base = bytes + at;
		v[n].iov_len = length - at < ENGINE_BLOCK ? length - at : ENGINE_BLOCK;
	}
	return n;
}

/* written: so many blocks before the commit. */
static struct engine_change put_make(uint64_t seed, uint64_t length, uint32_t written,
				     struct iovec *v)
{
	const uint32_t n = blocks_of(length, v);
	struct engine_change c = {.name = name_of(seed, length),
				  .body = e->ops->body_next(e),
				  .stored = 1000 + seed,
				  .written = written,
				  .blocks = v + written,
				  .count = n - written};

	fill(seed, length);
	if (written > 0)
		assert_int_equal(e->ops->write(e, c.body, 0, v, written), 0);
	return c;
}

static int put(uint64_t seed, uint64_t length, uint32_t written)
{
	struct iovec v[3];
	struct engine_change c = put_make(seed, length, written, v);

	assert_int_equal(e->ops->commit(e, &c, 1, false), 0);
	return c.result;
}

static int take(uint64_t seed, uint64_t length)
{
	struct engine_change c = {.name = name_of(seed, length), .remove = true};

	assert_int_equal(e->ops->commit(e, &c, 1, true), 0);
	return c.result;
}

static int find(uint64_t seed, uint64_t length, struct engine_record *r)
{
	const struct blob_name name = name_of(seed, length);

	return e->ops->find(e, &name, r);
}

static void check(uint64_t seed, uint64_t length)
{
	struct engine_record r;
	uint8_t got[ENGINE_BLOCK];

	assert_int_equal(find(seed, length, &r), 0);
	assert_int_equal(r.length, length);
	assert_int_equal(r.stored, 1000 + seed);
	fill(seed, length);
	for (uint64_t at = 0; at < length; at += ENGINE_BLOCK) {
		const uint32_t len =
			length - at < ENGINE_BLOCK ? (uint32_t)(length - at) : ENGINE_BLOCK;

		assert_int_equal(e->ops->read(e, r.body, (uint32_t)(at / ENGINE_BLOCK), got, len),
				 0);
		assert_memory_equal(got, bytes + at, len);
	}
}

static struct {
	unsigned int domains;
	uint64_t bytes, blobs;
} sum;

static void usage_add(void *ctx, uint32_t domain, uint64_t n, uint64_t blobs)
{
	(void)ctx;
	(void)domain;
	sum.domains++;
	sum.bytes += n;
	sum.blobs += blobs;
}

static void assert_usage(unsigned int domains, uint64_t n, uint64_t blobs)
{
	memset(&sum, 0, sizeof(sum));
	assert_int_equal(e->ops->usage(e, usage_add, NULL), 0);
	assert_int_equal(sum.domains, domains);
	assert_int_equal(sum.bytes, n);
	assert_int_equal(sum.blobs, blobs);
}

static void test_comes_and_goes(void **state)
{
	struct engine_record r;

	(void)state;
	assert_usage(0, 0, 0);
	assert_int_equal(put(1, 0, 0), 0);
	assert_int_equal(put(2, 100, 0), 0);
	assert_int_equal(put(3, ENGINE_BLOCK + 1, 1), 0);
	assert_int_equal(put(4, 3 * ENGINE_BLOCK, 3), 0);
	assert_int_equal(put(4, 3 * ENGINE_BLOCK, 0), -EEXIST);
	for (unsigned int i = 0; i < 2; i++) {
		check(1, 0);
		check(2, 100);
		check(3, ENGINE_BLOCK + 1);
		check(4, 3 * ENGINE_BLOCK);
		assert_int_equal(find(5, 100, &r), -ENOENT);
		assert_int_equal(find(2, 101, &r), -ENOENT);
		assert_usage(3, 100 + 4 * ENGINE_BLOCK + 1, 4);
		reopen();
	}
	assert_int_equal(take(4, 3 * ENGINE_BLOCK), 0);
	assert_int_equal(take(4, 3 * ENGINE_BLOCK), -ENOENT);
	assert_int_equal(take(2, 99), -ENOENT); /* of another length */
	assert_int_equal(take(1, 0), 0);
	reopen();
	assert_int_equal(find(4, 3 * ENGINE_BLOCK, &r), -ENOENT);
	assert_usage(2, 100 + ENGINE_BLOCK + 1, 2);
	check(2, 100);
	assert_int_equal(put(4, 3 * ENGINE_BLOCK, 1), 0);
	check(4, 3 * ENGINE_BLOCK);
}

static void test_several_at_once(void **state)
{
	struct iovec v[3][3];
	struct engine_change c[3];

	(void)state;
	assert_int_equal(put(1, 100, 0), 0);
	/* they share one buffer of bytes: of one length, written before */
	c[0] = put_make(2, ENGINE_BLOCK, 1, v[0]);
	c[1] = (struct engine_change){.name = name_of(1, 100), .remove = true};
	c[2] = put_make(1, 200, 0, v[2]);
	c[2].name.domain = 9;
	assert_int_equal(e->ops->commit(e, c, 3, true), 0);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(c[i].result, 0);
	check(2, ENGINE_BLOCK);
	assert_usage(2, ENGINE_BLOCK + 200, 2);
}

/* What was written without a record is nobody's, and cleared at the next start. */
static void test_orphans(void **state)
{
	struct iovec v[3];
	struct engine_change c;
	uint8_t got[ENGINE_BLOCK];
	uint64_t body;

	(void)state;
	assert_int_equal(put(1, 2 * ENGINE_BLOCK, 2), 0);
	c = put_make(2, 2 * ENGINE_BLOCK, 2, v);
	body = c.body;
	assert_int_equal(e->ops->read(e, body, 0, got, ENGINE_BLOCK), 0);
	reopen();
	assert_int_equal(e->ops->read(e, body, 0, got, ENGINE_BLOCK), -EBADMSG);
	check(1, 2 * ENGINE_BLOCK);
	c = put_make(2, 2 * ENGINE_BLOCK, 2, v);
	assert_int_equal(e->ops->abandon(e, c.body, 2), 0);
	assert_int_equal(e->ops->read(e, c.body, 1, got, ENGINE_BLOCK), -EBADMSG);
	/* no number is given twice while its blocks may be there */
	assert_true(e->ops->body_next(e) > c.body);
}

static void test_quarantine(void **state)
{
	struct engine_change c = {
		.name = name_of(1, ENGINE_BLOCK), .remove = true, .quarantine = true};
	uint8_t got[ENGINE_BLOCK];
	struct engine_record r;

	(void)state;
	assert_int_equal(put(1, ENGINE_BLOCK, 0), 0);
	assert_int_equal(find(1, ENGINE_BLOCK, &r), 0);
	assert_int_equal(e->ops->commit(e, &c, 1, true), 0);
	assert_int_equal(c.result, 0);
	assert_usage(0, 0, 0);
	assert_int_equal(e->ops->read(e, r.body, 0, got, ENGINE_BLOCK), 0);
	assert_int_equal(find(1, ENGINE_BLOCK, &(struct engine_record){0}), -ENOENT);
	reopen();
	assert_int_equal(e->ops->read(e, r.body, 0, got, ENGINE_BLOCK), -EBADMSG);
}

static void test_list(void **state)
{
	struct blob_name page[4], last;
	unsigned int seen = 0;
	int n;

	(void)state;
	for (uint64_t i = 0; i < 30; i++)
		assert_int_equal(put(i, i, 0), 0);
	for (n = e->ops->list(e, 1, NULL, page, 4); n > 0; n = e->ops->list(e, 1, &last, page, 4)) {
		for (int i = 0; i < n; i++, seen++) {
			uint64_t seed;

			assert_int_equal(page[i].domain, 1);
			assert_int_equal(page[i].rule, RULE_SHA256);
			memcpy(&seed, page[i].id.b, sizeof(seed));
			assert_int_equal(seed, page[i].length);
			assert_int_equal(seed % 3, 1);
		}
		last = page[n - 1];
	}
	assert_int_equal(n, 0);
	assert_int_equal(seen, 10);
	assert_int_equal(e->ops->list(e, 7, NULL, page, 4), 0);
}

/* A process that dies after the commit, without closing anything. */
static void test_dies(void **state)
{
	pid_t child;
	int status;

	(void)state;
	e->ops->close(e);
	e = NULL;
	child = fork();
	if (child == 0) {
		open_engine();
		if (put(1, ENGINE_BLOCK + 5, 1) == 0 && put(2, 10, 0) == 0)
			_exit(7);
		_exit(1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(WEXITSTATUS(status), 7);
	open_engine();
	check(1, ENGINE_BLOCK + 5);
	check(2, 10);
}

static void test_second_is_refused(void **state)
{
	struct engine *second = NULL;

	(void)state;
	assert_int_equal(put(1, 100, 0), 0);
	assert_int_equal(engine_rocksdb_open(&second, folder, why, sizeof(why)), -EBUSY);
	assert_null(second);
	assert_non_null(strstr(why, folder));
	assert_non_null(strstr(why, "another process has it"));
	check(1, 100);
}

/* Turns over a byte of each file of this kind. */
static void files_flip(const char *ending)
{
	char command[256];

	snprintf(command, sizeof(command),
		 "for f in %s/*%s; do s=$(stat -c %%s $f); printf '\\125\\252\\125\\252' | "
		 "dd of=$f bs=1 seek=$((s / 2)) conv=notrunc status=none; done",
		 folder, ending);
	assert_int_equal(system(command), 0);
}

/* A flipped value is found out, and only that blob is lost. */
static void test_damaged_value(void **state)
{
	uint8_t got[ENGINE_BLOCK];
	struct engine_record r;

	(void)state;
	assert_int_equal(put(1, ENGINE_BLOCK, 1), 0);
	reopen(); /* the log becomes files */
	assert_int_equal(put(2, ENGINE_BLOCK, 1), 0);
	e->ops->close(e);
	e = NULL;
	files_flip(".blob");
	open_engine();
	assert_int_equal(find(1, ENGINE_BLOCK, &r), 0);
	assert_int_equal(e->ops->read(e, r.body, 0, got, ENGINE_BLOCK), -EBADMSG);
	check(2, ENGINE_BLOCK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_comes_and_goes),
		TEST(test_several_at_once),
		TEST(test_orphans),
		TEST(test_quarantine),
		TEST(test_list),
		TEST(test_dies),
		TEST(test_second_is_refused),
		TEST(test_damaged_value),
	};

	return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
