/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "tests/fuzz/ledger.h"
#include "tests/fuzz/program.h"

#define OLD_SECONDS (3 * TOKEN_EPOCH_SECONDS)

static const struct token_ring *keys(const struct program *p)
{
	return relay_keys(&p->box->relay);
}

/* The relay's keys of an epoch that is past. */
static const struct token_ring *old_keys(const struct program *p)
{
	static struct token_ring ring;

	token_ring_derive(&ring, p->box->config.master_key, box_seconds() - OLD_SECONDS);
	return &ring;
}

/* The host's own cookie, mostly. */
static struct cookie cookie_make(struct program *p, const struct host *h)
{
	uint8_t how = byte_next(p);
	struct cookie c;

	switch (how & 7) {
	case 1:
		cookie_mint(old_keys(p), &h->addr, h->conn, h->field, &c);
		break;
	case 2:
		cookie_mint(keys(p), &p->host[how >> 3 & (HOSTS - 1)].addr, h->conn, h->field, &c);
		break;
	case 3:
		cookie_mint(keys(p), &h->addr, h->conn + 1, h->field, &c);
		break;
	case 4:
		memset(&c, how, sizeof(c));
		break;
	default:
		cookie_mint(keys(p), &h->addr, h->conn, h->field, &c);
		break;
	}
	return c;
}

static struct echo echo_make(struct program *p, const struct host *h)
{
	uint8_t how = byte_next(p);
	struct echo e = h->echo;

	if ((how & 3) == 1)
		memset(&e, how, sizeof(e));
	else if ((how & 3) == 2)
		echo_mint(keys(p), &h->addr, h->conn, h->field, box_seconds() - (how >> 2), &e);
	return e;
}

static const struct addr *target_next(struct program *p)
{
	return &p->host[byte_next(p) & (HOSTS - 1)].addr;
}

/* Few of them, so that they meet. */
static const uint8_t *transfer_next(struct program *p)
{
	static uint8_t transfer[TRANSFER_SIZE];

	memset(transfer, byte_next(p) & 7, sizeof(transfer));
	return transfer;
}

struct blob_choice {
	const struct ident *id;
	uint64_t length;
	uint8_t rule;
};

/* One of the blobs, at times under another length or rule. */
static struct blob_choice blob_next(struct program *p)
{
	uint8_t how = byte_next(p);
	struct blob_choice c = {
		.id = blob_id(how & (BLOBS - 1)),
		.length = blob_size(how & (BLOBS - 1)),
		.rule = RULE_SHA256,
	};

	if ((how & 0xe0) == 0xe0)
		c.length = bytes_next(p, 5);
	if ((how & 0xd0) == 0x90)
		c.rule = RULE_XXH3;
	return c;
}

static size_t make_hello(struct program *p, struct host *h, uint8_t *buf)
{
	struct hello hello = {.nonce = bytes_next(p, 2)};
	struct domain_keys keys;
	struct mac proof;

	if (h->field != 0) {
		box_domain_keys(h->domain, &keys);
		hello_prove(&keys, h->conn, h->field, hello.nonce, &proof);
		hello.proof = &proof;
	}
	return hello_encode(buf, WIRE_MAX_FRAME, h->field, h->conn, &hello);
}

static size_t make_listen(struct program *p, struct host *h, uint8_t *buf)
{
	struct cookie cookie = cookie_make(p, h);
	uint8_t how = byte_next(p);
	const struct listen l = {
		.cookie = &cookie,
		.number = h->number += (uint64_t)(int64_t)(int8_t)how,
		.seconds = (uint32_t)bytes_next(p, how & 1 ? 4 : 1),
	};

	return listen_encode(buf, WIRE_MAX_FRAME, h->field, h->conn, &l);
}

static size_t make_stop(struct program *p, struct host *h, uint8_t *buf)
{
	struct cookie cookie = cookie_make(p, h);
	const struct stop s = {
		.cookie = &cookie,
		.number = h->number += (uint64_t)(int64_t)(int8_t)byte_next(p),
	};

	return stop_encode(buf, WIRE_MAX_FRAME, h->field, h->conn, &s);
}

/* Answers the challenge with the blob's bytes; not the thief, who has none. */
static void proof_fill(const struct program *p, const struct host *h, const struct challenge *c,
		       const struct blob_choice *blob, struct proof *out)
{
	static uint8_t bytes[PROOF_CHUNKS * CHUNK_SIZE];
	uint32_t chunk[PROOF_CHUNKS], n = 0;
	int i = blob_find(blob->id);
	size_t size = 0;

	if (i >= 0 && blob->length == blob_size((unsigned int)i) && h != &p->host[THIEF])
		n = proof_pick(c, blob->length, chunk);
	for (uint32_t k = 0; k < n; k++) {
		uint32_t len = chunk_length(blob->length, chunk[k]);

		memcpy(bytes + size, blob_bytes((unsigned int)i) + chunk[k] * CHUNK_SIZE, len);
		size += len;
	}
	proof_make(c, blob->id, bytes, size, out);
}

/* Likewise for what the relay says that it kept of it; NULL: it says nothing. */
static const struct proof *vouch_fill(const struct program *p, const struct host *h,
				      const struct blob_choice *blob, struct proof *out)
{
	int i = blob_find(blob->id);
	struct ident_state *hash;
	struct ident prefix = *blob->id;

	if (h->kept == 0)
		return NULL;
	if (i >= 0 && h->kept < blob_size((unsigned int)i) && h != &p->host[THIEF]) {
		hash = ident_begin(blob->rule);
		ident_update(hash, blob_bytes((unsigned int)i), h->kept);
		ident_final(hash, &prefix);
		ident_free(hash);
	}
	vouch_make(&h->challenge, &prefix, (uint32_t)(h->kept / CHUNK_SIZE), out);
	return out;
}

static const uint8_t *sealed_key(bool wanted)
{
	static const uint8_t sealed[SEALED_KEY_SIZE];

	return wanted ? sealed : NULL;
}

/* That the host was where another one is, or what it cannot show. */
static const struct moved *moved_next(struct program *p, const struct host *h, bool wanted,
				      struct moved *m)
{
	if (!wanted)
		return NULL;
	m->addr = *target_next(p);
	m->cookie = cookie_make(p, h);
	if (byte_next(p) & 3)
		cookie_mint(keys(p), &m->addr, h->conn, h->field, &m->cookie);
	return m;
}

static size_t make_send(struct program *p, struct host *h, uint8_t *buf)
{
	static const uint8_t meta[META_MAX];
	struct cookie cookie = cookie_make(p, h);
	struct blob_choice blob = blob_next(p);
	uint8_t how = byte_next(p);
	struct moved moved;
	struct proof proof, vouch;
	const struct send s = {
		.cookie = &cookie,
		.moved = moved_next(p, h, how & 128, &moved),
		.transfer = transfer_next(p),
		.id = blob.id,
		.length = blob.length,
		.rule = blob.rule,
		.target = target_next(p),
		.leg = how & 3,
		.deadline = how & 4   ? DEADLINE_MAX
			    : how & 8 ? 1
				      : 60,
		.meta = meta,
		.meta_len = how & 16 ? byte_next(p) : 0,
		.proof = how & 32 ? &proof : NULL,
		.vouch = how & 32 ? vouch_fill(p, h, &blob, &vouch) : NULL,
		.sealed_key = sealed_key(how & 64),
	};

	if (s.proof != NULL)
		proof_fill(p, h, &h->challenge, &blob, &proof);

	return send_encode(buf, WIRE_MAX_FRAME, h->field, h->conn, &s);
}

/* The ticket that the host was offered, or one of our making. */
static struct ticket ticket_make(struct program *p, struct host *h, struct blob_choice *blob)
{
	uint8_t how = byte_next(p);
	struct ticket t = h->ticket;

	if ((how & 3) == 0 && h->rule != 0) {
		*blob = (struct blob_choice){.id = &h->id, .length = h->length, .rule = h->rule};
		return t;
	}
	*blob = blob_next(p);
	t = (struct ticket){
		.leg = put16(how >> 6),
		.expiry = put32((uint32_t)box_seconds() + (how & 4 ? 0 : 60)),
		.key = put32(h->field),
		.source_conn = put64(h->conn),
		.source = *target_next(p),
		.home = how & 8 ? *target_next(p) : *addr_pair_any(&p->box->relay.self),
	};
	memcpy(t.transfer, transfer_next(p), TRANSFER_SIZE);
	if ((how & 3) == 1)
		return t; /* no mac */
	ledger_trust(&t.source);
	ticket_mint((how & 3) == 2 ? old_keys(p) : keys(p), &t, blob->id, blob->rule, blob->length);
	return t;
}

static size_t make_pull(struct program *p, struct host *h, uint8_t *buf)
{
	struct cookie cookie = cookie_make(p, h);
	struct echo echo = echo_make(p, h);
	struct blob_choice blob;
	struct ticket ticket = ticket_make(p, h, &blob);
	uint8_t how = byte_next(p);
	const struct pull pull = {
		.cookie = &cookie,
		.echo = &echo,
		.ticket = &ticket,
		.id = blob.id,
		.length = blob.length,
		.rule = blob.rule,
		.stream = how,
		.number = how,
		.first = how & 1 ? byte_next(p) : 0,
		.mask = how & 2 ? (uint32_t)bytes_next(p, 4) | 1 : 1,
		/* that of the last OFFER, or a bit beside it */
		.attempt =
			how & 4 ? h->attempt ^ UINT64_C(1) << (how >> 3 & 15) * (how >> 7) * 4 : 0,
	};

	return pull_encode(buf, WIRE_MAX_FRAME, h->field, h->conn, &pull);
}

static size_t make_receipt(struct program *p, struct host *h, uint8_t *buf)
{
	struct cookie cookie = cookie_make(p, h);
	static const uint8_t name[META_MAX] = "a (1).txt";
	struct blob_choice blob;
	struct ticket ticket = ticket_make(p, h, &blob);
	uint8_t how = byte_next(p);
	const struct receipt r = {
		.cookie = &cookie,
		.ticket = &ticket,
		.id = blob.id,
		.length = blob.length,
		.rule = blob.rule,
		.code = 1 + how % (RECEIPT_CODE_COUNT - 1),
		.reason = how >> 4,
		.bytes = blob.length,
		.name = name,
		.name_len = how % (RECEIPT_CODE_COUNT - 1) == 0 ? how : 0,
	};

	return receipt_encode(buf, WIRE_MAX_FRAME, h->field, h->conn, &r);
}

static size_t make_data(struct program *p, struct host *h, uint8_t *buf)
{
	uint8_t how = byte_next(p);
	const struct data d = {
		.upload = how & 1,
		.echo = how & 1 ? NULL : &h->echo,
		.stream = h->wanted.stream + (how & 2 ? byte_next(p) : 0),
		.number = h->wanted.number,
		.first = h->wanted.first + (how >> 4),
		.bytes = blob_bytes(how & (BLOBS - 1)),
		.len = (uint16_t)(how & 8 ? byte_next(p) : CHUNK_SIZE),
	};

	if (h == &p->host[THIEF])
		return 0;
	p->has[h->domain][how & (BLOBS - 1)] = true;
	return data_encode(buf, WIRE_MAX_FRAME, h->field, h->wanted_conn, &d);
}

/* ---- relay to relay ---- */

/* Key field, key and clock of the pair; wrong ones as the program says. */
struct pair_choice {
	const uint8_t *secret;
	uint32_t field;
	uint64_t nonce, time;
};

static struct pair_choice pair_next(struct program *p)
{
	static const uint8_t wrong[PAIR_KEY_SIZE];
	const struct config *c = &p->box->config;
	const struct key_set *keys =
		c->role == ROLE_PRIVATE ? &c->upstream.keys : &c->peers[0].keys;
	uint8_t how = byte_next(p);

	return (struct pair_choice){
		.secret = (how & 7) == 7 ? wrong : keys->key[0].key,
		.field = key_set_field(keys, 0) + ((how & 0x38) == 0x38),
		.nonce = p->peer_nonce += how & 0x40 ? bytes_next(p, 1) - 128 : 1,
		.time = box_seconds() * 1000 + (how & 0x80 ? bytes_next(p, 2) - 32768 : 0),
	};
}

/* A proof as the source would have made it: only central knows the challenge. */
static void query_prove(struct program *p, const struct query *q, const struct host *source,
			const struct blob_choice *blob, struct proof *out)
{
	const struct challenge_request claim = {
		.source = q->source,
		.transfer = q->transfer,
		.id = q->id,
		.leg = q->leg,
		.rule = q->rule,
		.key = q->source_key,
		.length = q->length,
	};
	struct challenge c;

	challenge_mint(keys(p), &claim, &c);
	proof_fill(p, source, &c, blob, out);
}

static size_t make_query(struct program *p, struct host *h, uint8_t *buf)
{
	struct pair_choice pair = pair_next(p);
	struct blob_choice blob = blob_next(p);
	uint8_t how = byte_next(p);
	const struct host *source = &p->host[byte_next(p) & (HOSTS - 1)];
	struct blob_choice other;
	struct ticket ticket;
	struct proof proof;
	struct query q = {
		.nonce = pair.nonce,
		.time = pair.time,
		.transfer = transfer_next(p),
		.id = blob.id,
		.length = blob.length,
		.rule = blob.rule,
		.target = target_next(p),
		.source = &source->addr,
		.source_key = source->field,
		.leg = how & 3,
		.leased = how & 4,
		.deadline = 60,
		.send_size = how & 8 ? (uint32_t)bytes_next(p, 2) : 500,
		.source_conn = source->conn,
		.sealed_key = sealed_key(how & 16),
	};

	if (how & 32) {
		query_prove(p, &q, source, &blob, &proof);
		q.proof = &proof;
	}
	if (how & 64) { /* private holds it, or some of it */
		ticket = ticket_make(p, h, &other);
		q.ticket = &ticket;
		q.attempt = how & 128 ? h->attempt : 0;
		q.available = q.attempt != 0 ? 1 : 0;
	}
	return query_encode(buf, WIRE_MAX_FRAME, pair.field, h->conn, &q, pair.secret);
}

static size_t make_answer(struct program *p, struct host *h, uint8_t *buf)
{
	struct pair_choice pair = pair_next(p);
	uint8_t how = byte_next(p), code = 1 + how % (ANSWER_CODE_COUNT - 1);
	const struct answer a = {
		.nonce = pair.nonce,
		.time = pair.time,
		.query_nonce = p->query_nonce + (how & 0x40 ? 1 : 0),
		.transfer = how & 0x80 ? transfer_next(p) : p->query_transfer,
		.leg = p->query_leg,
		.code = code,
		.ticket = code == ANSWER_OFFER ? &h->ticket : NULL,
		.challenge = code == ANSWER_CHALLENGE ? &h->challenge : NULL,
		.reason = how >> 4 & 3,
	};

	h->ticket.zero = put32(1); /* not all zeros */
	return answer_encode(buf, WIRE_MAX_FRAME, pair.field, p->query_conn, &a, pair.secret);
}

static size_t make_notice(struct program *p, struct host *h, uint8_t *buf)
{
	static const uint8_t digest[8];
	struct pair_choice pair = pair_next(p);
	uint8_t how = byte_next(p);
	const struct notice n = {
		.nonce = pair.nonce,
		.time = pair.time,
		.notice_nonce = how & 1 ? bytes_next(p, 8) : 0,
		.transfer = transfer_next(p),
		.meta_digest = digest,
		.source = target_next(p),
		.source_key = p->host[how >> 6].field,
		.ack = how & 1,
		.leg = how >> 6,
		.code = 1 + (how >> 1) % (RECEIPT_CODE_COUNT - 1),
		.source_conn = h->conn,
	};

	return notice_encode(buf, WIRE_MAX_FRAME, pair.field, h->conn, &n, pair.secret);
}

/* ---- anything else ---- */

/* A header, a cookie, and bytes of the program's: unknown verbs among them. */
static size_t make_unknown(struct program *p, struct host *h, uint8_t *buf)
{
	struct wire_header *head = (struct wire_header *)buf;
	struct cookie cookie = cookie_make(p, h);
	size_t len = sizeof(*head) + sizeof(cookie), more = (size_t)byte_next(p) * 4;

	*head = (struct wire_header){
		.version = WIRE_VERSION,
		.verb = byte_next(p),
		.flags = byte_next(p),
		.ext = byte_next(p),
		.key = put32(h->field),
		.conn = put64(h->conn),
	};
	memcpy(buf + sizeof(*head), &cookie, sizeof(cookie));
	for (; more > 0 && p->next < p->end; more--)
		buf[len++] = byte_next(p);
	return len;
}

/* What the relay itself sent comes back, from the host or whoever it is. */
static size_t make_reflection(struct program *p, struct host *h, uint8_t *buf)
{
	const struct history *past = byte_next(p) & 1 ? &p->received : &p->sent;
	unsigned int at = byte_next(p) % HISTORY;

	(void)h;
	if (at >= past->count)
		return 0;
	memcpy(buf, past->frame[at].bytes, past->frame[at].len);
	return past->frame[at].len;
}

const struct maker_info makers[MAKERS] = {
	{make_hello, false},  {make_listen, true},  {make_stop, true},	  {make_send, true},
	{make_pull, true},    {make_receipt, true}, {make_data, true},	  {make_query, false},
	{make_answer, false}, {make_notice, false}, {make_unknown, true}, {make_reflection, false},
	{make_send, true},    {make_send, true},    {make_receipt, true}, {make_pull, true},
};
