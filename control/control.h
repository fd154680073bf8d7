/* SPDX-License-Identifier: BSD-3-Clause
 * The control thread: one libevent loop that owns everything which is not a
 * hit: requests that missed, uploads, queries between relays, leases, next
 * hops, telemetry. The rooms below have the work, this puts them together.
 */
#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H

#include "control/admin/admin.h"
#include "control/core.h"
#include "control/net/net.h"
#include "control/transfer/transfer.h"

/* What of a configuration the workers see, into a zeroed relay. */
void control_relay(const struct config *c, struct relay *r);
/* relay->slab, index, port and the workers' count are ready. 0 or -errno, with
 * one line of cause in `why`. */
int control_init(struct control *ctl, const struct config *c, struct relay *relay,
		 const cpu_set_t *affinity, char *why, size_t why_size);
/* Workers have stopped. */
void control_fini(struct control *ctl);
/* Runs until control_stop(). */
void control_run(struct control *ctl);
/* One turn of its loop. may_wait: blocks if there is nothing to do. True if
 * workers had something to say. */
bool control_turn(struct control *ctl, bool may_wait);

/* Opens the store's engine, if the configuration has one, as the user that the relay runs as.
 * 0, or -errno with a line in `why`. */
int control_attach(struct control *ctl, char *why, size_t why_size);

#endif
