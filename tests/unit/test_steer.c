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

#include "dataplane/shed.h"
#include "dataplane/xdp/steer.h"
#include "wire/frame.h"

#define SKIPPED 77 /* meson's */
#define PORT_HI 0x13
#define PORT_LO 0x06

static struct bpf_object *object;
static int program, ports, stats, socket_fd;
static struct port steered = {.workers = 1};
static struct flow_table flows;

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

/* ---- strangers and known flows ---- */

#define EPOCH 1000
#define FRAME_HEAD 16

/* Who sends a frame, and its head. */
struct sender {
	const char *address; /* with port */
	uint8_t version;
	uint8_t verb;
	uint64_t conn;
};

static struct addr addr_of(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, 0, &a), 0);
	return a;
}

/* A packet from the sender to the relay; returns its length. */
static uint32_t packet_write(const struct sender *s, uint8_t *packet)
{
	struct addr from = addr_of(s->address);
	const bool is6 = from.type == ADDR_IP6;
	const uint32_t udp = is6 ? UDP6 : UDP4;
	struct wire_header head = {.version = s->version, .verb = s->verb, .conn = put64(s->conn)};

	memcpy(packet, is6 ? udp6 : udp4, udp + 8);
	memcpy(packet + (is6 ? IP6 + 8 : IP4 + 12), from.ip, is6 ? 16 : 4);
	memcpy(packet + udp, &from.port, sizeof(from.port));
	packet[udp + 5] = 8 + FRAME_HEAD;
	memcpy(packet + udp + 8, &head, sizeof(head));
	return udp + 8 + FRAME_HEAD;
}

static uint32_t decide_frame(const struct sender *s)
{
	uint8_t packet[128];

	return decide(packet, packet_write(s, packet));
}

static uint32_t decide_verb(const char *address, uint8_t verb, uint64_t conn)
{
	return decide_frame(&(struct sender){address, WIRE_VERSION, verb, conn});
}

static struct flow flow_of(const char *address, uint64_t conn)
{
	struct addr peer = addr_of(address);

	return flow_find(&flows, &peer, VERB_SEND, conn);
}

static void mark(const char *address, uint64_t conn)
{
	struct flow f = flow_of(address, conn);

	flow_mark(&f);
}

static void forget(const char *address, uint64_t conn)
{
	struct flow f = flow_of(address, conn);

	flow_forget(&f);
}

/* Rates from now on; marks of before are lost with the seed. */
static void limit(uint32_t source, uint32_t total)
{
	const uint32_t queue = 0;
	const uint64_t full[8] = {0};
	const struct shed_limits limits = {.source = source, .total = total};

	flow_table_close(&flows);
	assert_int_equal(flow_table_open(&flows, &steered, &limits, EPOCH), 0);
	assert_int_equal(
		bpf_map_update_elem(bpf_object__find_map_fd_by_name(object, "steer_queues"), &queue,
				    full, BPF_ANY),
		0);
}

/* Sends HELLOs until none passes any more. */
static unsigned int drain(const char *address)
{
	unsigned int passed = 0;

	while (passed < 1000 && decide_verb(address, VERB_HELLO, passed + 1) == XDP_REDIRECT)
		passed++;
	return passed;
}

static int limits_open(void **state)
{
	open_ports(state);
	limit(10, 0);
	return 0;
}

static int limits_close(void **state)
{
	limit(0, 0);
	flow_table_close(&flows);
	return close_ports(state);
}

static void strangers_have_a_rate(void **state)
{
	uint64_t shed = counter(STEER_SHED_SOURCE), redirected = counter(STEER_REDIRECTED);

	(void)state;
	assert_int_equal(drain("10.1.0.1:5000"), 20);
	assert_int_equal(counter(STEER_SHED_SOURCE), shed + 1);
	assert_int_equal(counter(STEER_REDIRECTED), redirected + 20);
	assert_int_equal(decide_verb("10.1.0.1:5000", VERB_HELLO, 1), XDP_DROP);
	/* the source is the address, whatever the port; others have their own */
	assert_int_equal(decide_verb("10.1.0.1:5001", VERB_HELLO, 1), XDP_DROP);
	assert_int_equal(decide_verb("10.1.0.2:5000", VERB_HELLO, 1), XDP_REDIRECT);
	/* a token every tenth of a second */
	usleep(150000);
	assert_int_equal(decide_verb("10.1.0.1:5000", VERB_HELLO, 1), XDP_REDIRECT);
	assert_int_equal(decide_verb("10.1.0.1:5000", VERB_HELLO, 1), XDP_DROP);
}

static void zero_is_no_limit(void **state)
{
	(void)state;
	limit(0, 0);
	assert_int_equal(drain("10.1.1.1:5000"), 1000);
}

static void known_flow_passes_beside_a_flood(void **state)
{
	const char *victim = "10.1.2.1:5000";

	(void)state;
	mark(victim, 77);
	/* somebody writes the victim's address on his own packets */
	drain(victim);
	for (int i = 0; i < 100; i++)
		assert_int_equal(decide_verb(victim, VERB_PULL, 77), XDP_REDIRECT);
	assert_int_equal(decide_verb(victim, VERB_HELLO, 77), XDP_REDIRECT);
	/* but does not know the flow's number */
	assert_int_equal(decide_verb(victim, VERB_PULL, 78), XDP_DROP);
	assert_int_equal(decide_verb(victim, VERB_PULL, 0), XDP_DROP);
	assert_int_equal(decide_verb("10.1.2.1:5001", VERB_PULL, 77), XDP_DROP);
	drain("10.1.2.2:5000");
	assert_int_equal(decide_verb("10.1.2.2:5000", VERB_PULL, 77), XDP_DROP);
	/* what was proved wrong is not known any more */
	forget(victim, 77);
	assert_int_equal(decide_verb(victim, VERB_PULL, 77), XDP_DROP);
}

static void known_flow_of_ip6(void **state)
{
	const char *victim = "[fd99::1:0:0:7]:5000";

	(void)state;
	mark(victim, 77);
	drain(victim);
	assert_int_equal(decide_verb(victim, VERB_PULL, 77), XDP_REDIRECT);
	assert_int_equal(decide_verb("[fd99::1:0:0:8]:5000", VERB_PULL, 77), XDP_DROP);
}

static void ip6_source_is_its_64(void **state)
{
	(void)state;
	assert_int_equal(drain("[fd99:0:0:2::1]:5000"), 20);
	assert_int_equal(decide_verb("[fd99:0:0:2:ffff::9]:5000", VERB_HELLO, 1), XDP_DROP);
	assert_int_equal(decide_verb("[fd99:0:0:3::1]:5000", VERB_HELLO, 1), XDP_REDIRECT);
}

static void flow_expires(void **state)
{
	const char *who = "10.1.3.1:5000";

	(void)state;
	mark(who, 77);
	drain(who);
	flow_table_epoch(&flows, EPOCH + 1);
	assert_int_equal(decide_verb(who, VERB_PULL, 77), XDP_REDIRECT);
	flow_table_epoch(&flows, EPOCH + 2);
	assert_int_equal(decide_verb(who, VERB_PULL, 77), XDP_DROP);
}

static void malformed_is_a_strangers(void **state)
{
	const char *who = "10.1.4.1:5000";
	const struct sender malformed[] = {
		{who, 2, VERB_PULL, 77},  {who, 0, VERB_PULL, 77}, {who, 1, 0, 77},
		{who, 1, VERB_COUNT, 77}, {who, 1, 255, 77},
	};
	const struct sender good = {who, 1, VERB_PULL, 77},
			    other_version = {who, 9, VERB_HELLO, 77};
	uint8_t packet[128];
	uint32_t len;

	(void)state;
	mark(who, 77);
	drain(who);
	for (unsigned int i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++)
		assert_int_equal(decide_frame(&malformed[i]), XDP_DROP);
	assert_int_equal(decide_frame(&other_version), XDP_REDIRECT);
	/* cut short, by the packet's end or by UDP's length */
	len = packet_write(&good, packet);
	assert_int_equal(decide(packet, len), XDP_REDIRECT);
	assert_int_equal(decide(packet, len - 1), XDP_DROP);
	for (uint8_t udp_len = 0; udp_len < 8 + FRAME_HEAD; udp_len++)
		assert_int_equal(decide_with(packet, len, UDP4 + 5, udp_len), XDP_DROP);
}

static void all_sources_together_have_a_rate(void **state)
{
	uint64_t shed = counter(STEER_SHED_TOTAL);
	char who[32];

	(void)state;
	limit(10, 50);
	mark("10.1.6.1:5000", 77);
	for (int i = 0; i < 20; i++) {
		snprintf(who, sizeof(who), "10.1.5.%d:5000", i + 1);
		/* a burst is a tenth of a second's */
		assert_int_equal(decide_verb(who, VERB_HELLO, 1), i < 5 ? XDP_REDIRECT : XDP_DROP);
	}
	assert_int_equal(counter(STEER_SHED_TOTAL), shed + 15);
	assert_int_equal(decide_verb("10.1.6.1:5000", VERB_PULL, 77), XDP_REDIRECT);
}

/* Its frames have another number each; a client's from there are strangers'. */
static void peer_is_known(void **state)
{
	const char *who = "10.1.7.1:4870";
	const uint8_t verbs[] = {VERB_QUERY, VERB_ANSWER, VERB_NOTICE};
	struct addr peer = addr_of(who);

	(void)state;
	flow_mark_peer(&flows, &peer);
	drain(who);
	for (unsigned int i = 0; i < sizeof(verbs); i++)
		assert_int_equal(decide_verb(who, verbs[i], 1000 + i), XDP_REDIRECT);
	assert_int_equal(decide_verb(who, VERB_SEND, 0), XDP_DROP);
	assert_int_equal(decide_verb("10.1.7.1:4871", VERB_QUERY, 1), XDP_DROP);
	forget(who, 0);
	assert_int_equal(decide_verb(who, VERB_QUERY, 1), XDP_REDIRECT);
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
	steered.flows_map = bpf_object__find_map_fd_by_name(object, STEER_FLOWS);
	steered.state_map = bpf_object__find_map_fd_by_name(object, STEER_STATE);
	if (program < 0 || ports < 0 || stats < 0 || socket_fd < 0 || steered.flows_map < 0 ||
	    steered.state_map < 0)
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
#define WITH_LIMITS(test) cmocka_unit_test_setup_teardown(test, limits_open, limits_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_map_passes_all),
		WITH_PORTS(own_address_and_port_redirected),
		WITH_PORTS(other_destinations_pass),
		cmocka_unit_test(families_are_apart),
		WITH_PORTS(not_plain_udp_passes),
		WITH_PORTS(fragments_pass),
		WITH_PORTS(short_packets_pass),
		WITH_PORTS(no_socket_passes),
		WITH_PORTS(every_packet_counted),
		WITH_LIMITS(strangers_have_a_rate),
		WITH_LIMITS(zero_is_no_limit),
		WITH_LIMITS(known_flow_passes_beside_a_flood),
		WITH_LIMITS(known_flow_of_ip6),
		WITH_LIMITS(ip6_source_is_its_64),
		WITH_LIMITS(flow_expires),
		WITH_LIMITS(malformed_is_a_strangers),
		WITH_LIMITS(all_sources_together_have_a_rate),
		WITH_LIMITS(peer_is_known),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "skipped: loading an XDP program needs root\n");
		return SKIPPED;
	}
	return cmocka_run_group_tests(tests, load, unload);
}
