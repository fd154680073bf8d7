/* SPDX-License-Identifier: BSD-3-Clause
 * What a user writes for a host: addresses, zones, names.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <net/if.h>

#include "client/lib/hosts.h"

static void test_texts(void **state)
{
	static const char *const good[] = {
		"192.0.2.1",	  "192.0.2.1:9",  "2001:db8::1",    "[2001:db8::1]:9",
		"fe80::1%lo",	  "[fe80::1%lo]", "[fe80::1%lo]:9", "host",
		"host.example:9", "a-b.example.", "4.example",
	};
	static const char *const bad[] = {
		"",
		":9",
		"host:",
		"host:0",
		"host:65536",
		"host:9x",
		"1.2.3",
		"192.0.2.300",
		"12345",
		"[host]:9",
		"ho st",
		"ho/st",
		"[2001:db8::1",
		"[::1]9",
		"2001:db8::1:zz",
		"fe80::1%nix",
		"-host.org",
		".host",
		"h\xc3\xb6st",
		"[fe80::1%nix]:9",
	};
	char name[HOST_TEXT_MAX + 8];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!hosts_text_valid(good[i], 4870))
			fail_msg("\"%s\" was refused", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (hosts_text_valid(bad[i], 4870))
			fail_msg("\"%s\" was taken", bad[i]);
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_false(hosts_text_valid(name, 4870));
}

static void test_addresses(void **state)
{
	struct hosts h;
	char text[ADDR_TEXT_MAX];

	(void)state;
	assert_null(hosts_resolve("192.0.2.1", 4870, &h));
	assert_int_equal(h.count, 1);
	assert_string_equal(addr_text(&h.host[0].addr, text), "192.0.2.1:4870");
	assert_null(hosts_resolve("[fe80::7%lo]:9", 4870, &h));
	assert_string_equal(addr_text(&h.host[0].addr, text), "[fe80::7]:9");
	assert_int_equal(h.host[0].zone, if_nametoindex("lo"));
	assert_false(hosts_next(&h, ADDR_NONE));
	/* one host, one name: an IPv4 address in IPv6's clothes is none */
	assert_non_null(hosts_resolve("::ffff:192.0.2.1", 4870, &h));
	assert_non_null(hosts_resolve("no such host", 4870, &h));
	assert_int_equal(h.count, 0);
}

/* Every host knows this name. */
static void test_names(void **state)
{
	struct hosts h;

	(void)state;
	assert_null(hosts_resolve("localhost:99", 4870, &h));
	assert_true(h.count > 0);
	for (uint32_t i = 0; i < h.count; i++) {
		assert_true(addr_loopback(&h.host[i].addr));
		assert_int_equal(get16(h.host[i].addr.port), 99);
	}
}

static void test_next(void **state)
{
	struct hosts h = {.count = 3};

	(void)state;
	h.host[0].addr.type = h.host[2].addr.type = ADDR_IP6;
	h.host[1].addr.type = ADDR_IP4;
	assert_true(hosts_next(&h, ADDR_IP6));
	assert_int_equal(h.at, 2);
	assert_false(hosts_next(&h, ADDR_NONE));
	h.at = 0;
	assert_true(hosts_next(&h, ADDR_NONE));
	assert_int_equal(h.at, 1);
	assert_false(hosts_next(&h, ADDR_IP4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
