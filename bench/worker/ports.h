/* SPDX-License-Identifier: BSD-3-Clause
 * Software ports for one worker, or for two, in the EAL's hands.
 */
#ifndef BENCH_WORKER_PORTS_H
#define BENCH_WORKER_PORTS_H

#include <stdint.h>

#include <rte_mempool.h>
#include <rte_ring.h>

#include "bench/worker/capture.h"

#define PORTS_WORKERS 2u

struct ports {
	unsigned int workers;			   /* whose queues are those of their numbers */
	uint16_t rx, tx;			   /* ethdevs; rings: the same */
	struct rte_mempool *arrive[PORTS_WORKERS]; /* of what arrives: room for CAPTURE_LONGEST */
	struct rte_mempool *pool[PORTS_WORKERS];   /* of what the worker writes */
	struct rte_ring *in, *out; /* rings: what arrives, what was sent; else NULL */
};

#define PORTS_RING 4096u /* frames */

/* Bytes of EAL memory that ports of a worker take, with so many requests. */
uint64_t ports_memory(uint32_t requests);
/* net_pcap, which repeats the file for ever, to net_null, which takes all; of each as many as
 * there are files, at most PORTS_WORKERS, and of each of these a worker has a queue. 0, or
 * -errno after a line on stderr. */
int ports_pcap(struct ports *p, const char *const path[], const uint32_t requests[],
	       unsigned int workers);
/* One net_ring port. */
int ports_rings(struct ports *p);
/* Frees what lies in its rings, in both directions. No worker turns. */
void ports_rings_drain(const struct ports *p);

#endif
