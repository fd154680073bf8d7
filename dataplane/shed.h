/* SPDX-License-Identifier: BSD-3-Clause
 * Shedding load before it costs: flows whose cookie a worker has verified are
 * known and pass, with the HELLOs that renew it; everything else is a
 * stranger's and has a rate, by source and in total. A port's XDP program
 * decides the same before the worker does, out of the same table of flows.
 */
#ifndef DATAPLANE_SHED_H
#define DATAPLANE_SHED_H

#include <linux/types.h>

#include "dataplane/budget.h"
#include "dataplane/port.h"
#include "wire/drop.h"

struct steer_set;
struct steer_state;

/* Frames a second; 0: no limit. */
struct shed_limits {
	uint32_t source; /* of one source's strangers; a burst may be twice that */
	uint32_t total;	 /* of all, over all workers; a burst may last a tenth of a second */
};

/* ---- known flows: one table a relay, all its workers mark in it ---- */

struct flow_table {
	struct steer_set *sets; /* relaxed atomics: a lost mark is made again */
	struct steer_state *state;
};

/* The table of the port's XDP program, or plain memory if it has none. The
 * limits go to the program, for `workers` queues. 0 or -errno. */
int flow_table_open(struct flow_table *t, const struct port *port, const struct shed_limits *limits,
		    uint64_t epoch);
void flow_table_close(struct flow_table *t);
/* A flow that is not marked in an epoch or the one after it is forgotten. */
void flow_table_epoch(struct flow_table *t, uint64_t epoch);

/* A flow as it was found in the table. */
struct flow {
	__u64 *slot;   /* where it is, or else would be marked */
	uint64_t mark; /* what marks it now */
	bool known;
	bool marked; /* in this epoch */
	bool evicts; /* there it takes the place of another that is known */
};

/* The flow of a frame of `verb` from `peer`: its hash, from which it is found. */
uint64_t flow_hash(const struct flow_table *t, const struct addr *peer, uint8_t verb,
		   uint64_t conn);
struct flow flow_at(const struct flow_table *t, uint64_t hash);
/* What flow_at() will read is on its way. */
void flow_prefetch(const struct flow_table *t, uint64_t hash);
struct flow flow_find(const struct flow_table *t, const struct addr *peer, uint8_t verb,
		      uint64_t conn);
/* The frame's proof was right: its flow is known from now on. True if another one
 * is not any more. */
bool flow_mark(const struct flow *f);
/* It was wrong. */
void flow_forget(const struct flow *f);
/* Another relay, all of whose QUERY, ANSWER and NOTICE frames are one flow. */
void flow_mark_peer(const struct flow_table *t, const struct addr *peer);

/* ---- strangers: one of these a worker ---- */

struct shed {
	struct budget *source; /* by IPv4 address or IPv6 /64: the relay's */
	struct rate rate;      /* of all of them: this worker's share */
	bucket total;
};

/* source: made with limits->source. */
void shed_init(struct shed *s, const struct shed_limits *limits, uint16_t workers,
	       struct budget *source);
/* Takes a stranger's tokens; DROP_NONE, DROP_SHED_SOURCE or DROP_SHED_TOTAL. */
enum drop shed_admit(struct shed *s, const struct addr *peer, uint64_t now_us);

/* A budget's key for one source: it may well have a whole IPv6 /64. */
static inline uint64_t shed_source(const struct addr *peer)
{
	uint64_t network;

	memcpy(&network, peer->ip, sizeof(network));
	return network;
}

#endif
