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

struct pullwin *sim_add(struct sim *s, uint64_t length, uint64_t rtt, uint64_t start)
{
	struct flow *f = &s->flows[s->flow_count++];

	assert_true(s->flow_count <= FLOWS);
	f->rtt = rtt;
	f->start = start;
	f->memory = calloc(1, pullwin_memory(length) + 8);
	assert_non_null(f->memory);
	pullwin_init(&f->w, length, f->memory, s->link.cap, start);
	return &f->w;
}

struct sim *sim_new(uint64_t length, const struct link *l)
{
	struct sim *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->link = *l;
	s->random = 0x9e3779b97f4a7c15;
	s->now = START;
	s->w = sim_add(s, length, l->rtt, START);
	return s;
}

void sim_free(struct sim *s)
{
	for (uint32_t i = 0; i < s->flow_count; i++)
		free(s->flows[i].memory);
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
static uint64_t sim_delay(struct sim *s, const struct flow *f)
{
	uint64_t delay = f->rtt / 2;

	return happens(s, s->link.reorder) ? delay / 2 : delay;
}

/* The holder sends a chunk: through the bottleneck, then half a round trip. */
static void sim_data(struct sim *s, struct event e)
{
	uint64_t sent = e.at;

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
		e.at = sent + sim_delay(s, &s->flows[e.flow]) +
		       sim_random(s, (uint32_t)s->link.jitter);
		event_push(s, e);
	}
}

/* A PULL is at the holder. */
static void sim_answer(struct sim *s, struct event e)
{
	uint32_t mask = e.mask, first = e.chunk;

	if (within(s->link.still, e.at)) {
		e.at = s->link.still[1];
		event_push(s, e);
		return;
	}
	e.mask = 0;
	for (uint32_t i = 0; i < 32; i++) {
		if (!(mask >> i & 1))
			continue;
		e.chunk = first + i;
		sim_data(s, e);
	}
}

bool sim_pull(struct sim *s, uint32_t flow)
{
	struct flow *f = &s->flows[flow];
	struct event e = {.flow = flow};

	if (!pullwin_next(&f->w, s->now, &e.number, &e.chunk, &e.mask))
		return false;
	assert_true(e.mask & 1);
	if (s->pulls < 16)
		s->pull_times[s->pulls] = s->now;
	s->pulls++;
	s->asked += (uint32_t)__builtin_popcount(e.mask);
	assert_true(f->w.pulls.flight <= pullwin_window(&f->w) + f->w.probe + PULL_MAX_CHUNKS);
	assert_true(f->w.pulls.next <= f->w.pulls.limit);
	for (uint32_t i = 0; i < 32; i++) {
		assert_true(!(e.mask >> i & 1) || e.chunk + i < f->w.pulls.chunks);
		assert_false(e.mask >> i & 1 && pullwin_has(&f->w, e.chunk + i));
	}
	if (sim_lost(s, 0) || within(s->link.dead, s->now))
		return true;
	e.order = s->order++;
	e.at = s->now + sim_delay(s, f);
	event_push(s, e);
	return true;
}

static void sim_come(struct sim *s, const struct event *e)
{
	struct pullwin *w = &s->flows[e->flow].w;
	bool had = pullwin_has(w, e->chunk);

	switch (pullwin_data(w, e->chunk, e->number, e->at, s->now)) {
	case PULLWIN_NEW:
		assert_false(had);
		assert_true(pullwin_has(w, e->chunk));
		break;
	case PULLWIN_DUPLICATE:
		assert_true(had);
		s->duplicates++;
		break;
	case PULLWIN_STRAY:
		s->strays++;
		break;
	}
	/* every chunk asked for is here, on its way, or to be asked for again */
	assert_int_equal(w->pulls.have + w->pulls.flight + w->pulls.lost, w->pulls.next);
}

uint32_t sim_arrive(struct sim *s)
{
	struct event e = event_pop(s);

	if (e.at > s->now) /* else it waited for us */
		s->now = e.at;
	if (e.mask != 0)
		sim_answer(s, e);
	else
		sim_come(s, &e);
	return e.flow;
}

/* The flow whose window wants to act first, and when. */
static uint32_t sim_next(const struct sim *s, uint64_t *when)
{
	uint32_t first = 0;

	*when = UINT64_MAX;
	for (uint32_t i = 0; i < s->flow_count; i++) {
		const struct flow *f = &s->flows[i];
		uint64_t at = pullwin_complete(&f->w) ? UINT64_MAX : pullwin_deadline(&f->w);

		if (at < f->start)
			at = f->start;
		if (at < *when) {
			*when = at;
			first = i;
		}
	}
	return first;
}

static bool sim_complete_all(const struct sim *s)
{
	for (uint32_t i = 0; i < s->flow_count; i++) {
		if (!pullwin_complete(&s->flows[i].w))
			return false;
	}
	return true;
}

void sim_run(struct sim *s, uint64_t until)
{
	while (!sim_complete_all(s)) {
		uint64_t deadline, arrival;
		uint32_t flow = sim_next(s, &deadline);

		arrival = s->heap_len > 0 ? s->heap[0].at : UINT64_MAX;
		if (deadline == UINT64_MAX && arrival == UINT64_MAX)
			return;
		if (arrival > until && deadline > until) {
			s->now = until;
			return;
		}
		if (arrival <= deadline) {
			flow = sim_arrive(s);
		} else {
			s->now = deadline > s->now ? deadline : s->now;
			s->now += sim_random(s, (uint32_t)s->link.wake_up);
			pullwin_tick(&s->flows[flow].w, s->now);
		}
		while (sim_pull(s, flow))
			;
	}
}
