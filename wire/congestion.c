/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/congestion.h"

#include <string.h>

#define WINDOW_FIRST 10u /* RFC 6928 */
#define WINDOW_LEAST 4u
#define WINDOW_TRICKLE 2u /* where a round trip carries less than a chunk */
#define QUANTUM_MOST 32u
#define QUANTUM_LEAST 2u
#define QUANTUM_US 2000.0 /* of the rate in one PULL */
#define BURST_US 200.0	  /* what may come at once however short the path is */
#define HOST_US 3000.0	  /* how late the ends may be, both together */

#define MARGIN 0.99	  /* stay a little below what was measured */
#define STARTUP_GAIN 2.77 /* 4 ln 2, as in BBRv3 */
#define DRAIN_GAIN 0.5
#define RESUME_GAIN 0.5
#define WINDOW_GAIN 2.0
#define FULL_GROWTH 1.25
#define FULL_ROUNDS 3u
#define DELAY_LEAST UINT64_C(4000) /* HyStart++, RFC 9406 */
#define DELAY_MOST UINT64_C(16000)
#define DELAY_RTTS 8u
#define DELAY_LONG 3u /* of the shortest round trip */
#define LOSS_SHARE 0.02
#define LOSS_LEAST 6u
#define PHASES 8u
#define PROBE_RTTS 2u
#define DRAIN_RTTS 5u
#define RTT_EVERY UINT64_C(5000000)
#define RTT_PROBE UINT64_C(200000)
#define RTT_SAME 32u		   /* so little above the shortest (its 32nd part) is no queue */
#define QUEUE_SHORT UINT64_C(2000) /* loss beside a shorter queue is not the queue's */
#define OVERFLOW 0.5
#define OVERFLOW_PULLS 16
#define OVERFLOW_ROUNDS 32
#define RESTRAINT 0.85
#define RESTRAINT_LEAST 0.7
#define RESTRAINT_EASE 1.15
#define SPREAD_SHORT 8u /* a smaller part of the round trip does not blur the rate */
#define SHARE_LEAST 0.5

static const double phase_gains[PHASES] = {1.25, 0.75, 1, 1, 1, 1, 1, 1};

static uint64_t max64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t min64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static double maxd(double a, double b)
{
	return a > b ? a : b;
}

static double clamp(double value, double least, double most)
{
	return value < least ? least : value > most ? most : value;
}

void congestion_init(struct congestion *c, uint64_t now)
{
	*c = (struct congestion){
		.delivered_at = now,
		.first_sent = now,
		.round_rtt = UINT64_MAX,
		.share = 1,
		.restraint = 1,
		/* flows that begin together do not probe together */
		.phase = (uint32_t)(now >> 3) % (PHASES - 1) + 1,
	};
}

uint64_t congestion_rtt(const struct congestion *c)
{
	return c->rtt + c->spread;
}

/* Chunks that the path holds. */
static double path_holds(const struct congestion *c)
{
	return c->rate * (double)congestion_rtt(c);
}

/* ---- what goes out ---- */

void congestion_sent(struct congestion *c, struct congestion_mark *mark, uint32_t flight,
		     uint64_t now)
{
	if (flight == 0) /* time in which nothing was asked for does not count */
		c->first_sent = c->delivered_at = now;
	*mark = (struct congestion_mark){
		.delivered = c->delivered,
		.delivered_at = c->delivered_at,
		.first_sent = c->first_sent,
		.limited = c->delivered < c->limited_until,
	};
}

void congestion_limited(struct congestion *c, uint32_t flight)
{
	c->limited_until = c->delivered + flight + 1;
}

/* ---- rounds ---- */

/* What was limited tells only of a rate that is at least so high, and does not make a
 * higher one forgotten. */
static void rate_take(struct congestion *c, double rate, bool limited)
{
	double *highest = &c->rates[c->rates_at];

	if (limited && rate <= c->rate)
		return;
	c->rated |= !limited;
	*highest = maxd(*highest, rate);
	c->rate = maxd(c->rate, rate);
}

/* Where chunks overtake others, as many more come in one span as fewer in the next. The
 * highest of such samples is some percent above the path's rate and would keep a queue,
 * so there it is the mean of a round. Start-up has no time for that. */
static void sample_take(struct congestion *c, double rate, bool limited)
{
	if (!c->full || c->spread <= c->rtt / SPREAD_SHORT) {
		rate_take(c, rate, limited);
		return;
	}
	c->samples += rate;
	c->samples_count++;
	c->samples_limited |= limited;
}

static void samples_end(struct congestion *c)
{
	if (c->samples_count > 0)
		rate_take(c, c->samples / c->samples_count, c->samples_limited);
	c->samples = 0;
	c->samples_count = 0;
	c->samples_limited = false;
}

static void rates_shift(struct congestion *c)
{
	if (!c->rated)
		return;
	c->rated = false;
	c->rates_at = (c->rates_at + 1) % CONGESTION_ROUNDS;
	c->rates[c->rates_at] = 0;
	c->rate = 0;
	for (int i = 0; i < CONGESTION_ROUNDS; i++)
		c->rate = maxd(c->rate, c->rates[i]);
}

/* Loss by chance takes any chunk of a burst. A full queue takes the last ones: the first
 * find the room that has become free. This shows also to those who know only a round
 * trip with a queue in it. */
static bool overflows(const struct congestion *c)
{
	return c->overflow > OVERFLOW;
}

/* Is there a queue that loss could come from, and that is more than our own bursts? */
static bool queue_long(const struct congestion *c)
{
	uint64_t least = max64(QUEUE_SHORT, c->rtt / 8);

	if (overflows(c))
		return true;
	return c->queue_mean >= least && (double)c->queue_mean * c->rate >= congestion_quantum(c);
}

static void share_take(struct congestion *c)
{
	uint32_t all = c->round_came + c->round_lost;

	if (all > 0)
		c->share += ((double)c->round_came / all - c->share) / 4;
}

/* More is lost than by chance, in a queue that others fill too: what all take is less
 * than what they measure. */
static void restrain(struct congestion *c)
{
	uint32_t all = c->round_came + c->round_lost;

	if (c->full && c->restraint > RESTRAINT_LEAST && c->round_lost >= LOSS_LEAST &&
	    c->round_lost > all * (1 - c->share + LOSS_SHARE))
		c->restraint = maxd(c->restraint * RESTRAINT, RESTRAINT_LEAST);
}

/* The rate does not grow any more, or delay or loss say that a queue does. A queue that
 * was there before us is no reason, as long as we get more. */
static void startup_judge(struct congestion *c, bool limited)
{
	const uint64_t delay = min64(max64(c->rtt / 8, DELAY_LEAST), DELAY_MOST);
	uint32_t all = c->round_came + c->round_lost;

	if (c->rate >= c->full_rate * FULL_GROWTH) {
		c->full_rate = c->rate;
		c->full_rounds = 0;
	} else if (!limited) {
		c->full_rounds++;
	}
	if (c->full_rounds >= FULL_ROUNDS ||
	    (c->round_rtts >= DELAY_RTTS && c->queue >= delay &&
	     (c->full_rounds > 0 || c->queue >= c->rtt / DELAY_LONG)) ||
	    (c->round_lost >= LOSS_LEAST && c->round_lost > all * LOSS_SHARE && queue_long(c)))
		c->full = true;
}

static void queue_take(struct congestion *c)
{
	uint64_t none = congestion_rtt(c), mean;

	if (c->round_rtts == 0)
		return;
	mean = c->round_sum / c->round_rtts;
	c->queue = c->round_rtt - min64(c->round_rtt, none);
	c->queue_mean = mean - min64(mean, none);
}

static void round_judge(struct congestion *c, bool limited, uint64_t now)
{
	queue_take(c);
	c->overflow -= c->overflow / OVERFLOW_ROUNDS;
	if (queue_long(c))
		restrain(c);
	else
		share_take(c);
	if (!c->full)
		startup_judge(c, limited);
	if (c->resumed > 0)
		c->resumed--;
	c->round_end = c->delivered;
	c->round_at = now;
	samples_end(c);
	rates_shift(c);
	c->round_came = c->round_lost = c->round_rtts = 0;
	c->round_rtt = UINT64_MAX;
	c->round_sum = 0;
}

/* ---- modes ---- */

static void phase_begin(struct congestion *c, uint32_t phase, uint64_t now)
{
	c->phase = phase % PHASES;
	c->phase_at = now;
	c->phase_lost = 0;
	c->draining = false;
	if (c->phase == 0)
		c->restraint = clamp(c->restraint * RESTRAINT_EASE, 0, 1);
}

/* Two flows that look for more see more than there is, both, and keep the queue that
 * comes of it. So who has looked gives back its own part of any queue, also if that
 * takes a while: then there is none, and both see what there is. */
static bool drained(struct congestion *c, uint32_t flight, uint64_t now)
{
	const uint64_t took = now - c->phase_at, rtt = congestion_rtt(c);

	if (flight <= path_holds(c))
		return true;
	c->draining = took > rtt && queue_long(c);
	return took > (c->draining ? DRAIN_RTTS * rtt : rtt);
}

static void phase_run(struct congestion *c, uint32_t flight, uint64_t now)
{
	const double gain = phase_gains[c->phase];
	const uint64_t took = now - c->phase_at, rtt = congestion_rtt(c);
	bool over = took > rtt;

	if (gain > 1) /* with restraint it may not get that far */
		over = over && (c->phase_lost > 0 || flight >= gain * path_holds(c) ||
				(c->restraint < 1 && took > PROBE_RTTS * rtt));
	if (gain < 1)
		over = drained(c, flight, now);
	if (over)
		phase_begin(c, c->phase + 1, now);
}

static void probe_rtt_run(struct congestion *c, uint32_t flight, uint64_t now)
{
	if (c->probe_until == 0 && flight <= congestion_window(c))
		c->probe_until = now + max64(RTT_PROBE, c->rtt);
	if (c->probe_until == 0 || now < c->probe_until)
		return;
	if (c->probe_rtt != UINT64_MAX)
		c->rtt = c->probe_rtt;
	c->rtt_at = now;
	c->mode = c->full ? CONGESTION_PROBE_RATE : CONGESTION_STARTUP;
	phase_begin(c, c->phase, now);
}

static void rtt_take(struct congestion *c, uint64_t rtt, uint64_t now)
{
	if (rtt == 0)
		return;
	c->round_rtts++;
	c->round_sum += rtt;
	c->round_rtt = min64(c->round_rtt, rtt);
	if (c->mode == CONGESTION_PROBE_RTT)
		c->probe_rtt = min64(c->probe_rtt, rtt);
	if (c->rtt == 0) /* of the first window the first chunk alone would make no rate */
		rate_take(c, WINDOW_FIRST / (double)rtt, false);
	if (c->rtt == 0 || rtt < c->rtt)
		c->rtt = rtt;
	if (rtt <= c->rtt + c->rtt / RTT_SAME)
		c->rtt_at = now;
}

static void mode_run(struct congestion *c, uint32_t flight, uint64_t now)
{
	if (c->mode == CONGESTION_STARTUP && c->full)
		c->mode = CONGESTION_DRAIN;
	if (c->mode == CONGESTION_DRAIN && flight <= path_holds(c)) {
		c->mode = CONGESTION_PROBE_RATE;
		phase_begin(c, c->phase, now);
	}
	if (c->mode == CONGESTION_PROBE_RATE)
		phase_run(c, flight, now);
	if (c->mode == CONGESTION_PROBE_RTT) {
		probe_rtt_run(c, flight, now);
	} else if (c->rtt != 0 && now - c->rtt_at > RTT_EVERY) {
		c->mode = CONGESTION_PROBE_RTT;
		c->probe_rtt = UINT64_MAX;
		c->probe_until = 0;
	}
}

/* ---- what comes in ---- */

void congestion_came(struct congestion *c, const struct congestion_mark *mark, uint64_t sent,
		     uint64_t rtt, uint32_t flight, uint64_t now)
{
	uint64_t span;

	c->delivered++;
	c->delivered_at = now;
	c->first_sent = sent;
	c->round_came++;
	rtt_take(c, rtt, now);
	/* what overtakes makes no round shorter */
	if (mark->delivered >= c->round_end && now - c->round_at >= congestion_rtt(c))
		round_judge(c, mark->limited, now);
	/* by the longer of the spans of asking and coming, so that neither a burst nor a
	 * gap of one of them makes a rate; a round trip at least, or it says nothing */
	span = max64(sent - mark->first_sent, now - mark->delivered_at);
	if (c->rtt != 0 && span >= congestion_rtt(c))
		sample_take(c, (double)(c->delivered - mark->delivered) / (double)span,
			    mark->limited);
	mode_run(c, flight, now);
}

bool congestion_lost(struct congestion *c, uint32_t chunks, enum congestion_loss which)
{
	if (which == CONGESTION_LOST_FIRST || which == CONGESTION_LOST_LAST) {
		double one = which == CONGESTION_LOST_LAST ? 1 : -1;

		c->overflow += (one - c->overflow) / OVERFLOW_PULLS;
	}
	if (which == CONGESTION_LOST_ALL && !overflows(c))
		return true;
	c->round_lost += chunks;
	c->phase_lost += chunks;
	return false;
}

/* The model stays: what interrupted us seldom changed the path. The first round is the
 * silence's own, which ends with the first chunk. */
void congestion_silent(struct congestion *c)
{
	c->resumed = c->rate > 0 ? 2 : 0;
	c->round_end = c->delivered;
}

void congestion_overtaken(struct congestion *c, uint64_t us)
{
	c->spread = min64(us, c->rtt);
}

/* ---- what may be asked for ---- */

/* Ask for what chance will take as well, unless it may be a queue that takes it. */
static double loss_gain(const struct congestion *c)
{
	return queue_long(c) ? 1 : 1 / maxd(c->share, SHARE_LEAST);
}

static double mode_gain(const struct congestion *c)
{
	switch (c->mode) {
	case CONGESTION_STARTUP:
		return STARTUP_GAIN;
	case CONGESTION_DRAIN:
		return DRAIN_GAIN;
	case CONGESTION_PROBE_RATE:
		return c->draining ? DRAIN_GAIN : MARGIN * phase_gains[c->phase];
	default:
		return MARGIN;
	}
}

/* Until the first window is all here, what comes makes room for twice as much, at
 * once. So a short blob takes two round trips. */
static bool first_window(const struct congestion *c)
{
	return c->delivered <= WINDOW_FIRST;
}

double congestion_rate(const struct congestion *c)
{
	double gain = mode_gain(c);

	if (first_window(c))
		return 0;
	if (c->resumed > 0 && gain > RESUME_GAIN)
		gain = RESUME_GAIN;
	return c->rate * gain * c->restraint * loss_gain(c);
}

uint32_t congestion_quantum(const struct congestion *c)
{
	double chunks, short_path;

	if (first_window(c))
		return WINDOW_FIRST;
	short_path = maxd(path_holds(c) / 4, c->rate * BURST_US);
	chunks = clamp(c->rate * QUANTUM_US, QUANTUM_LEAST, QUANTUM_MOST);
	return (uint32_t)clamp(short_path, QUANTUM_LEAST, chunks);
}

/* Where others keep a queue it is the window that holds us back, so looking for more
 * needs a larger one. */
static double window_gain(const struct congestion *c)
{
	bool more = c->mode == CONGESTION_PROBE_RATE && c->phase == 0;

	return more ? WINDOW_GAIN * phase_gains[0] : WINDOW_GAIN;
}

uint32_t congestion_window(const struct congestion *c)
{
	double holds = path_holds(c), window;

	if (first_window(c))
		return c->rate == 0 ? WINDOW_FIRST : 2 * WINDOW_FIRST;
	if (c->mode == CONGESTION_PROBE_RTT)
		window = holds / 2;
	else if (c->resumed > 0)
		window = holds;
	else
		window = maxd(holds * c->restraint * window_gain(c), c->rate * HOST_US) +
			 3 * congestion_quantum(c);
	if (c->mode == CONGESTION_STARTUP && window < WINDOW_FIRST)
		window = WINDOW_FIRST;
	return (uint32_t)maxd(window, holds < 1 ? WINDOW_TRICKLE : WINDOW_LEAST);
}
