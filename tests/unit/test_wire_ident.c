/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "wire/ident.h"

/* In one piece and in pieces of `step` bytes. */
static void assert_ident(uint8_t rule, const void *data, size_t len, const char *expected)
{
	char hex[IDENT_HEX_MAX];
	struct ident id;

	for (size_t step = 1; step <= len + 1; step += step / 2 + 1) {
		struct ident_state *s = ident_begin(rule);

		assert_non_null(s);
		for (size_t i = 0; i < len; i += step)
			ident_update(s, (const uint8_t *)data + i, len - i < step ? len - i : step);
		ident_update(s, NULL, 0);
		ident_final(s, &id);
		ident_free(s);
		assert_string_equal(ident_hex(&id, hex), expected);
	}
}

static void test_sha256(void **state)
{
	static uint8_t million[1000000];

	(void)state;
	memset(million, 'a', sizeof(million));
	/* FIPS 180-2, appendix B, and the empty message. */
	assert_ident(RULE_SHA256, "", 0,
		     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	assert_ident(RULE_SHA256, "abc", 3,
		     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_ident(RULE_SHA256, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
		     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	assert_ident(RULE_SHA256, million, sizeof(million),
		     "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void test_xxh3(void **state)
{
	static uint8_t ramp[1153];

	(void)state;
	for (size_t i = 0; i < sizeof(ramp); i++)
		ramp[i] = (uint8_t)i;
	/* As `xxhsum -H2` prints them, then 16 zero bytes. */
	assert_ident(RULE_XXH3, "", 0,
		     "99aa06d3014798d86001c324468d497f00000000000000000000000000000000");
	assert_ident(RULE_XXH3, "abc", 3,
		     "06b05ab6733a618578af5f94892f395000000000000000000000000000000000");
	assert_ident(RULE_XXH3, ramp, sizeof(ramp),
		     "b63b8f2271bd816058b5148408aa43df00000000000000000000000000000000");
}

static void test_rules(void **state)
{
	(void)state;
	assert_string_equal(rule_name(RULE_SHA256), "sha256");
	assert_string_equal(rule_name(RULE_XXH3), "xxh3");
	assert_null(rule_name(0));
	assert_null(rule_name(RULE_COUNT));
	assert_null(rule_name(255));
	assert_int_equal(rule_from_name("sha256"), RULE_SHA256);
	assert_int_equal(rule_from_name("xxh3"), RULE_XXH3);
	assert_int_equal(rule_from_name("SHA256"), 0);
	assert_int_equal(rule_from_name(""), 0);
	assert_null(ident_begin(0));
	assert_null(ident_begin(RULE_COUNT));
	ident_free(NULL);
}

static void test_hex(void **state)
{
	static const char text[] =
		"00017f80ff0000000000000000000000000000000000000000000000000abcde";
	static const char upper[] =
		"00017F80FF0000000000000000000000000000000000000000000000000ABCDE";
	char hex[IDENT_HEX_MAX], bad[IDENT_HEX_MAX + 1];
	struct ident id, same;

	(void)state;
	assert_int_equal(ident_from_hex(text, &id), 0);
	assert_int_equal(id.b[2], 0x7f);
	assert_int_equal(id.b[31], 0xde);
	assert_string_equal(ident_hex(&id, hex), text);
	assert_int_equal(ident_from_hex(upper, &same), 0);
	assert_true(ident_equal(&id, &same));
	same.b[31] ^= 1;
	assert_false(ident_equal(&id, &same));

	for (size_t len = 0; len < 64; len++) {
		memcpy(bad, text, sizeof(text));
		bad[len] = '\0';
		assert_int_equal(ident_from_hex(bad, &id), -EINVAL);
		bad[len] = 'g';
		assert_int_equal(ident_from_hex(bad, &id), -EINVAL);
	}
	memcpy(bad, text, 64);
	memcpy(bad + 64, "0", 2);
	assert_int_equal(ident_from_hex(bad, &id), -EINVAL);
}

/* Of what has come so far, and it goes on as if nobody had looked. */
static void test_peek(void **state)
{
	(void)state;
	for (uint8_t rule = RULE_SHA256; rule < RULE_COUNT; rule++) {
		struct ident_state *a = ident_begin(rule), *b = ident_begin(rule);
		struct ident peeked, whole, other;

		ident_update(a, "abc", 3);
		ident_update(b, "abc", 3);
		assert_true(ident_peek(a, &peeked));
		ident_final(b, &other);
		assert_true(ident_equal(&peeked, &other));
		ident_free(b);
		b = ident_begin(rule);
		ident_update(a, "def", 3);
		ident_update(b, "abcdef", 6);
		ident_final(a, &whole);
		ident_final(b, &other);
		assert_true(ident_equal(&whole, &other));
		ident_free(a);
		ident_free(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sha256), cmocka_unit_test(test_xxh3),
		cmocka_unit_test(test_rules),  cmocka_unit_test(test_hex),
		cmocka_unit_test(test_peek),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
