/* SPDX-License-Identifier: BSD-3-Clause
 * Many SipHashes at once, beside libsodium's one by one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "wire/sip.h"

#define MOST 40
#define LONGEST 1232

static uint8_t key[MOST][16], *message[MOST];
static struct sip jobs[MOST];

/* Exactly as long as it says, so that a sanitizer sees what is read behind it. */
static void message_make(unsigned int i, size_t len)
{
	free(message[i]);
	message[i] = malloc(len > 0 ? len : 1);
	randombytes_buf(message[i], len);
	randombytes_buf(key[i], sizeof(key[i]));
	memset(&jobs[i], 0xa5, sizeof(jobs[i]));
	sip_set(&jobs[i], key[i], message[i], len);
}

static void check(unsigned int n, const size_t *len)
{
	unsigned int ways;
	const struct sip_way *way = sip_ways(&ways);
	uint8_t right[16];

	for (unsigned int w = 0; w < ways; w++) {
		way[w].hash(jobs, sizeof(jobs[0]), n);
		for (unsigned int i = 0; i < n; i++) {
			crypto_shorthash_siphashx24(right, message[i], len[i], key[i]);
			assert_memory_equal(jobs[i].out, right, sizeof(right));
			memset(jobs[i].out, 0, sizeof(right));
		}
	}
}

static void test_each_length(void **state)
{
	size_t len[MOST];

	(void)state;
	for (size_t l = 0; l <= LONGEST; l += l < 200 ? 1 : 31) {
		for (unsigned int i = 0; i < 11; i++) {
			len[i] = l;
			message_make(i, l);
		}
		check(11, len);
	}
}

static void test_each_count(void **state)
{
	static const size_t lengths[] = {36, 128, 64, 448};
	size_t len[MOST];

	(void)state;
	for (unsigned int n = 0; n <= MOST; n++)
		for (unsigned int l = 0; l < 4; l++) {
			for (unsigned int i = 0; i < n; i++) {
				len[i] = lengths[l];
				message_make(i, len[i]);
			}
			check(n, len);
		}
}

static void test_mixed_lengths(void **state)
{
	size_t len[MOST];

	(void)state;
	for (unsigned int round = 0; round < 300; round++) {
		/* sometimes all but one are alike */
		const size_t common = randombytes_uniform(LONGEST + 1);

		for (unsigned int i = 0; i < MOST; i++) {
			len[i] = round % 2 == 0 || i % 8 == round / 2 % 8
					 ? randombytes_uniform(LONGEST + 1)
					 : common;
			message_make(i, len[i]);
		}
		check(MOST, len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_length),
		cmocka_unit_test(test_each_count),
		cmocka_unit_test(test_mixed_lengths),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
