/* SPDX-License-Identifier: BSD-3-Clause
 * Asking for a host: what the answer is, when it comes, and how long it stands.
 */
#include <errno.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/route_net.h"

static void test_on_link(void **state)
{
	struct addr a = host("10.77.0.2");

	(void)state;
	assert_int_equal(resolve("10.77.0.2"), -EINPROGRESS);
	assert_int_equal(resolve("10.77.0.2"), -EINPROGRESS);
	wait_calls(1, 10000);
	assert_true(is("10.77.0.2", NEXTHOP_READY, 2));
	assert_true(addr_same_host(&net.called, &a));
	turn_for(50);
	assert_int_equal(net.calls, 1);

	/* known: nobody waits */
	assert_int_equal(resolve("10.77.0.2"), 0);
	turn_for(50);
	assert_int_equal(net.calls, 1);
}

static void test_behind_router(void **state)
{
	(void)state;
	run("ip route add 198.51.100.0/24 via 10.77.0.2");
	must_resolve("198.51.100.7", NEXTHOP_READY, 2);
	/* the neighbour is known by now */
	assert_true(is("198.51.100.8", NEXTHOP_READY, 2));
	/* and as a host on the link it is found when it is asked for */
	assert_true(is("10.77.0.2", NEXTHOP_UNKNOWN, 0));
	assert_int_equal(resolve("10.77.0.2"), 0);
	assert_true(is("10.77.0.2", NEXTHOP_READY, 2));
}

static void test_ip6(void **state)
{
	(void)state;
	must_resolve("fd77::2", NEXTHOP_READY, 2);
	run("ip -6 route add 2001:db8:5::/48 via fe80::2 dev v0");
	wait_is("2001:db8:5::9", NEXTHOP_READY, 2, 10000);
	must_resolve("fe80::2", NEXTHOP_READY, 2);
	run("ip route add 198.51.100.0/24 via inet6 fe80::2 dev v0");
	wait_is("198.51.100.9", NEXTHOP_READY, 2, 10000);
	assert_int_equal(resolve("2001:db8:6::1"), -ENETUNREACH);
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
	run("ip route add 198.18.0.0/16 via 10.77.0.2");
	must_resolve("198.18.0.1", NEXTHOP_READY, 2);
	settle();
	assert_true(is("203.0.113.9", NEXTHOP_NO_ROUTE, 0)); /* another interface's */
	assert_true(is("203.0.113.1", NEXTHOP_NO_ROUTE, 0)); /* our own */
	assert_true(is("10.77.0.1", NEXTHOP_NO_ROUTE, 0));   /* our own */
	assert_true(is("10.77.0.255", NEXTHOP_NO_ROUTE, 0)); /* broadcast */
	assert_true(is("198.18.1.1", NEXTHOP_NO_ROUTE, 0));
	assert_true(is("198.18.2.1", NEXTHOP_NO_ROUTE, 0));
	assert_true(is("198.18.3.1", NEXTHOP_NO_ROUTE, 0));
	assert_true(is("192.0.2.77", NEXTHOP_NO_ROUTE, 0)); /* nobody's */
	assert_int_equal(resolve("192.0.2.77"), -ENETUNREACH);
	run("ip route add 192.0.2.0/24 via 10.77.0.2");
	wait_is("192.0.2.77", NEXTHOP_READY, 2, 10000);
	assert_int_equal(net.calls, 0);
}

static void test_dead_neighbour(void **state)
{
	uint64_t took;

	(void)state;
	assert_int_equal(resolve("10.77.0.99"), -EINPROGRESS);
	turn_for(500);
	assert_int_equal(net.calls, 0);
	assert_true(is("10.77.0.99", NEXTHOP_UNKNOWN, 0));
	assert_int_equal(resolve("10.77.0.99"), -EINPROGRESS);
	took = wait_calls(1, 10000);
	assert_true(took >= 1000); /* it was asked for 0.5 s ago */
	assert_true(is("10.77.0.99", NEXTHOP_NO_NEIGHBOUR, 0));
	assert_int_equal(resolve("10.77.0.99"), -EHOSTUNREACH);
	wait_is("10.77.0.99", NEXTHOP_UNKNOWN, 0, 10000);
	assert_int_equal(net.calls, 1);

	/* it comes alive while it is asked for */
	assert_int_equal(resolve("10.77.0.99"), -EINPROGRESS);
	turn_for(300);
	run_other("ip address add 10.77.0.99/24 dev v1");
	wait_calls(2, 10000);
	assert_true(is("10.77.0.99", NEXTHOP_READY, 2));
}

/* Host number n of a network without hosts, asked for by a source of its own. */
static int resolve_nth(unsigned int n)
{
	struct addr a = host("198.18.0.0"), source = host("10.0.0.1"), neighbour;

	a.ip[1] = (uint8_t)(18 + (n >> 16));
	a.ip[2] = (uint8_t)(n >> 8);
	a.ip[3] = (uint8_t)n;
	source.ip[1] = (uint8_t)(n >> 8);
	source.ip[2] = (uint8_t)n;
	return router_resolve(net.router, &a, &source, &neighbour);
}

/* No more than ROUTE_WAITING are asked for at once, and each of them is answered. */
static void test_busy(void **state)
{
	(void)state;
	run("ip route add 198.18.0.0/15 dev v0");
	settle();
	for (unsigned int i = 0; i < ROUTE_WAITING; i++)
		assert_int_equal(resolve_nth(i), -EINPROGRESS);
	assert_int_equal(resolve_nth(9999), -EBUSY);
	assert_int_equal(resolve_nth(7), -EINPROGRESS); /* among them */
	wait_calls(ROUTE_WAITING, 10000);
	assert_true(is("198.18.0.99", NEXTHOP_NO_NEIGHBOUR, 0));
	wait_is("198.18.0.99", NEXTHOP_UNKNOWN, 0, 10000);
	turn_for(250);
	assert_int_equal(router_size(net.router).neighbours, 0);
	assert_int_equal(resolve_nth(9999), -EINPROGRESS);
}

/* A source that names many hosts has only so many of them asked for. */
static void test_budget(void **state)
{
	struct addr source = host("192.0.2.1"), a = host("198.18.0.0"), neighbour;
	unsigned int asked = 0;
	uint64_t began = clock_ms();

	(void)state;
	run("ip route add 198.18.0.0/15 dev v0");
	settle();
	must_resolve("10.77.0.2", NEXTHOP_READY, 2);
	for (unsigned int i = 0; i < 2 * ROUTE_ASKS_BURST; i++) {
		a.ip[2] = (uint8_t)(i >> 8);
		a.ip[3] = (uint8_t)i;
		source.ip[3] = (uint8_t)i; /* of one network */
		asked += router_resolve(net.router, &a, &source, &neighbour) == -EINPROGRESS;
	}
	assert_in_range(asked, ROUTE_ASKS_BURST - 1,
			ROUTE_ASKS_BURST +
				ROUTE_ASKS_PER_SECOND * (clock_ms() - began + 1000) / 1000);
	assert_int_equal(router_resolve(net.router, &a, &source, &neighbour), -EDQUOT);
	/* what is known, or asked for, costs nothing; other sources have their own */
	assert_int_equal(resolve("10.77.0.2"), 0);
	assert_int_equal(resolve("198.18.0.1"), -EINPROGRESS);
	assert_int_equal(resolve_nth(9999), -EINPROGRESS);
}

/* Whoever names more hosts than there is room for drives out none in use. */
static void test_many_hosts_drive_out_none_in_use(void **state)
{
	(void)state;
	net.config.neighbours = 64;
	router_restart();
	run_other("ip route add local 198.18.0.0/15 dev v1"); /* it is all of these */
	run("ip route add 198.18.0.0/15 dev v0");
	settle();
	must_resolve("10.77.0.2", NEXTHOP_READY, 2);
	/* it has been in use for some looks */
	for (unsigned int i = 0; i < 3; i++) {
		assert_true(is("10.77.0.2", NEXTHOP_READY, 2));
		turn_for(450);
	}
	for (unsigned int i = 0; i < 300; i++) {
		int rc = resolve_nth(i);

		assert_true(rc == -EINPROGRESS || rc == -EBUSY);
		turn_for(5); /* it answers, and what was removed is freed */
		/* a worker sends to it all the time */
		assert_true(is("10.77.0.2", NEXTHOP_READY, 2));
	}
	assert_in_range(router_size(net.router).neighbours, 32, 64);
	turn_for(500);
	assert_int_equal(resolve_nth(999), -EINPROGRESS);
}

/* Two uplinks: which one is decided by the address that packets come from. */
static void test_rule_by_source(void **state)
{
	(void)state;
	run("ip route add 198.51.100.0/24 via 10.77.0.2 table 77");
	settle();
	assert_true(is("198.51.100.7", NEXTHOP_NO_ROUTE, 0));
	run("ip rule add from 10.77.0.1 lookup 77");
	run("ip -6 route add 2001:db8:7::/48 via fd77::2 table 77");
	run("ip -6 rule add from fd77::1 lookup 77");
	wait_is("198.51.100.8", NEXTHOP_READY, 2, 10000);
	/* a rule about an address of the other family is none of ours */
	settle();
	assert_true(is("2001:db8:7::1", NEXTHOP_NO_ROUTE, 0));
}

/* A port need not share its address with the kernel, which then knows no rule for it. */
static void test_address_of_nobody(void **state)
{
	(void)state;
	net.config.from.ip4 = (struct addr){0};
	router_restart();
	run("ip route add 198.51.100.0/24 via 10.77.0.2 table 77");
	run("ip rule add from 10.77.0.1 lookup 77");
	must_resolve("10.77.0.2", NEXTHOP_READY, 2);
	settle();
	assert_true(is("198.51.100.8", NEXTHOP_NO_ROUTE, 0));
}

static void ask_more(void *ctx, const struct addr *a)
{
	struct addr next = *a, source = host("192.0.2.1"), neighbour;

	net_resolved(ctx, a);
	if (++next.ip[3] < 60)
		assert_int_equal(router_resolve(net.router, &next, &source, &neighbour),
				 -EINPROGRESS);
}

static void test_asked_from_callback(void **state)
{
	(void)state;
	net.config.resolved = ask_more;
	router_restart();
	run_other("ip route add local 198.51.100.0/24 dev v1");
	run("ip route add 198.51.100.0/24 dev v0");
	settle();
	assert_int_equal(resolve("198.51.100.0"), -EINPROGRESS);
	wait_calls(60, 5000);
	assert_int_equal(router_size(net.router).neighbours, 60);
}

static void test_no_such_interface(void **state)
{
	struct router_config c = net.config;

	(void)state;
	c.ifindex = 99999;
	assert_null(router_create(&c));
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
		TEST(test_budget),
		TEST(test_many_hosts_drive_out_none_in_use),
		TEST(test_rule_by_source),
		TEST(test_address_of_nobody),
		TEST(test_asked_from_callback),
		TEST(test_no_such_interface),
	};

	return net_main(tests, sizeof(tests) / sizeof(tests[0]));
}
