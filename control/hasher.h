/* SPDX-License-Identifier: BSD-3-Clause
 * Hash threads: identifiers of uploads are computed outside the control
 * thread, over the contiguous prefix of what has arrived. The threads are plain
 * pthreads and touch nothing but the slab and their job.
 */
#ifndef CONTROL_HASHER_H
#define CONTROL_HASHER_H

#include <event2/event.h>
#include <sched.h>

#include "store/slab.h"

struct hasher;

/* One blob being hashed; a job is in at most one queue at a time. */
struct hash_job {
	/* the owner's, untouched while the job is in flight */
	const struct slab *slab;
	const struct blob *blob;
	struct ident_state *state;
	uint32_t from; /* chunks [from, to) are hashed next; they must not change any more */
	uint32_t to;
	/* called in the control thread when [from, to) is done */
	void (*done)(struct hash_job *job);
	struct hash_job *next;
};

/* affinity: CPUs the threads may use. NULL with errno set on failure. */
struct hasher *hasher_start(struct event_base *base, unsigned int threads,
			    const cpu_set_t *affinity);
void hasher_submit(struct hasher *h, struct hash_job *job);
/* Waits for the jobs under way; those still queued are abandoned. */
void hasher_stop(struct hasher *h);

#endif
