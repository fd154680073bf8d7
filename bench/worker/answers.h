/* SPDX-License-Identifier: BSD-3-Clause
 * What the worker sent, looked at as by who asked: headers, checksums, tokens, and every
 * byte of the blob.
 */
#ifndef BENCH_WORKER_ANSWERS_H
#define BENCH_WORKER_ANSWERS_H

#include "bench/worker/scene.h"

struct seen {
	uint32_t request; /* its place in the list */
	uint32_t part;	  /* a bit: which frame of its answer */
};

/* The parts that answer it in full; 0: it is not answered with a blob. */
uint64_t answer_parts(const struct captured *r);
/* False, with a word of why in *fault: no such frame may ever be sent. */
bool answer_check(const struct scene *s, const struct rte_mbuf *m, struct seen *out,
		  const char **fault);
/* The same of what comes back with its addresses, ports and MACs exchanged, and unchanged
 * otherwise. */
bool swapped_check(const struct scene *s, const struct rte_mbuf *m, struct seen *out,
		   const char **fault);

#endif
