/* SPDX-License-Identifier: BSD-3-Clause
 * QUERY, ANSWER, NOTICE.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/wire_frames.h"

static uint8_t buf[WIRE_MAX_FRAME];

/* The verbs between relays have a trailer that their pair key makes. */
static void assert_authentic(const struct frame *f)
{
	uint8_t other[PAIR_KEY_SIZE];
	struct frame bare = *f;
	size_t covered = f->len - TRAILER_SIZE;

	assert_ptr_equal(f->trailer, f->start + covered);
	assert_true(trailer_check(sample_pair_key, f->start, covered, f->trailer));
	memcpy(other, sample_pair_key, sizeof(other));
	other[31] ^= 1;
	assert_false(trailer_check(other, f->start, covered, f->trailer));

	/* The same frame without one. */
	memcpy(buf, f->start, covered);
	((struct wire_header *)buf)->flags &= (uint8_t)~WIRE_AUTH;
	assert_int_equal(frame_parse(buf, covered, &bare), DROP_NONE);
	assert_null(bare.trailer);
	assert_int_equal(frame_decode(&bare), DROP_AUTH);
}

static void test_query(void **state)
{
	struct frame f = sample_parse(VERB_QUERY);
	struct query q;

	(void)state;
	assert_int_equal(query_decode(&f, &q), DROP_NONE);
	assert_true(q.nonce == 0x0102030405060708);
	assert_true(q.time == 1700000000123);
	assert_memory_equal(q.transfer, sample_transfer, TRANSFER_SIZE);
	assert_true(ident_equal(q.id, &sample_id));
	assert_true(addr_equal(q.target, &sample_ip4));
	assert_true(addr_equal(q.source, &sample_ip6));
	assert_int_equal(q.meta_len, 26);
	assert_int_equal(q.leg, 258);
	assert_int_equal(q.rule, RULE_XXH3);
	assert_true(q.leased);
	assert_int_equal(q.deadline, 1);
	assert_int_equal(q.send_size, 412);
	assert_int_equal(q.source_key, 0x901);
	assert_memory_equal(q.proof->mac.b, "proof mac of 16", 16);
	assert_string_equal((const char *)q.sealed_key, "a key that is sealed");
	assert_int_equal(q.length, 1153);
	assert_true(q.source_conn == 0xa1a2a3a4a5a6a7a8);
	assert_authentic(&f);

	assert_int_equal(DROP_WITH(VERB_QUERY, query, rule, 9), DROP_FIELD);
	assert_int_equal(DROP_WITH(VERB_QUERY, query, deadline.b[3], 0), DROP_FIELD);
	assert_int_equal(DROP_WITH(VERB_QUERY, query, length.b[2], 1), DROP_FIELD);
	assert_int_equal(DROP_WITH(VERB_QUERY, query, source.type, ADDR_NONE), DROP_FIELD);
	assert_int_equal(DROP_WITH(VERB_QUERY, query, target.addr.type, ADDR_LISTENER), DROP_FIELD);
	assert_reserved(VERB_QUERY, query, zero);
	assert_reserved(VERB_QUERY, query, target.key_tail);
}

/* With a ticket it says that private has the blob, or some of it; without one it does not. */
static void test_query_holding(void **state)
{
	struct frame f = sample_parse(VERB_QUERY);
	struct query q;
	size_t len;

	(void)state;
	query_decode(&f, &q);
	assert_null(q.ticket);
	q.ticket = &sample_ticket;
	len = query_encode(buf, sizeof(buf), 0, 1, &q, sample_pair_key);
	assert_int_equal(frame_parse(buf, len, &f), DROP_NONE);
	assert_int_equal(query_decode(&f, &q), DROP_NONE);
	assert_memory_equal(q.ticket, &sample_ticket, sizeof(sample_ticket));
	assert_true(q.attempt == 0);
	f = sample_parse(VERB_QUERY); /* what was decoded led into buf */
	query_decode(&f, &q);
	q.ticket = &sample_ticket;
	q.attempt = 5;
	q.available = 2; /* it has two chunks */
	len = query_encode(buf, sizeof(buf), 0, 1, &q, sample_pair_key);
	assert_int_equal(frame_parse(buf, len, &f), DROP_NONE);
	assert_int_equal(query_decode(&f, &q), DROP_NONE);
	assert_true(q.attempt == 5 && q.available == 2);
	/* the flag and the ticket go together */
	((struct wire_header *)buf)->flags &= (uint8_t)~WIRE_HOLDING;
	assert_int_equal(frame_parse(buf, len, &f), DROP_NONE);
	assert_int_equal(query_decode(&f, &q), DROP_FIELD);
	f = sample_parse(VERB_QUERY);
	query_decode(&f, &q);
	q.attempt = 5;
	assert_int_equal(query_encode(buf, sizeof(buf), 0, 1, &q, sample_pair_key), 0);
	q.ticket = &sample_ticket;
	q.available = 3;
	assert_int_equal(query_encode(buf, sizeof(buf), 0, 1, &q, sample_pair_key), 0);
}

static void test_answer_leased(void **state)
{
	struct frame f = sample_parse(VERB_ANSWER);
	struct answer a;
	size_t len;

	(void)state;
	answer_decode(&f, &a);
	assert_false(a.leased);
	a.leased = true;
	len = answer_encode(buf, sizeof(buf), 0, 1, &a, sample_pair_key);
	assert_int_equal(frame_parse(buf, len, &f), DROP_NONE);
	assert_int_equal(answer_decode(&f, &a), DROP_NONE);
	assert_true(a.leased);
}

static void test_answer(void **state)
{
	struct frame f = sample_parse(VERB_ANSWER);
	struct answer a;

	(void)state;
	assert_int_equal(answer_decode(&f, &a), DROP_NONE);
	assert_true(a.nonce == 0x1112131415161718);
	assert_true(a.time == 1700000000456);
	assert_true(a.query_nonce == 0x0102030405060708);
	assert_memory_equal(a.transfer, sample_transfer, TRANSFER_SIZE);
	assert_memory_equal(a.ticket, &sample_ticket, sizeof(sample_ticket));
	assert_int_equal(a.leg, 258);
	assert_int_equal(a.code, ANSWER_OFFER);
	assert_int_equal(a.reason, REFUSE_NONE);
	assert_authentic(&f);

	assert_int_equal(DROP_WITH(VERB_ANSWER, answer, code, 0), DROP_FIELD);
	assert_int_equal(DROP_WITH(VERB_ANSWER, answer, code, ANSWER_CODE_COUNT), DROP_FIELD);
	assert_int_equal(DROP_WITH(VERB_ANSWER, answer, reason, REFUSE_COUNT), DROP_FIELD);
	/* A ticket is there for ANSWER_OFFER, and only for it. */
	assert_int_equal(DROP_WITH(VERB_ANSWER, answer, code, ANSWER_SERVING), DROP_FIELD);
	assert_reserved(VERB_ANSWER, answer, zero);

	a.ticket = NULL;
	assert_int_equal(answer_encode(buf, sizeof(buf), 0, 1, &a, sample_pair_key), 0);
	a.code = ANSWER_FAILED;
	assert_int_not_equal(answer_encode(buf, sizeof(buf), 0, 1, &a, sample_pair_key), 0);
}

static void test_notice(void **state)
{
	struct frame f = sample_parse(VERB_NOTICE);
	struct notice n;

	(void)state;
	assert_int_equal(notice_decode(&f, &n), DROP_NONE);
	assert_true(n.nonce == 0x2122232425262728);
	assert_true(n.time == 1700000000789);
	assert_true(n.notice_nonce == 0x3132333435363738);
	assert_memory_equal(n.transfer, sample_transfer, TRANSFER_SIZE);
	assert_memory_equal(n.meta_digest, "digest8", 8);
	assert_true(addr_equal(n.source, &sample_ip4));
	assert_true(n.ack);
	assert_int_equal(n.leg, 258);
	assert_int_equal(n.code, RECEIPT_COMPLETE);
	assert_int_equal(n.reason, REFUSE_NONE);
	assert_int_equal(n.bytes, 1153);
	assert_true(n.source_conn == 0xa1a2a3a4a5a6a7a8);
	assert_int_equal(n.source_key, 0x901);
	assert_authentic(&f);

	assert_int_equal(DROP_WITH(VERB_NOTICE, notice, code, RECEIPT_CODE_COUNT), DROP_FIELD);
	assert_int_equal(DROP_WITH(VERB_NOTICE, notice, reason, REFUSE_COUNT), DROP_FIELD);
	assert_int_equal(DROP_WITH(VERB_NOTICE, notice, bytes.b[0], 1), DROP_FIELD);
	assert_int_equal(DROP_WITH(VERB_NOTICE, notice, source.type, 7), DROP_FIELD);

	/* What acknowledges nothing is no acknowledgement. */
	f = sample_parse(VERB_NOTICE);
	assert_int_equal(notice_decode(&f, &n), DROP_NONE);
	n.ack = false;
	assert_int_equal(notice_encode(buf, sizeof(buf), 0, 1, &n, sample_pair_key), 0);
	n.notice_nonce = 0;
	assert_int_equal(
		frame_parse(buf, notice_encode(buf, sizeof(buf), 0, 1, &n, sample_pair_key), &f),
		DROP_NONE);
	assert_int_equal(notice_decode(&f, &n), DROP_NONE);
	assert_false(n.ack);
	assert_int_equal(n.name_len, 0);

	f = sample_parse(VERB_NOTICE);
	assert_int_equal(notice_decode(&f, &n), DROP_NONE);
	n.ack = false;
	n.notice_nonce = 0;
	n.name = (const uint8_t *)"a (1).txt";
	n.name_len = 9;
	assert_int_equal(
		frame_parse(buf, notice_encode(buf, sizeof(buf), 0, 1, &n, sample_pair_key), &f),
		DROP_NONE);
	assert_int_equal(notice_decode(&f, &n), DROP_NONE);
	assert_memory_equal(n.name, "a (1).txt", 9);
	assert_authentic(&f);
	f = sample_parse(VERB_NOTICE);
	assert_int_equal(notice_decode(&f, &n), DROP_NONE);
	n.name = (const uint8_t *)"a (1).txt";
	n.name_len = 9;
	assert_int_equal(notice_encode(buf, sizeof(buf), 0, 1, &n, sample_pair_key), 0);
	n.ack = false;
	n.notice_nonce = 0;
	n.code = RECEIPT_PROGRESS;
	assert_int_equal(notice_encode(buf, sizeof(buf), 0, 1, &n, sample_pair_key), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_query),	      cmocka_unit_test(test_query_holding),
		cmocka_unit_test(test_answer_leased), cmocka_unit_test(test_answer),
		cmocka_unit_test(test_notice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
