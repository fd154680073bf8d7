/* SPDX-License-Identifier: BSD-3-Clause
 * Counters. Each thread that drops or serves has a struct of its own and
 * writes it with plain adds; control reads them all for `oncewire status`.
 */
#ifndef DATAPLANE_STATS_H
#define DATAPLANE_STATS_H

#include <stdint.h>

#include <rte_common.h>

#include "wire/drop.h"

/* X(field, help): events since start */
#define STATS(X)                                                                           \
	X(rx_packets, "Ethernet frames received, dropped ones included")                   \
	X(rx_bytes, "bytes of these")                                                      \
	X(tx_packets, "Ethernet frames sent")                                              \
	X(tx_bytes, "bytes of these")                                                      \
	X(hits, "SENDs and QUERYs whose blob was here, repeats included")                  \
	X(offers, "OFFERs sent, inline ones included")                                     \
	X(inline_offers, "OFFERs sent with the blob in them")                              \
	X(pulls, "PULLs served")                                                           \
	X(data_chunks, "chunks sent in DATA")                                              \
	X(data_zero_copy, "of these, sent from where the blob lies")                       \
	X(data_partial, "of these, of blobs that were still uploaded")                     \
	X(later, "PULLs for more of such a blob than was here")                            \
	X(upload_chunks, "new chunks received in DATA")                                    \
	X(receipts, "progress and outcomes from targets")                                  \
	X(unfinished_checksums, "frames with an unfinished UDP checksum, dropped or not")  \
	X(errors, "ERRORs sent")                                                           \
	X(flow_evictions, "known flows that lost their place to another: strangers again") \
	X(sleeps, "times an idle worker blocked")                                          \
	X(control_wakes, "times a worker woke the sleeping control thread")

/* Bursts by how many frames they had: 1, 2, up to 4, 8, 16, 32. */
#define STATS_BURSTS 6

struct stats {
#define X(field, help) uint64_t field;
	STATS(X)
#undef X
	uint64_t bursts[STATS_BURSTS];
	uint64_t drops[DROP_COUNT];
} __rte_cache_aligned;

/* n: frames, 1 to 32. */
static inline void stats_burst(struct stats *s, unsigned int n)
{
	s->bursts[n > 1 ? 32 - (unsigned int)__builtin_clz(n - 1) : 0]++;
}

/* X(field, help): of one domain's members, since start */
#define DOMAIN_STATS(X)                                       \
	X(requests, "SENDs of its members, repeats included") \
	X(hits, "of these, served from this relay's store")   \
	X(refused, "SENDs refused: target, rule, quota or rate")

struct domain_stats {
#define X(field, help) uint64_t field;
	DOMAIN_STATS(X)
#undef X
};

#endif
