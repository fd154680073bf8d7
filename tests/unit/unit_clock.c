/* SPDX-License-Identifier: BSD-3-Clause */
#include <time.h>

#include "tests/unit/unit_clock.h"

int __wrap_clock_gettime(clockid_t id, struct timespec *ts);

static uint64_t passed_us;
static uint64_t stepped_us; /* modulo 2^64 */

void unit_clock_reset(void)
{
	passed_us = stepped_us = 0;
}

void unit_clock_step(int64_t us)
{
	stepped_us += (uint64_t)us;
}

void unit_clock_advance(uint64_t us)
{
	passed_us += us;
}

uint64_t unit_clock_unix_us(void)
{
	return UNIT_CLOCK_UNIX * 1000000 + passed_us + stepped_us;
}

int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	uint64_t us =
		id == CLOCK_REALTIME ? unit_clock_unix_us() : UNIT_CLOCK_BOOT * 1000000 + passed_us;

	ts->tv_sec = (time_t)(us / 1000000);
	ts->tv_nsec = (long)(us % 1000000 * 1000);
	return 0;
}
