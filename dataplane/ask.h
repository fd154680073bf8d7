/* SPDX-License-Identifier: BSD-3-Clause
 * An ask: what a source wants, decoded once, as a value without pointers. A worker
 * makes it of a SEND, central's of a QUERY; what cannot be served at once goes to
 * control as it is, and all that is answered is built from it (answer.h).
 */
#ifndef DATAPLANE_ASK_H
#define DATAPLANE_ASK_H

#include "dataplane/packet.h"
#include "store/slab.h"

/* Which transfer of whose: a SEND's repeats have the same. Compared as bytes. */
struct ask_key {
	struct addr source;
	uint8_t transfer[TRANSFER_SIZE];
	be16 leg;
	uint8_t zero[2];
};

struct ask {
	struct ask_key key;
	struct addr target;
	struct addr home; /* the relay that the source spoke to */
	struct ident id;
	uint64_t length;
	uint64_t conn;	    /* the source's */
	uint64_t expiry;    /* Unix seconds */
	uint32_t field;	    /* key field of the source's frames: domain << 8 | generation */
	uint32_t send_size; /* IP bytes of the SEND: no OFFER for it is larger */
	uint16_t worker;    /* that it came by; answers leave by it */
	uint8_t rule;
};

/* What is seldom looked at. A hit has no copy of it: ask_extras leads into the SEND. */
struct ask_cold {
	bool has_proof;
	bool has_vouch;
	bool has_sealed_key;
	uint8_t meta_len;
	struct proof proof;
	struct proof vouch;
	uint8_t sealed_key[SEALED_KEY_SIZE];
	uint8_t meta[META_MAX];
};

/* What an OFFER repeats of its SEND, wherever that is now. */
struct ask_extras {
	const uint8_t *meta;
	const uint8_t *sealed_key; /* NULL: not encrypted */
	uint8_t meta_len;
};

/* On its way to control: takes the place of the frame in the buffer that brought it. */
struct ask_carried {
	struct ask ask;
	struct ask_cold cold;
	bool is_query;
	union {
		struct { /* of a SEND */
			bool has_moved;
			struct moved moved;
		};
		struct {	      /* of a QUERY, from `ask.home` */
			bool leased;  /* private holds the target's lease */
			bool holding; /* and the blob: central is to offer it, with */
			struct ticket ticket;
			uint64_t attempt; /* as in an OFFER */
			uint32_t available;
			uint32_t pair; /* key field of the pair's frames */
			uint64_t conn;
			uint64_t nonce;
			uint64_t time; /* Unix milliseconds */
		} query;
	};
};

/* self: the relay; worker: who got it; unix_seconds: now. */
static inline void ask_of_send(struct ask *a, const struct send *s, const struct packet *p,
			       const struct frame *f, const struct addr *self, uint16_t worker,
			       uint64_t unix_seconds)
{
	/* field by field: a literal would be made elsewhere, and copied */
	a->key.source = p->peer;
	memcpy(a->key.transfer, s->transfer, TRANSFER_SIZE);
	a->key.leg = put16(s->leg);
	memset(a->key.zero, 0, sizeof(a->key.zero));
	a->target = *s->target;
	a->home = *self;
	a->id = *s->id;
	a->length = s->length;
	a->conn = f->conn;
	a->expiry = unix_seconds + s->deadline;
	a->field = f->key;
	a->send_size = p->frame_len;
	a->worker = worker;
	a->rule = s->rule;
}

static inline struct ask_extras ask_extras_of_send(const struct send *s)
{
	return (struct ask_extras){
		.meta = s->meta, .sealed_key = s->sealed_key, .meta_len = s->meta_len};
}

struct ask_extras ask_extras_of(const struct ask_cold *c);

/* Writes an ask over the frame in m that it was made of. */
void ask_carry_send(struct rte_mbuf *m, const struct ask *a, const struct send *s);
void ask_carry_query(struct rte_mbuf *m, const struct query *q, const struct frame *f,
		     uint16_t worker, uint64_t unix_seconds);
static inline struct ask_carried *ask_carried(const struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod(m, struct ask_carried *);
}

/* The domain that the source belongs to; DOMAIN_OPEN: none. */
static inline uint32_t ask_domain(const struct ask *a)
{
	return a->field >> 8;
}

/* The blob that it is for. */
static inline struct blob_name ask_blob(const struct ask *a)
{
	return (struct blob_name){
		.id = a->id, .length = a->length, .domain = ask_domain(a), .rule = a->rule};
}

/* Seconds that are left, at least 1. */
static inline uint32_t ask_deadline(const struct ask *a, uint64_t unix_seconds)
{
	return a->expiry > unix_seconds ? (uint32_t)(a->expiry - unix_seconds) : 1;
}

/* Do they want the same blob for the same target, as members of the same domain? */
bool ask_same(const struct ask *a, const struct ask *b);

/* What the source is to prove, if it is to prove that it holds the blob. */
void ask_challenge(const struct ask *a, const struct token_ring *keys, struct challenge *out);
/* Does its proof answer a challenge of ours for this very ask? */
bool ask_challenged(const struct ask *a, const struct token_ring *keys, const struct challenge *c);

#endif
