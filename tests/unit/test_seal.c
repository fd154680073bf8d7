/* SPDX-License-Identifier: BSD-3-Clause
 * Encrypted content: its bytes against an independent computation, what is
 * noticed when it was tampered with, and the ciphertext of a file in any order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "client/lib/input.h"
#include "client/lib/decryption.h"
#include "seal_vectors.h"
#include "wire/keyfile.h"

#define FILE_SIZE (3 * SEGMENT_SIZE + 777)

static uint8_t *file; /* FILE_SIZE bytes */
static const struct inbox inbox = {.fd = AT_FDCWD, .path = "."};

static void secret_make(uint8_t secret[CONTENT_KEY_SIZE])
{
	uint8_t i;

	for (i = 0; i < CONTENT_KEY_SIZE; i++)
		secret[i] = i;
}

static void digest_of(const uint8_t *bytes, size_t size, struct ident *id)
{
	struct ident_state *s = ident_begin(RULE_SHA256);

	ident_update(s, bytes, size);
	ident_final(s, id);
	ident_free(s);
}

static void shared_key(const uint8_t *secret, size_t size, uint8_t key[CONTENT_KEY_SIZE])
{
	struct ident digest;

	digest_of(file, size, &digest);
	content_key_shared(secret, &digest, size, key);
}

/* Reads all of the blob, as for its identifier. The caller frees it. */
static uint8_t *read_through(struct input *b)
{
	uint8_t *all = malloc(b->length);
	const uint8_t *piece;
	uint64_t offset;
	size_t len;

	for (offset = 0; offset < b->length; offset += len) {
		len = b->length - offset < INPUT_PIECE ? b->length - offset : INPUT_PIECE;
		piece = input_read(b, offset, len);
		assert_non_null(piece);
		memcpy(all + offset, piece, len);
	}
	return all;
}

/* The ciphertext of the first `size` bytes of the file. The caller frees it. */
static uint8_t *sealed_make(const uint8_t *key, size_t size, size_t *sealed_size)
{
	struct input b;
	uint8_t *all;

	assert_int_equal(input_open_memory(&b, file, size), 0);
	assert_int_equal(input_encrypt(&b, key, NULL), 0);
	*sealed_size = b.length;
	all = read_through(&b);
	input_close(&b);
	return all;
}

static void test_vectors(void **state)
{
	uint8_t secret[CONTENT_KEY_SIZE], key[CONTENT_KEY_SIZE], meta[META_MAX];
	struct content c;
	struct ident id;
	uint8_t *sealed;
	size_t size;

	(void)state;
	secret_make(secret);
	shared_key(secret, 0, key);
	sealed = sealed_make(key, 0, &size);
	assert_int_equal(size, sizeof(vector_sealed_0));
	assert_memory_equal(sealed, vector_sealed_0, size);
	free(sealed);
	shared_key(secret, 11, key);
	assert_memory_equal(key, vector_key_11, sizeof(key));
	sealed = sealed_make(key, 11, &size);
	assert_int_equal(size, sizeof(vector_sealed_11));
	assert_memory_equal(sealed, vector_sealed_11, size);
	free(sealed);
	content_init(&c, key, 11);
	assert_int_equal(meta_open(&c, vector_meta, sizeof(vector_meta), meta), 5);
	assert_memory_equal(meta, "a.txt", 5);
	shared_key(secret, 65536, key);
	sealed = sealed_make(key, 65536, &size);
	digest_of(sealed, size, &id);
	assert_memory_equal(id.b, vector_id_65536, sizeof(id.b));
	free(sealed);
	shared_key(secret, 65636, key);
	sealed = sealed_make(key, 65636, &size);
	digest_of(sealed, size, &id);
	assert_memory_equal(id.b, vector_id_65636, sizeof(id.b));
	free(sealed);
}

static void test_lengths(void **state)
{
	static const uint64_t impossible[] = {
		0,
		1,
		CONTENT_HEADER,
		CONTENT_HEADER + SEGMENT_TAG - 1,
		CONTENT_HEADER + SEGMENT_SEALED + 1,	       /* part of a tag */
		CONTENT_HEADER + SEGMENT_SEALED + SEGMENT_TAG, /* a tag, and nothing under it */
	};
	struct input b = {.file_length = BLOB_MAX_LENGTH};
	const uint8_t key[CONTENT_KEY_SIZE] = {1};
	uint64_t length, found;
	size_t i;

	(void)state;
	for (length = 0; length <= 2 * SEGMENT_SIZE + 1; length++) {
		assert_true(content_length(content_sealed_length(length), &found));
		assert_int_equal(found, length);
	}
	for (i = 0; i < sizeof(impossible) / sizeof(impossible[0]); i++)
		assert_false(content_length(impossible[i], &found));
	/* 2^36: the longest file has a ciphertext that fits a blob, but none longer. */
	length = BLOB_MAX_LENGTH - CONTENT_HEADER -
		 (BLOB_MAX_LENGTH / SEGMENT_SEALED + 1) * SEGMENT_TAG;
	assert_true(content_sealed_length(length) <= BLOB_MAX_LENGTH);
	assert_int_equal(content_sealed_length(length), BLOB_MAX_LENGTH);
	assert_int_equal(input_encrypt(&b, key, NULL), -EFBIG);
	b.file_length = length + 1;
	assert_int_equal(input_encrypt(&b, key, NULL), -EFBIG);
}

/* Decrypts as a target does. Returns what decryption returned in the end; the
 * file is then compared. */
static int decrypt(const uint8_t *key, const uint8_t *sealed, size_t size, size_t expected)
{
	struct iovec iov = {(void *)sealed, size};
	uint8_t *scratch = malloc(SEGMENT_SEALED), *found = malloc(FILE_SIZE + 1);
	uint8_t meta[SEALED_META_EXTRA];
	struct decryption d;
	struct content c;
	struct part p;
	int ret;

	content_init(&c, key, 0);
	meta_seal(&c, meta, 0, meta);
	assert_int_equal(part_open(&inbox, &p), 0);
	assert_int_equal(part_write(&p, &iov, 1, 0), 0);
	ret = decryption_begin(&d, key, size, meta, sizeof(meta));
	if (ret == 0)
		while ((ret = decryption_run(&d, &p, scratch, 2)) > 0)
			;
	if (ret == 0) {
		assert_int_equal(d.content.length, expected);
		assert_int_equal(lseek(p.fd, 0, SEEK_END), expected);
		assert_int_equal(part_read(&p, found, expected, 0), 0);
		assert_memory_equal(found, file, expected);
	}
	part_discard(&inbox, &p);
	free(scratch);
	free(found);
	return ret;
}

static void test_round(void **state)
{
	static const size_t sizes[] = {
		0,	  1, 11, SEGMENT_SIZE - 1, SEGMENT_SIZE, SEGMENT_SIZE + 1, 2 * SEGMENT_SIZE,
		FILE_SIZE};
	uint8_t key[CONTENT_KEY_SIZE];
	uint8_t *sealed;
	size_t i, size;

	(void)state;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		randombytes_buf(key, sizeof(key));
		sealed = sealed_make(key, sizes[i], &size);
		assert_int_equal(size, content_sealed_length(sizes[i]));
		assert_int_equal(decrypt(key, sealed, size, sizes[i]), 0);
		free(sealed);
	}
}

static void test_tamper(void **state)
{
	static const size_t at[] = {
		0,					  /* magic */
		8,					  /* version */
		9,					  /* size of segments */
		10,					  /* zeros */
		16,					  /* commitment */
		47,					  /* its end */
		CONTENT_HEADER,				  /* first segment */
		CONTENT_HEADER + SEGMENT_SIZE - 1,	  /* its end */
		CONTENT_HEADER + SEGMENT_SIZE,		  /* its tag */
		CONTENT_HEADER + SEGMENT_SEALED + 5,	  /* second segment */
		CONTENT_HEADER + 2 * SEGMENT_SEALED - 1,  /* its tag */
		CONTENT_HEADER + 3 * SEGMENT_SEALED,	  /* last segment */
		CONTENT_HEADER + 3 * SEGMENT_SEALED + 777 /* its tag */
	};
	static const size_t cuts[] = {
		CONTENT_HEADER + 1 * SEGMENT_SEALED,
		CONTENT_HEADER + 3 * SEGMENT_SEALED,
		CONTENT_HEADER + 3 * SEGMENT_SEALED + 776 + SEGMENT_TAG,
	};
	uint8_t key[CONTENT_KEY_SIZE] = {7}, other[CONTENT_KEY_SIZE] = {8};
	uint8_t *sealed, *swapped;
	size_t i, size;

	(void)state;
	sealed = sealed_make(key, FILE_SIZE, &size);
	for (i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		sealed[at[i]] ^= 0x10;
		assert_int_equal(decrypt(key, sealed, size, 0), -EBADMSG);
		sealed[at[i]] ^= 0x10;
	}
	for (i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++)
		assert_int_equal(decrypt(key, sealed, cuts[i], 0), -EBADMSG);
	assert_int_equal(decrypt(other, sealed, size, 0), -EBADMSG);
	/* two segments swapped; one more behind the last */
	swapped = malloc(size + SEGMENT_SEALED);
	memcpy(swapped, sealed, size);
	memcpy(swapped + CONTENT_HEADER, sealed + CONTENT_HEADER + SEGMENT_SEALED, SEGMENT_SEALED);
	memcpy(swapped + CONTENT_HEADER + SEGMENT_SEALED, sealed + CONTENT_HEADER, SEGMENT_SEALED);
	assert_int_equal(decrypt(key, swapped, size, 0), -EBADMSG);
	memcpy(swapped, sealed, CONTENT_HEADER + SEGMENT_SEALED);
	memcpy(swapped + CONTENT_HEADER + SEGMENT_SEALED, sealed + CONTENT_HEADER,
	       size - CONTENT_HEADER);
	assert_int_equal(decrypt(key, swapped, size + SEGMENT_SEALED, 0), -EBADMSG);
	assert_int_equal(decrypt(key, sealed, size, FILE_SIZE), 0);
	free(swapped);
	free(sealed);
}

static void test_meta(void **state)
{
	uint8_t sealed[META_MAX], again[META_MAX], meta[META_MAX];
	const uint8_t key[CONTENT_KEY_SIZE] = {9}, other[CONTENT_KEY_SIZE] = {10};
	struct content c, c2;
	size_t i, len;

	(void)state;
	content_init(&c, key, 100);
	content_init(&c2, other, 100);
	len = meta_seal(&c, (const uint8_t *)"report.pdf", 10, sealed);
	assert_int_equal(len, 10 + SEALED_META_EXTRA);
	assert_int_equal(meta_open(&c, sealed, len, meta), 10);
	assert_memory_equal(meta, "report.pdf", 10);
	meta_seal(&c, (const uint8_t *)"report.pdf", 10, again);
	assert_memory_not_equal(sealed, again, len);
	for (i = 0; i < len; i++) {
		sealed[i] ^= 1;
		assert_int_equal(meta_open(&c, sealed, len, meta), -EBADMSG);
		sealed[i] ^= 1;
	}
	for (i = 0; i < len; i++)
		assert_int_equal(meta_open(&c, sealed, i, meta), -EBADMSG);
	assert_int_equal(meta_open(&c2, sealed, len, meta), -EBADMSG);
}

/* Any part, in any order, from a file and from memory, is part of the whole. */
static void ranges_check(struct input *b)
{
	uint64_t offset, random = 1;
	uint8_t *all = read_through(b);
	const uint8_t *piece;
	size_t i, len;

	for (i = 0; i < 300; i++) {
		random = random * UINT64_C(6364136223846793005) + 1;
		offset = (random >> 20) % b->length;
		len = i % 3 == 0 ? 1152 : (random >> 40) % (2 * SEGMENT_SIZE) + 1;
		if (len > b->length - offset)
			len = b->length - offset;
		piece = input_read(b, offset, len);
		assert_non_null(piece);
		assert_memory_equal(piece, all + offset, len);
	}
	free(all);
}

static void test_ranges(void **state)
{
	const uint8_t key[CONTENT_KEY_SIZE] = {11};
	struct ident digest;
	struct input b;
	char path[] = "/var/tmp/oncewire-test-XXXXXX";
	int fd = mkstemp(path), copies;

	(void)state;
	digest_of(file, FILE_SIZE, &digest);
	assert_int_equal(input_open_memory(&b, file, FILE_SIZE), 0);
	assert_int_equal(input_encrypt(&b, key, &digest), 0);
	ranges_check(&b);
	input_close(&b);
	for (copies = 0; copies < 12; copies++) /* more than the window: 2.3 MiB */
		assert_int_equal(write(fd, file, FILE_SIZE), FILE_SIZE);
	assert_int_equal(input_open_fd(&b, fd), 0);
	assert_int_equal(input_encrypt(&b, key, NULL), 0);
	assert_null(input_read(&b, b.length / 2, 10)); /* not read through yet */
	ranges_check(&b);
	assert_false(input_changed(&b));
	input_close(&b);
	close(fd);
	unlink(path);
}

static void test_equal(void **state)
{
	uint8_t secret[CONTENT_KEY_SIZE] = {1}, key[CONTENT_KEY_SIZE], other[CONTENT_KEY_SIZE];
	struct ident digest;

	(void)state;
	digest_of(file, 1000, &digest);
	content_key_shared(secret, &digest, 1000, key);
	content_key_shared(secret, &digest, 1000, other);
	assert_memory_equal(key, other, sizeof(key));
	content_key_shared(secret, &digest, 1001, other);
	assert_memory_not_equal(key, other, sizeof(key));
	digest.b[31] ^= 1;
	content_key_shared(secret, &digest, 1000, other);
	assert_memory_not_equal(key, other, sizeof(key));
	digest.b[31] ^= 1;
	secret[0] ^= 2; /* another domain */
	content_key_shared(secret, &digest, 1000, other);
	assert_memory_not_equal(key, other, sizeof(key));
}

/* One keystream never covers two versions of a file, whatever its time says. */
static void test_changed(void **state)
{
	const uint8_t key[CONTENT_KEY_SIZE] = {12};
	const size_t size = 20 * SEGMENT_SIZE; /* more than is kept encrypted */
	uint8_t *data = calloc(1, size);
	struct ident digest;
	struct input b;

	(void)state;
	digest_of(data, size, &digest);
	/* after it was read through */
	assert_int_equal(input_open_memory(&b, data, size), 0);
	assert_int_equal(input_encrypt(&b, key, &digest), 0);
	free(read_through(&b));
	data[5] ^= 1;
	assert_null(input_read(&b, 0, 1152));
	assert_int_equal(errno, EIO);
	assert_true(input_changed(&b));
	assert_null(input_read(&b, b.length - 10, 10));
	input_close(&b);
	/* between the digest that gave the key and the first reading */
	assert_int_equal(input_open_memory(&b, data, size), 0);
	assert_int_equal(input_encrypt(&b, key, &digest), 0);
	assert_non_null(input_read(&b, 0, INPUT_PIECE));
	assert_false(input_changed(&b));
	assert_null(input_read(&b, INPUT_PIECE, b.length - INPUT_PIECE));
	assert_true(input_changed(&b));
	input_close(&b);
	free(data);
}

static void test_identity(void **state)
{
	char path[] = "/var/tmp/oncewire-test-XXXXXX", hex[RECIPIENT_TEXT];
	uint8_t key[CONTENT_KEY_SIZE] = {13}, found[CONTENT_KEY_SIZE], sealed[SEALED_KEY_SIZE];
	struct identity id, other;
	struct recipient r, none = {{0}};
	size_t i;
	int fd = mkstemp(path);

	(void)state;
	crypto_box_keypair(other.recipient.key, other.secret);
	sodium_bin2hex(hex, sizeof(hex), other.secret, sizeof(other.secret));
	assert_int_equal(write(fd, hex, 64), 64);
	assert_int_equal(identity_read(path, &id), 0);
	assert_memory_equal(id.recipient.key, other.recipient.key, RECIPIENT_SIZE);
	assert_int_equal(fchmod(fd, 0640), 0);
	assert_int_equal(identity_read(path, &id), -EPERM);
	close(fd);
	unlink(path);
	assert_int_equal(identity_read(path, &id), -ENOENT);
	id = other;

	assert_int_equal(recipient_parse(recipient_text(&id.recipient, hex), &r), 0);
	assert_memory_equal(&r, &id.recipient, sizeof(r));
	assert_int_equal(recipient_parse("", &r), -EINVAL);
	assert_int_equal(recipient_parse("12", &r), -EINVAL);
	hex[63] = 'g';
	assert_int_equal(recipient_parse(hex, &r), -EINVAL);

	assert_int_equal(key_seal(key, &none, sealed), -EINVAL);
	assert_int_equal(key_seal(key, &id.recipient, sealed), 0);
	assert_true(key_open(&id, sealed, found));
	assert_memory_equal(found, key, sizeof(key));
	for (i = 0; i < sizeof(sealed); i++) {
		sealed[i] ^= 4;
		assert_false(key_open(&id, sealed, found));
		sealed[i] ^= 4;
	}
	crypto_box_keypair(other.recipient.key, other.secret);
	assert_false(key_open(&other, sealed, found));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),	 cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_round),	 cmocka_unit_test(test_tamper),
		cmocka_unit_test(test_meta),	 cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_equal),	 cmocka_unit_test(test_changed),
		cmocka_unit_test(test_identity),
	};
	uint64_t i;
	int ret;

	if (sodium_init() < 0)
		return 1;
	file = malloc(FILE_SIZE);
	for (i = 0; i < FILE_SIZE; i++)
		file[i] = (uint8_t)(i * i >> 3);
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	free(file);
	return ret;
}
