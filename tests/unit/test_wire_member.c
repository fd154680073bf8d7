/* SPDX-License-Identifier: BSD-3-Clause
 * Members of domains: key sets, sessions, proofs of possession; and the change
 * of a master key.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <unistd.h>

#include "wire/frame.h"
#include "wire/keyfile.h"

/* A set's file, and what becomes of it. */
static int set_read(const char *text, struct key_set *set)
{
	const char *path = "key-set-test";
	int rc;

	unlink(path);
	assert_int_equal(key_file_write(path, text, false), 0);
	rc = key_set_read(path, set);
	unlink(path);
	return rc;
}

#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void test_key_set(void **state)
{
	static const char *const bad[] = {
		"",
		"# nothing but a comment\n",
		"0.1 " HEX "\n",
		"16777216.1 " HEX "\n",
		"7.256 " HEX "\n",
		"7 " HEX "\n",
		"7.1" HEX "\n",
		"7.1 " HEX "00\n",
		"-7.1 " HEX "\n",
		"+7.1 " HEX "\n",
		"7.1 " HEX "\n7.1 " HEX "\n",
		"7.1 " HEX "\n8.2 " HEX "\n",
		"7.1 " HEX "\n7.2 " HEX "\n7.3 " HEX "\n7.4 " HEX "\n7.5 " HEX "\n",
		"99999999999999999999.1 " HEX "\n",
	};
	struct key_set set, again;
	char text[KEY_SET_TEXT];

	(void)state;
	assert_int_equal(set_read("# a comment\n\n  7.255 " HEX "  \r\n7.0 " HEX, &set), 0);
	assert_int_equal(set.id, 7);
	assert_int_equal(set.count, 2);
	assert_int_equal(key_set_field(&set, 0), 0x7ff);
	assert_int_equal(key_set_field(&set, 1), 0x700);
	assert_int_equal(set.key[0].key[1], 0x11);
	assert_int_equal(set_read(key_set_text(&set, text), &again), 0);
	assert_memory_equal(&set, &again, sizeof(set));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(set_read(bad[i], &set), -EINVAL);
	assert_int_equal(set.count, 0);
}

/* ---- rotation of the master key ---- */

static void test_ring_advance(void **state)
{
	static const uint8_t old_master[MASTER_KEY_SIZE] = {1}, new_master[MASTER_KEY_SIZE] = {2};
	const uint64_t then = 1000 * TOKEN_EPOCH_SECONDS;
	static struct token_ring before, after, fresh;
	struct addr client = {ADDR_IP4, 0, {{1, 2}}, {192, 0, 2, 7}};
	struct cookie c;

	(void)state;
	token_ring_derive(&before, old_master, then);
	cookie_mint(&before, &client, 7, 0, &c);
	token_ring_advance(&after, &before, new_master, then);
	assert_memory_equal(&after, &before, sizeof(after));
	/* in the next epoch an older cookie is good still, and so is that epoch's key */
	token_ring_advance(&after, &before, new_master, then + TOKEN_EPOCH_SECONDS);
	assert_int_equal(cookie_check(&after, &c, &client, 7, 0), DROP_NONE);
	assert_memory_equal(&after.keys[1], &before.keys[0], sizeof(after.keys[1]));
	/* the one that begins later is the new master's */
	token_ring_derive(&fresh, new_master, then + TOKEN_EPOCH_SECONDS);
	assert_memory_equal(&after.keys[0], &fresh.keys[0], sizeof(after.keys[0]));
	assert_memory_not_equal(&after.keys[1], &fresh.keys[1], sizeof(after.keys[1]));
	/* after a pause longer than the ring nothing of the old master is left */
	token_ring_advance(&after, &before, new_master, then + 40 * TOKEN_EPOCH_SECONDS);
	token_ring_derive(&fresh, new_master, then + 40 * TOKEN_EPOCH_SECONDS);
	assert_memory_equal(&after, &fresh, sizeof(after));
	/* and a clock that was set back is no reason to trust less */
	token_ring_advance(&after, &before, old_master, then - 40 * TOKEN_EPOCH_SECONDS);
	token_ring_derive(&fresh, old_master, then - 40 * TOKEN_EPOCH_SECONDS);
	assert_memory_equal(&after, &fresh, sizeof(after));
}

/* ---- members ---- */

static const uint8_t domain_key[DOMAIN_KEY_SIZE] = "a domain's key of 32 bytes......";

static void test_hello_proof(void **state)
{
	static const uint8_t other_key[DOMAIN_KEY_SIZE] = {1};
	struct domain_keys d, other;
	struct mac proof;

	(void)state;
	domain_keys_derive(&d, domain_key);
	domain_keys_derive(&other, other_key);
	assert_memory_not_equal(d.hello, d.session, sizeof(d.hello));
	hello_prove(&d, 7, 0x702, 9, &proof);
	assert_true(hello_proven(&d, 7, 0x702, 9, &proof));
	assert_false(hello_proven(&d, 8, 0x702, 9, &proof));
	assert_false(hello_proven(&d, 7, 0x703, 9, &proof));
	assert_false(hello_proven(&d, 7, 0x702, 10, &proof));
	assert_false(hello_proven(&other, 7, 0x702, 9, &proof));
	proof.b[15] ^= 1;
	assert_false(hello_proven(&d, 7, 0x702, 9, &proof));
}

static void test_session(void **state)
{
	struct addr member = {ADDR_IP4, 0, {{1, 2}}, {192, 0, 2, 7}}, elsewhere = member;
	struct session s, t;
	struct domain_keys d;

	(void)state;
	domain_keys_derive(&d, domain_key);
	session_derive(&d, 7, &member, &s);
	session_derive(&d, 7, &member, &t);
	assert_memory_equal(&s, &t, sizeof(s));
	session_derive(&d, 8, &member, &t);
	assert_memory_not_equal(&s, &t, sizeof(s));
	elsewhere.port = put16(1);
	session_derive(&d, 7, &elsewhere, &t);
	assert_memory_not_equal(&s, &t, sizeof(s));
}

/* ---- possession ---- */

static void test_challenge(void **state)
{
	static const uint8_t master[MASTER_KEY_SIZE] = {1};
	static const uint8_t transfer[16] = "transfer", other_transfer[16] = "another";
	const uint64_t then = 1000 * TOKEN_EPOCH_SECONDS;
	struct addr source = {ADDR_IP4, 0, {{1, 2}}, {192, 0, 2, 7}}, thief = source;
	struct ident id = {{1}}, other_id = {{2}};
	struct challenge_request q = {.source = &source,
				      .transfer = transfer,
				      .id = &id,
				      .leg = 1,
				      .rule = RULE_SHA256,
				      .key = 0x702,
				      .length = 5000};
	static struct token_ring r;
	struct challenge c;

	(void)state;
	token_ring_derive(&r, master, then);
	challenge_mint(&r, &q, &c);
	assert_true(challenge_check(&r, &c, &q));
	thief.ip[3] = 8;
#define WITH(field, value)                                       \
	do {                                                     \
		struct challenge_request changed = q;            \
		changed.field = value;                           \
		assert_false(challenge_check(&r, &c, &changed)); \
	} while (0)
	WITH(source, &thief);
	WITH(transfer, other_transfer);
	WITH(id, &other_id);
	WITH(leg, 2);
	WITH(rule, RULE_XXH3);
	WITH(key, 0x703);
	WITH(length, 5001);
#undef WITH
	token_ring_derive(&r, master, then + TOKEN_EPOCH_SECONDS);
	assert_true(challenge_check(&r, &c, &q));
	token_ring_derive(&r, master, then + 2 * TOKEN_EPOCH_SECONDS);
	assert_false(challenge_check(&r, &c, &q));
	c.mac[13] ^= 1;
	token_ring_derive(&r, master, then);
	assert_false(challenge_check(&r, &c, &q));
}

static void test_proof_pick(void **state)
{
	struct challenge c = {.mac = "one"}, d = {.mac = "two"};
	uint32_t a[PROOF_CHUNKS], b[PROOF_CHUNKS];
	uint32_t seen[40] = {0};

	(void)state;
	assert_int_equal(proof_pick(&c, 0, a), 0);
	assert_int_equal(proof_pick(&c, 1, a), 1);
	assert_int_equal(a[0], 0);
	assert_int_equal(proof_pick(&c, PROOF_CHUNKS * CHUNK_SIZE, a), PROOF_CHUNKS);
	for (uint32_t i = 0; i < PROOF_CHUNKS; i++)
		assert_int_equal(a[i], i);
	assert_int_equal(proof_pick(&c, PROOF_CHUNKS * CHUNK_SIZE + 1, a), PROOF_CHUNKS);
	for (uint32_t i = 1; i < PROOF_CHUNKS; i++)
		assert_true(a[i - 1] < a[i]);
	assert_true(a[PROOF_CHUNKS - 1] <= PROOF_CHUNKS);
	assert_int_equal(proof_pick(&c, BLOB_MAX_LENGTH, a), PROOF_CHUNKS);
	assert_int_equal(proof_pick(&d, BLOB_MAX_LENGTH, b), PROOF_CHUNKS);
	assert_memory_not_equal(a, b, sizeof(a));
	/* no chunk is left out for good */
	for (uint8_t n = 0; n < 200; n++) {
		c.mac[13] = n;
		proof_pick(&c, 40 * CHUNK_SIZE, a);
		for (uint32_t i = 0; i < PROOF_CHUNKS; i++)
			seen[a[i]]++;
	}
	for (uint32_t i = 0; i < 40; i++)
		assert_in_range(seen[i], 60, 140); /* 100 is expected, 7 the deviation */
}

static void test_proof(void **state)
{
	struct ident id = {{1}}, other_id = {{2}};
	struct challenge c = {.mac = "one"};
	uint8_t bytes[100] = "the chunks";
	struct proof p;

	(void)state;
	proof_make(&c, &id, bytes, sizeof(bytes), &p);
	assert_memory_equal(&p.challenge, &c, sizeof(c));
	assert_true(proof_check(&p, &id, bytes, sizeof(bytes)));
	assert_false(proof_check(&p, &other_id, bytes, sizeof(bytes)));
	assert_false(proof_check(&p, &id, bytes, sizeof(bytes) - 1));
	bytes[99] ^= 1;
	assert_false(proof_check(&p, &id, bytes, sizeof(bytes)));
	bytes[99] ^= 1;
	p.challenge.mac[0] ^= 1;
	assert_false(proof_check(&p, &id, bytes, sizeof(bytes)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_key_set),	    cmocka_unit_test(test_ring_advance),
		cmocka_unit_test(test_hello_proof), cmocka_unit_test(test_session),
		cmocka_unit_test(test_challenge),   cmocka_unit_test(test_proof_pick),
		cmocka_unit_test(test_proof),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
