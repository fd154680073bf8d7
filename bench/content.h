/* SPDX-License-Identifier: BSD-3-Clause
 * Blobs that need no files: blob number N of a seed always has the same bytes,
 * so whoever uploads it and whoever asks for it need to agree on numbers only.
 */
#ifndef BENCH_CONTENT_H
#define BENCH_CONTENT_H

#include <stddef.h>
#include <stdint.h>

#include "wire/ident.h"

void content_fill(uint64_t seed, uint64_t number, uint8_t *out, size_t len);
/* Its bytes from `at` on, a multiple of 8. */
void content_fill_from(uint64_t seed, uint64_t number, uint64_t at, uint8_t *out, size_t len);
/* The identifier of its first `length` bytes. 0, or -ENOMEM. */
int content_ident(uint64_t seed, uint64_t number, uint8_t rule, uint64_t length, struct ident *out);

#define MIX_STEP UINT64_C(0x9e3779b97f4a7c15)
/* One step of SplitMix64: the next of a sequence of well-mixed numbers. */
static inline uint64_t mix_next(uint64_t *state)
{
	uint64_t z = *state += MIX_STEP;

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

#endif
