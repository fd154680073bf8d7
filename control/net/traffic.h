/* SPDX-License-Identifier: BSD-3-Clause
 * What the workers' counters say about the traffic as a whole.
 */
#ifndef CONTROL_NET_TRAFFIC_H
#define CONTROL_NET_TRAFFIC_H

#include "control/base/health.h"

struct control;

/* Counts, and the monotonic time at which each was last seen to grow (0: never). */
struct traffic {
	uint64_t packets;
	uint64_t packets_us;
	uint64_t unfinished; /* frames with an unfinished checksum */
	uint64_t unfinished_us;
	struct health_item checksums;
};

/* Once a second. */
void traffic_review(struct control *ctl);

#endif
