/* SPDX-License-Identifier: BSD-3-Clause
 * One's-complement sums (RFC 1071).
 */
#include <string.h>

#include "store/slab.h"

static inline uint64_t fold(uint64_t sum)
{
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & UINT16_MAX) + (sum >> 16);
	return (sum & UINT16_MAX) + (sum >> 16);
}

/* The last bytes, fewer than 8, as if zeros followed. A memcpy() of so many would be a call. */
static inline uint64_t tail_load(const uint8_t *p, size_t len)
{
	uint64_t word = 0;
	uint32_t four;
	uint16_t two;
	size_t at = 0;

	if (len & 4) {
		memcpy(&four, p, sizeof(four));
		word = four;
		at = 4;
	}
	if (len & 2) {
		memcpy(&two, p + at, sizeof(two));
		word |= (uint64_t)two << at * 8;
		at += 2;
	}
	if (len & 1)
		word |= (uint64_t)p[at] << at * 8;
	return word;
}

/* 16-bit words as the host loads them: by RFC 1071, section 2(B), the inverted
 * result can be stored into a header as it is, like rte_raw_cksum()'s.
 *
 * `high` adds the upper halves of 64-bit words. `all` adds the words and loses
 * its carries, but less high << 32 it is the sum of the lower halves, which did
 * not overflow. That is one operation a word less than to part the halves. */
uint16_t bytes_sum(const uint8_t *bytes, size_t len)
{
	uint64_t all = 0, high = 0, word;
	size_t i;

	for (i = 0; i + sizeof(word) <= len; i += sizeof(word)) {
		memcpy(&word, bytes + i, sizeof(word));
		all += word;
		high += word >> 32;
	}
	word = tail_load(bytes + i, len - i);
	all += word;
	high += word >> 32;
	return (uint16_t)fold(fold(all - (high << 32)) + fold(high));
}
