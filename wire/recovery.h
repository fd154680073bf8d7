/* SPDX-License-Identifier: BSD-3-Clause
 * What was asked for and does not come: round trips, the loss of what has been
 * overtaken (after RACK, RFC 8985), and silence.
 *
 * A PULL is passed once DATA of a later one is here. What it still misses after the
 * reordering window is lost. The window begins at a quarter of the round trip and
 * follows what comes later than that, up to a round trip.
 * `now` is any monotonic clock in microseconds.
 */
#ifndef WIRE_RECOVERY_H
#define WIRE_RECOVERY_H

#include "wire/pulls.h"

#define SILENCE_MAX UINT64_C(1000000) /* microseconds between two signs of life that we ask for */

struct recovery {
	uint64_t srtt, rttvar; /* microseconds; 0: no round trip yet (RFC 6298) */
	uint64_t late;	       /* how late what was passed has come, lately; 0: never */
	uint64_t late_next;    /* the same since the last change of it */
	uint64_t late_until;   /* the next change */
	uint32_t passed;       /* PULLs below this number are passed */
	uint32_t silent_below; /* no round trips of PULLs below: they met a silence */
	uint64_t activity;     /* when a PULL left or a chunk came: silence counts from here */
	uint32_t backoff;      /* multiplies the timeout, 1..; above 1: nothing comes */
	bool probed;	       /* in this silence */
};

void recovery_init(struct recovery *v, uint64_t now);
/* Something new came, under whatever number: the silence, if there was one, is over. */
void recovery_heard(struct recovery *v, uint64_t now);
/* A PULL left. */
void recovery_sent(struct recovery *v, uint64_t now);
/* A chunk came at `came` under PULL r, which had asked for it; before pulls_take().
 * Returns the round trip if this is a good measure of it, else 0. */
uint64_t recovery_came(struct recovery *v, const struct pulls *q, struct pull_request *r,
		       uint32_t chunk, uint64_t came, uint64_t now);

/* When recovery_overdue() may find something; UINT64_MAX: nothing is passed. */
uint64_t recovery_due(const struct recovery *v, const struct pulls *q);
/* The next PULL of which all that is missing is lost by now, or NULL. */
struct pull_request *recovery_overdue(const struct recovery *v, const struct pulls *q,
				      uint64_t now);

/* When nothing has come for too long; UINT64_MAX: nothing is in flight. */
uint64_t recovery_silence(const struct recovery *v, const struct pulls *q);
/* That has come. True: all in flight is lost. False: the oldest PULL is to be asked
 * again first, for its answer tells what became of the rest. */
bool recovery_silent(struct recovery *v, const struct pulls *q, uint64_t now);

#endif
