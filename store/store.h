/* SPDX-License-Identifier: BSD-3-Clause
 * The store as control sees it: blobs come, are found, and go. Where they lie, and how
 * workers read them, is in slab.h and index.h.
 *
 * RAM is all there is: what nobody asks for goes when others need its place, and its
 * whole blob with it.
 *
 * Threads: control's alone. What is removed can be read until a grace period is over, and
 * is found by nobody from then on; a piece that was given is there until control returns
 * to its loop.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "store/cache.h"
#include "store/index.h"
#include "store/reclaim.h"

/* What a domain has here. */
struct store_usage {
	uint64_t bytes; /* of its blobs, and of what is being uploaded */
	uint64_t blobs; /* likewise */
};

struct store_counters {
	uint64_t evicted;	/* blobs that made room for others */
	uint64_t evicted_bytes; /* of these */
};

struct usage_of;

struct store {
	struct slab *slab;
	struct index *index;
	struct reclaim *reclaim;
	struct cache *cache;
	uint64_t blobs;				  /* that are here */
	struct usage_of *usage;			  /* by domain */
	struct leaving *leaving;		  /* by descriptor */
	uint32_t leaving_first;			  /* of those that reclaim had no memory for */
	uint64_t leaving_room[CLASS_EXTENTS + 1]; /* by size class, until it is free */
	uint32_t leaving_pieces;
	struct store_counters counters;
};

/* readers: threads that read beside control (cache_reader()). 0 or -ENOMEM; in both cases
 * store_fini() ends it. */
int store_init(struct store *s, struct slab *slab, struct index *index, struct reclaim *reclaim,
	       unsigned int readers);
/* Workers must have stopped, and reclaim has run. */
void store_fini(struct store *s);

/* The head of the blob if it is here whole; NULL if it is not. */
const struct piece *store_find(const struct store *s, const struct blob_name *name);
/* One of its pieces, likewise. */
const struct piece *store_find_piece(const struct store *s, const struct blob_name *name,
				     uint32_t number);
/* Removes a blob. 0, or -ENOENT: it is not here. */
int store_remove(struct store *s, const struct blob_name *name);
/* Calls fn for the heads of READY blobs among the next `max` descriptors from *cursor (0
 * at first) on; fn may remove the blob. False: that was the last of them. */
bool store_walk(struct store *s, uint32_t *cursor, uint32_t max,
		void (*fn)(void *ctx, const struct piece *head), void *ctx);
struct store_usage store_usage(const struct store *s, uint32_t domain);

/* ---- a blob on its way in ---- */

struct store_put {
	struct store *store;
	struct blob_name name;
	bool committed;
	uint32_t begun;	 /* pieces that have a descriptor: the first ones */
	uint32_t *piece; /* their numbers; a worker may read those below a limit it is given */
};

/* Its length counts for its domain from now on. 0; -EFBIG: it could never be here; -ENOMEM;
 * of an empty one also what store_put_grow() says, which it does not need any more. */
int store_put_begin(struct store *s, const struct blob_name *name, struct store_put *put);
/* Takes memory so that chunks 0..chunks-1 of the blob have a place, for which others may
 * have to go. 0; -EAGAIN: their memory is on its way back, so try again soon; -ENOSPC:
 * nobody can go. What was taken before stays. */
int store_put_grow(struct store_put *put, uint32_t chunks);
/* All chunks are written and were verified: the blob is here. 0; -EEXIST: one of its name
 * is here, and stays; -ENOSPC: no room in the index. */
int store_put_commit(struct store_put *put);
/* No worker uses it any more. Gives back what was not committed. */
void store_put_end(struct store_put *put);

#endif
