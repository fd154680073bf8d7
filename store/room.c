/* SPDX-License-Identifier: BSD-3-Clause
 * Memory for pieces: who gets it, who leaves it, and when it is free.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_part.h"

#define SPARE_EXTENTS (4 * PIECE_EXTENTS) /* made free before they are needed, */
#define SPARE_SLOTS 32u			  /* likewise of a size class, */
#define SPARE_PIECES 64u		  /* and of descriptors; */
#define SPARE_PART 16u			  /* but no more than this part of the slab */
#define EVICTIONS_MOST 64u		  /* at once */
#define CACHE_UNIT 256u			  /* bytes, of weights */

/* A removed piece, until nobody reads it. */
struct leaving {
	uint32_t next; /* that reclaim has not taken yet, or PIECE_NONE */
	int position;  /* its key's in the index */
};

int room_init(struct store *s)
{
	s->leaving = calloc(s->slab->piece_count, sizeof(*s->leaving));
	s->leaving_first = PIECE_NONE;
	return s->leaving != NULL ? 0 : -ENOMEM;
}

/* ---- leaving ---- */

/* What a piece takes of its size class's room. */
static uint64_t piece_room(const struct piece *p)
{
	return p->size_class == CLASS_EXTENTS ? p->extents : 1;
}

/* Reclaim's callback: no worker or frame reads the piece, or probes its key's slot. */
static void piece_left(void *ctx, uint64_t no)
{
	struct store *s = ctx;
	const struct piece *p = slab_piece(s->slab, (uint32_t)no);

	s->leaving_room[p->size_class] -= piece_room(p);
	s->leaving_pieces--;
	if (s->leaving[no].position >= 0)
		index_release(s->index, s->leaving[no].position);
	piece_free(s->slab, (uint32_t)no);
}

/* What reclaim has no memory for is tried again with the next one. */
static void leaving_hand_over(struct store *s)
{
	while (s->leaving_first != PIECE_NONE) {
		const uint32_t no = s->leaving_first, next = s->leaving[no].next;

		if (reclaim_defer_flown(s->reclaim, piece_left, s, no) < 0)
			return;
		s->leaving_first = next;
	}
}

static void piece_leaves(struct store *s, uint32_t no, int position)
{
	const struct piece *p = slab_piece(s->slab, no);

	s->leaving[no].position = position;
	s->leaving_room[p->size_class] += piece_room(p);
	s->leaving_pieces++;
	s->leaving[no].next = s->leaving_first;
	s->leaving_first = no;
	leaving_hand_over(s);
}

void piece_remove(struct store *s, const struct piece *p)
{
	const uint32_t no = (uint32_t)(p - s->slab->pieces);
	const struct blob_name name = piece_name(p);
	const struct index_key key = name_key(s, &name, p->number);

	cache_remove(s->cache, no);
	if (s->ages != NULL && p->number == 0)
		age_remove(s, no);
	piece_leave(s->slab, no);
	piece_leaves(s, no, index_remove(s->index, &key));
}

void piece_discard(struct store *s, uint32_t no)
{
	piece_leaves(s, no, -1);
}

void pieces_remove(struct store *s, const struct blob_name *name)
{
	const struct blob_name copy = *name; /* it may be of a piece that goes */

	for (uint32_t i = 0; i < piece_count(copy.length); i++) {
		const struct piece *p = store_find_piece(s, &copy, i);

		if (p != NULL)
			piece_remove(s, p);
	}
}

/* ---- entering ---- */

static uint32_t cache_weight(uint64_t bytes)
{
	return (uint32_t)(bytes / CACHE_UNIT) + 1;
}

int piece_enter(struct store *s, uint32_t no)
{
	const struct piece *p = slab_piece(s->slab, no);
	const struct blob_name name = piece_name(p);
	const struct index_key key = name_key(s, &name, p->number);
	int ret;

	piece_commit(s->slab, no);
	ret = index_insert(s->index, &key, no);
	if (ret < 0)
		return ret;
	/* without an engine a blob goes whole, and its head is asked for in its name; with
	 * one a piece behind the head is here because it is about to be pulled */
	if (s->kept)
		cache_add(s->cache, no, index_hash(&key),
			  cache_weight(piece_length(p->length, p->number)), p->number > 0);
	else if (p->number == 0)
		cache_add(s->cache, no, index_hash(&key), cache_weight(p->length), false);
	if (s->ages != NULL && p->number == 0)
		age_add(s, no);
	return 0;
}

/* ---- room ---- */

static uint64_t spare_least(uint64_t spare, uint64_t all)
{
	return spare < all / SPARE_PART ? spare : all / SPARE_PART;
}

/* Is there, or on its way, so much room of a size class, and some more? */
static bool room_enough(const struct store *s, uint8_t size_class, uint64_t room)
{
	const struct slab *slab = s->slab;
	uint64_t spare = size_class == CLASS_EXTENTS ? SPARE_EXTENTS : SPARE_SLOTS;

	spare = spare_least(spare, slab->extent_count);
	return slab_room(slab, size_class) + s->leaving_room[size_class] >= room + spare &&
	       (uint64_t)slab_descriptors(slab) + s->leaving_pieces >
		       spare_least(SPARE_PIECES, slab->piece_count);
}

static void evict(struct store *s, uint32_t no)
{
	const struct piece *p = slab_piece(s->slab, no);
	const struct blob_name name = piece_name(p);

	s->counters.evicted++;
	s->counters.evicted_bytes += s->kept ? piece_length(p->length, p->number) : p->length;
	if (s->kept) {
		piece_remove(s, p);
		return;
	}
	pieces_remove(s, &name);
	stored_sub(s, name.domain, name.length, 1);
	here_sub(s, name.domain, name.length, 1);
	usage_sub(s, name.domain, name.length, 1);
}

static void room_make(struct store *s, uint8_t size_class, uint64_t room)
{
	for (unsigned int i = 0; i < EVICTIONS_MOST && !room_enough(s, size_class, room); i++) {
		const uint32_t no = cache_evict(s->cache);

		if (no == CACHE_NONE)
			return;
		evict(s, no);
	}
}

int room_take(struct store *s, const struct blob_name *name, uint32_t number, uint32_t chunks,
	      uint32_t *no)
{
	const uint8_t size_class = piece_class(piece_length(name->length, number));
	const uint32_t had = *no != PIECE_NONE ? slab_piece(s->slab, *no)->extents : 0;
	const uint32_t extents = (chunks + EXTENT_CHUNKS - 1) / EXTENT_CHUNKS;
	int ret = 0;

	if (size_class == CLASS_EXTENTS && (extents > had || *no == PIECE_NONE))
		room_make(s, size_class, extents - had);
	else if (*no == PIECE_NONE)
		room_make(s, size_class, 1);
	if (*no == PIECE_NONE)
		ret = piece_reserve(s->slab, name, number, no);
	if (ret == 0)
		ret = piece_grow(s->slab, *no, chunks);
	/* what the engine has under way will not need its memory, or may be evicted, after */
	if (ret < 0 && (s->leaving_pieces > 0 || s->under_way > 0))
		ret = -EAGAIN;
	return ret;
}
