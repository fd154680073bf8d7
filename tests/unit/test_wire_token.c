/* SPDX-License-Identifier: BSD-3-Clause
 * Tokens: each is honoured where it should be and nowhere else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wire/keyfile.h"
#include "wire/token.h"

#define NOW UINT64_C(1700000100) /* the first second of an epoch */
#define CONN UINT64_C(0x8877665544332211)
#define KEY 0x501u

static const uint8_t master[MASTER_KEY_SIZE] = "master key of one group of relay";
static const struct addr client = {ADDR_IP4, 0, {{1, 2}}, {203, 0, 113, 5}};
static const struct ident id = {{1, 2, 3, [31] = 9}};

static struct token_ring ring_at(uint64_t unix_seconds)
{
	struct token_ring r;

	token_ring_derive(&r, master, unix_seconds);
	return r;
}

static struct addr client_with(unsigned int byte)
{
	struct addr a = client;

	((uint8_t *)&a)[byte] ^= 1;
	return a;
}

static void test_epochs(void **state)
{
	struct token_ring r = ring_at(NOW);

	(void)state;
	assert_int_equal(NOW % TOKEN_EPOCH_SECONDS, 0);
	assert_int_equal(token_epoch(NOW), token_epoch(NOW + 299));
	assert_int_equal(token_epoch(NOW) + 1, token_epoch(NOW + 300));
	assert_true(r.epoch == token_epoch(NOW));
	assert_true(r.keys[0].epoch == r.epoch + 1);
	assert_true(r.keys[1].epoch == r.epoch);
	assert_true(r.keys[TICKET_EPOCHS + 1].epoch == r.epoch - TICKET_EPOCHS);
	/* No two keys are the same: neither by epoch nor by use. */
	for (int i = 0; i < TICKET_EPOCHS + 2; i++) {
		assert_memory_not_equal(r.keys[i].cookie, r.keys[i].echo, 16);
		assert_memory_not_equal(r.keys[i].cookie, r.keys[i].ticket, 16);
		assert_memory_not_equal(r.keys[i].echo, r.keys[i].ticket, 16);
		for (int j = 0; j < i; j++)
			assert_memory_not_equal(r.keys[i].cookie, r.keys[j].cookie, 16);
	}
}

static void test_cookie(void **state)
{
	struct token_ring r = ring_at(NOW);
	struct cookie c;

	(void)state;
	cookie_mint(&r, &client, CONN, KEY, &c);
	assert_int_equal(cookie_check(&r, &c, &client, CONN, KEY), DROP_NONE);
	assert_int_equal(cookie_check(&r, &c, &client, CONN ^ 1, KEY), DROP_COOKIE_BAD);
	assert_int_equal(cookie_check(&r, &c, &client, CONN, KEY + 1), DROP_COOKIE_BAD);
	/* Address, port, type, all of it. */
	for (unsigned int i = 0; i < sizeof(struct addr); i++) {
		struct addr other = client_with(i);

		assert_int_equal(cookie_check(&r, &c, &other, CONN, KEY), DROP_COOKIE_BAD);
	}
	for (unsigned int bit = 0; bit < 8 * sizeof(c); bit++) {
		((uint8_t *)&c)[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(cookie_check(&r, &c, &client, CONN, KEY), DROP_COOKIE_BAD);
		((uint8_t *)&c)[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	memset(&c, 0, sizeof(c));
	assert_int_equal(cookie_check(&r, &c, &client, CONN, KEY), DROP_COOKIE_BAD);
}

/* One to two epochs; then stale, as long as it can be told from a forgery. */
static void test_cookie_age(void **state)
{
	struct token_ring r = ring_at(NOW);
	struct cookie c;

	(void)state;
	cookie_mint(&r, &client, CONN, KEY, &c);
	for (int64_t age = -3; age <= TICKET_EPOCHS + 3; age++) {
		struct token_ring later = ring_at(NOW + (uint64_t)(age * TOKEN_EPOCH_SECONDS));
		enum drop expected = DROP_COOKIE_BAD;

		if (age >= -1 && age <= 1)
			expected = DROP_NONE;
		else if (age >= 2 && age <= TICKET_EPOCHS)
			expected = DROP_COOKIE_STALE;
		assert_int_equal(cookie_check(&later, &c, &client, CONN, KEY), expected);
		if (expected == DROP_COOKIE_STALE)
			assert_int_equal(cookie_check(&later, &c, &client, CONN + 1, KEY),
					 DROP_COOKIE_BAD);
	}
}

/* The epoch's low 16 bits wrap around. */
static void test_cookie_wrap(void **state)
{
	uint64_t wrap = (UINT64_C(90) << 16) * TOKEN_EPOCH_SECONDS;
	struct token_ring before = ring_at(wrap - 1), after = ring_at(wrap);
	struct cookie c;

	(void)state;
	cookie_mint(&before, &client, CONN, KEY, &c);
	assert_int_equal(get16(c.epoch), 0xffff);
	assert_int_equal(cookie_check(&after, &c, &client, CONN, KEY), DROP_NONE);
	cookie_mint(&after, &client, CONN, KEY, &c);
	assert_int_equal(get16(c.epoch), 0);
	assert_int_equal(cookie_check(&before, &c, &client, CONN, KEY), DROP_NONE);
	/* The same 16 bits, one turn later, under another key. */
	after = ring_at(wrap + (UINT64_C(1) << 16) * TOKEN_EPOCH_SECONDS);
	assert_int_equal(cookie_check(&after, &c, &client, CONN, KEY), DROP_COOKIE_BAD);
}

/* A restarted relay or a sibling honours them; another group does not. */
static void test_groups(void **state)
{
	uint8_t other_master[MASTER_KEY_SIZE];
	struct token_ring r = ring_at(NOW), sibling = ring_at(NOW + 299), other;
	struct ticket t = {.expiry = put32((uint32_t)NOW + 60)};
	struct cookie c;
	struct echo e;

	(void)state;
	memcpy(other_master, master, sizeof(master));
	other_master[0] ^= 0x80;
	token_ring_derive(&other, other_master, NOW);
	cookie_mint(&r, &client, CONN, KEY, &c);
	echo_mint(&r, &client, CONN, KEY, NOW, &e);
	ticket_mint(&r, &t, &id, RULE_SHA256, 7);
	assert_int_equal(cookie_check(&sibling, &c, &client, CONN, KEY), DROP_NONE);
	assert_int_equal(echo_check(&sibling, &e, &client, CONN, KEY, NOW + 1), DROP_NONE);
	assert_int_equal(ticket_check(&sibling, &t, &id, RULE_SHA256, 7, NOW), DROP_NONE);
	assert_int_equal(cookie_check(&other, &c, &client, CONN, KEY), DROP_COOKIE_BAD);
	assert_int_equal(echo_check(&other, &e, &client, CONN, KEY, NOW), DROP_ECHO_STALE);
	assert_int_equal(ticket_check(&other, &t, &id, RULE_SHA256, 7, NOW), DROP_TICKET_BAD);
}

static void test_echo(void **state)
{
	struct token_ring r = ring_at(NOW);
	struct echo e;

	(void)state;
	echo_mint(&r, &client, CONN, KEY, NOW + 100, &e);
	assert_int_equal(echo_check(&r, &e, &client, CONN + 1, KEY, NOW + 100), DROP_ECHO_STALE);
	assert_int_equal(echo_check(&r, &e, &client, CONN, KEY + 1, NOW + 100), DROP_ECHO_STALE);
	for (unsigned int i = 0; i < sizeof(struct addr); i++) {
		struct addr other = client_with(i);

		assert_int_equal(echo_check(&r, &e, &other, CONN, KEY, NOW + 100), DROP_ECHO_STALE);
	}
	for (unsigned int bit = 0; bit < 8 * sizeof(e); bit++) {
		((uint8_t *)&e)[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(echo_check(&r, &e, &client, CONN, KEY, NOW + 100),
				 DROP_ECHO_STALE);
		((uint8_t *)&e)[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (int64_t age = -300; age <= 600; age++)
		assert_int_equal(echo_check(&r, &e, &client, CONN, KEY, NOW + 100 + (uint64_t)age),
				 age >= -1 && age <= ECHO_SECONDS ? DROP_NONE : DROP_ECHO_STALE);
}

/* Over the end of an epoch, before and after the keys were derived anew. */
static void test_echo_epochs(void **state)
{
	struct token_ring before = ring_at(NOW - 1), after = ring_at(NOW + 2);
	struct echo e;

	(void)state;
	for (uint64_t at = NOW - 5; at <= NOW + 5; at++) {
		echo_mint(&before, &client, CONN, KEY, at, &e);
		for (uint64_t now = at; now <= at + ECHO_SECONDS; now++) {
			assert_int_equal(echo_check(&before, &e, &client, CONN, KEY, now),
					 DROP_NONE);
			assert_int_equal(echo_check(&after, &e, &client, CONN, KEY, now),
					 DROP_NONE);
		}
	}
	/* A clock that left the ring behind: what it mints it honours. */
	echo_mint(&before, &client, CONN, KEY, NOW + 100000, &e);
	assert_int_equal(echo_check(&before, &e, &client, CONN, KEY, NOW + 100003), DROP_NONE);
	echo_mint(&before, &client, CONN, KEY, NOW - 100000, &e);
	assert_int_equal(echo_check(&before, &e, &client, CONN, KEY, NOW - 99997), DROP_NONE);
}

static struct ticket ticket_fill(uint64_t expiry)
{
	return (struct ticket){
		.leg = put16(3),
		.expiry = put32((uint32_t)expiry),
		.key = put32(KEY),
		.transfer = "transfer 16 byte",
		.source_conn = put64(CONN),
		.source = client,
		.home = client_with(7),
	};
}

static void test_ticket(void **state)
{
	struct ticket t = ticket_fill(NOW + 60);
	struct token_ring r = ring_at(NOW);
	struct ident other = id;

	(void)state;
	ticket_mint(&r, &t, &id, RULE_SHA256, 1153);
	assert_int_equal(ticket_check(&r, &t, &id, RULE_SHA256, 1153, NOW), DROP_NONE);
	assert_int_equal(ticket_check(&r, &t, &id, RULE_XXH3, 1153, NOW), DROP_TICKET_BAD);
	assert_int_equal(ticket_check(&r, &t, &id, RULE_SHA256, 1152, NOW), DROP_TICKET_BAD);
	for (unsigned int i = 0; i < IDENT_SIZE; i++) {
		other.b[i] ^= 0x10;
		assert_int_equal(ticket_check(&r, &t, &other, RULE_SHA256, 1153, NOW),
				 DROP_TICKET_BAD);
		other.b[i] ^= 0x10;
	}
	for (unsigned int bit = 0; bit < 8 * sizeof(t); bit++) {
		((uint8_t *)&t)[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(ticket_check(&r, &t, &id, RULE_SHA256, 1153, NOW), DROP_NONE);
		((uint8_t *)&t)[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(ticket_check(&r, &t, &id, RULE_SHA256, 1153, NOW), DROP_NONE);
}

static void test_ticket_expiry(void **state)
{
	struct token_ring r = ring_at(NOW);
	struct ticket t = ticket_fill(NOW + 60);

	(void)state;
	ticket_mint(&r, &t, &id, RULE_SHA256, 1);
	assert_int_equal(ticket_check(&r, &t, &id, RULE_SHA256, 1, NOW + 60), DROP_NONE);
	assert_int_equal(ticket_check(&r, &t, &id, RULE_SHA256, 1, NOW + 61), DROP_TICKET_EXPIRED);
}

/* The longest deadline, minted at the end of an epoch, is honoured to its end. */
static void test_ticket_longest(void **state)
{
	uint64_t minted = NOW + TOKEN_EPOCH_SECONDS - 1, expiry = minted + 3600;
	struct token_ring r = ring_at(minted);
	struct ticket t = ticket_fill(expiry);

	(void)state;
	ticket_mint(&r, &t, &id, RULE_SHA256, 1);
	for (uint64_t now = minted; now <= expiry; now += 100) {
		r = ring_at(now);
		assert_int_equal(ticket_check(&r, &t, &id, RULE_SHA256, 1, now), DROP_NONE);
	}
	r = ring_at(expiry);
	assert_int_equal(ticket_check(&r, &t, &id, RULE_SHA256, 1, expiry), DROP_NONE);
	r = ring_at(expiry + TOKEN_EPOCH_SECONDS);
	assert_int_equal(ticket_check(&r, &t, &id, RULE_SHA256, 1, expiry + TOKEN_EPOCH_SECONDS),
			 DROP_TICKET_EXPIRED);
	/* Of an epoch that is yet to come, further than any sibling's clock. */
	r = ring_at(minted - 2 * TOKEN_EPOCH_SECONDS);
	assert_int_equal(ticket_check(&r, &t, &id, RULE_SHA256, 1, minted), DROP_TICKET_BAD);
}

static void test_trailer(void **state)
{
	uint8_t key[PAIR_KEY_SIZE] = {1}, frame[100] = {2}, trailer[TRAILER_SIZE];

	(void)state;
	trailer_make(key, frame, sizeof(frame), trailer);
	assert_true(trailer_check(key, frame, sizeof(frame), trailer));
	assert_false(trailer_check(key, frame, sizeof(frame) - 1, trailer));
	for (size_t i = 0; i < sizeof(frame); i++) {
		frame[i] ^= 1;
		assert_false(trailer_check(key, frame, sizeof(frame), trailer));
		frame[i] ^= 1;
	}
	for (size_t i = 0; i < TRAILER_SIZE; i++) {
		trailer[i] ^= 0x40;
		assert_false(trailer_check(key, frame, sizeof(frame), trailer));
		trailer[i] ^= 0x40;
	}
	key[31] = 1;
	assert_false(trailer_check(key, frame, sizeof(frame), trailer));
}

static void test_meta_digest(void **state)
{
	uint8_t digest[8];

	(void)state;
	meta_digest("abc", 3, digest);
	assert_memory_equal(digest, "\xba\x78\x16\xbf\x8f\x01\xcf\xea", 8);
	meta_digest(NULL, 0, digest);
	assert_memory_equal(digest, "\xe3\xb0\xc4\x42\x98\xfc\x1c\x14", 8);
}

#define HEX "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"

static int key_read(const char *text, size_t len, mode_t mode, uint8_t *key, size_t size)
{
	char path[] = "key-XXXXXX";
	int fd = mkstemp(path), rc;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	rc = key_file_read(path, key, size);
	unlink(path);
	return rc;
}

static void test_key_file(void **state)
{
	uint8_t key[33] = {[32] = 0x5a};
	char large[4096];

	(void)state;
	assert_int_equal(key_read(HEX, 64, 0600, key, 32), 0);
	assert_memory_equal(key, "\x00\x11\x22\x33\x44\x55\x66\x77", 8);
	assert_int_equal(key[31], 0xff);
	assert_int_equal(key[32], 0x5a);
	assert_int_equal(key_read(HEX " \r\n\t\n", 69, 0400, key, 32), 0);

	assert_int_equal(key_read("", 0, 0600, key, 32), -EINVAL);
	assert_int_equal(key_read(HEX, 63, 0600, key, 32), -EINVAL);
	assert_int_equal(key_read(HEX, 62, 0600, key, 32), -EINVAL);
	assert_int_equal(key_read(HEX "00", 66, 0600, key, 32), -EINVAL);
	assert_int_equal(key_read(HEX "x", 65, 0600, key, 32), -EINVAL);
	assert_int_equal(key_read(HEX "\0", 65, 0600, key, 32), -EINVAL);
	assert_int_equal(key_read(" " HEX, 65, 0600, key, 32), -EINVAL);
	assert_int_equal(key_read("gg112233", 8, 0600, key, 4), -EINVAL);
	assert_int_equal(key_read("00:11:22", 8, 0600, key, 4), -EINVAL);
	memset(large, '0', sizeof(large));
	assert_int_equal(key_read(large, sizeof(large), 0600, key, 32), -EINVAL);
	memset(large, ' ', sizeof(large));
	memcpy(large, HEX, 64);
	assert_int_equal(key_read(large, sizeof(large), 0600, key, 32), -EINVAL);
}

static void test_key_file_modes(void **state)
{
	static const mode_t refused[] = {0640, 0604, 0644, 0620, 0602, 0610, 0777};
	uint8_t key[32];

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
		assert_int_equal(key_read(HEX, 64, refused[i], key, 32), -EPERM);
	assert_int_equal(key_file_read("no-such-key-file", key, 32), -ENOENT);
	assert_int_equal(key_file_read("/", key, 32), -EINVAL);
	assert_int_equal(mkfifo("key-fifo", 0600), 0);
	assert_int_equal(key_file_read("key-fifo", key, 32), -EINVAL);
	unlink("key-fifo");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_epochs),	      cmocka_unit_test(test_cookie),
		cmocka_unit_test(test_cookie_age),    cmocka_unit_test(test_cookie_wrap),
		cmocka_unit_test(test_groups),	      cmocka_unit_test(test_echo),
		cmocka_unit_test(test_echo_epochs),   cmocka_unit_test(test_ticket),
		cmocka_unit_test(test_ticket_expiry), cmocka_unit_test(test_ticket_longest),
		cmocka_unit_test(test_trailer),	      cmocka_unit_test(test_meta_digest),
		cmocka_unit_test(test_key_file),      cmocka_unit_test(test_key_file_modes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
