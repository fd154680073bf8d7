/* SPDX-License-Identifier: BSD-3-Clause
 * Outgoing payloads whose next hop a worker does not know. They wait for their neighbour,
 * in a queue that is bounded, by neighbour and in all.
 */
#ifndef CONTROL_NET_PENDING_H
#define CONTROL_NET_PENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/addr.h"

struct control;
struct rte_mbuf;
struct pending_queue;

struct pending {
	struct pending_queue *queues;
	uint32_t frames; /* in all of them */
};

/* Asks the router, and does what it says: owns m. */
void pending_add(struct control *ctl, struct rte_mbuf *m);
/* Does a frame to this host wait for its neighbour? For 3 s at most. */
bool pending_has(struct control *ctl, const struct addr *host);
/* route_resolved: hands what waited for the neighbour back to its workers. */
void pending_release(void *ctl, const struct addr *neighbour);
void pending_free(struct control *ctl);

#endif
