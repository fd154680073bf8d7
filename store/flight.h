/* SPDX-License-Identifier: BSD-3-Clause
 * Frames in flight: those that hold a piece's bytes by reference, from before a driver gets
 * them until it has let go of their mbufs. What they point at must not be freed meanwhile,
 * which a grace period alone would not tell.
 *
 * They are counted by worker and by epoch, not by piece, so that a blob that all ask for
 * shares no line. Control starts an epoch when all of the one before the last have landed;
 * what was sent before a moment has landed when two epochs have begun since.
 */
#ifndef STORE_FLIGHT_H
#define STORE_FLIGHT_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* A worker's frames of the epochs with one parity. */
struct flight {
	alignas(64) _Atomic uint64_t sent; /* the worker: wo */
	_Atomic uint64_t landed;	   /* likewise; */
	_Atomic uint64_t landed_elsewhere; /* what other threads freed */
};

struct flights;

/* For so many workers. NULL: no memory. */
struct flights *flights_create(unsigned int workers);
/* No frame may be left. */
void flights_destroy(struct flights *f);

/* ---- a worker ---- */

/* Where the frames of this burst are counted: of now, and its own from then on; so no other
 * thread asks for this worker's. */
struct flight *flight_now(struct flights *f, unsigned int worker);

/* Before they are handed over. */
static inline void flight_sends(struct flight *f, unsigned int frames)
{
	const uint64_t sent = atomic_load_explicit(&f->sent, memory_order_relaxed);

	atomic_store_explicit(&f->sent, sent + frames, memory_order_relaxed);
}

/* An mbuf's callback when its external buffer is free: one has landed. Any thread. */
void flight_lands(void *buffer, void *flight);

/* ---- control ---- */

/* What flights_over() is asked with, for all that was sent until now by workers that have
 * been quiescent since. */
uint64_t flights_mark(const struct flights *f);
/* Have they landed? Never waits. */
bool flights_over(struct flights *f, uint64_t mark);
/* Frames in flight now. Any thread. */
uint64_t flights_count(const struct flights *f);

#endif
