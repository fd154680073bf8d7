/* SPDX-License-Identifier: BSD-3-Clause
 * Requests at a rate of their own, whatever becomes of them, and an eye on each answer.
 */
#ifndef BENCH_WORKER_OPENLOOP_H
#define BENCH_WORKER_OPENLOOP_H

#include "bench/worker/answers.h"

struct openloop {
	const struct scene *scene;
	const struct ports *ports;
	bool swapped; /* a reflector answers, not the worker */
	double rate;  /* requests a second */
	double seconds;
};

struct openloop_result {
	uint64_t offered;  /* requests that were due */
	uint64_t sent;	   /* of these, such that the worker's queue had room for */
	uint64_t answered; /* in full */
	uint64_t frames;   /* that came back */
	uint64_t wrong;	   /* of these */
	uint64_t late; /* requests sent more than LATE_US after they were due: the generator's fault
			*/
	const char *fault; /* of the first one that was wrong */
	double took;	   /* seconds */
	/* From when it was due until its last frame, microseconds. */
	double p50, p99, p999, most;
};

#define OPENLOOP_LATE_US 20

/* Fills the rings, and empties them, on this core, while a worker turns on another.
 * 0, or -ENOMEM. */
int openloop_run(const struct openloop *o, struct openloop_result *r);

#endif
