/* SPDX-License-Identifier: BSD-3-Clause
 * OFFER, PULL, DATA, RECEIPT.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/wire_frames.h"

static uint8_t buf[WIRE_MAX_FRAME];

static void test_offer(void **state)
{
	struct frame f = sample_parse(VERB_OFFER);
	struct offer o;

	(void)state;
	assert_int_equal(f.len, 412);
	assert_int_equal(offer_decode(&f, &o), DROP_NONE);
	assert_memory_equal(o.echo->mac, "echo 7", 7);
	assert_memory_equal(o.transfer, sample_transfer, TRANSFER_SIZE);
	assert_true(ident_equal(o.id, &sample_id));
	assert_memory_equal(o.ticket, &sample_ticket, sizeof(sample_ticket));
	assert_true(addr_equal(o.holder, &sample_ip6));
	assert_int_equal(o.meta_len, 26);
	assert_string_equal((const char *)o.sealed_key, "a key that is sealed");
	assert_int_equal(o.leg, 258);
	assert_int_equal(o.rule, RULE_SHA256);
	assert_false(o.has_inline);
	assert_null(o.data);
	assert_int_equal(o.deadline, 59);
	assert_int_equal(o.length, 1 << 30);

	assert_int_equal(DROP_WITH(VERB_OFFER, offer, rule, 0), DROP_FIELD);
	assert_int_equal(DROP_WITH(VERB_OFFER, offer, deadline.b[3], 0), DROP_FIELD);
	assert_int_equal(DROP_WITH(VERB_OFFER, offer, length.b[1], 1), DROP_FIELD);
	assert_reserved(VERB_OFFER, offer, zero);
}

static void test_offer_padding(void **state)
{
	struct frame f = sample_parse(VERB_OFFER);
	struct offer o;
	size_t len;

	(void)state;
	offer_decode(&f, &o);
	o.holder = NULL;
	o.sealed_key = NULL;
	o.meta_len = 0;
	assert_int_equal(offer_encode(buf, sizeof(buf), 0, 1, &o, 0), OFFER_SIZE);
	for (size_t to = 1; to < WIRE_MAX_FRAME; to++) {
		len = offer_encode(buf, sizeof(buf), 0, 1, &o, to);
		if (to < OFFER_SIZE)
			assert_int_equal(len, OFFER_SIZE);
		else if (to <= OFFER_SIZE + 1020)
			assert_int_equal(len, to & ~(size_t)3);
		assert_int_equal(frame_parse(buf, len, &f), DROP_NONE);
	}
}

static size_t offer_inline(size_t length, const uint8_t *data, size_t pad_to)
{
	struct frame f = sample_parse(VERB_OFFER);
	struct offer o;

	offer_decode(&f, &o);
	o.holder = NULL;
	o.sealed_key = NULL;
	o.meta_len = 0;
	o.has_inline = true;
	o.length = length;
	o.data = data;
	return offer_encode(buf, sizeof(buf), 0, 1, &o, pad_to);
}

static void test_offer_inline(void **state)
{
	const size_t most = WIRE_MAX_FRAME - OFFER_SIZE;
	uint8_t data[WIRE_MAX_FRAME] = {1, 2, 3, [500] = 4};
	struct frame f;
	struct offer o;

	(void)state;
	for (size_t n = 0; n <= most; n++) {
		assert_int_equal(offer_inline(n, data, 0), OFFER_SIZE + n);
		assert_int_equal(frame_parse(buf, OFFER_SIZE + n, &f), DROP_NONE);
		assert_int_equal(offer_decode(&f, &o), DROP_NONE);
		assert_true(o.has_inline);
		assert_int_equal(o.length, n);
		assert_memory_equal(o.data, data, n);
	}
	assert_int_equal(offer_inline(most + 1, data, 0), 0);
	assert_int_equal(offer_inline(BLOB_MAX_LENGTH, NULL, 0), 0);
	assert_int_equal(offer_inline(10, data, 500), 0);

	/* Room at the end for the caller's bytes. */
	buf[OFFER_SIZE] = 77;
	assert_int_equal(offer_inline(10, NULL, 0), OFFER_SIZE + 10);
	assert_int_equal(buf[OFFER_SIZE], 77);
	/* The payload and the length disagree; a payload without the flag. */
	assert_int_equal(frame_parse(buf, OFFER_SIZE + 9, &f), DROP_NONE);
	assert_int_equal(offer_decode(&f, &o), DROP_FIELD);
	((struct wire_header *)buf)->flags = 0;
	assert_int_equal(frame_parse(buf, OFFER_SIZE + 10, &f), DROP_NONE);
	assert_int_equal(offer_decode(&f, &o), DROP_OVERLONG);
}

/* ---- of a blob that is still uploaded ---- */

#define ATTEMPT UINT64_C(0x0102030405060708)

/* What is left of the sample OFFER when it is of an attempt. */
static size_t offer_partial(uint64_t attempt, uint32_t available)
{
	struct frame f = sample_parse(VERB_OFFER);
	struct offer o;

	offer_decode(&f, &o);
	o.length = 10 * CHUNK_SIZE;
	o.attempt = attempt;
	o.available = available;
	return offer_encode(buf, sizeof(buf), 0, 1, &o, SEND_MIN);
}

/* The value of an extension in buf. */
static uint8_t *ext_of(size_t len, uint8_t type, uint8_t size)
{
	for (size_t i = sizeof(struct wire_header); i + 2 + size <= len; i += 4)
		if (buf[i] == type && buf[i + 1] == size)
			return buf + i + 2;
	fail_msg("extension %u is not there", type);
	return NULL;
}

static void test_offer_partial(void **state)
{
	size_t len = offer_partial(ATTEMPT, 10);
	struct frame f;
	struct offer o;

	(void)state;
	assert_int_equal(len, SEND_MIN); /* padded, with what is behind the padding */
	assert_int_equal(frame_parse(buf, len, &f), DROP_NONE);
	assert_int_equal(offer_decode(&f, &o), DROP_NONE);
	assert_true(o.attempt == ATTEMPT);
	assert_int_equal(o.available, 10);
	assert_non_null(o.holder);
	assert_non_null(o.sealed_key);
	assert_int_equal(offer_partial(ATTEMPT, 11), 0); /* more than it has */
	assert_int_equal(offer_partial(ATTEMPT, 0), SEND_MIN);

	/* one without the other, and none that is one */
	offer_partial(ATTEMPT, 10);
	ext_of(len, EXT_AVAILABLE, 4)[-2] = 0x14; /* which is none */
	assert_int_equal(frame_parse(buf, len, &f), DROP_NONE);
	assert_int_equal(offer_decode(&f, &o), DROP_FIELD);
	offer_partial(ATTEMPT, 10);
	memset(ext_of(len, EXT_ATTEMPT, 8), 0, 8);
	assert_int_equal(frame_parse(buf, len, &f), DROP_FIELD);
	offer_partial(ATTEMPT, 10);
	ext_of(len, EXT_AVAILABLE, 4)[0] = 0x80; /* no blob has so many */
	assert_int_equal(frame_parse(buf, len, &f), DROP_FIELD);
	/* inline data is whole */
	f = sample_parse(VERB_OFFER);
	offer_decode(&f, &o);
	o.holder = NULL;
	o.sealed_key = NULL;
	o.meta_len = 0;
	o.length = 10;
	o.has_inline = true;
	o.attempt = ATTEMPT;
	assert_int_equal(offer_encode(buf, sizeof(buf), 0, 1, &o, 0), 0);
}

static void test_pull_attempt(void **state)
{
	struct frame f = sample_parse(VERB_PULL);
	struct pull p;
	size_t len;

	(void)state;
	assert_int_equal(pull_decode(&f, &p), DROP_NONE);
	assert_true(p.attempt == 0);
	p.attempt = ATTEMPT;
	len = pull_encode(buf, sizeof(buf), 0, 1, &p);
	assert_int_equal(len, f.len + 12);
	assert_int_equal(frame_parse(buf, len, &f), DROP_NONE);
	assert_int_equal(pull_decode(&f, &p), DROP_NONE);
	assert_true(p.attempt == ATTEMPT);
	/* a relay that asks a source has no use for one */
	p.upload = true;
	p.cookie = NULL;
	p.echo = NULL;
	p.ticket = NULL;
	len = pull_encode(buf, sizeof(buf), 0, 1, &p);
	assert_int_equal(frame_parse(buf, len, &f), DROP_NONE);
	assert_int_equal(pull_decode(&f, &p), DROP_NONE);
	assert_true(p.attempt == 0);
}

static void test_data_partial(void **state)
{
	static const uint8_t bytes[CHUNK_SIZE] = {7};
	struct data d = {.stream = 1,
			 .number = 2,
			 .first = 3,
			 .bytes = bytes,
			 .len = sizeof(bytes),
			 .partial = true,
			 .available = 0};
	struct frame f;
	size_t len = data_encode(buf, sizeof(buf), 0, 1, &d);

	(void)state;
	assert_int_equal(len, DATA_HEAD_PARTIAL + CHUNK_SIZE);
	assert_int_equal(frame_parse(buf, len, &f), DROP_NONE);
	assert_int_equal(data_decode(&f, &d), DROP_NONE);
	assert_true(d.partial);
	assert_int_equal(d.available, 0);
	assert_memory_equal(d.bytes, bytes, sizeof(bytes));
	d.bytes = NULL;
	assert_int_equal(data_encode(buf, sizeof(buf), 0, 1, &d), len);
	d.partial = false;
	d.bytes = bytes;
	assert_int_equal(data_encode(buf, sizeof(buf), 0, 1, &d), DATA_HEAD + CHUNK_SIZE);
	d.len = WIRE_MAX_FRAME - DATA_HEAD;
	d.bytes = NULL;
	assert_int_equal(data_encode(buf, sizeof(buf), 0, 1, &d), WIRE_MAX_FRAME);
	d.partial = true;
	assert_int_equal(data_encode(buf, sizeof(buf), 0, 1, &d), 0);
}

/* Smaller than any PULL that it answers, whoever is a member. */
static void test_error_later(void **state)
{
	struct error e = {
		.code = ERROR_LATER, .verb = VERB_PULL, .retry_after = 10, .available = 300};
	struct frame f, pull = sample_parse(VERB_PULL);
	size_t len = error_encode(buf, sizeof(buf), 0, 1, &e);

	(void)state;
	assert_true(len + TRAILER_SIZE < pull.len);
	assert_int_equal(frame_parse(buf, len, &f), DROP_NONE);
	assert_int_equal(error_decode(&f, &e), DROP_NONE);
	assert_int_equal(e.available, 300);
	((struct wire_error *)(buf + sizeof(struct wire_header)))->code = ERROR_BUSY;
	assert_int_equal(error_decode(&f, &e), DROP_FIELD);
	e.code = ERROR_BUSY;
	len = error_encode(buf, sizeof(buf), 0, 1, &e);
	((struct wire_error *)(buf + sizeof(struct wire_header)))->code = ERROR_LATER;
	assert_int_equal(frame_parse(buf, len, &f), DROP_NONE);
	assert_int_equal(error_decode(&f, &e), DROP_FIELD);
}

static void test_pull(void **state)
{
	struct frame f = sample_parse(VERB_PULL);
	struct pull p;

	(void)state;
	assert_int_equal(pull_decode(&f, &p), DROP_NONE);
	assert_memory_equal(p.cookie->mac, "cookie mac 14", 14);
	assert_memory_equal(p.echo->mac, "echo 7", 7);
	assert_memory_equal(p.ticket, &sample_ticket, sizeof(sample_ticket));
	assert_true(ident_equal(p.id, &sample_id));
	assert_false(p.upload);
	assert_int_equal(p.rule, RULE_SHA256);
	assert_true(p.stream == 0x5152535455565758);
	assert_int_equal(p.number, 99);
	assert_int_equal(p.first, 96);
	assert_true(p.mask == 0x80000001);
	assert_int_equal(p.length, 128 * CHUNK_SIZE);

	assert_int_equal(DROP_WITH(VERB_PULL, pull, rule, 0), DROP_FIELD);
	assert_int_equal(DROP_WITH(VERB_PULL, pull, length.b[0], 1), DROP_FIELD);
	assert_int_equal(DROP_WITH(VERB_PULL, pull, mask.b[3], 0), DROP_FIELD);
	assert_int_equal(DROP_WITH(VERB_PULL, pull, first.b[3], 97), DROP_FIELD);
	assert_reserved(VERB_PULL, pull, zero);
}

/* Only chunks of the blob can be asked for. */
static void test_pull_range(void **state)
{
	static const struct {
		uint64_t length;
		uint32_t first, mask;
		bool good;
	} cases[] = {
		{0, 0, 1, false},
		{1, 0, 1, true},
		{1, 0, 3, false},
		{1, 1, 1, false},
		{CHUNK_SIZE, 0, 1, true},
		{CHUNK_SIZE + 1, 0, 3, true},
		{CHUNK_SIZE + 1, 0, 5, false},
		{32 * CHUNK_SIZE, 0, 0xffffffff, true},
		{31 * CHUNK_SIZE, 0, 0xffffffff, false},
		{31 * CHUNK_SIZE, 0, 0x7fffffff, true},
		{33 * CHUNK_SIZE, 1, 0xffffffff, true},
		{33 * CHUNK_SIZE, 2, 0xffffffff, false},
		{33 * CHUNK_SIZE, 32, 1, true},
		{33 * CHUNK_SIZE, 33, 1, false},
		{33 * CHUNK_SIZE, 0, 0xfffffffe, false},
		{33 * CHUNK_SIZE, UINT32_MAX, 1, false},
		{BLOB_MAX_LENGTH, 59652323, 1, true},
		{BLOB_MAX_LENGTH, 59652324, 1, false},
		{BLOB_MAX_LENGTH + 1, 0, 1, false},
	};
	struct frame f = sample_parse(VERB_PULL);
	struct pull p;

	(void)state;
	pull_decode(&f, &p);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		p.length = cases[i].length;
		p.first = cases[i].first;
		p.mask = cases[i].mask;
		assert_int_equal(pull_encode(buf, sizeof(buf), 0, 1, &p),
				 cases[i].good ? f.len : 0);
	}
}

/* Towards a source there are no tokens; not even by mistake. */
static void test_pull_upload(void **state)
{
	static const size_t tokens[] = {offsetof(struct wire_pull, cookie),
					offsetof(struct wire_pull, echo),
					offsetof(struct wire_pull, ticket)};
	struct frame f = sample_parse(VERB_PULL);
	struct pull p;
	size_t len;

	(void)state;
	pull_decode(&f, &p);
	p.upload = true;
	assert_int_equal(pull_encode(buf, sizeof(buf), 0, 1, &p), 0);
	p.cookie = NULL;
	p.echo = NULL;
	p.ticket = NULL;
	len = pull_encode(buf, sizeof(buf), 0, 1, &p);
	assert_int_equal(frame_parse(buf, len, &f), DROP_NONE);
	assert_int_equal(pull_decode(&f, &p), DROP_NONE);
	assert_true(p.upload);
	for (size_t i = 0; i < 3; i++) {
		buf[sizeof(struct wire_header) + tokens[i]] = 1;
		assert_int_equal(pull_decode(&f, &p), DROP_FIELD);
		buf[sizeof(struct wire_header) + tokens[i]] = 0;
	}
}

static void test_data(void **state)
{
	struct frame f = sample_parse(VERB_DATA);
	struct data d;

	(void)state;
	assert_int_equal(f.len, DATA_HEAD + CHUNK_SIZE);
	assert_int_equal(data_decode(&f, &d), DROP_NONE);
	assert_memory_equal(d.echo->mac, "echo 7", 7);
	assert_false(d.upload);
	assert_true(d.stream == 0x5152535455565758);
	assert_int_equal(d.number, 99);
	assert_int_equal(d.first, 127);
	assert_int_equal(d.len, CHUNK_SIZE);
	assert_ptr_equal(d.bytes, f.start + DATA_HEAD);
	assert_int_equal(d.bytes[CHUNK_SIZE - 1], 0xff);
	assert_int_equal(DROP_WITH(VERB_DATA, data, first.b[0], 4), DROP_FIELD);

	/* Towards a relay, without tokens. */
	d.upload = true;
	assert_int_equal(data_encode(buf, sizeof(buf), 0, 1, &d), 0);
	d.echo = NULL;
	assert_int_equal(data_encode(buf, sizeof(buf), 0, 1, &d), f.len);
	buf[sizeof(struct wire_header)] = 1;
	assert_int_equal(frame_parse(buf, f.len, &f), DROP_NONE);
	assert_int_equal(data_decode(&f, &d), DROP_FIELD);
}

static void test_data_lengths(void **state)
{
	struct data d = {.bytes = buf, .len = 0};
	uint8_t out[WIRE_MAX_FRAME + 100];
	struct frame f;

	(void)state;
	assert_int_equal(data_encode(out, sizeof(out), 0, 1, &d), 0);
	d.len = WIRE_MAX_FRAME - DATA_HEAD;
	assert_int_equal(data_encode(out, sizeof(out), 0, 1, &d), WIRE_MAX_FRAME);
	d.len++;
	assert_int_equal(data_encode(out, sizeof(out), 0, 1, &d), 0);
	d.bytes = NULL;
	assert_int_equal(data_encode(out, sizeof(out), 0, 1, &d), 0);

	/* The head alone: room for the payload is not this buffer's business. */
	d.len = CHUNK_SIZE;
	assert_int_equal(data_encode(out, DATA_HEAD, 0, 1, &d), DATA_HEAD + CHUNK_SIZE);
	assert_int_equal(data_encode(out, DATA_HEAD - 1, 0, 1, &d), 0);
	/* A head with nothing behind it. */
	assert_int_equal(frame_parse(out, DATA_HEAD, &f), DROP_NONE);
	assert_int_equal(data_decode(&f, &d), DROP_FIELD);
}

static void test_receipt(void **state)
{
	struct frame f = sample_parse(VERB_RECEIPT);
	struct receipt r;

	(void)state;
	assert_int_equal(receipt_decode(&f, &r), DROP_NONE);
	assert_memory_equal(r.cookie->mac, "cookie mac 14", 14);
	assert_true(ident_equal(r.id, &sample_id));
	assert_memory_equal(r.meta_digest, "digest8", 8);
	assert_memory_equal(r.ticket, &sample_ticket, sizeof(sample_ticket));
	assert_int_equal(r.code, RECEIPT_REFUSED);
	assert_int_equal(r.reason, REFUSE_TARGET_FAILED);
	assert_int_equal(r.rule, RULE_SHA256);
	assert_int_equal(r.length, 5000);
	assert_int_equal(r.bytes, 4999);

	assert_int_equal(DROP_WITH(VERB_RECEIPT, receipt, code, 0), DROP_FIELD);
	assert_int_equal(DROP_WITH(VERB_RECEIPT, receipt, code, RECEIPT_CODE_COUNT), DROP_FIELD);
	assert_int_equal(DROP_WITH(VERB_RECEIPT, receipt, reason, REFUSE_TARGET_DECLINED),
			 DROP_NONE);
	assert_int_equal(DROP_WITH(VERB_RECEIPT, receipt, reason, REFUSE_NONE), DROP_FIELD);
	assert_int_equal(DROP_WITH(VERB_RECEIPT, receipt, reason, REFUSE_QUOTA), DROP_FIELD);
	assert_int_equal(DROP_WITH(VERB_RECEIPT, receipt, code, RECEIPT_COMPLETE), DROP_FIELD);
	assert_int_equal(DROP_WITH(VERB_RECEIPT, receipt, code, RECEIPT_PROGRESS), DROP_FIELD);
	assert_int_equal(DROP_WITH(VERB_RECEIPT, receipt, rule, RULE_COUNT), DROP_FIELD);
	/* More received than there is. */
	assert_int_equal(DROP_WITH(VERB_RECEIPT, receipt, bytes.b[6], 0x14), DROP_FIELD);
	assert_reserved(VERB_RECEIPT, receipt, zero);

	f = sample_parse(VERB_RECEIPT);
	assert_int_equal(receipt_decode(&f, &r), DROP_NONE);
	r.name = (const uint8_t *)"a (1).txt";
	r.name_len = 9;
	assert_int_equal(receipt_encode(buf, sizeof(buf), 0, 1, &r), 0); /* not in a refusal */
	r.code = RECEIPT_COMPLETE;
	r.reason = REFUSE_NONE;
	assert_int_equal(frame_parse(buf, receipt_encode(buf, sizeof(buf), 0, 1, &r), &f),
			 DROP_NONE);
	assert_int_equal(receipt_decode(&f, &r), DROP_NONE);
	assert_int_equal(r.name_len, 9);
	assert_memory_equal(r.name, "a (1).txt", 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offer),	     cmocka_unit_test(test_offer_padding),
		cmocka_unit_test(test_offer_inline), cmocka_unit_test(test_offer_partial),
		cmocka_unit_test(test_pull_attempt), cmocka_unit_test(test_data_partial),
		cmocka_unit_test(test_error_later),  cmocka_unit_test(test_pull),
		cmocka_unit_test(test_pull_range),   cmocka_unit_test(test_pull_upload),
		cmocka_unit_test(test_data),	     cmocka_unit_test(test_data_lengths),
		cmocka_unit_test(test_receipt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
