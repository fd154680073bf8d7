/* SPDX-License-Identifier: BSD-3-Clause
 * The engine of RocksDB by itself: what is committed is there, whole, also after it was
 * closed or its process died; nothing else is.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/engine.h"
#include "tests/unit/slab_pieces.h"
#include "tests/unit/unit_folder.h"

#define SEGMENT (UINT64_C(8) << 20) /* bytes */
#define BIG (3 * (uint64_t)ENGINE_BLOCK)
#define DIED 7 /* exit status */

static char folder[64];
static struct engine *e;
static char why[ENGINE_WHY];

static uint64_t keep_since;

static void open_engine(void)
{
	const struct engine_config c = {.path = folder,
					.create = true,
					.keep_since = keep_since,
					.segment_bytes = SEGMENT,
					.unlogged_bytes = BIG};

	assert_int_equal(engine_rocksdb_open(&e, &c, why, sizeof(why)), 0);
}

static void reopen(void)
{
	e->ops->close(e);
	open_engine();
}

static int set_up(void **state)
{
	(void)state;
	keep_since = 0;
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
	return folder_remove(folder);
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
				  .stored = 1000 + seed,
				  .written = written,
				  .blocks = v + written,
				  .count = n - written};

	struct engine_upload u = {.name = name_of(seed, length)};

	fill(seed, length);
	if (written > 0)
		assert_int_equal(e->ops->write(e, &u, v, written), 0);
	c.body = u.body;
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
	const struct blob_name name = name_of(seed, length);
	struct engine_record r;
	uint8_t got[ENGINE_BLOCK];

	assert_int_equal(find(seed, length, &r), 0);
	assert_int_equal(r.length, length);
	assert_int_equal(r.stored, 1000 + seed);
	fill(seed, length);
	for (uint64_t at = 0; at < length; at += ENGINE_BLOCK) {
		const uint32_t len =
			length - at < ENGINE_BLOCK ? (uint32_t)(length - at) : ENGINE_BLOCK;

		assert_int_equal(
			e->ops->read(e, &name, &r, (uint32_t)(at / ENGINE_BLOCK), got, len), 0);
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

/* ---- room that comes back ---- */

#define MANY 250u /* of these make six segments */

/* Until there is nothing to do. */
static struct engine_space clear(bool pressed)
{
	struct engine_space space = {0};
	int ret;

	do
		ret = e->ops->clear(e, pressed, &space);
	while (ret == 1);
	assert_int_equal(ret, 0);
	return space;
}

/* Bytes of files that have blocks. */
static uint64_t files_size(void)
{
	char command[256];
	unsigned long long size = 0;
	FILE *f;

	snprintf(command, sizeof(command),
		 "find %s -name '*.sst' -o -name '*.log' | xargs cat | wc -c", folder);
	f = popen(command, "r");
	assert_int_equal(fscanf(f, "%llu", &size), 1);
	pclose(f);
	return size;
}

static void put_many(void)
{
	for (uint64_t i = 0; i < MANY; i++)
		assert_int_equal(put(i, BIG, i % 4), 0);
}

/* Those whose turn it is are kept. */
static void take_but(unsigned int turn)
{
	for (uint64_t i = 0; i < MANY; i++)
		if (i % turn != 0)
			assert_int_equal(take(i, BIG), 0);
}

static void check_kept(unsigned int turn)
{
	struct engine_record r;

	for (uint64_t i = 0; i < MANY; i++) {
		if (i % turn == 0)
			check(i, BIG);
		else
			assert_int_equal(find(i, BIG, &r), -ENOENT);
	}
}

/* The oldest, one after the other: nothing of the others is moved. */
static void test_oldest_leave_room(void **state)
{
	struct engine_space before, after;

	(void)state;
	put_many();
	before = clear(false);
	assert_int_equal(before.written, MANY * BIG);
	assert_int_equal(before.dead, 0);
	for (uint64_t i = 0; i < MANY - 20; i++)
		assert_int_equal(take(i, BIG), 0);
	after = clear(false);
	assert_true(after.written < before.written - 4 * SEGMENT);
	assert_true(after.dead <= after.written / 4 + SEGMENT);
	assert_true(files_size() < before.written);
	for (uint64_t i = MANY - 20; i < MANY; i++)
		check(i, BIG);
	reopen();
	for (uint64_t i = MANY - 20; i < MANY; i++)
		check(i, BIG);
	assert_int_equal(clear(false).written, after.written);
}

/* From everywhere: what stays is moved. */
static void test_holes_leave_room(void **state)
{
	const struct blob_name name = name_of(0, BIG), gone = name_of(1, BIG);
	struct engine_record r, old;
	uint8_t got[ENGINE_BLOCK];

	(void)state;
	put_many();
	assert_int_equal(find(0, BIG, &r), 0);
	assert_int_equal(find(1, BIG, &old), 0);
	take_but(5);
	assert_true(clear(false).written <= 2 * MANY / 5 * BIG + SEGMENT);
	check_kept(5);
	assert_usage(3, MANY / 5 * BIG, MANY / 5);
	/* who looked before finds what moved, and not what went */
	assert_int_equal(e->ops->read(e, &name, &r, 2, got, ENGINE_BLOCK), 0);
	fill(0, BIG);
	assert_memory_equal(got, bytes + 2 * ENGINE_BLOCK, ENGINE_BLOCK);
	assert_int_equal(e->ops->read(e, &gone, &old, 2, got, ENGINE_BLOCK), -ENOENT);
	reopen();
	check_kept(5);
	assert_true(clear(false).written <= 2 * MANY / 5 * BIG + SEGMENT);
}

static void test_pressed_moves_more(void **state)
{
	struct engine_space space;
	uint64_t before;

	(void)state;
	put_many();
	for (uint64_t i = 0; i < MANY; i += 5)
		assert_int_equal(take(i, BIG), 0);
	space = clear(false);
	assert_int_equal(space.written, MANY * BIG);
	assert_true(space.dead > 4 * SEGMENT / 5);
	before = space.written;
	space = clear(true);
	assert_int_equal(space.dead, 0);
	assert_true(space.written < before - 4 * SEGMENT / 5);
}

/* What was written without a record is nobody's: at once if it is said so, and from the next
 * start on. */
static void test_orphans(void **state)
{
	const uint64_t all = 200 * BIG;
	struct engine_upload u = {.name = name_of(2, all)}, w = u;
	struct engine_upload last = {.name = name_of(3, ENGINE_BLOCK)};
	struct iovec v[3];

	(void)state;
	fill(2, BIG);
	blocks_of(BIG, v);
	assert_int_equal(put(1, 2 * ENGINE_BLOCK, 2), 0);
	for (uint32_t i = 0; i < 200; i++)
		assert_int_equal(e->ops->write(e, &u, v, 3), 0);
	assert_int_equal(clear(true).dead, 0); /* it is under way */
	reopen();
	assert_int_equal(e->ops->write(e, &last, v, 1), 0);
	assert_true(last.body > u.body); /* its blocks are still there */
	assert_int_equal(e->ops->abandon(e, last.body), 0);
	assert_true(clear(false).written < all / 2);
	check(1, 2 * ENGINE_BLOCK);
	for (uint32_t i = 0; i < 200; i++)
		assert_int_equal(e->ops->write(e, &w, v, 3), 0);
	assert_int_equal(e->ops->abandon(e, w.body), 0);
	assert_true(clear(false).written < all / 2);
	check(1, 2 * ENGINE_BLOCK);
}

static void quarantine(uint64_t seed, uint64_t length)
{
	struct engine_change c = {
		.name = name_of(seed, length), .remove = true, .quarantine = true};

	assert_int_equal(e->ops->commit(e, &c, 1, true), 0);
	assert_int_equal(c.result, 0);
	assert_int_equal(find(seed, length, &(struct engine_record){0}), -ENOENT);
}

/* Its bytes stay until the next start, for whoever wants to know what happened. */
static void test_quarantine(void **state)
{
	uint64_t before;

	(void)state;
	put_many();
	quarantine(1, BIG);
	assert_usage(3, (MANY - 1) * BIG, MANY - 1);
	for (uint64_t i = 0; i < MANY; i++)
		if (i != 1)
			assert_int_equal(take(i, BIG), 0);
	before = clear(false).written;
	reopen();
	assert_true(clear(false).written < before - SEGMENT / 2);
}

static void test_oldest(void **state)
{
	static const uint64_t order[] = {7, 4, 9, 1, 30, 12};
	const uint32_t domain = 1, none = 8;
	struct engine_entry a[8];
	uint64_t before = 0;
	struct ident id;

	(void)state;
	assert_int_equal(e->ops->oldest(e, NULL, a, 8), 0);
	for (unsigned int i = 0; i < 6; i++)
		assert_int_equal(put(order[i], order[i], 0), 0); /* stored at 1000 + seed */
	assert_int_equal(e->ops->oldest(e, NULL, a, 4), 4);
	assert_int_equal(e->ops->oldest(e, NULL, a, 8), 6);
	for (unsigned int i = 0; i < 6; i++) {
		assert_true(a[i].stored > before);
		before = a[i].stored;
		assert_int_equal(a[i].stored, 1000 + a[i].name.length);
		id = ident_of(a[i].name.length);
		assert_true(ident_equal(&a[i].name.id, &id));
	}
	assert_int_equal(take(4, 4), 0);
	assert_int_equal(e->ops->oldest(e, &domain, a, 8), 2); /* 1, 7 */
	assert_int_equal(a[0].name.length, 1);
	assert_int_equal(a[1].name.length, 7);
	assert_int_equal(a[1].name.domain, 1);
	assert_int_equal(e->ops->oldest(e, &none, a, 8), 0);
}

static void test_list(void **state)
{
	const uint32_t domain = 1, none = 7;
	struct engine_entry page[4];
	struct blob_name last;
	unsigned int seen = 0;
	int n;

	(void)state;
	for (uint64_t i = 0; i < 30; i++)
		assert_int_equal(put(i, i, 0), 0);
	for (n = e->ops->list(e, &domain, NULL, page, 4); n > 0;
	     n = e->ops->list(e, &domain, &last, page, 4)) {
		for (int i = 0; i < n; i++, seen++) {
			const struct blob_name *name = &page[i].name;
			uint64_t seed;

			assert_int_equal(name->domain, 1);
			assert_int_equal(name->rule, RULE_SHA256);
			memcpy(&seed, name->id.b, sizeof(seed));
			assert_int_equal(seed, name->length);
			assert_int_equal(seed % 3, 1);
			assert_int_equal(page[i].stored, 1000 + seed);
		}
		last = page[n - 1].name;
	}
	assert_int_equal(n, 0);
	assert_int_equal(seen, 10);
	assert_int_equal(e->ops->list(e, &none, NULL, page, 4), 0);

	/* all domains, in their order */
	seen = 0;
	for (n = e->ops->list(e, NULL, NULL, page, 4); n > 0;
	     n = e->ops->list(e, NULL, &last, page, 4)) {
		for (int i = 0; i < n; i++)
			assert_int_equal(page[i].name.domain, seen++ / 10);
		last = page[n - 1].name;
	}
	assert_int_equal(seen, 30);
}

static void test_stat(void **state)
{
	struct engine_entry entry = {.name = {.domain = 1, .rule = RULE_SHA256}};

	(void)state;
	assert_int_equal(put(4, 4000, 0), 0);
	entry.name.id = ident_of(4);
	assert_int_equal(e->ops->stat(e, &entry), 0);
	assert_int_equal(entry.name.length, 4000);
	assert_int_equal(entry.stored, 1004);
	entry.name.domain = 2;
	assert_int_equal(e->ops->stat(e, &entry), -ENOENT);
}

#define LONG (200 * (uint64_t)ENGINE_BLOCK)
#define SEEN 5000 /* Unix seconds */

/* One is logged, one is not, and of one nothing is to be kept. */
static int uploads_begin(void)
{
	struct engine_upload u[3] = {
		{.name = name_of(7, BIG), .attempt = 70, .seen = SEEN, .kept = true},
		{.name = name_of(8, LONG), .attempt = 80, .seen = SEEN + 9, .kept = true},
		{.name = name_of(9, LONG), .attempt = 90, .seen = SEEN + 9},
	};
	struct iovec v[3];

	u[0].logged = true;
	fill(7, BIG);
	blocks_of(BIG, v);
	return e->ops->write(e, &u[0], v, 1) == 0 && e->ops->write(e, &u[0], v + 1, 1) == 0 &&
			       e->ops->write(e, &u[1], v, 3) == 0 &&
			       e->ops->write(e, &u[2], v, 3) == 0
		       ? DIED
		       : 1;
}

/* What this program does as another one, which then dies without closing anything. */
static int dying(const char *what, int steps)
{
	struct engine_space space;

	open_engine();
	if (strcmp(what, "uploads") == 0)
		return uploads_begin();
	if (strcmp(what, "puts") == 0)
		return put(1, ENGINE_BLOCK + 5, 1) == 0 && put(2, 10, 0) == 0 &&
				       put(3, BIG, 3) == 0 && put(4, BIG, 1) == 0
			       ? DIED
			       : 1;
	for (int i = 0; i < steps; i++)
		if (e->ops->clear(e, false, &space) < 0)
			return 1;
	return DIED;
}

/* A mere fork would not have the library's threads. */
static void dies(const char *what, int steps)
{
	char number[16];
	pid_t child;
	int status;

	snprintf(number, sizeof(number), "%d", steps);
	e->ops->close(e);
	e = NULL;
	child = fork();
	if (child == 0) {
		execl("/proc/self/exe", "test_engine", folder, what, number, NULL);
		_exit(1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(WEXITSTATUS(status), DIED);
	open_engine();
}

static void test_dies(void **state)
{
	(void)state;
	dies("puts", 0);
	check(1, ENGINE_BLOCK + 5);
	check(2, 10);
	check(3, BIG);
	check(4, BIG);
}

static struct engine_upload left[4];
static unsigned int left_count;

static void upload_note(void *ctx, const struct engine_upload *u)
{
	(void)ctx;
	assert_true(left_count < 4);
	left[left_count++] = *u;
}

static void uploads_look(void)
{
	left_count = 0;
	assert_int_equal(e->ops->uploads(e, upload_note, NULL), 0);
}

static int block_of(const struct engine_upload *u, uint32_t block)
{
	struct engine_record r = {.body = u->body};
	uint8_t got[ENGINE_BLOCK];
	int ret = e->ops->read(e, &u->name, &r, block, got, ENGINE_BLOCK);

	if (ret == 0)
		assert_memory_equal(got, bytes + (size_t)block * ENGINE_BLOCK, ENGINE_BLOCK);
	return ret;
}

/* What was logged of an upload is there for the next process, which goes on with it; what was not
 * may be gone, and nobody else's blocks are in its place. */
static void test_dies_while_uploading(void **state)
{
	struct engine_change c = {.name = name_of(7, BIG), .stored = 1007};
	struct engine_upload other = {.name = name_of(10, LONG)};
	struct iovec v[3];

	(void)state;
	dies("uploads", 0);
	fill(7, BIG);
	blocks_of(BIG, v);
	uploads_look();
	assert_int_equal(left_count, 2);
	assert_true(left[0].name.length == BIG && left[0].attempt == 70 && left[0].blocks == 2 &&
		    left[0].seen == SEEN && left[0].name.domain == 7 % 3);
	assert_true(ident_equal(&left[0].name.id, &c.name.id));
	assert_int_equal(left[1].blocks, 3);
	assert_int_equal(block_of(&left[0], 0), 0);
	assert_int_equal(block_of(&left[0], 1), 0);
	assert_int_equal(block_of(&left[0], 2), -EBADMSG);
	assert_int_equal(block_of(&left[1], 0), -EBADMSG);
	assert_int_equal(e->ops->write(e, &other, v, 1), 0);
	assert_true(other.body > left[1].body);
	assert_int_equal(clear(true).dead, 0); /* all of them are under way */
	assert_int_equal(e->ops->write(e, &left[0], v + 2, 1), 0);
	c.body = left[0].body;
	c.written = left[0].blocks;
	assert_int_equal(e->ops->commit(e, &c, 1, true), 0);
	assert_int_equal(c.result, 0);
	assert_int_equal(e->ops->abandon(e, left[1].body), 0);
	reopen();
	check(7, BIG);
	uploads_look();
	assert_int_equal(left_count, 0);
}

/* What was not seen for long is cleared away, at the start. */
static void test_uploads_grow_old(void **state)
{
	(void)state;
	assert_int_equal(uploads_begin(), DIED);
	keep_since = SEEN + 1;
	reopen();
	uploads_look();
	assert_int_equal(left_count, 1);
	assert_int_equal(left[0].attempt, 80);
	fill(7, BIG);
	assert_int_equal(block_of(&left[0], 2), 0); /* it was closed in good order */
	keep_since = UINT64_MAX;
	reopen();
	uploads_look();
	assert_int_equal(left_count, 0);
}

/* Of what goes by no log the end of the process takes a bounded part. */
static void test_unlogged_is_flushed(void **state)
{
	struct engine_upload u = {.name = name_of(7, 1000 * BIG), .kept = true};
	struct iovec v[3];

	(void)state;
	fill(7, BIG);
	blocks_of(BIG, v);
	/* far from what makes the library write a file by itself, but for the first SEGMENT */
	while (u.blocks * ENGINE_BLOCK < 36 << 20)
		assert_int_equal(e->ops->write(e, &u, v, 3), 0);
	for (int i = 0; i < 3000 && files_size() < 30 << 20; i++)
		usleep(10000);
	assert_true(files_size() >= 30 << 20);
}

/* One that dies while blobs are moved, after so many steps. */
static void test_dies_while_clearing(void **state)
{
	(void)state;
	put_many();
	take_but(5);
	for (int steps = 1; steps < 40; steps += 6) {
		dies("clears", steps);
		check_kept(5);
	}
	assert_true(clear(false).written <= 2 * MANY / 5 * BIG + SEGMENT);
	check_kept(5);
	assert_usage(3, MANY / 5 * BIG, MANY / 5);
}

static void test_second_is_refused(void **state)
{
	const struct engine_config c = {.path = folder, .create = true};
	struct engine *second = NULL;

	(void)state;
	assert_int_equal(put(1, 100, 0), 0);
	assert_int_equal(engine_rocksdb_open(&second, &c, why, sizeof(why)), -EBUSY);
	assert_null(second);
	assert_non_null(strstr(why, folder));
	assert_non_null(strstr(why, "another process has it"));
	check(1, 100);
}

/* Turns over a few bytes of each file that has blocks. */
static void files_flip(void)
{
	char command[256];

	snprintf(command, sizeof(command),
		 "for f in $(find %s -name '*.sst' -size +%uk); do s=$(stat -c %%s $f); "
		 "printf '\\125\\252\\125\\252' | dd of=$f bs=1 seek=$((s / 2)) conv=notrunc "
		 "status=none; done",
		 folder, ENGINE_BLOCK / 1024);
	assert_int_equal(system(command), 0);
}

/* A flipped value is found out, and only that blob is lost. */
static void test_damaged_value(void **state)
{
	const struct blob_name name = name_of(1, ENGINE_BLOCK);
	uint8_t got[ENGINE_BLOCK];
	struct engine_record r;

	(void)state;
	assert_int_equal(put(1, ENGINE_BLOCK, 1), 0);
	reopen(); /* the log becomes files */
	e->ops->close(e);
	e = NULL;
	files_flip(); /* the segment's last block */
	open_engine();
	assert_int_equal(find(1, ENGINE_BLOCK, &r), 0);
	assert_int_equal(e->ops->read(e, &name, &r, 0, got, ENGINE_BLOCK), -EBADMSG);
	assert_int_equal(put(2, ENGINE_BLOCK, 1), 0);
	reopen();
	check(2, ENGINE_BLOCK);
}

/* It does not keep clearing busy for ever, nor does it take others along. */
static void test_damaged_is_not_moved(void **state)
{
	unsigned int damaged = 0;
	struct engine_record r;
	uint8_t got[ENGINE_BLOCK];

	(void)state;
	put_many();
	take_but(5);
	e->ops->close(e);
	e = NULL;
	files_flip();
	open_engine();
	clear(false);
	for (uint64_t i = 0; i < MANY; i += 5) {
		const struct blob_name name = name_of(i, BIG);

		assert_int_equal(find(i, BIG, &r), 0);
		for (uint32_t k = 0; k < 3; k++) {
			int ret = e->ops->read(e, &name, &r, k, got, ENGINE_BLOCK);

			assert_true(ret == 0 || ret == -EBADMSG);
			damaged += ret != 0;
		}
	}
	assert_true(damaged > 0 && damaged < MANY / 4); /* one of each file */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_comes_and_goes),
		TEST(test_several_at_once),
		TEST(test_oldest_leave_room),
		TEST(test_holes_leave_room),
		TEST(test_pressed_moves_more),
		TEST(test_orphans),
		TEST(test_oldest),
		TEST(test_quarantine),
		TEST(test_list),
		TEST(test_stat),
		TEST(test_dies),
		TEST(test_second_is_refused),
		TEST(test_dies_while_uploading),
		TEST(test_uploads_grow_old),
		TEST(test_unlogged_is_flushed),
		TEST(test_dies_while_clearing),
		TEST(test_damaged_value),
		TEST(test_damaged_is_not_moved),
	};

	if (argc == 4) {
		snprintf(folder, sizeof(folder), "%s", argv[1]);
		_exit(dying(argv[2], atoi(argv[3])));
	}
	return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
