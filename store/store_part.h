/* SPDX-License-Identifier: BSD-3-Clause
 * What the parts of the store share: store.c (what is there), life.c (the engine's),
 * room.c (memory, and who leaves it), age.c, load.c (from the engine), put.c and change.c (to it),
 * recall.c, look.c, limit.c, clear.c, drop.c, hot.c.
 * Private to store/.
 */
#ifndef STORE_STORE_PART_H
#define STORE_STORE_PART_H

#include <errno.h>

#include <uthash.h>

#include "store/store.h"

_Static_assert(ENGINE_BLOCK == EXTENT_SUMS, "an extent's bytes are one block");

/* An error of the engine, as the store says it. */
static inline int said(int err)
{
	return err == 0 || err == -ENOENT || err == -EBADMSG ? err : -EIO;
}

/* ---- store.c ---- */

/* Of the store or of a domain in it. */
struct usage_of {
	uint32_t domain;
	struct store_usage usage;
	struct store_usage here; /* of these, what is stored, and what of uploads has come */
	struct store_usage stored, before; /* with an engine: what it has; life.c's */
	uint64_t expires;		   /* Unix microseconds: before that none is too old */
	bool bare;			   /* there is nothing that could go */
	uint32_t oldest, newest;	   /* without an engine: heads, or PIECE_NONE */
	UT_hash_handle hh;
};

struct usage_of *usage_find(const struct store *s, uint32_t domain);
int usage_add(struct store *s, uint32_t domain, uint64_t bytes, uint64_t blobs);
void usage_sub(struct store *s, uint32_t domain, uint64_t bytes, uint64_t blobs);
/* Likewise what is there, of a domain that has some usage. */
void here_add(struct store *s, uint32_t domain, uint64_t bytes, uint64_t blobs);
void here_sub(struct store *s, uint32_t domain, uint64_t bytes, uint64_t blobs);
struct index_key name_key(const struct store *s, const struct blob_name *name, uint32_t number);

/* What the engine has of a domain. */
void stored_add(struct store *s, uint32_t domain, uint64_t bytes, uint64_t blobs);
void stored_sub(struct store *s, uint32_t domain, uint64_t bytes, uint64_t blobs);

/* A thread's view of a piece: where its blocks lie. Returns how many there are. */
uint32_t piece_blocks(const struct slab *slab, uint32_t no, struct iovec blocks[PIECE_EXTENTS]);

/* ---- life.c ---- */

/* May the engine be used? */
static inline bool engine_works(const struct store *s)
{
	return !s->failed && s->engine != NULL;
}
/* A job that uses the engine. */
void engine_submit(struct store *s, struct job *job);
/* Its end, in control's thread. err: what the engine said; errors that are its own, and not
 * a blob's, make it fail. */
void engine_done(struct store *s, int err);

void life_poll(struct store *s);
void life_fini(struct store *s);

/* ---- room.c ---- */

int room_init(struct store *s);
/* A descriptor and memory for the first `chunks` chunks of a piece: of a new one (*no is
 * PIECE_NONE), or more for it; others may have to go. 0; -EAGAIN: soon; -ENOSPC. */
int room_take(struct store *s, const struct blob_name *name, uint32_t number, uint32_t chunks,
	      uint32_t *no);
/* READY, and found by all from now on. 0, -EEXIST or -ENOSPC: it is found by nobody. */
int piece_enter(struct store *s, uint32_t no);
/* Found by nobody from now on; its memory comes back after a grace period. */
void piece_remove(struct store *s, const struct piece *p);
/* Likewise, one that was found by nobody; a worker may have written it. */
void piece_discard(struct store *s, uint32_t no);
/* All of a blob's that are in RAM. */
void pieces_remove(struct store *s, const struct blob_name *name);

/* ---- load.c ---- */

/* In a thread of the store's: fills a piece, whose bytes have its sums then. 0, or what the engine
 * says. */
int piece_read(const struct store *s, const struct blob_name *name, struct engine_record *record,
	       uint32_t no);

int loads_init(struct store *s);
void loads_fini(struct store *s);
void loads_poll(struct store *s);
bool loads_wait(const struct store *s);
/* How many there are, of any kind. */
uint32_t loads_count(const struct store *s);
/* The blob is gone: what is being loaded of it is not to be found. */
void loads_forget(struct store *s, const struct blob_name *name);

/* ---- put.c ---- */

#define HELD_ALL_PART 4u /* of the slab: if uploads hold more, whatever is written leaves RAM */

static inline uint32_t block_count(uint64_t length)
{
	return (uint32_t)((length + ENGINE_BLOCK - 1) / ENGINE_BLOCK);
}
/* Bytes and blobs more are here of it. */
void put_count(struct store_put *put, uint64_t bytes, uint64_t blobs);
/* What it wrote to an engine that was opened again since is not there any more. */
int put_error(const struct store_put *put);
/* Its job writes. */
void put_writes(struct store_put *put);
/* Whole pieces that the engine has. */
uint32_t pieces_written(const struct store_put *put);
/* One of its pieces leaves RAM. */
void piece_let_go(struct store_put *put, uint32_t number);
/* Its next step, if nothing is under way. */
void put_pump(struct store_put *put);
/* What was written; what cannot be told to the engine now is cleared when it is opened. */
void body_abandon(struct store *s, uint64_t body);

/* ---- recall.c ---- */

/* The blocks of its last piece that the engine has are in RAM again; the others come. */
void recalled_copy(struct store_put *put, uint32_t number);
/* None of what came back is to be counted as that any more. */
void back_forget(struct store_put *put);

/* ---- change.c ---- */

int changes_init(struct store *s);
void changes_fini(struct store *s);
void changes_poll(struct store *s);
bool changes_wait(const struct store *s);
/* Has the engine do it, together with others; then calls ch->done(). */
void change_queue(struct store *s, struct change *ch);
/* It cannot be: calls ch->done() with -EIO. */
void change_fail(struct store *s, struct change *ch);
enum remove_why {
	REMOVE_GONE,	/* nobody wants it */
	REMOVE_DAMAGED, /* it is put aside */
	REMOVE_TRIMMED, /* for limit.c, which waits until it is done */
};
/* Removes a blob from everywhere, and counts it no more. 0; -ENOMEM; -ENOENT: not here, and
 * there is no engine. */
int blob_remove(struct store *s, const struct blob_name *name, enum remove_why why);

/* ---- limit.c ---- */

void trim_init(struct store *s);
void trim_poll(struct store *s);
bool trim_waits(const struct store *s);
/* May a blob come at all, of which `bytes` are not here yet and which counts as `blobs` more? 0;
 * -EFBIG: it is more than there may be; -EDQUOT: its domain has as much as it may; -ENOSPC. */
int limit_admits(struct store *s, const struct blob_name *name, uint64_t bytes, uint64_t blobs);
/* May more of one come? 0; -EAGAIN: others are about to go; -ENOSPC. */
int limit_room(struct store *s, uint32_t domain);
/* Bytes that the disk should have free, and has not. */
uint64_t disk_short(const struct store *s);

/* ---- clear.c ---- */

/* The engine is there. */
void clearing_init(struct store *s);
void clearing_poll(struct store *s);
bool clearing_wait(const struct store *s);
/* Something of the engine's is nobody's any more. */
void clearing_want(struct store *s);

/* ---- age.c ---- */

int ages_init(struct store *s);
void ages_fini(struct store *s);
/* Its domain's newest; a head. */
void age_add(struct store *s, uint32_t no);
void age_remove(struct store *s, uint32_t no);
/* When it was stored, Unix microseconds. */
uint64_t age_stored(const struct store *s, uint32_t no);
/* The first `max` of a domain. Returns how many. */
uint32_t ages_oldest(const struct store *s, const struct usage_of *u, struct engine_entry *out,
		     uint32_t max);

/* ---- hot.c ---- */

/* Without memory, -ENOMEM. */
int hot_begin(struct store *s);
void hot_poll(struct store *s);
bool hot_waits(const struct store *s);
/* Nothing is under way any more, and the engine is open. */
void hot_fini(struct store *s);

/* ---- drop.c ---- */

void drops_fini(struct store *s);
void drops_poll(struct store *s);
bool drops_wait(const struct store *s);

#endif
