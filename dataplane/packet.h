/* SPDX-License-Identifier: BSD-3-Clause
 * Between Ethernet frames and UDP payloads: checks and strips the headers of
 * what arrives, writes those of what leaves.
 */
#ifndef DATAPLANE_PACKET_H
#define DATAPLANE_PACKET_H

#include <stdalign.h>

#include <rte_ether.h>
#include <rte_mbuf.h>

#include "wire/frame.h"

/* Ethernet, IPv6 and UDP: the room in front of every payload we write. */
#define PACKET_HEADROOM (14 + 40 + 8)
_Static_assert(PACKET_HEADROOM <= RTE_PKTMBUF_HEADROOM, "packet_finish() always finds it");

/* Lies in each mbuf's private area. Arriving: who sent it. Leaving: who gets it. */
struct packet {
	struct addr peer;
	struct addr source;	   /* leaving: who made us send it */
	struct rte_ether_addr mac; /* the peer's, or of the router that brought it; leaving: of
				    * the next hop, with has_mac */
	uint16_t payload_len;	   /* arriving: bytes of UDP payload */
	uint16_t frame_len;	   /* arriving: IP bytes, what amplification is measured against */
	uint16_t worker;	   /* the worker it came by, or is to leave by */
	uint16_t sum;	 /* leaving: of the payload's last `summed` bytes, which begin at */
	uint16_t summed; /* an even offset, the one's-complement sum, already known */
	bool has_mac : 1;
	bool asked : 1;	     /* leaving: control was asked for its next hop, and has answered */
	bool unfinished : 1; /* arriving: its checksum is the folded pseudo header, see below */
	uint8_t mac_job;     /* leaving: 1 + which of the worker's MACs it waits for; 0: none */
};
_Static_assert(sizeof(struct packet) <= 64, "fits the pool's private area");

static inline struct packet *packet_of(struct rte_mbuf *m)
{
	return rte_mbuf_to_priv(m);
}

/* A new buffer, for a payload to `peer`, on its own account. */
static inline void packet_init(struct rte_mbuf *m, const struct addr *peer)
{
	struct packet *p = packet_of(m);

	p->peer = *peer;
	p->source = *peer;
	p->summed = 0;
	p->has_mac = false;
	p->asked = false;
	p->mac_job = 0;
}

/* A parsed frame on its way to control, kept behind its bytes (pools have the room:
 * dataplane/port_pool.c). */
static inline struct frame *packet_frame(const struct rte_mbuf *m)
{
	return RTE_PTR_ALIGN_CEIL(rte_pktmbuf_mtod_offset(m, struct frame *, m->data_len),
				  alignof(struct frame));
}
/* Bytes that it takes there. */
#define PACKET_FRAME_ROOM (sizeof(struct frame) + alignof(struct frame))

/* Checks Ethernet, IP and UDP, and that the frame is for `self`; on DROP_NONE
 * the mbuf's data starts with the UDP payload and packet_of(m) is filled.
 *
 * A kernel that leaves the checksum to a device writes the sum of the pseudo header
 * there. Between virtual devices (veth, virtio) nobody finishes it, as nothing can
 * damage what crosses no wire. Such a packet passes, and is marked. */
enum drop packet_parse(struct rte_mbuf *m, const struct addr_pair *self);

/* Prepends the headers from `self` to packet_of(m)->peer; data is the payload.
 * Checksums are written in full. */
void packet_finish(struct rte_mbuf *m, const struct addr *self, const struct rte_ether_addr *from,
		   const struct rte_ether_addr *to);

/* ---- many frames of one kind to one host ---- */

#define HEAD_MAX (PACKET_HEADROOM + DATA_HEAD_PARTIAL)

/* What they begin with, headers and the head of a DATA, made once and copied for each. */
struct head {
	uint8_t bytes[HEAD_MAX];
	uint8_t size;	  /* of it */
	uint8_t payload;  /* where in it the payload begins */
	uint8_t l3;	  /* likewise the IP header's length field, and */
	uint8_t checksum; /* IPv4: its checksum; 0: it has none */
	uint32_t ip_sum;  /* IPv4: the header's but for its length */
	uint32_t udp_sum; /* with the pseudo header, but for lengths and the chunk's number */
};

/* From `self` to `peer`. d: what all of them have in common; its first and len do not count. */
void head_make(struct head *h, const struct addr *self, const struct rte_ether_addr *from,
	       const struct addr *peer, const struct rte_ether_addr *to, uint32_t key,
	       uint64_t conn, const struct data *d);
/* Fills the sums; some time after head_make(), whose bytes have then reached the cache. */
void head_sum(struct head *h);
/* Writes it in front of a chunk of `len` bytes, whose one's-complement sum is known. */
void head_write(const struct head *h, uint8_t *frame, uint32_t chunk, uint16_t len, uint16_t sum);

#endif
