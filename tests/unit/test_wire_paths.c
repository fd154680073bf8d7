/* SPDX-License-Identifier: BSD-3-Clause
 * Goodput on the paths that people have, in virtual time: what bench/wan measures in
 * real time, as far as it is the window's doing. Shares are of what the bottleneck can
 * carry, after five seconds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/wire_link.h"

#define SECOND UINT64_C(1000000)
#define BEGIN (5 * SECOND)
#define END (25 * SECOND)
#define BUFFER 184 /* chunks: what Linux gives a socket that asks for more */
#define FOREVER (UINT64_C(40) << 30)

struct cell {
	const char *name;
	struct link link;
	double share;	 /* at least */
	uint64_t full;	 /* chunks lost in the queue, at most; the beginning counts */
	double queue_ms; /* at most, on average */
};

static const struct cell cells[] = {
	/* no loss, queues of a quarter to four of what the path holds */
	{"2 ms, 100 Mb/s", {.rtt = 2000, .rate = 100000, .queue = 100000}, 0.97, 50, 1},
	{"2 ms, 20 Mb/s", {.rtt = 2000, .rate = 20000, .queue = 60000}, 0.97, 50, 2},
	{"10 ms, 2 Mb/s", {.rtt = 10000, .rate = 2000, .queue = 30000}, 0.95, 20, 10},
	{"40 ms, 2 Mb/s", {.rtt = 40000, .rate = 2000, .queue = 30000}, 0.95, 20, 12},
	{"40 ms, 20 Mb/s", {.rtt = 40000, .rate = 20000, .queue = 100000}, 0.97, 60, 5},
	{"40 ms, 100 Mb/s, 4 BDP", {.rtt = 40000, .rate = 100000, .queue = 2000000}, 0.97, 0, 5},
	{"100 ms, 100 Mb/s, 1/4 BDP",
	 {.rtt = 100000, .rate = 100000, .queue = 312000},
	 0.97,
	 2500,
	 8},
	{"200 ms, 2 Mb/s", {.rtt = 200000, .rate = 2000, .queue = 50000}, 0.95, 50, 20},
	{"200 ms, 20 Mb/s", {.rtt = 200000, .rate = 20000, .queue = 500000}, 0.97, 60, 15},
	{"200 ms, 100 Mb/s", {.rtt = 200000, .rate = 100000, .queue = 2500000}, 0.97, 0, 15},
	/* loss by chance, each way */
	{"200 ms, 100 Mb/s, 0.1 %",
	 {.rtt = 200000, .rate = 100000, .queue = 2500000, .loss = 0.001},
	 0.97,
	 0,
	 15},
	{"2 ms, 100 Mb/s, 1 %",
	 {.rtt = 2000, .rate = 100000, .queue = 100000, .loss = 0.01},
	 0.97,
	 50,
	 2},
	{"40 ms, 2 Mb/s, 1 %",
	 {.rtt = 40000, .rate = 2000, .queue = 30000, .loss = 0.01},
	 0.96,
	 20,
	 15},
	{"40 ms, 50 Mb/s, 1 %",
	 {.rtt = 40000, .rate = 50000, .queue = 256000, .loss = 0.01},
	 0.97,
	 60,
	 5},
	{"200 ms, 20 Mb/s, 1 %",
	 {.rtt = 200000, .rate = 20000, .queue = 500000, .loss = 0.01},
	 0.97,
	 60,
	 15},
	{"2 ms, 20 Mb/s, 5 %",
	 {.rtt = 2000, .rate = 20000, .queue = 60000, .loss = 0.05},
	 0.96,
	 50,
	 4},
	{"200 ms, 20 Mb/s, 5 %",
	 {.rtt = 200000, .rate = 20000, .queue = 500000, .loss = 0.05},
	 0.96,
	 60,
	 15},
	{"40 ms, 20 Mb/s, 20 %",
	 {.rtt = 40000, .rate = 20000, .queue = 100000, .loss = 0.2},
	 0.85,
	 100,
	 10},
	{"60 ms, 30 Mb/s, bursts of 8",
	 {.rtt = 60000, .rate = 30000, .queue = 250000, .loss = 0.02, .burst = 8},
	 0.95,
	 60,
	 10},
	{"100 ms, 20 Mb/s, bursts of 20",
	 {.rtt = 100000, .rate = 20000, .queue = 250000, .loss = 0.02, .burst = 20},
	 0.95,
	 60,
	 10},
	/* reordering, and all of it */
	{"40 ms, 50 Mb/s, 5 % overtake",
	 {.rtt = 40000, .rate = 50000, .queue = 256000, .reorder = 0.05},
	 0.95,
	 100,
	 6},
	{"200 ms, 20 Mb/s, 5 % overtake",
	 {.rtt = 200000, .rate = 20000, .queue = 500000, .reorder = 0.05},
	 0.95,
	 100,
	 15},
	{"40 ms, 50 Mb/s, jitter",
	 {.rtt = 40000, .rate = 50000, .queue = 256000, .jitter = 10000},
	 0.96,
	 500,
	 10},
	{"40 ms, 20 Mb/s, a mess",
	 {.rtt = 40000,
	  .rate = 20000,
	  .queue = 100000,
	  .loss = 0.005,
	  .reorder = 0.02,
	  .twice = 0.01,
	  .jitter = 3000},
	 0.96,
	 100,
	 9},
	/* timers that are a millisecond coarse */
	{"2 ms, 100 Mb/s, late",
	 {.rtt = 2000, .rate = 100000, .queue = 100000, .wake_up = 1000},
	 0.93,
	 50,
	 6},
};

static void test_cells(void **state)
{
	int bad = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(cells) / sizeof(*cells); i++) {
		const struct cell *c = &cells[i];
		struct link l = c->link;
		double share, queue_ms, carries;
		struct sim *s;
		uint32_t have;

		l.cap = BUFFER;
		s = sim_new(FOREVER, &l);
		sim_run(s, START + BEGIN);
		have = s->w->pulls.have;
		s->queue_time = s->sent = 0;
		sim_run(s, START + END);
		carries = (double)l.rate / 8 / SIM_FRAME * (END - BEGIN) / 1000;
		share = (s->w->pulls.have - have) / carries;
		queue_ms = (double)s->queue_time / (double)s->sent / 1000;
		if (share < c->share || s->full > c->full || queue_ms > c->queue_ms) {
			print_error("%s: share %.3f, %lu lost in the queue, which was %.1f ms\n",
				    c->name, share, s->full, queue_ms);
			bad++;
		}
		sim_free(s);
	}
	assert_int_equal(bad, 0);
}

/* Chunks that come from here on, as a share of what the bottleneck carries. */
static double share_from(struct sim *s, uint64_t us)
{
	uint32_t have = s->w->pulls.have;

	sim_run(s, s->now + us);
	return (s->w->pulls.have - have) /
	       ((double)s->link.rate / 8 / SIM_FRAME * (double)us / 1000);
}

/* The link is dead for a while: a second after it is back data flows, half the rate at
 * once, and all of it after two round trips. */
static void test_outage(void **state)
{
	static const uint64_t seconds[] = {1, 4, 7, 25, 60};

	(void)state;
	for (size_t i = 0; i < sizeof(seconds) / sizeof(*seconds); i++) {
		const struct link l = {
			.rtt = 40000,
			.rate = 50000,
			.queue = 250000,
			.cap = BUFFER,
			.dead = {START + BEGIN, START + BEGIN + seconds[i] * SECOND}};
		struct sim *s = sim_new(FOREVER, &l);
		uint32_t have;

		sim_run(s, START + BEGIN + seconds[i] * SECOND);
		have = s->w->pulls.have;
		while (s->w->pulls.have == have)
			sim_run(s, s->now + 1000);
		assert_true(s->now < l.dead[1] + SECOND + l.rtt + 10000);
		share_from(s, l.rtt); /* until what is asked for now comes */
		assert_true(share_from(s, l.rtt) > 0.4);
		assert_true(share_from(s, 10 * l.rtt) > 0.9);
		sim_free(s);
	}
}

/* The holder stands still: what it was asked for meanwhile it answers late, and that
 * spoils nothing. */
static void test_holder_stands_still(void **state)
{
	static const uint64_t ms[] = {50, 300, 1000, 5000, 30000};

	(void)state;
	for (size_t i = 0; i < sizeof(ms) / sizeof(*ms); i++) {
		const struct link l = {.rtt = 40000,
				       .rate = 50000,
				       .queue = 250000,
				       .cap = BUFFER,
				       .still = {START + BEGIN, START + BEGIN + ms[i] * 1000}};
		struct sim *s = sim_new(FOREVER, &l);

		sim_run(s, START + BEGIN + ms[i] * 1000);
		share_from(s, 3 * l.rtt);
		assert_true(share_from(s, 10 * l.rtt) > 0.8);
		assert_true(share_from(s, SECOND) > 0.9);
		assert_true(s->w->recovery.srtt < 2 * l.rtt);
		sim_free(s);
	}
}

/* Flows that share a path. */
struct company {
	const char *name;
	struct link link;
	uint32_t flows;	 /* one begins each two seconds */
	double ratio;	 /* of the least to the most, at least */
	double all;	 /* of what the bottleneck carries, at least */
	double lost;	 /* in the queue, of what went through it, at most */
	double queue_ms; /* at most, on average */
};

static const struct company companies[] = {
	{"2 ms, 100 Mb/s", {.rtt = 2000, .rate = 100000, .queue = 100000}, 2, 0.8, 0.96, 0, 5},
	{"40 ms, 2 Mb/s", {.rtt = 40000, .rate = 2000, .queue = 30000}, 2, 0.8, 0.96, 0.05, 95},
	{"40 ms, 20 Mb/s", {.rtt = 40000, .rate = 20000, .queue = 100000}, 2, 0.8, 0.96, 0.01, 12},
	{"40 ms, 50 Mb/s", {.rtt = 40000, .rate = 50000, .queue = 256000}, 2, 0.8, 0.96, 0.01, 12},
	{"40 ms, 50 Mb/s, 1 %",
	 {.rtt = 40000, .rate = 50000, .queue = 256000, .loss = 0.01},
	 2,
	 0.8,
	 0.96,
	 0.01,
	 12},
	{"40 ms, 20 Mb/s, 5 %",
	 {.rtt = 40000, .rate = 20000, .queue = 100000, .loss = 0.05},
	 2,
	 0.8,
	 0.93,
	 0.01,
	 12},
	{"100 ms, 20 Mb/s",
	 {.rtt = 100000, .rate = 20000, .queue = 250000},
	 2,
	 0.7,
	 0.95,
	 0.01,
	 32},
	/* where a queue overflows before delay shows it, or is all that anybody has seen */
	{"100 ms, 100 Mb/s, 1/4 BDP",
	 {.rtt = 100000, .rate = 100000, .queue = 312000},
	 2,
	 0.5,
	 0.9,
	 0.02,
	 12},
	{"2 ms, 100 Mb/s, eight",
	 {.rtt = 2000, .rate = 100000, .queue = 100000},
	 8,
	 0.5,
	 0.96,
	 0.1,
	 8},
	{"40 ms, 50 Mb/s, eight",
	 {.rtt = 40000, .rate = 50000, .queue = 256000},
	 8,
	 0.3,
	 0.96,
	 0.03,
	 25},
};

static void test_company(void **state)
{
	int bad = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(companies) / sizeof(*companies); i++) {
		const struct company *c = &companies[i];
		double all = 0, least = 1e9, most = 0, carries, queue_ms;
		uint32_t have[FLOWS];
		uint64_t begin = START + c->flows * 2 * SECOND + BEGIN;
		struct link l = c->link;
		struct sim *s;

		l.cap = BUFFER;
		s = sim_new(FOREVER, &l);
		for (uint32_t f = 1; f < c->flows; f++)
			sim_add(s, FOREVER, l.rtt, START + f * 2 * SECOND);
		sim_run(s, begin);
		for (uint32_t f = 0; f < c->flows; f++)
			have[f] = s->flows[f].w.pulls.have;
		s->queue_time = s->sent = s->full = 0;
		sim_run(s, begin + 20 * SECOND);
		for (uint32_t f = 0; f < c->flows; f++) {
			double got = s->flows[f].w.pulls.have - have[f];

			all += got;
			least = got < least ? got : least;
			most = got > most ? got : most;
		}
		carries = (double)l.rate / 8 / SIM_FRAME * 20 * SECOND / 1000;
		queue_ms = (double)s->queue_time / (double)s->sent / 1000;
		if (least < c->ratio * most || all < c->all * carries ||
		    (double)s->full > c->lost * (double)s->sent || queue_ms > c->queue_ms) {
			print_error("%s: ratio %.2f of %.3f, %lu of %lu lost in the queue, which "
				    "was %.1f ms\n",
				    c->name, least / most, all / carries, s->full, s->sent,
				    queue_ms);
			bad++;
		}
		sim_free(s);
	}
	assert_int_equal(bad, 0);
}

/* One chunk, or thirty: a round trip, and not many. */
static void test_small(void **state)
{
	const struct link l = {.rtt = 100000, .rate = 20000, .queue = 250000, .cap = BUFFER};
	struct sim *s = sim_new(CHUNK_SIZE, &l);

	(void)state;
	sim_run(s, UINT64_MAX);
	assert_true(s->now - START < l.rtt + 1000);
	sim_free(s);
	s = sim_new(30 * CHUNK_SIZE, &l);
	sim_run(s, UINT64_MAX);
	assert_true(s->now - START < 2 * l.rtt + 30000);
	sim_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cells),  cmocka_unit_test(test_company),
		cmocka_unit_test(test_outage), cmocka_unit_test(test_holder_stands_still),
		cmocka_unit_test(test_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
