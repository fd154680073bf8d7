/* SPDX-License-Identifier: BSD-3-Clause
 * Pull windows on a simulated link: clock, bottleneck, loss, reordering and
 * duplication are all the test's own, so every run is the same.
 */
#ifndef TESTS_UNIT_WIRE_LINK_H
#define TESTS_UNIT_WIRE_LINK_H

#include "wire/pullwin.h"

#define EVENTS 65536
#define FLOWS 16
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

/* A PULL on its way to the holder, or a chunk to us. */
struct event {
	uint64_t at;
	uint64_t order; /* ties go first come, first served */
	uint32_t number;
	uint32_t chunk; /* of a PULL the first */
	uint32_t mask;	/* of a PULL; 0: a chunk */
	uint32_t flow;
};

/* One of those that share the bottleneck: each has a holder at its own distance. */
struct flow {
	struct pullwin w;
	void *memory;
	uint64_t rtt;
	uint64_t start; /* does nothing before */
};

struct sim {
	struct link link;
	struct flow flows[FLOWS];
	uint32_t flow_count;
	struct pullwin *w; /* of the first flow */
	uint64_t now, order, random;
	uint64_t line_free;	/* when the bottleneck has sent all it has */
	uint32_t burst_left[2]; /* of each way */
	struct event heap[EVENTS];
	uint32_t heap_len;
	/* what happened, to all flows */
	uint64_t pulls, asked, duplicates, strays;
	uint64_t full;		   /* chunks lost in the bottleneck's queue */
	uint64_t sent, queue_time; /* through it, and how long they waited in all */
	uint64_t pull_times[16];   /* of the first ones */
};

/* With one flow, whose round trip is the link's. */
struct sim *sim_new(uint64_t length, const struct link *l);
/* One more; it begins at `start`. */
struct pullwin *sim_add(struct sim *s, uint64_t length, uint64_t rtt, uint64_t start);
void sim_free(struct sim *s);
/* Sends a PULL of a flow's if its window allows one. */
bool sim_pull(struct sim *s, uint32_t flow);
/* What is due next arrives: at its window, or at the holder, who answers at once.
 * Returns the flow. */
uint32_t sim_arrive(struct sim *s);
/* Runs until all blobs are complete, `until` has come or nothing more can happen. */
void sim_run(struct sim *s, uint64_t until);
void event_push(struct sim *s, struct event e);
struct event event_pop(struct sim *s);
/* Below `below`. */
uint32_t sim_random(struct sim *s, uint32_t below);

#endif
