/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_malloc.h>

#include "store/flight.h"

struct flights {
	_Atomic uint64_t epoch; /* control: wo */
	unsigned int workers;
	struct flight of[][2]; /* by the epoch's parity */
};

/* The calling worker's, of both parities. */
static _Thread_local struct flight *own;

struct flights *flights_create(unsigned int workers)
{
	struct flights *f = rte_zmalloc("flights", sizeof(*f) + workers * sizeof(f->of[0]),
					alignof(struct flights));

	if (f == NULL)
		return NULL;
	f->workers = workers;
	return f;
}

void flights_destroy(struct flights *f)
{
	rte_free(f);
}

struct flight *flight_now(struct flights *f, unsigned int worker)
{
	own = f->of[worker];
	return own + (atomic_load_explicit(&f->epoch, memory_order_relaxed) & 1);
}

void flight_lands(void *buffer, void *flight)
{
	struct flight *f = flight;

	(void)buffer;
	/* release: whoever sees it counted may write where the frame was read */
	if ((uintptr_t)f - (uintptr_t)own < 2 * sizeof(*own)) {
		const uint64_t landed = atomic_load_explicit(&f->landed, memory_order_relaxed);

		atomic_store_explicit(&f->landed, landed + 1, memory_order_release);
	} else {
		atomic_fetch_add_explicit(&f->landed_elsewhere, 1, memory_order_release);
	}
}

/* Landed is read before sent: equal means that there was a moment with none in flight. */
static uint64_t flight_count(const struct flight *f)
{
	const uint64_t landed = atomic_load_explicit(&f->landed, memory_order_acquire) +
				atomic_load_explicit(&f->landed_elsewhere, memory_order_acquire);

	return atomic_load_explicit(&f->sent, memory_order_relaxed) - landed;
}

uint64_t flights_mark(const struct flights *f)
{
	return atomic_load_explicit(&f->epoch, memory_order_relaxed) + 2;
}

/* Have all of the epoch before this one landed? */
static bool last_landed(const struct flights *f, uint64_t epoch)
{
	for (unsigned int i = 0; i < f->workers; i++)
		if (flight_count(&f->of[i][(epoch + 1) & 1]) != 0)
			return false;
	return true;
}

/* A worker may still count into the epoch before: it read the number when its burst began.
 * Those frames hold pieces that it found in that burst, which are marked after it. */
bool flights_over(struct flights *f, uint64_t mark)
{
	uint64_t epoch = atomic_load_explicit(&f->epoch, memory_order_relaxed);

	while (epoch < mark && last_landed(f, epoch))
		atomic_store_explicit(&f->epoch, ++epoch, memory_order_relaxed);
	return epoch >= mark;
}

uint64_t flights_count(const struct flights *f)
{
	uint64_t count = 0;

	for (unsigned int i = 0; i < f->workers; i++)
		count += flight_count(&f->of[i][0]) + flight_count(&f->of[i][1]);
	return count;
}
