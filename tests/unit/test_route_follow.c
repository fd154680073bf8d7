/* SPDX-License-Identifier: BSD-3-Clause
 * Following the kernel: what is in the table changes with its routes and neighbours.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/route_net.h"

static void test_neighbour_changes(void **state)
{
	(void)state;
	run("ip route add 198.51.100.0/24 via 10.77.0.2");
	must_resolve("10.77.0.2", NEXTHOP_READY, 2);
	must_resolve("198.51.100.7", NEXTHOP_READY, 2);
	run("ip neigh replace 10.77.0.2 lladdr 02:00:00:00:00:05 dev v0 nud reachable");
	wait_is("10.77.0.2", NEXTHOP_READY, 5, 500);
	assert_true(is("198.51.100.7", NEXTHOP_READY, 5));

	/* the kernel forgets it, and what is in use stays */
	run_other("ip link set v1 address 02:00:00:00:00:06");
	run("ip neigh del 10.77.0.2 dev v0");
	for (uint64_t end = clock_ms() + 500; clock_ms() < end; turn_for(5))
		assert_true(is("10.77.0.2", NEXTHOP_READY, 5) || is("10.77.0.2", NEXTHOP_READY, 6));
	assert_true(is("10.77.0.2", NEXTHOP_READY, 6));
	assert_true(is("198.51.100.7", NEXTHOP_READY, 6));

	/* failed; and alive again, told without being asked */
	run("ip neigh change 10.77.0.2 dev v0 nud failed");
	wait_is("10.77.0.2", NEXTHOP_NO_NEIGHBOUR, 0, 500);
	assert_true(is("198.51.100.7", NEXTHOP_NO_NEIGHBOUR, 0));
	run("ip neigh replace 10.77.0.2 lladdr 02:00:00:00:00:06 dev v0 nud reachable");
	wait_is("10.77.0.2", NEXTHOP_READY, 6, 500);
	turn_for(2500);
	assert_true(is("198.51.100.7", NEXTHOP_READY, 6));
	assert_int_equal(net.calls, 0);
}

static void test_route_changes(void **state)
{
	(void)state;
	run("ip neigh add 10.77.0.3 lladdr 02:00:00:00:00:03 dev v0");
	run("ip route add 198.51.100.0/24 via 10.77.0.2");
	must_resolve("198.51.100.7", NEXTHOP_READY, 2);
	run("ip route replace 198.51.100.0/24 via 10.77.0.3 mtu 1300");
	wait_is("198.51.100.7", NEXTHOP_READY, 3, 500);
	assert_int_equal(mtu("198.51.100.7"), 1300);
	run("ip link set v0 mtu 1280");
	for (uint64_t end = clock_ms() + 300; clock_ms() < end && mtu("198.51.100.7") != 1280;)
		turn_for(5);
	assert_int_equal(mtu("198.51.100.7"), 1280);

	/* to a dead neighbour: what was there is used until that is known */
	run("ip route replace 198.51.100.0/24 via 10.77.0.98");
	turn_for(1000);
	assert_true(is("198.51.100.7", NEXTHOP_READY, 3));
	wait_is("198.51.100.7", NEXTHOP_NO_NEIGHBOUR, 0, 3000);

	run("ip route replace 198.51.100.0/24 via 10.77.0.3");
	wait_is("198.51.100.7", NEXTHOP_READY, 3, 500);
	run("ip route del 198.51.100.0/24");
	wait_is("198.51.100.7", NEXTHOP_NO_ROUTE, 0, 500);
	run("ip route add 198.51.100.0/24 via 10.77.0.3");
	wait_is("198.51.100.7", NEXTHOP_READY, 3, 500);
	run("ip rule add to 198.51.100.7 blackhole");
	wait_is("198.51.100.7", NEXTHOP_NO_ROUTE, 0, 500);
	run("ip rule del to 198.51.100.7 blackhole");
	wait_is("198.51.100.7", NEXTHOP_READY, 3, 500);
	run("ip link set v0 down");
	wait_is("198.51.100.7", NEXTHOP_NO_ROUTE, 0, 500);
	assert_int_equal(net.calls, 0);
}

/* More news than the socket holds: what changed meanwhile is found all the same. */
static void test_news_lost(void **state)
{
	FILE *f;

	(void)state;
	run("ip route add 198.51.100.0/24 via 10.77.0.2");
	must_resolve("10.77.0.2", NEXTHOP_READY, 2);
	must_resolve("198.51.100.7", NEXTHOP_READY, 2);
	f = popen("ip -batch -", "w");
	assert_non_null(f);
	for (int i = 0; i < 10000; i++)
		fprintf(f, "route add 10.%d.%d.0/24 via 10.77.0.2\n", 100 + i / 250, i % 250);
	assert_int_equal(pclose(f), 0);
	/* the socket is full: these are not heard of */
	run("ip neigh add 10.77.0.3 lladdr 02:00:00:00:00:03 dev v0");
	run("ip neigh replace 10.77.0.2 lladdr 02:00:00:00:00:08 dev v0 nud reachable");
	run("ip route replace 198.51.100.0/24 via 10.77.0.3");
	wait_is("198.51.100.7", NEXTHOP_READY, 3, 1000);
	wait_is("10.77.0.2", NEXTHOP_READY, 8, 1000);
}

static bool neighbour_is(const char *addr, const char *state)
{
	char command[128];

	snprintf(command, sizeof(command), "ip neigh show %s nud %s | grep -q .", addr, state);
	return system(command) == 0;
}

/* The kernel sees no use of what XDP sends: it is told, for what is in use. */
static void test_use_is_told(void **state)
{
	uint64_t end;

	(void)state;
	run_other("ip address add 10.77.0.3/24 dev v1");
	must_resolve("10.77.0.2", NEXTHOP_READY, 2);
	must_resolve("10.77.0.3", NEXTHOP_READY, 2);
	run("ip neigh add 10.77.0.4 lladdr 02:00:00:00:00:04 dev v0 nud permanent");
	must_resolve("10.77.0.4", NEXTHOP_READY, 4);
	run("ip neigh change 10.77.0.2 dev v0 nud stale");
	run("ip neigh change 10.77.0.3 dev v0 nud stale");
	/* Only one is used; each is looked at every 15 s, and told again no sooner
	 * than that after it was told last. */
	for (end = clock_ms() + 31000; clock_ms() < end && neighbour_is("10.77.0.2", "stale");) {
		assert_true(is("10.77.0.2", NEXTHOP_READY, 2));
		assert_true(is("10.77.0.4", NEXTHOP_READY, 4));
		turn_for(100);
	}
	assert_false(neighbour_is("10.77.0.2", "stale"));
	assert_true(neighbour_is("10.77.0.3", "stale"));
	/* what was set by hand stays so, used or not */
	assert_true(neighbour_is("10.77.0.4", "permanent"));
	assert_int_equal(nexthop_count(net.table), 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, net_make, net_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_neighbour_changes),
		TEST(test_route_changes),
		TEST(test_news_lost),
		TEST(test_use_is_told),
	};

	return net_main(tests, sizeof(tests) / sizeof(tests[0]));
}
