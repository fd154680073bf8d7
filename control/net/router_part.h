/* SPDX-License-Identifier: BSD-3-Clause
 * Inside the router, each file the one below it:
 *
 *   router.c     the kernel's news and lists, timers; what the rest of control calls
 *   mirror.c     prefixes: what the rules find for each, and putting it into the FIB
 *   routes.c     the routes that the kernel has for a prefix
 *   rules.c      policy rules: the tables that our packets are looked up in, in order
 *   ways.c       what routes lead to: one way, one hop, however many routes have it
 *   neighbour.c  gateways and hosts on the link, and what the kernel knows of them
 */
#ifndef CONTROL_NET_ROUTER_PART_H
#define CONTROL_NET_ROUTER_PART_H

#include <sys/queue.h>

#include "control/base/table.h"
#include "control/net/netlink.h"
#include "control/net/router.h"

#define ROUTE_TICK_MS 200
#define ROUTE_NEGATIVE_MS 2000 /* how long a bad answer stands */

/* ---- neighbour.c ---- */

enum condition { CONDITION_UNKNOWN, CONDITION_ASKING, CONDITION_READY, CONDITION_FAILED };

struct neighbour {
	struct addr addr; /* no port */
	uint32_t slot;	  /* in the next-hop table */
	enum condition condition;
	struct nexthop shown; /* there */
	uint32_t pins;	      /* ways that lead by it: it is not given up */
	bool listed;	      /* is found as a host on the link */
	bool waiting;	      /* frames do, until it is ready or failed */
	bool done;	      /* on the list of those to be answered */
	bool looked_at;	      /* its first mark of use, which its being asked for made, is taken */
	bool kept;	      /* it was used again after that: in `by_use`, else in `fresh` */
	uint64_t since;	      /* of the condition */
	uint64_t told;	      /* when the kernel was last told that we use it */
	uint64_t used;	      /* when it last was, as far as we saw */
	TAILQ_ENTRY(neighbour) visit;  /* first: next to be looked at */
	TAILQ_ENTRY(neighbour) state;  /* in `asking` or `failed`, by condition */
	TAILQ_ENTRY(neighbour) by_use; /* in `by_use` or `fresh`; first: used last */
	TAILQ_ENTRY(neighbour) answer;
	UT_hash_handle hh;
};

TAILQ_HEAD(neighbour_list, neighbour);

struct neighbours {
	struct neighbour *by_addr;
	struct neighbour **by_slot;
	struct neighbour_list visit, asking, failed, by_use, fresh, answer;
	uint32_t n;
	uint32_t waiting;
	uint32_t recheck; /* of them at the head of `visit`: news of them may have been lost */
	bool answering;
};

int neighbours_open(struct router *r);
void neighbours_close(struct router *r);
/* The neighbour of this address, known or not, as a gateway: until it is released. NULL
 * without memory, or with all of ROUTE_NEIGHBOURS in use. */
struct neighbour *neighbour_hold(struct router *r, const struct addr *addr);
void neighbour_release(struct router *r, struct neighbour *n);
/* Likewise, as a host on the link: until it is long unused, or others need its place. */
struct neighbour *neighbour_on_link(struct router *r, const struct addr *host);
struct neighbour *neighbour_find(struct router *r, const struct addr *addr);
/* Has the kernel probe it, unless it was asked already, and waits for news. */
void neighbour_ask(struct router *r, struct neighbour *n);
/* There was news of it. What the kernel forgot for want of use, as it sees it, is forgotten
 * here too unless workers use it: n may be gone after this. */
void neighbour_follow(struct router *r, struct neighbour *n);
/* Time has passed. */
void neighbours_tick(struct router *r);
/* Looks again at some of those that news may have been lost of; more are left: true. */
bool neighbours_recheck(struct router *r);
/* Calls back whoever waits for what is known now. */
void answers_give(struct router *r);

/* ---- ways.c ---- */

struct way_path {
	struct neighbour *via; /* NULL: hosts are on the link */
	uint32_t weight;
};

struct paths {
	unsigned int n;
	struct way_path path[];
};

TAILQ_HEAD(node_list, prefix_node);
struct way_key;

struct way {
	uint32_t refs;
	uint32_t hop;	     /* NEXTHOP_NONE: leads nowhere, and never will */
	bool is_throw;	     /* the next rule decides */
	bool refuses;	     /* blackhole, unreachable, prohibit */
	struct paths *paths; /* as published; NULL: none */
	struct paths *next;  /* by an object that changed: to be published when it is settled */
	bool has_next;
	bool waits;		 /* on the list of those that are to settle */
	struct node_list parked; /* prefixes that will lead here when it is settled */
	TAILQ_ENTRY(way) settle;
	struct way_key *key;
	UT_hash_handle hh;
};

struct object {
	uint32_t id;
	uint32_t generation;
	struct netlink_nexthop nexthop;
	UT_hash_handle hh;
};

struct ways {
	struct way *nowhere;
	struct way *by_key;
	struct object *objects;
	TAILQ_HEAD(, way) settle;
	bool news;	   /* a gateway's state is known, or is another */
	bool objects_news; /* objects have come, changed or gone */
};

int ways_open(struct router *r);
void ways_close(struct router *r);
/* What this route leads to; way_drop() later. NULL without memory. */
struct way *way_take(struct router *r, const struct netlink_route *route);
/* Another one for who has it already. */
struct way *way_keep(struct way *w);
void way_drop(struct router *r, struct way *w);
/* Does it lead anywhere, as far as is known? */
bool way_usable(const struct way *w);
/* Are all paths of one among the other's? */
bool way_has(const struct way *all, const struct way *some);
/* Is known whether it does? */
bool way_settled(const struct way *w);
/* Has its gateways asked; `way_settles` will be told. */
void way_settle(struct router *r, struct way *w);
/* After news of gateways: what has settled is told. */
void ways_check(struct router *r);
/* Does any way go by this interface? */
bool ways_use(const struct router *r, unsigned int ifindex);
/* A next hop that routes share was listed, or there is news of it. */
void object_take(struct router *r, const struct netlink_nexthop *n);
/* Brings the ways by them up to date, after some of these. */
void objects_apply(struct router *r);
/* A list of them has ended: those that were not in it are gone. */
void objects_sweep(struct router *r);
/* mirror.c: it is settled, its parked prefixes may lead there. */
void way_settles(struct router *r, struct way *w);

/* ---- rules.c ---- */

#define CHAIN_STEPS 64
#define CHAIN_LEFT_OUT 8 /* that are named; more are only counted */

struct step {
	uint32_t table;
	bool refuse;	  /* there is no way; `table` does not count */
	int suppress;	  /* results of up to so many bits do not count; -1: all do */
	struct prefix to; /* it is for these hosts */
};

/* The tables that a packet of ours is looked up in, in order, by IP version. */
struct chain {
	unsigned int n;
	struct step step[CHAIN_STEPS];
	uint32_t skip_to; /* priority, while rules are added */
	unsigned int left_out;
	struct {
		uint32_t priority;
		const char *selector;
	} out[CHAIN_LEFT_OUT];
};

/* Rules come in the order of their priorities. from: the address of our packets, of
 * ADDR_NONE if the kernel does not know it. */
void chain_add(struct chain *c, const struct netlink_rule *rule, const struct addr *from);
bool chain_wants(const struct chain *c, uint32_t table);
/* Says which rules were left out, if that is news. */
void chain_log(const struct chain *old, const struct chain *c, uint8_t type);

/* ---- mirror.c ---- */

struct route {
	struct route *next;
	struct way *way;
	uint32_t table, metric;
	uint32_t generation; /* of the list that it was last seen in, or beside */
	bool gone;	     /* remembered until the list ends, which may still name it */
};

struct prefix_node {
	struct prefix key;
	uint8_t busy;	      /* enum node_busy: in which list `work` is */
	bool left_out;	      /* the FIB has no room for it */
	uint32_t steps;	      /* of chains, that are for just these hosts */
	struct route *routes; /* by table, metric and order of the kernel's */
	struct way *shown;    /* in the FIB; NULL: it is not there */
	struct way *wanted;   /* where it will lead when that is settled; else NULL */
	TAILQ_ENTRY(prefix_node) work;
	UT_hash_handle hh;
};

/* Routes of a table, by length of their prefixes. */
struct table {
	uint32_t id;
	uint32_t throws;
	uint32_t of_length[2][129]; /* IPv4, IPv6 */
	UT_hash_handle hh;
};

struct mirror {
	struct prefix_node *nodes;
	struct table *tables;
	struct node_list dirty;
	uint32_t of_length[2][129]; /* prefixes in the FIB */
	struct chain chain[2];
	struct chain next[2];	    /* while rules are listed */
	struct prefix_node *cursor; /* of a pass over all nodes; NULL: none */
	bool pass_again;
	uint32_t generation;
	bool listing; /* routes are: what goes is remembered */
	uint32_t routes;
	uint32_t left_out; /* prefixes that the FIB has no room for */
};

/* In arrays of two: IPv4, IPv6. */
static inline unsigned int route_version(uint8_t type)
{
	return type == ADDR_IP6;
}

void mirror_open(struct router *r);
void mirror_close(struct router *r);
/* A list of rules begins, or of routes. */
void mirror_list_begin(struct router *r);
/* All lists have ended: what was not in them is gone, and the new rules hold. */
void mirror_list_end(struct router *r);
/* A route was listed, or there is news of it. False: what it means for other routes cannot
 * be told from the message, all are to be listed. */
bool mirror_route(struct router *r, const struct netlink_route *route);
/* Puts some of what has changed into the FIB. True: there is more to do. */
bool mirror_pump(struct router *r);

/* ---- routes.c ---- */

/* NULL: it has no route, and never had. */
struct table *table_find(const struct router *r, uint32_t id);
void tables_free(struct router *r);
/* The prefix's route to this way was listed, or there is news of it. False: without memory,
 * or it is not known which of its routes is meant. */
bool routes_take(struct router *r, struct prefix_node *n, const struct netlink_route *m,
		 struct way *w);
/* What was not in the last list is gone, and what was remembered is not needed now. */
void routes_sweep(struct router *r, struct prefix_node *n);
void routes_free(struct router *r, struct prefix_node *n);

/* ---- router.c ---- */

struct link_state {
	unsigned int ifindex;
	bool up;
	UT_hash_handle hh;
};

enum sync_stage {
	SYNC_IDLE,
	SYNC_RULES4,
	SYNC_RULES6,
	SYNC_NEXTHOPS,
	SYNC_ROUTES4,
	SYNC_ROUTES6,
	SYNC_END,
};

struct router {
	struct router_config config;
	struct netlink *netlink;
	struct event *news, *lists, *tick, *pump, *resync;
	enum sync_stage stage;
	bool again;	   /* list all once more when this has ended */
	unsigned int torn; /* times that this list changed while it was read */
	int sync_error;	   /* of the last reading of all that failed */
	uint64_t sync_began, sync_took;
	struct link_state *links;
	struct neighbours neighbours;
	struct ways ways;
	struct mirror mirror;
	struct budget asks; /* by source: neighbours that the kernel is asked for */
	struct router_stats stats;
};

/* Monotonic milliseconds. */
uint64_t route_clock(void);
/* There is something for mirror_pump() to do. */
void pump_start(struct router *r);
/* Lists all that the kernel has, soon. */
void resync_start(struct router *r);

#endif
