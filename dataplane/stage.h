/* SPDX-License-Identifier: BSD-3-Clause
 * Where a worker's time goes: each stage says when it is over. Compiled into
 * bench/loop's second worker alone (-DWORKER_STAGES), which is the only one of its
 * process; nothing is left of it in the relay.
 */
#ifndef DATAPLANE_STAGE_H
#define DATAPLANE_STAGE_H

#include <stdint.h>

#include <rte_cycles.h>

/* X(name): */
#define STAGES(X)                                               \
	X(receive) /* the port */                               \
	X(parse)   /* headers, frame, fields, known flows */    \
	X(tokens)  /* cookie, echo, ticket, trailer; minting */ \
	X(index)   /* lookup, descriptors, leases, budgets */   \
	X(build)   /* buffers, frames, bytes, sums */           \
	X(send)	   /* next hops, headers, the port */           \
	X(rest)	   /* of a turn: control's ring, RCU */

enum stage {
#define X(name) STAGE_##name,
	STAGES(X)
#undef X
		STAGE_COUNT
};

#ifdef WORKER_STAGES
struct stages {
	uint64_t last; /* TSC at which the stage before was over */
	uint64_t cycles[STAGE_COUNT];
	uint64_t marks[STAGE_COUNT];
};
extern struct stages worker_stages;

static inline void stage_over(enum stage s)
{
	const uint64_t now = rte_rdtsc();

	worker_stages.cycles[s] += now - worker_stages.last;
	worker_stages.marks[s]++;
	worker_stages.last = now;
}
#else
static inline void stage_over(enum stage s)
{
	(void)s;
}
#endif

#endif
