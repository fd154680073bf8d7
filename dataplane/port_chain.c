/* SPDX-License-Identifier: BSD-3-Clause
 * Zero-copy: which ports take a frame whose payload lies in a slab, and what that needs.
 */
#include <string.h>

#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "dataplane/port_part.h"
#include "store/flight.h"

_Static_assert(sizeof(struct rte_mbuf_ext_shared_info) <= PORT_PRIVATE_SIZE,
	       "what is known of a chunk in flight lies in its mbuf's private area");

#define CHAIN_MBUFS 4095u /* a worker; with none left, bytes are copied */

/* Those that read a frame with the CPU, wherever it lies, or hand it on as it is: read in
 * DPDK 22.11. Other drivers need what they send to lie in memory that they have mapped
 * (net_af_xdp, net_virtio_user), or ignore all but the first segment. */
static const struct {
	const char *name;
	const char *unless; /* its arguments have this */
	bool unsaid;	    /* it takes chains, but does not advertise it */
} drivers[] = {
	{"net_af_packet", NULL, false}, {"net_memif", "zero-copy=yes", false},
	{"net_null", NULL, true},	{"net_ring", NULL, false},
	{"net_tap", NULL, false},	{"net_vhost", NULL, false},
};

static bool chains_taken(uint16_t id, const char *arguments)
{
	struct rte_eth_dev_info info;

	if (rte_eth_dev_info_get(id, &info) != 0)
		return false;
	for (unsigned int i = 0; i < RTE_DIM(drivers); i++)
		if (strcmp(info.driver_name, drivers[i].name) == 0)
			return (drivers[i].unless == NULL ||
				strstr(arguments, drivers[i].unless) == NULL) &&
			       (drivers[i].unsaid ||
				(info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) != 0);
	return false;
}

int chain_open(struct port *p, uint16_t id, char *why, size_t size)
{
	const int socket = rte_eth_dev_socket_id(id);
	char name[RTE_MEMPOOL_NAMESIZE];

	if (!chains_taken(id, p->vdev))
		return 0;
	p->flights = flights_create(p->workers);
	for (uint16_t i = 0; i < p->workers && p->flights != NULL; i++) {
		snprintf(name, sizeof(name), "chains-%u", i);
		p->chain_pool[i] = rte_pktmbuf_pool_create(name, CHAIN_MBUFS, PORT_CACHE,
							   PORT_PRIVATE_SIZE, 0, socket);
		if (p->chain_pool[i] == NULL)
			return port_fail(why, size, -rte_errno,
					 "no memory for zero-copy of worker %u: %s; reserve more "
					 "hugepages or set [relay] zero_copy = off",
					 i, strerror(rte_errno));
	}
	return p->flights != NULL
		       ? 0
		       : port_fail(why, size, -ENOMEM, "no memory for zero-copy's counters");
}

uint64_t chain_memory(void)
{
	const uint64_t object = sizeof(struct rte_mempool_objhdr) + sizeof(struct rte_mbuf) +
				PORT_PRIVATE_SIZE + RTE_CACHE_LINE_SIZE;
	/* the pool's ring of pointers, its caches and name, two counters */
	const uint64_t rest = UINT64_C(1) << 20;

	return CHAIN_MBUFS * object + rest;
}
