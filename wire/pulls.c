/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/pulls.h"

#include <string.h>

#define RING_LEAST 64u

static bool bit_test(const uint64_t *bits, uint32_t i)
{
	return bits[i / 64] >> (i % 64) & 1;
}

static void bit_set(uint64_t *bits, uint32_t i)
{
	bits[i / 64] |= UINT64_C(1) << (i % 64);
}

static void bit_clear(uint64_t *bits, uint32_t i)
{
	bits[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

void bits_fill(uint64_t *bits, uint32_t n)
{
	memset(bits, 0xff, n / 64 * sizeof(*bits));
	if (n % 64 != 0)
		bits[n / 64] |= (UINT64_C(1) << n % 64) - 1;
}

static uint32_t min32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static size_t bitmap_words(uint64_t length)
{
	return (chunk_count(length) + 63) / 64;
}

/* No more PULLs than chunks can miss something. */
static uint32_t ring_size(uint64_t length)
{
	uint32_t size = RING_LEAST;

	while (size < PULLS_MAX && size < chunk_count(length))
		size *= 2;
	return size;
}

size_t pulls_memory(uint64_t length)
{
	if (length == 0)
		return 0;
	return 2 * bitmap_words(length) * sizeof(uint64_t) +
	       ring_size(length) * sizeof(struct pull_request);
}

void pulls_init(struct pulls *q, uint64_t length, void *memory)
{
	*q = (struct pulls){
		.chunks = chunk_count(length),
		.limit = chunk_count(length),
		.number = 1,
		.bits = memory,
		.ring_size = ring_size(length),
	};
	if (length == 0)
		return;
	q->lost_bits = q->bits + bitmap_words(length);
	q->ring = (struct pull_request *)(q->lost_bits + bitmap_words(length));
}

void pulls_begin_at(struct pulls *q, uint32_t n)
{
	bits_fill(q->bits, n);
	q->have = q->next = n;
}

void pulls_restore(struct pulls *q, const uint8_t *have)
{
	for (uint32_t i = 0; i < q->chunks; i++) {
		if (have[i / 8] == 0) { /* most of a blob that has hardly begun */
			i |= 7;
			continue;
		}
		if (!(have[i / 8] >> i % 8 & 1))
			continue;
		bit_set(q->bits, i);
		q->have++;
		for (; q->next < i; q->next++) {
			bit_set(q->lost_bits, q->next);
			q->lost++;
		}
		q->next = i + 1;
	}
}

bool pulls_has(const struct pulls *q, uint32_t chunk)
{
	return chunk < q->chunks && bit_test(q->bits, chunk);
}

/* ---- the ring ---- */

static struct pull_request *request_at(const struct pulls *q, uint32_t position)
{
	return &q->ring[position & (q->ring_size - 1)];
}

/* PULL numbers are consecutive, so a number leads to its place. */
static uint32_t position_of(const struct pulls *q, uint32_t number)
{
	return q->tail - (q->number - number);
}

struct pull_request *pulls_find(const struct pulls *q, uint32_t number)
{
	struct pull_request *r;

	if (number == 0 || number >= q->number)
		return NULL;
	r = request_at(q, position_of(q, number));
	return r->number == number ? r : NULL;
}

struct pull_request *pulls_oldest(const struct pulls *q)
{
	return q->head != q->tail ? request_at(q, q->head) : NULL;
}

struct pull_request *pulls_from(const struct pulls *q, uint32_t number)
{
	uint32_t position = position_of(q, number);

	if ((int32_t)(position - q->head) < 0)
		position = q->head;
	return (int32_t)(q->tail - position) > 0 ? request_at(q, position) : NULL;
}

bool pull_asked(const struct pull_request *r, uint32_t chunk)
{
	return chunk - r->first < PULL_MAX_CHUNKS && r->asked >> (chunk - r->first) & 1;
}

bool pull_missing(const struct pull_request *r, uint32_t chunk)
{
	return chunk - r->first < PULL_MAX_CHUNKS && r->missing >> (chunk - r->first) & 1;
}

static void ring_trim(struct pulls *q)
{
	while (q->head != q->tail && request_at(q, q->head)->missing == 0)
		q->head++;
}

/* ---- asking ---- */

uint32_t pulls_ready(const struct pulls *q)
{
	if (q->lost > 0)
		return q->lost;
	return q->limit > q->next ? q->limit - q->next : 0;
}

/* The next chunk to ask for again; lost > 0. */
static uint32_t lost_first(struct pulls *q)
{
	uint32_t word = q->scan / 64;
	uint64_t rest = q->lost_bits[word] & (UINT64_MAX << (q->scan % 64));

	while (rest == 0)
		rest = q->lost_bits[++word];
	q->scan = word * 64 + (uint32_t)__builtin_ctzll(rest);
	return q->scan;
}

/* Takes up to n lost chunks that fit one mask. */
static uint32_t lost_take(struct pulls *q, uint32_t n, uint32_t *first)
{
	uint32_t end, mask = 0;

	*first = lost_first(q);
	end = min32(q->chunks - *first, PULL_MAX_CHUNKS);
	for (uint32_t i = 0; i < end && n > 0; i++) {
		if (!bit_test(q->lost_bits, *first + i))
			continue;
		bit_clear(q->lost_bits, *first + i);
		mask |= UINT32_C(1) << i;
		q->lost--;
		n--;
	}
	return mask;
}

/* Takes up to n chunks that were never asked for; runs end on multiples of 32. */
static uint32_t fresh_take(struct pulls *q, uint32_t n, uint32_t *first)
{
	n = min32(n, PULL_MAX_CHUNKS - q->next % PULL_MAX_CHUNKS);
	n = min32(n, q->limit - q->next);
	*first = q->next;
	q->next += n;
	return UINT32_MAX >> (PULL_MAX_CHUNKS - n);
}

struct pull_request *pulls_make(struct pulls *q, uint32_t n)
{
	struct pull_request *r = request_at(q, q->tail);
	uint32_t first, mask;

	mask = q->lost > 0 ? lost_take(q, n, &first) : fresh_take(q, n, &first);
	*r = (struct pull_request){
		.number = q->number++, .first = first, .asked = mask, .missing = mask};
	q->tail++;
	q->flight += (uint32_t)__builtin_popcount(mask);
	return r;
}

/* ---- what becomes of them ---- */

/* Asked for again meanwhile, or about to be. */
static void chunk_settle(struct pulls *q, uint32_t chunk)
{
	if (bit_test(q->lost_bits, chunk)) {
		bit_clear(q->lost_bits, chunk);
		q->lost--;
		return;
	}
	for (uint32_t i = q->head; i != q->tail; i++) {
		struct pull_request *r = request_at(q, i);

		if (pull_missing(r, chunk)) {
			r->missing &= ~(UINT32_C(1) << (chunk - r->first));
			q->flight--;
			return;
		}
	}
}

void pulls_take(struct pulls *q, struct pull_request *r, uint32_t chunk)
{
	if (r != NULL && pull_missing(r, chunk)) {
		r->missing &= ~(UINT32_C(1) << (chunk - r->first));
		q->flight--;
	} else {
		chunk_settle(q, chunk);
	}
	bit_set(q->bits, chunk);
	q->have++;
	ring_trim(q);
}

uint32_t pulls_lose(struct pulls *q, struct pull_request *r, uint32_t mask)
{
	uint32_t count;

	mask &= r->missing;
	count = (uint32_t)__builtin_popcount(mask);
	r->missing &= ~mask;
	q->flight -= count;
	q->lost += count;
	while (mask) {
		uint32_t chunk = r->first + (uint32_t)__builtin_ctz(mask);

		bit_set(q->lost_bits, chunk);
		q->scan = min32(q->scan, chunk);
		mask &= mask - 1;
	}
	ring_trim(q);
	return count;
}
