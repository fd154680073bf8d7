/* SPDX-License-Identifier: BSD-3-Clause
 * Keys as `oncewire keygen` makes them, and their files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "client/cli/keygen.h"

static char path[64];

static int setup(void **state)
{
	(void)state;
	strcpy(path, "/var/tmp/oncewire-test-XXXXXX");
	assert_non_null(mkdtemp(path));
	strcat(path, "/key");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	*strrchr(path, '/') = '\0';
	return rmdir(path); /* nothing else is left in it */
}

static int set_write(const struct key_set *s, bool replace)
{
	char text[KEY_SET_TEXT];

	return key_file_write(path, key_set_text(s, text), replace);
}

static void set_check(const struct key_set *expected)
{
	struct key_set found;
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(key_set_read(path, &found), 0);
	assert_int_equal(found.id, expected->id);
	assert_int_equal(found.count, expected->count);
	for (uint32_t i = 0; i < found.count; i++) {
		assert_int_equal(found.key[i].generation, expected->key[i].generation);
		assert_memory_equal(found.key[i].key, expected->key[i].key, KEY_SET_SIZE);
	}
}

static void test_set(void **state)
{
	struct key_set s, other;
	int i;

	(void)state;
	keygen_set(&s, 0xabcdef);
	assert_int_equal(s.id, 0xabcdef);
	assert_int_equal(s.count, 1);
	assert_int_equal(s.key[0].generation, 1);
	assert_int_equal(set_write(&s, false), 0);
	set_check(&s);
	keygen_set(&other, 0xabcdef);
	assert_memory_not_equal(s.key[0].key, other.key[0].key, KEY_SET_SIZE);
	assert_int_equal(set_write(&other, false), -EEXIST);
	set_check(&s);
	for (i = 0; i < 1000; i++) {
		keygen_set(&s, 0);
		assert_in_range(s.id, 1, KEY_SET_ID_MAX);
	}
	keygen_set(&other, 0);
	assert_int_not_equal(s.id, other.id);
}

static void test_rotation(void **state)
{
	struct key_set first, second, third;

	(void)state;
	keygen_set(&first, 5);
	second = first;
	keygen_rotate(&second);
	assert_int_equal(second.count, 2);
	assert_int_equal(second.key[0].generation, 2);
	assert_memory_not_equal(second.key[0].key, first.key[0].key, KEY_SET_SIZE);
	assert_memory_equal(&second.key[1], &first.key[0], sizeof(first.key[0]));
	third = second;
	keygen_rotate(&third);
	assert_int_equal(third.count, 2); /* the first generation is dropped */
	assert_int_equal(third.key[0].generation, 3);
	assert_memory_equal(&third.key[1], &second.key[0], sizeof(second.key[0]));
	assert_int_equal(set_write(&first, false), 0);
	assert_int_equal(set_write(&third, true), 0);
	set_check(&third);
	keygen_retire(&third);
	assert_int_equal(third.count, 1);
	assert_int_equal(third.key[0].generation, 3);
	assert_int_equal(set_write(&third, true), 0);
	set_check(&third);
	third.key[0].generation = 255;
	keygen_rotate(&third);
	assert_int_equal(third.key[0].generation, 0);
	assert_int_equal(third.key[1].generation, 255);
	assert_int_equal(set_write(&third, true), 0);
	set_check(&third);
}

/* Root rotates the key of a relay that runs as somebody else. */
static void test_owner(void **state)
{
	struct key_set s;
	struct stat st;

	(void)state;
	if (geteuid() != 0)
		skip();
	keygen_set(&s, 5);
	assert_int_equal(set_write(&s, false), 0);
	assert_int_equal(chown(path, 1234, 1235), 0);
	keygen_rotate(&s);
	assert_int_equal(set_write(&s, true), 0);
	set_check(&s);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, 1234);
	assert_int_equal(st.st_gid, 1235);
}

static void test_secret(void **state)
{
	uint8_t key[KEYGEN_SIZE], zeros[KEYGEN_SIZE] = {0};
	char text[KEYGEN_TEXT], again[KEYGEN_TEXT];

	(void)state;
	assert_int_equal(key_file_write(path, keygen_secret(text), false), 0);
	assert_int_equal(strlen(text), 65);
	assert_int_equal(key_file_read(path, key, sizeof(key)), 0);
	assert_memory_not_equal(key, zeros, sizeof(key));
	assert_string_not_equal(keygen_secret(again), text);
}

/* What is sealed to the public key opens with the file's. */
static void test_identity(void **state)
{
	uint8_t secret[KEYGEN_SIZE], public[KEYGEN_SIZE], box[4 + crypto_box_SEALBYTES], out[4];
	char text[KEYGEN_TEXT];

	(void)state;
	assert_int_equal(key_file_write(path, keygen_identity(text), false), 0);
	assert_int_equal(key_file_read(path, secret, sizeof(secret)), 0);
	assert_int_equal(keygen_public(secret, text), 0);
	assert_int_equal(strlen(text), 64);
	assert_int_equal(sodium_hex2bin(public, sizeof(public), text, 64, NULL, NULL, NULL), 0);
	assert_int_equal(crypto_box_seal(box, (const uint8_t *)"file", 4, public), 0);
	assert_int_equal(crypto_box_seal_open(out, box, sizeof(box), public, secret), 0);
	assert_memory_equal(out, "file", 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_set, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rotation, setup, teardown),
		cmocka_unit_test_setup_teardown(test_owner, setup, teardown),
		cmocka_unit_test_setup_teardown(test_secret, setup, teardown),
		cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
	};

	return sodium_init() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}
