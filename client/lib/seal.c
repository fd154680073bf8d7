/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include <sodium.h>

#include "client/lib/seal.h"
#include "wire/keyfile.h"

_Static_assert(crypto_box_SEALBYTES + CONTENT_KEY_SIZE == SEALED_KEY_SIZE, "wire layout");
_Static_assert(crypto_box_PUBLICKEYBYTES == RECIPIENT_SIZE, "documented");

int recipient_parse(const char *text, struct recipient *r)
{
	size_t len = strlen(text);

	if (len != RECIPIENT_TEXT - 1 ||
	    sodium_hex2bin(r->key, sizeof(r->key), text, len, NULL, NULL, NULL) != 0)
		return -EINVAL;
	return 0;
}

const char *recipient_text(const struct recipient *r, char *buf)
{
	return sodium_bin2hex(buf, RECIPIENT_TEXT, r->key, sizeof(r->key));
}

int identity_read(const char *path, struct identity *id)
{
	int ret = key_file_read(path, id->secret, sizeof(id->secret));

	if (ret == 0)
		crypto_scalarmult_base(id->recipient.key, id->secret);
	return ret;
}

void identity_wipe(struct identity *id)
{
	sodium_memzero(id, sizeof(*id));
}

int key_seal(const uint8_t key[CONTENT_KEY_SIZE], const struct recipient *r,
	     uint8_t sealed[SEALED_KEY_SIZE])
{
	return crypto_box_seal(sealed, key, CONTENT_KEY_SIZE, r->key) == 0 ? 0 : -EINVAL;
}

bool key_open(const struct identity *id, const uint8_t sealed[SEALED_KEY_SIZE],
	      uint8_t key[CONTENT_KEY_SIZE])
{
	return crypto_box_seal_open(key, sealed, SEALED_KEY_SIZE, id->recipient.key, id->secret) ==
	       0;
}
