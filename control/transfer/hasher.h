/* SPDX-License-Identifier: BSD-3-Clause
 * Hash threads: identifiers of uploads and proofs of possession are computed
 * outside the control thread. The threads are plain pthreads and touch nothing
 * but the slab and their job.
 */
#ifndef CONTROL_TRANSFER_HASHER_H
#define CONTROL_TRANSFER_HASHER_H

#include <event2/event.h>
#include <sched.h>

struct hasher;

/* Part of what is hashed; in at most one queue at a time. */
struct hash_job {
	void (*run)(struct hash_job *job);  /* in a hash thread */
	void (*done)(struct hash_job *job); /* then, in the control thread */
	struct hash_job *next;
};

/* affinity: CPUs the threads may use. NULL with errno set on failure. */
struct hasher *hasher_start(struct event_base *base, unsigned int threads,
			    const cpu_set_t *affinity);
void hasher_submit(struct hasher *h, struct hash_job *job);
/* Waits for the jobs under way; those still queued are abandoned. */
void hasher_stop(struct hasher *h);

#endif
