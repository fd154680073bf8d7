/* SPDX-License-Identifier: BSD-3-Clause
 * What the tests of slabs and blobs share: blobs whose bytes follow from a seed.
 */
#ifndef TEST_SLAB_PIECES_H
#define TEST_SLAB_PIECES_H

#include "store/slab.h"

#define MIB (UINT64_C(1) << 20)
#define EXTENT_BYTES ((uint64_t)EXTENT_SUMS)

/* Repeatable. */
uint64_t random_next(void);
/* RFC 1071 to the letter. */
uint16_t sum_by_the_rfc(const uint8_t *bytes, size_t len);

void open_slab(struct slab *s, uint64_t bytes, uint32_t pieces);
uint32_t extents_free(const struct slab *s);
void assert_all_free(const struct slab *s);

struct ident ident_of(uint64_t seed);
/* The head of a blob of this length. */
int reserve(struct slab *s, uint64_t seed, uint64_t length, uint32_t *no);
void write_chunk(struct slab *s, uint32_t no, uint64_t seed, uint32_t i);
void check_chunk(const struct slab *s, uint32_t no, uint64_t seed, uint32_t i);
/* All chunks of it. */
void write_piece(struct slab *s, uint32_t no, uint64_t seed);
void check_piece(const struct slab *s, uint32_t no, uint64_t seed);
/* Reserved, grown and written, not committed. */
void make_piece(struct slab *s, uint64_t seed, uint64_t length, uint32_t *no);

#endif
