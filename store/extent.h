/* SPDX-License-Identifier: BSD-3-Clause
 * Control's bookkeeping of a slab: which descriptors and extents are free, and
 * which slots of the extents that are cut for a size class. Private to store/.
 */
#ifndef STORE_EXTENT_H
#define STORE_EXTENT_H

#include "store/slab.h"

#define SLAB_CLASSES 8
#define EXTENT_NONE UINT32_MAX
#define SLOT_WORDS (EXTENT_SIZE / 256 / 64) /* words of a map of the smallest slots */

/* Numbers 0..limit-1. Those given back are taken again first, the last one
 * ahead; those never taken lie above `fresh`, so that nothing needs filling in
 * when a pool of millions is made. */
struct number_pool {
	uint32_t *returned;
	uint32_t returned_count;
	uint32_t fresh;
	uint32_t limit;
};

/* An extent that is cut into slots. */
struct cut_extent {
	uint64_t vacant[SLOT_WORDS]; /* bit set: slot is free */
	uint32_t prev, next;	     /* neighbours in the class's list of extents with room */
	uint32_t used;		     /* slots */
};

struct slab_alloc {
	struct number_pool pieces;
	struct number_pool extents;
	struct cut_extent *cut;	       /* by extent number; only those of a class mean anything */
	uint32_t vacant[SLAB_CLASSES]; /* slots in extents that are cut for the class */
	uint32_t room[SLAB_CLASSES];   /* first extent that has a free slot, or EXTENT_NONE */
	uint64_t ready_bytes;
};

/* NULL without memory. */
struct slab_alloc *slab_alloc_create(uint32_t pieces, uint32_t extents);
void slab_alloc_destroy(struct slab_alloc *a);

/* False: none left. */
bool number_take(struct number_pool *p, uint32_t *no);
void number_return(struct number_pool *p, uint32_t no);
uint32_t number_left(const struct number_pool *p);

/* 0 or -ENOSPC. */
int slot_take(struct slab_alloc *a, unsigned size_class, uint32_t *extent, uint16_t *slot);
/* An extent whose last slot is returned goes back to the pool. */
void slot_return(struct slab_alloc *a, unsigned size_class, uint32_t extent, uint16_t slot);

#endif
