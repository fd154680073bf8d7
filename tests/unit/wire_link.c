/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/wire_link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

uint32_t sim_random(struct sim *s, uint32_t below)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return below ? (uint32_t)(s->random >> 32) % below : 0;
}

static bool happens(struct sim *s, double chance)
{
	return chance > 0 && sim_random(s, 1000000) < chance * 1e6;
}

static bool event_before(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void event_push(struct sim *s, struct event e)
{
	uint32_t i = s->heap_len++;

	assert_true(s->heap_len < EVENTS);
	for (; i > 0 && event_before(&e, &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
		s->heap[i] = s->heap[(i - 1) / 2];
	s->heap[i] = e;
}

struct event event_pop(struct sim *s)
{
	struct event top = s->heap[0], last = s->heap[--s->heap_len];
	uint32_t i = 0, child;

	while ((child = 2 * i + 1) < s->heap_len) {
		if (child + 1 < s->heap_len && event_before(&s->heap[child + 1], &s->heap[child]))
			child++;
		if (!event_before(&s->heap[child], &last))
			break;
		s->heap[i] = s->heap[child];
		i = child;
	}
	s->heap[i] = last;
	return top;
}

struct sim *sim_new(uint64_t length, const struct link *l)
{
	struct sim *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->link = *l;
	s->random = 0x9e3779b97f4a7c15;
	s->now = START;
	s->memory = calloc(1, pullwin_memory(length) + 8);
	assert_non_null(s->memory);
	pullwin_init(&s->w, length, s->memory, l->cap, s->now);
	return s;
}

void sim_free(struct sim *s)
{
	free(s->memory);
	free(s);
}

static bool within(const uint64_t span[2], uint64_t at)
{
	return at >= span[0] && at < span[1];
}

static bool sim_lost(struct sim *s, int way)
{
	uint32_t burst = s->link.burst > 1 ? s->link.burst : 1;

	if (s->burst_left[way] > 0) {
		s->burst_left[way]--;
		return true;
	}
	if (!happens(s, s->link.loss / burst))
		return false;
	s->burst_left[way] = burst - 1;
	return true;
}

/* One way's time. */
static uint64_t sim_delay(struct sim *s)
{
	uint64_t delay = s->link.rtt / 2;

	return happens(s, s->link.reorder) ? delay / 2 : delay;
}

/* The holder sends a chunk: through the bottleneck, then half a round trip. */
static void sim_data(struct sim *s, uint32_t chunk, uint32_t number, uint64_t sent)
{
	struct event e = {.chunk = chunk, .number = number};

	if (within(s->link.still, sent))
		sent = s->link.still[1];
	if (sim_lost(s, 1) || within(s->link.dead, sent))
		return;
	if (s->link.rate) {
		if (s->line_free < sent)
			s->line_free = sent;
		if ((s->line_free - sent) * s->link.rate / 8000 + SIM_FRAME > s->link.queue) {
			s->full++;
			return;
		}
		s->sent++;
		s->queue_time += s->line_free - sent;
		s->line_free += SIM_FRAME * 8000 / s->link.rate;
		sent = s->line_free;
	}
	for (int copies = happens(s, s->link.twice) ? 2 : 1; copies > 0; copies--) {
		e.order = s->order++;
		e.at = sent + sim_delay(s) + sim_random(s, (uint32_t)s->link.jitter);
		event_push(s, e);
	}
}

bool sim_pull(struct sim *s)
{
	uint32_t number, first, mask;
	uint64_t sent;

	if (!pullwin_next(&s->w, s->now, &number, &first, &mask))
		return false;
	assert_true(mask & 1);
	if (s->pulls < 16)
		s->pull_times[s->pulls] = s->now;
	s->pulls++;
	s->asked += (uint32_t)__builtin_popcount(mask);
	assert_true(s->w.pulls.flight <= pullwin_window(&s->w) + s->w.probe + PULL_MAX_CHUNKS);
	assert_true(s->w.pulls.next <= s->w.pulls.limit);
	if (sim_lost(s, 0) || within(s->link.dead, s->now))
		return true;
	sent = s->now + sim_delay(s);
	for (uint32_t i = 0; i < 32; i++) {
		if (!(mask >> i & 1))
			continue;
		assert_true(first + i < s->w.pulls.chunks);
		assert_false(pullwin_has(&s->w, first + i));
		sim_data(s, first + i, number, sent);
	}
	return true;
}

void sim_arrive(struct sim *s)
{
	struct event e = event_pop(s);
	bool had = pullwin_has(&s->w, e.chunk);

	if (e.at > s->now) /* else it waited for us */
		s->now = e.at;
	switch (pullwin_data(&s->w, e.chunk, e.number, e.at, s->now)) {
	case PULLWIN_NEW:
		assert_false(had);
		assert_true(pullwin_has(&s->w, e.chunk));
		break;
	case PULLWIN_DUPLICATE:
		assert_true(had);
		s->duplicates++;
		break;
	case PULLWIN_STRAY:
		s->strays++;
		break;
	}
}

void sim_run(struct sim *s, uint64_t until)
{
	while (!pullwin_complete(&s->w)) {
		uint64_t deadline, arrival;

		/* Every chunk asked for is here, on its way, or to be asked for again. */
		assert_int_equal(s->w.pulls.have + s->w.pulls.flight + s->w.pulls.lost,
				 s->w.pulls.next);
		while (sim_pull(s))
			;
		deadline = pullwin_deadline(&s->w);
		arrival = s->heap_len > 0 ? s->heap[0].at : UINT64_MAX;
		if (deadline == UINT64_MAX && arrival == UINT64_MAX)
			return;
		if (arrival > until && deadline > until) {
			s->now = until;
			return;
		}
		if (arrival <= deadline) {
			sim_arrive(s);
		} else {
			s->now = deadline > s->now ? deadline : s->now;
			s->now += sim_random(s, (uint32_t)s->link.wake_up);
			pullwin_tick(&s->w, s->now);
		}
	}
}
