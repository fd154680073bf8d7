/* SPDX-License-Identifier: BSD-3-Clause */
#include "pktgen-scripts/packet.h"

#include <errno.h>
#include <netinet/in.h>

#define ETHERTYPE_IP4 0x0800
#define LINKTYPE_ETHERNET 1
#define HOP_LIMIT 64
#define DONT_FRAGMENT 0x4000
#define MORE_FRAGMENTS 0x2000
#define OPTION_NOP 1

struct ethernet {
	uint8_t to[6];
	uint8_t from[6];
	be16 type;
};
struct ip4 {
	uint8_t version_ihl;
	uint8_t tos;
	be16 length;
	be16 id;
	be16 fragment;
	uint8_t ttl;
	uint8_t protocol;
	be16 checksum;
	uint8_t from[4];
	uint8_t to[4];
};
struct udp {
	be16 from;
	be16 to;
	be16 length;
	be16 checksum;
};
_Static_assert(sizeof(struct ethernet) + sizeof(struct ip4) + sizeof(struct udp) == PACKET_HEADERS,
	       "no padding");

int mac_parse(const char *text, uint8_t mac[6])
{
	int end = 0;

	if (sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2],
		   &mac[3], &mac[4], &mac[5], &end) != 6 ||
	    text[end] != '\0')
		return -EINVAL;
	return 0;
}

/* One's-complement sum of big-endian 16-bit words (RFC 1071), not folded. */
static uint32_t words_sum(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	return len % 2 ? sum + (uint32_t)(p[len - 1] << 8) : sum;
}

static uint16_t sum_finish(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void ip_checksum(struct ip4 *ip)
{
	ip->checksum = put16(0);
	ip->checksum =
		put16(sum_finish(words_sum((const uint8_t *)ip, 4u * (ip->version_ihl & 15u))));
}

static void udp_checksum(struct udp *udp, const struct ip4 *ip, size_t len)
{
	/* pseudo header: both addresses, protocol, length */
	uint32_t sum = words_sum(ip->from, 8) + IPPROTO_UDP + (uint32_t)len;
	uint16_t c = sum_finish(sum + words_sum((const uint8_t *)udp, len));

	udp->checksum = put16(c ? c : 0xffff); /* 0 would mean "none" */
}

size_t packet_build(uint8_t out[PACKET_MAX], const struct packet_path *path, const uint8_t *payload,
		    size_t len)
{
	struct ethernet *eth = (struct ethernet *)out;
	struct ip4 *ip = (struct ip4 *)(eth + 1);
	struct udp *udp = (struct udp *)(ip + 1);
	size_t udp_len = sizeof(*udp) + len;

	if (PACKET_HEADERS + len > PACKET_MAX)
		return 0;
	memcpy(eth->to, path->to_mac, sizeof(eth->to));
	memcpy(eth->from, path->from_mac, sizeof(eth->from));
	eth->type = put16(ETHERTYPE_IP4);
	*ip = (struct ip4){
		.version_ihl = 0x45,
		.length = put16((uint16_t)(sizeof(*ip) + udp_len)),
		.fragment = put16(DONT_FRAGMENT),
		.ttl = HOP_LIMIT,
		.protocol = IPPROTO_UDP,
	};
	memcpy(ip->from, path->from.ip, sizeof(ip->from));
	memcpy(ip->to, path->to.ip, sizeof(ip->to));
	ip_checksum(ip);
	*udp = (struct udp){
		.from = path->from.port,
		.to = path->to.port,
		.length = put16((uint16_t)udp_len),
	};
	memcpy(udp + 1, payload, len);
	udp_checksum(udp, ip, udp_len);
	return PACKET_HEADERS + len;
}

size_t packet_fragment(uint8_t packet[PACKET_MAX], size_t len)
{
	struct ip4 *ip = (struct ip4 *)(packet + sizeof(struct ethernet));

	ip->fragment = put16(MORE_FRAGMENTS);
	ip_checksum(ip);
	return len;
}

size_t packet_options(uint8_t packet[PACKET_MAX], size_t len)
{
	const size_t more = 4, at = sizeof(struct ethernet) + sizeof(struct ip4);
	struct ip4 *ip = (struct ip4 *)(packet + sizeof(struct ethernet));

	if (len + more > PACKET_MAX)
		return 0;
	memmove(packet + at + more, packet + at, len - at);
	memset(packet + at, OPTION_NOP, more);
	ip->version_ihl++;
	ip->length = put16((uint16_t)(get16(ip->length) + more));
	ip_checksum(ip);
	return len + more;
}

static int put(FILE *f, const void *bytes, size_t len)
{
	return fwrite(bytes, 1, len, f) == len ? 0 : -EIO;
}

int capture_begin(FILE *f)
{
	static const struct {
		uint32_t magic;
		uint16_t major, minor;
		uint32_t zone, accuracy, longest, link;
	} head = {0xa1b2c3d4, 2, 4, 0, 0, 65535, LINKTYPE_ETHERNET};

	return put(f, &head, sizeof(head));
}

int capture_put(FILE *f, uint64_t unix_us, const uint8_t *packet, size_t len)
{
	const uint32_t head[4] = {
		(uint32_t)(unix_us / 1000000),
		(uint32_t)(unix_us % 1000000),
		(uint32_t)len,
		(uint32_t)len,
	};
	int ret = put(f, head, sizeof(head));

	return ret < 0 ? ret : put(f, packet, len);
}
