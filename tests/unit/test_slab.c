/* SPDX-License-Identifier: BSD-3-Clause
 * Slabs: opening, limits, and that nothing is lost when everything is freed.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "slab_blobs.h"

static void test_open_refuses_sizes_out_of_range(void **state)
{
	const struct slab_config good = {.bytes = MIB, .blobs = 1, .max_blob = SLAB_MAX_BLOB};
	struct slab_config c;
	struct slab s;

	(void)state;
	assert_int_equal(slab_open(&s, &good), 0);
	assert_int_equal(s.extent_count, 16);
	slab_close(&s);
	c = good;
	c.bytes = MIB - 1;
	assert_int_equal(slab_open(&s, &c), -EINVAL);
	c.bytes = (uint64_t)UINT32_MAX * EXTENT_SIZE;
	assert_int_equal(slab_open(&s, &c), -EINVAL);
	c = good;
	c.blobs = 0;
	assert_int_equal(slab_open(&s, &c), -EINVAL);
	c.blobs = BLOB_NONE;
	assert_int_equal(slab_open(&s, &c), -EINVAL);
	c = good;
	c.max_blob++;
	assert_int_equal(slab_open(&s, &c), -EINVAL);
	slab_close(&s); /* of what did not open: nothing */
}

static void test_open_takes_no_memory_up_front(void **state)
{
	struct slab s;
	struct stat st;
	uint32_t no;

	(void)state;
	open_slab(&s, UINT64_C(16) << 30, 1u << 20, UINT64_C(1) << 30);
	assert_false(s.huge);
	assert_int_equal(s.extent_count, 1u << 18);
	make_blob(&s, 1, 5000, &no);
	check_blob(&s, no, 1);
	assert_int_equal(fstat(s.fd, &st), 0);
	assert_true(st.st_blocks * 512 < (off_t)MIB);
	slab_close(&s);
}

static void test_open_with_or_without_hugepages(void **state)
{
	struct slab_config c = {.bytes = 3 * MIB, .blobs = 64, .max_blob = MIB, .hugepages = true};
	struct stat st;
	struct slab s;
	uint32_t no;

	(void)state;
	assert_int_equal(slab_open(&s, &c), 0);
	assert_int_equal(fstat(s.fd, &st), 0);
	assert_int_equal(s.huge, st.st_blksize > 4096);
	assert_int_equal((s.data - s.base) % EXTENT_SIZE, 0);
	for (uint64_t seed = 0; seed < 3; seed++) {
		make_blob(&s, seed, 15 * EXTENT_BYTES, &no);
		check_blob(&s, no, seed);
	}
	slab_close(&s);
}

static void header_read(int fd, uint8_t page[4096])
{
	assert_int_equal(pread(fd, page, 4096, 0), 4096);
}

static void test_header_tells_layout_and_clean_end(void **state)
{
	uint8_t a[4096], b[4096], closed[4096];
	struct slab s, t;
	int fd;

	(void)state;
	open_slab(&s, MIB, 10, MIB);
	open_slab(&t, MIB, 10, MIB);
	header_read(s.fd, a);
	header_read(t.fd, b);
	assert_memory_equal(a, b, sizeof(a));
	fd = dup(s.fd);
	assert_true(fd >= 0);
	slab_close(&s);
	header_read(fd, closed);
	assert_memory_not_equal(a, closed, sizeof(a));
	close(fd);
	slab_close(&t);
	open_slab(&t, MIB, 11, MIB);
	header_read(t.fd, b);
	assert_memory_not_equal(a, b, sizeof(a));
	slab_close(&t);
}

static void test_too_large_is_refused(void **state)
{
	struct slab s;
	uint32_t no;

	(void)state;
	open_slab(&s, MIB, 4, 4 * EXTENT_BYTES);
	assert_int_equal(reserve(&s, 1, 4 * EXTENT_BYTES + 1, &no), -EFBIG);
	assert_int_equal(reserve(&s, 1, 4 * EXTENT_BYTES, &no), 0);
	slab_close(&s);

	/* 16 extents hold 15 of data, for one must be the list. */
	open_slab(&s, MIB, 4, SLAB_MAX_BLOB);
	assert_int_equal(reserve(&s, 1, 16 * EXTENT_BYTES, &no), -EFBIG);
	assert_int_equal(reserve(&s, 1, SLAB_MAX_BLOB, &no), -EFBIG);
	assert_int_equal(reserve(&s, 1, UINT64_MAX, &no), -EFBIG);
	assert_int_equal(reserve(&s, 1, 15 * EXTENT_BYTES, &no), 0);
	assert_int_equal(blob_grow(&s, no, 15 * EXTENT_CHUNKS), 0);
	assert_int_equal(extents_free(&s), 0);
	write_blob(&s, no, 1);
	check_blob(&s, no, 1);
	slab_close(&s);
}

static void test_descriptors_run_out(void **state)
{
	struct slab s;
	uint32_t no[4];

	(void)state;
	open_slab(&s, MIB, 3, MIB);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(reserve(&s, i, i, &no[i]), 0);
	assert_int_equal(reserve(&s, 3, 0, &no[3]), -ENOSPC);
	assert_int_equal(reserve(&s, 3, 300, &no[3]), -ENOSPC);
	assert_int_equal(extents_free(&s), 15);
	blob_free(&s, no[1]);
	assert_int_equal(reserve(&s, 3, 300, &no[3]), 0);
	assert_int_equal(no[3], no[1]);
	slab_close(&s);
}

static void test_memory_is_taken_as_chunks_arrive(void **state)
{
	const uint64_t length = 10 * EXTENT_BYTES;
	struct slab s;
	uint32_t a, b, no;

	(void)state;
	open_slab(&s, MIB, 4, MIB);
	assert_int_equal(reserve(&s, 1, length, &a), 0);
	assert_int_equal(reserve(&s, 2, length, &b), 0);
	assert_int_equal(extents_free(&s), 16);
	assert_int_equal(blob_grow(&s, a, 1), 0);
	assert_int_equal(blob_grow(&s, a, EXTENT_CHUNKS), 0);
	assert_int_equal(extents_free(&s), 15);
	assert_int_equal(blob_grow(&s, a, EXTENT_CHUNKS + 1), 0);
	assert_int_equal(extents_free(&s), 14);
	/* More than the blob has is the whole blob. */
	assert_int_equal(blob_grow(&s, a, UINT32_MAX), 0);
	assert_int_equal(extents_free(&s), 6);
	assert_int_equal(reserve(&s, 3, length, &no), -ENOSPC);

	/* The loser keeps what it got and goes on when there is room again. */
	assert_int_equal(blob_grow(&s, b, 10 * EXTENT_CHUNKS), -ENOSPC);
	assert_int_equal(slab_blob(&s, b)->extents, 6);
	for (uint32_t i = 0; i < 6 * EXTENT_CHUNKS; i++)
		write_chunk(&s, b, 2, i);
	blob_free(&s, a);
	assert_int_equal(blob_grow(&s, b, 10 * EXTENT_CHUNKS), 0);
	for (uint32_t i = 6 * EXTENT_CHUNKS; i < 10 * EXTENT_CHUNKS; i++)
		write_chunk(&s, b, 2, i);
	check_blob(&s, b, 2);
	blob_free(&s, b);
	assert_all_free(&s);
	slab_close(&s);
}

/* A list extent is not taken when there is none left for the data behind it. */
static void test_list_without_data_is_not_taken(void **state)
{
	uint32_t big, small[15];
	struct slab s;

	(void)state;
	open_slab(&s, MIB, 32, MIB);
	assert_int_equal(reserve(&s, 1, 13 * EXTENT_BYTES, &big), 0);
	for (unsigned i = 0; i < 15; i++)
		make_blob(&s, i, EXTENT_BYTES, &small[i]);
	assert_int_equal(blob_grow(&s, big, 1), -ENOSPC);
	assert_int_equal(extents_free(&s), 1);
	blob_free(&s, small[3]);
	assert_int_equal(blob_grow(&s, big, 1), 0);
	assert_int_equal(extents_free(&s), 0);
	write_chunk(&s, big, 1, 0);
	for (unsigned i = 0; i < 15; i++)
		if (i != 3) {
			check_blob(&s, small[i], i);
			blob_free(&s, small[i]);
		}
	check_chunk(&s, big, 1, 0);
	blob_free(&s, big);
	assert_all_free(&s);
	slab_close(&s);
}

static void test_fill_every_class(void **state)
{
	enum { BLOBS = 16 * 256 };
	uint32_t *no = calloc(BLOBS + 1, sizeof(*no));
	struct slab s;

	(void)state;
	assert_non_null(no);
	open_slab(&s, MIB, BLOBS + 1, MIB);
	for (unsigned c = 0; c < slab_class_count; c++) {
		uint32_t full = 16 * slab_classes[c].per_extent, length = slab_classes[c].capacity;

		for (uint32_t i = 0; i < full; i++)
			make_blob(&s, i, length, &no[i]);
		assert_int_equal(reserve(&s, 0, length, &no[full]), -ENOSPC);
		assert_int_equal(extents_free(&s), 0);
		/* One slot in the midst of full extents. */
		blob_free(&s, no[full / 2]);
		make_blob(&s, full / 2, length, &no[full / 2]);
		assert_int_equal(reserve(&s, 0, length, &no[full]), -ENOSPC);
		for (uint32_t i = full; i-- > 0;) {
			uint32_t pick = (uint32_t)(random_next() % (i + 1)), swap = no[i];

			no[i] = no[pick];
			no[pick] = swap;
		}
		for (uint32_t i = 0; i < full; i++) {
			uint64_t seed;

			memcpy(&seed, slab_blob(&s, no[i])->id.b, sizeof(seed));
			check_blob(&s, no[i], seed);
			blob_free(&s, no[i]);
		}
		assert_all_free(&s);
	}
	slab_close(&s);
	free(no);
}

static void test_empty_class_extent_goes_back(void **state)
{
	struct slab s;
	uint32_t a, b, other;

	(void)state;
	open_slab(&s, MIB, 8, MIB);
	make_blob(&s, 1, 100, &a);
	make_blob(&s, 2, 100, &b);
	make_blob(&s, 3, 600, &other);
	assert_int_equal(extents_free(&s), 14);
	blob_free(&s, a);
	assert_int_equal(extents_free(&s), 14);
	check_blob(&s, b, 2);
	blob_free(&s, b);
	assert_int_equal(extents_free(&s), 15);
	check_blob(&s, other, 3);
	blob_free(&s, other);
	assert_all_free(&s);
	slab_close(&s);
}

static void test_freed_extents_are_reused_first(void **state)
{
	uint32_t a, b, first, extent;
	struct slab s;

	(void)state;
	open_slab(&s, MIB, 8, MIB);
	make_blob(&s, 1, EXTENT_BYTES, &first);
	make_blob(&s, 2, EXTENT_BYTES, &a);
	extent = slab_blob(&s, first)->extent[0];
	blob_free(&s, first);
	make_blob(&s, 3, EXTENT_BYTES, &b);
	assert_int_equal(slab_blob(&s, b)->extent[0], extent);
	slab_close(&s);
}

static void test_descriptor_fields(void **state)
{
	struct ident id = ident_of(42);
	struct slab_usage u;
	uint32_t no, again, generation;
	struct slab s;
	struct blob *b;

	(void)state;
	open_slab(&s, MIB, 1, MIB);
	assert_int_equal(blob_reserve(&s, 9, &id, RULE_XXH3, 777, &no), 0);
	b = slab_blob(&s, no);
	assert_memory_equal(&b->id, &id, sizeof(id));
	assert_int_equal(b->rule, RULE_XXH3);
	assert_int_equal(b->length, 777);
	assert_int_equal(b->domain, 9);
	assert_int_equal(b->state, BLOB_FILLING);
	slab_usage(&s, &u);
	assert_int_equal(u.bytes, 0);
	blob_commit(&s, no);
	slab_usage(&s, &u);
	assert_int_equal(u.bytes, 777);
	assert_int_equal(b->state, BLOB_READY);
	generation = b->generation;
	blob_free(&s, no);
	assert_int_equal(b->state, BLOB_FREE);
	assert_int_equal(reserve(&s, 43, 10, &again), 0);
	assert_int_equal(again, no);
	assert_int_equal(b->generation, generation + 1);
	slab_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_refuses_sizes_out_of_range),
		cmocka_unit_test(test_open_takes_no_memory_up_front),
		cmocka_unit_test(test_open_with_or_without_hugepages),
		cmocka_unit_test(test_header_tells_layout_and_clean_end),
		cmocka_unit_test(test_too_large_is_refused),
		cmocka_unit_test(test_descriptors_run_out),
		cmocka_unit_test(test_memory_is_taken_as_chunks_arrive),
		cmocka_unit_test(test_list_without_data_is_not_taken),
		cmocka_unit_test(test_fill_every_class),
		cmocka_unit_test(test_empty_class_extent_goes_back),
		cmocka_unit_test(test_freed_extents_are_reused_first),
		cmocka_unit_test(test_descriptor_fields),
	};

	return cmocka_run_group_tests_name("slab", tests, NULL, NULL);
}
