/* SPDX-License-Identifier: BSD-3-Clause
 * Headers: what packet_finish() writes, packet_parse() accepts, and DPDK's own
 * checksum code agrees; what is wrong is dropped by its reason.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <rte_ip.h>
#include <rte_udp.h>

#include "dataplane/packet.h"
#include "store/slab.h"
#include "tests/unit/unit_eal.h"

static const struct rte_ether_addr mac_a = {{2, 0, 0, 0, 0, 0xa}};
static const struct rte_ether_addr mac_b = {{2, 0, 0, 0, 0, 0xb}};
static struct rte_mempool *pool;

struct family {
	const char *client;
	const char *relay;
	uint16_t l3; /* bytes of IP header */
};
static const struct family ip4 = {"198.51.100.7:5000", "192.0.2.1:4870", 20};
static const struct family ip6 = {"[2001:db8::7]:5000", "[2001:db8::1]:4870", 40};

static struct addr addr(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, 0, &a), 0);
	return a;
}

/* A packet from the client to the relay with `len` bytes of payload. */
static struct rte_mbuf *packet_make(const struct family *f, uint16_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	struct addr from = addr(f->client);
	uint8_t *payload = (uint8_t *)rte_pktmbuf_append(m, len);

	for (uint16_t i = 0; i < len; i++)
		payload[i] = (uint8_t)(i * 7 + len);
	packet_of(m)->peer = addr(f->relay);
	packet_of(m)->summed = 0;
	packet_finish(m, &from, &mac_a, &mac_b);
	return m;
}

static struct rte_ipv4_hdr *ip4_of(struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod_offset(m, void *, sizeof(struct rte_ether_hdr));
}

static struct rte_udp_hdr *udp_of(struct rte_mbuf *m, const struct family *f)
{
	return rte_pktmbuf_mtod_offset(m, void *, 14u + f->l3);
}

static void ip4_resum(struct rte_mbuf *m)
{
	ip4_of(m)->hdr_checksum = 0;
	ip4_of(m)->hdr_checksum = rte_ipv4_cksum(ip4_of(m));
}

/* A relay of this family alone. */
static struct addr_pair self_of(const struct family *f)
{
	struct addr_pair self = {0};

	*(f == &ip6 ? &self.ip6 : &self.ip4) = addr(f->relay);
	return self;
}

static enum drop parse_free(const struct family *f, struct rte_mbuf *m)
{
	struct addr_pair self = self_of(f);
	enum drop reason = packet_parse(m, &self);

	rte_pktmbuf_free(m);
	return reason;
}

static void round_trip(const struct family *f)
{
	for (uint16_t len = 0; len < 1300; len += len < 70 ? 1 : 97) {
		struct rte_mbuf *m = packet_make(f, len);
		struct addr_pair self = self_of(f);
		struct addr client = addr(f->client);
		const uint8_t *payload;

		/* Ethernet pads short frames; the padding is not payload */
		if (m->pkt_len < 60)
			memset(rte_pktmbuf_append(m, (uint16_t)(60 - m->pkt_len)), 0xee, 1);
		assert_int_equal(packet_parse(m, &self), DROP_NONE);
		assert_true(addr_equal(&packet_of(m)->peer, &client));
		assert_int_equal(packet_of(m)->payload_len, len);
		assert_int_equal(packet_of(m)->frame_len, f->l3 + 8 + len);
		assert_int_equal(rte_pktmbuf_data_len(m), len);
		assert_true(rte_is_same_ether_addr(&packet_of(m)->mac, &mac_a));
		/* its struct frame has room behind it, in the buffer */
		assert_true((uint8_t *)packet_frame(m) >= rte_pktmbuf_mtod(m, uint8_t *) + len);
		assert_true((uint8_t *)(packet_frame(m) + 1) <=
			    (uint8_t *)m->buf_addr + m->buf_len);
		payload = rte_pktmbuf_mtod(m, uint8_t *);
		for (uint16_t i = 0; i < len; i++)
			assert_int_equal(payload[i], (uint8_t)(i * 7 + len));
		rte_pktmbuf_free(m);
	}
}

static void test_round_trip_ip4(void **state)
{
	(void)state;
	round_trip(&ip4);
}

static void test_round_trip_ip6(void **state)
{
	(void)state;
	round_trip(&ip6);
}

static void test_checksums_are_dpdks(void **state)
{
	(void)state;
	for (uint16_t len = 0; len < 40; len++) {
		struct rte_mbuf *m = packet_make(&ip4, len);
		struct rte_ipv4_hdr *h4 = ip4_of(m);
		struct rte_ipv6_hdr *h6;
		uint16_t written = udp_of(m, &ip4)->dgram_cksum;

		udp_of(m, &ip4)->dgram_cksum = 0;
		assert_int_equal(written, rte_ipv4_udptcp_cksum(h4, h4 + 1));
		assert_int_equal(rte_raw_cksum(h4, sizeof(*h4)), 0xffff);
		rte_pktmbuf_free(m);
		m = packet_make(&ip6, len);
		h6 = (void *)ip4_of(m);
		written = udp_of(m, &ip6)->dgram_cksum;
		udp_of(m, &ip6)->dgram_cksum = 0;
		assert_int_equal(written, rte_ipv6_udptcp_cksum(h6, h6 + 1));
		rte_pktmbuf_free(m);
	}
}

static enum drop parse_unfinished(const struct family *f, struct rte_mbuf *m, bool *unfinished)
{
	struct addr_pair self = self_of(f);
	enum drop reason = packet_parse(m, &self);

	*unfinished = packet_of(m)->unfinished;
	rte_pktmbuf_free(m);
	return reason;
}

/* What a kernel writes that leaves the checksum to a device: with DPDK's words, the
 * pseudo header's sum. Any other wrong one is damage. */
static void unfinished(const struct family *f)
{
	bool marked;

	for (uint16_t len = 0; len < 1300; len += 53) {
		for (int off = -1; off <= 1; off++) {
			struct rte_mbuf *m = packet_make(f, len);
			void *l3 = ip4_of(m);
			uint16_t pseudo = f->l3 == 20 ? rte_ipv4_phdr_cksum(l3, 0)
						      : rte_ipv6_phdr_cksum(l3, 0);

			udp_of(m, f)->dgram_cksum = (uint16_t)(pseudo + off);
			assert_int_equal(parse_unfinished(f, m, &marked),
					 off == 0 ? DROP_NONE : DROP_UDP_CHECKSUM);
			assert_int_equal(marked, off == 0);
		}
		assert_int_equal(parse_unfinished(f, packet_make(f, len), &marked), DROP_NONE);
		assert_false(marked);
	}
}

static void test_unfinished_checksum(void **state)
{
	(void)state;
	unfinished(&ip4);
	unfinished(&ip6);
}

/* A payload, the sum of whose end is known beforehand, gets the same checksum. */
static void test_known_sum(void **state)
{
	(void)state;
	for (uint16_t len = 0; len < 1200; len += 41) {
		struct rte_mbuf *plain = packet_make(&ip4, len), *known;
		struct addr from = addr(ip4.client);

		known = rte_pktmbuf_alloc(pool);
		memcpy(rte_pktmbuf_append(known, len),
		       rte_pktmbuf_mtod_offset(plain, void *, 14 + 20 + 8), len);
		packet_of(known)->peer = addr(ip4.relay);
		packet_of(known)->summed = (uint16_t)(len - len / 3 / 2 * 2);
		packet_of(known)->sum =
			bytes_sum(rte_pktmbuf_mtod_offset(known, uint8_t *, len / 3 / 2 * 2),
				  packet_of(known)->summed);
		packet_finish(known, &from, &mac_a, &mac_b);
		assert_int_equal(plain->pkt_len, known->pkt_len);
		assert_memory_equal(rte_pktmbuf_mtod(plain, void *),
				    rte_pktmbuf_mtod(known, void *), plain->pkt_len);
		rte_pktmbuf_free(plain);
		rte_pktmbuf_free(known);
	}
}

/* A DATA whose head was made beforehand, for all chunks of a PULL, is the same frame as one that
 * was encoded by itself, byte for byte. */
static void headed(const struct family *f, uint32_t number, uint16_t len)
{
	const struct addr self = addr(f->relay), peer = addr(f->client);
	const struct echo echo = {9, {1, 2, 3, 4, 5, 6, (uint8_t)number}};
	uint8_t chunk[CHUNK_SIZE], frame[HEAD_MAX + CHUNK_SIZE];
	struct data d = {
		.echo = &echo,
		.stream = UINT64_C(0x1122334455667788) + len,
		.number = 77 + number,
		.first = number,
		.bytes = chunk,
		.len = len,
	};
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	struct head h;

	for (uint16_t i = 0; i < len; i++)
		chunk[i] = (uint8_t)(i * 11 + number);
	rte_pktmbuf_append(m, (uint16_t)(DATA_HEAD + len));
	assert_int_equal(data_encode(rte_pktmbuf_mtod(m, void *), WIRE_MAX_FRAME, 0x1201, 5, &d),
			 DATA_HEAD + len);
	packet_init(m, &peer);
	packet_finish(m, &self, &mac_a, &mac_b);
	d.first = 12345; /* not of all */
	head_make(&h, &self, &mac_a, &peer, &mac_b, 0x1201, 5, &d);
	head_sum(&h);
	head_write(&h, frame, number, len, bytes_sum(chunk, len));
	memcpy(frame + h.size, chunk, len);
	assert_int_equal(h.size, 14 + f->l3 + 8 + DATA_HEAD);
	assert_int_equal(m->data_len, h.size + len);
	assert_memory_equal(frame, rte_pktmbuf_mtod(m, void *), m->data_len);
	rte_pktmbuf_free(m);
}

static void test_head_made_beforehand(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 3000; i++) {
		const uint16_t len = (uint16_t)(1 + i * 31 % CHUNK_SIZE);

		headed(&ip4, i * i * 6, len);
		headed(&ip6, i * i * 6, len);
	}
}

static void truncated(const struct family *f)
{
	uint16_t whole = (uint16_t)(14 + f->l3 + 8 + 50);

	for (uint16_t len = 0; len < whole; len++) {
		struct rte_mbuf *m = packet_make(f, 50);

		rte_pktmbuf_trim(m, (uint16_t)(whole - len));
		assert_int_not_equal(parse_free(f, m), DROP_NONE);
	}
	assert_int_equal(parse_free(f, packet_make(f, 50)), DROP_NONE);
}

static void test_truncated(void **state)
{
	(void)state;
	truncated(&ip4);
	truncated(&ip6);
}

static void flipped(const struct family *f, enum drop expected)
{
	/* every bit of the payload and of the ports is under the checksum */
	for (uint32_t at = 14u + f->l3 + 8; at < 14u + f->l3 + 8 + 20; at++) {
		struct rte_mbuf *m = packet_make(f, 20);

		*rte_pktmbuf_mtod_offset(m, uint8_t *, at) ^= 0x10;
		assert_int_equal(parse_free(f, m), expected);
	}
}

static void test_flipped_bits(void **state)
{
	(void)state;
	flipped(&ip4, DROP_UDP_CHECKSUM);
	flipped(&ip6, DROP_UDP_CHECKSUM);
}

static void test_ip4_header(void **state)
{
	struct rte_mbuf *m;

	(void)state;
	m = packet_make(&ip4, 8);
	ip4_of(m)->version_ihl = 0x46; /* options */
	assert_int_equal(parse_free(&ip4, m), DROP_IP_HEADER);
	m = packet_make(&ip4, 8);
	ip4_of(m)->fragment_offset = rte_cpu_to_be_16(RTE_IPV4_HDR_MF_FLAG);
	ip4_resum(m);
	assert_int_equal(parse_free(&ip4, m), DROP_IP_HEADER);
	m = packet_make(&ip4, 8);
	ip4_of(m)->fragment_offset = rte_cpu_to_be_16(3);
	ip4_resum(m);
	assert_int_equal(parse_free(&ip4, m), DROP_IP_HEADER);
	m = packet_make(&ip4, 8);
	ip4_of(m)->hdr_checksum ^= 1;
	assert_int_equal(parse_free(&ip4, m), DROP_IP_CHECKSUM);
	m = packet_make(&ip4, 8);
	ip4_of(m)->next_proto_id = IPPROTO_TCP;
	ip4_resum(m);
	assert_int_equal(parse_free(&ip4, m), DROP_UDP_HEADER);
	m = packet_make(&ip4, 8);
	ip4_of(m)->dst_addr ^= 0x01000000;
	ip4_resum(m);
	assert_int_equal(parse_free(&ip4, m), DROP_NOT_OURS);
	m = packet_make(&ip4, 8);
	ip4_of(m)->src_addr = rte_cpu_to_be_32(0x7f000001);
	ip4_resum(m);
	assert_int_equal(parse_free(&ip4, m), DROP_ADDRESS);
}

static void test_udp_header(void **state)
{
	struct rte_mbuf *m;

	(void)state;
	m = packet_make(&ip4, 8); /* RFC 768: zero means none; RFC 8200 forbids that */
	udp_of(m, &ip4)->dgram_cksum = 0;
	assert_int_equal(parse_free(&ip4, m), DROP_NONE);
	m = packet_make(&ip6, 8);
	udp_of(m, &ip6)->dgram_cksum = 0;
	assert_int_equal(parse_free(&ip6, m), DROP_UDP_CHECKSUM);
	m = packet_make(&ip4, 8);
	udp_of(m, &ip4)->dst_port ^= 1;
	assert_int_equal(parse_free(&ip4, m), DROP_NOT_OURS);
	m = packet_make(&ip4, 8);
	udp_of(m, &ip4)->dgram_len = rte_cpu_to_be_16(7);
	assert_int_equal(parse_free(&ip4, m), DROP_UDP_HEADER);
	m = packet_make(&ip4, 8);
	udp_of(m, &ip4)->dgram_len = rte_cpu_to_be_16(17);
	assert_int_equal(parse_free(&ip4, m), DROP_UDP_HEADER);
	/* IP may carry more than UDP says (RFC 768): the rest is not payload */
	m = packet_make(&ip4, 8);
	rte_pktmbuf_append(m, 4);
	ip4_of(m)->total_length = rte_cpu_to_be_16(20 + 8 + 8 + 4);
	ip4_resum(m);
	assert_int_equal(parse_free(&ip4, m), DROP_NONE);
	m = packet_make(&ip4, 8);
	udp_of(m, &ip4)->src_port = 0;
	assert_int_equal(parse_free(&ip4, m), DROP_ADDRESS);
}

static void test_not_ip(void **state)
{
	struct rte_mbuf *m = packet_make(&ip4, 8);

	(void)state;
	rte_pktmbuf_mtod(m, struct rte_ether_hdr *)->ether_type =
		rte_cpu_to_be_16(RTE_ETHER_TYPE_ARP);
	assert_int_equal(parse_free(&ip4, m), DROP_NOT_IP);
	/* the other family than the relay listens on */
	assert_int_equal(parse_free(&ip6, packet_make(&ip4, 8)), DROP_NOT_OURS);
}

static int setup(void **state)
{
	if (unit_eal_start(state) < 0)
		return -1;
	pool = unit_pool("packets");
	return pool != NULL ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip_ip4),
		cmocka_unit_test(test_round_trip_ip6),
		cmocka_unit_test(test_checksums_are_dpdks),
		cmocka_unit_test(test_unfinished_checksum),
		cmocka_unit_test(test_known_sum),
		cmocka_unit_test(test_head_made_beforehand),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_flipped_bits),
		cmocka_unit_test(test_ip4_header),
		cmocka_unit_test(test_udp_header),
		cmocka_unit_test(test_not_ip),
	};

	return cmocka_run_group_tests(tests, setup, unit_eal_stop);
}
