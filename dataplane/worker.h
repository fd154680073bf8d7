/* SPDX-License-Identifier: BSD-3-Clause
 * A worker: one lcore, one queue pair, run to completion. Everything in its
 * struct is its own unless a comment says otherwise.
 */
#ifndef DATAPLANE_WORKER_H
#define DATAPLANE_WORKER_H

#include "dataplane/answer.h"
#include "dataplane/offer.h"
#include "dataplane/packet.h"
#include "dataplane/relay.h"
#include "dataplane/stage.h"
#include "dataplane/stats.h"

#define WORKER_BURST 32
#define WORKER_TX_BURST 64

struct worker {
	struct relay *relay;
	uint16_t id; /* worker number: queue, ring and RCU thread id */
	struct rte_mempool *pool;
	uint64_t now_us; /* Unix time of this burst */
	const struct token_ring *keys;
	const struct keyring *keyring;
	cache_map *touched; /* what was asked for */
	bool told_control;  /* since the bell was last rung */
	uint16_t tx_count;
	struct rte_mbuf *tx[WORKER_TX_BURST];
	struct stats stats;	/* control: ro */
	struct addr unfinished; /* whose first frame with an unfinished checksum came;
				 * control: ro, once stats.unfinished_checksums is not 0 */
	struct domain_stats domain[KEYRING_DOMAINS]; /* control: ro */
	struct shed shed;
	/* shared with control */
	struct rte_ring *to_control;
	struct rte_ring *from_control;
	struct doorbell bell;
};

/* All of a worker's memory, on its NUMA node. NULL: no memory. */
struct worker *worker_create(struct relay *relay, uint16_t id, int socket);
void worker_destroy(struct worker *w);
/* lcore function; returns when relay->stop is set. */
int worker_run(void *worker);
/* One turn of its loop; how many packets and messages there were. */
unsigned int worker_turn(struct worker *w);

/* ---- for the files of the hit path ---- */

/* One arrived frame on its way through the stages. */
struct item {
	struct rte_mbuf *mbuf; /* NULL: somebody else owns it now */
	struct packet *packet;
	struct frame frame;
	struct flow flow;
	const struct domain *domain; /* of the sender; NULL: of none, and the relay has some */
	bool member;		     /* it signs, and so do we: */
	struct session session;
	uint32_t piece; /* SEND: the head, PULL: that of the first chunk; PIECE_NONE: not there */
	union {
		struct send send;
		struct pull pull;
	};
};

static inline uint64_t worker_seconds(const struct worker *w)
{
	return w->now_us / 1000000;
}

/* Counts and frees. */
static inline void worker_drop(struct worker *w, struct rte_mbuf *m, enum drop reason)
{
	w->stats.drops[reason]++;
	rte_pktmbuf_free(m);
}

/* ingress.c: packet headers, frame, tokens; bulk index lookup; handlers. */
void burst_process(struct worker *w, struct rte_mbuf **mbufs, uint16_t n);
/* Hands what a client asks to control, within its source's budget, beyond which it is
 * told to come back later: the ask that the frame was, or (NULL) the frame. */
void item_ask_control(struct worker *w, struct item *it, const struct ask *a);

/* hit.c */
void handle_send(struct worker *w, struct item *it);
void handle_pull(struct worker *w, struct item *it);
/* inbound.c */
void handle_hello(struct worker *w, struct item *it);
void handle_data(struct worker *w, struct item *it);
void handle_receipt(struct worker *w, struct item *it);
void handle_stop_now(struct worker *w, struct item *it);

/* egress.c: the payload in m goes to packet_of(m)->peer. Owns m. */
void egress_send(struct worker *w, struct rte_mbuf *m);
/* Likewise, in answer to a frame: where the kernel cannot be asked for the way, it
 * goes back to the host or router that brought that. */
void egress_reply(struct worker *w, struct rte_mbuf *m, const struct item *it);
/* Likewise, in any case: for addresses that nobody has validated, about which the
 * kernel is not asked. */
void egress_return(struct worker *w, struct rte_mbuf *m, const struct item *it);
void egress_flush(struct worker *w);
/* An empty buffer for a payload to `peer`, NULL (counted) if the pool is empty. */
struct rte_mbuf *egress_alloc(struct worker *w, const struct addr *peer);
/* Where the payload is written, and what it may hold. */
static inline uint8_t *egress_payload(struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod(m, uint8_t *);
}
/* Sets the payload's length; len 0 (it did not fit) frees the buffer. True if it is to be sent. */
bool egress_sized(struct rte_mbuf *m, size_t len);

/* reply.c: small answers, signed for members. */
/* To the sender of the SEND that the ask was made of. */
void reply_status(struct worker *w, const struct item *it, const struct ask *a, struct status *s);
void reply_challenge(struct worker *w, const struct item *it, const struct ask *a);
/* To the source that a ticket names. */
void report_status(struct worker *w, const struct ticket *t, const struct status *s);
/* An ERROR about an arrived frame, within the source's budget and never larger than it. */
void reply_error(struct worker *w, const struct item *it, const struct error *e);

#endif
