/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "store/cache.h"

#define SMALL_SHARE 10	/* a tenth of the weight */
#define COUNT_MOST 3	/* times round in the main queue that an entry can have earned */
#define STEPS_MOST 4096 /* entries looked at for one that goes: then the next one goes */
#define LINE_WORDS (64 / sizeof(uint64_t))
#define GHOST_WAYS 4u

enum queue_name { QUEUE_NONE = 0, QUEUE_SMALL, QUEUE_MAIN, QUEUES };

struct entry {
	uint32_t newer, older; /* neighbours in its queue */
	uint32_t weight;
	uint32_t fingerprint;
	uint8_t queue; /* enum queue_name */
	uint8_t count; /* times that it was found touched, less those it was spared for */
	bool expected;
};

struct queue {
	uint32_t newest, oldest;
	uint64_t weight;
};

/* Fingerprints of what left the small queue, in the order of time: as much of it as the
 * main queue weighs. */
struct ghost {
	uint32_t fingerprint;
	uint32_t left; /* the weight that had left before, modulo 2^32 */
};

struct cache {
	uint32_t entries;
	uint32_t ghost_sets; /* a power of two */
	unsigned int readers;
	size_t map_words; /* of a reader, in whole cache lines */
	uint64_t left;	  /* weight that ever left the small queue */
	struct queue queue[QUEUES];
	cache_map *maps;
	struct ghost *ghosts; /* GHOST_WAYS a set */
	struct entry entry[];
};

int cache_create(struct cache **out, uint32_t entries, unsigned int readers)
{
	struct cache *c = calloc(1, sizeof(*c) + entries * sizeof(c->entry[0]));
	size_t lines = (entries + 64 * LINE_WORDS - 1) / (64 * LINE_WORDS);

	if (c == NULL)
		return -ENOMEM;
	c->entries = entries;
	c->readers = readers;
	c->map_words = lines * LINE_WORDS;
	c->ghost_sets = 1;
	while (c->ghost_sets * GHOST_WAYS < entries)
		c->ghost_sets <<= 1;
	for (unsigned int i = 0; i < QUEUES; i++)
		c->queue[i].newest = c->queue[i].oldest = CACHE_NONE;
	c->ghosts = calloc((size_t)c->ghost_sets * GHOST_WAYS, sizeof(*c->ghosts));
	c->maps = aligned_alloc(64, readers * lines * 64);
	if (c->ghosts == NULL || c->maps == NULL) {
		cache_destroy(c);
		return -ENOMEM;
	}
	for (size_t i = 0; i < readers * c->map_words; i++)
		atomic_init(&c->maps[i], 0);
	*out = c;
	return 0;
}

void cache_destroy(struct cache *c)
{
	if (c == NULL)
		return;
	free((void *)c->maps);
	free(c->ghosts);
	free(c);
}

cache_map *cache_reader(const struct cache *c, unsigned int reader)
{
	return c->maps + reader * c->map_words;
}

/* ---- queues ---- */

static void queue_push(struct cache *c, enum queue_name name, uint32_t no)
{
	struct queue *q = &c->queue[name];
	struct entry *e = &c->entry[no];

	e->queue = (uint8_t)name;
	e->newer = CACHE_NONE;
	e->older = q->newest;
	if (q->newest != CACHE_NONE)
		c->entry[q->newest].newer = no;
	else
		q->oldest = no;
	q->newest = no;
	q->weight += e->weight;
}

static void queue_take(struct cache *c, uint32_t no)
{
	struct entry *e = &c->entry[no];
	struct queue *q = &c->queue[e->queue];

	if (e->newer != CACHE_NONE)
		c->entry[e->newer].older = e->older;
	else
		q->newest = e->older;
	if (e->older != CACHE_NONE)
		c->entry[e->older].newer = e->newer;
	else
		q->oldest = e->newer;
	q->weight -= e->weight;
	e->queue = QUEUE_NONE;
}

/* ---- who was here before ---- */

static struct ghost *ghost_set(const struct cache *c, uint32_t fingerprint)
{
	return &c->ghosts[(size_t)(fingerprint & (c->ghost_sets - 1)) * GHOST_WAYS];
}

static uint32_t ghost_age(const struct cache *c, const struct ghost *g)
{
	return g->fingerprint != 0 ? (uint32_t)c->left - g->left : UINT32_MAX;
}

static void ghost_add(struct cache *c, const struct entry *e)
{
	struct ghost *set = ghost_set(c, e->fingerprint), *oldest = set;

	for (unsigned int i = 1; i < GHOST_WAYS; i++)
		if (ghost_age(c, &set[i]) > ghost_age(c, oldest))
			oldest = &set[i];
	*oldest = (struct ghost){.fingerprint = e->fingerprint, .left = (uint32_t)c->left};
	c->left += e->weight;
}

static bool ghost_take(struct cache *c, uint32_t fingerprint)
{
	struct ghost *set = ghost_set(c, fingerprint);

	for (unsigned int i = 0; i < GHOST_WAYS; i++) {
		if (set[i].fingerprint != fingerprint)
			continue;
		const bool young = ghost_age(c, &set[i]) <= c->queue[QUEUE_MAIN].weight;

		set[i].fingerprint = 0;
		return young;
	}
	return false;
}

/* ---- entries ---- */

static uint32_t fingerprint_of(uint64_t hash)
{
	const uint32_t head = (uint32_t)(hash >> 32);

	return head != 0 ? head : 1;
}

void cache_remember(struct cache *c, uint64_t hash)
{
	const struct entry e = {.fingerprint = fingerprint_of(hash)};

	ghost_add(c, &e);
}

static bool touched(const struct cache *c, uint32_t no)
{
	bool is = false;

	for (unsigned int i = 0; i < c->readers && !is; i++)
		is = atomic_load_explicit(&cache_reader(c, i)[no / 64], memory_order_relaxed) &
		     UINT64_C(1) << no % 64;
	return is;
}

unsigned int cache_rank(const struct cache *c, uint32_t no)
{
	const struct entry *e = &c->entry[no];
	unsigned int count;

	if (e->queue == QUEUE_NONE)
		return 0;
	count = e->count + touched(c, no);
	if (e->queue == QUEUE_SMALL) /* of both kinds: 1, 2 or 3 */
		return e->expected ? 1 : 2 + (count > 0);
	return CACHE_RANK_MAIN + (count < COUNT_MOST ? count : COUNT_MOST);
}

/* Was it touched since this was last asked? */
static bool touched_take(struct cache *c, uint32_t no)
{
	const uint64_t bit = UINT64_C(1) << no % 64;
	bool touched = false;

	for (unsigned int i = 0; i < c->readers; i++) {
		cache_map *word = &cache_reader(c, i)[no / 64];

		if (atomic_load_explicit(word, memory_order_relaxed) & bit) {
			atomic_fetch_and_explicit(word, ~bit, memory_order_relaxed);
			touched = true;
		}
	}
	return touched;
}

void cache_add(struct cache *c, uint32_t no, uint64_t hash, uint32_t weight, bool expected)
{
	struct entry *e = &c->entry[no];

	assert(e->queue == QUEUE_NONE);
	*e = (struct entry){.weight = weight, .expected = expected};
	e->fingerprint = fingerprint_of(hash);
	touched_take(c, no);
	queue_push(c, ghost_take(c, e->fingerprint) ? QUEUE_MAIN : QUEUE_SMALL, no);
}

void cache_remove(struct cache *c, uint32_t no)
{
	if (c->entry[no].queue != QUEUE_NONE)
		queue_take(c, no);
}

bool cache_holds(const struct cache *c, uint32_t no)
{
	return c->entry[no].queue != QUEUE_NONE;
}

/* The oldest one of a queue comes to its end: it gets another round, in this queue or the
 * main one, or goes (true). */
static bool oldest_goes(struct cache *c, uint32_t no)
{
	struct entry *e = &c->entry[no];
	enum queue_name to = e->queue;
	bool goes = false;

	if (touched_take(c, no) && e->count < COUNT_MOST)
		e->count++;
	if (e->count > 0 && e->expected) {
		/* the one time that was expected: does anybody else ask for it? */
		e->count = 0;
	} else if (e->count > 0) {
		e->count = e->queue == QUEUE_SMALL ? 0 : (uint8_t)(e->count - 1);
		to = QUEUE_MAIN;
	} else {
		goes = true;
	}
	e->expected = false;
	if (goes && e->queue == QUEUE_SMALL)
		ghost_add(c, e);
	queue_take(c, no);
	if (!goes)
		queue_push(c, to, no);
	return goes;
}

/* From where the next one is to go. */
static enum queue_name queue_next(const struct cache *c)
{
	const uint64_t small = c->queue[QUEUE_SMALL].weight, main = c->queue[QUEUE_MAIN].weight;

	if (c->queue[QUEUE_MAIN].oldest == CACHE_NONE)
		return QUEUE_SMALL;
	return c->queue[QUEUE_SMALL].oldest != CACHE_NONE && small * SMALL_SHARE >= small + main
		       ? QUEUE_SMALL
		       : QUEUE_MAIN;
}

uint32_t cache_evict(struct cache *c)
{
	uint32_t spared = CACHE_NONE; /* the first that got another round in the main queue */
	uint32_t last;

	for (unsigned int step = 0; step < STEPS_MOST; step++) {
		enum queue_name name = queue_next(c);
		uint32_t no = c->queue[name].oldest;

		if (no == CACHE_NONE)
			return CACHE_NONE;
		/* once round all of it: what was just found worth it does not go now */
		if (no == spared && c->queue[QUEUE_SMALL].oldest != CACHE_NONE) {
			name = QUEUE_SMALL;
			no = c->queue[name].oldest;
		}
		if (oldest_goes(c, no))
			return no;
		if (c->entry[no].queue == QUEUE_MAIN && spared == CACHE_NONE)
			spared = no;
	}
	/* all are asked for: one goes all the same */
	last = c->queue[queue_next(c)].oldest;
	queue_take(c, last);
	return last;
}
