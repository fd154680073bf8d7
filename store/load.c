/* SPDX-License-Identifier: BSD-3-Clause
 * From the engine into RAM, by the piece: first the record, which says whether the blob is
 * there, then, if anybody wants more, memory, then the bytes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_part.h"

#define LOADS_MOST 4096u      /* in all; */
#define LOADS_AT_ONCE 32u     /* with the engine, */
#define LOADS_AHEAD_MOST 128u /* and beyond so many none for nobody in particular */

enum load_stage {
	LOAD_WAITING, /* for its turn */
	LOAD_FINDING, /* job: the record */
	LOAD_ROOM,    /* waits for memory */
	LOAD_READING, /* job: the bytes */
};

struct load {
	struct store *store;
	struct blob_name name;
	uint32_t number;
	uint64_t hash; /* its key's; nobody outside can foresee it */
	enum load_stage stage;
	bool ahead;	/* wanted without anybody waiting */
	bool forgotten; /* the blob was removed meanwhile */
	struct job job;
	int result;
	struct engine_record record;
	uint32_t no; /* the piece being filled, or PIECE_NONE */
	struct store_gets gets;
	TAILQ_ENTRY(load) link; /* WAITING, ROOM: in the queue */
	UT_hash_handle hh;
};

TAILQ_HEAD(load_queue, load);

struct loads {
	struct load *by_hash;
	struct load_queue waiting;
	struct load_queue room;
	struct store_gets answered; /* that needed no load */
	uint32_t at_once;
};

int loads_init(struct store *s)
{
	s->loads = calloc(1, sizeof(*s->loads));
	if (s->loads == NULL)
		return -ENOMEM;
	TAILQ_INIT(&s->loads->waiting);
	TAILQ_INIT(&s->loads->room);
	TAILQ_INIT(&s->loads->answered);
	return 0;
}

static void load_free(struct load *l)
{
	HASH_DEL(l->store->loads->by_hash, l);
	free(l);
}

void loads_fini(struct store *s)
{
	struct load *l, *next;

	if (s->loads == NULL)
		return;
	HASH_ITER(hh, s->loads->by_hash, l, next)
	load_free(l);
	free(s->loads);
}

/* ---- its end ---- */

/* To be told in loads_poll(). */
static void get_answer(struct store *s, struct store_get *g, enum store_answer answer)
{
	g->answer = answer;
	g->queue = &s->loads->answered;
	TAILQ_INSERT_TAIL(g->queue, g, link);
}

/* Those that want no more than `want` get their answer. */
static void load_answer(struct load *l, enum store_want want, enum store_answer answer)
{
	struct store_get *g, *next;

	for (g = TAILQ_FIRST(&l->gets); g != NULL; g = next) {
		next = TAILQ_NEXT(g, link);
		if (g->want > want)
			continue;
		TAILQ_REMOVE(&l->gets, g, link);
		get_answer(l->store, g, answer);
	}
}

static void load_end(struct load *l, enum store_answer answer)
{
	if (l->no != PIECE_NONE)
		piece_free(l->store->slab, l->no);
	load_answer(l, STORE_PIECE, answer);
	load_free(l);
}

static void load_corrupt(struct load *l)
{
	l->store->counters.corrupt++;
	blob_remove(l->store, &l->name, REMOVE_DAMAGED);
	load_end(l, STORE_ABSENT);
}

/* What the engine said of a step; true: it is over with that, and the load gone. */
static bool load_failed(struct load *l)
{
	struct store *s = l->store;

	engine_done(s, l->result);
	s->loads->at_once--;
	if (l->result == 0 && !l->forgotten)
		return false;
	s->counters.load_failures += l->result < 0 && l->result != -ENOENT;
	if (l->forgotten || l->result == -ENOENT)
		load_end(l, STORE_ABSENT);
	else if (l->result == -EBADMSG)
		load_corrupt(l);
	else
		load_end(l, STORE_FAILED);
	return true;
}

/* ---- bytes ---- */

static struct load *load_of(struct job *job)
{
	return (struct load *)((char *)job - offsetof(struct load, job));
}

int piece_read(const struct store *s, const struct blob_name *name, struct engine_record *record,
	       uint32_t no)
{
	struct engine *e = s->engine;
	const struct piece *p = slab_piece(s->slab, no);
	const uint32_t chunks = chunk_count(piece_length(p->length, p->number));
	struct iovec blocks[PIECE_EXTENTS];
	const uint32_t count = piece_blocks(s->slab, no, blocks);
	int ret = 0;

	for (uint32_t i = 0; i < count && ret == 0; i++)
		ret = e->ops->read(e, name, record, p->number * PIECE_EXTENTS + i,
				   blocks[i].iov_base, (uint32_t)blocks[i].iov_len);
	for (uint32_t i = 0; i < chunks && ret == 0; i++)
		chunk_sum(s->slab, p, i);
	return ret;
}

/* In a thread of the store's: fills the piece. */
static void read_run(struct job *job)
{
	struct load *l = load_of(job);

	l->result = piece_read(l->store, &l->name, &l->record, l->no);
}

static void read_done(struct job *job)
{
	struct load *l = load_of(job);
	struct store *s = l->store;
	int ret;

	if (load_failed(l))
		return;
	s->counters.loads++;
	s->counters.load_bytes += piece_length(l->name.length, l->number);
	slab_piece(s->slab, l->no)->attempt = l->record.attempt;
	ret = piece_enter(s, l->no);
	if (ret == 0)
		l->no = PIECE_NONE; /* the index has it */
	load_end(l, ret == 0 || store_find_piece(s, &l->name, l->number) != NULL ? STORE_HERE
										 : STORE_FAILED);
}

/* ---- memory ---- */

/* False: it waits for memory. */
static bool load_read(struct load *l)
{
	const uint32_t chunks = chunk_count(piece_length(l->name.length, l->number));
	int ret = room_take(l->store, &l->name, l->number, chunks, &l->no);

	if (ret == -EAGAIN)
		return false;
	if (ret < 0 || !engine_works(l->store)) {
		load_end(l, STORE_FAILED);
		return true;
	}
	l->stage = LOAD_READING;
	l->job = (struct job){.run = read_run, .done = read_done};
	l->store->loads->at_once++;
	engine_submit(l->store, &l->job);
	return true;
}

static void room_poll(struct store *s)
{
	struct load *l, *next;

	for (l = TAILQ_FIRST(&s->loads->room); l != NULL; l = next) {
		next = TAILQ_NEXT(l, link);
		TAILQ_REMOVE(&s->loads->room, l, link);
		if (l->forgotten) {
			load_end(l, STORE_ABSENT);
		} else if (!load_read(l)) {
			TAILQ_INSERT_HEAD(&s->loads->room, l, link);
			return;
		}
	}
}

/* ---- the record ---- */

static void find_run(struct job *job)
{
	struct load *l = load_of(job);
	struct engine *e = l->store->engine;

	l->result = e->ops->find(e, &l->name, &l->record);
}

static void find_done(struct job *job)
{
	struct load *l = load_of(job);

	if (load_failed(l))
		return;
	load_answer(l, STORE_PRESENCE, STORE_HERE);
	if (TAILQ_EMPTY(&l->gets) && !l->ahead) {
		load_free(l);
		return;
	}
	l->stage = LOAD_ROOM;
	TAILQ_INSERT_TAIL(&l->store->loads->room, l, link);
}

static void load_find(struct load *l)
{
	if (!engine_works(l->store)) {
		load_end(l, STORE_FAILED);
		return;
	}
	l->stage = LOAD_FINDING;
	l->job = (struct job){.run = find_run, .done = find_done};
	l->store->loads->at_once++;
	engine_submit(l->store, &l->job);
}

void loads_poll(struct store *s)
{
	struct loads *ls = s->loads;
	struct store_get *g;
	struct load *l;

	room_poll(s);
	while (ls->at_once < LOADS_AT_ONCE && (l = TAILQ_FIRST(&ls->waiting)) != NULL) {
		TAILQ_REMOVE(&ls->waiting, l, link);
		load_find(l);
	}
	while ((g = TAILQ_FIRST(&ls->answered)) != NULL) {
		TAILQ_REMOVE(&ls->answered, g, link);
		g->queue = NULL;
		g->fn(g, g->answer);
	}
}

/* Memory comes with the end of a job, or of a grace period that reclaim waits for; unless it
 * could not be asked to. */
bool loads_wait(const struct store *s)
{
	const struct loads *ls = s->loads;

	return !TAILQ_EMPTY(&ls->answered) ||
	       (!TAILQ_EMPTY(&ls->room) && s->leaving_first != PIECE_NONE) ||
	       (!TAILQ_EMPTY(&ls->waiting) && ls->at_once < LOADS_AT_ONCE);
}

uint32_t loads_count(const struct store *s)
{
	return HASH_COUNT(s->loads->by_hash);
}

/* ---- who wants what ---- */

static uint64_t load_hash(const struct store *s, const struct blob_name *name, uint32_t number)
{
	const struct index_key key = name_key(s, name, number);

	return index_hash(&key);
}

/* NULL: there is none; *clash: another blob's is in its place. */
static struct load *load_lookup(const struct store *s, const struct blob_name *name,
				uint32_t number, uint64_t hash, bool *clash)
{
	struct load *l;

	HASH_FIND(hh, s->loads->by_hash, &hash, sizeof(hash), l);
	*clash = l != NULL &&
		 (!blob_name_equal(&l->name, name) || l->number != number || l->forgotten);
	return *clash ? NULL : l;
}

static struct load *load_begin(struct store *s, const struct blob_name *name, uint32_t number,
			       uint64_t hash)
{
	struct load *l;

	if (HASH_COUNT(s->loads->by_hash) >= LOADS_MOST || (l = calloc(1, sizeof(*l))) == NULL)
		return NULL;
	l->store = s;
	l->name = *name;
	l->number = number;
	l->hash = hash;
	l->no = PIECE_NONE;
	TAILQ_INIT(&l->gets);
	TAILQ_INSERT_TAIL(&s->loads->waiting, l, link);
	HASH_ADD(hh, s->loads->by_hash, hash, sizeof(l->hash), l);
	return l;
}

void store_get(struct store *s, struct store_get *g)
{
	const uint64_t hash = load_hash(s, &g->name, g->number);
	struct load *l;
	bool clash;

	if (store_find_piece(s, &g->name, g->number) != NULL) {
		get_answer(s, g, STORE_HERE);
		return;
	}
	if (!engine_works(s)) {
		get_answer(s, g, s->kept ? STORE_FAILED : STORE_ABSENT);
		return;
	}
	l = load_lookup(s, &g->name, g->number, hash, &clash);
	if (l == NULL && !clash)
		l = load_begin(s, &g->name, g->number, hash);
	if (l == NULL) {
		get_answer(s, g, STORE_FAILED);
		return;
	}
	g->queue = &l->gets;
	TAILQ_INSERT_TAIL(g->queue, g, link);
}

void store_get_cancel(struct store_get *g)
{
	if (g->queue == NULL)
		return;
	TAILQ_REMOVE(g->queue, g, link);
	g->queue = NULL;
}

void store_get_ahead(struct store *s, const struct blob_name *name, uint32_t number)
{
	const uint64_t hash = load_hash(s, name, number);
	struct load *l;
	bool clash;

	if (!engine_works(s) || HASH_COUNT(s->loads->by_hash) >= LOADS_AHEAD_MOST ||
	    number >= piece_count(name->length) || store_find_piece(s, name, number) != NULL)
		return;
	l = load_lookup(s, name, number, hash, &clash);
	if (l == NULL && !clash)
		l = load_begin(s, name, number, hash);
	if (l != NULL)
		l->ahead = true;
}

void loads_forget(struct store *s, const struct blob_name *name)
{
	for (struct load *l = s->loads->by_hash; l != NULL; l = l->hh.next)
		if (blob_name_equal(&l->name, name))
			l->forgotten = true;
}

/* ---- chunks for control itself ---- */

static struct store_read *read_of(struct job *job)
{
	return (struct store_read *)((char *)job - offsetof(struct store_read, job));
}

/* In a thread of the store's. */
static void chunks_run(struct job *job)
{
	struct store_read *r = read_of(job);
	struct engine *e = r->store->engine;
	struct engine_record record;
	uint8_t *block = malloc(ENGINE_BLOCK), *to = r->to;
	uint32_t have = UINT32_MAX;

	r->result = block != NULL ? e->ops->find(e, &r->name, &record) : -ENOMEM;
	for (uint32_t i = 0; i < r->count && r->result == 0; i++) {
		const uint32_t no = r->chunk[i] / EXTENT_CHUNKS;
		const uint64_t left = r->name.length - (uint64_t)no * ENGINE_BLOCK;
		const uint32_t len = chunk_length(r->name.length, r->chunk[i]);

		if (no != have)
			r->result =
				e->ops->read(e, &r->name, &record, no, block,
					     left < ENGINE_BLOCK ? (uint32_t)left : ENGINE_BLOCK);
		have = no;
		if (r->result == 0)
			memcpy(to, block + (size_t)(r->chunk[i] % EXTENT_CHUNKS) * CHUNK_SIZE, len);
		to += len;
	}
	free(block);
}

static void chunks_done(struct job *job)
{
	struct store_read *r = read_of(job);

	engine_done(r->store, r->result == -ENOMEM ? 0 : r->result);
	if (r->result == -EBADMSG) {
		r->store->counters.corrupt++;
		blob_remove(r->store, &r->name, REMOVE_DAMAGED);
	}
	r->fn(r, said(r->result));
}

/* Is all of it in RAM? Then it is copied. */
static bool chunks_here(const struct store *s, const struct store_read *r)
{
	uint8_t *to = r->to;

	for (uint32_t i = 0; i < r->count; i++) {
		const struct piece *p = store_find_piece(s, &r->name, r->chunk[i] / PIECE_CHUNKS);
		const uint32_t len = chunk_length(r->name.length, r->chunk[i]);

		if (p == NULL)
			return false;
		memcpy(to, piece_chunk(s->slab, p, r->chunk[i] % PIECE_CHUNKS), len);
		to += len;
	}
	return true;
}

void store_read(struct store *s, struct store_read *r)
{
	r->store = s;
	if (!(r->stored && s->kept) && chunks_here(s, r)) {
		r->fn(r, 0);
	} else if (!engine_works(s)) {
		r->fn(r, s->kept ? -EIO : -ENOENT);
	} else {
		r->job = (struct job){.run = chunks_run, .done = chunks_done};
		engine_submit(s, &r->job);
	}
}
