/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/wire_link.h"

static const struct link lan = {.rtt = 200, .rate = 125000, .queue = 1000000, .cap = 512};

/* Runs to the end; returns the microseconds it took. */
static uint64_t sim_complete(struct sim *s)
{
	sim_run(s, UINT64_MAX);
	assert_true(pullwin_complete(&s->w));
	assert_int_equal(s->strays, 0);
	assert_int_equal(s->w.flight, 0);
	assert_int_equal(s->w.lost, 0);
	assert_true(pullwin_deadline(&s->w) == UINT64_MAX);
	assert_false(sim_pull(s));
	return s->now - START;
}

static void test_empty(void **state)
{
	struct sim *s = sim_new(0, &lan);

	(void)state;
	assert_int_equal(pullwin_memory(0), 0);
	assert_true(pullwin_complete(&s->w));
	assert_int_equal(sim_complete(s), 0);
	assert_false(pullwin_has(&s->w, 0));
	assert_int_equal(pullwin_data(&s->w, 0, 1, s->now), PULLWIN_STRAY);
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
			assert_int_equal(s->asked, s->w.chunks);
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
	assert_true(s->asked / s->pulls >= 20);
	sim_free(s);
}

static void test_hard_links(void **state)
{
	static const struct link links[] = {
		{.rtt = 100, .loss = 5, .cap = 512},
		{.rtt = 1000, .loss = 5, .twice = 5, .jitter = 500, .cap = 512},
		{.rtt = 10000, .jitter = 30000, .cap = 64},
		{.rtt = 500, .loss = 30, .twice = 30, .jitter = 100, .cap = 512},
		{.rtt = 0, .loss = 10, .cap = 1},
		{.rtt = 200, .cap = 4096, .rate = 12500, .queue = 20000},
		{.rtt = 20000, .loss = 1, .cap = 33, .rate = 12500, .queue = 20000},
		{.rtt = 900000, .loss = 2, .cap = 512},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++) {
		struct sim *s = sim_new(3000 * CHUNK_SIZE + 5, &links[i]);

		sim_complete(s);
		sim_free(s);
	}
}

/* Random loss on a short link is repaired at the pace of round trips, not of
 * timeouts: about four chunks a round trip is what halving leaves (the
 * square-root law at 10 percent). */
static void test_loss_speed(void **state)
{
	static const uint64_t rtts[] = {100, 300, 1000};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		const struct link l = {
			.rtt = rtts[i], .loss = 5, .rate = 125000, .queue = 1000000, .cap = 512};
		struct sim *s = sim_new(10000 * CHUNK_SIZE, &l);
		uint64_t took = sim_complete(s);

		assert_true(took < 10000 / 3 * rtts[i] + 200000);
		assert_true(s->duplicates < 100);
		sim_free(s);
	}
}

static void test_large(void **state)
{
	const struct link l = {
		.rtt = 200, .loss = 5, .rate = 1250000, .queue = 1000000, .cap = 512};
	struct sim *s = sim_new(UINT64_C(1) << 30, &l);

	(void)state;
	sim_complete(s);
	assert_int_equal(s->w.chunks, 932068);
	assert_true(s->asked < (uint64_t)s->w.chunks * 5 / 4);
	sim_free(s);
}

static void test_cap(void **state)
{
	static const uint32_t caps[] = {1, 2, 3, 10, 31, 200};

	(void)state;
	for (size_t i = 0; i < sizeof(caps) / sizeof(*caps); i++) {
		struct link l = lan;
		struct sim *s;

		l.cap = caps[i]; /* sim_pull() asserts it */
		l.loss = 2;
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
	assert_int_equal(s->w.window, 400);
	s->w.cap = 20;
	sim_run(s, s->now + 1000);
	assert_true(s->w.flight <= 20);
	have = s->w.have;
	sim_run(s, s->now + 10000);
	assert_in_range(s->w.have - have, 150, 200);
	s->w.cap = 300;
	sim_run(s, s->now + 1000);
	have = s->w.have;
	sim_run(s, s->now + 10000);
	assert_in_range(s->w.have - have, 2400, 3000);
	assert_int_equal(s->duplicates, 0);
	sim_free(s);
}

/* Begun with next to nothing, it takes what it is given later. */
static void test_cap_raised(void **state)
{
	const struct link l = {.rtt = 1000, .cap = 500};
	struct sim *s = sim_new(60000 * CHUNK_SIZE, &l);

	(void)state;
	s->w.cap = 4;
	sim_run(s, START + 10000);
	assert_in_range(s->w.have, 30, 40);
	s->w.cap = 500;
	sim_run(s, s->now + 10000);
	assert_true(s->w.flight > 400);
	sim_free(s);
}

static void test_limit(void **state)
{
	struct sim *s = sim_new(1000 * CHUNK_SIZE, &lan);

	(void)state;
	for (uint32_t limit = 0; limit < 1000; limit += 37) {
		s->w.limit = limit; /* sim_pull() asserts it */
		sim_run(s, UINT64_MAX);
		assert_int_equal(s->w.have, limit);
		assert_true(pullwin_deadline(&s->w) == UINT64_MAX);
	}
	s->w.limit = 1000;
	sim_complete(s);
	assert_int_equal(s->duplicates, 0);
	sim_free(s);
}

/* About doubles in each round trip at first; halves once for all losses of a window. */
static void test_window(void **state)
{
	const struct link l = {.rtt = 1000, .cap = 4096};
	struct sim *s = sim_new(50000 * CHUNK_SIZE, &l);
	struct event kept[20];
	double before;
	uint32_t dropped = 0;

	(void)state;
	assert_true(s->w.window == 10);
	for (int i = 1; i <= 5; i++) {
		before = s->w.window;
		sim_run(s, START + (uint64_t)i * 1000 + 1);
		assert_true(s->w.window >= 1.7 * before && s->w.window <= 2 * before);
	}
	sim_run(s, s->now + 300);
	before = s->w.window;
	/* Some of what is on its way vanishes. */
	for (uint32_t i = 0; i < 20; i++) {
		struct event e = event_pop(s);

		if (i % 4 == 0)
			dropped++;
		else
			kept[i - dropped] = e;
	}
	for (uint32_t i = 0; i < 20 - dropped; i++)
		event_push(s, kept[i]);
	sim_run(s, s->now + 1500);
	assert_true(s->w.window >= before * 0.5 && s->w.window < before * 0.75);
	assert_true(s->w.threshold >= before * 0.45 && s->w.threshold < before * 0.75);
	/* From here on by one a round trip. */
	before = s->w.window;
	sim_run(s, s->now + 10000);
	assert_true(s->w.window > before + 5 && s->w.window < before + 15);
	sim_free(s);
}

/* Silence: one early probe, then doubling waits up to four seconds. */
static void test_backoff(void **state)
{
	const struct link dead = {.rtt = 100, .loss = 100, .cap = 512};
	struct sim *s = sim_new(10 * CHUNK_SIZE, &dead);
	uint64_t wait = 100000;

	(void)state;
	sim_run(s, START + 30000000);
	/* The window after a timeout is two chunks: a PULL a timeout. */
	assert_true(s->pull_times[0] == START);
	assert_true(s->pull_times[1] == START + wait);
	for (int i = 2; i < 10; i++) {
		assert_true(s->pull_times[i] == s->pull_times[i - 1] + wait);
		wait = wait * 2 < 4000000 ? wait * 2 : 4000000;
	}
	assert_true(s->w.progress == START);
	/* The first sign of life ends it. */
	s->link.loss = 0;
	sim_complete(s);
	assert_int_equal(s->w.backoff, 1);
	sim_free(s);
}

/* For good: no multiplier overflows into a storm. */
static void test_backoff_forever(void **state)
{
	const struct link dead = {.rtt = 100, .loss = 100, .cap = 512};
	struct sim *s = sim_new(10 * CHUNK_SIZE, &dead);

	(void)state;
	sim_run(s, START + UINT64_C(86400000000));
	assert_true(s->pulls < 86400 / 4 + 20);
	sim_free(s);
}

/* Loses all that is on its way when `have` chunks are here. */
static struct sim *sim_until(uint64_t chunks, uint32_t have, const struct link *l)
{
	struct sim *s = sim_new(chunks * CHUNK_SIZE, l);

	while (s->w.have < have) {
		while (sim_pull(s))
			;
		sim_arrive(s);
	}
	while (sim_pull(s))
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
	double window = s->w.window;
	uint64_t lost_at = s->now;

	(void)state;
	assert_int_equal(s->w.flight, 5);
	sim_complete(s);
	assert_true(s->now - lost_at < 3000);
	/* It was a loss all the same. */
	assert_true(s->w.window < window * 0.75);
	sim_free(s);
}

/* More than a probe asks for: its answer shows that all the rest is lost. */
static void test_window_lost(void **state)
{
	const struct link l = {.rtt = 500, .cap = 512};
	struct sim *s = sim_until(3000, 1000, &l);
	uint64_t lost_at = s->now;
	uint32_t flight = s->w.flight;

	(void)state;
	assert_true(flight > 100);
	sim_run(s, lost_at + 3000);
	assert_true(s->w.have > 1000 + flight / 2);
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
	assert_true(s->w.srtt > 690000 && s->w.srtt < 800000);
	assert_true(s->duplicates <= 20);
	assert_true(took < 25 * l.rtt);
	sim_free(s);
}

/* Above two milliseconds PULLs are spread: in a tenth of the round trip goes
 * about a tenth of the window, doubled as long as it doubles. */
static void test_pacing(void **state)
{
	const struct link l = {.rtt = 90000, .cap = 400};
	struct sim *s = sim_new(20000 * CHUNK_SIZE, &l);
	uint64_t asked, end;

	(void)state;
	sim_run(s, START + 90001);
	assert_int_equal(s->duplicates, 0);
	while (!pullwin_complete(&s->w) && s->w.next < s->w.chunks) {
		double most = 0.1 * s->w.window * 2.0 * 1.2 + 32;

		asked = s->asked;
		end = s->now + l.rtt / 10;
		sim_run(s, end);
		assert_true((double)(s->asked - asked) <= most);
	}
	sim_complete(s);
	assert_int_equal(s->asked, s->w.chunks);
	/* Pacing does not cost throughput: the cap fills the link. */
	assert_true(s->now - START < 20000 / 400 * l.rtt * 14 / 10);
	sim_free(s);
}

static void test_verdicts(void **state)
{
	struct sim *s = sim_new(100 * CHUNK_SIZE, &lan);
	uint32_t number, first, mask;
	struct pullwin *w = &s->w;

	(void)state;
	assert_int_equal(pullwin_data(w, 0, 1, s->now), PULLWIN_STRAY); /* never asked for */
	assert_true(pullwin_next(w, s->now, &number, &first, &mask));
	assert_int_equal(number, 1);
	assert_int_equal(first, 0);
	assert_int_equal(mask, 0x3ff);
	assert_int_equal(pullwin_data(w, 10, 1, s->now), PULLWIN_STRAY);
	assert_int_equal(pullwin_data(w, 100, 1, s->now), PULLWIN_STRAY);
	assert_int_equal(pullwin_data(w, UINT32_MAX, 1, s->now), PULLWIN_STRAY);
	assert_int_equal(pullwin_data(w, 0, 0, s->now), PULLWIN_STRAY); /* no such PULL */
	assert_int_equal(pullwin_data(w, 0, 2, s->now), PULLWIN_STRAY);
	assert_int_equal(pullwin_data(w, 3, 1, s->now + 5), PULLWIN_NEW);
	assert_int_equal(pullwin_data(w, 3, 1, s->now + 6), PULLWIN_DUPLICATE);
	assert_int_equal(w->flight, 9);
	assert_int_equal(w->have, 1);
	assert_true(w->progress == s->now + 5);
	assert_true(pullwin_has(w, 3));
	assert_false(pullwin_has(w, 2));
	assert_false(pullwin_has(w, 100));
	sim_free(s);
}

/* Three chunks of reordering are forgiven, within a PULL too. */
static void test_reordering(void **state)
{
	struct sim *s = sim_new(10 * CHUNK_SIZE, &lan);
	uint32_t number, first, mask;
	struct pullwin *w = &s->w;

	(void)state;
	assert_true(pullwin_next(w, s->now, &number, &first, &mask));
	for (uint32_t chunk = 1; chunk <= 3; chunk++)
		pullwin_data(w, chunk, number, s->now + 100);
	assert_int_equal(w->lost, 0);
	assert_true(w->window > 10);
	pullwin_data(w, 4, number, s->now + 100);
	assert_int_equal(w->lost, 1);
	assert_true(w->window < 8);
	/* It comes after all, before it is asked for again. */
	assert_int_equal(pullwin_data(w, 0, number, s->now + 110), PULLWIN_NEW);
	assert_int_equal(w->lost, 0);
	assert_int_equal(w->flight, 5);
	sim_free(s);
}

/* A PULL that was lost, and one right behind it: the fourth chunk tells. */
static void test_lost_pull(void **state)
{
	struct sim *s = sim_new(40 * CHUNK_SIZE, &lan);
	uint32_t number, first, mask;
	struct pullwin *w = &s->w;

	(void)state;
	w->limit = 5;
	assert_true(pullwin_next(w, s->now, &number, &first, &mask));
	w->limit = 40;
	assert_true(pullwin_next(w, s->now, &number, &first, &mask));
	assert_int_equal(number, 2);
	assert_int_equal(first, 5);
	assert_int_equal(mask, 0x1f);
	for (uint32_t chunk = 5; chunk <= 7; chunk++)
		pullwin_data(w, chunk, 2, s->now + 100);
	assert_int_equal(w->lost, 0);
	pullwin_data(w, 8, 2, s->now + 100);
	assert_int_equal(w->lost, 5);
	assert_int_equal(w->flight, 1);
	assert_true(pullwin_next(w, s->now + 100, &number, &first, &mask));
	assert_int_equal(first, 0);
	assert_int_equal(mask, 0x1f);
	sim_free(s);
}

/* One that left well over a round trip earlier: the first chunk tells. */
static void test_lost_long_ago(void **state)
{
	struct sim *s = sim_new(40 * CHUNK_SIZE, &lan);
	uint32_t number, first, mask;
	struct pullwin *w = &s->w;

	(void)state;
	w->limit = 5;
	assert_true(pullwin_next(w, s->now, &number, &first, &mask));
	for (uint32_t chunk = 0; chunk < 5; chunk++)
		pullwin_data(w, chunk, 1, s->now + 100);
	assert_int_equal(w->srtt, 100);
	w->limit = 10;
	assert_true(pullwin_next(w, s->now + 100, &number, &first, &mask));
	w->limit = 15;
	assert_true(pullwin_next(w, s->now + 300, &number, &first, &mask));
	assert_int_equal(number, 3);
	pullwin_data(w, 10, 3, s->now + 400);
	assert_int_equal(w->lost, 5);
	sim_free(s);
}

/* The answer to the first PULL comes after the second PULL left. */
static void test_late_answer(void **state)
{
	struct sim *s = sim_new(10 * CHUNK_SIZE, &lan);
	uint32_t number, first, mask;
	struct pullwin *w = &s->w;

	(void)state;
	assert_true(pullwin_next(w, s->now, &number, &first, &mask));
	pullwin_tick(w, s->now + 99999);
	assert_false(pullwin_next(w, s->now + 99999, &number, &first, &mask));
	pullwin_tick(w, s->now + 100000);
	assert_true(pullwin_next(w, s->now + 100000, &number, &first, &mask));
	assert_int_equal(number, 2);
	assert_int_equal(mask, 0x1f);
	assert_int_equal(w->flight, 10);
	for (uint32_t chunk = 0; chunk < 10; chunk++)
		assert_int_equal(pullwin_data(w, chunk, 1, s->now + 110000), PULLWIN_NEW);
	assert_true(pullwin_complete(w));
	assert_int_equal(w->flight, 0);
	/* Timed from the PULL that it answers. */
	assert_int_equal(w->srtt, 110000);
	assert_int_equal(pullwin_data(w, 0, 2, s->now + 120000), PULLWIN_DUPLICATE);
	sim_free(s);
}

static void test_cancel(void **state)
{
	struct sim *s = sim_new(40 * CHUNK_SIZE, &lan);
	uint32_t number, first, mask;
	struct pullwin *w = &s->w;

	(void)state;
	assert_true(pullwin_next(w, s->now, &number, &first, &mask));
	assert_false(pullwin_next(w, s->now, &number, &first, &mask));
	pullwin_data(w, 2, 1, s->now + 100);
	pullwin_cancel(w, 1);
	assert_int_equal(w->flight, 0);
	assert_int_equal(w->lost, 9);
	assert_true(w->window >= 10);
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
	assert_int_equal(w->flight, 9);
	for (uint32_t chunk = 0; chunk < 10; chunk++)
		pullwin_data(w, chunk, 2, s->now + 200);
	sim_complete(s);
	assert_true(w->window > 10);
	sim_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_granularity),
		cmocka_unit_test(test_hard_links),
		cmocka_unit_test(test_loss_speed),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_cap),
		cmocka_unit_test(test_cap_changes),
		cmocka_unit_test(test_cap_raised),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_backoff_forever),
		cmocka_unit_test(test_tail_probe),
		cmocka_unit_test(test_window_lost),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_long_round_trip),
		cmocka_unit_test(test_pacing),
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_reordering),
		cmocka_unit_test(test_lost_pull),
		cmocka_unit_test(test_lost_long_ago),
		cmocka_unit_test(test_late_answer),
		cmocka_unit_test(test_cancel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
