/* SPDX-License-Identifier: BSD-3-Clause
 * Blobs on their way in: into RAM as their chunks come, to the engine by the piece, and at
 * last the record that makes them blobs. Records of several are written together.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_part.h"

#define BEHIND_MOST 16u		 /* pieces that are ready and the engine has not taken */
#define HELD_PART 8u		 /* of the slab: more of one blob leaves RAM once it is written, */
#define HELD_ALL_PART 4u	 /* and whatever is written, if uploads hold more than this */
#define STAMPS_AHEAD_US 1000000u /* more is a clock that was set back */
#define COMMIT_MOST 64u		 /* changes at once */
#define COMMIT_BYTES (8u << 20)	 /* of blocks in these */

/* The changes that wait, and those under way. */
struct commits {
	TAILQ_HEAD(, change) queue;
	TAILQ_HEAD(, change) failed; /* before it came to the engine */
	struct job job;
	struct store *store;
	bool under_way;
	int err;
	uint32_t count;
	struct change *item[COMMIT_MOST];
	struct engine_change change[COMMIT_MOST];
};

/* ---- changes ---- */

static void commit_run(struct job *job);
static void commit_done(struct job *job);

int puts_init(struct store *s)
{
	struct commits *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return -ENOMEM;
	TAILQ_INIT(&c->queue);
	TAILQ_INIT(&c->failed);
	c->job = (struct job){.run = commit_run, .done = commit_done};
	c->store = s;
	s->commits = c;
	return 0;
}

void puts_fini(struct store *s)
{
	free(s->commits);
}

static struct commits *commits_of(struct job *job)
{
	return (struct commits *)((char *)job - offsetof(struct commits, job));
}

static void commit_run(struct job *job)
{
	struct commits *c = commits_of(job);
	struct engine *e = c->store->engine;

	c->err = e->ops->commit(e, c->change, c->count, c->store->config.sync != STORE_SYNC_OS);
}

/* Each is told; it may be gone after that. */
static void commit_tell(struct commits *c, int err)
{
	for (uint32_t i = 0; i < c->count; i++) {
		c->item[i]->c = c->change[i];
		c->item[i]->done(c->item[i], err);
	}
	c->count = 0;
}

static void commit_done(struct job *job)
{
	struct commits *c = commits_of(job);

	c->under_way = false;
	c->store->counters.commits++;
	engine_done(c->store, c->err);
	commit_tell(c, c->err);
}

static uint64_t change_bytes(const struct engine_change *c)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < c->count; i++)
		bytes += c->blocks[i].iov_len;
	return bytes;
}

/* Is there one about the same blob already? What the second means depends on the first. */
static bool commit_has(const struct commits *c, const struct blob_name *name)
{
	for (uint32_t i = 0; i < c->count; i++)
		if (ident_equal(&c->change[i].name.id, &name->id))
			return true;
	return false;
}

/* Those that go together, in the order they came. */
static void commit_gather(struct commits *c)
{
	const uint32_t most = c->store->config.sync == STORE_SYNC_ALWAYS ? 1 : COMMIT_MOST;
	uint64_t bytes = 0;
	struct change *ch;

	while (c->count < most && bytes < COMMIT_BYTES && (ch = TAILQ_FIRST(&c->queue)) != NULL &&
	       !commit_has(c, &ch->c.name)) {
		TAILQ_REMOVE(&c->queue, ch, link);
		bytes += change_bytes(&ch->c);
		c->item[c->count] = ch;
		c->change[c->count++] = ch->c;
	}
}

/* Those that cannot be. */
static void puts_fail(struct commits *c)
{
	struct change *ch;

	while ((ch = TAILQ_FIRST(&c->failed)) != NULL) {
		TAILQ_REMOVE(&c->failed, ch, link);
		ch->done(ch, -EIO);
	}
}

void puts_poll(struct store *s)
{
	struct commits *c = s->commits;

	puts_fail(c);
	while (!c->under_way && !TAILQ_EMPTY(&c->queue)) {
		commit_gather(c);
		if (engine_works(s)) {
			c->under_way = true;
			engine_submit(s, &c->job);
		} else {
			commit_tell(c, s->kept ? -EIO : 0);
		}
	}
}

void change_queue(struct store *s, struct change *ch)
{
	TAILQ_INSERT_TAIL(&s->commits->queue, ch, link);
}

bool puts_wait(const struct store *s)
{
	const struct commits *c = s->commits;

	return !TAILQ_EMPTY(&c->failed) || (!c->under_way && !TAILQ_EMPTY(&c->queue));
}

/* ---- removing ---- */

struct removal {
	struct change change; /* first */
	struct store *store;
	bool trimmed;
	struct store_removal *told; /* NULL: nobody is */
};

static void blob_forget(struct store *s, const struct blob_name *name)
{
	pieces_remove(s, name);
	loads_forget(s, name);
}

static void removed(struct change *ch, int err)
{
	struct removal *r = (struct removal *)ch;
	const struct blob_name *name = &ch->c.name;
	struct store *s = r->store;

	s->trim.removing -= r->trimmed;
	/* where the engine fails it is still there, and found when it is asked for */
	if (err == 0 && ch->c.result == 0) {
		blob_forget(s, name); /* what was loaded meanwhile */
		stored_sub(s, name->domain, name->length, 1);
		here_sub(s, name->domain, name->length, 1);
		usage_sub(s, name->domain, name->length, 1);
		clearing_want(s);
	}
	if (r->told != NULL)
		r->told->fn(r->told, said(err != 0 ? err : ch->c.result));
	free(r);
}

static int removal_begin(struct store *s, const struct blob_name *name, enum remove_why why,
			 struct store_removal *told)
{
	struct removal *r;

	if (!s->kept && store_find(s, name) == NULL)
		return -ENOENT;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return -ENOMEM;
	r->store = s;
	r->trimmed = why == REMOVE_TRIMMED;
	r->told = told;
	r->change.c = (struct engine_change){
		.name = *name, .remove = true, .quarantine = why == REMOVE_DAMAGED};
	r->change.done = removed;
	blob_forget(s, name);
	change_queue(s, &r->change);
	return 0;
}

int blob_remove(struct store *s, const struct blob_name *name, enum remove_why why)
{
	return removal_begin(s, name, why, NULL);
}

int store_remove(struct store *s, struct store_removal *r)
{
	int ret = removal_begin(s, &r->name, r->damaged ? REMOVE_DAMAGED : REMOVE_GONE, r);

	s->counters.corrupt += ret == 0 && r->damaged;
	return ret;
}

/* ---- a blob on its way in ---- */

static struct store_put *put_of_job(struct job *job)
{
	return (struct store_put *)((char *)job - offsetof(struct store_put, job));
}

static void write_run(struct job *job)
{
	struct store_put *put = put_of_job(job);
	struct engine *e = put->store->engine;

	put->error = e->ops->write(e, put->name.length, &put->body, put->written * PIECE_EXTENTS,
				   put->blocks, put->block_count);
}

static void put_pump(struct store_put *put);

static void piece_let_go(struct store_put *put, uint32_t number)
{
	const uint32_t no = put->piece[number];

	__atomic_store_n(&put->piece[number], PIECE_NONE, __ATOMIC_RELAXED);
	piece_discard(put->store, no);
	put->holds--;
	put->store->held--;
}

/* A blob that would fill RAM passes through it; its beginning stays, as whoever asks for it
 * next begins there, and so does its end, if others pull it meanwhile. */
static void pieces_let_go(struct store_put *put)
{
	const struct store *s = put->store;
	const uint32_t pieces = s->slab->extent_count / PIECE_EXTENTS, most = pieces / HELD_PART,
		       all = pieces / HELD_ALL_PART;
	const uint32_t last = put->newest_stay ? (most + 1) / 2 : 0, first = most - last;

	if (put->parked) {
		for (; put->gone < put->written; put->gone++)
			if (put->piece[put->gone] != PIECE_NONE)
				piece_let_go(put, put->gone);
		return;
	}
	if (put->written <= first) {
		if (s->held > all)
			piece_let_go(put, put->written - 1);
		put->gone = put->written;
		return;
	}
	while (put->gone < put->written && (put->written - put->gone > last || s->held > all))
		piece_let_go(put, put->gone++);
}

static void put_count(struct store_put *put, uint64_t bytes, uint64_t blobs)
{
	here_add(put->store, put->name.domain, bytes, blobs);
	put->counted += bytes;
}

static void write_done(struct job *job)
{
	struct store_put *put = put_of_job(job);

	put->writing = false;
	engine_done(put->store, put->error);
	if (put->error == 0) {
		put_count(put, piece_length(put->name.length, put->written), 0);
		put->written++;
		pieces_let_go(put);
	}
	put_pump(put);
}

int store_put_begin(struct store *s, const struct blob_name *name, struct store_put *put)
{
	const uint32_t pieces = piece_count(name->length);
	const uint64_t extents = (name->length + EXTENT_SUMS - 1) / EXTENT_SUMS;
	int ret;

	*put = (struct store_put){.store = s, .name = *name};
	if (!s->kept && (pieces > s->slab->piece_count || extents > s->slab->extent_count))
		return -EFBIG;
	if (s->kept && !engine_works(s))
		return -EIO;
	ret = limit_admits(s, name, name->length, 1);
	if (ret < 0)
		return ret;
	put->job = (struct job){.run = write_run, .done = write_done};
	put->opened = s->opened;
	put->piece = calloc(pieces, sizeof(*put->piece));
	if (put->piece == NULL)
		return -ENOMEM;
	ret = usage_add(s, name->domain, name->length, 1);
	if (ret == 0 && name->length == 0) {
		ret = store_put_grow(put, 0);
		if (ret < 0)
			usage_sub(s, name->domain, name->length, 1);
	}
	if (ret < 0)
		free(put->piece);
	return ret;
}

/* What it wrote to an engine that was opened again since is not there any more. */
static int put_error(const struct store_put *put)
{
	const struct store *s = put->store;

	if (put->error != 0 || !s->kept)
		return put->error;
	return engine_works(s) && put->opened == s->opened ? 0 : -EIO;
}

/* A blob of one piece is written with its record. */
static bool put_short(const struct store_put *put)
{
	return piece_count(put->name.length) == 1;
}

int store_put_grow(struct store_put *put, uint32_t chunks)
{
	const uint32_t last = chunks > 0 ? (chunks - 1) / PIECE_CHUNKS : 0;
	/* all of those before the newest have their memory */
	uint32_t number = put->begun > 0 ? put->begun - 1 : 0;
	int ret;

	if (put_error(put) != 0)
		return -EIO;
	if (put->store->kept && !put_short(put) &&
	    put->ready / PIECE_CHUNKS > put->written + BEHIND_MOST)
		return -EAGAIN;
	ret = limit_room(put->store, put->name.domain);
	for (; number <= last && ret == 0; number++) {
		const uint32_t left = chunks - number * PIECE_CHUNKS;

		if (number == put->begun)
			put->piece[number] = PIECE_NONE;
		else if (put->piece[number] == PIECE_NONE) /* it has been whole, and went */
			continue;
		ret = room_take(put->store, &put->name, number,
				left < PIECE_CHUNKS ? left : PIECE_CHUNKS, &put->piece[number]);
		if (number == put->begun && put->piece[number] != PIECE_NONE) {
			put->begun++;
			put->holds++;
			put->store->held++;
		}
	}
	return ret;
}

/* Is all of the next piece there? */
static bool piece_ready(const struct store_put *put)
{
	const uint32_t all = chunk_count(put->name.length);
	const uint64_t end = (uint64_t)(put->written + 1) * PIECE_CHUNKS;

	return put->written < piece_count(put->name.length) &&
	       put->ready >= (end < all ? end : all);
}

/* ---- commit ---- */

/* In RAM it is found from now on; the head last: who finds it finds all. An engine has it
 * anyway. */
static int put_enter(struct store_put *put)
{
	struct store *s = put->store;

	for (uint32_t i = put->begun; i-- > 0;) {
		const uint32_t no = put->piece[i];
		int ret;

		if (no == PIECE_NONE)
			continue;
		slab_piece(s->slab, no)->attempt = put->attempt;
		ret = piece_enter(s, no);
		if (ret == 0)
			continue;
		if (s->kept) {
			piece_discard(s, no);
			continue;
		}
		for (uint32_t k = i + 1; k < put->begun; k++)
			piece_remove(s, slab_piece(s->slab, put->piece[k]));
		put->begun = i + 1;
		return ret;
	}
	return 0;
}

static void put_finish(struct store_put *put);

static void put_committed(struct change *ch, int err)
{
	struct store_put *put =
		(struct store_put *)((char *)ch - offsetof(struct store_put, change));
	struct store *s = put->store;
	int ret = err != 0 ? err : ch->c.result;

	put->committing = false;
	if (ret == 0 && !s->kept && store_find(s, &put->name) != NULL)
		ret = -EEXIST;
	if (ret == 0)
		ret = put_enter(put);
	put->committed = ret == 0;
	if (ret == 0) {
		stored_add(s, put->name.domain, put->name.length, 1);
		put_count(put, put->name.length - put->counted, 1);
	}
	if (put->ended != NULL)
		put_finish(put);
	else
		put->stored(put, ret);
}

static void put_write(struct store_put *put)
{
	struct store *s = put->store;

	put->block_count = piece_blocks(s->slab, put->piece[put->written], put->blocks);
	put->writing = true;
	engine_submit(s, &put->job);
}

/* When it was stored, in the order in which that was said. */
static void stamp_next(struct store *s)
{
	const bool behind = s->unix_us <= s->stamp && s->stamp - s->unix_us < STAMPS_AHEAD_US;

	s->stamp = behind ? s->stamp + 1 : s->unix_us;
}

static void put_queue(struct store_put *put)
{
	struct store *s = put->store;

	stamp_next(s);
	put->change.c = (struct engine_change){
		.name = put->name,
		.body = put->body,
		.stored = s->stamp,
		.attempt = put->attempt,
		.written = put->written * PIECE_EXTENTS,
	};
	put->change.done = put_committed;
	put->committing = true;
	if (put->error != 0) {
		TAILQ_INSERT_TAIL(&s->commits->failed, &put->change, link);
		return;
	}
	if (put_short(put)) {
		put->change.c.count = piece_blocks(s->slab, put->piece[0], put->blocks);
		put->change.c.blocks = put->blocks;
	}
	change_queue(s, &put->change);
}

/* Its next step, if nothing is under way. */
static void put_pump(struct store_put *put)
{
	if (put->writing || put->committing)
		return;
	put->error = put_error(put);
	if (put->ended != NULL)
		put_finish(put);
	else if (put->store->kept && !put_short(put) && put->error == 0 && piece_ready(put))
		put_write(put);
	else if (put->stored != NULL && !put->committed)
		put_queue(put);
}

void store_put_ready(struct store_put *put, uint32_t chunks)
{
	put->ready = chunks;
	put_pump(put);
}

void store_put_commit(struct store_put *put, void (*stored)(struct store_put *put, int result))
{
	put->stored = stored;
	put_pump(put);
}

/* ---- nobody's for a while ---- */

static uint64_t put_kept(const struct store_put *put)
{
	const uint64_t bytes = (uint64_t)put->ready * CHUNK_SIZE;

	return bytes < put->name.length ? bytes : put->name.length;
}

void store_put_park(struct store_put *put)
{
	const uint32_t needed = (put->ready + PIECE_CHUNKS - 1) / PIECE_CHUNKS;
	struct store *s = put->store;

	while (put->begun > needed) {
		const uint32_t no = put->piece[--put->begun];

		if (no == PIECE_NONE)
			continue;
		piece_free(s->slab, no);
		put->holds--;
		s->held--;
	}
	usage_sub(s, put->name.domain, put->name.length - put_kept(put), 0);
	put->parked = true;
	put->gone = 0;
	if (s->kept)
		pieces_let_go(put);
}

int store_put_unpark(struct store_put *put)
{
	const uint64_t rest = put->name.length - put_kept(put);
	int ret = limit_admits(put->store, &put->name, rest, 0);

	if (ret == 0)
		ret = usage_add(put->store, put->name.domain, rest, 0);
	if (ret == 0)
		put->parked = false;
	return ret;
}

/* ---- the end ---- */

struct abandonment {
	struct job job; /* first */
	struct store *store;
	uint64_t body;
	int err;
};

static void abandon_run(struct job *job)
{
	struct abandonment *a = (struct abandonment *)job;
	struct engine *e = a->store->engine;

	a->err = e->ops->abandon(e, a->body);
}

static void abandon_done(struct job *job)
{
	struct abandonment *a = (struct abandonment *)job;

	engine_done(a->store, a->err);
	clearing_want(a->store);
	free(a);
}

/* What it wrote; what cannot be told to the engine now is cleared when it is opened. */
static void put_abandon(struct store_put *put)
{
	struct abandonment *a;

	if (put->body == 0 || !engine_works(put->store) || (a = calloc(1, sizeof(*a))) == NULL)
		return;
	a->job = (struct job){.run = abandon_run, .done = abandon_done};
	a->store = put->store;
	a->body = put->body;
	engine_submit(put->store, &a->job);
}

static void put_finish(struct store_put *put)
{
	struct store *s = put->store;

	if (!put->committed) {
		for (uint32_t i = 0; i < put->begun; i++)
			if (put->piece[i] != PIECE_NONE)
				piece_free(s->slab, put->piece[i]);
		here_sub(s, put->name.domain, put->counted, 0);
		usage_sub(s, put->name.domain, put->parked ? put_kept(put) : put->name.length, 1);
		put_abandon(put);
	}
	s->held -= put->holds;
	free(put->piece);
	put->piece = NULL;
	put->ended(put);
}

void store_put_end(struct store_put *put, void (*ended)(struct store_put *put))
{
	put->ended = ended;
	put_pump(put);
}
