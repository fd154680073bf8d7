/* SPDX-License-Identifier: BSD-3-Clause
 * Next hops: which MAC address a host is reached through, as the kernel's
 * routes and neighbours say. Control (control/net/route.h) is the single writer;
 * workers look up without locks, inside an RCU section.
 */
#ifndef DATAPLANE_NEXTHOP_H
#define DATAPLANE_NEXTHOP_H

#include <stdbool.h>

#include <rte_ether.h>

#include "store/reclaim.h"
#include "wire/addr.h"

enum nexthop_state {
	NEXTHOP_READY,
	NEXTHOP_NO_ROUTE,     /* the kernel has no route, or not through our port */
	NEXTHOP_NO_NEIGHBOUR, /* the neighbour did not answer; asked again on demand after a while
			       */
};

/* Immutable once published. */
struct nexthop {
	struct rte_ether_addr mac;
	uint8_t state; /* enum nexthop_state */
	uint16_t mtu;  /* of the route */
};

struct nexthop_table;

struct nexthop_table *nexthop_table_create(uint32_t entries, struct reclaim *reclaim);
void nexthop_table_destroy(struct nexthop_table *t);

/* NULL: not known, ask control. Only type and ip of the address count. Marks the
 * host as in use. */
const struct nexthop *nexthop_lookup(const struct nexthop_table *t, const struct addr *host);

/* Control: publishes a copy, replacing what was there. 0, -ENOSPC or -ENOMEM. */
int nexthop_set(struct nexthop_table *t, const struct addr *host, const struct nexthop *nh);
/* Control: forgets a host. */
void nexthop_remove(struct nexthop_table *t, const struct addr *host);
/* Control: was the host looked up since this was last asked? */
bool nexthop_take_used(struct nexthop_table *t, const struct addr *host);
uint32_t nexthop_count(const struct nexthop_table *t);

#endif
