/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/wire_frames.h"

#include <stdlib.h>

const struct addr sample_ip4 = {ADDR_IP4, 0, {{0x13, 0x06}}, {192, 0, 2, 33}};
const struct addr sample_ip6 = {ADDR_IP6, 0, {{0x13, 0x07}}, {0x20, 0x01, 0x0d, 0xb8, [15] = 0x21}};
const struct ident sample_id = {{0xba, 0x78, 0x16, 0xbf, [31] = 0xad}};
const struct ticket sample_ticket = {
	.epoch = {{1, 2}},
	.leg = {{3, 4}},
	.expiry = {{5, 6, 7, 8}},
	.key = {{9, 10, 11, 12}},
	.transfer = {13, 14, 15},
	.source_conn = {{16, 17, 18}},
	.source = {ADDR_IP4, 0, {{1, 1}}, {198, 51, 100, 1}},
	.home = {ADDR_IP4, 0, {{1, 2}}, {198, 51, 100, 2}},
	.mac = {19, 20, 21, [15] = 22},
};
const uint8_t sample_transfer[TRANSFER_SIZE] = "0123456789abcdef";
const uint8_t sample_pair_key[PAIR_KEY_SIZE] = "pair key for the tests, 32 bytes";

static const struct cookie cookie = {.epoch = {{0xc0, 0x0c}}, .mac = "cookie mac 14"};
static const struct echo echo = {.second = 0xec, .mac = "echo 7"};
static const uint8_t digest[8] = "digest8";
static const struct mac domain_proof = {"domain proof 16"};
static const struct challenge challenge = {.epoch = {{0xc4, 0xa1}}, .mac = "challenge 14."};
static const struct proof proof = {
	.challenge = {.epoch = {{0xc4, 0xa1}}, .mac = "challenge 14."},
	.mac = {"proof mac of 16"},
};
static const uint8_t sealed_key[SEALED_KEY_SIZE] = "a key that is sealed";
static const uint8_t meta[] = "report.pdf\0application/pdf";
static const uint8_t chunk[CHUNK_SIZE] = {0xda, 0x7a, [CHUNK_SIZE - 1] = 0xff};

static size_t hello_make(uint8_t *buf, size_t cap)
{
	const struct hello h = {.nonce = 0xfeedfacecafebeef, .proof = &domain_proof};

	return hello_encode(buf, cap, SAMPLE_KEY, SAMPLE_CONN, &h);
}

static size_t welcome_make(uint8_t *buf, size_t cap)
{
	const struct welcome w = {
		.nonce = 0xfeedfacecafebeef,
		.cookie = &cookie,
		.echo = &echo,
		.seen = &sample_ip6,
		.self = &sample_ip4,
		.lifetime = 300,
	};

	return welcome_encode(buf, cap, SAMPLE_KEY, SAMPLE_CONN, &w);
}

static size_t listen_make(uint8_t *buf, size_t cap)
{
	const struct listen l = {.cookie = &cookie, .number = 7, .seconds = 60};

	return listen_encode(buf, cap, SAMPLE_KEY, SAMPLE_CONN, &l);
}

static size_t listening_make(uint8_t *buf, size_t cap)
{
	const struct listening l = {.number = 7, .seconds = 30};

	return listening_encode(buf, cap, SAMPLE_KEY, SAMPLE_CONN, &l);
}

static size_t send_make(uint8_t *buf, size_t cap)
{
	const struct send s = {
		.cookie = &cookie,
		.transfer = sample_transfer,
		.id = &sample_id,
		.target = &sample_ip6,
		.meta = meta,
		.proof = &proof,
		.sealed_key = sealed_key,
		.meta_len = sizeof(meta) - 1,
		.leg = 258,
		.rule = RULE_SHA256,
		.deadline = 3600,
		.length = BLOB_MAX_LENGTH,
	};

	return send_encode(buf, cap, SAMPLE_KEY, SAMPLE_CONN, &s);
}

static size_t status_make(uint8_t *buf, size_t cap)
{
	const struct status s = {
		.transfer = sample_transfer,
		.meta_digest = digest,
		.leg = 258,
		.code = STATUS_REFUSED,
		.reason = REFUSE_BUSY,
		.bytes = 123456789012,
		.retry_after = 250,
	};

	return status_encode(buf, cap, SAMPLE_KEY, SAMPLE_CONN, &s);
}

static size_t status_challenge_make(uint8_t *buf, size_t cap)
{
	const struct status s = {
		.transfer = sample_transfer,
		.challenge = &challenge,
		.code = STATUS_CHALLENGE,
	};

	return status_encode(buf, cap, SAMPLE_KEY, SAMPLE_CONN, &s);
}

static size_t status_kept_make(uint8_t *buf, size_t cap)
{
	const struct status s = {
		.transfer = sample_transfer,
		.challenge = &challenge,
		.code = STATUS_UPLOAD,
		.bytes = UINT64_C(812) * CHUNK_SIZE,
	};

	return status_encode(buf, cap, SAMPLE_KEY, SAMPLE_CONN, &s);
}

static size_t send_vouch_make(uint8_t *buf, size_t cap)
{
	const struct send s = {
		.cookie = &cookie,
		.transfer = sample_transfer,
		.id = &sample_id,
		.target = &sample_ip4,
		.vouch = &proof,
		.rule = RULE_SHA256,
		.deadline = 60,
		.length = UINT64_C(1000) * CHUNK_SIZE,
	};

	return send_encode(buf, cap, SAMPLE_KEY, SAMPLE_CONN, &s);
}

static size_t query_make(uint8_t *buf, size_t cap)
{
	const struct query q = {
		.nonce = 0x0102030405060708,
		.time = 1700000000123,
		.transfer = sample_transfer,
		.id = &sample_id,
		.target = &sample_ip4,
		.source = &sample_ip6,
		.meta = meta,
		.proof = &proof,
		.sealed_key = sealed_key,
		.meta_len = sizeof(meta) - 1,
		.leg = 258,
		.rule = RULE_XXH3,
		.leased = true,
		.deadline = 1,
		.send_size = 412,
		.source_key = 0x901,
		.length = 1153,
		.source_conn = 0xa1a2a3a4a5a6a7a8,
	};

	return query_encode(buf, cap, SAMPLE_KEY, SAMPLE_CONN, &q, sample_pair_key);
}

static size_t answer_make(uint8_t *buf, size_t cap)
{
	const struct answer a = {
		.nonce = 0x1112131415161718,
		.time = 1700000000456,
		.query_nonce = 0x0102030405060708,
		.transfer = sample_transfer,
		.ticket = &sample_ticket,
		.leg = 258,
		.code = ANSWER_OFFER,
		.reason = REFUSE_NONE,
	};

	return answer_encode(buf, cap, SAMPLE_KEY, SAMPLE_CONN, &a, sample_pair_key);
}

static size_t answer_challenge_make(uint8_t *buf, size_t cap)
{
	const struct answer a = {
		.nonce = 0x1112131415161719,
		.time = 1700000000457,
		.query_nonce = 0x0102030405060708,
		.transfer = sample_transfer,
		.challenge = &challenge,
		.code = ANSWER_CHALLENGE,
	};

	return answer_encode(buf, cap, SAMPLE_KEY, SAMPLE_CONN, &a, sample_pair_key);
}

static size_t offer_make(uint8_t *buf, size_t cap)
{
	const struct offer o = {
		.echo = &echo,
		.transfer = sample_transfer,
		.id = &sample_id,
		.ticket = &sample_ticket,
		.holder = &sample_ip6,
		.meta = meta,
		.sealed_key = sealed_key,
		.meta_len = sizeof(meta) - 1,
		.leg = 258,
		.rule = RULE_SHA256,
		.deadline = 59,
		.length = 1 << 30,
	};

	return offer_encode(buf, cap, SAMPLE_KEY, SAMPLE_CONN, &o, 412);
}

static size_t offer_inline_make(uint8_t *buf, size_t cap)
{
	const struct offer o = {
		.echo = &echo,
		.transfer = sample_transfer,
		.id = &sample_id,
		.ticket = &sample_ticket,
		.rule = RULE_SHA256,
		.has_inline = true,
		.deadline = 59,
		.length = 500,
		.data = chunk,
	};

	return offer_encode(buf, cap, SAMPLE_KEY, SAMPLE_CONN, &o, 0);
}

static size_t pull_make(uint8_t *buf, size_t cap)
{
	const struct pull p = {
		.cookie = &cookie,
		.echo = &echo,
		.ticket = &sample_ticket,
		.id = &sample_id,
		.rule = RULE_SHA256,
		.stream = 0x5152535455565758,
		.number = 99,
		.first = 96,
		.mask = 0x80000001,
		.length = 128 * CHUNK_SIZE,
	};

	return pull_encode(buf, cap, SAMPLE_KEY, SAMPLE_CONN, &p);
}

static size_t pull_upload_make(uint8_t *buf, size_t cap)
{
	const struct pull p = {
		.id = &sample_id,
		.upload = true,
		.rule = RULE_XXH3,
		.stream = 0x5152535455565758,
		.number = 1,
		.mask = 1,
		.length = 1,
	};

	return pull_encode(buf, cap, SAMPLE_KEY, SAMPLE_CONN, &p);
}

static size_t data_make(uint8_t *buf, size_t cap)
{
	const struct data d = {
		.echo = &echo,
		.stream = 0x5152535455565758,
		.number = 99,
		.first = 127,
		.bytes = chunk,
		.len = CHUNK_SIZE,
	};

	return data_encode(buf, cap, SAMPLE_KEY, SAMPLE_CONN, &d);
}

static size_t data_upload_make(uint8_t *buf, size_t cap)
{
	const struct data d = {.upload = true, .stream = 3, .number = 1, .bytes = chunk, .len = 1};

	return data_encode(buf, cap, SAMPLE_KEY, SAMPLE_CONN, &d);
}

static size_t receipt_make(uint8_t *buf, size_t cap)
{
	const struct receipt r = {
		.cookie = &cookie,
		.id = &sample_id,
		.meta_digest = digest,
		.ticket = &sample_ticket,
		.code = RECEIPT_REFUSED,
		.reason = REFUSE_TARGET_FAILED,
		.rule = RULE_SHA256,
		.length = 5000,
		.bytes = 4999,
	};

	return receipt_encode(buf, cap, SAMPLE_KEY, SAMPLE_CONN, &r);
}

static size_t notice_make(uint8_t *buf, size_t cap)
{
	const struct notice n = {
		.nonce = 0x2122232425262728,
		.time = 1700000000789,
		.notice_nonce = 0x3132333435363738,
		.transfer = sample_transfer,
		.meta_digest = digest,
		.source = &sample_ip4,
		.ack = true,
		.leg = 258,
		.code = RECEIPT_COMPLETE,
		.source_key = 0x901,
		.bytes = 1153,
		.source_conn = 0xa1a2a3a4a5a6a7a8,
	};

	return notice_encode(buf, cap, SAMPLE_KEY, SAMPLE_CONN, &n, sample_pair_key);
}

static size_t stop_make(uint8_t *buf, size_t cap)
{
	const struct stop s = {.cookie = &cookie, .number = 8};

	return stop_encode(buf, cap, SAMPLE_KEY, SAMPLE_CONN, &s);
}

static size_t error_make(uint8_t *buf, size_t cap)
{
	const struct error e = {
		.echo = &echo,
		.code = ERROR_FRESH,
		.verb = VERB_PULL,
		.number = 99,
		.stream = 0x5152535455565758,
		.retry_after = 1000,
	};

	return error_encode(buf, cap, SAMPLE_KEY, SAMPLE_CONN, &e);
}

/* ---- of a blob that is still uploaded ---- */

#define ATTEMPT 0x6162636465666768

static size_t query_holding_make(uint8_t *buf, size_t cap)
{
	const struct query q = {
		.transfer = sample_transfer,
		.id = &sample_id,
		.target = &sample_ip4,
		.source = &sample_ip6,
		.rule = RULE_SHA256,
		.ticket = &sample_ticket,
		.attempt = ATTEMPT,
		.available = 2,
		.deadline = 1,
		.length = 1153,
	};

	return query_encode(buf, cap, SAMPLE_KEY, SAMPLE_CONN, &q, sample_pair_key);
}

static size_t offer_partial_make(uint8_t *buf, size_t cap)
{
	const struct offer o = {
		.transfer = sample_transfer,
		.id = &sample_id,
		.ticket = &sample_ticket,
		.rule = RULE_SHA256,
		.deadline = 59,
		.length = 1 << 30,
		.attempt = ATTEMPT,
		.available = 1000,
	};

	return offer_encode(buf, cap, SAMPLE_KEY, SAMPLE_CONN, &o, 412);
}

static size_t pull_attempt_make(uint8_t *buf, size_t cap)
{
	const struct pull p = {
		.ticket = &sample_ticket,
		.id = &sample_id,
		.rule = RULE_SHA256,
		.number = 99,
		.mask = 1,
		.length = 1,
		.attempt = ATTEMPT,
	};

	return pull_encode(buf, cap, SAMPLE_KEY, SAMPLE_CONN, &p);
}

static size_t data_partial_make(uint8_t *buf, size_t cap)
{
	const struct data d = {
		.number = 99,
		.bytes = chunk,
		.len = CHUNK_SIZE,
		.partial = true,
		.available = 1000,
	};

	return data_encode(buf, cap, SAMPLE_KEY, SAMPLE_CONN, &d);
}

static size_t error_later_make(uint8_t *buf, size_t cap)
{
	const struct error e = {
		.code = ERROR_LATER, .verb = VERB_PULL, .number = 99, .available = 1000};

	return error_encode(buf, cap, SAMPLE_KEY, SAMPLE_CONN, &e);
}

const struct sample samples[] = {
	{"hello", VERB_HELLO, hello_make},
	{"welcome", VERB_WELCOME, welcome_make},
	{"listen", VERB_LISTEN, listen_make},
	{"listening", VERB_LISTENING, listening_make},
	{"send", VERB_SEND, send_make},
	{"status", VERB_STATUS, status_make},
	{"query", VERB_QUERY, query_make},
	{"answer", VERB_ANSWER, answer_make},
	{"offer", VERB_OFFER, offer_make},
	{"offer-inline", VERB_OFFER, offer_inline_make},
	{"pull", VERB_PULL, pull_make},
	{"pull-upload", VERB_PULL, pull_upload_make},
	{"data", VERB_DATA, data_make},
	{"data-upload", VERB_DATA, data_upload_make},
	{"receipt", VERB_RECEIPT, receipt_make},
	{"notice", VERB_NOTICE, notice_make},
	{"stop", VERB_STOP, stop_make},
	{"error", VERB_ERROR, error_make},
	{"status-challenge", VERB_STATUS, status_challenge_make},
	{"answer-challenge", VERB_ANSWER, answer_challenge_make},
	{"query-holding", VERB_QUERY, query_holding_make},
	{"offer-partial", VERB_OFFER, offer_partial_make},
	{"pull-attempt", VERB_PULL, pull_attempt_make},
	{"data-partial", VERB_DATA, data_partial_make},
	{"error-later", VERB_ERROR, error_later_make},
	{"status-kept", VERB_STATUS, status_kept_make},
	{"send-vouch", VERB_SEND, send_vouch_make},
};
const size_t sample_count = sizeof(samples) / sizeof(*samples);

struct frame sample_parse(uint8_t verb)
{
	static uint8_t buf[WIRE_MAX_FRAME];
	struct frame f;
	size_t i = 0;

	while (samples[i].verb != verb)
		i++;
	if (frame_parse(buf, samples[i].make(buf, sizeof(buf)), &f) != DROP_NONE)
		abort();
	return f;
}

#define DECODE(X)                                                 \
	do {                                                      \
		struct X x;                                       \
		enum drop d = X##_decode(f, &x);                  \
		if (!buf || d != DROP_NONE)                       \
			return d;                                 \
		*len = X##_encode(buf, cap, f->key, f->conn, &x); \
		return d;                                         \
	} while (0)
#define DECODE_WITH(X, more)                                            \
	do {                                                            \
		struct X x;                                             \
		enum drop d = X##_decode(f, &x);                        \
		if (!buf || d != DROP_NONE)                             \
			return d;                                       \
		*len = X##_encode(buf, cap, f->key, f->conn, &x, more); \
		return d;                                               \
	} while (0)

/* Encodes again if there is a buf. */
static enum drop decode(const struct frame *f, uint8_t *buf, size_t cap, size_t *len)
{
	switch (f->verb) {
	case VERB_HELLO:
		DECODE(hello);
	case VERB_WELCOME:
		DECODE(welcome);
	case VERB_LISTEN:
		DECODE(listen);
	case VERB_LISTENING:
		DECODE(listening);
	case VERB_SEND:
		DECODE(send);
	case VERB_STATUS:
		DECODE(status);
	case VERB_QUERY:
		DECODE_WITH(query, sample_pair_key);
	case VERB_ANSWER:
		DECODE_WITH(answer, sample_pair_key);
	case VERB_OFFER:
		DECODE_WITH(offer, 0);
	case VERB_PULL:
		DECODE(pull);
	case VERB_DATA:
		DECODE(data);
	case VERB_RECEIPT:
		DECODE(receipt);
	case VERB_NOTICE:
		DECODE_WITH(notice, sample_pair_key);
	case VERB_STOP:
		DECODE(stop);
	case VERB_ERROR:
		DECODE(error);
	default:
		return DROP_VERB;
	}
}

enum drop frame_decode(const struct frame *f)
{
	return decode(f, NULL, 0, NULL);
}

enum drop sample_decode_with(uint8_t verb, size_t offset, uint8_t value)
{
	struct frame f = sample_parse(verb);

	((uint8_t *)(uintptr_t)f.body)[offset] = value;
	return frame_decode(&f);
}

size_t frame_recode(const struct frame *f, uint8_t *buf, size_t cap)
{
	size_t len = 0;

	return decode(f, buf, cap, &len) == DROP_NONE ? len : 0;
}
