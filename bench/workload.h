/* SPDX-License-Identifier: BSD-3-Clause
 * The kinds of requests that can be measured: how one looks on its way out and
 * what a right answer is.
 */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include "bench/session.h"

enum verdict {
	VERDICT_PART,  /* one of the frames that answer request *number */
	VERDICT_STRAY, /* a late answer to what session_open() said */
	VERDICT_WRONG, /* an answer that must not be */
};

struct workload {
	const char *name;
	bool relay;	/* it speaks to a relay: session_open() comes first */
	uint32_t parts; /* mask of the frames that make up an answer */
	/* Writes a request, unsigned, in WIRE_MAX_FRAME bytes of room; its length, 0: does
	 * not fit. */
	size_t (*prepare)(const struct conversation *s, uint8_t *buf);
	/* Makes a prepared request number `number`, with the newest echo. */
	void (*number)(const struct conversation *s, uint8_t *buf, uint32_t number);
	/* Checks every byte of a reply; fills number and part, one bit of `parts`. */
	enum verdict (*check)(struct conversation *s, const uint8_t *buf, size_t len,
			      uint32_t *number, uint32_t *part);
};

/* NULL: no such workload. */
const struct workload *workload_find(const char *name);

#endif
