/* SPDX-License-Identifier: BSD-3-Clause
 * What workers and control tell each other: 24 bytes through one
 * single-producer single-consumer ring in each direction and per worker.
 */
#ifndef DATAPLANE_MESSAGE_H
#define DATAPLANE_MESSAGE_H

#include <stdatomic.h>

#include <rte_mbuf.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>

/* Messages that a ring holds. Each may be a packet buffer of the worker's pool. */
#define RING_TO_CONTROL 8192
#define RING_TO_WORKER 2048
/* Payloads that control may keep, of all workers, until their next hop is known. */
#define PENDING_TOTAL 1024

enum message_kind {
	MESSAGE_ASK = 1,  /* to control: what a SEND or QUERY asks; ask_carried(mbuf) */
	MESSAGE_FRAME,	  /* to control: another frame that it deals with; packet_frame(mbuf) */
	MESSAGE_NEXT_HOP, /* to control: an outgoing payload whose next hop is not known */
	MESSAGE_CHUNK,	  /* to control: a chunk of an upload lies in the slab */
	MESSAGE_SEND,	  /* to worker: a payload for packet_of(mbuf)->peer */
};

struct message {
	uint8_t kind; /* enum message_kind */
	uint8_t zero;
	uint16_t slot;	 /* CHUNK: of the upload */
	uint32_t number; /* CHUNK: of the PULL it answers */
	union {
		struct rte_mbuf *mbuf;
		struct {
			uint32_t chunk;
			uint32_t stream_low; /* CHUNK: tells a reused slot apart */
		};
	};
	uint64_t came_us; /* ASK, FRAME, CHUNK: the worker's Unix time of its burst */
};
_Static_assert(sizeof(struct message) == 24, "ring element");

/* The receiving end of a ring. A side that is about to block publishes
 * `sleeping`, then looks at its rings once more; the other side enqueues, then
 * looks at `sleeping`. The fences make it impossible that both miss the other. */
struct doorbell {
	_Atomic uint32_t sleeping;
	int fd; /* eventfd, non-blocking */
} __rte_cache_aligned;

static inline bool message_put(struct rte_ring *r, struct message *m)
{
	return rte_ring_sp_enqueue_elem(r, m, sizeof(*m)) == 0;
}

static inline unsigned int message_get(struct rte_ring *r, struct message *m, unsigned int n)
{
	return rte_ring_sc_dequeue_burst_elem(r, m, sizeof(*m), n, NULL);
}

/* Wakes the other side if it sleeps. True if that took a system call. */
bool doorbell_ring(struct doorbell *d);
/* Consumes what woke us. */
void doorbell_clear(struct doorbell *d);

#endif
