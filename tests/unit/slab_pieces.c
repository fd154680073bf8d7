/* SPDX-License-Identifier: BSD-3-Clause
 * What the tests of slabs and blobs share.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "slab_pieces.h"

static uint64_t random_state;

/* splitmix64 */
uint64_t random_next(void)
{
	uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* RFC 1071 to the letter: 16-bit words in network order, the odd byte padded. */
uint16_t sum_by_the_rfc(const uint8_t *bytes, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i += 2) {
		sum += (uint32_t)bytes[i] << 8 | (i + 1 < len ? bytes[i + 1] : 0);
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return __builtin_bswap16((uint16_t)sum);
}

void open_slab(struct slab *s, uint64_t bytes, uint32_t pieces)
{
	struct slab_config c = {.bytes = bytes, .pieces = pieces};

	assert_int_equal(slab_open(s, &c), 0);
}

uint32_t extents_free(const struct slab *s)
{
	struct slab_usage u;

	slab_usage(s, &u);
	return u.extents_free;
}

void assert_all_free(const struct slab *s)
{
	struct slab_usage u;

	slab_usage(s, &u);
	assert_int_equal(u.extents_free, u.extents_total);
	assert_int_equal(u.extents_total, s->extent_count);
	assert_int_equal(u.pieces, 0);
	assert_int_equal(u.bytes, 0);
}

struct ident ident_of(uint64_t seed)
{
	struct ident id = {{0}};

	memcpy(id.b, &seed, sizeof(seed));
	return id;
}

int reserve(struct slab *s, uint64_t seed, uint64_t length, uint32_t *no)
{
	const struct blob_name name = {.id = ident_of(seed), .length = length, .rule = RULE_SHA256};

	return piece_reserve(s, &name, 0, no);
}

/* What chunk i of the piece `seed` holds. */
static uint32_t chunk_pattern(uint64_t seed, uint64_t length, uint32_t i, uint8_t *out)
{
	uint32_t len = chunk_length(length, i);
	uint64_t saved = random_state;

	random_state = seed * 1000003 + i;
	for (uint32_t at = 0; at < len; at += 8) {
		uint64_t word = random_next();

		memcpy(out + at, &word, len - at < 8 ? len - at : 8);
	}
	random_state = saved;
	return len;
}

void write_chunk(struct slab *s, uint32_t no, uint64_t seed, uint32_t i)
{
	struct piece *b = slab_piece(s, no);
	uint8_t bytes[CHUNK_SIZE];
	uint32_t len =
		chunk_pattern(seed + b->number, piece_length(b->length, b->number), i, bytes);

	chunk_store(s, b, i, bytes, len);
}

void check_chunk(const struct slab *s, uint32_t no, uint64_t seed, uint32_t i)
{
	const struct piece *b = slab_piece(s, no);
	uint8_t *chunk = piece_chunk(s, b, i), bytes[CHUNK_SIZE];
	uint32_t len =
		chunk_pattern(seed + b->number, piece_length(b->length, b->number), i, bytes);

	assert_true(chunk >= s->data);
	assert_true(chunk + len <= s->base + s->mapped);
	assert_memory_equal(chunk, bytes, len);
	assert_int_equal(*piece_sum(b, i, chunk), sum_by_the_rfc(bytes, len));
}

void write_piece(struct slab *s, uint32_t no, uint64_t seed)
{
	uint32_t n = chunk_count(slab_piece(s, no)->length);

	/* Backwards: no chunk may lean on the order of storing. */
	for (uint32_t i = n; i-- > 0;)
		write_chunk(s, no, seed, i);
}

void check_piece(const struct slab *s, uint32_t no, uint64_t seed)
{
	uint32_t n = chunk_count(slab_piece(s, no)->length);

	for (uint32_t i = 0; i < n; i++)
		check_chunk(s, no, seed, i);
}

void make_piece(struct slab *s, uint64_t seed, uint64_t length, uint32_t *no)
{
	assert_int_equal(reserve(s, seed, length, no), 0);
	assert_int_equal(piece_grow(s, *no, chunk_count(length)), 0);
	write_piece(s, *no, seed);
}
