/* SPDX-License-Identifier: BSD-3-Clause
 * Inside the router: hosts, and the neighbours through which they are reached.
 * A host is waiting for its neighbour, answered READY, or answered with a
 * reason why not; the last is forgotten after a while, so that the next need
 * asks again. What is in the next-hop table stays there until something better
 * is known.
 */
#ifndef CONTROL_NET_ROUTE_PART_H
#define CONTROL_NET_ROUTE_PART_H

#include <sys/queue.h>

#include "control/net/netlink.h"
#include "control/net/route.h"

#define ROUTE_NEGATIVE_MS 2000 /* how long a bad answer stands */

enum condition { CONDITION_NEW, CONDITION_ASKING, CONDITION_READY, CONDITION_FAILED };

struct neighbour {
	struct addr addr; /* first: the key of the tree */
	enum condition condition;
	struct rte_ether_addr mac;
	uint32_t generation; /* of the router, when it was last read from the kernel */
	uint64_t since;	     /* of ASKING and FAILED */
	uint64_t told;	     /* when the kernel was last told that we use it */
	TAILQ_HEAD(, host) hosts;
	TAILQ_ENTRY(neighbour) asking;
};

struct host {
	struct addr addr;      /* first: the key of the tree; no port */
	struct neighbour *via; /* NULL: no route */
	uint16_t mtu;
	bool waiting;	/* somebody asked and was not yet answered */
	bool done;	/* on the list of those to be answered */
	bool published; /* `shown` is in the table */
	bool looked_at; /* its first mark of use, which its being asked for made, is taken */
	bool kept;	/* it was used again after that: in `by_use`, else in `fresh` */
	struct nexthop shown;
	uint64_t used;	  /* when it last was, as far as we saw */
	uint64_t expires; /* 0: not on the list of negative answers */
	TAILQ_ENTRY(host) of_neighbour;
	TAILQ_ENTRY(host) by_use; /* in `by_use` or `fresh`; first: used last */
	TAILQ_ENTRY(host) visit;  /* first: next to be looked at */
	TAILQ_ENTRY(host) negative;
	TAILQ_ENTRY(host) answer;
};

TAILQ_HEAD(host_list, host);

struct router {
	struct nexthop_table *table;
	unsigned int ifindex;
	struct addr_pair from; /* the relay's own: rules may be about them */
	uint32_t link_mtu;
	route_resolved resolved;
	void *ctx;
	struct netlink *netlink;
	struct event *news, *tick, *resync;
	void *hosts, *neighbours; /* trees: strangers choose the keys */
	struct host_list by_use, fresh, visit, negative, answer;
	TAILQ_HEAD(, neighbour) asking;
	uint32_t host_count;
	uint32_t waiting;
	uint32_t generation; /* rises when news was lost */
	uint32_t stale;	     /* hosts at the head of `visit` whose route may have changed */
	bool changed;	     /* since `stale` was set */
	bool answering;
};

/* Monotonic milliseconds. */
uint64_t route_clock(void);

/* The host of this address, NULL if there is none; a new one, NULL without memory. */
struct host *host_find(struct router *r, const struct addr *addr);
struct host *host_add(struct router *r, const struct addr *addr);
/* Nobody may be waiting for it. */
void host_drop(struct router *r, struct host *h);
/* Drops one that is not in use: of those that were asked for once, if there are any, so
 * that who names many drives out no other. 0, or -EBUSY: all are waited for. */
int host_evict(struct router *r);
/* Asks the table whether workers used the host since this was last asked; the first time
 * that they did does not count, as who asks for a host uses it once. */
bool host_stamp(struct router *r, struct host *h);
/* Publishes; whoever waits is called back by answers_give(). */
void host_answer(struct router *r, struct host *h, enum nexthop_state state);
void answers_give(struct router *r);
/* Makes `via` the host's neighbour, known or not yet. 0 or -ENOMEM. */
int host_attach(struct router *r, struct host *h, const struct addr *via);
void host_detach(struct router *r, struct host *h);

struct neighbour *neighbour_find(struct router *r, const struct addr *addr);
/* Learns its state from the kernel. */
void neighbour_read(struct router *r, struct neighbour *n);
/* There was news of it. What the kernel forgot for want of use, as it sees it,
 * is forgotten here too unless workers use it: n may be gone after this. */
void neighbour_follow(struct router *r, struct neighbour *n);
/* Has the kernel probe it, and waits for news. */
void neighbour_ask(struct router *r, struct neighbour *n);
/* Tells the kernel that it is in use. */
void neighbour_tell(struct router *r, struct neighbour *n);
/* It does not answer. */
void neighbour_fail(struct router *r, struct neighbour *n);

#endif
