/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_ip.h>
#include <rte_udp.h>

#include "dataplane/packet.h"
#include "store/slab.h"

#define HOP_LIMIT 64

/* Folds a 32-bit one's-complement accumulator to 16 bits. */
static uint16_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* Protocol and length of the pseudo header, as bytes_sum() would load them. */
static uint32_t udp_pseudo(uint32_t len)
{
	return (uint32_t)rte_cpu_to_be_16(IPPROTO_UDP) + rte_cpu_to_be_16((uint16_t)len);
}

/* addresses: the sum of both, for the pseudo header. */
static enum drop udp_parse(struct rte_mbuf *m, uint32_t l2_l3, uint32_t l4_len, uint32_t addresses,
			   bool may_omit_checksum, const struct addr *self)
{
	const struct rte_udp_hdr *udp = rte_pktmbuf_mtod_offset(m, void *, l2_l3);
	struct packet *p = packet_of(m);
	uint16_t len;

	if (l4_len < sizeof(*udp))
		return DROP_UDP_HEADER;
	len = rte_be_to_cpu_16(udp->dgram_len);
	if (len < sizeof(*udp) || len > l4_len)
		return DROP_UDP_HEADER;
	if (memcmp(&udp->dst_port, &self->port, sizeof(self->port)) != 0)
		return DROP_NOT_OURS;
	if (udp->src_port == 0)
		return DROP_ADDRESS;
	if (udp->dgram_cksum == 0) {
		if (!may_omit_checksum) /* RFC 8200, section 8.1 */
			return DROP_UDP_CHECKSUM;
	} else if ((m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) != RTE_MBUF_F_RX_L4_CKSUM_GOOD) {
		const uint32_t pseudo = addresses + udp_pseudo(len);

		/* of the UDP length, which may be shorter than IP's (RFC 768) */
		if (fold(pseudo + bytes_sum((const uint8_t *)udp, len)) != 0xffff) {
			if (udp->dgram_cksum != fold(pseudo))
				return DROP_UDP_CHECKSUM;
			p->unfinished = true;
		}
	}
	memcpy(&p->peer.port, &udp->src_port, sizeof(p->peer.port));
	p->payload_len = (uint16_t)(len - sizeof(*udp));
	rte_pktmbuf_adj(m, (uint16_t)(l2_l3 + sizeof(*udp)));
	/* Ethernet pads short frames */
	rte_pktmbuf_trim(m, (uint16_t)(rte_pktmbuf_data_len(m) - p->payload_len));
	return DROP_NONE;
}

/* A sender that no answer could reach, or that would make the answer fan out. */
static bool ip4_source_bad(uint32_t ip)
{
	return ip == 0 || (ip >> 24) == 127 || (ip >> 28) >= 14;
}

static enum drop ip4_parse(struct rte_mbuf *m, const struct addr *self)
{
	const struct rte_ipv4_hdr *ip =
		rte_pktmbuf_mtod_offset(m, void *, sizeof(struct rte_ether_hdr));
	uint32_t have = rte_pktmbuf_data_len(m) - (uint32_t)sizeof(struct rte_ether_hdr);
	struct packet *p = packet_of(m);
	uint32_t total, l4_len;

	if (have < sizeof(*ip) || ip->version_ihl != RTE_IPV4_VHL_DEF)
		return DROP_IP_HEADER;
	total = rte_be_to_cpu_16(ip->total_length);
	if (total < sizeof(*ip) || total > have)
		return DROP_IP_HEADER;
	if (ip->fragment_offset & rte_cpu_to_be_16((uint16_t)~RTE_IPV4_HDR_DF_FLAG))
		return DROP_IP_HEADER;
	if (ip->next_proto_id != IPPROTO_UDP)
		return DROP_UDP_HEADER;
	if (self->type != ADDR_IP4 || memcmp(&ip->dst_addr, self->ip, 4) != 0)
		return DROP_NOT_OURS;
	if ((m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) != RTE_MBUF_F_RX_IP_CKSUM_GOOD &&
	    fold(words_sum(ip, sizeof(*ip))) != 0xffff)
		return DROP_IP_CHECKSUM;
	if (ip4_source_bad(rte_be_to_cpu_32(ip->src_addr)))
		return DROP_ADDRESS;
	p->peer.type = ADDR_IP4;
	memcpy(p->peer.ip, &ip->src_addr, 4);
	p->frame_len = (uint16_t)total;
	l4_len = total - (uint32_t)sizeof(*ip);
	return udp_parse(m, sizeof(struct rte_ether_hdr) + sizeof(*ip), l4_len,
			 words_sum(&ip->src_addr, 8), true, self);
}

static bool ip6_source_bad(const uint8_t ip[16])
{
	static const uint8_t any_or_loopback[15];

	return ip[0] == 0xff || (memcmp(ip, any_or_loopback, 15) == 0 && ip[15] <= 1);
}

static enum drop ip6_parse(struct rte_mbuf *m, const struct addr *self)
{
	const struct rte_ipv6_hdr *ip =
		rte_pktmbuf_mtod_offset(m, void *, sizeof(struct rte_ether_hdr));
	uint32_t have = rte_pktmbuf_data_len(m) - (uint32_t)sizeof(struct rte_ether_hdr);
	struct packet *p = packet_of(m);
	uint32_t l4_len;

	if (have < sizeof(*ip) || (rte_be_to_cpu_32(ip->vtc_flow) >> 28) != 6)
		return DROP_IP_HEADER;
	l4_len = rte_be_to_cpu_16(ip->payload_len);
	if (l4_len > have - sizeof(*ip))
		return DROP_IP_HEADER;
	if (ip->proto != IPPROTO_UDP)
		return DROP_UDP_HEADER;
	if (self->type != ADDR_IP6 || memcmp(ip->dst_addr, self->ip, 16) != 0)
		return DROP_NOT_OURS;
	if (ip6_source_bad(ip->src_addr))
		return DROP_ADDRESS;
	p->peer.type = ADDR_IP6;
	memcpy(p->peer.ip, ip->src_addr, 16);
	p->frame_len = (uint16_t)(l4_len + sizeof(*ip));
	return udp_parse(m, sizeof(struct rte_ether_hdr) + sizeof(*ip), l4_len,
			 words_sum(ip->src_addr, 32), false, self);
}

enum drop packet_parse(struct rte_mbuf *m, const struct addr_pair *self)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, void *);
	struct packet *p = packet_of(m);

	if (rte_pktmbuf_data_len(m) < sizeof(*eth) || m->nb_segs != 1)
		return DROP_NOT_IP;
	memset(&p->peer, 0, sizeof(p->peer));
	p->unfinished = false;
	p->mac = eth->src_addr;
	switch (rte_be_to_cpu_16(eth->ether_type)) {
	case RTE_ETHER_TYPE_IPV4:
		return ip4_parse(m, &self->ip4);
	case RTE_ETHER_TYPE_IPV6:
		return ip6_parse(m, &self->ip6);
	default:
		return DROP_NOT_IP;
	}
}

static void udp_fill(struct rte_udp_hdr *udp, const struct addr *peer, const struct addr *self,
		     uint16_t len)
{
	memcpy(&udp->src_port, &self->port, 2);
	memcpy(&udp->dst_port, &peer->port, 2);
	udp->dgram_len = rte_cpu_to_be_16(len);
	udp->dgram_cksum = 0;
}

/* No checksum as yet. */
static void ip4_fill(struct rte_ipv4_hdr *ip, const struct addr *self, const struct addr *peer,
		     uint16_t len)
{
	*ip = (struct rte_ipv4_hdr){
		.version_ihl = RTE_IPV4_VHL_DEF,
		.total_length = rte_cpu_to_be_16(len),
		.fragment_offset = rte_cpu_to_be_16(RTE_IPV4_HDR_DF_FLAG),
		.time_to_live = HOP_LIMIT,
		.next_proto_id = IPPROTO_UDP,
	};
	memcpy(&ip->src_addr, self->ip, 4);
	memcpy(&ip->dst_addr, peer->ip, 4);
}

static void ip6_fill(struct rte_ipv6_hdr *ip, const struct addr *self, const struct addr *peer,
		     uint16_t len)
{
	*ip = (struct rte_ipv6_hdr){
		.vtc_flow = rte_cpu_to_be_32(UINT32_C(6) << 28),
		.payload_len = rte_cpu_to_be_16(len),
		.proto = IPPROTO_UDP,
		.hop_limits = HOP_LIMIT,
	};
	memcpy(ip->src_addr, self->ip, 16);
	memcpy(ip->dst_addr, peer->ip, 16);
}

/* A checksum that may not be 0, which says that there is none. */
static uint16_t udp_cksum(uint32_t sum)
{
	uint16_t c = (uint16_t)~fold(sum);

	return c == 0 ? 0xffff : c;
}

/* Of what ip4_fill() writes, but for the addresses. It is not read back: what was written in
 * small pieces a moment ago stalls who reads it in larger ones. */
static uint32_t ip4_sum(uint16_t len)
{
	return (uint32_t)rte_cpu_to_be_16(RTE_IPV4_VHL_DEF << 8) + rte_cpu_to_be_16(len) +
	       rte_cpu_to_be_16(RTE_IPV4_HDR_DF_FLAG) +
	       rte_cpu_to_be_16(HOP_LIMIT << 8 | IPPROTO_UDP);
}

/* Likewise of udp_fill(). */
static uint32_t udp_sum(const struct addr *peer, const struct addr *self, uint16_t len)
{
	uint16_t ports[2];

	memcpy(&ports[0], &self->port, 2);
	memcpy(&ports[1], &peer->port, 2);
	return (uint32_t)ports[0] + ports[1] + rte_cpu_to_be_16(len);
}

/* Of what lies behind the headers. */
static uint32_t payload_sum(const struct rte_mbuf *m, const struct packet *p)
{
	const uint32_t sum = bytes_sum(rte_pktmbuf_mtod(m, const uint8_t *),
				       (size_t)rte_pktmbuf_data_len(m) - p->summed);

	return p->summed > 0 ? sum + p->sum : sum;
}

void packet_finish(struct rte_mbuf *m, const struct addr *self, const struct rte_ether_addr *from,
		   const struct rte_ether_addr *to)
{
	const struct packet *p = packet_of(m);
	const uint32_t payload = payload_sum(m, p);
	uint16_t udp_len = (uint16_t)(rte_pktmbuf_data_len(m) + sizeof(struct rte_udp_hdr));
	struct rte_ether_hdr *eth;
	struct rte_udp_hdr *udp;
	uint32_t sum;

	if (self->type == ADDR_IP4) {
		const uint16_t ip_len = (uint16_t)(udp_len + sizeof(struct rte_ipv4_hdr));
		struct rte_ipv4_hdr *ip;

		eth = (void *)rte_pktmbuf_prepend(m, sizeof(*eth) + sizeof(*ip) + sizeof(*udp));
		ip = (void *)(eth + 1);
		udp = (void *)(ip + 1);
		eth->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
		ip4_fill(ip, self, &p->peer, ip_len);
		sum = words_sum(self->ip, 4) + words_sum(p->peer.ip, 4);
		ip->hdr_checksum = (uint16_t)~fold(sum + ip4_sum(ip_len));
	} else {
		struct rte_ipv6_hdr *ip;

		eth = (void *)rte_pktmbuf_prepend(m, sizeof(*eth) + sizeof(*ip) + sizeof(*udp));
		ip = (void *)(eth + 1);
		udp = (void *)(ip + 1);
		eth->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV6);
		ip6_fill(ip, self, &p->peer, udp_len);
		sum = words_sum(self->ip, 16) + words_sum(p->peer.ip, 16);
	}
	udp_fill(udp, &p->peer, self, udp_len);
	udp->dgram_cksum =
		udp_cksum(sum + udp_pseudo(udp_len) + udp_sum(&p->peer, self, udp_len) + payload);
	eth->src_addr = *from;
	eth->dst_addr = *to;
}

/* ---- many frames of one kind to one host ---- */

void head_make(struct head *h, const struct addr *self, const struct rte_ether_addr *from,
	       const struct addr *peer, const struct rte_ether_addr *to, uint32_t key,
	       uint64_t conn, const struct data *d)
{
	struct rte_ether_hdr *eth = (void *)h->bytes;
	struct rte_udp_hdr *udp;
	struct data head = *d;

	h->checksum = 0;
	if (self->type == ADDR_IP4) {
		struct rte_ipv4_hdr *ip = (void *)(eth + 1);

		eth->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
		ip4_fill(ip, self, peer, 0);
		h->l3 = (uint8_t)((uint8_t *)&ip->total_length - h->bytes);
		h->checksum = (uint8_t)((uint8_t *)&ip->hdr_checksum - h->bytes);
		udp = (void *)(ip + 1);
	} else {
		struct rte_ipv6_hdr *ip = (void *)(eth + 1);

		eth->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV6);
		ip6_fill(ip, self, peer, 0);
		h->l3 = (uint8_t)((uint8_t *)&ip->payload_len - h->bytes);
		udp = (void *)(ip + 1);
	}
	eth->src_addr = *from;
	eth->dst_addr = *to;
	udp_fill(udp, peer, self, 0);
	h->payload = (uint8_t)((uint8_t *)(udp + 1) - h->bytes);
	h->size = (uint8_t)(h->payload + data_head_size(d->partial));
	head.first = 0;
	head.len = CHUNK_SIZE;
	head.bytes = NULL;
	data_encode(h->bytes + h->payload, WIRE_MAX_FRAME, key, conn, &head);
}

void head_sum(struct head *h)
{
	const uint8_t *ip = h->bytes + sizeof(struct rte_ether_hdr);
	const uint8_t *udp = h->bytes + h->payload - sizeof(struct rte_udp_hdr);
	const bool ip4 = h->checksum != 0;

	h->ip_sum = ip4 ? words_sum(ip, sizeof(struct rte_ipv4_hdr)) : 0;
	/* both addresses are the last thing before UDP */
	h->udp_sum = (ip4 ? words_sum(udp - 8, 8) : words_sum(udp - 32, 32)) + udp_pseudo(0) +
		     words_sum(udp, sizeof(struct rte_udp_hdr) + DATA_HEAD);
	if (h->size > h->payload + DATA_HEAD)
		h->udp_sum +=
			words_sum(h->bytes + h->payload + DATA_HEAD, DATA_HEAD_PARTIAL - DATA_HEAD);
}

/* Into a field of a header, at any offset. */
static void put_field(uint8_t *frame, uint32_t at, uint16_t value)
{
	memcpy(frame + at, &value, sizeof(value));
}

void head_write(const struct head *h, uint8_t *frame, uint32_t chunk, uint16_t len, uint16_t sum)
{
	/* at an even offset: it is summed by itself */
	const size_t first = sizeof(struct wire_header) + offsetof(struct wire_data, first);
	const uint16_t udp_len =
			       (uint16_t)(sizeof(struct rte_udp_hdr) + h->size - h->payload + len),
		       udp_be = rte_cpu_to_be_16(udp_len);
	const be32 number = put32(chunk);
	uint16_t ip_be = udp_be;

	memcpy(frame, h->bytes, sizeof(h->bytes)); /* what is too much, the chunk overwrites */
	memcpy(frame + h->payload + first, &number, sizeof(number));
	if (h->checksum != 0) {
		ip_be = rte_cpu_to_be_16((uint16_t)(udp_len + sizeof(struct rte_ipv4_hdr)));
		put_field(frame, h->checksum, (uint16_t)~fold(h->ip_sum + ip_be));
	}
	put_field(frame, h->l3, ip_be);
	put_field(frame, h->payload - 4u, udp_be);
	/* the UDP length is in the pseudo header and in the UDP header */
	put_field(frame, h->payload - 2u,
		  udp_cksum(h->udp_sum + 2u * udp_be + words_sum(&number, sizeof(number)) + sum));
}
