/* SPDX-License-Identifier: BSD-3-Clause
 * Following the kernel: what is in the table changes with its routes and neighbours.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <linux/rtnetlink.h>

#include <cmocka.h>

#include "control/net/router_part.h"
#include "tests/unit/route_net.h"

static void test_neighbour_changes(void **state)
{
	(void)state;
	run("ip route add 198.51.100.0/24 via 10.77.0.2");
	must_resolve("10.77.0.2", NEXTHOP_READY, 2);
	must_resolve("198.51.100.7", NEXTHOP_READY, 2);
	run("ip neigh replace 10.77.0.2 lladdr 02:00:00:00:00:05 dev v0 nud reachable");
	wait_is("10.77.0.2", NEXTHOP_READY, 5, 10000);
	assert_true(is("198.51.100.7", NEXTHOP_READY, 5));

	/* the kernel forgets it, and what is in use stays */
	run_other("ip link set v1 address 02:00:00:00:00:06");
	run("ip neigh del 10.77.0.2 dev v0");
	for (uint64_t end = clock_ms() + 500; clock_ms() < end; turn_for(5))
		assert_true(is("10.77.0.2", NEXTHOP_READY, 5) || is("10.77.0.2", NEXTHOP_READY, 6));
	wait_is("10.77.0.2", NEXTHOP_READY, 6, 10000);
	assert_true(is("198.51.100.7", NEXTHOP_READY, 6));

	/* failed; and alive again, told without being asked */
	run("ip neigh change 10.77.0.2 dev v0 nud failed");
	wait_is("10.77.0.2", NEXTHOP_NO_NEIGHBOUR, 0, 10000);
	assert_true(is("198.51.100.7", NEXTHOP_NO_NEIGHBOUR, 0));
	run("ip neigh replace 10.77.0.2 lladdr 02:00:00:00:00:06 dev v0 nud reachable");
	wait_is("10.77.0.2", NEXTHOP_READY, 6, 10000);
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
	run("ip route replace 198.51.100.0/24 via 10.77.0.3");
	wait_is("198.51.100.7", NEXTHOP_READY, 3, 10000);

	/* to a dead neighbour: what was there is used until that is known */
	run("ip route replace 198.51.100.0/24 via 10.77.0.98");
	turn_for(1000);
	assert_true(is("198.51.100.7", NEXTHOP_READY, 3));
	wait_is("198.51.100.7", NEXTHOP_NO_NEIGHBOUR, 0, 10000);

	run("ip route replace 198.51.100.0/24 via 10.77.0.3");
	wait_is("198.51.100.7", NEXTHOP_READY, 3, 10000);
	run("ip route del 198.51.100.0/24");
	wait_is("198.51.100.7", NEXTHOP_NO_ROUTE, 0, 10000);
	run("ip route add 198.51.100.0/24 via 10.77.0.3");
	wait_is("198.51.100.7", NEXTHOP_READY, 3, 10000);
	run("ip rule add to 198.51.100.7 blackhole");
	wait_is("198.51.100.7", NEXTHOP_NO_ROUTE, 0, 10000);
	assert_true(is("198.51.100.8", NEXTHOP_READY, 3));
	run("ip rule del to 198.51.100.7 blackhole");
	wait_is("198.51.100.7", NEXTHOP_READY, 3, 10000);
	/* the kernel says nothing of the routes that go with the link */
	run("ip link set v0 down");
	wait_is("198.51.100.7", NEXTHOP_NO_ROUTE, 0, 10000);
	assert_int_equal(net.calls, 0);
}

/* Of a prefix, the route of the least metric holds. */
static void test_metrics(void **state)
{
	(void)state;
	run("ip neigh add 10.77.0.3 lladdr 02:00:00:00:00:03 dev v0");
	run("ip neigh add fd77::3 lladdr 02:00:00:00:00:03 dev v0");
	for (int v = 4; v <= 6; v += 2) {
		const char *net4 = "198.51.100.0/24", *net6 = "2001:db8:9::/48";
		const char *to = v == 4 ? net4 : net6, *base = v == 4 ? "10.77.0." : "fd77::";
		const char *in = v == 4 ? "198.51.100.7" : "2001:db8:9::7";

		run("ip -%d route add %s via %s2 metric 200", v, to, base);
		must_resolve(in, NEXTHOP_READY, 2);
		run("ip -%d route add %s via %s3 metric 100", v, to, base);
		wait_is(in, NEXTHOP_READY, 3, 10000);
		run("ip -%d route add blackhole %s metric 300", v, to);
		run("ip -%d route del %s metric 100", v, to);
		wait_is(in, NEXTHOP_READY, 2, 10000);
		run("ip -%d route del %s metric 200", v, to);
		wait_is(in, NEXTHOP_NO_ROUTE, 0, 10000);
	}
}

/* Routes of the same prefix and metric: the first of them holds, whichever way they came. */
static void test_same_metric(void **state)
{
	(void)state;
	for (int i = 3; i <= 5; i++)
		run("ip neigh add 10.77.0.%d lladdr 02:00:00:00:00:0%d dev v0", i, i);
	run("ip route append 198.51.100.0/24 via 10.77.0.3");
	run("ip route append 198.51.100.0/24 via 10.77.0.4");
	must_resolve("198.51.100.7", NEXTHOP_READY, 3);
	run("ip route prepend 198.51.100.0/24 via 10.77.0.5");
	wait_is("198.51.100.7", NEXTHOP_READY, 5, 10000);
	run("ip route replace 198.51.100.0/24 via 10.77.0.2");
	wait_is("198.51.100.7", NEXTHOP_READY, 2, 10000);
	router_restart(); /* read as a list, it is the same */
	wait_is("198.51.100.7", NEXTHOP_READY, 2, 10000);
	run("ip route del 198.51.100.0/24 via 10.77.0.2");
	wait_is("198.51.100.7", NEXTHOP_READY, 3, 10000);
	run("ip route del 198.51.100.0/24 via 10.77.0.3");
	wait_is("198.51.100.7", NEXTHOP_READY, 4, 10000);
}

/* Whatever changes, a frame that has a way goes one: each moment there is the old or the
 * new. */
static void test_no_frame_is_lost(void **state)
{
	(void)state;
	run_other("ip address add 10.77.0.3/24 dev v1");
	run_other("ip address add 10.77.0.4/24 dev v1");
	run("ip route add default via 10.77.0.2");
	must_resolve("198.51.100.7", NEXTHOP_READY, 2);
	for (unsigned int i = 0; i < 40; i++) {
		static const char *const changes[] = {
			/* to a gateway that is not known yet; longer prefixes, and back */
			"ip neigh flush dev v0; ip route replace default via 10.77.0.3",
			"ip route add 198.51.100.0/24 via 10.77.0.4",
			"ip route add 198.51.100.7 via 10.77.0.2",
			"ip route del 198.51.100.0/24",
			"ip route replace default via 10.77.0.2",
			"ip route add 198.51.100.0/25 via 10.77.0.3",
			"ip route del 198.51.100.7",
			"ip route del 198.51.100.0/25",
		};

		run("%s", changes[i % (sizeof(changes) / sizeof(changes[0]))]);
		for (uint64_t end = clock_ms() + 60; clock_ms() < end; turn_for(1))
			assert_true(is("198.51.100.7", NEXTHOP_READY, 2));
	}
}

/* More news than the socket holds: what changed meanwhile is found all the same. */
static void test_news_lost(void **state)
{
	uint64_t syncs;
	FILE *f;

	(void)state;
	run("ip route add 198.51.100.0/24 via 10.77.0.2");
	must_resolve("10.77.0.2", NEXTHOP_READY, 2);
	must_resolve("198.51.100.7", NEXTHOP_READY, 2);
	settle();
	syncs = router_stats(net.router)->syncs;
	f = popen("ip -batch -", "w");
	assert_non_null(f);
	for (int i = 0; i < 10000; i++)
		fprintf(f, "route add 10.%d.%d.0/24 via 10.77.0.2\n", 100 + i / 250, i % 250);
	assert_int_equal(pclose(f), 0);
	/* the socket is full: these are not heard of */
	run("ip neigh add 10.77.0.3 lladdr 02:00:00:00:00:03 dev v0");
	run("ip neigh replace 10.77.0.2 lladdr 02:00:00:00:00:08 dev v0 nud reachable");
	run("ip route replace 198.51.100.0/24 via 10.77.0.3");
	run("ip route del 10.100.7.0/24");
	wait_is("198.51.100.7", NEXTHOP_READY, 3, 10000);
	wait_is("10.77.0.2", NEXTHOP_READY, 8, 10000);
	settle();
	assert_true(router_stats(net.router)->syncs > syncs);
	assert_true(is("10.100.7.7", NEXTHOP_NO_ROUTE, 0));
	assert_true(is("10.139.249.7", NEXTHOP_READY, 8));
	assert_true(is("10.100.8.7", NEXTHOP_READY, 8));
}

/* The list and the news are of different moments: what news said of a route since the list
 * was begun is newer than what the list says. */
static void test_list_beside_news(void **state)
{
	const struct addr net4 = host("198.51.100.0");
	struct netlink_route m = {
		.type = RTN_UNICAST,
		.table = RT_TABLE_MAIN,
		.to = prefix_make(ADDR_IP4, net4.ip, 24),
		.n = 1,
	};
	const enum netlink_change added = NETLINK_ADDED, gone = NETLINK_GONE,
				  listed = NETLINK_LISTED;
	const struct {
		enum netlink_change before, news, again;
		bool torn; /* the list is given up, and begun once more */
		bool there;
	} row[] = {
		{added, listed, listed, false, true}, /* listed, as it was */
		{added, gone, listed, false, false},
		{gone, added, listed, false, true},
		{added, gone, added, false, true},
		{added, gone, listed, true, true}, /* it came again, and that news was lost */
		{added, gone, gone, true, false},
	};

	(void)state;
	m.path[0].ifindex = net.config.ifindex;
	m.path[0].weight = 1;
	for (unsigned int i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		m.change = (uint8_t)row[i].before;
		mirror_route(net.router, &m);
		mirror_list_begin(net.router);
		m.change = (uint8_t)row[i].news;
		mirror_route(net.router, &m);
		if (row[i].torn)
			mirror_list_begin(net.router);
		m.change = (uint8_t)row[i].again;
		mirror_route(net.router, &m);
		net.router->mirror.next[0] = net.router->mirror.chain[0];
		mirror_list_end(net.router);
		while (mirror_pump(net.router))
			;
		if (is("198.51.100.7", NEXTHOP_NO_ROUTE, 0) == row[i].there)
			fail_msg("row %u", i);
	}
	/* and what a list does not name is gone */
	assert_true(is("10.77.0.2", NEXTHOP_NO_ROUTE, 0));
}

int __real_netlink_list(struct netlink *nl, enum netlink_list what, uint8_t type);
int __wrap_netlink_list(struct netlink *nl, enum netlink_list what, uint8_t type);

static unsigned int lists_fail; /* so many from now on */

int __wrap_netlink_list(struct netlink *nl, enum netlink_list what, uint8_t type)
{
	if (lists_fail == 0)
		return __real_netlink_list(nl, what, type);
	lists_fail--;
	return -ENOBUFS;
}

/* Lists that cannot be had: what is known holds, news is followed, and it is tried again. */
static void test_list_fails(void **state)
{
	(void)state;
	run("ip neigh add 10.77.0.3 lladdr 02:00:00:00:00:03 dev v0");
	run("ip route add 198.51.100.0/24 via 10.77.0.2");
	must_resolve("198.51.100.7", NEXTHOP_READY, 2);
	lists_fail = 2;
	run("ip route add 192.0.2.0/24 via 10.77.0.3 table 77");
	run("ip rule add from 10.77.0.1 lookup 77");
	for (uint64_t end = clock_ms() + 20000; clock_ms() < end && lists_fail > 0; turn_for(5))
		assert_true(is("198.51.100.7", NEXTHOP_READY, 2));
	assert_int_equal(lists_fail, 0);
	run("ip route replace 198.51.100.0/24 via 10.77.0.3");
	wait_is("198.51.100.7", NEXTHOP_READY, 3, 10000);
	wait_is("192.0.2.7", NEXTHOP_READY, 3, 10000);
	/* at the start it is an error */
	router_destroy(net.router);
	net.router = NULL;
	lists_fail = 1;
	assert_null(router_create(&net.config));
	assert_int_equal(errno, ENOBUFS);
	assert_int_equal(lists_fail, 0);
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
	assert_int_equal(router_size(net.router).neighbours, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, net_make, net_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_neighbour_changes), TEST(test_route_changes),	   TEST(test_metrics),
		TEST(test_same_metric),	      TEST(test_no_frame_is_lost), TEST(test_news_lost),
		TEST(test_list_beside_news),  TEST(test_list_fails),	   TEST(test_use_is_told),
	};

	return net_main(tests, sizeof(tests) / sizeof(tests[0]));
}
