/* SPDX-License-Identifier: BSD-3-Clause
 * The pull window: what the receiver of a blob asks for, and when. One
 * congestion controller for every blob that moves: a target's delivery and a
 * relay's upload both use it (RFC 8085, section 3.1).
 *
 * Window-based AIMD with slow start; loss is seen when DATA of a later PULL
 * arrives while an earlier PULL is still short (3 chunks of reordering are
 * forgiven), or by silence, which backs off exponentially. Round trips are
 * timed by PULL numbers, so a repeated request is never mistaken (Karn). PULLs
 * are paced over the round trip once that is longer than 2 ms.
 *
 * No allocation after init, no clock and no socket of its own: `now` is any
 * monotonic clock in microseconds.
 */
#ifndef WIRE_PULLWIN_H
#define WIRE_PULLWIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/frame.h"

#define PULLWIN_OUTSTANDING 256 /* PULLs in flight, at most */

struct pullwin_request {
	uint32_t number;
	uint32_t first;
	uint32_t asked;	  /* mask of chunks, as it was sent */
	uint32_t missing; /* those not here yet and not given up; 0: slot free */
	uint32_t later;	  /* chunks that arrived for later PULLs */
	bool heard;	  /* something arrived for it: its round trip is timed */
	uint64_t sent;	  /* microseconds */
};

struct pullwin {
	uint32_t chunks; /* in the blob */
	uint32_t have;	 /* chunks received */
	uint32_t next;	 /* first chunk never requested */
	uint32_t limit;	 /* requests stay below this chunk; the owner raises it */
	uint32_t number; /* of the next PULL, from 1 */
	uint32_t flight; /* chunks requested and not here */
	uint32_t cap;  /* chunks in flight at most (receive buffer, credit); the owner changes it */
	double window; /* chunks */
	double threshold;		     /* of slow start */
	uint64_t srtt, rttvar, rto, backoff; /* microseconds; backoff: multiplier, 1.. */
	uint64_t pace;			     /* earliest time of the next PULL */
	uint64_t progress;		     /* when the last new chunk arrived (or init) */
	uint64_t activity;     /* when a PULL left or a chunk arrived: silence counts from here */
	bool probed;	       /* in this silence */
	uint32_t probe;	       /* chunks the next PULL may ask for beyond the window */
	uint32_t probe_number; /* its number, 0: none */
	uint64_t recover;      /* PULLs numbered below this belong to a loss already answered */
	uint32_t scan;	       /* where the search for lost chunks resumes */
	uint32_t lost;	       /* chunks to request again */
	uint64_t *bits;	       /* chunks received, `chunks` bits */
	uint64_t *lost_bits;   /* chunks to request again */
	uint32_t head, tail;   /* ring of requests[] in order of number */
	struct pullwin_request requests[PULLWIN_OUTSTANDING];
};

/* Bytes of bitmap memory that pullwin_init wants for a blob of `length`. */
size_t pullwin_memory(uint64_t length);
/* memory: pullwin_memory(length) bytes of zeros, 8-aligned, which stay the caller's.
 * They are touched as chunks arrive, so pages that the kernel gives as zeros cost
 * nothing before.
 * cap: chunks in flight at most, >= 1. limit starts at chunk_count(length). */
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
/* One chunk arrived under PULL `number`. */
enum pullwin_verdict pullwin_data(struct pullwin *w, uint32_t chunk, uint32_t number, uint64_t now);

/* Takes back PULL `number` (it was answered by an ERROR, not lost): its
 * chunks are asked for again without blaming the network. */
void pullwin_cancel(struct pullwin *w, uint32_t number);

/* Runs the retransmission timer; call when pullwin_deadline() has passed. */
void pullwin_tick(struct pullwin *w, uint64_t now);
/* When the window next wants pullwin_next or pullwin_tick, UINT64_MAX never. */
uint64_t pullwin_deadline(const struct pullwin *w);

static inline bool pullwin_complete(const struct pullwin *w)
{
	return w->have == w->chunks;
}

bool pullwin_has(const struct pullwin *w, uint32_t chunk);

#endif
