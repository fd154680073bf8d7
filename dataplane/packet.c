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
	    bytes_sum((const uint8_t *)ip, sizeof(*ip)) != 0xffff)
		return DROP_IP_CHECKSUM;
	if (ip4_source_bad(rte_be_to_cpu_32(ip->src_addr)))
		return DROP_ADDRESS;
	p->peer.type = ADDR_IP4;
	memcpy(p->peer.ip, &ip->src_addr, 4);
	p->frame_len = (uint16_t)total;
	l4_len = total - (uint32_t)sizeof(*ip);
	return udp_parse(m, sizeof(struct rte_ether_hdr) + sizeof(*ip), l4_len,
			 bytes_sum((const uint8_t *)&ip->src_addr, 8), true, self);
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
			 bytes_sum(ip->src_addr, 32), false, self);
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

static void udp_fill(struct rte_udp_hdr *udp, const struct packet *p, const struct addr *self,
		     uint16_t len)
{
	memcpy(&udp->src_port, &self->port, 2);
	memcpy(&udp->dst_port, &p->peer.port, 2);
	udp->dgram_len = rte_cpu_to_be_16(len);
	udp->dgram_cksum = 0;
}

/* sum: pseudo header; the UDP header and payload follow it in memory. */
static void udp_checksum(struct rte_udp_hdr *udp, uint32_t sum, const struct packet *p,
			 uint16_t len)
{
	uint16_t c;

	if (p->has_sum)
		sum += bytes_sum((const uint8_t *)udp, sizeof(*udp)) + (uint32_t)p->sum;
	else
		sum += bytes_sum((const uint8_t *)udp, len);
	c = (uint16_t)~fold(sum);
	udp->dgram_cksum = c == 0 ? 0xffff : c;
}

void packet_finish(struct rte_mbuf *m, const struct addr *self, const struct rte_ether_addr *from,
		   const struct rte_ether_addr *to)
{
	const struct packet *p = packet_of(m);
	uint16_t udp_len = (uint16_t)(rte_pktmbuf_data_len(m) + sizeof(struct rte_udp_hdr));
	struct rte_ether_hdr *eth;

	if (self->type == ADDR_IP4) {
		struct rte_ipv4_hdr *ip;
		struct rte_udp_hdr *udp;

		eth = (void *)rte_pktmbuf_prepend(m, sizeof(*eth) + sizeof(*ip) + sizeof(*udp));
		ip = (void *)(eth + 1);
		udp = (void *)(ip + 1);
		eth->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
		*ip = (struct rte_ipv4_hdr){
			.version_ihl = RTE_IPV4_VHL_DEF,
			.total_length = rte_cpu_to_be_16((uint16_t)(udp_len + sizeof(*ip))),
			.fragment_offset = rte_cpu_to_be_16(RTE_IPV4_HDR_DF_FLAG),
			.time_to_live = HOP_LIMIT,
			.next_proto_id = IPPROTO_UDP,
		};
		memcpy(&ip->src_addr, self->ip, 4);
		memcpy(&ip->dst_addr, p->peer.ip, 4);
		ip->hdr_checksum = (uint16_t)~bytes_sum((const uint8_t *)ip, sizeof(*ip));
		udp_fill(udp, p, self, udp_len);
		udp_checksum(udp,
			     bytes_sum((const uint8_t *)&ip->src_addr, 8) + udp_pseudo(udp_len), p,
			     udp_len);
	} else {
		struct rte_ipv6_hdr *ip;
		struct rte_udp_hdr *udp;

		eth = (void *)rte_pktmbuf_prepend(m, sizeof(*eth) + sizeof(*ip) + sizeof(*udp));
		ip = (void *)(eth + 1);
		udp = (void *)(ip + 1);
		eth->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV6);
		*ip = (struct rte_ipv6_hdr){
			.vtc_flow = rte_cpu_to_be_32(UINT32_C(6) << 28),
			.payload_len = rte_cpu_to_be_16(udp_len),
			.proto = IPPROTO_UDP,
			.hop_limits = HOP_LIMIT,
		};
		memcpy(ip->src_addr, self->ip, 16);
		memcpy(ip->dst_addr, p->peer.ip, 16);
		udp_fill(udp, p, self, udp_len);
		udp_checksum(udp, bytes_sum(ip->src_addr, 32) + udp_pseudo(udp_len), p, udp_len);
	}
	eth->src_addr = *from;
	eth->dst_addr = *to;
}
