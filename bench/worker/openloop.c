/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/worker/openloop.h"

#include <errno.h>
#include <stdlib.h>

#include <rte_cycles.h>

#define BURST 32u
#define SETTLE_SECONDS 1 /* without a frame: what is still missing will not come */

/* A request under way, by its place in the list. */
struct due {
	uint64_t due;	  /* TSC; 0: none */
	uint64_t missing; /* parts */
};

struct run {
	const struct openloop *o;
	struct openloop_result *r;
	struct due *flight;
	uint32_t *latency; /* ticks of the TSC */
	uint64_t latencies;
	uint32_t next; /* request */
	uint64_t owed; /* answers */
};

static void frame_seen(struct run *run, const struct rte_mbuf *m, uint64_t now)
{
	const struct scene *s = run->o->scene;
	const char *fault;
	struct seen a;
	struct due *f;
	bool right =
		run->o->swapped ? swapped_check(s, m, &a, &fault) : answer_check(s, m, &a, &fault);

	run->r->frames++;
	if (right) {
		f = &run->flight[a.request];
		if (f->due == 0 || (f->missing & UINT64_C(1) << a.part) == 0) {
			right = false;
			fault = "answered twice, or never asked";
		}
	}
	if (!right) {
		run->r->wrong++;
		if (run->r->fault == NULL)
			run->r->fault = fault;
		return;
	}
	f->missing &= ~(UINT64_C(1) << a.part);
	if (f->missing != 0)
		return;
	run->r->answered++;
	run->owed--;
	run->latency[run->latencies++] = (uint32_t)RTE_MIN(now - f->due, (uint64_t)UINT32_MAX);
	f->due = 0;
}

static unsigned int frames_take(struct run *run)
{
	void *m[BURST];
	unsigned int n = rte_ring_dequeue_burst(run->o->ports->out, m, BURST, NULL);
	uint64_t now = rte_rdtsc();

	for (unsigned int i = 0; i < n; i++)
		frame_seen(run, m[i], now);
	rte_pktmbuf_free_bulk((struct rte_mbuf **)m, n);
	return n;
}

static uint64_t parts(const struct run *run, const struct captured *r)
{
	return run->o->swapped ? 1 : answer_parts(r);
}

/* Is its last turn still to be answered? After a second it is lost. */
static bool under_way(const struct run *run, uint32_t number, uint64_t now)
{
	const uint64_t due = run->flight[number].due;

	return due != 0 && run->flight[number].missing != 0 && now - due < rte_get_tsc_hz();
}

/* False: there is no room for it. */
static bool request_put(struct run *run, uint64_t due)
{
	const struct capture *rs = &run->o->scene->requests;
	const uint32_t number = run->next;
	const struct captured *r = &rs->list[number];
	struct rte_mbuf *m;

	run->next = number + 1 < rs->count ? number + 1 : 0;
	if (under_way(run, number, due) ||
	    (m = rte_pktmbuf_alloc(run->o->ports->arrive[0])) == NULL)
		return false;
	memcpy(rte_pktmbuf_mtod(m, void *), rs->bytes + r->at, r->len);
	m->data_len = r->len;
	m->pkt_len = r->len;
	run->flight[number] = (struct due){.due = due, .missing = parts(run, r)};
	if (rte_ring_enqueue(run->o->ports->in, m) == 0) {
		run->owed += run->flight[number].missing != 0;
		return true;
	}
	run->flight[number].due = 0;
	rte_pktmbuf_free(m);
	return false;
}

static void requests_put(struct run *run, uint64_t due, uint64_t now, uint64_t late)
{
	run->r->offered++;
	run->r->late += now - due > late;
	run->r->sent += request_put(run, due);
}

static int ticks_compare(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static double latency_at(const struct run *run, double share)
{
	uint64_t i = (uint64_t)((double)run->latencies * share);

	if (run->latencies == 0)
		return 0;
	return 1e6 * run->latency[RTE_MIN(i, run->latencies - 1)] / (double)rte_get_tsc_hz();
}

static void latencies_sum(struct run *run)
{
	qsort(run->latency, run->latencies, sizeof(*run->latency), ticks_compare);
	run->r->p50 = latency_at(run, 0.5);
	run->r->p99 = latency_at(run, 0.99);
	run->r->p999 = latency_at(run, 0.999);
	run->r->most = latency_at(run, 1);
}

static void run_turn(struct run *run)
{
	const double hz = (double)rte_get_tsc_hz();
	const uint64_t begin = rte_rdtsc(), late = (uint64_t)(OPENLOOP_LATE_US * hz / 1e6);
	const uint64_t end = begin + (uint64_t)(run->o->seconds * hz);
	const double gap = hz / run->o->rate;
	uint64_t now, due = begin, settled;

	while ((now = rte_rdtsc()) < end) {
		/* those that are due, and the answers that came meanwhile: neither waits for long
		 */
		for (unsigned int i = 0; i < BURST && due <= now; i++) {
			requests_put(run, due, now, late);
			due = begin + (uint64_t)(gap * (double)run->r->offered);
		}
		frames_take(run);
	}
	run->r->took = (double)(now - begin) / hz;
	settled = now + (uint64_t)(SETTLE_SECONDS * hz);
	while ((now = rte_rdtsc()) < settled && run->owed > 0)
		if (frames_take(run) > 0)
			settled = now + (uint64_t)(SETTLE_SECONDS * hz);
}

int openloop_run(const struct openloop *o, struct openloop_result *r)
{
	struct run run = {.o = o, .r = r};
	int ret = -ENOMEM;

	*r = (struct openloop_result){0};
	run.flight = calloc(o->scene->requests.count, sizeof(*run.flight));
	run.latency = malloc(sizeof(*run.latency) * ((size_t)(o->rate * o->seconds) + BURST + 1));
	if (run.flight != NULL && run.latency != NULL) {
		run_turn(&run);
		latencies_sum(&run);
		ret = 0;
	}
	free(run.flight);
	free(run.latency);
	return ret;
}
