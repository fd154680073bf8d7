/* SPDX-License-Identifier: BSD-3-Clause
 * The model of the path, chunk by chunk, on a path that is an equation: no loss but what
 * a test says, a rate, a round trip, and a queue without end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/congestion.h"

#define RTT 40000.0
#define RATE 0.004 /* chunks a microsecond: 4,000 a second, 160 on the path */
#define PATH_MOST 65536

struct on_path {
	struct congestion_mark mark;
	double sent, due;
	bool vanishes;
};

struct path {
	struct congestion c;
	struct on_path ring[PATH_MOST];
	uint32_t head, tail; /* in flight */
	double now, pace, free_at;
	double rate, rtt;
	uint32_t vanish_each; /* every so many chunks, 0: none */
	double early;	      /* by so much ten in two hundred come before others */
	uint32_t count;
	uint32_t limit; /* chunks that may be in flight for another reason, 0: none */
	uint64_t came;
};

static struct path *path_new(void)
{
	struct path *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->now = p->pace = 1000000;
	p->rate = RATE;
	p->rtt = RTT;
	congestion_init(&p->c, (uint64_t)p->now);
	return p;
}

static uint32_t flight(const struct path *p)
{
	return p->tail - p->head;
}

/* What is due earlier comes earlier. */
static void path_sort(struct path *p)
{
	for (uint32_t i = p->tail - 1; i != p->head; i--) {
		struct on_path *o = &p->ring[i % PATH_MOST],
			       *before = &p->ring[(i - 1) % PATH_MOST];
		struct on_path other = *before;

		if (before->due <= o->due)
			return;
		*before = *o;
		*o = other;
	}
}

static void path_ask(struct path *p)
{
	struct on_path *o = &p->ring[p->tail % PATH_MOST];
	double rate = congestion_rate(&p->c);

	congestion_sent(&p->c, &o->mark, flight(p), (uint64_t)p->now);
	o->sent = p->now;
	o->vanishes = p->vanish_each != 0 && ++p->count % p->vanish_each == 0;
	if (p->free_at < p->now + p->rtt / 2)
		p->free_at = p->now + p->rtt / 2;
	p->free_at += 1 / p->rate;
	o->due = p->free_at + p->rtt / 2;
	if (p->tail % 200 < 10)
		o->due -= p->early;
	p->tail++;
	path_sort(p);
	p->pace = rate == 0 ? p->now : p->pace + 1 / rate;
	if (p->pace < p->now)
		p->pace = p->now;
	assert_true(flight(p) < PATH_MOST);
}

static void path_come(struct path *p)
{
	struct on_path *o = &p->ring[p->head++ % PATH_MOST];

	p->now = o->due;
	if (o->vanishes) {
		congestion_lost(&p->c, 1, CONGESTION_LOST_SOME);
		return;
	}
	p->came++;
	congestion_came(&p->c, &o->mark, (uint64_t)o->sent, (uint64_t)(o->due - o->sent), flight(p),
			(uint64_t)p->now);
}

static void path_run(struct path *p, double us)
{
	const double end = p->now + us;

	while (p->now < end) {
		uint32_t window = congestion_window(&p->c);
		bool held = p->limit != 0 && p->limit < window;
		double due = flight(p) > 0 ? p->ring[p->head % PATH_MOST].due : end;

		if (held)
			congestion_limited(&p->c, flight(p));
		if (flight(p) < (held ? p->limit : window) && p->pace <= due) {
			p->now = p->pace > p->now ? p->pace : p->now;
			path_ask(p);
		} else if (flight(p) > 0) {
			path_come(p);
		} else {
			p->now = end;
		}
	}
}

static void assert_near(double value, double wanted, double part)
{
	if (value < wanted * (1 - part) || value > wanted * (1 + part))
		fail_msg("%g is not within %g of %g", value, part, wanted);
}

static void test_start(void **state)
{
	struct path *p = path_new();

	(void)state;
	assert_int_equal(congestion_window(&p->c), 10);
	assert_int_equal(congestion_quantum(&p->c), 10);
	assert_true(congestion_rate(&p->c) == 0);
	/* a sixteenth of the path at first, and all of it after some doublings */
	path_run(p, RTT + 1000);
	assert_near(p->c.rate, RATE / 16, 0.05);
	path_run(p, 7 * RTT);
	assert_true(p->c.rate > 0.9 * RATE);
	path_run(p, 5 * RTT);
	assert_true(p->c.full);
	assert_near(p->c.rate, RATE, 0.02);
	assert_near((double)p->c.rtt, RTT, 0.02);
	/* and then what start-up queued is gone soon */
	path_run(p, 6 * RTT);
	assert_int_equal(p->c.mode, CONGESTION_PROBE_RATE);
	assert_true(flight(p) < 1.35 * RATE * RTT);
	free(p);
}

static void test_steady(void **state)
{
	struct path *p = path_new();
	uint64_t came;
	double most = 0, least = 1;
	uint32_t window = 0;

	(void)state;
	path_run(p, 2000000);
	came = p->came;
	for (int i = 0; i < 400; i++) {
		double now;

		path_run(p, RTT / 4);
		now = congestion_rate(&p->c);
		window = congestion_window(&p->c) > window ? congestion_window(&p->c) : window;
		most = now > most ? now : most;
		least = now < least ? now : least;
	}
	assert_near((double)(p->came - came), RATE * 100 * RTT, 0.02);
	/* it looks for more, and gives back what that took */
	assert_near(most, 1.25 * RATE, 0.05);
	assert_near(least, 0.75 * RATE, 0.05);
	assert_near(congestion_window(&p->c), 2 * RATE * RTT + 3 * 8, 0.05);
	assert_near(window, 2.5 * RATE * RTT + 3 * 8, 0.05); /* while it looks */
	assert_int_equal(congestion_quantum(&p->c), 8);	     /* two milliseconds */
	free(p);
}

/* A path that becomes faster is found to be; one that becomes slower, within ten rounds. */
static void test_follows(void **state)
{
	struct path *p = path_new();

	(void)state;
	path_run(p, 2000000);
	p->rate = 2 * RATE;
	path_run(p, 40 * RTT);
	assert_near(p->c.rate, 2 * RATE, 0.05);
	p->rate = RATE; /* its rounds are long as long as there is a queue */
	path_run(p, 100 * RTT);
	assert_near(p->c.rate, RATE, 0.05);
	free(p);
}

/* Chance is no signal: not at the start, not later. */
static void test_loss_by_chance(void **state)
{
	struct path *p = path_new();

	(void)state;
	p->vanish_each = 20;
	path_run(p, 60 * RTT);
	assert_near(p->c.rate, RATE, 0.05);
	assert_near(p->c.share, 0.95, 0.02);
	assert_true(congestion_rate(&p->c) < 1.3 * RATE);
	free(p);
}

/* More than probing makes up for: more is asked for, unless there is a queue. */
static void test_heavy_loss(void **state)
{
	struct path *p = path_new();
	uint64_t came;

	(void)state;
	p->vanish_each = 4;
	path_run(p, 4000000);
	assert_near(p->c.share, 0.75, 0.03);
	came = p->came;
	path_run(p, 100 * RTT);
	assert_true((double)(p->came - came) > 0.7 * RATE * 100 * RTT);
	p->c.queue_mean = p->c.rtt / 4;
	p->c.phase = 4;
	assert_near(congestion_rate(&p->c), 0.99 * p->c.rate, 0.001);
	p->c.queue_mean = 0;
	assert_near(congestion_rate(&p->c), 0.99 * p->c.rate / p->c.share, 0.001);
	/* and never for more than twice as much */
	p->c.share = 0.1;
	assert_near(congestion_rate(&p->c), 0.99 * p->c.rate * 2, 0.001);
	free(p);
}

/* A lost PULL says nothing of the path of the data. */
static void test_whole_pulls(void **state)
{
	struct path *p = path_new();

	(void)state;
	path_run(p, 2000000);
	for (int i = 0; i < 100; i++) {
		congestion_lost(&p->c, 4, CONGESTION_LOST_ALL);
		path_run(p, RTT / 8);
	}
	assert_true(p->c.share == 1);
	free(p);
}

/* A queue that overflows takes the end of a burst, and then loss is no chance: nothing
 * is given back, less is asked for, and no more than the rate. */
static void test_overflow(void **state)
{
	struct path *p = path_new();
	double rate;

	(void)state;
	path_run(p, 2000000);
	for (int i = 0; i < 100; i++) { /* chance takes either end */
		assert_true(congestion_lost(&p->c, 4, CONGESTION_LOST_ALL));
		assert_false(congestion_lost(&p->c, 2,
					     i % 2 ? CONGESTION_LOST_FIRST : CONGESTION_LOST_LAST));
		path_run(p, RTT / 8);
	}
	assert_true(p->c.restraint > 0.8);
	assert_true(p->c.share < 0.95);
	p->c.phase = 4;
	p->c.queue_mean = 0;
	rate = congestion_rate(&p->c);
	assert_true(rate > 1.05 * p->c.rate * p->c.restraint);
	for (int i = 0; i < 12; i++)
		congestion_lost(&p->c, 2, CONGESTION_LOST_LAST);
	assert_true(congestion_rate(&p->c) < rate);
	assert_false(congestion_lost(&p->c, 4, CONGESTION_LOST_ALL));
	for (int i = 0; i < 100; i++) {
		congestion_lost(&p->c, 10, CONGESTION_LOST_LAST);
		path_run(p, RTT / 8);
		assert_true(p->c.restraint >= 0.7);
	}
	assert_true(p->c.restraint < 0.85);
	path_run(p, 100 * RTT);
	assert_true(p->c.restraint == 1);
	assert_true(congestion_lost(&p->c, 4, CONGESTION_LOST_ALL));
	free(p);
}

/* Who has looked for more gives back its part of a queue that others keep as well. */
static void test_drains(void **state)
{
	struct path *p = path_new();
	uint32_t least = UINT32_MAX;

	(void)state;
	path_run(p, 2000000);
	for (int i = 0; i < 200; i++) {
		p->free_at += RTT / 40; /* others' */
		path_run(p, RTT / 8);
		if (p->c.draining && flight(p) < least)
			least = flight(p);
	}
	assert_true(least <= p->c.rate * p->c.rtt + 2);
	free(p);
}

/* The longer of the two spans counts: neither a burst that comes at once nor one that
 * was asked for at once is a rate. */
static void test_spans(void **state)
{
	struct congestion c;
	struct congestion_mark first, mark;

	(void)state;
	congestion_init(&c, 0);
	congestion_sent(&c, &first, 0, 100000);
	congestion_came(&c, &first, 100000, 10000, 0, 110000);
	assert_near(c.rate, 10 / 10000.0, 0.001); /* the first window */
	congestion_sent(&c, &mark, 1, 110000);
	for (int i = 0; i < 200; i++) /* asked for over 50 ms, here all at once */
		congestion_came(&c, &first, 110000 + (uint64_t)i * 250, 0, 0, 175000);
	congestion_came(&c, &mark, 160000, 0, 0, 175000);
	assert_near(c.rate, 201 / 65000.0, 0.03);
	/* and what was asked for after a pause is measured from there */
	congestion_sent(&c, &mark, 0, 900000);
	assert_true(mark.first_sent == 900000 && mark.delivered_at == 900000);
}

/* What something else holds back does not lower the estimate, nor end start-up. */
static void test_limited(void **state)
{
	struct path *p = path_new();

	(void)state;
	p->limit = 8;
	path_run(p, 30 * RTT);
	assert_false(p->c.full);
	p->limit = 0;
	path_run(p, 20 * RTT);
	assert_near(p->c.rate, RATE, 0.02);
	p->limit = 8;
	path_run(p, 60 * RTT);
	assert_near(p->c.rate, RATE, 0.02);
	/* but more than that it may raise */
	p->rate = 10 * RATE;
	p->limit = 300;
	path_run(p, 60 * RTT);
	assert_true(p->c.rate > 1.5 * RATE);
	free(p);
}

/* The shortest round trip is looked for anew, with half the path in flight. */
static void test_round_trip_grows(void **state)
{
	struct path *p = path_new();
	uint32_t least = UINT32_MAX;

	(void)state;
	path_run(p, 2000000);
	p->rtt = 2 * RTT;
	for (int i = 0; i < 800; i++) {
		path_run(p, 10000);
		if (p->c.mode == CONGESTION_PROBE_RTT && flight(p) < least)
			least = flight(p);
	}
	assert_true(least <= RATE * RTT / 2 + 1);
	assert_near((double)p->c.rtt, 2 * RTT, 0.05);
	assert_int_equal(p->c.mode, CONGESTION_PROBE_RATE);
	free(p);
}

/* What comes early makes neither the path seem short, nor, coming in heaps, fast. */
static void test_overtaking(void **state)
{
	struct path *p = path_new();
	uint64_t round_at;
	double sum = 0;
	int rounds = 0;

	(void)state;
	p->early = RTT / 4;
	path_run(p, 2000000);
	round_at = p->c.round_at;
	assert_near((double)p->c.rtt, RTT - p->early, 0.02);
	assert_true(p->c.rate > 1.03 * RATE);
	congestion_overtaken(&p->c, RTT / 4);
	path_run(p, 20 * RTT);
	for (int i = 0; i < 100; i++) {
		for (int j = 0; j < 16; j++) {
			path_run(p, RTT / 16);
			rounds += p->c.round_at != round_at;
			round_at = p->c.round_at;
		}
		sum += p->c.rate / 100;
	}
	assert_near(sum, RATE, 0.02);
	assert_true(rounds <= 100); /* none is shorter for it */
	while (p->c.phase != 4)
		path_run(p, RTT / 4);
	assert_near(congestion_window(&p->c), 2 * RATE * RTT + 3 * 8, 0.05);
	congestion_overtaken(&p->c, UINT64_MAX);
	assert_true(p->c.spread == p->c.rtt);
	free(p);
}

/* After a silence half the rate at once, and all of it after a round trip. */
static void test_silence(void **state)
{
	struct path *p = path_new();
	double rate;

	(void)state;
	path_run(p, 2000000);
	rate = p->c.rate;
	p->head = p->tail; /* all of it is lost */
	congestion_silent(&p->c);
	p->now += 5000000;
	p->pace = p->now;
	path_ask(p);
	path_come(p);
	assert_near(congestion_rate(&p->c), rate / 2, 0.05);
	assert_true(congestion_window(&p->c) >= 150);
	path_run(p, 2 * RTT);
	assert_true(congestion_rate(&p->c) > 0.7 * rate);
	/* before anything is known there is no rate to halve */
	congestion_init(&p->c, 0);
	congestion_silent(&p->c);
	assert_int_equal(congestion_window(&p->c), 10);
	free(p);
}

/* Growing delay ends start-up before the queue is long; so does loss beside a queue. */
static void test_start_ends(void **state)
{
	struct congestion c;
	struct congestion_mark mark[16];

	(void)state;
	for (int how = 0; how < 4; how++) {
		congestion_init(&c, 0);
		congestion_sent(&c, &mark[0], 0, 100000);
		congestion_came(&c, &mark[0], 100000, 40000, 0, 140000);
		c.share = 1;
		for (uint32_t i = 0; i < 16; i++)
			congestion_sent(&c, &mark[i], i, 140000);
		for (uint32_t i = 0; i < 16; i++)
			congestion_came(&c, &mark[i], 140000,
					how == 0   ? 46000
					: how == 1 ? 43000
					: i == 0   ? 52000
						   : 0,
					0, 200000);
		if (how == 2)
			congestion_lost(&c, 6, CONGESTION_LOST_SOME);
		congestion_sent(&c, &mark[0], 1, 200000);
		congestion_came(&c, &mark[0], 200000, 0, 0, 240000);
		assert_int_equal(c.full, how == 0 || how == 2);
	}
}

/* The sizes at the ends of the range. */
static void test_bounds(void **state)
{
	struct congestion c;

	(void)state;
	congestion_init(&c, 0);
	c.delivered = 1000;
	c.mode = CONGESTION_PROBE_RATE;
	c.rate = 1e-6; /* a chunk a second, which is less than a round trip's */
	c.rtt = 40000;
	assert_int_equal(congestion_quantum(&c), 2);
	assert_true(congestion_window(&c) <= 6);
	c.mode = CONGESTION_PROBE_RTT;
	assert_int_equal(congestion_window(&c), 2);
	c.rate = 0.0002; /* 2 Mb/s over 40 ms */
	assert_int_equal(congestion_quantum(&c), 2);
	assert_int_equal(congestion_window(&c), 4);
	c.mode = CONGESTION_PROBE_RATE;
	c.rate = 0.25; /* a local network, 50 us: what the ends do counts, not the path */
	c.rtt = 50;
	assert_int_equal(congestion_quantum(&c), 32);
	assert_int_equal(congestion_window(&c), 750 + 96);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start),
		cmocka_unit_test(test_steady),
		cmocka_unit_test(test_follows),
		cmocka_unit_test(test_loss_by_chance),
		cmocka_unit_test(test_heavy_loss),
		cmocka_unit_test(test_whole_pulls),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_drains),
		cmocka_unit_test(test_spans),
		cmocka_unit_test(test_limited),
		cmocka_unit_test(test_round_trip_grows),
		cmocka_unit_test(test_overtaking),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_start_ends),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
