/* SPDX-License-Identifier: BSD-3-Clause
 * The life of a piece in a slab: reserve, grow, store chunks, commit, free.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "store/extent.h"

uint8_t piece_class(uint32_t length)
{
	if (length == 0)
		return CLASS_EXTENTS; /* it needs no memory at all */
	for (unsigned i = 0; i < slab_class_count; i++)
		if (length <= slab_classes[i].capacity)
			return (uint8_t)i;
	return CLASS_EXTENTS;
}

uint64_t slab_room(const struct slab *s, uint8_t size_class)
{
	const uint64_t extents = number_left(&s->alloc->extents);

	if (size_class == CLASS_EXTENTS)
		return extents;
	return s->alloc->vacant[size_class] + extents * slab_classes[size_class].per_extent;
}

uint32_t slab_descriptors(const struct slab *s)
{
	return number_left(&s->alloc->pieces);
}

int piece_reserve(struct slab *s, const struct blob_name *name, uint32_t number, uint32_t *no)
{
	uint8_t size_class = piece_class(piece_length(name->length, number));
	uint32_t extent = 0;
	uint16_t slot = 0;
	struct piece *p;

	if (number_left(&s->alloc->pieces) == 0)
		return -ENOSPC;
	if (size_class != CLASS_EXTENTS && slot_take(s->alloc, size_class, &extent, &slot) < 0)
		return -ENOSPC;

	number_take(&s->alloc->pieces, no);
	p = slab_piece(s, *no);
	p->id = name->id;
	p->rule = name->rule;
	p->length = name->length;
	p->domain = name->domain;
	p->number = number;
	p->generation++;
	p->size_class = size_class;
	p->slot = slot;
	p->extents = 0;
	p->attempt = 0;
	p->extent[0] = extent;
	atomic_store_explicit(&p->state, PIECE_FILLING, memory_order_release);
	return 0;
}

int piece_grow(struct slab *s, uint32_t no, uint32_t chunks)
{
	struct piece *p = slab_piece(s, no);
	const uint32_t all = chunk_count(piece_length(p->length, p->number));

	if (p->size_class != CLASS_EXTENTS)
		return 0;
	if (chunks > all)
		chunks = all;
	for (; p->extents * EXTENT_CHUNKS < chunks; p->extents++)
		if (!number_take(&s->alloc->extents, &p->extent[p->extents]))
			return -ENOSPC;
	return 0;
}

void piece_commit(struct slab *s, uint32_t no)
{
	struct piece *p = slab_piece(s, no);

	s->alloc->ready_bytes += piece_length(p->length, p->number);
	/* Release: who sees READY sees the chunks and their sums. */
	atomic_store_explicit(&p->state, PIECE_READY, memory_order_release);
}

void piece_leave(struct slab *s, uint32_t no)
{
	struct piece *p = slab_piece(s, no);

	s->alloc->ready_bytes -= piece_length(p->length, p->number);
	atomic_store_explicit(&p->state, PIECE_LEAVING, memory_order_relaxed);
}

void piece_free(struct slab *s, uint32_t no)
{
	struct piece *p = slab_piece(s, no);
	uint32_t state = atomic_load_explicit(&p->state, memory_order_relaxed);

	assert(state != PIECE_FREE);
	if (state == PIECE_READY)
		s->alloc->ready_bytes -= piece_length(p->length, p->number);
	if (p->size_class == CLASS_EXTENTS)
		while (p->extents > 0)
			number_return(&s->alloc->extents, p->extent[--p->extents]);
	else
		slot_return(s->alloc, p->size_class, p->extent[0], p->slot);
	atomic_store_explicit(&p->state, PIECE_FREE, memory_order_relaxed);
	number_return(&s->alloc->pieces, no);
}

void chunk_store(const struct slab *s, struct piece *p, uint32_t i, const uint8_t *bytes,
		 uint32_t len)
{
	uint8_t *chunk = piece_chunk(s, p, i);

	memcpy(chunk, bytes, len);
	*piece_sum(p, i, chunk) = bytes_sum(chunk, len);
}

void chunk_sum(const struct slab *s, const struct piece *p, uint32_t i)
{
	uint8_t *chunk = piece_chunk(s, p, i);

	*piece_sum(p, i, chunk) =
		bytes_sum(chunk, chunk_length(piece_length(p->length, p->number), i));
}
