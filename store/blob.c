/* SPDX-License-Identifier: BSD-3-Clause
 * The life of a blob in a slab: reserve, grow, store chunks, commit, free.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "store/extent.h"

/* Extents a blob of this many chunks takes when it is whole, lists included. */
static uint64_t extents_needed(uint32_t chunks)
{
	uint64_t n = ((uint64_t)chunks + EXTENT_CHUNKS - 1) / EXTENT_CHUNKS;

	return n <= BLOB_DIRECT ? n : n + (n + LIST_ENTRIES - 1) / LIST_ENTRIES;
}

static bool blob_has_lists(const struct blob *b)
{
	return chunk_count(b->length) > BLOB_DIRECT * EXTENT_CHUNKS;
}

static uint32_t *list_entry(const struct slab *s, const struct blob *b, uint32_t e)
{
	uint32_t list = b->extent[e / LIST_ENTRIES];

	return (uint32_t *)(s->data + (uint64_t)list * EXTENT_SIZE) + e % LIST_ENTRIES;
}

/* CLASS_EXTENTS for lengths that no class holds; also for length 0, which needs
 * no memory at all. */
static uint8_t size_class_for(uint64_t length)
{
	if (length == 0)
		return CLASS_EXTENTS;
	for (unsigned i = 0; i < slab_class_count; i++)
		if (length <= slab_classes[i].capacity)
			return (uint8_t)i;
	return CLASS_EXTENTS;
}

int blob_reserve(struct slab *s, uint32_t domain, const struct ident *id, uint8_t rule,
		 uint64_t length, uint32_t *no)
{
	uint8_t size_class = size_class_for(length);
	uint32_t extent = 0;
	uint16_t slot = 0;
	struct blob *b;

	if (length > s->max_blob)
		return -EFBIG;
	if (number_left(&s->alloc->blobs) == 0)
		return -ENOSPC;
	if (size_class == CLASS_EXTENTS) {
		uint64_t needed = extents_needed(chunk_count(length));

		if (needed > s->extent_count)
			return -EFBIG;
		if (needed > number_left(&s->alloc->extents))
			return -ENOSPC;
	} else if (slot_take(s->alloc, size_class, &extent, &slot) < 0) {
		return -ENOSPC;
	}

	number_take(&s->alloc->blobs, no);
	b = slab_blob(s, *no);
	b->id = *id;
	b->rule = rule;
	b->length = length;
	b->generation++;
	b->size_class = size_class;
	b->slot = slot;
	b->extents = 0;
	b->domain = domain;
	b->extent[0] = extent;
	atomic_store_explicit(&b->state, BLOB_FILLING, memory_order_release);
	return 0;
}

/* One more data extent, and in front of each LIST_ENTRIES of them the list that
 * holds their numbers. */
static int blob_extend(struct slab *s, struct blob *b)
{
	struct number_pool *pool = &s->alloc->extents;
	bool lists = blob_has_lists(b);
	uint32_t e = b->extents, no;

	if (number_left(pool) < (lists && e % LIST_ENTRIES == 0 ? 2 : 1))
		return -ENOSPC;
	if (lists) {
		if (e % LIST_ENTRIES == 0)
			number_take(pool, &b->extent[e / LIST_ENTRIES]);
		number_take(pool, &no);
		*list_entry(s, b, e) = no;
	} else {
		number_take(pool, &b->extent[e]);
	}
	b->extents++;
	return 0;
}

int blob_grow(struct slab *s, uint32_t no, uint32_t chunks)
{
	struct blob *b = slab_blob(s, no);
	uint32_t all = chunk_count(b->length);
	int rc = 0;

	if (b->size_class != CLASS_EXTENTS)
		return 0;
	if (chunks > all)
		chunks = all;
	while (rc == 0 && (uint64_t)b->extents * EXTENT_CHUNKS < chunks)
		rc = blob_extend(s, b);
	return rc;
}

void blob_commit(struct slab *s, uint32_t no)
{
	struct blob *b = slab_blob(s, no);

	s->alloc->ready_bytes += b->length;
	/* Release: who sees READY sees the chunks and their sums. */
	atomic_store_explicit(&b->state, BLOB_READY, memory_order_release);
}

void blob_leave(struct slab *s, uint32_t no)
{
	struct blob *b = slab_blob(s, no);

	s->alloc->ready_bytes -= b->length;
	atomic_store_explicit(&b->state, BLOB_LEAVING, memory_order_relaxed);
}

static void blob_return_extents(struct slab *s, const struct blob *b)
{
	struct number_pool *pool = &s->alloc->extents;
	bool lists = blob_has_lists(b);

	for (uint32_t e = b->extents; e-- > 0;) {
		if (!lists) {
			number_return(pool, b->extent[e]);
			continue;
		}
		number_return(pool, *list_entry(s, b, e));
		if (e % LIST_ENTRIES == 0)
			number_return(pool, b->extent[e / LIST_ENTRIES]);
	}
}

void blob_free(struct slab *s, uint32_t no)
{
	struct blob *b = slab_blob(s, no);
	uint32_t state = atomic_load_explicit(&b->state, memory_order_relaxed);

	assert(state != BLOB_FREE);
	if (state == BLOB_READY)
		s->alloc->ready_bytes -= b->length;
	if (b->size_class == CLASS_EXTENTS)
		blob_return_extents(s, b);
	else
		slot_return(s->alloc, b->size_class, b->extent[0], b->slot);
	atomic_store_explicit(&b->state, BLOB_FREE, memory_order_relaxed);
	number_return(&s->alloc->blobs, no);
}

void chunk_store(const struct slab *s, struct blob *b, uint32_t i, const uint8_t *bytes,
		 uint32_t len)
{
	uint8_t *chunk = blob_chunk(s, b, i);

	memcpy(chunk, bytes, len);
	*blob_sum(s, b, i, chunk) = bytes_sum(chunk, len);
}
