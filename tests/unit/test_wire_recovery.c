/* SPDX-License-Identifier: BSD-3-Clause
 * What counts as lost, when, and what a silence leads to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/recovery.h"

#define LENGTH (UINT64_C(1000) * CHUNK_SIZE)
#define RTT UINT64_C(40000)

static struct pulls q;
static struct recovery v;
static void *memory;
static uint64_t now;

static int begin(void **state)
{
	(void)state;
	memory = calloc(1, pulls_memory(LENGTH));
	assert_non_null(memory);
	now = 1000000;
	pulls_init(&q, LENGTH, memory);
	recovery_init(&v, now);
	return 0;
}

static int finish(void **state)
{
	(void)state;
	free(memory);
	return 0;
}

static uint32_t ask(uint32_t n)
{
	struct pull_request *r = pulls_make(&q, n);

	r->sent = now;
	recovery_sent(&v, now);
	return r->number;
}

/* The round trip that was measured, or 0. */
static uint64_t come(uint32_t number, uint32_t bit)
{
	struct pull_request *r = pulls_find(&q, number);
	uint32_t chunk = r->first + bit;
	uint64_t rtt = recovery_came(&v, &q, r, chunk, now, now);

	if (!pulls_has(&q, chunk))
		pulls_take(&q, r, chunk);
	return rtt;
}

/* Loses what is overdue; the number of PULLs. */
static int lose(void)
{
	struct pull_request *r;
	int count = 0;

	for (; (r = recovery_overdue(&v, &q, now)) != NULL; count++)
		pulls_lose(&q, r, UINT32_MAX);
	return count;
}

/* One round trip of RTT is known. */
static void acquaint(void)
{
	ask(1);
	now += RTT;
	assert_int_equal(come(1, 0), RTT);
	assert_int_equal(v.srtt, RTT);
}

static void test_round_trips(void **state)
{
	uint32_t a, b;

	(void)state;
	acquaint();
	a = ask(2);
	b = ask(2);
	now += RTT + 8000;
	assert_int_equal(come(a, 1), RTT + 8000);
	assert_int_equal(come(a, 0), 0); /* its first chunk counts */
	assert_int_equal(v.srtt, RTT + 1000);
	/* one that was given up is no measure */
	pulls_lose(&q, pulls_find(&q, b), UINT32_MAX);
	assert_int_equal(come(b, 0), 0);
}

/* Overtaken, a PULL has a quarter of the round trip left. */
static void test_passed(void **state)
{
	uint32_t a, b, c;

	(void)state;
	acquaint();
	a = ask(4);
	now += 1000;
	b = ask(4);
	c = ask(4);
	now += RTT;
	assert_true(recovery_due(&v, &q) == UINT64_MAX);
	come(a, 0);
	assert_true(recovery_due(&v, &q) == UINT64_MAX); /* only itself has come */
	come(b, 0);
	v.srtt = RTT;
	assert_true(recovery_due(&v, &q) == now + RTT / 4);
	assert_int_equal(lose(), 0);
	now += 5000;
	come(c, 0); /* passes b, but a was passed before */
	v.srtt = RTT;
	now += RTT / 4 - 5000;
	assert_int_equal(lose(), 1);
	assert_int_equal(q.lost, 3);
	assert_int_equal(pulls_find(&q, a)->missing, 0);
	now += 5000;
	assert_int_equal(lose(), 1);
	assert_int_equal(q.lost, 6);
	assert_true(recovery_due(&v, &q) == UINT64_MAX);
}

/* What comes after all widens the window, up to a round trip, and for a time. */
static void test_lateness(void **state)
{
	uint32_t a, b;

	(void)state;
	acquaint();
	a = ask(1);
	b = ask(1);
	now += RTT;
	come(b, 0);
	now += 16000;
	assert_int_equal(lose(), 1);
	come(a, 0);
	a = ask(1);
	b = ask(1);
	now += RTT;
	come(b, 0);
	assert_true(recovery_due(&v, &q) == now + 20000);
	now += 900000;
	assert_int_equal(lose(), 1);
	come(a, 0);
	a = ask(1);
	b = ask(1);
	now += RTT;
	come(b, 0);
	assert_true(recovery_due(&v, &q) == now + v.srtt);
	/* a chunk that is in time again and again makes it forgotten */
	come(a, 0);
	for (int i = 0; i < 300; i++) {
		a = ask(1);
		now += 10000 * RTT;
		come(a, 0);
		v.srtt = RTT;
	}
	a = ask(1);
	b = ask(1);
	now += RTT;
	come(b, 0);
	assert_true(recovery_due(&v, &q) <= now + v.srtt / 4);
}

/* By how much chunks overtake others: the most of the last 64 to 128 round trips. */
static void test_overtaking(void **state)
{
	static const uint64_t late[] = {5000, 2000, 0, 0};

	(void)state;
	acquaint();
	for (int i = 0; i < 4; i++) {
		uint64_t expected = late[i > 0 ? i - 1 : 0];
		uint32_t a = ask(1), b = ask(1);

		now += RTT;
		come(b, 0);
		now += late[i];
		come(a, 0);
		assert_int_equal(v.late, expected);
		assert_int_equal(q.lost, 0);
		v.srtt = RTT;
		now += 64 * RTT;
	}
}

/* On a path of no length the ends reorder all the same. */
static void test_least(void **state)
{
	uint32_t a, b;

	(void)state;
	ask(1);
	now += 20;
	come(1, 0);
	a = ask(1);
	b = ask(1);
	now += 20;
	come(b, 0);
	assert_true(recovery_due(&v, &q) == now + 250);
	now += 250;
	assert_int_equal(lose(), 1);
	assert_int_equal(pulls_find(&q, a)->missing, 0);
}

static void test_silence(void **state)
{
	uint64_t wait;

	(void)state;
	assert_true(recovery_silence(&v, &q) == UINT64_MAX);
	acquaint();
	ask(4);
	/* SRTT + 4 RTTVAR is more than two round trips after the first sample */
	assert_true(recovery_silence(&v, &q) == now + RTT + 4 * (RTT / 2));
	now = recovery_silence(&v, &q);
	assert_false(recovery_silent(&v, &q, now)); /* a probe first */
	wait = RTT + 4 * (RTT / 2);
	for (int i = 0; i < 10; i++) {
		assert_true(recovery_silence(&v, &q) == now + wait);
		now += wait;
		assert_true(recovery_silent(&v, &q, now));
		wait = wait * 2 < SILENCE_MAX ? wait * 2 : SILENCE_MAX;
		ask(1);
	}
	/* the answer to the first is no measure of the path: it waited somewhere */
	assert_int_equal(come(2, 0), 0);
	assert_int_equal(v.backoff, 1);
	assert_int_equal(v.srtt, RTT);
	assert_int_equal(v.late, 0);
	ask(1);
	assert_true(recovery_silence(&v, &q) == now + RTT + 4 * (RTT / 2));
}

/* Before anything is known of the path, whatever comes is a measure. */
static void test_first_answer_is_late(void **state)
{
	(void)state;
	ask(4);
	assert_true(recovery_silence(&v, &q) == now + 300000);
	now += 300000;
	assert_false(recovery_silent(&v, &q, now));
	now += 300000;
	assert_true(recovery_silent(&v, &q, now));
	now += 100000;
	assert_int_equal(come(1, 0), 700000);
	assert_int_equal(v.srtt, 700000);
}

/* A round trip longer than the longest silence is waited for. */
static void test_long_path(void **state)
{
	(void)state;
	ask(4);
	now += 3000000;
	come(1, 0);
	assert_true(recovery_silence(&v, &q) == now + 9000000);
	now = recovery_silence(&v, &q);
	assert_false(recovery_silent(&v, &q, now));
	for (int i = 0; i < 4; i++) {
		now += 9000000;
		assert_true(recovery_silence(&v, &q) == now);
		assert_true(recovery_silent(&v, &q, now));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trips, begin, finish),
		cmocka_unit_test_setup_teardown(test_passed, begin, finish),
		cmocka_unit_test_setup_teardown(test_lateness, begin, finish),
		cmocka_unit_test_setup_teardown(test_overtaking, begin, finish),
		cmocka_unit_test_setup_teardown(test_least, begin, finish),
		cmocka_unit_test_setup_teardown(test_silence, begin, finish),
		cmocka_unit_test_setup_teardown(test_first_answer_is_late, begin, finish),
		cmocka_unit_test_setup_teardown(test_long_path, begin, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
