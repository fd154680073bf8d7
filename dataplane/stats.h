/* SPDX-License-Identifier: BSD-3-Clause
 * Counters. Each thread that drops or serves has a struct of its own and
 * writes it with plain adds; control reads them all for `oncewire status`.
 */
#ifndef DATAPLANE_STATS_H
#define DATAPLANE_STATS_H

#include <stdint.h>

#include <rte_common.h>

#include "wire/drop.h"

/* X(field): events since start */
#define STATS(X)                                                                              \
	X(rx_packets)                                                                         \
	X(rx_bytes)                                                                           \
	X(tx_packets)                                                                         \
	X(tx_bytes)                                                                           \
	X(hits)	  /* SENDs and QUERYs whose blob was here, repeats included */                \
	X(offers) /* OFFERs sent, inline ones included */                                     \
	X(inline_offers)                                                                      \
	X(pulls)	 /* PULLs served */                                                   \
	X(data_chunks)	 /* chunks sent in DATA */                                            \
	X(upload_chunks) /* chunks received in DATA */                                        \
	X(receipts)                                                                           \
	X(unfinished_checksums) /* frames that came with one, dropped or not */               \
	X(errors)		/* ERRORs sent */                                             \
	X(flow_evictions) /* known flows that lost their place to another: strangers again */ \
	X(sleeps)	  /* times an idle worker blocked */                                  \
	X(control_wakes)  /* times a worker woke the sleeping control thread */

struct stats {
#define X(field) uint64_t field;
	STATS(X)
#undef X
	uint64_t drops[DROP_COUNT];
} __rte_cache_aligned;

/* X(field): of one domain's members, since start */
#define DOMAIN_STATS(X)                                            \
	X(requests) /* SENDs, repeats included */                  \
	X(hits)	    /* of these, served from this relay's store */ \
	X(refused)  /* SENDs refused: target, rule, quota, rate */

struct domain_stats {
#define X(field) uint64_t field;
	DOMAIN_STATS(X)
#undef X
};

#endif
