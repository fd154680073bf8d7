/* SPDX-License-Identifier: BSD-3-Clause
 * Wall-clock time for workers without asking the kernel: control publishes a
 * reference point once a second, the TSC does the rest.
 */
#ifndef DATAPLANE_CLOCK_H
#define DATAPLANE_CLOCK_H

#include <stdatomic.h>
#include <stdint.h>

#include <rte_cycles.h>

struct clock_point {
	uint64_t tsc;
	uint64_t unix_us;
};

/* Two slots and an index: a slot is rewritten a second after it was last
 * current, long after any worker has finished reading it. */
struct clock_ref {
	struct clock_point slot[2]; /* control: wo, workers: ro */
	_Atomic unsigned int current;
	double us_per_tick;
};

static inline uint64_t clock_unix_us(struct clock_ref *c, uint64_t tsc)
{
	const struct clock_point *p =
		&c->slot[atomic_load_explicit(&c->current, memory_order_acquire)];

	/* signed: this core's TSC may be read just before the reference was */
	return p->unix_us + (uint64_t)(int64_t)((double)(int64_t)(tsc - p->tsc) * c->us_per_tick);
}

static inline void clock_publish(struct clock_ref *c, uint64_t tsc, uint64_t unix_us)
{
	unsigned int next = !atomic_load_explicit(&c->current, memory_order_relaxed);

	c->slot[next] = (struct clock_point){.tsc = tsc, .unix_us = unix_us};
	atomic_store_explicit(&c->current, next, memory_order_release);
}

#endif
