/* SPDX-License-Identifier: BSD-3-Clause
 * Time for timers, and waiting for a socket or a timer.
 */
#ifndef CLIENT_LIB_CLOCK_H
#define CLIENT_LIB_CLOCK_H

#include <limits.h>
#include <stdint.h>
#include <time.h>

#define MILLISECOND UINT64_C(1000)
#define SECOND UINT64_C(1000000)
#define NEVER UINT64_MAX

/* Microseconds of a monotonic clock. */
static inline uint64_t clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec / 1000;
}

/* The same of the wall's clock, which can be set. */
static inline uint64_t clock_real(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec / 1000;
}

static inline uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* For how long the process was stopped (Ctrl-Z, a debugger), having been due before: that
 * is no waiting for others. 0: it was not; a second late may be anybody. */
static inline uint64_t clock_stopped(uint64_t due, uint64_t now)
{
	return due < NEVER - SECOND && now > due + SECOND ? now - due : 0;
}

/* Whole milliseconds from now until `due`, rounded up, as poll() takes them. */
static inline int clock_milliseconds(uint64_t due, uint64_t now)
{
	uint64_t ms;

	if (due <= now)
		return 0;
	ms = (due - now) / MILLISECOND + ((due - now) % MILLISECOND != 0);
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

#endif
