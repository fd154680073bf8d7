/* SPDX-License-Identifier: BSD-3-Clause
 * The beginning of a blob, for which its source is to vouch where a relay kept as much of an
 * earlier upload (docs/protocol.md, chart 7).
 */
#ifndef CLIENT_LIB_PREFIX_H
#define CLIENT_LIB_PREFIX_H

#include "client/lib/input.h"
#include "wire/frame.h"

#define PREFIX_MARKS 1024u

struct prefix {
	/* States of the hash as it was, each `mark_step` bytes of the first pass: so no second
	 * one is needed. */
	struct ident_state *mark[PREFIX_MARKS];
	uint32_t marks;
	uint64_t mark_step;
	struct challenge challenge; /* the newest, */
	uint32_t chunks;	    /* of so many chunks; 0: there was none */
	bool vouched;		    /* `vouch` answers it */
	bool pulled;		    /* the relay wanted some of these all the same */
	struct proof vouch;
	struct ident_state *hash; /* of `of` chunks, while they are read; or NULL */
	uint64_t hashed;	  /* bytes */
	uint64_t most;		  /* likewise, ever */
	struct ident id;	  /* of `of` chunks, once they have been read */
	uint32_t of;
	uint64_t at;   /* no vouch before, microseconds; */
	uint64_t wait; /* and so long after it the next one */
};

void prefix_free(struct prefix *p);
/* A pass over a blob of so many bytes begins; one before it does not count any more. */
void prefix_pass(struct prefix *p, uint64_t length);
/* Of that pass so many bytes have been hashed: by INPUT_PIECE, one after the other. */
void prefix_mark(struct prefix *p, const struct ident_state *hash, uint64_t hashed);
/* A relay has the first `chunks` chunks, fewer than the blob. */
void prefix_ask(struct prefix *p, const struct challenge *c, uint32_t chunks);
/* When prefix_run() has something to do: 0, at once; NEVER. */
uint64_t prefix_due(const struct prefix *p);
/* Reads on, a few MiB at most. 1: it has vouched; 0: not yet; or -errno: the blob cannot be
 * read. */
int prefix_run(struct prefix *p, struct input *b, uint8_t rule, uint64_t now);

#endif
