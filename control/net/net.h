/* SPDX-License-Identifier: BSD-3-Clause
 * net/: what the kernel says of the network, and what follows from it. netlink asks it
 * and reads its news; route and neighbour keep the next-hop table that workers look
 * into; pending holds frames whose next hop is not known yet; watch looks after the
 * interface that the port is on, traffic whether anything comes in.
 */
#ifndef CONTROL_NET_NET_H
#define CONTROL_NET_NET_H

#include "control/net/pending.h"
#include "control/net/router.h"
#include "control/net/traffic.h"
#include "control/net/watch.h"

#endif
