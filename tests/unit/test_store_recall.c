/* SPDX-License-Identifier: BSD-3-Clause
 * What is written of a blob on its way in before all of it is there, and how the next process
 * goes on with it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/slab_pieces.h"
#include "tests/unit/store_box.h"

#define SEED 2
#define BLOCKS (PIECE_EXTENTS + 5) /* that came, and */
#define MORE 10			   /* chunks of the next one */
#define CAME (BLOCKS * EXTENT_CHUNKS + MORE)
#define KEPT ((uint64_t)BLOCKS * ENGINE_BLOCK)

static struct store_put upload;

static void begin(uint64_t length)
{
	const struct blob_name name = name_of(SEED, length);

	assert_int_equal(store_put_begin(&store, &name, &upload), 0);
	upload.attempt = 4711;
	upload.keep = true;
}

static struct ident_state *hash; /* of the chunks that come in whole blocks, or are recalled */

static void chunk_come(uint32_t i)
{
	const uint32_t no = upload.piece[i / PIECE_CHUNKS];

	write_chunk(&slab, no, SEED, i % PIECE_CHUNKS);
	if (hash != NULL && i < BLOCKS * EXTENT_CHUNKS)
		ident_update(hash, piece_chunk(&slab, slab_piece(&slab, no), i % PIECE_CHUNKS),
			     CHUNK_SIZE);
}

/* Chunks from `first` to before `end` come. */
static void come(uint32_t first, uint32_t end)
{
	int ret;

	while ((ret = store_put_grow(&upload, end)) == -EAGAIN)
		settle();
	assert_int_equal(ret, 0);
	for (uint32_t i = first; i < end; i++)
		chunk_come(i);
	store_put_ready(&upload, end);
	settle();
}

static void restart_closing(void)
{
	store_closing(&store);
	put_end(&upload);
	restart();
}

static unsigned int recalled;

static void read_note(struct store_put *put, const void *bytes, uint32_t len)
{
	(void)put;
	ident_update(hash, bytes, len);
}

static void recall_note(struct store_put *put)
{
	(void)put;
	recalled++;
}

static int adopt(void)
{
	const struct engine_upload *u;
	uint32_t count;

	u = store_uploads(&store, &count);
	assert_int_equal(count, 1);
	return store_put_adopt(&store, u, &upload);
}

static void recall(void)
{
	recalled = 0;
	hash = ident_begin(RULE_SHA256);
	store_put_recall(&upload, read_note, recall_note);
	settle();
	assert_int_equal(recalled, 1);
}

static struct ident hashed(void)
{
	struct ident id;

	ident_final(hash, &id);
	ident_free(hash);
	hash = NULL;
	return id;
}

static void commit(void)
{
	result = 1;
	store_put_commit(&upload, put_stored);
	settle();
	assert_int_equal(result, 0);
	put_end(&upload);
}

static uint32_t left_count(void)
{
	uint32_t count;

	store_uploads(&store, &count);
	return count;
}

/* All of it that came in whole blocks is the next process's, byte by byte, and nothing of it comes
 * twice; its piece that was not whole goes on in RAM. */
static void test_goes_on(void **state)
{
	struct ident is, should;

	(void)state;
	begin(LONG);
	hash = ident_begin(RULE_SHA256);
	come(0, CAME);
	should = hashed();
	assert_int_equal(upload.written,
			 PIECE_EXTENTS); /* whole pieces at once, what is less later */
	restart_closing();
	assert_int_equal(adopt(), 0);
	assert_int_equal(upload.attempt, 4711);
	assert_int_equal(upload.ready, BLOCKS * EXTENT_CHUNKS);
	assert_int_equal(store_usage(&store, 0).bytes, KEPT);
	assert_int_equal(store_here(&store).bytes, KEPT);
	recall();
	is = hashed();
	assert_true(ident_equal(&is, &should));
	assert_int_equal(upload.ready, BLOCKS * EXTENT_CHUNKS);
	assert_int_equal(upload.written, BLOCKS);
	assert_int_equal(store_put_unpark(&upload), 0);
	assert_int_equal(store_usage(&store, 0).bytes, LONG);
	reads = 0;
	come(upload.ready, chunk_count(LONG));
	commit();
	assert_int_equal(reads, 0);
	assert_int_equal(store_usage(&store, 0).bytes, LONG);
	assert_int_equal(store_usage(&store, 0).blobs, 1);
	assert_int_equal(store_here(&store).bytes, LONG);
	assert_int_equal(store.held, 0);
	check(SEED, LONG);
	restart();
	assert_int_equal(left_count(), 0);
	check(SEED, LONG);
}

/* The piece that was not whole is all there, too, for who pulls it meanwhile. */
static void test_its_last_piece(void **state)
{
	(void)state;
	begin(LONG);
	come(0, CAME);
	restart_closing();
	assert_int_equal(adopt(), 0);
	recall();
	hashed();
	assert_int_equal(store_put_unpark(&upload), 0);
	/* as much as it has, though less is asked for */
	assert_int_equal(store_put_grow(&upload, 1), 0);
	assert_null(upload.recalled);
	assert_int_equal(upload.piece[0], PIECE_NONE);
	for (uint32_t i = 0; i < 5 * EXTENT_CHUNKS; i++)
		check_chunk(&slab, upload.piece[1], SEED, i);
	put_end(&upload);
	assert_int_equal(store_usage(&store, 0).blobs, 0);
	assert_int_equal(store_here(&store).bytes, 0);
	restart();
	assert_int_equal(left_count(), 0); /* it was given up */
}

/* Some time passes: what is slow is written by the block, so that a crash leaves it. */
static void test_slow_ones_are_written_soon(void **state)
{
	(void)state;
	begin(LONG);
	come(0, EXTENT_CHUNKS + 1);
	assert_int_equal(upload.written, 0);
	later(1);
	come(EXTENT_CHUNKS + 1, 2 * EXTENT_CHUNKS);
	assert_int_equal(upload.written, 2);
	assert_int_equal(store_here(&store).bytes, 2 * ENGINE_BLOCK);
	come(2 * EXTENT_CHUNKS, 3 * EXTENT_CHUNKS); /* no time has passed */
	assert_int_equal(upload.written, 2);
	later(1);
	store.slow_bytes = 64 << 20; /* others have had this second's */
	store.slow_second = seconds;
	come(3 * EXTENT_CHUNKS, 4 * EXTENT_CHUNKS);
	assert_int_equal(upload.written, 2);
	come(4 * EXTENT_CHUNKS, PIECE_CHUNKS);
	assert_int_equal(upload.written, PIECE_EXTENTS);
	upload.keep = false;
	later(1);
	come(PIECE_CHUNKS, PIECE_CHUNKS + 2 * EXTENT_CHUNKS);
	assert_int_equal(upload.written, PIECE_EXTENTS); /* nobody would go on with it */
	come(PIECE_CHUNKS + 2 * EXTENT_CHUNKS, chunk_count(LONG));
	commit();
	check(SEED, LONG);
}

/* One of a single piece, too, whose last block goes with its record. */
static void test_a_short_one(void **state)
{
	const uint64_t length = PIECE_SIZE - 5;

	(void)state;
	begin(length);
	come(0, 3 * EXTENT_CHUNKS);
	assert_int_equal(upload.written, 0);
	later(2);
	come(3 * EXTENT_CHUNKS, 4 * EXTENT_CHUNKS);
	assert_int_equal(upload.written, 4);
	restart_closing();
	assert_int_equal(adopt(), 0);
	recall();
	hashed();
	assert_int_equal(upload.ready, 4 * EXTENT_CHUNKS);
	assert_int_equal(store_put_unpark(&upload), 0);
	later(2);
	come(upload.ready, chunk_count(length));
	assert_true(upload.written < PIECE_EXTENTS);
	commit();
	check(SEED, length);
	restart();
	check(SEED, length);
	assert_int_equal(store_here(&store).bytes, length);
}

/* What is parked is written as far as it goes; what ends while the process goes on leaves nothing.
 */
static void test_parked(void **state)
{
	(void)state;
	begin(LONG);
	come(0, CAME);
	store_put_park(&upload);
	settle();
	assert_int_equal(upload.written, BLOCKS);
	put_end(&upload);
	restart();
	assert_int_equal(left_count(), 0);
}

static void test_refused(void **state)
{
	uint32_t count;

	(void)state;
	begin(LONG);
	come(0, CAME);
	restart_closing();
	store_put_refuse(&store, store_uploads(&store, &count));
	settle();
	restart();
	assert_int_equal(left_count(), 0);
	assert_int_equal(store_here(&store).bytes, 0);
}

static void domain_limits(void *ctx, uint32_t domain, struct store_limits *out)
{
	(void)ctx;
	(void)domain;
	out->bytes = KEPT - 1;
}

static void test_its_domain_has_no_room(void **state)
{
	const struct store_policy p = {.of = domain_limits, .refuse = true};

	(void)state;
	begin(LONG);
	come(0, CAME);
	restart_closing();
	store_limit(&store, &p);
	assert_int_equal(adopt(), -EDQUOT);
	assert_int_equal(store_usage(&store, 0).bytes, 0);
}

/* The engine does not have what it should: nothing of it is used. */
static void test_cannot_be_read(void **state)
{
	static const int errors[] = {-EBADMSG, -EIO};

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		begin(LONG);
		come(0, CAME);
		restart_closing();
		assert_int_equal(adopt(), 0);
		fail_read = errors[i];
		recall();
		hashed();
		fail_read = 0;
		assert_int_equal(upload.ready, 0);
		assert_int_equal(store_here(&store).bytes, 0);
		assert_int_equal(store_usage(&store, 0).bytes, 0);
		put_end(&upload);
		assert_int_equal(store_usage(&store, 0).blobs, 0);
		later(2);
		assert_false(store.failed);
	}
}

/* An engine that is opened again meanwhile has cleared it away. */
static void test_engine_fails_meanwhile(void **state)
{
	(void)state;
	begin(LONG);
	come(0, CAME);
	restart_closing();
	assert_int_equal(adopt(), 0);
	fail_commit = -EIO;
	assert_int_equal(put(3, SHORT), -EIO);
	fail_commit = 0;
	later(2);
	assert_false(store.failed);
	reads = 0;
	recall();
	hashed();
	assert_int_equal(reads, 0);
	assert_int_equal(upload.ready, 0);
	put_end(&upload);
	assert_int_equal(store_here(&store).bytes, 0);
}

/* All of it had come, but for its record: its last block comes again. */
static void test_all_but_the_record(void **state)
{
	const uint32_t all = chunk_count(LONG);

	(void)state;
	begin(LONG);
	come(0, all);
	restart_closing();
	assert_int_equal(adopt(), 0);
	recall();
	hashed();
	assert_true(upload.ready < all);
	assert_int_equal(store_put_unpark(&upload), 0);
	come(upload.ready, all);
	commit();
	check(SEED, LONG);
}

/* Of a blob that RAM cannot hold all that is written comes back, by the piece, and the oldest that
 * did goes for it. */
static void test_comes_back(void **state)
{
	const uint64_t length = 14 * (uint64_t)PIECE_SIZE + 77;
	const uint32_t all = piece_count(length);
	uint32_t most = 0;

	(void)state;
	begin(length);
	upload.newest_stay = true;
	assert_int_equal(put_fill(&upload, SEED), 0);
	for (uint32_t turn = 0; turn < 2; turn++)
		for (uint32_t n = 0; n < all; n++) {
			for (unsigned int i = 0; store_put_back(&upload, n) != 0; i++) {
				assert_true(i < 10);
				settle();
			}
			for (uint32_t i = 0; i < chunk_count(piece_length(length, n)); i++)
				check_chunk(&slab, upload.piece[n], SEED, i);
			most = store.held > most ? store.held : most;
		}
	assert_true(most <= slab.extent_count / PIECE_EXTENTS / 4 + 4);
	/* one that ends meanwhile, or is parked, leaves nothing */
	assert_int_equal(store_put_back(&upload, 1), -EAGAIN);
	store_put_park(&upload);
	settle();
	assert_int_equal(store.held, 0);
	assert_int_equal(store_put_unpark(&upload), 0);
	assert_int_equal(store_put_back(&upload, 3), -EAGAIN);
	commit();
	assert_int_equal(store.held, 0);
	check(SEED, length);
}

static unsigned int endings;

static void ending_note(struct store_put *put)
{
	(void)put;
	endings++;
}

/* It ends while its record is on its way, and a piece comes back. */
static void test_ends_meanwhile(void **state)
{
	(void)state;
	begin(LONG);
	come(0, chunk_count(LONG));
	store_put_park(&upload);
	settle();
	assert_int_equal(store_put_unpark(&upload), 0);
	endings = 0;
	store_put_commit(&upload, put_stored);
	assert_int_equal(store_put_back(&upload, 0), -EAGAIN);
	store_put_end(&upload, ending_note);
	assert_int_equal(endings, 0);
	settle();
	assert_int_equal(endings, 1);
	assert_int_equal(store.held, 0);
	assert_int_equal(store_usage(&store, 0).blobs, 1);
	check(SEED, LONG);
}

static void test_cannot_come_back(void **state)
{
	(void)state;
	begin(LONG);
	come(0, 2 * PIECE_CHUNKS);
	store_put_park(&upload);
	settle();
	assert_int_equal(store_put_unpark(&upload), 0);
	fail_read = -EBADMSG;
	assert_int_equal(store_put_back(&upload, 0), -EAGAIN);
	settle();
	assert_int_equal(upload.piece[0], PIECE_NONE);
	fail_read = 0;
	assert_int_equal(store_put_back(&upload, 0), -EAGAIN);
	settle();
	assert_int_equal(store_put_back(&upload, 0), 0);
	assert_int_equal(store_put_back(&upload, 0), 0);
	put_end(&upload);
	assert_int_equal(store.held, 0);
	assert_int_equal(store_here(&store).bytes, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_goes_on),
		TEST(test_its_last_piece),
		TEST(test_slow_ones_are_written_soon),
		TEST(test_a_short_one),
		TEST(test_parked),
		TEST(test_refused),
		TEST(test_its_domain_has_no_room),
		TEST(test_cannot_be_read),
		TEST(test_engine_fails_meanwhile),
		TEST(test_all_but_the_record),
		TEST(test_comes_back),
		TEST(test_ends_meanwhile),
		TEST(test_cannot_come_back),
	};

	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
