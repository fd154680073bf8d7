/* SPDX-License-Identifier: BSD-3-Clause
 * The workers turn for a while, as fast as they can.
 */
#ifndef BENCH_WORKER_RUN_H
#define BENCH_WORKER_RUN_H

#include <jansson.h>

#include "bench/worker/scene.h"

struct run_spec {
	double seconds;
	unsigned int workers;
	bool control; /* turns beside them, on the main lcore */
	double churn; /* with control: blobs that are stored a second, and as many removed */
};

static inline unsigned int worker_lcore(unsigned int worker)
{
	return worker + 1;
}

/* Reads "run SECONDS [WHAT]", see worker_bench's usage(). */
bool run_parse(const char *line, unsigned int workers, struct run_spec *spec);
/* What was done, or an error. */
json_t *run(struct scene *s, const struct run_spec *spec);

/* What drops have grown, by name. */
json_t *drops_json(const struct stats *before, const struct stats *after);

#endif
