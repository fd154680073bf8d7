/* SPDX-License-Identifier: BSD-3-Clause
 * What the parts of the store share: store.c (what is there, and the engine's life),
 * room.c (memory, and who leaves it), load.c (from the engine), put.c (to it), drop.c.
 * Private to store/.
 */
#ifndef STORE_STORE_PART_H
#define STORE_STORE_PART_H

#include <uthash.h>

#include "store/store.h"

_Static_assert(ENGINE_BLOCK == EXTENT_SUMS, "an extent's bytes are one block");

/* ---- store.c ---- */

struct usage_of {
	uint32_t domain;
	struct store_usage usage;
	UT_hash_handle hh;
};

int usage_add(struct store *s, uint32_t domain, uint64_t bytes, uint64_t blobs);
void usage_sub(struct store *s, uint32_t domain, uint64_t bytes, uint64_t blobs);
struct index_key name_key(const struct store *s, const struct blob_name *name, uint32_t number);
bool name_equal(const struct blob_name *a, const struct blob_name *b);

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

/* A thread's view of a piece: where its blocks lie. Returns how many there are. */
uint32_t piece_blocks(const struct slab *slab, uint32_t no, struct iovec blocks[PIECE_EXTENTS]);

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

int loads_init(struct store *s);
void loads_fini(struct store *s);
void loads_poll(struct store *s);
bool loads_wait(const struct store *s);
/* The blob is gone: what is being loaded of it is not to be found. */
void loads_forget(struct store *s, const struct blob_name *name);

/* ---- put.c ---- */

int puts_init(struct store *s);
void puts_fini(struct store *s);
void puts_poll(struct store *s);
bool puts_wait(const struct store *s);
/* Has the engine do it, together with others; then calls ch->done(). */
void change_queue(struct store *s, struct change *ch);
/* Removes a blob from everywhere, and counts it no more. quarantine: it is damaged. */
void blob_remove(struct store *s, const struct blob_name *name, bool quarantine);

/* ---- drop.c ---- */

void drops_fini(struct store *s);
void drops_poll(struct store *s);
bool drops_wait(const struct store *s);

#endif
