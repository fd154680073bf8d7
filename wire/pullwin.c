/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/pullwin.h"

#define SILENT_WINDOW 2u	/* chunks asked for at a time while nothing comes, each by */
#define SILENT_QUANTUM 1u	/* a PULL of its own: RFC 9002, 6.2.4 */
#define BUFFER_US 10000u	/* the receive buffer is emptied at least as often */
#define LATENESS_US 1000.0	/* of our own, which pacing makes up for */
#define SHORT_CREDIT_US 10000.0 /* within a host or a rack it is the window that counts */

static uint32_t min32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t max32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static uint64_t min64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

size_t pullwin_memory(uint64_t length)
{
	return pulls_memory(length);
}

void pullwin_init(struct pullwin *w, uint64_t length, void *memory, uint32_t cap, uint64_t now)
{
	*w = (struct pullwin){.cap = cap, .progress = now};
	pulls_init(&w->pulls, length, memory);
	recovery_init(&w->recovery, now);
	congestion_init(&w->congestion, now);
}

/* ---- asking ---- */

/* The buffer must hold what comes between two looks at it, not all that is in flight:
 * over a long round trip, a rate. */
static uint32_t buffer_allows(const struct pullwin *w)
{
	uint64_t looks = congestion_rtt(&w->congestion) / BUFFER_US;

	return (uint32_t)min64((uint64_t)w->cap * (looks > 1 ? looks : 1), UINT32_MAX);
}

uint32_t pullwin_window(const struct pullwin *w)
{
	uint32_t window = congestion_window(&w->congestion);

	if (w->recovery.backoff > 1)
		window = SILENT_WINDOW;
	return min32(window, buffer_allows(w));
}

/* How many chunks the next PULL may ask for, were it not for pacing. */
static uint32_t sendable(const struct pullwin *w)
{
	const struct pulls *q = &w->pulls;
	uint32_t window = pullwin_window(w), ready = pulls_ready(q);
	uint32_t room = window > q->flight ? window - q->flight : 0;
	uint32_t quantum = min32(congestion_quantum(&w->congestion), PULL_MAX_CHUNKS);

	if (pulls_full(q))
		return 0;
	if (w->recovery.backoff > 1)
		quantum = SILENT_QUANTUM;
	if (w->probe > room)
		return min32(w->probe, ready);
	/* A PULL of one chunk costs a frame a chunk: let some room gather, as
	 * long as arrivals are due that will make more. */
	if (q->lost == 0 && q->flight > 0 && room < min32(min32(quantum, ready), window / 2))
		return 0;
	return min32(min32(room, quantum), ready);
}

/* What could not leave in time may follow, within bounds. */
static void pace_advance(struct pullwin *w, uint32_t chunks, uint64_t now)
{
	double rate = congestion_rate(&w->congestion), interval, credit;

	if (rate == 0 || w->recovery.backoff > 1) {
		w->pace = (double)now;
		return;
	}
	interval = chunks / rate;
	credit = congestion_rtt(&w->congestion) < LATENESS_US ? SHORT_CREDIT_US : LATENESS_US;
	credit = interval > credit ? interval : credit;
	if (w->pace < (double)now - credit)
		w->pace = (double)now - credit;
	w->pace += interval;
}

bool pullwin_next(struct pullwin *w, uint64_t now, uint32_t *number, uint32_t *first,
		  uint32_t *mask)
{
	uint32_t n = sendable(w), flight = w->pulls.flight;
	struct pull_request *r;

	if (n == 0) {
		if (pulls_ready(&w->pulls) == 0 && flight < pullwin_window(w))
			congestion_limited(&w->congestion, flight);
		return false;
	}
	if ((double)now < w->pace)
		return false;
	if (buffer_allows(w) < congestion_window(&w->congestion))
		congestion_limited(&w->congestion, flight);
	r = pulls_make(&w->pulls, n);
	r->sent = now;
	congestion_sent(&w->congestion, &r->mark, flight, now);
	recovery_sent(&w->recovery, now);
	pace_advance(w, w->pulls.flight - flight, now);
	w->probe = 0;
	*number = r->number;
	*first = r->first;
	*mask = r->asked;
	return true;
}

/* ---- loss ---- */

static enum congestion_loss loss_of(const struct pull_request *r)
{
	uint32_t first = r->asked & -r->asked;
	uint32_t last = UINT32_C(1) << (31 - __builtin_clz(r->asked));

	if (r->came == 0)
		return CONGESTION_LOST_ALL;
	if (r->missing & last && r->came & first)
		return CONGESTION_LOST_LAST;
	if (r->missing & first && r->came & last)
		return CONGESTION_LOST_FIRST;
	return CONGESTION_LOST_SOME;
}

/* What never loaded the bottleneck has its time given back. */
static void request_lost(struct pullwin *w, struct pull_request *r)
{
	const double rate = congestion_rate(&w->congestion);
	const enum congestion_loss which = loss_of(r);
	uint32_t count = pulls_lose(&w->pulls, r, UINT32_MAX);

	if (congestion_lost(&w->congestion, count, which) && rate > 0)
		w->pace -= count / rate;
}

static void overdue_lose(struct pullwin *w, uint64_t now)
{
	struct pull_request *r;

	while ((r = recovery_overdue(&w->recovery, &w->pulls, now)) != NULL)
		request_lost(w, r);
}

enum pullwin_verdict pullwin_data(struct pullwin *w, uint32_t chunk, uint32_t number, uint64_t came,
				  uint64_t now)
{
	struct pull_request *r = pulls_find(&w->pulls, number);
	bool here = pulls_has(&w->pulls, chunk), first;
	uint64_t rtt;

	if (chunk >= w->pulls.next || number == 0 || number >= w->pulls.number)
		return PULLWIN_STRAY;
	if (r != NULL && !pull_asked(r, chunk))
		r = NULL;
	/* once for each chunk of a PULL, however often the network repeats it */
	first = r != NULL && !(r->came >> (chunk - r->first) & 1);
	if (first) {
		/* clocks are read one after the other: nothing comes before it was asked for */
		if (came < r->sent)
			came = r->sent;
		rtt = recovery_came(&w->recovery, &w->pulls, r, chunk, came, now);
		congestion_overtaken(&w->congestion, w->recovery.late);
		congestion_came(&w->congestion, &r->mark, r->sent, rtt, w->pulls.flight, came);
	}
	if (!here) {
		pulls_take(&w->pulls, r, chunk);
		recovery_heard(&w->recovery, now);
		w->progress = now;
	}
	overdue_lose(w, now);
	return here ? PULLWIN_DUPLICATE : PULLWIN_NEW;
}

void pullwin_cancel(struct pullwin *w, uint32_t number)
{
	struct pull_request *r = pulls_find(&w->pulls, number);

	if (r != NULL)
		pulls_lose(&w->pulls, r, UINT32_MAX);
}

/* ---- silence ---- */

/* Asks for the oldest PULL again, whatever the window says, but not for all of it: what
 * comes tells what became of the rest. */
static void probe(struct pullwin *w)
{
	struct pull_request *r = pulls_oldest(&w->pulls);
	uint32_t most = max32(pullwin_window(w) / 2, 1), mask = r->missing;

	while ((uint32_t)__builtin_popcount(mask) > most)
		mask &= ~(UINT32_C(1) << (31 - __builtin_clz(mask)));
	w->probe = pulls_lose(&w->pulls, r, mask);
}

static void all_lose(struct pullwin *w)
{
	struct pull_request *r;

	while ((r = pulls_oldest(&w->pulls)) != NULL)
		pulls_lose(&w->pulls, r, UINT32_MAX);
}

void pullwin_restart(struct pullwin *w, uint64_t now)
{
	all_lose(w);
	recovery_init(&w->recovery, now);
	congestion_init(&w->congestion, now);
	w->pace = 0;
	w->probe = 0;
	w->progress = now;
}

void pullwin_tick(struct pullwin *w, uint64_t now)
{
	overdue_lose(w, now);
	if (now < recovery_silence(&w->recovery, &w->pulls))
		return;
	w->pace = (double)now;
	if (!recovery_silent(&w->recovery, &w->pulls, now)) {
		probe(w);
		return;
	}
	all_lose(w);
	congestion_silent(&w->congestion);
}

uint64_t pullwin_deadline(const struct pullwin *w)
{
	uint64_t at = min64(recovery_due(&w->recovery, &w->pulls),
			    recovery_silence(&w->recovery, &w->pulls));

	if (sendable(w) > 0)
		at = min64(at, w->pace > 0 ? (uint64_t)(w->pace + 1) : 0);
	return at;
}
