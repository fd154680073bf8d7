/* SPDX-License-Identifier: BSD-3-Clause
 * The pull window: what the receiver of a blob asks for, and when. The same for every
 * blob that moves, a target's delivery or a relay's upload (RFC 8085, section 3.1). It
 * holds together what is here and in flight (pulls.h), what is lost (recovery.h), and
 * how fast the path is (congestion.h), and paces the PULLs.
 *
 * No allocation after init, no clock and no socket of its own: `now` is any monotonic
 * clock in microseconds.
 */
#ifndef WIRE_PULLWIN_H
#define WIRE_PULLWIN_H

#include "wire/congestion.h"
#include "wire/recovery.h"
#include "wire/pulls.h"

struct pullwin {
	struct pulls pulls;
	struct recovery recovery;
	struct congestion congestion;
	uint32_t cap;	   /* chunks that the receive buffer holds, >= 1; the owner changes it */
	uint32_t probe;	   /* chunks the next PULL may ask for beyond the window */
	double pace;	   /* earliest time of the next PULL, microseconds */
	uint64_t progress; /* when the last new chunk arrived (or init) */
};

/* Bytes of memory that pullwin_init() wants for a blob of `length`. */
size_t pullwin_memory(uint64_t length);
/* memory: pullwin_memory(length) bytes of zeros, as pulls_init() has it.
 * pulls.limit starts at chunk_count(length); the owner may lower and raise it. */
void pullwin_init(struct pullwin *w, uint64_t length, void *memory, uint32_t cap, uint64_t now);

/* The next PULL to send now, if the window and pacing allow: fills number,
 * first and mask. Call until it returns false. */
bool pullwin_next(struct pullwin *w, uint64_t now, uint32_t *number, uint32_t *first,
		  uint32_t *mask);

enum pullwin_verdict {
	PULLWIN_NEW,
	PULLWIN_DUPLICATE, /* is here already */
	PULLWIN_STRAY,	   /* never asked for, or outside the blob */
};
/* One chunk arrived under PULL `number`, at `came`, which never goes back; now: when it
 * is seen. */
enum pullwin_verdict pullwin_data(struct pullwin *w, uint32_t chunk, uint32_t number, uint64_t came,
				  uint64_t now);

/* Takes back PULL `number` (it was answered by an ERROR, not lost): its
 * chunks are asked for again without blaming the network. */
void pullwin_cancel(struct pullwin *w, uint32_t number);

/* The path is another one: what was measured is forgotten, and what is in flight is asked
 * for again. */
void pullwin_restart(struct pullwin *w, uint64_t now);

/* Looks for what is lost, and minds silence; call when pullwin_deadline() has passed. */
void pullwin_tick(struct pullwin *w, uint64_t now);
/* When the window next wants pullwin_next or pullwin_tick, UINT64_MAX never. */
uint64_t pullwin_deadline(const struct pullwin *w);

/* Chunks in flight at most, now. */
uint32_t pullwin_window(const struct pullwin *w);

static inline bool pullwin_complete(const struct pullwin *w)
{
	return w->pulls.have == w->pulls.chunks;
}

static inline bool pullwin_has(const struct pullwin *w, uint32_t chunk)
{
	return pulls_has(&w->pulls, chunk);
}

/* Nothing has come for more than two timeouts. */
static inline bool pullwin_silent(const struct pullwin *w)
{
	return w->recovery.backoff >= 4;
}

#endif
