/* SPDX-License-Identifier: BSD-3-Clause
 * Which pieces leave RAM when others need room: S3-FIFO (Yang et al., SOSP 2023). What is
 * new waits in a small queue, a tenth of all; what is asked for again meanwhile, or was
 * here not long ago, goes to the main one, which lets go of what was not asked for since
 * it last came round. So what is asked for once passes through without driving out
 * anything that is asked for often.
 *
 * Threads: control's alone, but for cache_touch(): a reader (worker) sets one bit in a map
 * of its own, and only where it is not set.
 */
#ifndef STORE_CACHE_H
#define STORE_CACHE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define CACHE_NONE UINT32_MAX

struct cache;

/* A bit for each entry. */
typedef _Atomic uint64_t cache_map;

/* entries: numbers 0..entries-1 name them. Returns 0 or -ENOMEM. */
int cache_create(struct cache **out, uint32_t entries, unsigned int readers);
void cache_destroy(struct cache *c);
cache_map *cache_reader(const struct cache *c, unsigned int reader);

/* It is asked for. */
static inline void cache_touch(cache_map *map, uint32_t no)
{
	const uint64_t bit = UINT64_C(1) << no % 64;
	const uint64_t word = atomic_load_explicit(&map[no / 64], memory_order_relaxed);

	/* the reader is the only one that sets bits; one that is cleared at this moment
	 * may stay set, which costs nothing but precision */
	if ((word & bit) == 0)
		atomic_store_explicit(&map[no / 64], word | bit, memory_order_relaxed);
}

/* An entry that is here from now on. hash: of what it is, to know it again; weight: what
 * it takes, in a unit of the caller's. expected: it is about to be asked for by who caused
 * it to be here, which says nothing about others. */
void cache_add(struct cache *c, uint32_t no, uint64_t hash, uint32_t weight, bool expected);
/* It is gone, for whatever reason. */
void cache_remove(struct cache *c, uint32_t no);
/* How much it is worth, below CACHE_RANKS: 0: it is not here; from CACHE_RANK_MAIN on it was
 * asked for more than once. */
#define CACHE_RANKS 8u
#define CACHE_RANK_MAIN 4u
unsigned int cache_rank(const struct cache *c, uint32_t no);
/* What is of this hash was here, before cache_create(), and asked for more than once. */
void cache_remember(struct cache *c, uint64_t hash);
bool cache_holds(const struct cache *c, uint32_t no);
/* Takes out who is to go; CACHE_NONE: there is nobody who may. */
uint32_t cache_evict(struct cache *c);

#endif
