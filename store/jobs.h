/* SPDX-License-Identifier: BSD-3-Clause
 * Threads beside the control thread, for what takes long or blocks: hashing, an engine's
 * reads and writes. Plain pthreads, which touch nothing but their job and what it names.
 */
#ifndef STORE_JOBS_H
#define STORE_JOBS_H

#include <sched.h>

struct jobs;

/* In at most one queue at a time. */
struct job {
	void (*run)(struct job *job);  /* in one of the threads */
	void (*done)(struct job *job); /* then, in jobs_collect() */
	struct job *next;
};

/* affinity: CPUs the threads may use. NULL with errno set on failure. */
struct jobs *jobs_start(unsigned int threads, const cpu_set_t *affinity);
void jobs_submit(struct jobs *j, struct job *job);
/* Readable when there is something to collect. */
int jobs_fd(const struct jobs *j);
/* Calls done() of the jobs that were run. */
void jobs_collect(struct jobs *j);
/* Waits for the jobs under way; those still queued, or not collected, are abandoned. */
void jobs_stop(struct jobs *j);

#endif
