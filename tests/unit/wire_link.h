/* SPDX-License-Identifier: BSD-3-Clause
 * A pull window on a simulated link: clock, bottleneck, loss, reordering and
 * duplication are all the test's own, so every run is the same.
 */
#ifndef TESTS_UNIT_WIRE_LINK_H
#define TESTS_UNIT_WIRE_LINK_H

#include "wire/pullwin.h"

#define EVENTS 65536
#define START UINT64_C(1000000)
#define SIM_FRAME (CHUNK_SIZE + DATA_HEAD + 42) /* bytes of a chunk's frame on Ethernet */

struct link {
	uint64_t rtt;	  /* microseconds */
	uint64_t rate;	  /* kbit/s of the way to us; 0: no limit */
	uint64_t queue;	  /* bytes in front of that rate; more is dropped */
	double loss;	  /* chance, each way */
	uint32_t burst;	  /* frames lost at a time */
	double twice;	  /* chance that DATA arrives twice */
	double reorder;	  /* chance, each way, of half the delay */
	uint64_t jitter;  /* microseconds, at most; reorders */
	uint64_t wake_up; /* microseconds that we are late, at most */
	/* from here to there, by the clock: nothing passes; the holder stands still */
	uint64_t dead[2], still[2];
	uint32_t cap; /* of the window */
};

/* A chunk on its way. */
struct event {
	uint64_t at;
	uint64_t order; /* ties go first come, first served */
	uint32_t chunk, number;
};

struct sim {
	struct link link;
	struct pullwin w;
	void *memory;
	uint64_t now, order, random;
	uint64_t line_free;	/* when the bottleneck has sent all it has */
	uint32_t burst_left[2]; /* of each way */
	struct event heap[EVENTS];
	uint32_t heap_len;
	/* what happened */
	uint64_t pulls, asked, duplicates, strays;
	uint64_t full;		   /* chunks lost in the bottleneck's queue */
	uint64_t sent, queue_time; /* through it, and how long they waited in all */
	uint64_t pull_times[16];   /* of the first ones */
};

struct sim *sim_new(uint64_t length, const struct link *l);
void sim_free(struct sim *s);
/* Sends a PULL if the window allows one; the holder answers at once. */
bool sim_pull(struct sim *s);
/* Hands the next chunk that arrives to the window. */
void sim_arrive(struct sim *s);
/* Runs until the blob is complete, `until` has come or nothing more can happen. */
void sim_run(struct sim *s, uint64_t until);
void event_push(struct sim *s, struct event e);
struct event event_pop(struct sim *s);
/* Below `below`. */
uint32_t sim_random(struct sim *s, uint32_t below);

#endif
