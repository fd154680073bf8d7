/* SPDX-License-Identifier: BSD-3-Clause
 * Blobs on their way in: into RAM as their chunks come, to the engine by the piece or, if they
 * are slow, by the block, and at last the record that makes them blobs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_part.h"

#define BEHIND_MOST 16u		 /* pieces that are ready and the engine has not taken */
#define HELD_PART 8u		 /* of the slab: more of one blob leaves RAM once it is written, */
#define STAMPS_AHEAD_US 1000000u /* more is a clock that was set back */
/* What comes slowly is written by the block, so that the end of the process takes little of it: */
#define SLOW_US 10000u		/* after so long, */
#define SLOW_SHORT_US 1000000u	/* of a blob that else needs no write of its own, */
#define SLOW_SECOND (64u << 20) /* and of all so many bytes a second */

static struct store_put *put_of_job(struct job *job)
{
	return (struct store_put *)((char *)job - offsetof(struct store_put, job));
}

static void write_run(struct job *job)
{
	struct store_put *put = put_of_job(job);
	struct engine *e = put->store->engine;

	put->error = e->ops->write(e, &put->upload, put->blocks, put->block_count);
}

uint32_t pieces_written(const struct store_put *put)
{
	return put->written == block_count(put->name.length) ? piece_count(put->name.length)
							     : put->written / PIECE_EXTENTS;
}

/* Bytes of its first blocks. */
static uint64_t blocks_bytes(const struct store_put *put, uint32_t blocks)
{
	const uint64_t bytes = (uint64_t)blocks * ENGINE_BLOCK;

	return bytes < put->name.length ? bytes : put->name.length;
}

void piece_let_go(struct store_put *put, uint32_t number)
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
	const uint32_t written = pieces_written(put);

	if (put->gone == written)
		return;
	if (put->parked) {
		for (; put->gone < written; put->gone++)
			if (put->piece[put->gone] != PIECE_NONE)
				piece_let_go(put, put->gone);
		return;
	}
	if (written <= first) {
		if (s->held > all)
			piece_let_go(put, written - 1);
		put->gone = written;
		return;
	}
	while (put->gone < written && (written - put->gone > last || s->held > all))
		piece_let_go(put, put->gone++);
}

void put_count(struct store_put *put, uint64_t bytes, uint64_t blobs)
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
		put_count(put,
			  blocks_bytes(put, put->upload.blocks) - blocks_bytes(put, put->written),
			  0);
		put->written = put->upload.blocks;
		pieces_let_go(put);
	}
	put_pump(put);
}

void put_writes(struct store_put *put)
{
	put->job = (struct job){.run = write_run, .done = write_done};
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
	put_writes(put);
	put->opened = s->opened;
	put->paused = s->unix_us;
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

int put_error(const struct store_put *put)
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
	/* all of those before the newest have their memory */
	uint32_t number = put->begun > 0 ? put->begun - 1 : 0;
	uint32_t last;
	int ret;

	if (put_error(put) != 0)
		return -EIO;
	if (chunks < put->ready) /* there is place for what is recalled */
		chunks = put->ready;
	if (put->store->kept && !put_short(put) &&
	    put->ready / PIECE_CHUNKS > pieces_written(put) + BEHIND_MOST)
		return -EAGAIN;
	last = chunks > 0 ? (chunks - 1) / PIECE_CHUNKS : 0;
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
		if (ret == 0 && put->recalled != NULL)
			recalled_copy(put, number);
	}
	return ret;
}

/* May it be written by less than the piece? */
static bool put_slow(const struct store_put *put)
{
	struct store *s = put->store;
	const uint64_t pause = put_short(put) ? SLOW_SHORT_US : SLOW_US;

	if (put->parked || s->closing)
		return true;
	if (s->slow_second != s->unix_seconds) {
		s->slow_second = s->unix_seconds;
		s->slow_bytes = 0;
	}
	return s->slow_bytes < SLOW_SECOND && s->unix_us - put->paused >= pause;
}

/* How many blocks are to be written now: the rest of a piece, or of a slow upload what is there. */
static uint32_t blocks_due(const struct store_put *put)
{
	const uint32_t all = block_count(put->name.length);
	const uint32_t end = (put->written / PIECE_EXTENTS + 1) * PIECE_EXTENTS;
	uint32_t ready = put->ready / EXTENT_CHUNKS;

	if (put->ready == chunk_count(put->name.length))
		ready = put_short(put) ? 0 : all; /* with its record */
	if (ready > end)
		ready = end;
	if (ready <= put->written)
		return 0;
	if (ready == end || ready == all)
		return ready - put->written;
	return put->keep && put_slow(put) ? ready - put->written : 0;
}

/* ---- commit ---- */

static void put_finish(struct store_put *put);

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
		put_pump(put);
	else
		put->stored(put, ret);
}

/* The blocks of a piece behind those that the engine has of it. */
static uint32_t blocks_gather(struct store_put *put)
{
	const uint32_t had = put->written % PIECE_EXTENTS;
	const uint32_t count = piece_blocks(put->store->slab,
					    put->piece[put->written / PIECE_EXTENTS], put->blocks);

	memmove(put->blocks, put->blocks + had, (count - had) * sizeof(*put->blocks));
	return count - had;
}

static void put_write(struct store_put *put, uint32_t blocks)
{
	struct store *s = put->store;
	const bool slow = blocks < PIECE_EXTENTS;

	blocks_gather(put);
	put->block_count = blocks;
	put->paused = s->unix_us;
	s->slow_bytes += slow ? blocks * ENGINE_BLOCK : 0;
	put->upload = (struct engine_upload){
		.name = put->name,
		.body = put->upload.body,
		.attempt = put->attempt,
		.seen = s->unix_seconds,
		.blocks = put->written,
		.kept = put->keep,
		.logged = slow,
	};
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
		.body = put->upload.body,
		.stored = s->stamp,
		.attempt = put->attempt,
		.written = put->written,
	};
	put->change.done = put_committed;
	put->committing = true;
	if (put->error != 0) {
		change_fail(s, &put->change);
		return;
	}
	if (put_short(put)) {
		put->change.c.count = blocks_gather(put);
		put->change.c.blocks = put->blocks;
	}
	change_queue(s, &put->change);
}

void put_pump(struct store_put *put)
{
	uint32_t due;

	if (put->writing || put->committing || put->recalling)
		return;
	put->error = put_error(put);
	due = put->store->kept && put->error == 0 && !put->committed ? blocks_due(put) : 0;
	/* of what ends only the next process may want it */
	if (due > 0 && (put->ended == NULL || (put->keep && put->store->closing)))
		put_write(put, due);
	else if (put->ended != NULL && !put->back.under_way)
		put_finish(put);
	else if (put->ended == NULL && put->stored != NULL && !put->committed)
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
	back_forget(put);
	if (s->kept)
		pieces_let_go(put);
	put_pump(put);
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

void body_abandon(struct store *s, uint64_t body)
{
	struct abandonment *a;

	if (body == 0 || !engine_works(s) || (a = calloc(1, sizeof(*a))) == NULL)
		return;
	a->job = (struct job){.run = abandon_run, .done = abandon_done};
	a->store = s;
	a->body = body;
	engine_submit(s, &a->job);
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
		if (!put->keep || !s->closing)
			body_abandon(s, put->upload.body);
	}
	s->held -= put->holds;
	free(put->recalled);
	free(put->piece);
	put->piece = NULL;
	put->ended(put);
}

void store_put_end(struct store_put *put, void (*ended)(struct store_put *put))
{
	put->ended = ended;
	put_pump(put);
}
