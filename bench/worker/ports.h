/* SPDX-License-Identifier: BSD-3-Clause
 * Software ports for one worker, in the EAL's hands.
 */
#ifndef BENCH_WORKER_PORTS_H
#define BENCH_WORKER_PORTS_H

#include <stdint.h>

#include <rte_mempool.h>
#include <rte_ring.h>

#include "bench/worker/capture.h"

struct ports {
	uint16_t rx, tx;	    /* ethdevs; rings: the same */
	struct rte_mempool *arrive; /* buffers of what arrives: room for CAPTURE_LONGEST */
	struct rte_mempool *pool;   /* of what the worker writes */
	struct rte_ring *in, *out;  /* rings: what arrives, what was sent; else NULL */
};

#define PORTS_RING 4096u /* frames */

/* Bytes of EAL memory that ports take, with so many requests. */
uint64_t ports_memory(uint32_t requests);
/* net_pcap, which repeats the file for ever, to net_null, which takes all. 0, or -errno after
 * a line on stderr. */
int ports_pcap(struct ports *p, const char *path, uint32_t requests);
/* One net_ring port. */
int ports_rings(struct ports *p);

#endif
