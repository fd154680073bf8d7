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
	be32 second; /* all of it: the frame has only the low byte */
	be32 key;
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
#define TICKET_HEAD offsetof(struct ticket, mac)
struct ticket_input {
	uint8_t head[TICKET_HEAD];
	struct ident id;
	be64 length;
	uint8_t rule;
	uint8_t zero[7];
};
_Static_assert(sizeof(struct cookie_input) == 32, "no padding under a MAC");
_Static_assert(sizeof(struct echo_input) == 36, "no padding under a MAC");
_Static_assert(sizeof(struct ticket_input) == 128, "no padding under a MAC");
_Static_assert(sizeof(struct ticket_input) == sizeof(((struct ticket_mac *)0)->message), "fits");
_Static_assert(sizeof(struct challenge_input) == 88, "no padding under a MAC");
_Static_assert(sizeof(struct hello_input) == 20, "no padding under a MAC");
_Static_assert(sizeof(struct session_input) == 28, "no padding under a MAC");
_Static_assert(sizeof(struct cookie_input) < SIP_BLOCK && sizeof(struct echo_input) < SIP_BLOCK &&
		       sizeof(struct session_input) < SIP_BLOCK,
	       "short messages");

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
	crypto_kdf_derive_from_key(k->echo, sizeof(k->echo), epoch, "owecho02", master);
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

/* Constant time: a right byte tells nothing of the next. 4 to 16 bytes, of which some are
 * looked at twice. */
static inline bool mac_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
	if (len < sizeof(uint64_t)) {
		uint32_t x[2], y[2];

		memcpy(&x[0], a, sizeof(x[0]));
		memcpy(&y[0], b, sizeof(y[0]));
		memcpy(&x[1], a + len - sizeof(x[1]), sizeof(x[1]));
		memcpy(&y[1], b + len - sizeof(y[1]), sizeof(y[1]));
		return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
	} else {
		uint64_t x[2], y[2];

		memcpy(&x[0], a, sizeof(x[0]));
		memcpy(&y[0], b, sizeof(y[0]));
		memcpy(&x[1], a + len - sizeof(x[1]), sizeof(x[1]));
		memcpy(&y[1], b + len - sizeof(y[1]), sizeof(y[1]));
		return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
	}
}

static void sip_hash_one(struct sip *s)
{
	sip_hash(s, sizeof(*s), 1);
}

static void cookie_mac(const struct token_keys *k, const struct addr *client, uint64_t conn,
		       uint32_t key, struct sip *s)
{
	struct cookie_input *in = sip_short(s, k->cookie, sizeof(*in));

	in->conn = put64(conn);
	in->key = put32(key);
	in->client = *client;
}

void cookie_mint(const struct token_ring *r, const struct addr *client, uint64_t conn, uint32_t key,
		 struct cookie *out)
{
	struct sip s;

	cookie_mac(&r->keys[1], client, conn, key, &s);
	sip_hash_one(&s);
	out->epoch = put16((uint16_t)r->epoch);
	memcpy(out->mac, s.out, sizeof(out->mac));
}

enum drop cookie_begin(const struct token_ring *r, const struct cookie *c,
		       const struct addr *client, uint64_t conn, uint32_t key, struct sip *s)
{
	const struct token_keys *k = keys_of_age(r, epoch_age(r, c->epoch));

	if (!k)
		return DROP_COOKIE_BAD;
	cookie_mac(k, client, conn, key, s);
	return DROP_NONE;
}

enum drop cookie_end(const struct token_ring *r, const struct cookie *c, const struct sip *s)
{
	/* Stale is said only of what was genuine: it may draw an answer. */
	if (!mac_equal(s->out, c->mac, sizeof(c->mac)))
		return DROP_COOKIE_BAD;
	return epoch_age(r, c->epoch) <= 1 ? DROP_NONE : DROP_COOKIE_STALE;
}

enum drop cookie_check(const struct token_ring *r, const struct cookie *c,
		       const struct addr *client, uint64_t conn, uint32_t key)
{
	struct sip s;
	enum drop reason = cookie_begin(r, c, client, conn, key, &s);

	if (reason != DROP_NONE)
		return reason;
	sip_hash_one(&s);
	return cookie_end(r, c, &s);
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

void echo_mint_begin(const struct token_ring *r, const struct addr *client, uint64_t conn,
		     uint32_t key, uint64_t unix_seconds, struct sip *s)
{
	struct echo_input *in = sip_short(s, keys_of_second(r, unix_seconds)->echo, sizeof(*in));

	in->second = put32((uint32_t)unix_seconds);
	in->key = put32(key);
	in->conn = put64(conn);
	in->client = *client;
}

void echo_mint_end(const struct sip *s, uint64_t unix_seconds, struct echo *out)
{
	out->second = (uint8_t)unix_seconds;
	memcpy(out->mac, s->out, sizeof(out->mac));
}

void echo_mint(const struct token_ring *r, const struct addr *client, uint64_t conn, uint32_t key,
	       uint64_t unix_seconds, struct echo *out)
{
	struct sip s;

	echo_mint_begin(r, client, conn, key, unix_seconds, &s);
	sip_hash_one(&s);
	echo_mint_end(&s, unix_seconds, out);
}

enum drop echo_begin(const struct token_ring *r, const struct echo *e, const struct addr *client,
		     uint64_t conn, uint32_t key, uint64_t unix_seconds, struct sip *s)
{
	/* -1: a sibling's clock, or another worker's, ticked first. */
	int age = (int8_t)(uint8_t)((uint8_t)unix_seconds - e->second);

	if (age < -1 || age > ECHO_SECONDS)
		return DROP_ECHO_STALE;
	echo_mint_begin(r, client, conn, key, unix_seconds - (uint64_t)(int64_t)age, s);
	return DROP_NONE;
}

enum drop echo_end(const struct echo *e, const struct sip *s)
{
	return mac_equal(s->out, e->mac, sizeof(e->mac)) ? DROP_NONE : DROP_ECHO_STALE;
}

enum drop echo_check(const struct token_ring *r, const struct echo *e, const struct addr *client,
		     uint64_t conn, uint32_t key, uint64_t unix_seconds)
{
	struct sip s;
	enum drop reason = echo_begin(r, e, client, conn, key, unix_seconds, &s);

	if (reason != DROP_NONE)
		return reason;
	sip_hash_one(&s);
	return echo_end(e, &s);
}

/* The head of the message is there. */
static void ticket_mac(const struct token_keys *k, const struct ident *id, uint8_t rule,
		       uint64_t length, struct ticket_mac *m)
{
	struct ticket_input *in = (struct ticket_input *)m->message;

	in->id = *id;
	in->length = put64(length);
	in->rule = rule;
	memset(in->zero, 0, sizeof(in->zero));
	sip_set(&m->sip, k->ticket, in, sizeof(*in));
}

void ticket_mint_begin(const struct token_ring *r, const struct ident *id, uint8_t rule,
		       uint64_t length, struct ticket_mac *m)
{
	ticket_mint_place(m)->epoch = put16((uint16_t)r->epoch);
	ticket_mac(&r->keys[1], id, rule, length, m);
}

void ticket_mint_end(const struct ticket_mac *m, struct ticket *out)
{
	memcpy(out, m->message, TICKET_HEAD);
	memcpy(out->mac, m->sip.out, sizeof(out->mac));
}

void ticket_mint(const struct token_ring *r, struct ticket *t, const struct ident *id, uint8_t rule,
		 uint64_t length)
{
	struct ticket_mac m;

	memcpy(m.message, t, TICKET_HEAD);
	ticket_mint_begin(r, id, rule, length, &m);
	sip_hash_one(&m.sip);
	ticket_mint_end(&m, t);
}

enum drop ticket_begin(const struct token_ring *r, const struct ticket *t, const struct ident *id,
		       uint8_t rule, uint64_t length, struct ticket_mac *m)
{
	int age = epoch_age(r, t->epoch);
	const struct token_keys *k = keys_of_age(r, age);

	if (!k)
		return age > 0 ? DROP_TICKET_EXPIRED : DROP_TICKET_BAD;
	memcpy(m->message, t, TICKET_HEAD);
	ticket_mac(k, id, rule, length, m);
	return DROP_NONE;
}

enum drop ticket_end(const struct ticket *t, const struct ticket_mac *m, uint64_t unix_seconds)
{
	if (!mac_equal(m->sip.out, t->mac, sizeof(t->mac)))
		return DROP_TICKET_BAD;
	return get32(t->expiry) < unix_seconds ? DROP_TICKET_EXPIRED : DROP_NONE;
}

enum drop ticket_check(const struct token_ring *r, const struct ticket *t, const struct ident *id,
		       uint8_t rule, uint64_t length, uint64_t unix_seconds)
{
	struct ticket_mac m;
	enum drop reason = ticket_begin(r, t, id, rule, length, &m);

	if (reason != DROP_NONE)
		return reason;
	sip_hash_one(&m.sip);
	return ticket_end(t, &m, unix_seconds);
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

void session_begin(const struct domain_keys *d, uint64_t conn, const struct addr *member,
		   struct sip *s)
{
	struct session_input *in = sip_short(s, d->session, sizeof(*in));

	in->conn = put64(conn);
	in->member = *member;
}

void session_end(const struct sip *s, struct session *out)
{
	memcpy(out->key, s->out, sizeof(out->key));
}

void session_derive(const struct domain_keys *d, uint64_t conn, const struct addr *member,
		    struct session *out)
{
	struct sip s;

	session_begin(d, conn, member, &s);
	sip_hash_one(&s);
	session_end(&s, out);
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
