/* SPDX-License-Identifier: BSD-3-Clause
 * How fast a receiver may ask: a model of the path, its bottleneck's rate and its round
 * trip, after BBR (Cardwell, Cheng, Gunn, Yeganeh, Jacobson 2016). Loss says little
 * about either, so it is no signal but at the start; docs/transport.md has what differs
 * from TCP's because it is the receiver that asks.
 *
 * A controller of its own could stand behind these functions. Rates are chunks a
 * microsecond, times microseconds of any monotonic clock.
 */
#ifndef WIRE_CONGESTION_H
#define WIRE_CONGESTION_H

#include <stdbool.h>
#include <stdint.h>

#define CONGESTION_ROUNDS 10 /* in which the highest rate counts */

/* What was so when a PULL left; kept with it. */
struct congestion_mark {
	uint64_t delivered;    /* chunks that had come */
	uint64_t delivered_at; /* when the last of them did */
	uint64_t first_sent;   /* when that one had been asked for */
	bool limited;	       /* more could have been asked for */
};

enum congestion_mode {
	CONGESTION_STARTUP,
	CONGESTION_DRAIN,
	CONGESTION_PROBE_RATE,
	CONGESTION_PROBE_RTT,
};

struct congestion {
	uint8_t mode;	 /* enum congestion_mode */
	bool full;	 /* the pipe was full once: start-up is over */
	uint8_t resumed; /* rounds since a silence that go gently */

	/* what was delivered */
	uint64_t delivered, delivered_at, first_sent;
	uint64_t limited_until; /* samples of what was asked before are limited; `delivered` */

	/* rounds: round trips by what is delivered */
	uint64_t round_end; /* `delivered` */
	uint64_t round_at;  /* the last one's end; the clock */
	uint32_t round_came, round_lost, round_rtts;
	uint64_t round_rtt; /* the shortest */
	uint64_t round_sum; /* of its round trips */

	/* the model */
	double rates[CONGESTION_ROUNDS]; /* the highest of each of the last rounds */
	uint32_t rates_at;		 /* the newest; rounds that were limited share one */
	bool rated;			 /* this round has shown the path's rate */
	double samples;			 /* of this round, where their mean counts: their sum */
	uint32_t samples_count;
	bool samples_limited; /* one of them was */
	double rate;	      /* the highest of these; 0: unknown */
	uint64_t rtt;	      /* the shortest; 0: unknown */
	uint64_t rtt_at;      /* when it was that, or last measured anew */
	uint64_t spread;      /* by how much chunks overtake others, at most `rtt` */
	uint64_t queue;	      /* what the last round's shortest had above both */
	uint64_t queue_mean;  /* and what its mean had */
	double share;	      /* of what is asked for that comes, where there is no queue */
	double overflow;      /* 1: it is always a burst's end that is lost; -1: its beginning */
	double restraint;     /* of the rate, 1: none; a queue that overflows lowers it */

	/* start-up */
	double full_rate;
	uint32_t full_rounds;
	/* probing for rate */
	uint32_t phase;
	uint64_t phase_at;
	uint32_t phase_lost;
	bool draining; /* for longer than a round trip: others keep the queue too */
	/* probing for the round trip */
	uint64_t probe_rtt;   /* the shortest in it */
	uint64_t probe_until; /* 0: what is in flight is still too much */
};

void congestion_init(struct congestion *c, uint64_t now);
/* A PULL leaves, with `flight` chunks in flight before it. */
void congestion_sent(struct congestion *c, struct congestion_mark *mark, uint32_t flight,
		     uint64_t now);
/* One chunk of a PULL came, the PULL having been sent at `sent`; flight: without it.
 * rtt: the round trip, if this is a measure of it, else 0. */
void congestion_came(struct congestion *c, const struct congestion_mark *mark, uint64_t sent,
		     uint64_t rtt, uint32_t flight, uint64_t now);
/* Which of a PULL's chunks are lost. */
enum congestion_loss {
	CONGESTION_LOST_SOME,
	CONGESTION_LOST_FIRST, /* and the last came */
	CONGESTION_LOST_LAST,  /* and the first came: as in a queue that is full */
	CONGESTION_LOST_ALL,   /* perhaps the PULL was */
};
/* Chunks of one PULL are lost. True: they never loaded the bottleneck. */
bool congestion_lost(struct congestion *c, uint32_t chunks, enum congestion_loss which);
/* All in flight is lost: nothing came for a while. */
void congestion_silent(struct congestion *c);
/* Chunks come by so much before others that were asked for earlier. The shortest round
 * trip is one of theirs then, and the path holds more than that would say. */
void congestion_overtaken(struct congestion *c, uint64_t us);
/* Not the path but something else keeps more from being asked for. */
void congestion_limited(struct congestion *c, uint32_t flight);

/* The path's round trip, without a queue and without luck; 0: unknown. */
uint64_t congestion_rtt(const struct congestion *c);
/* Ask at this rate; 0: at any. */
double congestion_rate(const struct congestion *c);
/* With so many chunks in flight at most. */
uint32_t congestion_window(const struct congestion *c);
/* And for so many at a time, 1 to 32: they come as a burst. */
uint32_t congestion_quantum(const struct congestion *c);

#endif
