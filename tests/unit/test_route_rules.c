/* SPDX-License-Identifier: BSD-3-Clause
 * Policy rules: what several tables come to in one, against the kernel's own answer.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/route_net.h"

/* What `ip route get` finds for a packet of ours: the gateway's last byte; 0: no way. */
static int kernel_says(const char *to)
{
	char command[128], line[256] = "";
	const char *via;
	FILE *f;

	snprintf(command, sizeof(command),
		 "ip route get %s from 10.77.0.1 ipproto udp sport 4871 2>/dev/null", to);
	f = popen(command, "r");
	assert_non_null(f);
	if (fgets(line, sizeof(line), f) == NULL)
		line[0] = '\0';
	pclose(f);
	via = strstr(line, "via 10.77.0.");
	return via ? atoi(via + strlen("via 10.77.0.")) : 0;
}

static void gateways(void)
{
	for (int i = 3; i <= 9; i++)
		run("ip neigh add 10.77.0.%d lladdr 02:00:00:00:00:0%d dev v0", i, i);
}

/* The same as the kernel finds, for each of these. */
static void agree(const char *const hosts[], unsigned int n)
{
	settle();
	for (unsigned int i = 0; i < n; i++) {
		int mac = kernel_says(hosts[i]);

		if (!is(hosts[i], mac ? NEXTHOP_READY : NEXTHOP_NO_ROUTE, (uint8_t)mac))
			fail_msg("%s: the kernel says %d", hosts[i], mac);
	}
}

static const char *const hosts[] = {"198.51.100.7",   "198.51.100.130", "198.51.101.1",
				    "203.0.113.9",    "192.0.2.1",	"198.18.0.1",
				    "198.18.128.200", "8.8.8.8"};
#define AGREE() agree(hosts, sizeof(hosts) / sizeof(hosts[0]))

static void tables(void)
{
	gateways();
	run("ip route add default via 10.77.0.3");
	run("ip route add 198.51.100.0/24 via 10.77.0.4");
	run("ip route add 198.51.100.128/25 via 10.77.0.5");
	run("ip route add 198.18.0.0/16 via 10.77.0.6");
	run("ip route add 198.51.100.0/23 via 10.77.0.7 table 77");
	run("ip route add blackhole 203.0.113.0/24 table 77");
	run("ip route add 198.18.128.0/17 via 10.77.0.8 table 78");
	run("ip route add throw 198.18.128.128/25 table 78");
	run("ip route add default via 10.77.0.9 table 79");
	AGREE();
}

/* An earlier table hides what is longer in a later one. */
static void test_order(void **state)
{
	(void)state;
	tables();
	run("ip rule add from 10.77.0.0/24 lookup 77 priority 100");
	AGREE();
	assert_true(is("198.51.100.130", NEXTHOP_READY, 7));
	run("ip rule add from 10.77.0.1 lookup 78 priority 200");
	AGREE();
	assert_true(is("198.18.128.200", NEXTHOP_READY, 6)); /* thrown on */
	run("ip rule add lookup 79 priority 300");
	AGREE();
	assert_true(is("8.8.8.8", NEXTHOP_READY, 9));
	/* longer ones of `main` come back as what hid them goes */
	run("ip route del 198.51.100.0/23 table 77");
	AGREE();
	run("ip route add 198.51.100.0/26 via 10.77.0.7 table 77");
	AGREE();
	run("ip route del default table 79");
	AGREE();
	run("ip route add 198.18.0.0/16 via 10.77.0.5 table 79");
	AGREE();
	run("ip route del throw 198.18.128.128/25 table 78");
	AGREE();
	run("ip rule del priority 100");
	run("ip rule del priority 200");
	AGREE();
}

static void test_selectors(void **state)
{
	static const char *const rules[] = {
		"from 10.78.0.0/16 lookup 79", /* not ours */
		"iif v0 lookup 79",
		"iif lo lookup 77",
		"oif v0 lookup 79",
		"fwmark 7 lookup 79",
		"not fwmark 7 lookup 79", /* as wg-quick does */
		"to 198.51.100.0/24 lookup 79",
		"to 198.51.100.7 unreachable",
		"to 198.51.0.0/16 lookup 77",
		"lookup main suppress_prefixlength 0",
		"lookup main suppress_prefixlength 16",
		"ipproto udp lookup 79",
		"ipproto tcp lookup 79",
		"sport 4871 lookup 79",
		"sport 4000-4870 lookup 79",
		"not from 10.78.0.0/16 lookup 79",
		"not from 10.77.0.1 lookup 79",
		"tos 0x10 lookup 79",
		"goto 32000",
		"prohibit",
	};

	(void)state;
	tables();
	run("ip rule add lookup 79 priority 32000");
	for (unsigned int i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		run("ip rule add %s priority 100", rules[i]);
		AGREE();
		run("ip rule add %s priority 90", rules[(i + 7) % 18]);
		AGREE();
		run("ip rule del priority 100");
		run("ip rule del priority 90");
	}
	AGREE();
	assert_int_equal(router_size(net.router).rules_out, 0);
}

/* A rule that depends on what a table of targets cannot tell is left out, and counted. */
static void test_left_out(void **state)
{
	static const char *const rules[] = {"dport 99 lookup 79", "uidrange 5-7 lookup 79",
					    "not to 198.51.100.0/24 lookup 79",
					    "to 198.51.100.0/24 goto 32000"};

	(void)state;
	tables();
	run("ip rule add lookup 79 priority 32000");
	for (unsigned int i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		run("ip rule add %s priority 100", rules[i]);
		settle();
		assert_int_equal(router_size(net.router).rules_out, 1);
		assert_true(is("8.8.8.8", NEXTHOP_READY, 9));
		run("ip rule del priority 100");
		AGREE();
		assert_int_equal(router_size(net.router).rules_out, 0);
	}
	/* what it depends on does not matter where it is not for us */
	run("ip rule add from 10.78.0.0/16 dport 99 lookup 79 priority 100");
	AGREE();
	assert_int_equal(router_size(net.router).rules_out, 0);
}

/* Changes at random, and now and then: is it what the kernel would do? */
static void test_random(void **state)
{
	static const char *const prefixes[] = {
		"default",	   "198.51.100.0/24", "198.51.100.0/25", "198.51.100.128/25",
		"198.51.100.7/32", "198.51.0.0/16",   "203.0.113.0/24",	 "198.18.0.0/15",
		"198.18.128.0/17", "8.0.0.0/7"};
	static const char *const kinds[] = {"", "", "", "", "throw", "blackhole"};
	static const char *const names[] = {"77", "78", "79", "main"};

	(void)state;
	gateways();
	srandom(11);
	run("ip rule add lookup 77 priority 100");
	run("ip rule add to 198.51.100.0/25 lookup 78 priority 200");
	run("ip rule add lookup main suppress_prefixlength 16 priority 300");
	run("ip rule add from 10.77.0.1 lookup 79 priority 400");
	for (unsigned int i = 0; i < 400; i++) {
		const char *prefix = prefixes[random() % 10], *table = names[random() % 4];
		const char *kind = kinds[random() % 6];

		if (random() % 3 == 0)
			run("ip route del %s table %s 2>/dev/null || true", prefix, table);
		else if (kind[0] != '\0')
			run("ip route replace %s %s table %s", kind, prefix, table);
		else
			run("ip route replace %s via 10.77.0.%ld table %s", prefix,
			    3 + random() % 7, table);
		if (i % 8 == 0)
			AGREE();
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, net_make, net_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_order),
		TEST(test_selectors),
		TEST(test_left_out),
		TEST(test_random),
	};

	return net_main(tests, sizeof(tests) / sizeof(tests[0]));
}
