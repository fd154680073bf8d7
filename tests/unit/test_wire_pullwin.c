/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/wire_link.h"

static const struct link lan = {.rtt = 200, .rate = 1000000, .queue = 1000000, .cap = 512};

/* Runs to the end; returns the microseconds it took. */
static uint64_t sim_complete(struct sim *s)
{
	sim_run(s, UINT64_MAX);
	assert_true(pullwin_complete(s->w));
	assert_int_equal(s->strays, 0);
	assert_int_equal(s->w->pulls.flight, 0);
	assert_int_equal(s->w->pulls.lost, 0);
	assert_true(pullwin_deadline(s->w) == UINT64_MAX);
	assert_false(sim_pull(s, 0));
	return s->now - START;
}

static void test_empty(void **state)
{
	struct sim *s = sim_new(0, &lan);

	(void)state;
	assert_int_equal(pullwin_memory(0), 0);
	assert_true(pullwin_complete(s->w));
	assert_int_equal(sim_complete(s), 0);
	assert_false(pullwin_has(s->w, 0));
	assert_int_equal(pullwin_data(s->w, 0, 1, s->now, s->now), PULLWIN_STRAY);
	sim_free(s);
}

/* Without loss each chunk is asked for once. */
static void test_sizes(void **state)
{
	static const uint64_t chunks[] = {1, 2, 31, 32, 33, 63, 64, 65, 1000, 20000};

	(void)state;
	for (size_t i = 0; i < sizeof(chunks) / sizeof(*chunks); i++) {
		for (int odd = -1; odd <= 1; odd++) {
			struct sim *s = sim_new(chunks[i] * CHUNK_SIZE + (uint64_t)odd, &lan);

			sim_complete(s);
			assert_int_equal(s->asked, s->w->pulls.chunks);
			assert_int_equal(s->duplicates, 0);
			sim_free(s);
		}
	}
}

/* Once the window is open, a PULL asks for many chunks. */
static void test_granularity(void **state)
{
	struct sim *s = sim_new(20000 * CHUNK_SIZE, &lan);

	(void)state;
	sim_complete(s);
	assert_true(s->asked / s->pulls >= 12);
	sim_free(s);
}

static void test_hard_links(void **state)
{
	static const struct link links[] = {
		{.rtt = 100, .loss = 0.05, .cap = 512},
		{.rtt = 1000, .loss = 0.05, .twice = 0.05, .jitter = 500, .cap = 512},
		{.rtt = 10000, .jitter = 30000, .cap = 64},
		{.rtt = 500, .loss = 0.3, .twice = 0.3, .jitter = 100, .cap = 512},
		{.rtt = 0, .loss = 0.1, .cap = 1},
		{.rtt = 200, .cap = 4096, .rate = 100000, .queue = 20000},
		{.rtt = 20000, .loss = 0.01, .cap = 33, .rate = 100000, .queue = 20000},
		{.rtt = 900000, .loss = 0.02, .cap = 512},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++) {
		struct sim *s = sim_new(3000 * CHUNK_SIZE + 5, &links[i]);

		sim_complete(s);
		sim_free(s);
	}
}

static void test_large(void **state)
{
	const struct link l = {
		.rtt = 200, .loss = 0.05, .rate = 10000000, .queue = 1000000, .cap = 512};
	struct sim *s = sim_new(UINT64_C(1) << 30, &l);

	(void)state;
	sim_complete(s);
	assert_int_equal(s->w->pulls.chunks, 932068);
	assert_true(s->asked < (uint64_t)s->w->pulls.chunks * 5 / 4);
	sim_free(s);
}

static void test_cap(void **state)
{
	static const uint32_t caps[] = {1, 2, 3, 10, 31, 200};

	(void)state;
	for (size_t i = 0; i < sizeof(caps) / sizeof(*caps); i++) {
		struct link l = lan;
		struct sim *s;

		l.cap = caps[i];
		l.loss = 0.02;
		s = sim_new(2000 * CHUNK_SIZE, &l);
		sim_complete(s);
		sim_free(s);
	}
}

/* The owner gives a blob a smaller share, then a larger one. */
static void test_cap_changes(void **state)
{
	const struct link l = {.rtt = 1000, .cap = 400};
	struct sim *s = sim_new(60000 * CHUNK_SIZE, &l);
	uint32_t have;

	(void)state;
	sim_run(s, START + 20000);
	assert_int_equal(pullwin_window(s->w), 400);
	s->w->cap = 20;
	sim_run(s, s->now + 1000);
	assert_true(s->w->pulls.flight <= 20);
	have = s->w->pulls.have;
	sim_run(s, s->now + 10000);
	assert_in_range(s->w->pulls.have - have, 150, 200);
	s->w->cap = 300;
	sim_run(s, s->now + 1000);
	have = s->w->pulls.have;
	sim_run(s, s->now + 10000);
	assert_in_range(s->w->pulls.have - have, 2400, 3000);
	assert_int_equal(s->duplicates, 0);
	sim_free(s);
}

/* Begun with next to nothing, it takes what it is given later. */
static void test_cap_raised(void **state)
{
	const struct link l = {.rtt = 1000, .cap = 500};
	struct sim *s = sim_new(60000 * CHUNK_SIZE, &l);

	(void)state;
	s->w->cap = 4;
	sim_run(s, START + 10000);
	assert_in_range(s->w->pulls.have, 30, 40);
	s->w->cap = 500;
	sim_run(s, s->now + 10000);
	assert_true(s->w->pulls.flight > 400);
	sim_free(s);
}

static void test_limit(void **state)
{
	struct sim *s = sim_new(1000 * CHUNK_SIZE, &lan);

	(void)state;
	for (uint32_t limit = 0; limit < 1000; limit += 37) {
		s->w->pulls.limit = limit; /* sim_pull() asserts it */
		sim_run(s, UINT64_MAX);
		assert_int_equal(s->w->pulls.have, limit);
		assert_true(pullwin_deadline(s->w) == UINT64_MAX);
	}
	s->w->pulls.limit = 1000;
	sim_complete(s);
	assert_int_equal(s->duplicates, 0);
	sim_free(s);
}

/* Silence: one early probe, then doubling waits up to a second. */
static void test_backoff(void **state)
{
	const struct link dead = {.rtt = 100, .loss = 1, .cap = 512};
	struct sim *s = sim_new(10 * CHUNK_SIZE, &dead);
	uint64_t wait = 300000;

	(void)state;
	sim_run(s, START + 30000000);
	assert_true(s->pull_times[0] == START);
	assert_true(s->pull_times[1] == START + wait);
	/* The window after a timeout is two chunks: two PULLs a timeout, as one may be lost. */
	for (int i = 2; i < 10; i += 2) {
		assert_true(s->pull_times[i] == s->pull_times[i - 1] + wait);
		assert_true(s->pull_times[i + 1] == s->pull_times[i]);
		wait = wait * 2 < 1000000 ? wait * 2 : 1000000;
	}
	assert_true(s->w->progress == START);
	/* The first sign of life ends it. */
	s->link.loss = 0;
	sim_complete(s);
	assert_int_equal(s->w->recovery.backoff, 1);
	sim_free(s);
}

/* For good: no multiplier overflows into a storm. */
static void test_backoff_forever(void **state)
{
	const struct link dead = {.rtt = 100, .loss = 1, .cap = 512};
	struct sim *s = sim_new(10 * CHUNK_SIZE, &dead);

	(void)state;
	sim_run(s, START + UINT64_C(86400000000));
	assert_true(s->pulls < 2 * (86400 + 20));
	sim_free(s);
}

/* Loses all that is on its way when `have` chunks are here. */
static struct sim *sim_until(uint64_t chunks, uint32_t have, const struct link *l)
{
	struct sim *s = sim_new(chunks * CHUNK_SIZE, l);

	while (s->w->pulls.have < have) {
		while (sim_pull(s, 0))
			;
		sim_arrive(s);
	}
	while (sim_pull(s, 0))
		;
	s->heap_len = 0;
	return s;
}

/* The tail of a blob, lost: two round trips of silence, one for the repair; not
 * the ten milliseconds of a timeout. */
static void test_tail_probe(void **state)
{
	const struct link l = {.rtt = 500, .cap = 512};
	struct sim *s = sim_until(10, 5, &l);
	uint64_t lost_at = s->now;

	(void)state;
	assert_int_equal(s->w->pulls.flight, 5);
	sim_complete(s);
	assert_true(s->now - lost_at < 3000);
	sim_free(s);
}

/* More than a probe asks for: its answer shows that all the rest is lost. */
static void test_window_lost(void **state)
{
	const struct link l = {.rtt = 500, .cap = 512};
	struct sim *s = sim_until(3000, 1000, &l);
	uint64_t lost_at = s->now;
	uint32_t flight = s->w->pulls.flight;

	(void)state;
	assert_true(flight > 100);
	sim_run(s, lost_at + 3000);
	assert_true(s->w->pulls.have > 1000 + flight / 2);
	sim_complete(s);
	assert_int_equal(s->duplicates, 0);
	sim_free(s);
}

/* The relay stood still for a while: nothing was lost, little is sent twice. */
static void test_pause(void **state)
{
	const struct link l = {.rtt = 500, .cap = 512};
	struct sim *s = sim_new(3000 * CHUNK_SIZE, &l);

	(void)state;
	sim_run(s, START + 3000);
	for (uint32_t i = 0; i < s->heap_len; i++)
		s->heap[i].at += 50000;
	sim_complete(s);
	assert_true(s->duplicates <= 40);
	sim_free(s);
}

/* A round trip longer than the first timeout is learned from late answers. */
static void test_long_round_trip(void **state)
{
	const struct link l = {.rtt = 700000, .cap = 512};
	struct sim *s = sim_new(5000 * CHUNK_SIZE, &l);
	uint64_t took = sim_complete(s);

	(void)state;
	assert_true(s->w->recovery.srtt > 690000 && s->w->recovery.srtt < 800000);
	assert_true(s->duplicates <= 20);
	assert_true(took < 25 * l.rtt);
	sim_free(s);
}

/* Another path: what is in flight is asked for again, as at the beginning. */
static void test_restart(void **state)
{
	const struct link l = {.rtt = 1000, .cap = 512};
	struct sim *s = sim_new(20000 * CHUNK_SIZE, &l);
	uint32_t flight, have, number, first, mask;

	(void)state;
	sim_run(s, START + 20000);
	flight = s->w->pulls.flight;
	have = s->w->pulls.have;
	assert_true(flight > 100);
	s->now += 60000000;
	pullwin_restart(s->w, s->now);
	assert_int_equal(s->w->pulls.flight, 0);
	assert_int_equal(s->w->pulls.lost, flight);
	assert_int_equal(s->w->pulls.have, have);
	assert_true(s->w->progress == s->now);
	assert_true(s->w->congestion.rate == 0);
	assert_int_equal(s->w->recovery.srtt, 0);
	assert_true(pullwin_next(s->w, s->now, &number, &first, &mask));
	assert_int_equal(__builtin_popcount(mask), 10);
	assert_false(pullwin_next(s->w, s->now, &number, &first, &mask));
	sim_complete(s);
	sim_free(s);
}

static void test_verdicts(void **state)
{
	struct sim *s = sim_new(100 * CHUNK_SIZE, &lan);
	uint32_t number, first, mask;
	struct pullwin *w = s->w;

	(void)state;
	assert_int_equal(pullwin_data(w, 0, 1, s->now, s->now),
			 PULLWIN_STRAY); /* never asked for */
	assert_true(pullwin_next(w, s->now, &number, &first, &mask));
	assert_int_equal(number, 1);
	assert_int_equal(first, 0);
	assert_int_equal(mask, 0x3ff);
	assert_int_equal(pullwin_data(w, 10, 1, s->now, s->now), PULLWIN_STRAY);
	assert_int_equal(pullwin_data(w, 100, 1, s->now, s->now), PULLWIN_STRAY);
	assert_int_equal(pullwin_data(w, UINT32_MAX, 1, s->now, s->now), PULLWIN_STRAY);
	assert_int_equal(pullwin_data(w, 0, 0, s->now, s->now), PULLWIN_STRAY); /* no such PULL */
	assert_int_equal(pullwin_data(w, 0, 2, s->now, s->now), PULLWIN_STRAY);
	assert_int_equal(pullwin_data(w, 3, 1, s->now + 5, s->now + 5), PULLWIN_NEW);
	assert_int_equal(pullwin_data(w, 3, 1, s->now + 6, s->now + 6), PULLWIN_DUPLICATE);
	assert_int_equal(w->pulls.flight, 9);
	assert_int_equal(w->pulls.have, 1);
	assert_true(w->progress == s->now + 5);
	assert_true(pullwin_has(w, 3));
	assert_false(pullwin_has(w, 2));
	assert_false(pullwin_has(w, 100));
	sim_free(s);
}

/* The answer to the first PULL comes after the second PULL left. */
static void test_late_answer(void **state)
{
	struct sim *s = sim_new(10 * CHUNK_SIZE, &lan);
	uint32_t number, first, mask;
	struct pullwin *w = s->w;

	(void)state;
	assert_true(pullwin_next(w, s->now, &number, &first, &mask));
	pullwin_tick(w, s->now + 299999);
	assert_false(pullwin_next(w, s->now + 299999, &number, &first, &mask));
	pullwin_tick(w, s->now + 300000);
	assert_true(pullwin_next(w, s->now + 300000, &number, &first, &mask));
	assert_int_equal(number, 2);
	assert_int_equal(mask, 0x1f);
	assert_int_equal(w->pulls.flight, 10);
	for (uint32_t chunk = 0; chunk < 10; chunk++)
		assert_int_equal(pullwin_data(w, chunk, 1, s->now + 310000, s->now + 310000),
				 PULLWIN_NEW);
	assert_true(pullwin_complete(w));
	assert_int_equal(w->pulls.flight, 0);
	/* Timed from the PULL that it answers. */
	assert_int_equal(w->recovery.srtt, 310000);
	assert_int_equal(pullwin_data(w, 0, 2, s->now + 320000, s->now + 320000),
			 PULLWIN_DUPLICATE);
	sim_free(s);
}

static void test_cancel(void **state)
{
	struct sim *s = sim_new(40 * CHUNK_SIZE, &lan);
	uint32_t number, first, mask;
	struct pullwin *w = s->w;

	(void)state;
	assert_true(pullwin_next(w, s->now, &number, &first, &mask));
	assert_false(pullwin_next(w, s->now, &number, &first, &mask));
	pullwin_data(w, 2, 1, s->now + 100, s->now + 100);
	pullwin_cancel(w, 1);
	assert_int_equal(w->pulls.flight, 0);
	assert_int_equal(w->pulls.lost, 9);
	assert_true(pullwin_deadline(w) <= s->now + 100);
	assert_true(pullwin_next(w, s->now + 100, &number, &first, &mask));
	assert_int_equal(number, 2);
	assert_int_equal(first, 0);
	assert_int_equal(mask, 0x3fb);
	/* Not there, or taken back before: nothing happens. */
	pullwin_cancel(w, 1);
	pullwin_cancel(w, 0);
	pullwin_cancel(w, 3);
	pullwin_cancel(w, UINT32_MAX);
	assert_int_equal(w->pulls.flight, 9);
	for (uint32_t chunk = 0; chunk < 10; chunk++)
		pullwin_data(w, chunk, 2, s->now + 200, s->now + 200);
	sim_complete(s);
	sim_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_granularity),	cmocka_unit_test(test_hard_links),
		cmocka_unit_test(test_large),		cmocka_unit_test(test_cap),
		cmocka_unit_test(test_cap_changes),	cmocka_unit_test(test_cap_raised),
		cmocka_unit_test(test_limit),		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_backoff_forever), cmocka_unit_test(test_tail_probe),
		cmocka_unit_test(test_window_lost),	cmocka_unit_test(test_pause),
		cmocka_unit_test(test_long_round_trip), cmocka_unit_test(test_restart),
		cmocka_unit_test(test_verdicts),	cmocka_unit_test(test_late_answer),
		cmocka_unit_test(test_cancel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
