/* SPDX-License-Identifier: BSD-3-Clause
 * Time in the hands of a test. A program linked with --wrap=clock_gettime and
 * the static libevent_core sees this clock in all of the relay's code and in
 * libevent's timers; everything else keeps the real one.
 */
#ifndef TESTS_UNIT_UNIT_CLOCK_H
#define TESTS_UNIT_UNIT_CLOCK_H

#include <stdint.h>

/* Where the clock stands at first and after a reset: 2023-11-14, a while after boot. */
#define UNIT_CLOCK_UNIX UINT64_C(1700000000)
#define UNIT_CLOCK_BOOT UINT64_C(5000)

/* It only moves when it is told to. */
void unit_clock_reset(void);
void unit_clock_advance(uint64_t us);
/* Sets the wall clock: CLOCK_REALTIME alone jumps. */
void unit_clock_step(int64_t us);
/* Microseconds since 1970. */
uint64_t unit_clock_unix_us(void);

#endif
