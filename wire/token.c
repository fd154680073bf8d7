/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/token.h"

#include <openssl/sha.h>
#include <sodium.h>

/* What each MAC covers. Keys differ by token, so layouts cannot be confused;
 * the epoch is in the key. */
struct cookie_input {
	be64 conn;
	be32 key;
	struct addr client;
};
struct echo_input {
	be64 second; /* all of it: the frame has only the low byte */
	be64 conn;
	struct addr client;
};
struct challenge_input {
	be64 length;
	be32 key;
	be16 leg;
	uint8_t rule;
	uint8_t zero;
	uint8_t transfer[16];
	struct addr source;
	struct ident id;
	uint8_t tail[4];
};
struct hello_input {
	be64 conn;
	be64 nonce;
	be32 key;
};
struct session_input {
	be64 conn;
	struct addr member;
};
struct ticket_input {
	uint8_t head[offsetof(struct ticket, mac)];
	struct ident id;
	be64 length;
	uint8_t rule;
	uint8_t zero[7];
};
_Static_assert(sizeof(struct cookie_input) == 32, "no padding under a MAC");
_Static_assert(sizeof(struct echo_input) == 36, "no padding under a MAC");
_Static_assert(sizeof(struct ticket_input) == 128, "no padding under a MAC");
_Static_assert(sizeof(struct challenge_input) == 88, "no padding under a MAC");
_Static_assert(sizeof(struct hello_input) == 20, "no padding under a MAC");
_Static_assert(sizeof(struct session_input) == 28, "no padding under a MAC");

#define RING_SIZE (TICKET_EPOCHS + 2)
#define MAC_SIZE crypto_shorthash_siphashx24_BYTES
_Static_assert(MAC_SIZE == 16, "SipHash-2-4-128");
_Static_assert(crypto_kdf_KEYBYTES == MASTER_KEY_SIZE, "master key is a KDF key");

uint64_t token_epoch(uint64_t unix_seconds)
{
	return unix_seconds / TOKEN_EPOCH_SECONDS;
}

static void keys_derive(struct token_keys *k, const uint8_t master[MASTER_KEY_SIZE], uint64_t epoch)
{
	k->epoch = epoch;
	crypto_kdf_derive_from_key(k->cookie, sizeof(k->cookie), epoch, "owcookie", master);
	crypto_kdf_derive_from_key(k->echo, sizeof(k->echo), epoch, "owecho01", master);
	crypto_kdf_derive_from_key(k->ticket, sizeof(k->ticket), epoch, "owticket", master);
	crypto_kdf_derive_from_key(k->challenge, sizeof(k->challenge), epoch, "owchalng", master);
}

void token_ring_derive(struct token_ring *r, const uint8_t master[MASTER_KEY_SIZE],
		       uint64_t unix_seconds)
{
	r->epoch = token_epoch(unix_seconds);
	for (uint64_t i = 0; i < RING_SIZE; i++)
		keys_derive(&r->keys[i], master, r->epoch + 1 - i);
}

void token_ring_advance(struct token_ring *r, const struct token_ring *from,
			const uint8_t master[MASTER_KEY_SIZE], uint64_t unix_seconds)
{
	r->epoch = token_epoch(unix_seconds);
	for (uint64_t i = 0; i < RING_SIZE; i++) {
		uint64_t epoch = r->epoch + 1 - i, age = from->epoch + 1 - epoch;

		if (age < RING_SIZE)
			r->keys[i] = from->keys[age];
		else
			keys_derive(&r->keys[i], master, epoch);
	}
}

/* How many epochs ago, from the 16 bits a token has: -1 is the next one. */
static int epoch_age(const struct token_ring *r, be16 epoch)
{
	return (int16_t)(uint16_t)((uint16_t)r->epoch - get16(epoch));
}

/* NULL if the ring does not reach so far. */
static const struct token_keys *keys_of_age(const struct token_ring *r, int age)
{
	return age >= -1 && age <= TICKET_EPOCHS ? &r->keys[age + 1] : NULL;
}

static void cookie_mac(const struct token_keys *k, const struct addr *client, uint64_t conn,
		       uint32_t key, uint8_t mac[MAC_SIZE])
{
	struct cookie_input in = {.conn = put64(conn), .key = put32(key), .client = *client};

	crypto_shorthash_siphashx24(mac, (const uint8_t *)&in, sizeof(in), k->cookie);
}

void cookie_mint(const struct token_ring *r, const struct addr *client, uint64_t conn, uint32_t key,
		 struct cookie *out)
{
	uint8_t mac[MAC_SIZE];

	cookie_mac(&r->keys[1], client, conn, key, mac);
	out->epoch = put16((uint16_t)r->epoch);
	memcpy(out->mac, mac, sizeof(out->mac));
}

enum drop cookie_check(const struct token_ring *r, const struct cookie *c,
		       const struct addr *client, uint64_t conn, uint32_t key)
{
	int age = epoch_age(r, c->epoch);
	const struct token_keys *k = keys_of_age(r, age);
	uint8_t mac[MAC_SIZE];

	/* Stale is said only of what was genuine: it may draw an answer. */
	if (!k)
		return DROP_COOKIE_BAD;
	cookie_mac(k, client, conn, key, mac);
	if (sodium_memcmp(mac, c->mac, sizeof(c->mac)) != 0)
		return DROP_COOKIE_BAD;
	return age <= 1 ? DROP_NONE : DROP_COOKIE_STALE;
}

/* The keys of a second's epoch. A second the ring does not reach falls to its
 * nearest end: mint and check agree, and a clock that runs ahead of the ring
 * between two derivations does no harm. */
static const struct token_keys *keys_of_second(const struct token_ring *r, uint64_t second)
{
	uint64_t epoch = token_epoch(second);

	if (epoch > r->epoch)
		return &r->keys[0];
	if (r->epoch - epoch > TICKET_EPOCHS)
		return &r->keys[RING_SIZE - 1];
	return &r->keys[r->epoch - epoch + 1];
}

static void echo_mac(const struct token_ring *r, const struct addr *client, uint64_t conn,
		     uint64_t second, uint8_t mac[MAC_SIZE])
{
	struct echo_input in = {.second = put64(second), .conn = put64(conn), .client = *client};

	crypto_shorthash_siphashx24(mac, (const uint8_t *)&in, sizeof(in),
				    keys_of_second(r, second)->echo);
}

void echo_mint(const struct token_ring *r, const struct addr *client, uint64_t conn,
	       uint64_t unix_seconds, struct echo *out)
{
	uint8_t mac[MAC_SIZE];

	echo_mac(r, client, conn, unix_seconds, mac);
	out->second = (uint8_t)unix_seconds;
	memcpy(out->mac, mac, sizeof(out->mac));
}

enum drop echo_check(const struct token_ring *r, const struct echo *e, const struct addr *client,
		     uint64_t conn, uint64_t unix_seconds)
{
	/* -1: a sibling's clock, or another worker's, ticked first. */
	int age = (int8_t)(uint8_t)((uint8_t)unix_seconds - e->second);
	uint8_t mac[MAC_SIZE];

	if (age < -1 || age > ECHO_SECONDS)
		return DROP_ECHO_STALE;
	echo_mac(r, client, conn, unix_seconds - (uint64_t)(int64_t)age, mac);
	return sodium_memcmp(mac, e->mac, sizeof(e->mac)) == 0 ? DROP_NONE : DROP_ECHO_STALE;
}

static void ticket_mac(const struct token_keys *k, const struct ticket *t, const struct ident *id,
		       uint8_t rule, uint64_t length, uint8_t mac[MAC_SIZE])
{
	struct ticket_input in = {.id = *id, .length = put64(length), .rule = rule};

	memcpy(in.head, t, sizeof(in.head));
	crypto_shorthash_siphashx24(mac, (const uint8_t *)&in, sizeof(in), k->ticket);
}

void ticket_mint(const struct token_ring *r, struct ticket *t, const struct ident *id, uint8_t rule,
		 uint64_t length)
{
	t->epoch = put16((uint16_t)r->epoch);
	ticket_mac(&r->keys[1], t, id, rule, length, t->mac);
}

enum drop ticket_check(const struct token_ring *r, const struct ticket *t, const struct ident *id,
		       uint8_t rule, uint64_t length, uint64_t unix_seconds)
{
	int age = epoch_age(r, t->epoch);
	const struct token_keys *k = keys_of_age(r, age);
	uint8_t mac[MAC_SIZE];

	if (!k)
		return age > 0 ? DROP_TICKET_EXPIRED : DROP_TICKET_BAD;
	ticket_mac(k, t, id, rule, length, mac);
	if (sodium_memcmp(mac, t->mac, sizeof(t->mac)) != 0)
		return DROP_TICKET_BAD;
	return get32(t->expiry) < unix_seconds ? DROP_TICKET_EXPIRED : DROP_NONE;
}

static void challenge_mac(const struct token_keys *k, const struct challenge_request *q,
			  uint8_t mac[MAC_SIZE])
{
	struct challenge_input in = {
		.length = put64(q->length),
		.key = put32(q->key),
		.leg = put16(q->leg),
		.rule = q->rule,
		.source = *q->source,
		.id = *q->id,
	};

	memcpy(in.transfer, q->transfer, sizeof(in.transfer));
	crypto_shorthash_siphashx24(mac, (const uint8_t *)&in, sizeof(in), k->challenge);
}

void challenge_mint(const struct token_ring *r, const struct challenge_request *q,
		    struct challenge *out)
{
	uint8_t mac[MAC_SIZE];

	challenge_mac(&r->keys[1], q, mac);
	out->epoch = put16((uint16_t)r->epoch);
	memcpy(out->mac, mac, sizeof(out->mac));
}

bool challenge_check(const struct token_ring *r, const struct challenge *c,
		     const struct challenge_request *q)
{
	int age = epoch_age(r, c->epoch);
	uint8_t mac[MAC_SIZE];

	if (age < -1 || age > 1)
		return false;
	challenge_mac(keys_of_age(r, age), q, mac);
	return sodium_memcmp(mac, c->mac, sizeof(c->mac)) == 0;
}

void domain_keys_derive(struct domain_keys *d, const uint8_t key[DOMAIN_KEY_SIZE])
{
	crypto_kdf_derive_from_key(d->hello, sizeof(d->hello), 1, "owhello1", key);
	crypto_kdf_derive_from_key(d->session, sizeof(d->session), 1, "owsessn1", key);
}

void hello_prove(const struct domain_keys *d, uint64_t conn, uint32_t key, uint64_t nonce,
		 struct mac *out)
{
	struct hello_input in = {.conn = put64(conn), .nonce = put64(nonce), .key = put32(key)};

	crypto_shorthash_siphashx24(out->b, (const uint8_t *)&in, sizeof(in), d->hello);
}

bool hello_proven(const struct domain_keys *d, uint64_t conn, uint32_t key, uint64_t nonce,
		  const struct mac *proof)
{
	struct mac mac;

	hello_prove(d, conn, key, nonce, &mac);
	return sodium_memcmp(mac.b, proof->b, sizeof(mac.b)) == 0;
}

void session_derive(const struct domain_keys *d, uint64_t conn, const struct addr *member,
		    struct session *out)
{
	struct session_input in = {.conn = put64(conn), .member = *member};

	crypto_shorthash_siphashx24(out->key, (const uint8_t *)&in, sizeof(in), d->session);
}

void session_mac(const struct session *s, const uint8_t *frame, size_t len, struct mac *out)
{
	crypto_shorthash_siphashx24(out->b, frame, len, s->key);
}

void trailer_make(const uint8_t key[PAIR_KEY_SIZE], const uint8_t *frame, size_t len,
		  uint8_t out[TRAILER_SIZE])
{
	crypto_generichash(out, TRAILER_SIZE, frame, len, key, PAIR_KEY_SIZE);
}

bool trailer_check(const uint8_t key[PAIR_KEY_SIZE], const uint8_t *frame, size_t len,
		   const uint8_t trailer[TRAILER_SIZE])
{
	uint8_t mac[TRAILER_SIZE];

	trailer_make(key, frame, len, mac);
	return sodium_memcmp(mac, trailer, TRAILER_SIZE) == 0;
}

void meta_digest(const void *meta, size_t len, uint8_t out[8])
{
	uint8_t digest[SHA256_DIGEST_LENGTH];

	SHA256(meta, len, digest);
	memcpy(out, digest, 8);
}
