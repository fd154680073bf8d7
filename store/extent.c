/* SPDX-License-Identifier: BSD-3-Clause
 * Taking and returning descriptors, extents and slots, each in constant time.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "store/extent.h"

static int number_pool_init(struct number_pool *p, uint32_t limit)
{
	p->returned = calloc(limit, sizeof(*p->returned));
	p->limit = limit;
	return p->returned ? 0 : -ENOMEM;
}

bool number_take(struct number_pool *p, uint32_t *no)
{
	if (p->returned_count > 0)
		*no = p->returned[--p->returned_count];
	else if (p->fresh < p->limit)
		*no = p->fresh++;
	else
		return false;
	return true;
}

void number_return(struct number_pool *p, uint32_t no)
{
	assert(no < p->fresh && p->returned_count < p->fresh);
	p->returned[p->returned_count++] = no;
}

uint32_t number_left(const struct number_pool *p)
{
	return p->limit - p->fresh + p->returned_count;
}

struct slab_alloc *slab_alloc_create(uint32_t pieces, uint32_t extents)
{
	struct slab_alloc *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	if (number_pool_init(&a->pieces, pieces) < 0 || number_pool_init(&a->extents, extents) < 0)
		goto fail;
	a->cut = calloc(extents, sizeof(*a->cut));
	if (!a->cut)
		goto fail;
	for (unsigned i = 0; i < SLAB_CLASSES; i++)
		a->room[i] = EXTENT_NONE;
	return a;
fail:
	slab_alloc_destroy(a);
	return NULL;
}

void slab_alloc_destroy(struct slab_alloc *a)
{
	if (!a)
		return;
	free(a->cut);
	free(a->extents.returned);
	free(a->pieces.returned);
	free(a);
}

static void room_push(struct slab_alloc *a, unsigned size_class, uint32_t extent)
{
	struct cut_extent *x = &a->cut[extent];

	x->prev = EXTENT_NONE;
	x->next = a->room[size_class];
	if (x->next != EXTENT_NONE)
		a->cut[x->next].prev = extent;
	a->room[size_class] = extent;
}

static void room_remove(struct slab_alloc *a, unsigned size_class, uint32_t extent)
{
	const struct cut_extent *x = &a->cut[extent];

	if (x->prev == EXTENT_NONE)
		a->room[size_class] = x->next;
	else
		a->cut[x->prev].next = x->next;
	if (x->next != EXTENT_NONE)
		a->cut[x->next].prev = x->prev;
}

/* Gives an extent of the pool to a size class, all slots vacant. */
static int extent_cut(struct slab_alloc *a, unsigned size_class)
{
	uint32_t slots = slab_classes[size_class].per_extent;
	struct cut_extent *x;
	uint32_t no;

	if (!number_take(&a->extents, &no))
		return -ENOSPC;
	x = &a->cut[no];
	x->used = 0;
	a->vacant[size_class] += slots;
	for (unsigned i = 0; i < SLOT_WORDS; i++) {
		uint32_t n = slots < 64 ? slots : 64;

		x->vacant[i] = n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
		slots -= n;
	}
	room_push(a, size_class, no);
	return 0;
}

int slot_take(struct slab_alloc *a, unsigned size_class, uint32_t *extent, uint16_t *slot)
{
	struct cut_extent *x;
	unsigned i = 0, bit;

	if (a->room[size_class] == EXTENT_NONE && extent_cut(a, size_class) < 0)
		return -ENOSPC;
	*extent = a->room[size_class];
	x = &a->cut[*extent];
	while (x->vacant[i] == 0)
		i++;
	bit = (unsigned)__builtin_ctzll(x->vacant[i]);
	x->vacant[i] &= ~(UINT64_C(1) << bit);
	*slot = (uint16_t)(i * 64 + bit);
	a->vacant[size_class]--;
	if (++x->used == slab_classes[size_class].per_extent)
		room_remove(a, size_class, *extent);
	return 0;
}

void slot_return(struct slab_alloc *a, unsigned size_class, uint32_t extent, uint16_t slot)
{
	struct cut_extent *x = &a->cut[extent];
	uint64_t bit = UINT64_C(1) << slot % 64;

	assert(!(x->vacant[slot / 64] & bit));
	x->vacant[slot / 64] |= bit;
	a->vacant[size_class]++;
	if (x->used-- == slab_classes[size_class].per_extent)
		room_push(a, size_class, extent);
	if (x->used == 0) {
		a->vacant[size_class] -= slab_classes[size_class].per_extent;
		room_remove(a, size_class, extent);
		number_return(&a->extents, extent);
	}
}
