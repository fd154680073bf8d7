/* SPDX-License-Identifier: BSD-3-Clause
 * What the XDP program and the daemon both know: its names and map layouts.
 */
#ifndef DATAPLANE_XDP_STEER_H
#define DATAPLANE_XDP_STEER_H

#include <linux/types.h>

/* The kernel reports these; a program with the first that has a map with the
 * second is ours. */
#define STEER_PROGRAM "steer"
#define STEER_PORTS "relay_ports"
#define STEER_STATS "steer_stats"

#define STEER_QUEUES 64
#define STEER_PORTS_MAX 64

/* Key of relay_ports. Compared as bytes: unused ones are zero. */
struct steer_key {
	__u8 ip[16]; /* IPv4 in the first four */
	__be16 port;
	__u8 family; /* 4 or 6 */
	__u8 zero;
};
_Static_assert(sizeof(struct steer_key) == 20, "no padding: the kernel hashes every byte");

/* Indices into steer_stats, a per-CPU array of __u64. */
enum steer_counter {
	STEER_REDIRECTED,
	STEER_PASSED,
	STEER_COUNTERS,
};

#endif
