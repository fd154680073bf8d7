/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include <sodium.h>

#include "client/lib/content.h"
#include "wire/endian.h"

#define NONCE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define VERSION 1
#define SEGMENT_LOG2 16
#define COMMITMENT 32

_Static_assert(crypto_aead_xchacha20poly1305_ietf_ABYTES == SEGMENT_TAG, "documented");
_Static_assert(NONCE + SEGMENT_TAG == SEALED_META_EXTRA, "documented");
_Static_assert(1 << SEGMENT_LOG2 == SEGMENT_SIZE, "the header says so");
_Static_assert(crypto_kdf_KEYBYTES == CONTENT_KEY_SIZE, "the content key is the KDF's");

static const char context[crypto_kdf_CONTEXTBYTES + 1] = "owseal01";
static const uint8_t magic[8] = {'o', 'n', 'c', 'e', 'w', 'i', 'r', 'e'};
enum subkey { SUBKEY_PAYLOAD = 1, SUBKEY_META, SUBKEY_COMMITMENT };

void content_key_shared(const uint8_t secret[CONTENT_KEY_SIZE], const struct ident *digest,
			uint64_t length, uint8_t key[CONTENT_KEY_SIZE])
{
	struct {
		struct ident digest;
		be64 length;
	} of = {*digest, put64(length)};

	_Static_assert(sizeof(of) == 40, "no padding");
	crypto_generichash(key, CONTENT_KEY_SIZE, (const uint8_t *)&of, sizeof(of), secret,
			   CONTENT_KEY_SIZE);
}

void content_init(struct content *c, const uint8_t key[CONTENT_KEY_SIZE], uint64_t length)
{
	memset(c, 0, sizeof(*c));
	c->length = length;
	memcpy(c->header, magic, sizeof(magic));
	c->header[8] = VERSION;
	c->header[9] = SEGMENT_LOG2;
	crypto_kdf_derive_from_key(c->header + CONTENT_HEADER - COMMITMENT, COMMITMENT,
				   SUBKEY_COMMITMENT, context, key);
	crypto_kdf_derive_from_key(c->payload_key, sizeof(c->payload_key), SUBKEY_PAYLOAD, context,
				   key);
	crypto_kdf_derive_from_key(c->meta_key, sizeof(c->meta_key), SUBKEY_META, context, key);
}

void content_wipe(struct content *c)
{
	sodium_memzero(c, sizeof(*c));
}

static uint64_t segments_of(uint64_t length)
{
	return length == 0 ? 1 : (length - 1) / SEGMENT_SIZE + 1;
}

uint64_t content_sealed_length(uint64_t length)
{
	return CONTENT_HEADER + length + segments_of(length) * SEGMENT_TAG;
}

bool content_length(uint64_t sealed, uint64_t *length)
{
	uint64_t segments;

	if (sealed < CONTENT_HEADER + SEGMENT_TAG)
		return false;
	segments = (sealed - CONTENT_HEADER - 1) / SEGMENT_SEALED + 1;
	if (sealed - CONTENT_HEADER < segments * SEGMENT_TAG)
		return false;
	*length = sealed - CONTENT_HEADER - segments * SEGMENT_TAG;
	return content_sealed_length(*length) == sealed;
}

uint64_t content_segments(const struct content *c)
{
	return segments_of(c->length);
}

size_t segment_length(const struct content *c, uint64_t number)
{
	uint64_t rest = c->length - number * SEGMENT_SIZE;

	return rest < SEGMENT_SIZE ? (size_t)rest : SEGMENT_SIZE;
}

static void segment_nonce(const struct content *c, uint64_t number, uint8_t nonce[NONCE])
{
	be64 be = put64(number);

	memset(nonce, 0, NONCE);
	memcpy(nonce + NONCE - 1 - sizeof(be), &be, sizeof(be));
	nonce[NONCE - 1] = number + 1 == content_segments(c);
}

void segment_seal(const struct content *c, uint64_t number, const uint8_t *plain, uint8_t *sealed)
{
	uint8_t nonce[NONCE];

	segment_nonce(c, number, nonce);
	crypto_aead_xchacha20poly1305_ietf_encrypt(sealed, NULL, plain, segment_length(c, number),
						   c->header, CONTENT_HEADER, NULL, nonce,
						   c->payload_key);
}

bool segment_open(const struct content *c, uint64_t number, const uint8_t *sealed, uint8_t *plain)
{
	uint8_t nonce[NONCE];

	segment_nonce(c, number, nonce);
	return crypto_aead_xchacha20poly1305_ietf_decrypt(
		       plain, NULL, NULL, sealed, segment_length(c, number) + SEGMENT_TAG,
		       c->header, CONTENT_HEADER, nonce, c->payload_key) == 0;
}

size_t meta_seal(const struct content *c, const uint8_t *meta, size_t len, uint8_t *sealed)
{
	randombytes_buf(sealed, NONCE);
	crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + NONCE, NULL, meta, len, c->header,
						   CONTENT_HEADER, NULL, sealed, c->meta_key);
	return len + SEALED_META_EXTRA;
}

int meta_open(const struct content *c, const uint8_t *sealed, size_t len, uint8_t *meta)
{
	if (len < SEALED_META_EXTRA || crypto_aead_xchacha20poly1305_ietf_decrypt(
					       meta, NULL, NULL, sealed + NONCE, len - NONCE,
					       c->header, CONTENT_HEADER, sealed, c->meta_key) != 0)
		return -EBADMSG;
	return (int)(len - SEALED_META_EXTRA);
}
