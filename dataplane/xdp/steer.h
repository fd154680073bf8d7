/* SPDX-License-Identifier: BSD-3-Clause
 * What the XDP program and the daemon both know: its names, its map layouts,
 * and how strangers are told from known flows and held back.
 */
#ifndef DATAPLANE_XDP_STEER_H
#define DATAPLANE_XDP_STEER_H

#include <linux/types.h>

/* The kernel reports these; a program with the first that has a map with the
 * second is ours. */
#define STEER_PROGRAM "steer"
#define STEER_PORTS "relay_ports"
#define STEER_STATS "steer_stats"
#define STEER_FLOWS "steer_flows"
#define STEER_STATE "steer_state"

#define STEER_QUEUES 64
#define STEER_PORTS_MAX 64

#define steer_inline static inline __attribute__((always_inline))

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
	STEER_SHED_SOURCE, /* a stranger's, over its source's rate */
	STEER_SHED_TOTAL,  /* a stranger's, over the rate for all of them */
	STEER_COUNTERS,
};

/* What the program needs of wire/frame.h, which is not made for it. */
#define STEER_VERSION 1
#define STEER_HEADER 16 /* bytes */
enum steer_verb {
	STEER_HELLO = 1,
	STEER_WELCOME = 2,
	STEER_QUERY = 7,
	STEER_ANSWER = 8,
	STEER_NOTICE = 13,
	STEER_VERB_LAST = 15,
};

/* ---- known flows ---- */

/* The table of flows, in sets: a flow may lie anywhere in its set. A slot is a
 * fingerprint with the tag of its epoch in the low byte; 0 is an empty one.
 * Workers write, the program reads; a slot is one load or store, and what a
 * race loses is only a mark. */
#define STEER_SETS 65536
#define STEER_WAYS 8
#define STEER_TAG 0xffu
struct steer_set {
	__u64 slot[STEER_WAYS];
};

struct steer_flow {
	__u64 ip[2]; /* bytes as in a packet; IPv4 in the first four, the rest zero */
	__u64 conn;  /* host order */
	__u32 port;  /* as in a packet */
};

/* Relays have another conn for each request: all their frames are one flow,
 * which no client's can be. */
#define STEER_PEER_PORT 0x10000u

steer_inline void steer_flow_verb(struct steer_flow *f, __u8 verb)
{
	if (verb != STEER_QUERY && verb != STEER_ANSWER && verb != STEER_NOTICE)
		return;
	f->port |= STEER_PEER_PORT;
	f->conn = 0;
}

steer_inline __u64 steer_mix(__u64 v)
{
	v *= 0xff51afd7ed558ccdull;
	return v ^ v >> 32;
}

/* Secret as long as the seed and conn are: not a MAC, but nobody sees it. */
steer_inline __u64 steer_flow_hash(__u64 seed, const struct steer_flow *f)
{
	__u64 from = steer_mix(steer_mix(seed ^ f->ip[0]) + f->ip[1]);

	return steer_mix(from + 3 * steer_mix(seed ^ f->conn) + f->port);
}

steer_inline __u32 steer_flow_set(__u64 hash)
{
	return hash % STEER_SETS;
}

steer_inline __u64 steer_flow_print(__u64 hash)
{
	return hash & ~(__u64)STEER_TAG;
}

/* ---- rates ---- */

/* A token bucket as one number: the time from which its next token is due. */
struct steer_rate {
	__u64 interval; /* nanoseconds a token; 0: no limit */
	__u64 ahead;	/* how far a burst may run ahead of time, nanoseconds */
};

steer_inline int steer_rate_ready(const struct steer_rate *r, __u64 due, __u64 now)
{
	return r->interval == 0 || due <= now + r->ahead;
}

steer_inline __u64 steer_rate_take(const struct steer_rate *r, __u64 due, __u64 now)
{
	return (due > now ? due : now) + r->interval;
}

/* The one element of steer_state; the daemon writes, the program reads. */
struct steer_state {
	__u64 seed;
	__u64 tag;	  /* of flows marked in this epoch */
	__u64 tag_before; /* in the one before; older ones count no more */
	struct steer_rate source;
	struct steer_rate queue; /* what all sources together have on one queue */
};

#endif
