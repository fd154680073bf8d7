/* SPDX-License-Identifier: BSD-3-Clause
 * The chunks of one blob that is pulled: which are here, and under which PULL each of
 * the others was asked for. Knows nothing of time or congestion.
 *
 * Every chunk below `next` is in exactly one place: here (`bits`), to be asked for
 * again (`lost_bits`), or in flight, missing from one PULL of the ring.
 */
#ifndef WIRE_PULLS_H
#define WIRE_PULLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/congestion.h"
#include "wire/frame.h"

#define PULLS_MAX 2048u /* PULLs in the ring, at most; a power of two */

struct pull_request {
	uint32_t number;
	uint32_t first;
	uint32_t asked;	  /* mask of chunks, as it was sent */
	uint32_t came;	  /* those that have come under this number */
	uint32_t missing; /* those in flight: not here, not given up */
	uint64_t sent;	  /* microseconds */
	uint64_t passed;  /* when something asked for later had come; 0: not yet */
	struct congestion_mark mark;
};

struct pulls {
	uint32_t chunks; /* in the blob */
	uint32_t have;	 /* here */
	uint32_t next;	 /* the first chunk never asked for */
	uint32_t limit;	 /* PULLs stay below this chunk */
	uint32_t number; /* of the next PULL, from 1 */
	uint32_t flight; /* chunks */
	uint32_t lost;	 /* chunks to ask for again */
	uint32_t scan;	 /* no lost chunk is below this one */
	uint64_t *bits, *lost_bits;
	struct pull_request *ring; /* in the order of sending */
	uint32_t ring_size;	   /* a power of two */
	uint32_t head, tail;	   /* positions, which only grow; head is missing something */
};

/* Sets the first n bits. */
void bits_fill(uint64_t *bits, uint32_t n);

/* Bytes of memory that pulls_init() wants for a blob of `length`. */
size_t pulls_memory(uint64_t length);
/* memory: pulls_memory(length) bytes of zeros, 8-aligned, which stay the caller's.
 * They are touched as PULLs are made and chunks arrive, so pages that the kernel gives
 * as zeros cost nothing before. */
void pulls_init(struct pulls *q, uint64_t length, void *memory);

/* The first n chunks are here already; nothing was asked for yet. */
void pulls_begin_at(struct pulls *q, uint32_t n);
/* Likewise those whose bits are set, from each byte's lowest one. */
void pulls_restore(struct pulls *q, const uint8_t *have);

static inline bool pulls_full(const struct pulls *q)
{
	return q->tail - q->head == q->ring_size;
}

/* Chunks that may be asked for: the lost ones if there are any, else new ones. */
uint32_t pulls_ready(const struct pulls *q);
/* Makes a PULL of up to n chunks, 1 to 32; pulls_ready() > 0 and the ring is not
 * full. The caller fills sent and mark. */
struct pull_request *pulls_make(struct pulls *q, uint32_t n);

/* The oldest PULL that misses something, or NULL. */
struct pull_request *pulls_oldest(const struct pulls *q);
/* The first PULL of the ring with this number or a higher one, or NULL. */
struct pull_request *pulls_from(const struct pulls *q, uint32_t number);
/* A PULL by number, also one that misses nothing any more until its place is taken;
 * NULL: there is none. */
struct pull_request *pulls_find(const struct pulls *q, uint32_t number);
/* Did it ask for this chunk? */
bool pull_asked(const struct pull_request *r, uint32_t chunk);
bool pull_missing(const struct pull_request *r, uint32_t chunk);

bool pulls_has(const struct pulls *q, uint32_t chunk);
/* A chunk below `next` that was not here is. r: the PULL that it came under, or NULL. */
void pulls_take(struct pulls *q, struct pull_request *r, uint32_t chunk);
/* Those of a PULL's missing chunks that are in `mask` are to be asked for again.
 * Returns how many. */
uint32_t pulls_lose(struct pulls *q, struct pull_request *r, uint32_t mask);

#endif
