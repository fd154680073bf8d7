/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include <uthash.h>

#include "store/store.h"

#define SPARE_EXTENTS (4 * PIECE_EXTENTS) /* made free before they are needed, */
#define SPARE_SLOTS 32u			  /* likewise of a size class, */
#define SPARE_PIECES 64u		  /* and of descriptors; */
#define SPARE_PART 16u			  /* but no more than this part of the slab */
#define EVICTIONS_MOST 64u		  /* at once */
#define CACHE_UNIT 256u			  /* bytes, of weights */

struct usage_of {
	uint32_t domain;
	struct store_usage usage;
	UT_hash_handle hh;
};

/* A removed piece, until nobody reads it. */
struct leaving {
	uint32_t next; /* that reclaim has not taken yet, or PIECE_NONE */
	int position;  /* its key's in the index */
};

int store_init(struct store *s, struct slab *slab, struct index *index, struct reclaim *reclaim,
	       unsigned int readers)
{
	*s = (struct store){
		.slab = slab,
		.index = index,
		.reclaim = reclaim,
		.leaving = calloc(slab->piece_count, sizeof(*s->leaving)),
		.leaving_first = PIECE_NONE,
	};
	if (s->leaving == NULL)
		return -ENOMEM;
	return cache_create(&s->cache, slab->piece_count, readers);
}

void store_fini(struct store *s)
{
	struct usage_of *u, *next;

	cache_destroy(s->cache);
	free(s->leaving);
	HASH_ITER(hh, s->usage, u, next)
	{
		HASH_DEL(s->usage, u);
		free(u);
	}
}

/* ---- whose ---- */

static struct usage_of *usage_find(const struct store *s, uint32_t domain)
{
	struct usage_of *u;

	HASH_FIND(hh, s->usage, &domain, sizeof(domain), u);
	return u;
}

struct store_usage store_usage(const struct store *s, uint32_t domain)
{
	const struct usage_of *u = usage_find(s, domain);

	return u != NULL ? u->usage : (struct store_usage){0};
}

static int usage_add(struct store *s, const struct blob_name *name)
{
	struct usage_of *u = usage_find(s, name->domain);

	if (u == NULL) {
		u = calloc(1, sizeof(*u));
		if (u == NULL)
			return -ENOMEM;
		u->domain = name->domain;
		HASH_ADD(hh, s->usage, domain, sizeof(u->domain), u);
	}
	u->usage.bytes += name->length;
	u->usage.blobs++;
	return 0;
}

static void usage_sub(struct store *s, const struct blob_name *name)
{
	struct usage_of *u = usage_find(s, name->domain);

	u->usage.bytes -= name->length;
	if (--u->usage.blobs > 0)
		return;
	HASH_DEL(s->usage, u);
	free(u);
}

/* ---- here or not ---- */

static struct index_key name_key(const struct store *s, const struct blob_name *name,
				 uint32_t number)
{
	struct index_pad pad;

	index_pad(s->index, name->domain, name->rule, &pad);
	return index_key_make(&pad, &name->id, number);
}

const struct piece *store_find_piece(const struct store *s, const struct blob_name *name,
				     uint32_t number)
{
	const struct index_key key = name_key(s, name, number);
	const uint32_t no = index_lookup(s->index, &key);
	const struct piece *p = no != PIECE_NONE ? slab_piece(s->slab, no) : NULL;

	return p != NULL && piece_match(p, name->domain, &name->id, name->rule, name->length,
					number)
		       ? p
		       : NULL;
}

const struct piece *store_find(const struct store *s, const struct blob_name *name)
{
	return store_find_piece(s, name, 0);
}

/* ---- leaving ---- */

/* What a piece takes of its size class's room. */
static uint64_t piece_room(const struct piece *p)
{
	return p->size_class == CLASS_EXTENTS ? p->extents : 1;
}

/* Reclaim's callback: no worker reads the piece, or probes its key's slot. */
static void piece_left(void *ctx, uint64_t no)
{
	struct store *s = ctx;
	const struct piece *p = slab_piece(s->slab, (uint32_t)no);

	s->leaving_room[p->size_class] -= piece_room(p);
	s->leaving_pieces--;
	index_release(s->index, s->leaving[no].position);
	piece_free(s->slab, (uint32_t)no);
}

/* What reclaim has no memory for is tried again with the next one. */
static void leaving_hand_over(struct store *s)
{
	while (s->leaving_first != PIECE_NONE) {
		const uint32_t no = s->leaving_first, next = s->leaving[no].next;

		if (reclaim_defer(s->reclaim, piece_left, s, no) < 0)
			return;
		s->leaving_first = next;
	}
}

static void piece_remove(struct store *s, const struct piece *p)
{
	const uint32_t no = (uint32_t)(p - s->slab->pieces);
	const struct blob_name name = piece_name(p);
	const struct index_key key = name_key(s, &name, p->number);

	s->leaving[no].position = index_remove(s->index, &key);
	cache_remove(s->cache, no);
	piece_leave(s->slab, no);
	s->leaving_room[p->size_class] += piece_room(p);
	s->leaving_pieces++;
	s->leaving[no].next = s->leaving_first;
	s->leaving_first = no;
	leaving_hand_over(s);
}

int store_remove(struct store *s, const struct blob_name *name)
{
	const struct blob_name copy = *name; /* it may be of a piece that goes */

	if (store_find(s, &copy) == NULL)
		return -ENOENT;
	for (uint32_t i = 0; i < piece_count(copy.length); i++) {
		const struct piece *p = store_find_piece(s, &copy, i);

		if (p != NULL)
			piece_remove(s, p);
	}
	s->blobs--;
	usage_sub(s, &copy);
	return 0;
}

bool store_walk(struct store *s, uint32_t *cursor, uint32_t max,
		void (*fn)(void *ctx, const struct piece *head), void *ctx)
{
	const uint32_t count = s->slab->piece_count;
	uint32_t end = count - *cursor > max ? *cursor + max : count;

	for (; *cursor < end; (*cursor)++) {
		struct piece *p = slab_piece(s->slab, *cursor);

		if (atomic_load_explicit(&p->state, memory_order_relaxed) == PIECE_READY &&
		    p->number == 0)
			fn(ctx, p);
	}
	return *cursor < count;
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

/* Makes others go until there is. */
static void room_make(struct store *s, uint8_t size_class, uint64_t room)
{
	for (unsigned int i = 0; i < EVICTIONS_MOST && !room_enough(s, size_class, room); i++) {
		const uint32_t no = cache_evict(s->cache);
		struct blob_name name;

		if (no == CACHE_NONE)
			return;
		name = piece_name(slab_piece(s->slab, no));
		store_remove(s, &name);
		s->counters.evicted++;
		s->counters.evicted_bytes += name.length;
	}
}

/* ---- a blob on its way in ---- */

int store_put_begin(struct store *s, const struct blob_name *name, struct store_put *put)
{
	const uint32_t pieces = piece_count(name->length);
	const uint64_t extents = (name->length + EXTENT_SUMS - 1) / EXTENT_SUMS;
	int ret;

	*put = (struct store_put){.store = s, .name = *name};
	if (pieces > s->slab->piece_count || extents > s->slab->extent_count)
		return -EFBIG;
	put->piece = calloc(pieces, sizeof(*put->piece));
	if (put->piece == NULL)
		return -ENOMEM;
	if (usage_add(s, name) < 0) {
		free(put->piece);
		return -ENOMEM;
	}
	ret = name->length == 0 ? store_put_grow(put, 0) : 0;
	if (ret < 0)
		store_put_end(put);
	return ret;
}

/* Gives the first `chunks` chunks of a piece their place. */
static int put_grow_piece(struct store_put *put, uint32_t number, uint32_t chunks)
{
	struct store *s = put->store;
	const uint8_t size_class = piece_class(piece_length(put->name.length, number));
	uint32_t had = 0;

	if (number < put->begun)
		had = slab_piece(s->slab, put->piece[number])->extents;
	if (size_class == CLASS_EXTENTS)
		room_make(s, size_class, (chunks + EXTENT_CHUNKS - 1) / EXTENT_CHUNKS - had);
	else if (number == put->begun)
		room_make(s, size_class, 1);
	if (number == put->begun) {
		if (piece_reserve(s->slab, &put->name, number, &put->piece[number]) < 0)
			return -ENOSPC;
		put->begun++;
	}
	return piece_grow(s->slab, put->piece[number], chunks);
}

int store_put_grow(struct store_put *put, uint32_t chunks)
{
	const uint32_t last = chunks > 0 ? (chunks - 1) / PIECE_CHUNKS : 0;
	/* all of those before the newest have their memory */
	uint32_t number = put->begun > 0 ? put->begun - 1 : 0;

	for (; number <= last; number++) {
		const uint32_t left = chunks - number * PIECE_CHUNKS;

		if (put_grow_piece(put, number, left < PIECE_CHUNKS ? left : PIECE_CHUNKS) < 0)
			return put->store->leaving_pieces > 0 ? -EAGAIN : -ENOSPC;
	}
	return 0;
}

static uint32_t cache_weight(uint64_t bytes)
{
	return (uint32_t)(bytes / CACHE_UNIT) + 1;
}

/* Those that are in the index leave it again. */
static void commit_undo(struct store_put *put, uint32_t first)
{
	struct store *s = put->store;

	for (uint32_t i = first; i < put->begun; i++) {
		piece_remove(s, slab_piece(s->slab, put->piece[i]));
		put->piece[i] = PIECE_NONE;
	}
}

int store_put_commit(struct store_put *put)
{
	struct store *s = put->store;
	struct index_key key;

	if (store_find(s, &put->name) != NULL)
		return -EEXIST;
	/* the head last: who finds it finds all */
	for (uint32_t i = put->begun; i-- > 0;) {
		int ret;

		key = name_key(s, &put->name, i);
		piece_commit(s->slab, put->piece[i]);
		ret = index_insert(s->index, &key, put->piece[i]);
		if (ret < 0) {
			commit_undo(put, i + 1);
			return ret;
		}
	}
	cache_add(s->cache, put->piece[0], index_hash(&key), cache_weight(put->name.length), false);
	s->blobs++;
	put->committed = true;
	return 0;
}

void store_put_end(struct store_put *put)
{
	struct store *s = put->store;

	if (!put->committed) {
		for (uint32_t i = 0; i < put->begun; i++)
			if (put->piece[i] != PIECE_NONE)
				piece_free(s->slab, put->piece[i]);
		usage_sub(s, &put->name);
	}
	free(put->piece);
}
