/* SPDX-License-Identifier: BSD-3-Clause
 * Pieces of every length keep their bytes and sums, beside neighbours, whatever
 * was freed and reused before.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "slab_pieces.h"

static void test_classes_keep_data_and_sums_apart(void **state)
{
	(void)state;
	for (unsigned i = 0; i < slab_class_count; i++) {
		const struct slab_class *c = &slab_classes[i];

		assert_int_equal(c->slot % 64, 0);
		assert_int_equal(c->per_extent, EXTENT_SIZE / c->slot);
		assert_true(c->capacity + 2 * chunk_count(c->capacity) <= c->slot);
		assert_true(chunk_count(c->capacity) <= 28);
		if (i > 0)
			assert_true(c->capacity > slab_classes[i - 1].capacity);
	}
	assert_int_equal(slab_classes[slab_class_count - 1].capacity, 28 * CHUNK_SIZE);
}

/* A piece of this length between two neighbours of the same: all keep their bytes. */
static void length_round_trip(struct slab *s, uint64_t length)
{
	uint32_t no[3];

	for (uint64_t i = 0; i < 3; i++) {
		assert_int_equal(reserve(s, length + i, length, &no[i]), 0);
		assert_int_equal(piece_grow(s, no[i], chunk_count(length)), 0);
	}
	for (uint64_t i = 0; i < 3; i++)
		write_piece(s, no[i], length + i);
	for (uint64_t i = 0; i < 3; i++) {
		check_piece(s, no[i], length + i);
		piece_commit(s, no[i]);
	}
	for (uint64_t i = 0; i < 3; i++)
		piece_free(s, no[i]);
	assert_all_free(s);
}

static void test_lengths(void **state)
{
	const uint64_t edges[] = {
		1,
		CHUNK_SIZE,
		2 * CHUNK_SIZE,
		28 * CHUNK_SIZE,
		29 * CHUNK_SIZE,
		EXTENT_BYTES,
		2 * EXTENT_BYTES,
		PIECE_SIZE - CHUNK_SIZE,
		PIECE_SIZE - 1,
	};
	struct slab s;

	(void)state;
	open_slab(&s, 16 * MIB, 16);
	for (unsigned i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
		for (uint64_t length = edges[i] - 1; length <= edges[i] + 1; length++)
			length_round_trip(&s, length);
	for (unsigned i = 0; i < slab_class_count; i++)
		for (uint64_t d = 0; d < 3; d++)
			length_round_trip(&s, slab_classes[i].capacity - 1 + d);
	slab_close(&s);
}

static void test_zero_length_takes_a_descriptor_only(void **state)
{
	struct slab_usage u;
	struct slab s;
	uint32_t no;

	(void)state;
	open_slab(&s, MIB, 2);
	assert_int_equal(reserve(&s, 7, 0, &no), 0);
	assert_int_equal(piece_grow(&s, no, 0), 0);
	piece_commit(&s, no);
	slab_usage(&s, &u);
	assert_int_equal(u.extents_free, u.extents_total);
	assert_int_equal(u.pieces, 1);
	assert_int_equal(slab_piece(&s, no)->state, PIECE_READY);
	piece_free(&s, no);
	assert_all_free(&s);
	slab_close(&s);
}

struct model {
	uint32_t no;
	uint64_t seed;
	uint64_t length;
	bool ready;
};

static uint64_t random_length(void)
{
	switch (random_next() % 4) {
	case 0:
		return random_next() % (3 * CHUNK_SIZE);
	case 1:
		return slab_classes[random_next() % slab_class_count].capacity - random_next() % 3;
	case 2:
		return random_next() % (2 * EXTENT_BYTES);
	default:
		return random_next() % (12 * EXTENT_BYTES);
	}
}

static void model_drop(struct slab *s, struct model *m, unsigned *n, unsigned at)
{
	check_piece(s, m[at].no, m[at].seed);
	piece_free(s, m[at].no);
	m[at] = m[--*n];
}

static bool model_add(struct slab *s, struct model *m, uint64_t seed)
{
	m->seed = seed;
	m->length = random_length();
	if (reserve(s, seed, m->length, &m->no) < 0)
		return false;
	if (piece_grow(s, m->no, chunk_count(m->length)) < 0) {
		piece_free(s, m->no);
		return false;
	}
	write_piece(s, m->no, seed);
	m->ready = random_next() % 2;
	if (m->ready)
		piece_commit(s, m->no);
	return true;
}

static void test_random_against_model(void **state)
{
	enum { BLOBS = 100, STEPS = 3000 };
	unsigned n = 0, refused = 0;
	struct model m[BLOBS + 1];
	struct slab_usage u;
	struct slab s;

	(void)state;
	open_slab(&s, 16 * MIB, BLOBS);
	for (uint64_t step = 0; step < STEPS; step++) {
		uint64_t bytes = 0;

		if (n == 0 || random_next() % 5 < 3) {
			if (model_add(&s, &m[n], step))
				n++;
			else
				refused++;
		}
		if (n > 0 && random_next() % 5 < 2)
			model_drop(&s, m, &n, (unsigned)(random_next() % n));
		for (unsigned i = 0; i < n; i++)
			bytes += m[i].ready ? m[i].length : 0;
		slab_usage(&s, &u);
		assert_int_equal(u.pieces, n);
		assert_int_equal(u.bytes, bytes);
	}
	assert_true(refused > 0);
	while (n > 0)
		model_drop(&s, m, &n, n - 1);
	assert_all_free(&s);
	slab_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_classes_keep_data_and_sums_apart),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_zero_length_takes_a_descriptor_only),
		cmocka_unit_test(test_random_against_model),
	};

	return cmocka_run_group_tests_name("blob", tests, NULL, NULL);
}
