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
#include "store/flight.h"

#define WORKER_BURST 32
#define WORKER_TX_BURST 64

/* One arrived frame on its way through the stages. */
struct item {
	struct rte_mbuf *mbuf; /* NULL: somebody else owns it now */
	struct packet *packet;
	struct frame frame;
	uint64_t hash; /* of the flow */
	struct flow flow;
	const struct domain *domain; /* of the sender; NULL: of none, and the relay has some */
	/* enum drop: */
	uint8_t unknown; /* the frame's verb or a critical extension is; else DROP_NONE */
	uint8_t proof;	 /* of its cookie, where that was looked at */
	uint8_t trailer; /* a member's */
	uint8_t decoded; /* PULL: its fields, */
	uint8_t echo;	 /* its echo, */
	uint8_t ticket;	 /* and its ticket */
	bool by_echo;	 /* which stands for its cookie */
	bool member;	 /* it signs, and so do we: */
	struct session session;
	struct echo minted; /* PULL: that DATA brings, if its own is not of this second */
	uint32_t piece; /* SEND: the head, PULL: that of the first chunk; PIECE_NONE: not there */
	const struct lease *lease; /* SEND with a piece: its target's, live or not; NULL: none */
	union {
		struct send send;
		struct pull pull;
	};
};

/* What is hashed for a burst, by kind, and for whom. */
struct macs {
	unsigned int cookies, echoes, mints, tickets, members;
	struct sip cookie[WORKER_BURST], echo[WORKER_BURST], mint[WORKER_BURST],
		member[WORKER_BURST]; /* a session's key, then the trailer under it */
	struct ticket_mac ticket[WORKER_BURST];
	struct item *cookie_of[WORKER_BURST], *echo_of[WORKER_BURST], *mint_of[WORKER_BURST],
		*member_of[WORKER_BURST], *ticket_of[WORKER_BURST];
};

/* What frames that leave wait for: packet_of(m)->mac_job is 1 + the place of a trailer, or
 * of an OFFER, behind them. */
struct macs_out {
	unsigned int trailers, offers;
	struct sip trailer[WORKER_TX_BURST];
	struct offer_macs offer[WORKER_TX_BURST];
};
_Static_assert(2 * WORKER_TX_BURST < UINT8_MAX, "mac_job holds them");

struct worker {
	struct relay *relay;
	uint16_t id; /* worker number: queue, ring and RCU thread id */
	struct rte_mempool *pool;
	struct rte_mempool *chain_pool; /* zero-copy: mbufs for what lies in a slab, and */
	struct flight *flight;		/* where they are counted now; NULL: all is copied */
	uint64_t now_us;		/* Unix time of this burst */
	const struct token_ring *keys;
	const struct keyring *keyring;
	cache_map *touched; /* what was asked for */
	bool told_control;  /* since the bell was last rung */
	uint16_t tx_count, headed_count;
	struct rte_mbuf *tx[WORKER_TX_BURST];	  /* payloads, and */
	struct rte_mbuf *headed[WORKER_TX_BURST]; /* whole frames: to leave */
	struct stats stats;			  /* control: ro */
	struct addr unfinished; /* whose first frame with an unfinished checksum came;
				 * control: ro, once stats.unfinished_checksums is not 0 */
	struct domain_stats domain[KEYRING_DOMAINS]; /* control: ro */
	struct shed shed;
	/* of this burst */
	struct item items[WORKER_BURST];
	struct macs macs;
	struct macs_out macs_out;
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

static inline uint64_t worker_seconds(const struct worker *w)
{
	return w->now_us / 1000000;
}

/* May `len` bytes, behind a headroom, take the place of the one that came in m? */
static inline bool buffer_takes(const struct rte_mbuf *m, uint32_t len)
{
	return !RTE_MBUF_HAS_EXTBUF(m) && m->buf_len >= RTE_PKTMBUF_HEADROOM + len;
}

/* Counts and frees. */
static inline void worker_drop(struct worker *w, struct rte_mbuf *m, enum drop reason)
{
	w->stats.drops[reason]++;
	rte_pktmbuf_free(m);
}

/* ingress.c: packet headers, frame, tokens; bulk index lookup; handlers. */
void burst_process(struct worker *w, struct rte_mbuf **mbufs, uint16_t n);
/* admit.c: keeps those that may go on, whose tokens are right and fields decoded; drops the
 * others. Of PULLs, echo and ticket are yet to be looked at. How many it kept. */
uint16_t burst_admit(struct worker *w, struct item **items, uint16_t n);
/* Hands what a client asks to control, within its source's budget, beyond which it is
 * told to come back later: the ask that the frame was, or (NULL) the frame. */
void item_ask_control(struct worker *w, struct item *it, const struct ask *a);

/* hit.c */
void handle_send(struct worker *w, struct item *it);
/* Before that, for all of a burst whose index was looked up: their targets' leases. */
void sends_prepare(struct worker *w, struct item **items, uint16_t n);
/* pull.c: all of a burst. */
void burst_pulls(struct worker *w, struct item **pulls, uint16_t n);
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
/* The ways back to who sent the items, up to NEXTHOP_LOOKUP: as egress_reply() would go. */
void egress_ways(struct worker *w, const struct item *const items[], unsigned int n,
		 struct nexthop out[]);
/* Owns m, n whole frames for that way to `peer`, whose payloads begin at `payload`. If the way
 * is not ready, what is done is what egress_send() does. */
void egress_headed(struct worker *w, struct rte_mbuf **m, unsigned int n, const struct nexthop *way,
		   const struct addr *peer, unsigned int payload);
/* Before m is queued: its payload of `len` bytes is signed with the session, which stays,
 * when it leaves. Its new length; 0: it is too long. */
size_t egress_sign(struct worker *w, struct rte_mbuf *m, size_t len, const struct session *s);
/* Likewise: where the MACs of the OFFER in m are to be asked for. */
struct offer_macs *egress_offer_macs(struct worker *w, struct rte_mbuf *m);
/* An empty buffer for a payload to `peer`, NULL (counted) if the pool is empty. */
struct rte_mbuf *egress_alloc(struct worker *w, const struct addr *peer);
/* Where the payload is written, and what it may hold. */
static inline uint8_t *egress_payload(struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod(m, uint8_t *);
}
/* Sets the payload's length; len 0 (it did not fit) frees the buffer. True if it is to be sent. */
bool egress_sized(struct rte_mbuf *m, size_t len);

/* reply.c: small answers, signed for members. Those to who sent an item take its frame's place:
 * it->mbuf is then NULL, and whatever led into the frame, its decoded fields too, is void. */
/* To the sender of the SEND that the ask was made of. */
void reply_status(struct worker *w, struct item *it, const struct ask *a, struct status *s);
void reply_challenge(struct worker *w, struct item *it, const struct ask *a);
/* To the source that a ticket names. */
void report_status(struct worker *w, const struct ticket *t, const struct status *s);
/* ERROR(LATER), about a PULL that was in order: in place of DATA, and smaller than the PULL. */
void reply_later(struct worker *w, struct item *it, uint32_t available);
/* An ERROR about an arrived frame, within the source's budget and never larger than it. */
void reply_error(struct worker *w, struct item *it, const struct error *e);

#endif
