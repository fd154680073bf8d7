/* SPDX-License-Identifier: BSD-3-Clause
 * The kernel is the authority on where a packet goes: routes and neighbours
 * are asked for over rtnetlink (libmnl) when a worker first needs a host, kept
 * in the next-hop table, and followed when the kernel changes its mind.
 */
#ifndef CONTROL_NET_ROUTE_H
#define CONTROL_NET_ROUTE_H

#include <event2/event.h>

#include "dataplane/nexthop.h"

#define ROUTE_HOSTS 65536  /* at once: the next-hop table needs room for them */
#define ROUTE_WAITING 1024 /* being resolved at once */

struct router;

/* A host's answer is in the table (whatever its state), unless memory ran out. */
typedef void (*route_resolved)(void *ctx, const struct addr *host);

/* ifindex: the interface our port is; routes through others are NO_ROUTE. from: this
 * host's addresses that our packets come from, for `ip rule from`, as far as the kernel
 * has them. On failure NULL with errno set. The table keeps its entries when the router goes. */
struct router *router_create(struct event_base *base, struct nexthop_table *table,
			     unsigned int ifindex, const struct addr_pair *from,
			     route_resolved resolved, void *ctx);
/* NULL is allowed. */
void router_destroy(struct router *r);

/* Asks the kernel; `resolved` is called, now or later (within 3 s), once for
 * each host however often it was asked for meanwhile. `resolved` may ask for
 * more hosts. Returns 0; -EBUSY: ROUTE_WAITING are being resolved; -ENOMEM. */
int router_resolve(struct router *r, const struct addr *host);
/* Asks the kernel, now: is there a way to one host by our port? */
bool router_reaches(struct router *r, const struct addr *host);

#endif
