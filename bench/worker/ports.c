/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/worker/ports.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <rte_dev.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "dataplane/port_part.h"

#define ARRIVE_ROOM (RTE_PKTMBUF_HEADROOM + CAPTURE_LONGEST)
#define UNDER_WAY (4 * PORTS_RING) /* buffers in rings, caches and bursts */

#define PAGE 4096u

/* What an object takes, with its header, the mbuf, our private area and what DPDK pads it
 * with; of ordinary pages, whose end none crosses. */
static uint64_t object_size(uint32_t room)
{
	const uint32_t size = (uint32_t)sizeof(struct rte_mempool_objhdr) +
			      (uint32_t)sizeof(struct rte_mbuf) + PORT_PRIVATE_SIZE + room +
			      2 * RTE_CACHE_LINE_SIZE;

	return PAGE / (PAGE / size);
}

uint64_t ports_memory(uint32_t requests)
{
	const uint64_t arrive = (uint64_t)requests + UNDER_WAY;

	/* objects, the pool's ring, net_pcap's ring */
	return arrive * (object_size(ARRIVE_ROOM) + 4 * sizeof(void *)) +
	       UNDER_WAY * object_size(RTE_MBUF_DEFAULT_BUF_SIZE) + (UINT64_C(64) << 20);
}

static int fail(const char *what, int err)
{
	fprintf(stderr, "worker_bench: %s: %s\n", what, strerror(-err));
	return err;
}

static int pools_create(struct ports *p, unsigned int worker, uint32_t requests)
{
	char arrive[RTE_MEMPOOL_NAMESIZE], pool[RTE_MEMPOOL_NAMESIZE];

	snprintf(arrive, sizeof(arrive), "arrive-%u", worker);
	snprintf(pool, sizeof(pool), "pool-%u", worker);
	p->arrive[worker] = rte_pktmbuf_pool_create(arrive, requests + UNDER_WAY, PORT_CACHE,
						    PORT_PRIVATE_SIZE, ARRIVE_ROOM, SOCKET_ID_ANY);
	p->pool[worker] = rte_pktmbuf_pool_create(pool, UNDER_WAY, PORT_CACHE, PORT_PRIVATE_SIZE,
						  RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	return p->arrive[worker] != NULL && p->pool[worker] != NULL ? 0 : fail("buffers", -ENOMEM);
}

static int port_begin(uint16_t id, struct rte_mempool *pool)
{
	const struct rte_eth_conf conf = {0};
	int err = rte_eth_dev_configure(id, 1, 1, &conf);

	if (err == 0)
		err = rte_eth_rx_queue_setup(id, 0, PORT_VDEV_RING, SOCKET_ID_ANY, NULL, pool);
	if (err == 0)
		err = rte_eth_tx_queue_setup(id, 0, PORT_VDEV_RING, SOCKET_ID_ANY, NULL);
	if (err == 0)
		err = rte_eth_dev_start(id);
	return err < 0 ? fail("a port", err) : 0;
}

static int device_add(const char *name, const char *arguments, uint16_t *id)
{
	int err = rte_eal_hotplug_add("vdev", name, arguments);

	if (err == 0)
		err = rte_eth_dev_get_port_by_name(name, id);
	return err < 0 ? fail(name, err) : 0;
}

static int pair_create(struct ports *p, unsigned int worker, const char *path, uint32_t requests,
		       uint16_t *rx, uint16_t *tx)
{
	char arguments[PATH_MAX + 32], pcap[16], null[16];
	int err = pools_create(p, worker, requests);

	snprintf(pcap, sizeof(pcap), "net_pcap%u", worker);
	snprintf(null, sizeof(null), "net_null%u", worker);
	snprintf(arguments, sizeof(arguments), "rx_pcap=%s,infinite_rx=1", path);
	if (err == 0)
		err = device_add(pcap, arguments, rx);
	if (err == 0)
		err = device_add(null, "", tx);
	/* net_pcap wants as many of each; what is not sent there it does not miss */
	if (err == 0)
		err = port_begin(*rx, p->arrive[worker]);
	return err == 0 ? port_begin(*tx, p->arrive[worker]) : err;
}

/* The queues of one net_pcap, or net_null, share cache lines, which two workers would then
 * write. So a further worker's are those of devices of its own, by another number. */
static void queues_stitch(const struct ports *p, uint16_t rx, uint16_t tx, unsigned int worker)
{
	rte_eth_fp_ops[p->rx].rxq.data[worker] = rte_eth_fp_ops[rx].rxq.data[0];
	rte_eth_fp_ops[p->tx].txq.data[worker] = rte_eth_fp_ops[tx].txq.data[0];
}

int ports_pcap(struct ports *p, const char *const path[], const uint32_t requests[],
	       unsigned int workers)
{
	uint16_t rx, tx;
	int err = pair_create(p, 0, path[0], requests[0], &p->rx, &p->tx);

	for (unsigned int i = 1; i < workers && err == 0; i++) {
		err = pair_create(p, i, path[i], requests[i], &rx, &tx);
		if (err == 0)
			queues_stitch(p, rx, tx, i);
	}
	p->workers = workers;
	return err;
}

static struct rte_ring *ring_create(const char *name)
{
	return rte_ring_create(name, PORTS_RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

int ports_rings(struct ports *p)
{
	int id, err = pools_create(p, 0, 0);

	if (err < 0)
		return err;
	p->in = ring_create("arriving");
	p->out = ring_create("leaving");
	if (p->in == NULL || p->out == NULL)
		return fail("rings", -ENOMEM);
	id = rte_eth_from_rings("worker", &p->in, 1, &p->out, 1, SOCKET_ID_ANY);
	if (id < 0)
		return fail("net_ring", -EIO);
	p->rx = p->tx = (uint16_t)id;
	p->workers = 1;
	return port_begin(p->rx, p->arrive[0]);
}

void ports_rings_drain(const struct ports *p)
{
	struct rte_ring *const rings[] = {p->in, p->out};
	void *m;

	for (unsigned int i = 0; i < RTE_DIM(rings); i++)
		while (rte_ring_dequeue(rings[i], &m) == 0)
			rte_pktmbuf_free(m);
}
