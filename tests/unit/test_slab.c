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

#include "slab_pieces.h"

static void test_open_refuses_sizes_out_of_range(void **state)
{
	const struct slab_config good = {.bytes = MIB, .pieces = 1};
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
	c.pieces = 0;
	assert_int_equal(slab_open(&s, &c), -EINVAL);
	c.pieces = PIECE_NONE;
	assert_int_equal(slab_open(&s, &c), -EINVAL);
	slab_close(&s); /* of what did not open: nothing */
}

static void test_open_takes_no_memory_up_front(void **state)
{
	struct slab s;
	struct stat st;
	uint32_t no;

	(void)state;
	open_slab(&s, UINT64_C(16) << 30, 1u << 20);
	assert_false(s.huge);
	assert_int_equal(s.extent_count, 1u << 18);
	make_piece(&s, 1, 5000, &no);
	check_piece(&s, no, 1);
	assert_int_equal(fstat(s.fd, &st), 0);
	assert_true(st.st_blocks * 512 < (off_t)MIB);
	slab_close(&s);
}

static void test_open_with_or_without_hugepages(void **state)
{
	struct slab_config c = {.bytes = 3 * MIB, .pieces = 64, .hugepages = true};
	struct stat st;
	struct slab s;
	uint32_t no;

	(void)state;
	assert_int_equal(slab_open(&s, &c), 0);
	assert_int_equal(fstat(s.fd, &st), 0);
	assert_int_equal(s.huge, st.st_blksize > 4096);
	assert_int_equal((s.data - s.base) % EXTENT_SIZE, 0);
	for (uint64_t seed = 0; seed < 3; seed++) {
		make_piece(&s, seed, 12 * EXTENT_BYTES, &no);
		check_piece(&s, no, seed);
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
	open_slab(&s, MIB, 10);
	open_slab(&t, MIB, 10);
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
	open_slab(&t, MIB, 11);
	header_read(t.fd, b);
	assert_memory_not_equal(a, b, sizeof(a));
	slab_close(&t);
}

static void test_descriptors_run_out(void **state)
{
	struct slab s;
	uint32_t no[4];

	(void)state;
	open_slab(&s, MIB, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(reserve(&s, i, i, &no[i]), 0);
	assert_int_equal(reserve(&s, 3, 0, &no[3]), -ENOSPC);
	assert_int_equal(reserve(&s, 3, 300, &no[3]), -ENOSPC);
	assert_int_equal(extents_free(&s), 15);
	piece_free(&s, no[1]);
	assert_int_equal(reserve(&s, 3, 300, &no[3]), 0);
	assert_int_equal(no[3], no[1]);
	slab_close(&s);
}

static void test_memory_is_taken_as_chunks_arrive(void **state)
{
	const uint64_t length = 10 * EXTENT_BYTES;
	struct slab s;
	uint32_t a, b;

	(void)state;
	open_slab(&s, MIB, 4);
	assert_int_equal(reserve(&s, 1, length, &a), 0);
	assert_int_equal(reserve(&s, 2, length, &b), 0);
	assert_int_equal(extents_free(&s), 16);
	assert_int_equal(piece_grow(&s, a, 1), 0);
	assert_int_equal(piece_grow(&s, a, EXTENT_CHUNKS), 0);
	assert_int_equal(extents_free(&s), 15);
	assert_int_equal(piece_grow(&s, a, EXTENT_CHUNKS + 1), 0);
	assert_int_equal(extents_free(&s), 14);
	/* More than the piece has is the whole piece. */
	assert_int_equal(piece_grow(&s, a, UINT32_MAX), 0);
	assert_int_equal(extents_free(&s), 6);

	/* The loser keeps what it got and goes on when there is room again. */
	assert_int_equal(piece_grow(&s, b, 10 * EXTENT_CHUNKS), -ENOSPC);
	assert_int_equal(slab_piece(&s, b)->extents, 6);
	for (uint32_t i = 0; i < 6 * EXTENT_CHUNKS; i++)
		write_chunk(&s, b, 2, i);
	piece_free(&s, a);
	assert_int_equal(piece_grow(&s, b, 10 * EXTENT_CHUNKS), 0);
	for (uint32_t i = 6 * EXTENT_CHUNKS; i < 10 * EXTENT_CHUNKS; i++)
		write_chunk(&s, b, 2, i);
	check_piece(&s, b, 2);
	piece_free(&s, b);
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
	open_slab(&s, MIB, BLOBS + 1);
	for (unsigned c = 0; c < slab_class_count; c++) {
		uint32_t full = 16 * slab_classes[c].per_extent, length = slab_classes[c].capacity;

		for (uint32_t i = 0; i < full; i++)
			make_piece(&s, i, length, &no[i]);
		assert_int_equal(reserve(&s, 0, length, &no[full]), -ENOSPC);
		assert_int_equal(extents_free(&s), 0);
		/* One slot in the midst of full extents. */
		piece_free(&s, no[full / 2]);
		make_piece(&s, full / 2, length, &no[full / 2]);
		assert_int_equal(reserve(&s, 0, length, &no[full]), -ENOSPC);
		for (uint32_t i = full; i-- > 0;) {
			uint32_t pick = (uint32_t)(random_next() % (i + 1)), swap = no[i];

			no[i] = no[pick];
			no[pick] = swap;
		}
		for (uint32_t i = 0; i < full; i++) {
			uint64_t seed;

			memcpy(&seed, slab_piece(&s, no[i])->id.b, sizeof(seed));
			check_piece(&s, no[i], seed);
			piece_free(&s, no[i]);
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
	open_slab(&s, MIB, 8);
	make_piece(&s, 1, 100, &a);
	make_piece(&s, 2, 100, &b);
	make_piece(&s, 3, 600, &other);
	assert_int_equal(extents_free(&s), 14);
	piece_free(&s, a);
	assert_int_equal(extents_free(&s), 14);
	check_piece(&s, b, 2);
	piece_free(&s, b);
	assert_int_equal(extents_free(&s), 15);
	check_piece(&s, other, 3);
	piece_free(&s, other);
	assert_all_free(&s);
	slab_close(&s);
}

static void test_freed_extents_are_reused_first(void **state)
{
	uint32_t a, b, first, extent;
	struct slab s;

	(void)state;
	open_slab(&s, MIB, 8);
	make_piece(&s, 1, EXTENT_BYTES, &first);
	make_piece(&s, 2, EXTENT_BYTES, &a);
	extent = slab_piece(&s, first)->extent[0];
	piece_free(&s, first);
	make_piece(&s, 3, EXTENT_BYTES, &b);
	assert_int_equal(slab_piece(&s, b)->extent[0], extent);
	slab_close(&s);
}

static void test_descriptor_fields(void **state)
{
	const struct blob_name name = {
		.id = ident_of(42), .rule = RULE_XXH3, .length = 3 * PIECE_SIZE + 777, .domain = 9};
	struct slab_usage u;
	uint32_t no, again, generation;
	struct slab s;
	struct piece *p;

	(void)state;
	open_slab(&s, MIB, 1);
	assert_int_equal(piece_reserve(&s, &name, 3, &no), 0);
	p = slab_piece(&s, no);
	assert_memory_equal(&p->id, &name.id, sizeof(name.id));
	assert_int_equal(p->rule, RULE_XXH3);
	assert_int_equal(p->length, name.length);
	assert_int_equal(p->number, 3);
	assert_int_equal(p->domain, 9);
	assert_int_equal(p->state, PIECE_FILLING);
	slab_usage(&s, &u);
	assert_int_equal(u.bytes, 0);
	piece_commit(&s, no);
	slab_usage(&s, &u);
	assert_int_equal(u.bytes, 777); /* what is in it, not what its blob has */
	assert_int_equal(p->state, PIECE_READY);
	generation = p->generation;
	piece_free(&s, no);
	assert_int_equal(p->state, PIECE_FREE);
	assert_int_equal(reserve(&s, 43, 10, &again), 0);
	assert_int_equal(again, no);
	assert_int_equal(p->generation, generation + 1);
	slab_close(&s);
}

/* What there is room for: slots of the class that are vacant, and those of free extents. */
static void test_room(void **state)
{
	const uint8_t small = piece_class(100);
	uint32_t no[3];
	struct slab s;

	(void)state;
	open_slab(&s, MIB, 8);
	assert_int_equal(slab_room(&s, CLASS_EXTENTS), 16);
	assert_int_equal(slab_room(&s, small), 16 * slab_classes[small].per_extent);
	assert_int_equal(slab_descriptors(&s), 8);
	make_piece(&s, 1, 100, &no[0]);
	make_piece(&s, 2, 100, &no[1]);
	make_piece(&s, 3, 12 * EXTENT_BYTES, &no[2]);
	assert_int_equal(slab_room(&s, CLASS_EXTENTS), 3);
	assert_int_equal(slab_room(&s, small), 4 * slab_classes[small].per_extent - 2);
	assert_int_equal(slab_descriptors(&s), 5);
	for (unsigned i = 0; i < 3; i++)
		piece_free(&s, no[i]);
	assert_int_equal(slab_room(&s, small), 16 * slab_classes[small].per_extent);
	slab_close(&s);
}

static void test_pieces_of_a_length(void **state)
{
	(void)state;
	assert_int_equal(piece_count(0), 1);
	assert_int_equal(piece_length(0, 0), 0);
	assert_int_equal(piece_count(1), 1);
	assert_int_equal(piece_count(PIECE_SIZE), 1);
	assert_int_equal(piece_length(PIECE_SIZE, 0), PIECE_SIZE);
	assert_int_equal(piece_count(PIECE_SIZE + 1), 2);
	assert_int_equal(piece_length(PIECE_SIZE + 1, 0), PIECE_SIZE);
	assert_int_equal(piece_length(PIECE_SIZE + 1, 1), 1);
	assert_int_equal(piece_count(BLOB_MAX_LENGTH), BLOB_MAX_LENGTH / PIECE_SIZE + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_refuses_sizes_out_of_range),
		cmocka_unit_test(test_open_takes_no_memory_up_front),
		cmocka_unit_test(test_open_with_or_without_hugepages),
		cmocka_unit_test(test_header_tells_layout_and_clean_end),
		cmocka_unit_test(test_descriptors_run_out),
		cmocka_unit_test(test_memory_is_taken_as_chunks_arrive),
		cmocka_unit_test(test_fill_every_class),
		cmocka_unit_test(test_empty_class_extent_goes_back),
		cmocka_unit_test(test_freed_extents_are_reused_first),
		cmocka_unit_test(test_descriptor_fields),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_pieces_of_a_length),
	};

	return cmocka_run_group_tests_name("slab", tests, NULL, NULL);
}
