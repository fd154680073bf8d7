/* SPDX-License-Identifier: BSD-3-Clause
 * Every chunk below `next` is in exactly one place: received (bits), to be
 * requested again (lost_bits), or missing from one request. `flight` is the
 * number of the last kind, `lost` that of the second.
 *
 * After a silence of about two round trips the oldest request is asked again,
 * once (RFC 8985's tail-loss probe): its answer tells what became of the rest.
 * A second silence is a timeout: all that is in flight counts as lost.
 */
#include "wire/pullwin.h"

#define WINDOW_INITIAL 10.0 /* RFC 6928 */
#define WINDOW_MIN 2.0	    /* RFC 5681, section 3.1 */
#define REORDERING 3
#define RTO_INITIAL 100000
#define RTO_MIN 10000
#define RTO_MAX 4000000 /* with the backoff */
#define PROBE_MIN 1000
#define PACE_ABOVE 2000

static bool bit_test(const uint64_t *bits, uint32_t i)
{
	return bits[i / 64] >> (i % 64) & 1;
}

static void bit_set(uint64_t *bits, uint32_t i)
{
	bits[i / 64] |= UINT64_C(1) << (i % 64);
}

static void bit_clear(uint64_t *bits, uint32_t i)
{
	bits[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

static uint32_t mask_count(uint32_t mask)
{
	return (uint32_t)__builtin_popcount(mask);
}

static uint32_t min32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint64_t max64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static size_t bitmap_words(uint64_t length)
{
	return (chunk_count(length) + 63) / 64;
}

size_t pullwin_memory(uint64_t length)
{
	return 2 * bitmap_words(length) * sizeof(uint64_t);
}

void pullwin_init(struct pullwin *w, uint64_t length, void *memory, uint32_t cap, uint64_t now)
{
	memset(w, 0, sizeof(*w));
	w->chunks = chunk_count(length);
	w->limit = w->chunks;
	w->number = 1;
	w->cap = cap;
	w->window = WINDOW_INITIAL;
	w->threshold = (double)UINT32_MAX;
	w->rto = RTO_INITIAL;
	w->backoff = 1;
	w->progress = now;
	w->activity = now;
	w->bits = memory;
	w->lost_bits = w->bits + bitmap_words(length);
}

bool pullwin_has(const struct pullwin *w, uint32_t chunk)
{
	return chunk < w->chunks && bit_test(w->bits, chunk);
}

/* ---- the ring of requests ---- */

static struct pullwin_request *request_at(struct pullwin *w, uint32_t position)
{
	return &w->requests[position % PULLWIN_OUTSTANDING];
}

/* PULL numbers are consecutive, so a number leads to its place. A request that
 * has left the ring is found until its place is taken: a late answer to what
 * was given up still times the round trip. */
static struct pullwin_request *request_find(struct pullwin *w, uint32_t number)
{
	struct pullwin_request *r = request_at(w, w->tail - (w->number - number));

	return r->number == number ? r : NULL;
}

static void requests_trim(struct pullwin *w)
{
	while (w->head != w->tail && request_at(w, w->head)->missing == 0)
		w->head++;
}

/* Moves a request's missing chunks among `mask` to those to ask for again. */
static void request_lose(struct pullwin *w, struct pullwin_request *r, uint32_t mask)
{
	mask &= r->missing;
	r->missing &= ~mask;
	w->flight -= mask_count(mask);
	w->lost += mask_count(mask);
	while (mask) {
		uint32_t chunk = r->first + (uint32_t)__builtin_ctz(mask);

		bit_set(w->lost_bits, chunk);
		w->scan = min32(w->scan, chunk);
		mask &= mask - 1;
	}
}

/* ---- asking ---- */

/* The next chunk to ask for again; lost > 0. */
static uint32_t lost_first(struct pullwin *w)
{
	uint32_t word = w->scan / 64;
	uint64_t rest = w->lost_bits[word] & (UINT64_MAX << (w->scan % 64));

	while (rest == 0)
		rest = w->lost_bits[++word];
	w->scan = word * 64 + (uint32_t)__builtin_ctzll(rest);
	return w->scan;
}

/* Takes up to n lost chunks that fit one mask. */
static uint32_t lost_take(struct pullwin *w, uint32_t n, uint32_t *first)
{
	uint32_t end, mask = 0;

	*first = lost_first(w);
	end = min32(w->chunks - *first, PULL_MAX_CHUNKS);
	for (uint32_t i = 0; i < end && n > 0; i++) {
		if (!bit_test(w->lost_bits, *first + i))
			continue;
		bit_clear(w->lost_bits, *first + i);
		mask |= UINT32_C(1) << i;
		w->lost--;
		n--;
	}
	return mask;
}

/* Takes up to n chunks that were never asked for; runs end on multiples of 32. */
static uint32_t fresh_take(struct pullwin *w, uint32_t n, uint32_t *first)
{
	n = min32(n, PULL_MAX_CHUNKS - w->next % PULL_MAX_CHUNKS);
	*first = w->next;
	w->next += n;
	return UINT32_MAX >> (PULL_MAX_CHUNKS - n);
}

/* The owner may change the cap at any time. */
static double window_now(const struct pullwin *w)
{
	return w->window < w->cap ? w->window : w->cap;
}

/* How many chunks the next PULL may ask for, were it not for pacing. */
static uint32_t sendable(const struct pullwin *w)
{
	uint32_t window = (uint32_t)window_now(w);
	uint32_t room = window > w->flight ? window - w->flight : 0;
	uint32_t fresh = w->limit > w->next ? w->limit - w->next : 0;
	uint32_t quantum;

	if (w->tail - w->head == PULLWIN_OUTSTANDING)
		return 0;
	if (w->probe > room)
		room = w->probe;
	if (w->lost > 0)
		return min32(room, w->lost);
	/* A PULL of one chunk costs a frame a chunk: let some room gather, as
	 * long as arrivals are due that will make more. */
	quantum = min32(window / 4, PULL_MAX_CHUNKS);
	if (w->flight > 0 && room < min32(quantum, fresh))
		return 0;
	return min32(room, fresh);
}

/* Spreads a window of PULLs over the round trip; faster than the window by the
 * gain, so that it can grow. */
static void pace_advance(struct pullwin *w, uint32_t chunks, uint64_t now)
{
	double gain = w->window < w->threshold ? 2.0 : 1.25;

	if (w->srtt > PACE_ABOVE)
		w->pace = max64(w->pace, now) +
			  (uint64_t)((double)w->srtt * chunks / (window_now(w) * gain));
}

bool pullwin_next(struct pullwin *w, uint64_t now, uint32_t *number, uint32_t *first,
		  uint32_t *mask)
{
	uint32_t n = sendable(w);
	struct pullwin_request *r;

	if (n == 0 || now < w->pace)
		return false;
	r = request_at(w, w->tail);
	*number = w->number++;
	*mask = w->lost ? lost_take(w, n, first) : fresh_take(w, n, first);
	*r = (struct pullwin_request){
		.number = *number,
		.first = *first,
		.missing = *mask,
		.asked = *mask,
		.sent = now,
	};
	w->tail++;
	n = mask_count(*mask);
	w->flight += n;
	w->probe = 0;
	w->activity = now;
	pace_advance(w, n, now);
	return true;
}

/* ---- hearing ---- */

/* RFC 6298, section 2. */
static void rtt_sample(struct pullwin *w, uint64_t rtt)
{
	uint64_t error;

	rtt = max64(rtt, 1);
	if (w->srtt == 0) {
		w->srtt = rtt;
		w->rttvar = rtt / 2;
	} else {
		error = rtt > w->srtt ? rtt - w->srtt : w->srtt - rtt;
		w->rttvar = (3 * w->rttvar + error) / 4;
		w->srtt = max64((7 * w->srtt + rtt) / 8, 1);
	}
	w->rto = max64(w->srtt + 4 * w->rttvar, RTO_MIN);
}

static void window_grow(struct pullwin *w)
{
	/* Not while something else holds the sender back (RFC 7661). */
	if (w->flight < window_now(w) / 2 || w->window >= w->cap)
		return;
	w->window += w->window < w->threshold ? 1.0 : 1.0 / w->window;
}

static double window_half(const struct pullwin *w)
{
	double half = window_now(w) / 2;

	return half < WINDOW_MIN ? WINDOW_MIN : half;
}

/* Something sent under PULL `number` was lost: halve, once a window. */
static void window_cut(struct pullwin *w, uint32_t number)
{
	if (number < w->recover)
		return;
	w->threshold = window_half(w);
	w->window = w->threshold;
	w->recover = w->number;
}

/* DATA of r came: what was asked for earlier and did not come is suspect. */
static void losses_detect(struct pullwin *w, const struct pullwin_request *r, uint32_t bit)
{
	uint32_t at = w->tail - (w->number - r->number);
	uint32_t passed = bit > REORDERING ? (UINT32_C(1) << (bit - REORDERING)) - 1 : 0;

	for (uint32_t i = w->head; (int32_t)(at - i) > 0; i++) {
		struct pullwin_request *older = request_at(w, i);

		if (older->missing == 0)
			continue;
		/* By count, or by time: what left well over a round trip ago. */
		if (++older->later <= REORDERING && r->sent - older->sent <= w->srtt * 9 / 8)
			continue;
		window_cut(w, older->number);
		request_lose(w, older, older->missing);
	}
	if (r->missing & passed) {
		window_cut(w, r->number);
		request_lose(w, request_at(w, at), passed);
	}
}

/* The chunk is not where its PULL's number says: it was thought lost. */
static void stray_settle(struct pullwin *w, uint32_t chunk)
{
	if (bit_test(w->lost_bits, chunk)) {
		bit_clear(w->lost_bits, chunk);
		w->lost--;
		return;
	}
	for (uint32_t i = w->head; i != w->tail; i++) {
		struct pullwin_request *r = request_at(w, i);
		uint32_t bit = chunk - r->first;

		if (bit < PULL_MAX_CHUNKS && r->missing >> bit & 1) {
			r->missing &= ~(UINT32_C(1) << bit);
			w->flight--;
			return;
		}
	}
}

/* The chunk arrived under its request: `r` is in the ring and asked for it. */
static void request_hear(struct pullwin *w, struct pullwin_request *r, uint32_t chunk, uint64_t now)
{
	uint32_t bit = chunk - r->first;

	if (!r->heard)
		rtt_sample(w, now - r->sent);
	r->heard = true;
	/* The probe repaired a loss that nothing else would have shown. */
	if (r->number == w->probe_number) {
		window_cut(w, r->number);
		w->probe_number = 0;
	}
	if (r->missing >> bit & 1) {
		r->missing &= ~(UINT32_C(1) << bit);
		w->flight--;
	} else {
		stray_settle(w, chunk);
	}
	losses_detect(w, r, bit);
}

enum pullwin_verdict pullwin_data(struct pullwin *w, uint32_t chunk, uint32_t number, uint64_t now)
{
	struct pullwin_request *r;

	if (chunk >= w->next || number == 0 || number >= w->number)
		return PULLWIN_STRAY;
	if (bit_test(w->bits, chunk))
		return PULLWIN_DUPLICATE;
	window_grow(w);
	r = request_find(w, number);
	if (r && chunk - r->first < PULL_MAX_CHUNKS && r->asked >> (chunk - r->first) & 1)
		request_hear(w, r, chunk, now);
	else
		stray_settle(w, chunk);
	bit_set(w->bits, chunk);
	w->have++;
	w->backoff = 1;
	w->probed = false;
	w->progress = now;
	w->activity = now;
	requests_trim(w);
	return PULLWIN_NEW;
}

void pullwin_cancel(struct pullwin *w, uint32_t number)
{
	struct pullwin_request *r = request_find(w, number);

	if (!r)
		return;
	request_lose(w, r, r->missing);
	requests_trim(w);
}

/* ---- silence ---- */

/* How long a silence may last. */
static uint64_t patience(const struct pullwin *w)
{
	uint64_t wait = max64(max64(2 * w->srtt, w->srtt + 4 * w->rttvar), PROBE_MIN);

	if (w->srtt && !w->probed && wait < w->rto)
		return wait;
	return w->rto * w->backoff < RTO_MAX ? w->rto * w->backoff : RTO_MAX;
}

static uint64_t silence_end(const struct pullwin *w)
{
	return w->activity + patience(w);
}

/* Asks for the oldest request again, whatever the window says. */
static void probe(struct pullwin *w)
{
	struct pullwin_request *r = request_at(w, w->head);
	uint32_t most = (uint32_t)window_now(w) / 2;
	uint32_t mask = r->missing;

	while (mask_count(mask) > most && mask_count(mask) > 1)
		mask &= ~(UINT32_C(1) << (31 - __builtin_clz(mask)));
	request_lose(w, r, mask);
	w->probe = mask_count(mask);
	w->probe_number = w->number;
	w->probed = true;
	requests_trim(w);
}

static void timeout(struct pullwin *w)
{
	/* Before the first round trip nothing is known that should last. */
	if (w->srtt)
		w->threshold = window_half(w);
	w->window = WINDOW_MIN;
	w->recover = w->number;
	for (uint32_t i = w->head; i != w->tail; i++)
		request_lose(w, request_at(w, i), UINT32_MAX);
	requests_trim(w);
	if (w->rto * w->backoff < RTO_MAX)
		w->backoff *= 2;
}

void pullwin_tick(struct pullwin *w, uint64_t now)
{
	if (w->flight == 0 || now < silence_end(w))
		return;
	/* Until a PULL goes out, another tick has nothing to add. */
	w->activity = now;
	w->pace = now;
	if (w->probed)
		timeout(w);
	else
		probe(w);
}

uint64_t pullwin_deadline(const struct pullwin *w)
{
	uint64_t at = UINT64_MAX;

	if (sendable(w) > 0)
		at = w->pace;
	if (w->flight > 0 && silence_end(w) < at)
		at = silence_end(w);
	return at;
}
