/* SPDX-License-Identifier: BSD-3-Clause
 * What the engine has of a blob on its way in, and RAM has not: because it left, or because an
 * earlier process wrote it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_part.h"

#define AHEAD 8u /* pieces that are read behind one that is wanted, if there is room */
/* That an upload may have back in any case: those of two targets must not chase each other. */
#define BACK_LEAST 4u

void store_put_refuse(struct store *s, const struct engine_upload *u)
{
	body_abandon(s, u->body);
}

int store_put_adopt(struct store *s, const struct engine_upload *u, struct store_put *put)
{
	const uint32_t all = block_count(u->name.length);
	const uint32_t blocks = u->blocks < all ? u->blocks : all > 0 ? all - 1 : 0;
	const uint64_t bytes = (uint64_t)blocks * ENGINE_BLOCK;
	int ret;

	*put = (struct store_put){.store = s, .name = u->name, .attempt = u->attempt};
	if (blocks == 0)
		return -EINVAL;
	ret = limit_admits(s, &u->name, bytes, 1);
	if (ret < 0)
		return ret;
	put->opened = s->opened;
	put->upload = *u;
	put_writes(put);
	put->keep = put->parked = true;
	put->written = blocks;
	put->ready = blocks * EXTENT_CHUNKS;
	put->begun = put->gone = blocks / PIECE_EXTENTS;
	put->piece = malloc(piece_count(u->name.length) * sizeof(*put->piece));
	if (put->piece == NULL || usage_add(s, u->name.domain, bytes, 1) < 0) {
		free(put->piece);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < put->begun; i++)
		put->piece[i] = PIECE_NONE;
	put_count(put, bytes, 0);
	return 0;
}

static struct store_put *put_of_job(struct job *job)
{
	return (struct store_put *)((char *)job - offsetof(struct store_put, job));
}

/* What is not there is not of use, nor is anything behind it. */
static void recall_finish(struct store_put *put)
{
	struct store *s = put->store;
	uint64_t gone;

	if (put->error != 0)
		put->written = 0;
	gone = (uint64_t)(put->claimed - put->written) * ENGINE_BLOCK;
	put->recalling = false;
	put->ready = put->written * EXTENT_CHUNKS;
	put->begun = put->gone = put->written / PIECE_EXTENTS;
	if (put->written % PIECE_EXTENTS == 0) {
		free(put->recalled);
		put->recalled = NULL;
	}
	here_sub(s, put->name.domain, gone, 0);
	usage_sub(s, put->name.domain, gone, 0);
	put->counted -= gone;
	put_writes(put);
	put->recall_done(put);
}

static void recall_next(struct store_put *put)
{
	put->error = put_error(put);
	if (put->error == 0 && put->written < put->claimed && !put->store->closing)
		engine_submit(put->store, &put->job);
	else
		recall_finish(put);
}

/* In a thread of the store's: a piece, as far as it is there. */
static void recall_run(struct job *job)
{
	struct store_put *put = put_of_job(job);
	struct engine *e = put->store->engine;
	struct engine_record r = {.body = put->upload.body};
	const uint32_t left = put->claimed - put->written;
	const uint32_t count = left < PIECE_EXTENTS ? left : PIECE_EXTENTS;

	if (put->recalled == NULL)
		put->recalled = malloc((size_t)PIECE_EXTENTS * ENGINE_BLOCK);
	put->block_count = 0;
	put->error = put->recalled != NULL ? 0 : -EBADMSG;
	while (put->error == 0 && put->block_count < count) {
		uint8_t *to = put->recalled + (size_t)put->block_count * ENGINE_BLOCK;

		put->error = e->ops->read(e, &put->name, &r, put->written + put->block_count, to,
					  ENGINE_BLOCK);
		if (put->error != 0)
			break;
		put->read(put, to, ENGINE_BLOCK);
		put->block_count++;
	}
}

static void recall_done(struct job *job)
{
	struct store_put *put = put_of_job(job);
	const int err = put->error;

	engine_done(put->store, err);
	put->written += put->block_count;
	if (err == -EBADMSG || err == -ENOENT) {
		put->error = 0;
		recall_finish(put);
	} else {
		recall_next(put);
	}
}

void store_put_recall(struct store_put *put,
		      void (*read)(struct store_put *put, const void *bytes, uint32_t len),
		      void (*done)(struct store_put *put))
{
	put->read = read;
	put->recall_done = done;
	put->recalling = true;
	put->claimed = put->written;
	put->written = 0;
	put->job = (struct job){.run = recall_run, .done = recall_done};
	recall_next(put);
}

void recalled_copy(struct store_put *put, uint32_t number)
{
	const struct slab *slab = put->store->slab;
	struct piece *p = slab_piece(slab, put->piece[number]);
	const uint32_t chunks = put->ready % PIECE_CHUNKS;

	for (uint32_t i = 0; i < chunks; i++)
		chunk_store(slab, p, i, put->recalled + (size_t)i * CHUNK_SIZE, CHUNK_SIZE);
	free(put->recalled);
	put->recalled = NULL;
}

/* ---- what left ---- */

static void back_next(struct store_put *put);

static struct store_put *put_of_back(struct job *job)
{
	return (struct store_put *)((char *)job - offsetof(struct store_put, back.job));
}

void back_forget(struct store_put *put)
{
	put->back.count = 0;
}

static void back_run(struct job *job)
{
	struct store_put *put = put_of_back(job);
	struct engine_record r = {.body = put->back.body};

	put->back.error = piece_read(put->store, &put->name, &r, put->back.no);
}

/* Uploads hold so much of RAM that this one is to have few. */
static bool back_pressed(const struct store *s)
{
	return s->held >= s->slab->extent_count / PIECE_EXTENTS / HELD_ALL_PART;
}

/* The one that came back first goes. */
static void back_leave(struct store_put *put)
{
	struct store_back *b = &put->back;

	piece_let_go(put, b->had[b->oldest]);
	b->oldest = (b->oldest + 1) % STORE_BACK;
	b->count--;
}

static void back_enter(struct store_put *put)
{
	struct store_back *b = &put->back;

	b->had[(b->oldest + b->count++) % STORE_BACK] = b->number;
	/* a worker that sees it finds its bytes, too */
	__atomic_store_n(&put->piece[b->number], b->no, __ATOMIC_RELEASE);
	put->holds++;
	put->store->held++;
}

static void back_done(struct job *job)
{
	struct store_put *put = put_of_back(job);
	struct store_back *b = &put->back;

	b->under_way = false;
	engine_done(put->store, b->error);
	if (b->error == 0) {
		put->store->counters.loads++;
		put->store->counters.load_bytes += piece_length(put->name.length, b->number);
	} else {
		put->store->counters.load_failures++;
	}
	if (b->error == 0 && !put->parked && !put->committed && put->ended == NULL)
		back_enter(put);
	else
		piece_free(put->store->slab, b->no);
	b->number++;
	back_next(put);
	put_pump(put);
}

/* The next one that is wanted, and not there. */
static void back_next(struct store_put *put)
{
	struct store_back *b = &put->back;
	const uint32_t written = pieces_written(put);

	if (put_error(put) != 0 || put->parked || put->committed || put->ended != NULL)
		return;
	while (b->number < b->until && b->number < written && put->piece[b->number] != PIECE_NONE)
		b->number++;
	b->no = PIECE_NONE;
	if (b->number >= b->until || b->number >= written ||
	    (b->number != b->wanted && back_pressed(put->store)))
		return;
	if (b->count == STORE_BACK || (b->count >= BACK_LEAST && back_pressed(put->store)))
		back_leave(put);
	if (room_take(put->store, &put->name, b->number,
		      chunk_count(piece_length(put->name.length, b->number)), &b->no) < 0) {
		if (b->no != PIECE_NONE)
			piece_free(put->store->slab, b->no);
		return;
	}
	b->body = put->upload.body; /* the rest of that is a writer's meanwhile */
	b->job = (struct job){.run = back_run, .done = back_done};
	b->under_way = true;
	engine_submit(put->store, &b->job);
}

int store_put_back(struct store_put *put, uint32_t number)
{
	struct store_back *b = &put->back;

	if (number < put->begun && put->piece[number] != PIECE_NONE)
		return 0;
	if (!b->under_way) {
		b->number = b->wanted = number;
		b->until = number + 1 + AHEAD;
		back_next(put);
	}
	return -EAGAIN;
}
