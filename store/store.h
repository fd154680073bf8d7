/* SPDX-License-Identifier: BSD-3-Clause
 * The store as control sees it: blobs come, are found, and go. Where they lie, and how
 * workers read them, is in slab.h and index.h.
 *
 * Threads: control's alone. What is removed can be read until a grace period is over, and is
 * found by nobody from then on; a blob that store_get() gave is there until control returns
 * to its loop.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "store/index.h"
#include "store/reclaim.h"

struct store {
	struct slab *slab;
	struct index *index;
	struct reclaim *reclaim;
	struct leaving *leaving; /* not yet taken by reclaim: it had no memory */
};

void store_init(struct store *s, struct slab *slab, struct index *index, struct reclaim *reclaim);
/* Workers must have stopped, and reclaim has run. */
void store_fini(struct store *s);

/* The READY blob of this name, NULL if there is none. pad: index_pad() of domain and rule. */
const struct blob *store_get(const struct store *s, const struct index_key *pad, uint32_t domain,
			     const struct ident *id, uint8_t rule, uint64_t length);
/* A blob whose chunks are all written and were verified is there from now on. 0; -EEXIST:
 * another one of its name is, and stays; -ENOSPC: no room in the index. In both cases it
 * is the caller's to free. */
int store_commit(struct store *s, uint32_t no);
/* Removes a READY blob. 0; -ENOENT: it is not the one of its name; -ENOMEM: it stays. */
int store_remove(struct store *s, uint32_t no);
/* Calls fn for READY blobs among the next `max` descriptors from *cursor (0 at first) on; fn
 * may remove the blob. False: that was the last of them. */
bool store_walk(struct store *s, uint32_t *cursor, uint32_t max, void (*fn)(void *ctx, uint32_t no),
		void *ctx);

#endif
