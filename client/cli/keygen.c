/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/cli/keygen.h"

#include <errno.h>
#include <string.h>

#include <sodium.h>

_Static_assert(KEYGEN_SIZE == crypto_box_SECRETKEYBYTES &&
		       KEYGEN_SIZE == crypto_box_PUBLICKEYBYTES && KEYGEN_SIZE == KEY_SET_SIZE,
	       "one size for all");

void keygen_set(struct key_set *s, uint32_t id)
{
	memset(s, 0, sizeof(*s));
	s->id = id != 0 ? id : 1 + randombytes_uniform(KEY_SET_ID_MAX);
	s->count = 1;
	s->key[0].generation = 1;
	randombytes_buf(s->key[0].key, KEY_SET_SIZE);
}

void keygen_rotate(struct key_set *s)
{
	s->key[1] = s->key[0];
	s->count = 2;
	s->key[0].generation++; /* after 255 comes 0 */
	randombytes_buf(s->key[0].key, KEY_SET_SIZE);
}

void keygen_retire(struct key_set *s)
{
	s->count = 1;
}

static const char *text_make(char buf[KEYGEN_TEXT], uint8_t key[KEYGEN_SIZE])
{
	sodium_bin2hex(buf, KEYGEN_TEXT, key, KEYGEN_SIZE);
	strcat(buf, "\n");
	sodium_memzero(key, KEYGEN_SIZE);
	return buf;
}

const char *keygen_secret(char buf[KEYGEN_TEXT])
{
	uint8_t key[KEYGEN_SIZE];

	randombytes_buf(key, sizeof(key));
	return text_make(buf, key);
}

const char *keygen_identity(char buf[KEYGEN_TEXT])
{
	uint8_t public[KEYGEN_SIZE], secret[KEYGEN_SIZE];

	crypto_box_keypair(public, secret);
	return text_make(buf, secret);
}

int keygen_public(const uint8_t secret[KEYGEN_SIZE], char buf[KEYGEN_TEXT])
{
	uint8_t public[KEYGEN_SIZE];

	if (crypto_scalarmult_base(public, secret) != 0)
		return -EINVAL;
	sodium_bin2hex(buf, KEYGEN_TEXT, public, sizeof(public));
	return 0;
}
