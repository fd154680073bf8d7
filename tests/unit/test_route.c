/* SPDX-License-Identifier: BSD-3-Clause
 * Asking for a host: what the answer is, when it comes, and how long it stands.
 */
#include <errno.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/route_net.h"

static void test_on_link(void **state)
{
	struct addr a = host("10.77.0.2");

	(void)state;
	resolve("10.77.0.2");
	resolve("10.77.0.2");
	a.port = put16(9);
	assert_int_equal(router_resolve(net.router, &a), 0);
	wait_calls(1, 1000);
	assert_true(is("10.77.0.2", NEXTHOP_READY, 2));
	assert_int_equal(mtu("10.77.0.2"), 1500);
	assert_true(addr_same_host(&net.called, &a));
	turn_for(50);
	assert_int_equal(net.calls, 1);

	/* known: at once, and once */
	resolve("10.77.0.2");
	assert_int_equal(net.calls, 2);
	turn_for(50);
	assert_int_equal(net.calls, 2);
}

static void test_behind_router(void **state)
{
	(void)state;
	run("ip route add 198.51.100.0/24 via 10.77.0.2 mtu 1400");
	must_resolve("198.51.100.7", NEXTHOP_READY, 2);
	assert_int_equal(mtu("198.51.100.7"), 1400);
	/* the neighbour is known by now */
	resolve("198.51.100.8");
	assert_int_equal(net.calls, 1);
	assert_true(is("198.51.100.8", NEXTHOP_READY, 2));
}

static void test_ip6(void **state)
{
	(void)state;
	must_resolve("fd77::2", NEXTHOP_READY, 2);
	run("ip -6 route add 2001:db8:5::/48 via fe80::2 dev v0");
	must_resolve("2001:db8:5::9", NEXTHOP_READY, 2);
	must_resolve("fe80::2", NEXTHOP_READY, 2);
	run("ip route add 198.51.100.0/24 via inet6 fe80::2 dev v0");
	must_resolve("198.51.100.9", NEXTHOP_READY, 2);
	must_resolve("2001:db8:6::1", NEXTHOP_NO_ROUTE, 0);
}

static void test_no_route(void **state)
{
	(void)state;
	run("ip link add d0 type veth peer name d1");
	run("ip link set d1 up");
	run("ip address add 203.0.113.1/24 dev d0");
	run("ip link set d0 up");
	run("ip route add blackhole 198.18.1.0/24");
	run("ip route add unreachable 198.18.2.0/24");
	run("ip route add prohibit 198.18.3.0/24");
	must_resolve("203.0.113.9", NEXTHOP_NO_ROUTE, 0); /* another interface's */
	must_resolve("203.0.113.1", NEXTHOP_NO_ROUTE, 0); /* our own */
	must_resolve("10.77.0.1", NEXTHOP_NO_ROUTE, 0);	  /* our own */
	must_resolve("10.77.0.255", NEXTHOP_NO_ROUTE, 0); /* broadcast */
	must_resolve("198.18.1.1", NEXTHOP_NO_ROUTE, 0);
	must_resolve("198.18.2.1", NEXTHOP_NO_ROUTE, 0);
	must_resolve("198.18.3.1", NEXTHOP_NO_ROUTE, 0);
	must_resolve("192.0.2.77", NEXTHOP_NO_ROUTE, 0); /* nobody's */

	/* a bad answer is forgotten; a route that appears is seen before that */
	run("ip route add 192.0.2.0/24 via 10.77.0.2");
	wait_is("192.0.2.77", NEXTHOP_READY, 2, 1500);
	wait_is("198.18.1.1", -1, 0, 2600);
	assert_true(is("192.0.2.77", NEXTHOP_READY, 2));
	must_resolve("198.18.1.1", NEXTHOP_NO_ROUTE, 0);
}

static void test_dead_neighbour(void **state)
{
	uint64_t took;

	(void)state;
	resolve("10.77.0.99");
	turn_for(500);
	assert_int_equal(net.calls, 0);
	assert_true(is("10.77.0.99", -1, 0));
	resolve("10.77.0.99");
	took = wait_calls(1, 4000);
	assert_in_range(took, 1000, 2700); /* it was asked for 0.5 s ago */
	assert_true(is("10.77.0.99", NEXTHOP_NO_NEIGHBOUR, 0));
	wait_is("10.77.0.99", -1, 0, 2600);
	assert_int_equal(net.calls, 1);

	/* it comes alive while it is asked for */
	resolve("10.77.0.99");
	turn_for(300);
	run_other("ip address add 10.77.0.99/24 dev v1");
	wait_calls(2, 3000);
	assert_true(is("10.77.0.99", NEXTHOP_READY, 2));
}

/* No more than ROUTE_WAITING wait at once, and each of them is answered. */
static void test_busy(void **state)
{
	struct addr a = host("198.18.0.0");

	(void)state;
	run("ip route add 198.18.0.0/15 via 10.77.0.98");
	for (unsigned int i = 0; i < ROUTE_WAITING; i++) {
		a.ip[2] = (uint8_t)(i >> 8);
		a.ip[3] = (uint8_t)i;
		assert_int_equal(router_resolve(net.router, &a), 0);
	}
	a.ip[2] = 99;
	assert_int_equal(router_resolve(net.router, &a), -EBUSY);
	a.ip[2] = 0;
	assert_int_equal(router_resolve(net.router, &a), 0); /* among them */
	wait_calls(ROUTE_WAITING, 3000);
	assert_true(is("198.18.1.7", NEXTHOP_NO_NEIGHBOUR, 0));
	wait_is("198.18.1.7", -1, 0, 2600);
	turn_for(250);
	assert_int_equal(nexthop_count(net.table), 0);
	assert_int_equal(router_resolve(net.router, &a), 0);
}

/* Whoever names more targets than there is room for drives out no host in use. */
static void test_many_hosts_drive_out_none_in_use(void **state)
{
	struct addr a = host("198.18.0.0");

	(void)state;
	must_resolve("10.77.0.2", NEXTHOP_READY, 2);
	run("ip route add 198.18.0.0/15 via 10.77.0.2");
	/* it has been in use for some looks */
	for (unsigned int i = 0; i < 3; i++) {
		assert_true(is("10.77.0.2", NEXTHOP_READY, 2));
		turn_for(250);
	}
	for (unsigned int i = 0; i < 2 * ROUTE_HOSTS; i++) {
		a.ip[1] = (uint8_t)(18 + (i >> 16));
		a.ip[2] = (uint8_t)(i >> 8);
		a.ip[3] = (uint8_t)i;
		assert_int_equal(router_resolve(net.router, &a), 0);
		if (i % 1000 == 0)
			turn_for(1); /* what was removed is freed */
		/* a worker sends to it all the time */
		assert_true(is("10.77.0.2", NEXTHOP_READY, 2));
	}
	assert_int_equal(nexthop_count(net.table), ROUTE_HOSTS);
}

static void ask_more(void *ctx, const struct addr *a)
{
	struct addr next = *a;

	net_resolved(ctx, a);
	if (++next.ip[3] < 200)
		assert_int_equal(router_resolve(net.router, &next), 0);
}

/* Two uplinks: which one is decided by the address that packets come from. */
static void test_rule_by_source(void **state)
{
	(void)state;
	run("ip route add 198.51.100.0/24 via 10.77.0.2 table 77");
	must_resolve("198.51.100.7", NEXTHOP_NO_ROUTE, 0);
	run("ip rule add from 10.77.0.1 lookup 77");
	run("ip -6 route add 2001:db8:7::/48 via fd77::2 table 77");
	run("ip -6 rule add from fd77::1 lookup 77");
	must_resolve("198.51.100.8", NEXTHOP_READY, 2);
	/* a rule about an address of the other family is none of ours */
	must_resolve("2001:db8:7::1", NEXTHOP_NO_ROUTE, 0);
}

/* A port need not share its address with the kernel, which then knows no rule for it. */
static void test_address_of_nobody(void **state)
{
	const struct addr_pair none = {0};

	(void)state;
	router_destroy(net.router);
	net.router = router_create(net.base, net.table, if_nametoindex("v0"), &none, net_resolved,
				   &net.calls);
	assert_non_null(net.router);
	must_resolve("10.77.0.2", NEXTHOP_READY, 2);
}

static void test_asked_from_callback(void **state)
{
	const struct addr_pair from = {.ip4 = host("10.77.0.1")};
	struct addr a = host("198.51.100.0");

	(void)state;
	router_destroy(net.router);
	net.router = router_create(net.base, net.table, if_nametoindex("v0"), &from, ask_more,
				   &net.calls);
	assert_non_null(net.router);
	run("ip route add 198.51.100.0/24 via 10.77.0.2");
	assert_int_equal(router_resolve(net.router, &a), 0);
	wait_calls(200, 1000);
	assert_int_equal(nexthop_count(net.table), 200);
}

static void test_no_such_interface(void **state)
{
	const struct addr_pair from = {.ip4 = host("10.77.0.1")};

	(void)state;
	assert_null(router_create(net.base, net.table, 99999, &from, net_resolved, &net.calls));
	assert_int_equal(errno, ENODEV);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, net_make, net_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_on_link),
		TEST(test_behind_router),
		TEST(test_ip6),
		TEST(test_no_route),
		TEST(test_dead_neighbour),
		TEST(test_busy),
		TEST(test_many_hosts_drive_out_none_in_use),
		TEST(test_rule_by_source),
		TEST(test_address_of_nobody),
		TEST(test_asked_from_callback),
		TEST(test_no_such_interface),
	};

	return net_main(tests, sizeof(tests) / sizeof(tests[0]));
}
