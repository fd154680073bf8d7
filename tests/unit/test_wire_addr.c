/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>

#include "wire/addr.h"

static struct addr addr(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, 9, &a), 0);
	return a;
}

static void test_text(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"1.2.3.4", "1.2.3.4:9"},
		{"1.2.3.4:65535", "1.2.3.4:65535"},
		{"0.0.0.0:1", "0.0.0.0:1"},
		{"::1", "[::1]:9"},
		{"::", "[::]:9"},
		{"[::1]", "[::1]:9"},
		{"[::1]:80", "[::1]:80"},
		{"2001:db8::7:8", "[2001:db8::7:8]:9"},
		{"2001:0DB8:0:0:0:0:0:1", "[2001:db8::1]:9"},
		{"[2001:db8:ffff:ffff:ffff:ffff:255.255.255.255]:65535",
		 "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
	};
	char buf[ADDR_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct addr a = addr(cases[i].in);

		assert_true(addr_valid(&a));
		assert_ptr_equal(addr_text(&a, buf), buf);
		assert_string_equal(buf, cases[i].out);
	}
	assert_string_equal(addr_text(&(struct addr){0}, buf), "none");
}

static void test_text_bad(void **state)
{
	static const char *const bad[] = {
		"",
		"1.2.3",
		"1.2.3.4.5",
		"1.2.3.256",
		"1.2.3.4:",
		":9",
		"1.2.3.4:0",
		"1.2.3.4:65536",
		"1.2.3.4:-1",
		"1.2.3.4:+1",
		"[::1",
		"::1]:9",
		"[1.2.3.4]:9",
		"[::1]9",
		"[::1]:",
		"[]:9",
		"relay:9",
		"1.2.3.4:9x",
		" 1.2.3.4:9",
		"1.2.3.4:100000",
		"1::2::3",
		"fe80::1%eth0",
		"::ffff:1.2.3.4",
		"[::ffff:1.2.3.4]:9",
		"1:2:3:4:5:6:7:8:9:10:11:12:13:14:15:16:17:18:19:20:21:22:23:24:25",
	};
	struct addr a = addr("9.9.9.9"), before = a;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(addr_parse(bad[i], 9, &a), -EINVAL);
		assert_memory_equal(&a, &before, sizeof(a));
	}
	/* Without a default the port is a must. */
	assert_int_equal(addr_parse("1.2.3.4", 0, &a), -EINVAL);
	assert_int_equal(addr_parse("::1", 0, &a), -EINVAL);
	assert_int_equal(addr_parse("1.2.3.4:5", 0, &a), 0);
	assert_int_equal(get16(a.port), 5);
}

static void test_layout(void **state)
{
	static const uint8_t bytes[20] = {4, 0, 0x13, 0x06, 1, 2, 3, 4};
	struct addr a = addr("1.2.3.4:4870");

	(void)state;
	assert_memory_equal(&a, bytes, sizeof(bytes));
}

static void test_valid(void **state)
{
	struct addr a = addr("1.2.3.4:9"), b = addr("[2001:db8::1]:9");

	(void)state;
	a.zero = 1;
	assert_false(addr_valid(&a));
	a = addr("1.2.3.4:9");
	a.port = put16(0);
	assert_false(addr_valid(&a));
	for (unsigned int type = 0; type < 256; type++) {
		a = addr("1.2.3.4:9");
		a.type = (uint8_t)type;
		assert_int_equal(addr_valid(&a), type == ADDR_IP4 || type == ADDR_IP6);
	}
	for (int i = 4; i < 16; i++) {
		a = addr("1.2.3.4:9");
		a.ip[i] = 1;
		assert_false(addr_valid(&a));
	}
	b.zero = 0xff;
	assert_false(addr_valid(&b));
	b = (struct addr){ADDR_IP6, 0, {{0, 9}}, {[10] = 0xff, 0xff, 1, 2, 3, 4}};
	assert_false(addr_valid(&b));
	b.ip[9] = 1;
	assert_true(addr_valid(&b));
}

static void test_equal(void **state)
{
	struct addr a = addr("1.2.3.4:9"), b = addr("1.2.3.4:10"), c = addr("1.2.3.5:9");
	struct addr d = addr("[102:304::]:9");

	(void)state;
	assert_true(addr_equal(&a, &a));
	assert_false(addr_equal(&a, &b));
	assert_true(addr_same_host(&a, &b));
	assert_false(addr_same_host(&a, &c));
	assert_false(addr_equal(&a, &d));
	assert_false(addr_same_host(&a, &d));
	assert_int_equal(addr_overhead(&a), 28);
	assert_int_equal(addr_overhead(&d), 48);
}

/* First and last of each range, and their neighbours outside. */
static void test_special_use(void **state)
{
	static const char *const special[] = {
		"0.0.0.0",
		"0.255.255.255",
		"10.0.0.0",
		"10.255.255.255",
		"100.64.0.0",
		"100.127.255.255",
		"127.0.0.1",
		"127.255.255.255",
		"169.254.0.0",
		"169.254.169.254",
		"172.16.0.0",
		"172.31.255.255",
		"192.0.0.0",
		"192.0.2.255",
		"192.88.99.1",
		"192.168.0.0",
		"192.168.255.255",
		"198.18.0.0",
		"198.19.255.255",
		"198.51.100.0",
		"203.0.113.255",
		"224.0.0.1",
		"239.255.255.255",
		"240.0.0.0",
		"255.255.255.255",
		"::",
		"::1",
		"::1.2.3.4",
		"64:ff9b::10.0.0.1",
		"64:ff9b::127.0.0.1",
		"64:ff9b:1::1",
		"100::1",
		"2001::1",
		"2001:2::1",
		"2001:1ff:ffff::",
		"2001:db8::1",
		"2001:db8:ffff:ffff::",
		"2002:a00:1::1",
		"2002:808:808::1",
		"3fff:fff::1",
		"4000::",
		"fc00::1",
		"fdff::1",
		"fe80::1",
		"febf::1",
		"fec0::1",
		"ff02::1",
		"ffff::1",
		"1fff:ffff::1",
	};
	static const char *const global[] = {
		"1.0.0.0",	    "9.255.255.255",   "11.0.0.0",     "100.63.255.255",
		"100.128.0.0",	    "126.255.255.255", "128.0.0.0",    "169.253.255.255",
		"169.255.0.0",	    "172.15.255.255",  "172.32.0.0",   "192.0.1.0",
		"192.0.3.0",	    "192.88.98.255",   "192.88.100.0", "192.167.255.255",
		"192.169.0.0",	    "198.17.255.255",  "198.20.0.0",   "198.51.99.255",
		"198.51.101.0",	    "203.0.112.255",   "203.0.114.0",  "223.255.255.255",
		"64:ff9b::8.8.8.8", "2000::",	       "2001:200::",   "2001:db7::1",
		"2001:db9::1",	    "2003::1",	       "2a00:1450::1", "3ffe:ffff::1",
		"3fff:1000::1",
	};
	struct addr a;

	(void)state;
	for (size_t i = 0; i < sizeof(special) / sizeof(*special); i++) {
		a = addr(special[i]);
		if (!addr_special_use(&a))
			fail_msg("%s is special", special[i]);
	}
	for (size_t i = 0; i < sizeof(global) / sizeof(*global); i++) {
		a = addr(global[i]);
		if (addr_special_use(&a))
			fail_msg("%s is not special", global[i]);
	}
	/* What is no address is nowhere to send to. */
	assert_true(addr_special_use(&(struct addr){0}));
	assert_true(addr_special_use(&(struct addr){.type = ADDR_LISTENER, .ip = {0x20}}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),   cmocka_unit_test(test_text_bad),
		cmocka_unit_test(test_layout), cmocka_unit_test(test_valid),
		cmocka_unit_test(test_equal),  cmocka_unit_test(test_special_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
