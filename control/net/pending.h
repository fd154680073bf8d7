/* SPDX-License-Identifier: BSD-3-Clause
 * Outgoing payloads that wait for their next hop to be known. Bounded: by
 * host and in all.
 */
#ifndef CONTROL_NET_PENDING_H
#define CONTROL_NET_PENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/addr.h"

struct control;
struct rte_mbuf;
struct pending_host;

struct pending {
	struct pending_host *hosts;
	uint32_t frames; /* over all hosts */
};

/* Asks the router and keeps the payload until it answers. Owns m. */
void pending_add(struct control *ctl, struct rte_mbuf *m);
/* Does anything wait for this host's next hop? For 3 s at most: the router then answers. */
bool pending_has(struct control *ctl, const struct addr *host);
/* route_resolved: hands what waited for the host back to its workers. */
void pending_release(void *ctl, const struct addr *host);
void pending_free(struct control *ctl);

#endif
