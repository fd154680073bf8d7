/* SPDX-License-Identifier: BSD-3-Clause
 * Ports without an interface of the kernel have nobody to ask for next hops: what
 * answers a frame goes back to the Ethernet address that brought it, and what
 * answers none goes to [relay] gateway_mac, or to where the last frame of that
 * very host came from, which this table remembers. Only frames whose sender has
 * proved its address are learned from, so that a neighbour cannot divert others'.
 */
#ifndef DATAPLANE_MACS_H
#define DATAPLANE_MACS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>

#include "wire/addr.h"

#define MAC_SETS 8192
#define MAC_WAYS 8

/* A slot is an Ethernet address with 16 bits of the host's hash in front, one
 * load or store; 0: empty. Workers learn and look up without locks: what a race
 * loses is learned again from the next frame. */
struct mac_table {
	uint64_t seed;
	_Atomic uint64_t slot[MAC_SETS][MAC_WAYS];
};

/* Only the address' type and ip count. */
void mac_learn(struct mac_table *t, const struct addr *host, const struct rte_ether_addr *mac);
/* False: no frame of it came, or another host's took its place. */
bool mac_find(const struct mac_table *t, const struct addr *host, struct rte_ether_addr *out);

#endif
