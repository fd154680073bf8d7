/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/ident.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <xxhash.h>

static const char *const rule_names[RULE_COUNT] = {
	[RULE_SHA256] = "sha256",
	[RULE_XXH3] = "xxh3",
};

/* Not sodium_memcmp: identifiers are no secrets, and this is on the hit path. */
bool ident_equal(const struct ident *a, const struct ident *b)
{
	return memcmp(a->b, b->b, IDENT_SIZE) == 0;
}

const char *ident_hex(const struct ident *id, char *buf)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < IDENT_SIZE; i++) {
		buf[2 * i] = digits[id->b[i] >> 4];
		buf[2 * i + 1] = digits[id->b[i] & 15];
	}
	buf[2 * IDENT_SIZE] = '\0';
	return buf;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int ident_from_hex(const char *text, struct ident *id)
{
	struct ident out;

	for (size_t i = 0; i < IDENT_SIZE; i++) {
		int high = hex_digit(text[2 * i]);
		int low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);

		if (low < 0)
			return -EINVAL;
		out.b[i] = (uint8_t)(high << 4 | low);
	}
	if (text[2 * IDENT_SIZE] != '\0')
		return -EINVAL;
	*id = out;
	return 0;
}

const char *rule_name(uint8_t rule)
{
	return rule < RULE_COUNT ? rule_names[rule] : NULL;
}

uint8_t rule_from_name(const char *name)
{
	for (uint8_t rule = 1; rule < RULE_COUNT; rule++)
		if (strcmp(rule_names[rule], name) == 0)
			return rule;
	return 0;
}

/* SHA-256 is OpenSSL's, not libsodium's: it uses the CPU's SHA instructions,
 * which is about four times as fast. */
struct ident_state {
	uint8_t rule;
	EVP_MD_CTX *sha256;
	XXH3_state_t *xxh3;
};

struct ident_state *ident_begin(uint8_t rule)
{
	struct ident_state *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->rule = rule;
	if (rule == RULE_SHA256) {
		s->sha256 = EVP_MD_CTX_new();
		if (s->sha256 && EVP_DigestInit_ex(s->sha256, EVP_sha256(), NULL) == 1)
			return s;
	} else if (rule == RULE_XXH3) {
		s->xxh3 = XXH3_createState();
		if (s->xxh3 && XXH3_128bits_reset(s->xxh3) == XXH_OK)
			return s;
	}
	ident_free(s);
	return NULL;
}

/* Neither library has an update or a final that can fail once it has begun. */
void ident_update(struct ident_state *s, const void *data, size_t len)
{
	if (len == 0)
		return;
	if (s->rule == RULE_SHA256)
		EVP_DigestUpdate(s->sha256, data, len);
	else
		XXH3_128bits_update(s->xxh3, data, len);
}

void ident_final(struct ident_state *s, struct ident *out)
{
	XXH128_canonical_t canonical;

	if (s->rule == RULE_SHA256) {
		EVP_DigestFinal_ex(s->sha256, out->b, NULL);
		return;
	}
	XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(s->xxh3));
	memset(out, 0, sizeof(*out));
	memcpy(out->b, canonical.digest, sizeof(canonical.digest));
}

struct ident_state *ident_copy(const struct ident_state *s)
{
	struct ident_state *copy = ident_begin(s->rule);

	if (copy == NULL)
		return NULL;
	if (s->rule == RULE_XXH3) {
		XXH3_copyState(copy->xxh3, s->xxh3);
	} else if (EVP_MD_CTX_copy_ex(copy->sha256, s->sha256) != 1) {
		ident_free(copy);
		return NULL;
	}
	return copy;
}

bool ident_peek(const struct ident_state *s, struct ident *out)
{
	struct ident_state *copy = ident_copy(s);

	if (copy == NULL)
		return false;
	ident_final(copy, out);
	ident_free(copy);
	return true;
}

void ident_free(struct ident_state *s)
{
	if (!s)
		return;
	EVP_MD_CTX_free(s->sha256);
	XXH3_freeState(s->xxh3);
	free(s);
}
