/* SPDX-License-Identifier: BSD-3-Clause
 * Next hops: which way a frame to a host leaves. A route (dataplane/fib.h) leads to a hop;
 * a hop to one or several gateways, or to the host itself, which is on the link; and each
 * of these is a neighbour, with a port and an Ethernet address. Control (control/net/) is
 * the single writer, after the kernel's tables; workers look up without locks, inside an
 * RCU section.
 */
#ifndef DATAPLANE_NEXTHOP_H
#define DATAPLANE_NEXTHOP_H

#include <stdbool.h>

#include <rte_ether.h>

#include "dataplane/fib.h"

enum nexthop_state {
	NEXTHOP_UNKNOWN, /* of this neighbour nothing is known: ask control */
	NEXTHOP_READY,
	NEXTHOP_NO_ROUTE,     /* the kernel has no route, or not through our port */
	NEXTHOP_NO_NEIGHBOUR, /* the neighbour did not answer, a short while ago */
};

/* What a lookup finds. */
struct nexthop {
	struct rte_ether_addr mac; /* of READY */
	uint8_t state;		   /* enum nexthop_state */
	uint8_t port;		   /* of READY: the DPDK port */
};

#define NEXTHOP_LOOKUP 32 /* hosts at once */
#define NEXTHOP_NONE 0	  /* the hop that leads nowhere */
#define NEXTHOP_ON_LINK UINT32_MAX

/* One of a hop's ways: a share of all flows. */
struct path {
	uint32_t up_to;	    /* flows whose hash is up to this; the last one's is UINT32_MAX */
	uint32_t neighbour; /* its slot; NEXTHOP_ON_LINK: the host itself */
};

struct nexthop_table;

/* neighbours: slots for them; blocks: of the FIB. */
struct nexthop_table *nexthop_table_create(uint32_t neighbours, uint32_t blocks,
					   struct reclaim *reclaim);
/* Workers must have stopped. NULL is allowed. */
void nexthop_table_destroy(struct nexthop_table *t);

/* The way to each of up to NEXTHOP_LOOKUP hosts. Their ports count only where a hop has
 * several paths: a flow keeps to one of them, as long as that is ready. Marks the
 * neighbours as in use. */
void nexthop_lookup(const struct nexthop_table *t, const struct addr *const hosts[], unsigned int n,
		    struct nexthop out[]);
/* Is there a way by our port, whatever its neighbour does? */
bool nexthop_reaches(const struct nexthop_table *t, const struct addr *host);

/* ---- for control ---- */

struct fib *nexthop_fib(struct nexthop_table *t);

/* A hop's number, with no path as yet; -ENOSPC: all are in use. */
int nexthop_hop_add(struct nexthop_table *t, uint32_t *hop);
/* Publishes the paths of a hop, a copy; none: NO_ROUTE. 0 or -ENOMEM. */
int nexthop_hop_set(struct nexthop_table *t, uint32_t hop, const struct path *paths,
		    unsigned int n);
/* No prefix leads to it any more. */
void nexthop_hop_remove(struct nexthop_table *t, uint32_t hop);
/* The path that a frame to this host takes, if its neighbour is ready: its slot,
 * NEXTHOP_ON_LINK; false: NO_ROUTE. */
bool nexthop_path(const struct nexthop_table *t, const struct addr *host, uint32_t *neighbour);

/* A slot, UNKNOWN as yet; -ENOSPC. */
int nexthop_neighbour_add(struct nexthop_table *t, uint32_t *slot);
void nexthop_neighbour_set(struct nexthop_table *t, uint32_t slot, const struct nexthop *nh);
/* Lets the host be found as one on the link. 0, -ENOSPC or -ENOMEM. */
int nexthop_neighbour_list(struct nexthop_table *t, uint32_t slot, const struct addr *host);
/* No hop leads to it. Its host is no longer found; listed: as it was. */
void nexthop_neighbour_remove(struct nexthop_table *t, uint32_t slot, const struct addr *listed);
/* Was the neighbour looked up since this was last asked? */
bool nexthop_take_used(struct nexthop_table *t, uint32_t slot);

#endif
