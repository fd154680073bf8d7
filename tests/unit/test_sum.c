/* SPDX-License-Identifier: BSD-3-Clause
 * One's-complement sums, against RFC 1071 by the letter and against DPDK's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "slab_pieces.h"

static void test_sum_equals_references(void **state)
{
	uint8_t buf[1400 + 16];

	(void)state;
	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)random_next();
	for (size_t len = 0; len <= 1400; len++) {
		const uint8_t *at = buf + len % 16;

		assert_int_equal(bytes_sum(at, len), sum_by_the_rfc(at, len));
		assert_int_equal(bytes_sum(at, len), rte_raw_cksum(at, len));
	}
}

static void test_sum_extremes(void **state)
{
	size_t size = 9 * MIB + 1;
	uint8_t *ones = malloc(size);
	uint8_t zeros[CHUNK_SIZE] = {0};

	(void)state;
	assert_non_null(ones);
	memset(ones, 0xff, size);
	assert_int_equal(bytes_sum(zeros, sizeof(zeros)), 0);
	assert_int_equal(bytes_sum(ones, 2), 0xffff);
	assert_int_equal(bytes_sum(ones, 1), 0x00ff);
	assert_int_equal(bytes_sum(ones, CHUNK_SIZE), 0xffff);
	assert_int_equal(bytes_sum(ones, size), sum_by_the_rfc(ones, size));
	free(ones);
}

/* The use of it: a UDP checksum from the header's sum and the payload's. */
static void test_sum_makes_udp_checksum(void **state)
{
	struct {
		struct rte_ipv4_hdr ip;
		struct rte_udp_hdr udp;
		uint8_t payload[CHUNK_SIZE];
	} p;

	(void)state;
	for (uint32_t len = 1; len <= CHUNK_SIZE; len += 7) {
		uint32_t sum;

		memset(&p, 0, sizeof(p));
		p.ip.version_ihl = 0x45;
		p.ip.total_length = htons((uint16_t)(28 + len));
		p.ip.next_proto_id = IPPROTO_UDP;
		p.ip.src_addr = (uint32_t)random_next();
		p.ip.dst_addr = (uint32_t)random_next();
		p.udp.dgram_len = htons((uint16_t)(8 + len));
		for (uint32_t i = 0; i < len; i++)
			p.payload[i] = (uint8_t)random_next();
		sum = rte_ipv4_phdr_cksum(&p.ip, 0);
		sum += rte_raw_cksum(&p.udp, sizeof(p.udp));
		sum += bytes_sum(p.payload, len);
		sum = (sum & 0xffff) + (sum >> 16);
		sum = (sum & 0xffff) + (sum >> 16);
		sum = sum == 0xffff ? 0xffff : ~sum & 0xffff; /* zero is sent as ones */
		assert_int_equal(sum, rte_ipv4_udptcp_cksum(&p.ip, &p.udp));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sum_equals_references),
		cmocka_unit_test(test_sum_extremes),
		cmocka_unit_test(test_sum_makes_udp_checksum),
	};

	return cmocka_run_group_tests_name("sum", tests, NULL, NULL);
}
