/* SPDX-License-Identifier: BSD-3-Clause
 * The relay's tokens: cookie, echo and ticket. All are keyed MACs under keys
 * that derive from the group's master key and the wall-clock epoch, so that a
 * restarted relay, or a sibling of its group, honours them without any state.
 * To everybody else they are opaque bytes.
 *
 * MAC: SipHash-2-4 with 128 bits of output. Each token can be made and checked in two
 * steps, between which many are hashed at once (wire/sip.h): X_begin() says what is to
 * be hashed, X_end() looks at the result. X_mint() and X_check() are both, for one.
 */
#ifndef WIRE_TOKEN_H
#define WIRE_TOKEN_H

#include "wire/addr.h"
#include "wire/drop.h"
#include "wire/ident.h"
#include "wire/sip.h"

#define MASTER_KEY_SIZE 32
#define TOKEN_EPOCH_SECONDS 300 /* a cookie lives for one to two epochs */
#define ECHO_SECONDS 8

/* Proves: the sender receives at this address.
 * Bound to address, port, conn, domain key and epoch. */
struct cookie {
	be16 epoch; /* low 16 bits */
	uint8_t mac[14];
};
_Static_assert(sizeof(struct cookie) == 16, "wire layout");

/* Proves: the puller heard from us within ECHO_SECONDS.
 * Bound to address, port, conn, domain key and second. */
struct echo {
	uint8_t second; /* low 8 bits */
	uint8_t mac[7];
};
_Static_assert(sizeof(struct echo) == 8, "wire layout");

/* Proves: the right to pull this blob; says where to report. The identifier,
 * its rule and the length are under the MAC without being repeated here: every
 * frame with a ticket carries them. Not bound to the target's address. */
struct ticket {
	be16 epoch; /* low 16 bits, of minting */
	be16 leg;
	be32 expiry; /* Unix seconds */
	be32 key;    /* the source's domain, 0 = open */
	be32 zero;
	uint8_t transfer[16];
	be64 source_conn;
	struct addr source;
	struct addr home; /* the relay the source spoke to */
	uint8_t mac[16];
};
_Static_assert(sizeof(struct ticket) == 96, "wire layout");

/* What a source must hash to prove that it holds a blob: opaque to it, and
 * minted anew from the request by whoever holds the blob.
 * Bound to source, transfer, leg, domain key, identifier, rule, length, epoch. */
struct challenge {
	be16 epoch; /* low 16 bits */
	uint8_t mac[14];
};
_Static_assert(sizeof(struct challenge) == 16, "wire layout");

/* Keys for one epoch. */
struct token_keys {
	uint64_t epoch;
	uint8_t cookie[16];
	uint8_t echo[16];
	uint8_t ticket[16];
	uint8_t challenge[16];
};

/* Keys for now, for the epoch before, and for the one after (a sibling's clock
 * may run ahead; a ticket outlives the epoch it was minted in by as many
 * epochs as TICKET_EPOCHS). */
#define TICKET_EPOCHS 12 /* an hour: the longest deadline of a transfer */
struct token_ring {
	uint64_t epoch;				   /* the current one */
	struct token_keys keys[TICKET_EPOCHS + 2]; /* [0] next, [1] current, [2] previous, ... */
};

uint64_t token_epoch(uint64_t unix_seconds);
/* Derives all keys (libsodium crypto_kdf, BLAKE2b). */
void token_ring_derive(struct token_ring *r, const uint8_t master[MASTER_KEY_SIZE],
		       uint64_t unix_seconds);
/* The ring of `unix_seconds` from an earlier one: epochs that it has keep their
 * keys, so that tokens outlive a change of the master key. */
void token_ring_advance(struct token_ring *r, const struct token_ring *from,
			const uint8_t master[MASTER_KEY_SIZE], uint64_t unix_seconds);

void cookie_mint(const struct token_ring *r, const struct addr *client, uint64_t conn, uint32_t key,
		 struct cookie *out);
/* DROP_NONE: to be hashed; DROP_COOKIE_BAD: it cannot be right. */
enum drop cookie_begin(const struct token_ring *r, const struct cookie *c,
		       const struct addr *client, uint64_t conn, uint32_t key, struct sip *s);
enum drop cookie_end(const struct token_ring *r, const struct cookie *c, const struct sip *s);
/* DROP_NONE, DROP_COOKIE_STALE or DROP_COOKIE_BAD. */
enum drop cookie_check(const struct token_ring *r, const struct cookie *c,
		       const struct addr *client, uint64_t conn, uint32_t key);

void echo_mint_begin(const struct token_ring *r, const struct addr *client, uint64_t conn,
		     uint32_t key, uint64_t unix_seconds, struct sip *s);
void echo_mint_end(const struct sip *s, uint64_t unix_seconds, struct echo *out);
void echo_mint(const struct token_ring *r, const struct addr *client, uint64_t conn, uint32_t key,
	       uint64_t unix_seconds, struct echo *out);
/* DROP_NONE or DROP_ECHO_STALE (which includes forged ones). */
enum drop echo_begin(const struct token_ring *r, const struct echo *e, const struct addr *client,
		     uint64_t conn, uint32_t key, uint64_t unix_seconds, struct sip *s);
enum drop echo_end(const struct echo *e, const struct sip *s);
enum drop echo_check(const struct token_ring *r, const struct echo *e, const struct addr *client,
		     uint64_t conn, uint32_t key, uint64_t unix_seconds);
/* Was it minted in this second? */
static inline bool echo_now(const struct echo *e, uint64_t unix_seconds)
{
	return e->second == (uint8_t)unix_seconds;
}

/* What a ticket's MAC covers does not lie in one place. */
struct ticket_mac {
	struct sip sip;
	uint8_t message[128];
};

/* Where a ticket that is to be minted is filled in, all but its epoch and MAC: it is copied
 * once, when it is hashed. */
static inline struct ticket *ticket_mint_place(struct ticket_mac *m)
{
	return (struct ticket *)m->message;
}
void ticket_mint_begin(const struct token_ring *r, const struct ident *id, uint8_t rule,
		       uint64_t length, struct ticket_mac *m);
void ticket_mint_end(const struct ticket_mac *m, struct ticket *out);
/* Everything but epoch and mac is already filled in. */
void ticket_mint(const struct token_ring *r, struct ticket *t, const struct ident *id, uint8_t rule,
		 uint64_t length);
/* DROP_NONE: to be hashed; DROP_TICKET_EXPIRED or DROP_TICKET_BAD: it cannot be right. */
enum drop ticket_begin(const struct token_ring *r, const struct ticket *t, const struct ident *id,
		       uint8_t rule, uint64_t length, struct ticket_mac *m);
enum drop ticket_end(const struct ticket *t, const struct ticket_mac *m, uint64_t unix_seconds);
/* DROP_NONE, DROP_TICKET_EXPIRED or DROP_TICKET_BAD. */
enum drop ticket_check(const struct token_ring *r, const struct ticket *t, const struct ident *id,
		       uint8_t rule, uint64_t length, uint64_t unix_seconds);

/* What a challenge is about. */
struct challenge_request {
	const struct addr *source;
	const uint8_t *transfer; /* 16 bytes */
	const struct ident *id;
	uint16_t leg;
	uint8_t rule;
	uint32_t key; /* the source's domain key, 0 = open */
	uint64_t length;
};
void challenge_mint(const struct token_ring *r, const struct challenge_request *q,
		    struct challenge *out);
/* Is it one that this group minted, in this epoch or the one before? */
bool challenge_check(const struct token_ring *r, const struct challenge *c,
		     const struct challenge_request *q);

/* The 16-byte authentication trailer of relay-to-relay frames: keyed BLAKE2b
 * over the whole frame before it. */
#define TRAILER_SIZE 16
#define PAIR_KEY_SIZE 32
void trailer_make(const uint8_t key[PAIR_KEY_SIZE], const uint8_t *frame, size_t len,
		  uint8_t out[TRAILER_SIZE]);
/* Constant-time. */
bool trailer_check(const uint8_t key[PAIR_KEY_SIZE], const uint8_t *frame, size_t len,
		   const uint8_t trailer[TRAILER_SIZE]);

/* ---- members of a domain ---- */

#define DOMAIN_KEY_SIZE 32

struct mac {
	uint8_t b[16];
};

/* What member and relay derive from one generation of a domain's key. */
struct domain_keys {
	uint8_t hello[16];
	uint8_t session[16];
};
void domain_keys_derive(struct domain_keys *d, const uint8_t key[DOMAIN_KEY_SIZE]);
/* DOMAIN_PROOF of a HELLO: SipHash-2-4-128 over the header's conn and key and the nonce. */
void hello_prove(const struct domain_keys *d, uint64_t conn, uint32_t key, uint64_t nonce,
		 struct mac *out);
/* Constant-time. */
bool hello_proven(const struct domain_keys *d, uint64_t conn, uint32_t key, uint64_t nonce,
		  const struct mac *proof);

/* The key of one conversation. Both ends derive it, the relay anew for each
 * frame: from the domain key, conn, and the member's address as WELCOME says
 * the relay sees it. */
struct session {
	uint8_t key[16];
};
/* With it frames are signed (wire/frame.h): SipHash-2-4-128 over the frame before the trailer. */
void session_begin(const struct domain_keys *d, uint64_t conn, const struct addr *member,
		   struct sip *s);
void session_end(const struct sip *s, struct session *out);
void session_derive(const struct domain_keys *d, uint64_t conn, const struct addr *member,
		    struct session *out);
/* First 8 bytes of SHA-256(metadata): RECEIPT returns it to the source. */
void meta_digest(const void *meta, size_t len, uint8_t out[8]);

#endif
