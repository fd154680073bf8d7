/* SPDX-License-Identifier: BSD-3-Clause
 * A closed window of requests on one socket: as many as the window holds are
 * under way, and each answer makes room for the next request.
 */
#ifndef BENCH_WINDOW_H
#define BENCH_WINDOW_H

#include "bench/workload.h"

#define WINDOW_MAX 4096

struct window_options {
	uint32_t size;	  /* requests under way, 1..WINDOW_MAX */
	uint64_t warmup;  /* microseconds that do not count */
	uint64_t measure; /* microseconds that do */
	int pid;	  /* of the server, whose CPU time is read; 0: none */
};

struct window_result {
	uint64_t requests; /* answered in full, and rightly */
	uint64_t lost;	   /* no answer within 0.2 s; asked anew under another number */
	uint64_t strays;   /* frames that belong to no request under way */
	double seconds;
	double server_cpu; /* seconds */
	size_t request_bytes;
};

/* 0; -EPROTO after a wrong answer; -ETIMEDOUT if none came at all; or another
 * -errno of the socket or of /proc. */
int window_run(struct conversation *s, const struct workload *w, const struct window_options *o,
	       struct window_result *r);

#endif
