/* SPDX-License-Identifier: BSD-3-Clause
 * The XDP program's decisions, packet by packet, in the kernel's own test run.
 * Needs root.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "dataplane/xdp/steer.h"

#define SKIPPED 77 /* meson's */
#define PORT_HI 0x13
#define PORT_LO 0x06

static struct bpf_object *object;
static int program, ports, stats, socket_fd;

static const uint8_t relay4[16] = {10, 0, 0, 1};
static const uint8_t relay6[16] = {0xfd, 0x99, [15] = 1};

/* Ethernet, IPv4 and UDP to the relay's address and port; 8 bytes of payload. */
static const uint8_t udp4[] = {
	2,    0,    0,	     0,	      0,   1,	2,   0,	  0,  0,  0, 2, 0x08, 0, /* Ethernet */
	0x45, 0,    0,	     36,      0,   1,	0,   0,	  64, 17, 0, 0, /* IPv4, no fragment, UDP */
	10,   0,    0,	     2,	      10,  0,	0,   1,			/* addresses */
	0x12, 0x34, PORT_HI, PORT_LO, 0,   16,	0,   0,			/* UDP */
	'p',  'a',  'y',     'l',     'o', 'a', 'd', '.',
};
#define IP4 14
#define UDP4 (IP4 + 20)

static const uint8_t udp6[] = {
	2,    0,    0,	     0,	      0, 1,  2,	 0,  0,	  0,   0,   2,	 0x86, 0xdd, /* Ethernet */
	0x60, 0,    0,	     0,	      0, 16, 17, 64,				     /* IPv6, UDP */
	0xfd, 0x99, 0,	     0,	      0, 0,  0,	 0,  0,	  0,   0,   0,	 0,    0,
	0,    2, /* source */
	0xfd, 0x99, 0,	     0,	      0, 0,  0,	 0,  0,	  0,   0,   0,	 0,    0,
	0,    1, /* destination */
	0x12, 0x34, PORT_HI, PORT_LO, 0, 16, 0,	 0,  'p', 'a', 'y', 'l', 'o',  'a',
	'd',  '.',
};
#define IP6 14
#define UDP6 (IP6 + 40)

static uint32_t decide(const uint8_t *packet, uint32_t len)
{
	uint8_t out[256];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = len,
		    .data_out = out, .data_size_out = sizeof(out), .repeat = 1);

	assert_int_equal(bpf_prog_test_run_opts(program, &opts), 0);
	/* it only reads */
	assert_int_equal(opts.data_size_out, len);
	assert_memory_equal(out, packet, len);
	return opts.retval;
}

/* What becomes of `base` with one byte changed. */
static uint32_t decide_with(const uint8_t *base, uint32_t len, uint32_t at, uint8_t value)
{
	uint8_t packet[128];

	assert_true(len <= sizeof(packet) && at < len);
	memcpy(packet, base, len);
	assert_int_not_equal(packet[at], value);
	packet[at] = value;
	return decide(packet, len);
}

static struct steer_key key_of(uint8_t family, const uint8_t ip[16])
{
	struct steer_key key = {.family = family};
	const uint8_t port[2] = {PORT_HI, PORT_LO};

	memcpy(key.ip, ip, sizeof(key.ip));
	memcpy(&key.port, port, sizeof(key.port));
	return key;
}

static void listen_on(uint8_t family, const uint8_t ip[16])
{
	struct steer_key key = key_of(family, ip);
	const uint8_t yes = 1;

	assert_int_equal(bpf_map_update_elem(ports, &key, &yes, BPF_ANY), 0);
}

static int open_ports(void **state)
{
	(void)state;
	listen_on(4, relay4);
	listen_on(6, relay6);
	return 0;
}

static int close_ports(void **state)
{
	struct steer_key key4 = key_of(4, relay4), key6 = key_of(6, relay6);

	(void)state;
	bpf_map_delete_elem(ports, &key4);
	bpf_map_delete_elem(ports, &key6);
	return 0;
}

static void empty_map_passes_all(void **state)
{
	(void)state;
	assert_int_equal(decide(udp4, sizeof(udp4)), XDP_PASS);
	assert_int_equal(decide(udp6, sizeof(udp6)), XDP_PASS);
}

static void own_address_and_port_redirected(void **state)
{
	(void)state;
	assert_int_equal(decide(udp4, sizeof(udp4)), XDP_REDIRECT);
	assert_int_equal(decide(udp6, sizeof(udp6)), XDP_REDIRECT);
}

static void other_destinations_pass(void **state)
{
	(void)state;
	/* a gateway forwards other people's packets to the same port */
	assert_int_equal(decide_with(udp4, sizeof(udp4), IP4 + 19, 9), XDP_PASS);
	assert_int_equal(decide_with(udp6, sizeof(udp6), IP6 + 39, 9), XDP_PASS);
	assert_int_equal(decide_with(udp4, sizeof(udp4), UDP4 + 3, PORT_LO + 1), XDP_PASS);
	assert_int_equal(decide_with(udp6, sizeof(udp6), UDP6 + 3, PORT_LO + 1), XDP_PASS);
	/* from our port is not to our port */
	assert_int_equal(decide_with(udp4, sizeof(udp4), UDP4 + 2, 0), XDP_PASS);
}

static void families_are_apart(void **state)
{
	/* an IPv6 address that begins with the bytes of our IPv4 address */
	const uint8_t like4[16] = {10, 0, 0, 1};
	struct steer_key key = key_of(6, like4);
	const uint8_t yes = 1;

	(void)state;
	assert_int_equal(bpf_map_update_elem(ports, &key, &yes, BPF_ANY), 0);
	assert_int_equal(decide(udp4, sizeof(udp4)), XDP_PASS);
	assert_int_equal(bpf_map_delete_elem(ports, &key), 0);
}

static void not_plain_udp_passes(void **state)
{
	(void)state;
	assert_int_equal(decide_with(udp4, sizeof(udp4), IP4 + 9, 6), XDP_PASS);
	assert_int_equal(decide_with(udp6, sizeof(udp6), IP6 + 6, 6), XDP_PASS);
	/* IPv4 options, a wrong version, an extension header */
	assert_int_equal(decide_with(udp4, sizeof(udp4), IP4, 0x46), XDP_PASS);
	assert_int_equal(decide_with(udp4, sizeof(udp4), IP4, 0x44), XDP_PASS);
	assert_int_equal(decide_with(udp4, sizeof(udp4), IP4, 0x65), XDP_PASS);
	assert_int_equal(decide_with(udp6, sizeof(udp6), IP6, 0x40), XDP_PASS);
	assert_int_equal(decide_with(udp6, sizeof(udp6), IP6 + 6, 44), XDP_PASS);
	/* VLAN tag, ARP */
	assert_int_equal(decide_with(udp4, sizeof(udp4), 12, 0x81), XDP_PASS);
	assert_int_equal(decide_with(udp4, sizeof(udp4), 13, 0x06), XDP_PASS);
}

static void fragments_pass(void **state)
{
	(void)state;
	/* more to come; offset in the high byte; offset in the low byte */
	assert_int_equal(decide_with(udp4, sizeof(udp4), IP4 + 6, 0x20), XDP_PASS);
	assert_int_equal(decide_with(udp4, sizeof(udp4), IP4 + 6, 0x01), XDP_PASS);
	assert_int_equal(decide_with(udp4, sizeof(udp4), IP4 + 7, 0x01), XDP_PASS);
	/* "do not fragment" is not a fragment */
	assert_int_equal(decide_with(udp4, sizeof(udp4), IP4 + 6, 0x40), XDP_REDIRECT);
}

static void short_packets_pass(void **state)
{
	uint32_t len;

	(void)state;
	/* the kernel's test run takes no less than an Ethernet header */
	for (len = 14; len < UDP4 + 8; len++)
		assert_int_equal(decide(udp4, len), XDP_PASS);
	for (len = 14; len < UDP6 + 8; len++)
		assert_int_equal(decide(udp6, len), XDP_PASS);
	assert_int_equal(decide(udp4, UDP4 + 8), XDP_REDIRECT);
	assert_int_equal(decide(udp6, UDP6 + 8), XDP_REDIRECT);
}

/* Without a socket on the queue the packet belongs to the kernel. */
static void no_socket_passes(void **state)
{
	struct bpf_map *xsks = bpf_object__find_map_by_name(object, "xsks_map");
	const uint32_t queue = 0;

	(void)state;
	assert_int_equal(bpf_map_delete_elem(bpf_map__fd(xsks), &queue), 0);
	assert_int_equal(decide(udp4, sizeof(udp4)), XDP_PASS);
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(xsks), &queue, &socket_fd, 0), 0);
}

static uint64_t counter(uint32_t which)
{
	uint64_t value[1024], sum = 0;
	int i, cpus = libbpf_num_possible_cpus();

	assert_in_range(cpus, 1, 1024);
	assert_int_equal(bpf_map_lookup_elem(stats, &which, value), 0);
	for (i = 0; i < cpus; i++)
		sum += value[i];
	return sum;
}

static void every_packet_counted(void **state)
{
	uint64_t redirected = counter(STEER_REDIRECTED), passed = counter(STEER_PASSED);

	(void)state;
	decide(udp4, sizeof(udp4));
	decide(udp6, sizeof(udp6));
	decide(udp4, 20);
	assert_int_equal(counter(STEER_REDIRECTED), redirected + 2);
	assert_int_equal(counter(STEER_PASSED), passed + 1);
}

static int load(void **state)
{
	const uint32_t queue = 0;

	(void)state;
	object = bpf_object__open_file(STEER_BUILT, NULL);
	if (!object || bpf_object__load(object))
		return -1;
	/* the af_xdp driver takes the first one */
	program = bpf_program__fd(bpf_object__next_program(object, NULL));
	ports = bpf_object__find_map_fd_by_name(object, STEER_PORTS);
	stats = bpf_object__find_map_fd_by_name(object, STEER_STATS);
	socket_fd = socket(AF_XDP, SOCK_RAW, 0);
	if (program < 0 || ports < 0 || stats < 0 || socket_fd < 0)
		return -1;
	return bpf_map_update_elem(bpf_object__find_map_fd_by_name(object, "xsks_map"), &queue,
				   &socket_fd, 0);
}

static int unload(void **state)
{
	(void)state;
	close(socket_fd);
	bpf_object__close(object);
	return 0;
}

#define WITH_PORTS(test) cmocka_unit_test_setup_teardown(test, open_ports, close_ports)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_map_passes_all), WITH_PORTS(own_address_and_port_redirected),
		WITH_PORTS(other_destinations_pass),	cmocka_unit_test(families_are_apart),
		WITH_PORTS(not_plain_udp_passes),	WITH_PORTS(fragments_pass),
		WITH_PORTS(short_packets_pass),		WITH_PORTS(no_socket_passes),
		WITH_PORTS(every_packet_counted),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "skipped: loading an XDP program needs root\n");
		return SKIPPED;
	}
	return cmocka_run_group_tests(tests, load, unload);
}
