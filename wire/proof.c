/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/proof.h"

#include <sodium.h>

#include "wire/frame.h"

/* Number i of the challenge's sequence: SipHash-2-4 of a counter. */
static uint64_t sequence(const struct challenge *c, uint32_t i)
{
	be32 counter = put32(i);
	be64 out;

	crypto_shorthash((uint8_t *)&out, (const uint8_t *)&counter, sizeof(counter),
			 (const uint8_t *)c);
	return get64(out);
}
_Static_assert(crypto_shorthash_KEYBYTES == sizeof(struct challenge), "a challenge is a key");
_Static_assert(crypto_shorthash_BYTES == sizeof(be64), "one number");

/* Inserts n into the ascending row of `count`; false if it is there already. */
static bool row_insert(uint32_t *row, uint32_t count, uint32_t n)
{
	uint32_t at = count;

	while (at > 0 && row[at - 1] >= n)
		at--;
	if (at < count && row[at] == n)
		return false;
	memmove(row + at + 1, row + at, (count - at) * sizeof(*row));
	row[at] = n;
	return true;
}

uint32_t proof_pick(const struct challenge *c, uint64_t length, uint32_t chunk[PROOF_CHUNKS])
{
	uint32_t chunks = chunk_count(length), picked = 0;

	if (chunks <= PROOF_CHUNKS) {
		for (; picked < chunks; picked++)
			chunk[picked] = picked;
		return picked;
	}
	for (uint32_t i = 0; picked < PROOF_CHUNKS; i++)
		picked += row_insert(chunk, picked, (uint32_t)(sequence(c, i) % chunks));
	return picked;
}

static void proof_mac(const struct challenge *c, const struct ident *id, const uint8_t *bytes,
		      size_t size, struct mac *out)
{
	crypto_generichash_state st;

	crypto_generichash_init(&st, (const uint8_t *)c, sizeof(*c), sizeof(*out));
	crypto_generichash_update(&st, id->b, sizeof(id->b));
	crypto_generichash_update(&st, bytes, size);
	crypto_generichash_final(&st, out->b, sizeof(*out));
}

void proof_make(const struct challenge *c, const struct ident *id, const uint8_t *bytes,
		size_t size, struct proof *out)
{
	out->challenge = *c;
	proof_mac(c, id, bytes, size, &out->mac);
}

bool proof_check(const struct proof *p, const struct ident *id, const uint8_t *bytes, size_t size)
{
	struct mac mac;

	proof_mac(&p->challenge, id, bytes, size, &mac);
	return sodium_memcmp(mac.b, p->mac.b, sizeof(mac)) == 0;
}

void vouch_make(const struct challenge *c, const struct ident *prefix, uint32_t chunks,
		struct proof *out)
{
	const be32 count = put32(chunks);

	proof_make(c, prefix, (const uint8_t *)&count, sizeof(count), out);
}

bool vouch_check(const struct proof *p, const struct ident *prefix, uint32_t chunks)
{
	const be32 count = put32(chunks);

	return proof_check(p, prefix, (const uint8_t *)&count, sizeof(count));
}
