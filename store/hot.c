/* SPDX-License-Identifier: BSD-3-Clause
 * What RAM has that is worth most, noted once a minute and at the end, and read back after the
 * next start, as long as there is room that nobody has to leave.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "store/store_part.h"

#define NOTE "hot"
#define HOT_MOST 32768u	 /* pieces */
#define HOT_SECONDS 60u	 /* between two notes */
#define WALK_BURST 8192u /* descriptors at once */
#define BACK_AT_ONCE 8u	 /* pieces; whoever waits for one has the others */
#define ROOM_PART 16u	 /* of memory, that stays free for what is asked for */

/* On disk; numbers in network order. */
struct hot_piece {
	uint8_t domain[4];
	uint8_t rule;
	uint8_t id[IDENT_SIZE];
	uint8_t length[8];
	uint8_t number[4];
	uint8_t rank;
};
_Static_assert(sizeof(struct hot_piece) == 50, "no padding: it is on disk");

enum hot_step {
	HOT_RESTS,
	HOT_RECALLING, /* what the one before noted */
	HOT_BACK,      /* reads that back */
	HOT_COUNTING,  /* pieces of each rank */
	HOT_TAKING,    /* the best */
	HOT_LISTED,
	HOT_NOTING,
};

struct hot {
	enum hot_step step;
	uint64_t due;	 /* Unix seconds, of the next note; 0: not known yet */
	uint64_t noted;	 /* a hash of the last one: a relay at rest leaves the disk at rest */
	uint32_t cursor; /* descriptors that were walked, or pieces that were read back */
	uint32_t of_rank[CACHE_RANKS];
	uint32_t room[CACHE_RANKS]; /* in the list: where the next one of a rank goes, */
	uint32_t end[CACHE_RANKS];  /* and where the rank ends */
	struct hot_piece *list;	    /* HOT_MOST */
	uint32_t count;
	struct store_note note;
};

static void put(uint8_t *to, uint64_t value, unsigned int size)
{
	const uint64_t be = htobe64(value);

	memcpy(to, (const uint8_t *)&be + 8 - size, size);
}

static uint64_t get(const uint8_t *from, unsigned int size)
{
	uint64_t be = 0;

	memcpy((uint8_t *)&be + 8 - size, from, size);
	return be64toh(be);
}

/* ---- noting ---- */

static void hot_take(struct store *s, uint32_t no, unsigned int rank)
{
	struct hot *h = s->hot;
	const struct piece *p = slab_piece(s->slab, no);
	struct hot_piece *out;

	if (h->room[rank] == h->end[rank])
		return; /* beyond the list, or it came since they were counted */
	out = &h->list[h->room[rank]++];
	put(out->domain, p->domain, sizeof(out->domain));
	out->rule = p->rule;
	memcpy(out->id, p->id.b, sizeof(out->id));
	put(out->length, p->length, sizeof(out->length));
	put(out->number, p->number, sizeof(out->number));
	out->rank = (uint8_t)rank;
}

/* The best first. */
static void hot_lay_out(struct hot *h)
{
	uint32_t at = 0;

	for (unsigned int rank = CACHE_RANKS; rank-- > 1;) {
		const uint32_t left = HOT_MOST - at;

		h->room[rank] = at;
		at += h->of_rank[rank] < left ? h->of_rank[rank] : left;
		h->end[rank] = at;
	}
}

/* Where ranks have changed meanwhile there are gaps. */
static void hot_close_gaps(struct hot *h)
{
	h->count = 0;
	for (unsigned int rank = CACHE_RANKS; rank-- > 1;) {
		const uint32_t from = rank + 1 < CACHE_RANKS ? h->end[rank + 1] : 0;
		const uint32_t n = h->room[rank] - from;

		memmove(&h->list[h->count], &h->list[from], n * sizeof(h->list[0]));
		h->count += n;
	}
}

/* The next descriptors. */
static void hot_walk(struct store *s, uint32_t burst)
{
	struct hot *h = s->hot;
	const uint32_t left = s->slab->piece_count - h->cursor;
	const uint32_t end = h->cursor + (left < burst ? left : burst);

	for (; h->cursor < end; h->cursor++) {
		const unsigned int rank = cache_rank(s->cache, h->cursor);

		if (rank > 0 && h->step == HOT_COUNTING)
			h->of_rank[rank]++;
		else if (rank > 0)
			hot_take(s, h->cursor, rank);
	}
	if (h->cursor < s->slab->piece_count)
		return;
	h->cursor = 0;
	if (h->step == HOT_COUNTING) {
		hot_lay_out(h);
		h->step = HOT_TAKING;
	} else {
		hot_close_gaps(h);
		h->step = HOT_LISTED;
	}
}

static void hot_noted(struct store_note *note, int result)
{
	struct hot *h = note->store->hot;

	h->step = HOT_RESTS;
	if (result < 0)
		h->noted = 0; /* again in a minute */
}

static void hot_note(struct store *s)
{
	struct hot *h = s->hot;
	const size_t size = h->count * sizeof(h->list[0]);
	const uint64_t hash = XXH3_64bits(h->list, size);

	h->step = hash == h->noted ? HOT_RESTS : HOT_NOTING;
	if (hash == h->noted)
		return;
	h->noted = hash;
	h->note =
		(struct store_note){.name = NOTE, .bytes = h->list, .size = size, .fn = hot_noted};
	store_note_write(s, &h->note);
}

static void hot_list_begin(struct store *s)
{
	struct hot *h = s->hot;

	h->step = HOT_COUNTING;
	h->due = s->unix_seconds + HOT_SECONDS;
	h->cursor = 0;
	memset(h->of_rank, 0, sizeof(h->of_rank));
}

/* ---- reading back ---- */

static void hot_rest(struct store *s)
{
	s->hot->step = HOT_RESTS;
	s->hot->count = 0;
}

static void hot_recalled(struct store_note *note, int result)
{
	struct store *s = note->store;
	struct hot *h = s->hot;
	const size_t count = note->size / sizeof(h->list[0]);

	h->step = HOT_RESTS;
	if (result == 0 && count > 0 && count <= HOT_MOST && note->size % sizeof(h->list[0]) == 0) {
		memcpy(h->list, note->bytes, note->size);
		h->count = (uint32_t)count;
		h->cursor = 0;
		h->step = HOT_BACK;
	}
	free(note->bytes);
}

/* Nobody has to leave for what may never be asked for. */
static bool room_left(const struct store *s)
{
	return slab_room(s->slab, CLASS_EXTENTS) > s->slab->extent_count / ROOM_PART &&
	       slab_descriptors(s->slab) > s->slab->piece_count / ROOM_PART;
}

static void hot_back_one(struct store *s, const struct hot_piece *p)
{
	struct blob_name name = {.length = get(p->length, sizeof(p->length)),
				 .domain = (uint32_t)get(p->domain, sizeof(p->domain)),
				 .rule = p->rule};
	const uint32_t number = (uint32_t)get(p->number, sizeof(p->number));

	memcpy(name.id.b, p->id, sizeof(name.id.b));
	if (p->rank >= CACHE_RANK_MAIN) {
		const struct index_key key = name_key(s, &name, number);

		cache_remember(s->cache, index_hash(&key));
	}
	s->counters.read_back++;
	store_get_ahead(s, &name, number);
}

static void hot_back(struct store *s)
{
	struct hot *h = s->hot;

	while (h->cursor < h->count && room_left(s) && engine_works(s)) {
		if (loads_count(s) >= BACK_AT_ONCE)
			return;
		hot_back_one(s, &h->list[h->cursor++]);
	}
	hot_rest(s);
}

/* ---- its life ---- */

void hot_poll(struct store *s)
{
	struct hot *h = s->hot;

	if (h == NULL)
		return;
	if (h->due == 0)
		h->due = s->unix_seconds + HOT_SECONDS;
	if (h->step == HOT_BACK)
		hot_back(s);
	else if (h->step == HOT_RESTS && s->unix_seconds >= h->due)
		hot_list_begin(s);
	else if (h->step == HOT_COUNTING || h->step == HOT_TAKING)
		hot_walk(s, WALK_BURST);
	else if (h->step == HOT_LISTED)
		hot_note(s);
}

bool hot_waits(const struct store *s)
{
	const struct hot *h = s->hot;

	return h != NULL &&
	       (h->step == HOT_COUNTING || h->step == HOT_TAKING || h->step == HOT_LISTED ||
		(h->step == HOT_BACK && loads_count(s) < BACK_AT_ONCE));
}

int hot_begin(struct store *s)
{
	struct hot *h = calloc(1, sizeof(*h));

	s->hot = h;
	if (h == NULL)
		return -ENOMEM;
	h->list = malloc(HOT_MOST * sizeof(h->list[0]));
	if (h->list == NULL)
		return -ENOMEM;
	h->step = HOT_RECALLING;
	h->note = (struct store_note){.name = NOTE, .fn = hot_recalled};
	store_note_read(s, &h->note);
	return 0;
}

/* A relay that ends before all is back leaves the list as it was. */
static void hot_note_last(struct store *s)
{
	struct hot *h = s->hot;

	if (h->step == HOT_RECALLING || h->step == HOT_BACK || !engine_works(s))
		return;
	hot_list_begin(s);
	while (h->step != HOT_LISTED)
		hot_walk(s, s->slab->piece_count);
	s->engine->ops->note(s->engine, NOTE, h->list, h->count * sizeof(h->list[0]));
}

void hot_fini(struct store *s)
{
	if (s->hot == NULL)
		return;
	if (s->hot->list != NULL)
		hot_note_last(s);
	free(s->hot->list);
	free(s->hot);
	s->hot = NULL;
}
