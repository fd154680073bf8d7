/* SPDX-License-Identifier: BSD-3-Clause
 * Routes with several paths, and next-hop objects that routes share, as FRR installs them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/route_net.h"

#define FLOWS 2000

static void gateways(void)
{
	for (int i = 3; i <= 6; i++) {
		run("ip neigh replace 10.77.0.%d lladdr 02:00:00:00:00:0%d dev v0 nud permanent", i,
		    i);
		run("ip neigh replace fd77::%d lladdr 02:00:00:00:00:0%d dev v0 nud permanent", i,
		    i);
	}
}

/* How flows to this host leave: by the last byte of the gateway's address. */
static void shares(const char *to, unsigned int by[16])
{
	struct addr a = host(to);

	memset(by, 0, 16 * sizeof(by[0]));
	for (uint16_t port = 1; port <= FLOWS; port++) {
		const struct addr *hosts = &a;
		struct nexthop nh;

		a.port = put16(port);
		nexthop_lookup(net.table, &hosts, 1, &nh);
		by[nh.state == NEXTHOP_READY ? nh.mac.addr_bytes[5] & 15 : 0]++;
	}
}

/* All by these, in these shares (percent), soon. */
static void wait_shares(const char *to, const unsigned int percent[16])
{
	unsigned int by[16];
	bool right;
	uint64_t end = clock_ms() + 10000;

	do {
		turn_for(10);
		shares(to, by);
		right = true;
		for (unsigned int i = 0; i < 16; i++) {
			int off = (int)(by[i] * 100 / FLOWS) - (int)percent[i];

			right &= percent[i] == 0 ? by[i] == 0 : abs(off) <= 6;
		}
	} while (!right && clock_ms() < end);
	if (!right)
		fail_msg("%s: by 0: %u, by 3: %u, by 4: %u, by 5: %u", to, by[0], by[3], by[4],
			 by[5]);
}

#define SHARES(...) ((const unsigned int[16]){__VA_ARGS__})

static void test_several(void **state)
{
	(void)state;
	gateways();
	run("ip route add 198.51.100.0/24 nexthop via 10.77.0.3 nexthop via 10.77.0.4 weight 3");
	wait_shares("198.51.100.7", SHARES([3] = 25, [4] = 75));
	/* one does not answer: its flows go by the other, and come back */
	run("ip neigh replace 10.77.0.3 dev v0 nud failed");
	wait_shares("198.51.100.7", SHARES([4] = 100));
	gateways();
	wait_shares("198.51.100.7", SHARES([3] = 25, [4] = 75));
	run("ip route append 198.51.100.0/24 via 10.77.0.5");
	run("ip route replace 198.51.100.0/24 nexthop via 10.77.0.5 nexthop via inet6 fd77::4");
	wait_shares("198.51.100.7", SHARES([4] = 50, [5] = 50));
}

/* IPv6 has a message for each path that goes, and one for all when one comes. */
static void test_several_ip6(void **state)
{
	(void)state;
	gateways();
	run("ip -6 route add 2001:db8:9::/48 nexthop via fd77::3 nexthop via fd77::4");
	wait_shares("2001:db8:9::1", SHARES([3] = 50, [4] = 50));
	run("ip -6 route append 2001:db8:9::/48 via fd77::5");
	wait_shares("2001:db8:9::1", SHARES([3] = 33, [4] = 33, [5] = 33));
	run("ip -6 route del 2001:db8:9::/48 via fd77::3");
	wait_shares("2001:db8:9::1", SHARES([4] = 50, [5] = 50));
	router_restart();
	wait_shares("2001:db8:9::1", SHARES([4] = 50, [5] = 50));
	run("ip -6 route replace 2001:db8:9::/48 via fd77::3");
	wait_shares("2001:db8:9::1", SHARES([3] = 100));
	run("ip -6 route del 2001:db8:9::/48");
	wait_shares("2001:db8:9::1", SHARES([0] = 100));
}

/* Two uplinks, of which one is not our port: all goes by ours. */
static void test_other_interface(void **state)
{
	(void)state;
	gateways();
	run("ip link add d0 type veth peer name d1");
	run("ip link set d1 up");
	run("ip address add 203.0.113.1/24 dev d0");
	run("ip link set d0 up");
	run("ip route add 198.51.100.0/24 nexthop via 203.0.113.2 nexthop via 10.77.0.4");
	wait_shares("198.51.100.7", SHARES([4] = 100));
	run("ip route add 198.51.100.7 via 203.0.113.2");
	wait_shares("198.51.100.7", SHARES([0] = 100));
	/* it goes, without a word of the routes by it */
	run("ip link set d0 down");
	wait_shares("198.51.100.7", SHARES([4] = 100));
	/* ours goes and comes, and of the path that is dead meanwhile nothing is said either */
	run("ip link set d0 up");
	run("ip route add 198.51.101.0/24 nexthop via 203.0.113.2 nexthop via 10.77.0.4");
	wait_shares("198.51.101.7", SHARES([4] = 100));
	run("ip link set v0 down");
	wait_shares("198.51.101.7", SHARES([0] = 100));
	run("ip link set v0 up");
	gateways();
	wait_shares("198.51.101.7", SHARES([4] = 100));
}

/* One change of an object is one for all its routes. */
static void test_objects(void **state)
{
	(void)state;
	gateways();
	run("ip nexthop add id 3 via 10.77.0.3 dev v0");
	run("ip nexthop add id 4 via 10.77.0.4 dev v0");
	run("ip nexthop add id 10 group 3/4,3");
	run("ip route add 198.51.100.0/24 nhid 3");
	run("ip route add 198.51.101.0/24 nhid 10");
	wait_shares("198.51.100.7", SHARES([3] = 100));
	wait_shares("198.51.101.7", SHARES([3] = 25, [4] = 75));
	router_restart();
	wait_shares("198.51.101.7", SHARES([3] = 25, [4] = 75));
	run("ip nexthop replace id 3 via 10.77.0.5 dev v0");
	wait_shares("198.51.100.7", SHARES([5] = 100));
	wait_shares("198.51.101.7", SHARES([4] = 75, [5] = 25));
	run("ip nexthop replace id 10 group 4");
	wait_shares("198.51.101.7", SHARES([4] = 100));
	run("ip nexthop replace id 3 blackhole");
	wait_shares("198.51.100.7", SHARES([0] = 100));
	run("ip nexthop replace id 3 via 10.77.0.3 dev v0");
	wait_shares("198.51.100.7", SHARES([3] = 100));
	/* its routes go with it, and the kernel does not say so */
	run("ip route add 198.51.0.0/16 via 10.77.0.5");
	run("ip nexthop del id 3");
	wait_shares("198.51.100.7", SHARES([5] = 100));
	run("ip nexthop flush");
	wait_shares("198.51.101.7", SHARES([5] = 100));
}

/* With compat mode off, a route names its object and nothing else. */
static void test_objects_alone(void **state)
{
	(void)state;
	gateways();
	run("echo 0 > /proc/sys/net/ipv4/nexthop_compat_mode");
	run("ip nexthop add id 3 via fd77::3 dev v0");
	run("ip nexthop add id 4 via fd77::4 dev v0");
	run("ip nexthop add id 10 group 3/4");
	run("ip -6 route add 2001:db8:9::/48 nhid 10");
	run("ip route add 198.51.100.0/24 nhid 10");
	wait_shares("2001:db8:9::1", SHARES([3] = 50, [4] = 50));
	wait_shares("198.51.100.7", SHARES([3] = 50, [4] = 50));
	run("ip nexthop replace id 4 via fd77::5 dev v0");
	wait_shares("2001:db8:9::1", SHARES([3] = 50, [5] = 50));
	router_restart();
	wait_shares("198.51.100.7", SHARES([3] = 50, [5] = 50));
	run("ip nexthop flush");
	wait_shares("2001:db8:9::1", SHARES([0] = 100));
	wait_shares("198.51.100.7", SHARES([0] = 100));
}

/* An object that changes to a gateway nobody knows yet: the old one is used until then. */
static void test_object_settles(void **state)
{
	(void)state;
	gateways();
	run_other("ip address add 10.77.0.9/24 dev v1");
	run("ip nexthop add id 3 via 10.77.0.3 dev v0");
	run("ip route add 198.51.100.0/24 nhid 3");
	wait_shares("198.51.100.7", SHARES([3] = 100));
	run("ip nexthop replace id 3 via 10.77.0.98 dev v0");
	turn_for(1000);
	assert_true(is("198.51.100.7", NEXTHOP_READY, 3));
	run("ip nexthop replace id 3 via 10.77.0.9 dev v0");
	for (uint64_t end = clock_ms() + 1000; clock_ms() < end; turn_for(2))
		assert_true(is("198.51.100.7", NEXTHOP_READY, 3) ||
			    is("198.51.100.7", NEXTHOP_READY, 2));
	assert_true(is("198.51.100.7", NEXTHOP_READY, 2));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, net_make, net_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_several), TEST(test_several_ip6),   TEST(test_other_interface),
		TEST(test_objects), TEST(test_objects_alone), TEST(test_object_settles),
	};

	return net_main(tests, sizeof(tests) / sizeof(tests[0]));
}
