/* SPDX-License-Identifier: BSD-3-Clause
 * A pull window on a simulated link: clock, loss, reordering and duplication
 * are all the test's own, so every run is the same.
 */
#ifndef TESTS_UNIT_WIRE_LINK_H
#define TESTS_UNIT_WIRE_LINK_H

#include "wire/pullwin.h"

#define EVENTS 65536
#define START UINT64_C(1000000)

struct link {
	uint64_t rtt;	    /* microseconds */
	unsigned int loss;  /* percent, each way */
	unsigned int twice; /* percent of DATA that arrive twice */
	uint64_t jitter;    /* microseconds, at most; reorders */
	uint64_t rate;	    /* bytes a millisecond; 0: infinite */
	uint64_t queue;	    /* bytes in front of that rate; more is dropped */
	uint32_t cap;
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
	uint64_t line_free; /* when the bottleneck has sent all it has */
	struct event heap[EVENTS];
	uint32_t heap_len;
	/* what happened */
	uint64_t pulls, asked, duplicates, strays;
	uint64_t pull_times[16]; /* of the first ones */
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

#endif
