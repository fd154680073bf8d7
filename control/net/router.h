/* SPDX-License-Identifier: BSD-3-Clause
 * The kernel is the authority on where a packet goes. Its rules and routes are mirrored
 * over rtnetlink (libmnl) into the next-hop table; its neighbours are asked for when a
 * worker first needs one, and followed.
 */
#ifndef CONTROL_NET_ROUTER_H
#define CONTROL_NET_ROUTER_H

#include <event2/event.h>

#include "dataplane/budget.h"
#include "dataplane/nexthop.h"

#define ROUTE_NEIGHBOURS 65536 /* at once */
/* What the next-hop table needs for them: some wait for a grace period. */
#define ROUTE_SLOTS (ROUTE_NEIGHBOURS + ROUTE_NEIGHBOURS / 4)
#define ROUTE_BLOCKS (1u << 21) /* of the FIB, at most: 2 GiB of address space */
/* Neighbours being asked for at once. The kernel has room for 1024, of all its users, where
 * nobody raised that (gc_thresh3). */
#define ROUTE_WAITING 256
/* Neighbours that the frames of one source (a /24 or /48) may have asked for. */
#define ROUTE_ASKS_PER_SECOND 16
#define ROUTE_ASKS_BURST 64

struct router;

/* The neighbour is ready, or has failed. */
typedef void (*route_resolved)(void *ctx, const struct addr *neighbour);

struct router_config {
	struct event_base *base;
	struct nexthop_table *table;
	unsigned int ifindex; /* of our port: routes through others lead nowhere */
	uint8_t port;	      /* its number with DPDK */
	bool ip4, ip6;	      /* versions that the relay speaks */
	uint32_t neighbours;  /* at once, up to ROUTE_NEIGHBOURS; 0: so many */
	/* The addresses and UDP ports of our packets, for rules about them; ADDR_NONE where
	 * the kernel does not have the address. */
	struct addr_pair from;
	route_resolved resolved;
	void *ctx;
};

struct router_stats {
	uint64_t syncs; /* times that all was read */
	uint64_t asks;	/* neighbours that the kernel was asked to probe */
};

/* Reads all of the kernel's routes before it returns. On failure NULL with errno set. When
 * the router goes, workers must have stopped: what is in the table is of no use then. */
struct router *router_create(const struct router_config *config);
/* NULL is allowed. */
void router_destroy(struct router *r);

/* What is a frame to this host to do? 0: go, its way is known (now); -EINPROGRESS: wait for
 * this neighbour, `resolved` is called within 3 s; -ENETUNREACH: no route; -EHOSTUNREACH:
 * the neighbour does not answer; -EDQUOT: its source has had too many asked for; -EBUSY:
 * too many are being asked for, or known. source: who made us send it. */
int router_resolve(struct router *r, const struct addr *host, const struct addr *source,
		   struct addr *neighbour);
/* Does a frame to this host wait for its neighbour? Then which. */
bool router_awaits(struct router *r, const struct addr *host, struct addr *neighbour);

struct router_size {
	uint32_t routes;     /* mirrored */
	uint32_t left_out;   /* prefixes without room in the FIB */
	uint32_t rules_out;  /* rules that cannot be mirrored */
	uint32_t neighbours; /* known, or asked for */
	uint32_t blocks;     /* of the FIB, 1 KiB each */
	bool busy;	     /* it is still being brought up to date */
};
struct router_size router_size(const struct router *r);
const struct router_stats *router_stats(const struct router *r);

#endif
