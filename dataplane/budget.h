/* SPDX-License-Identifier: BSD-3-Clause
 * Token buckets. A bucket is one number, the time at which it will be full again
 * (the generic cell rate algorithm), so that all threads of a relay can take from
 * it without a lock: a limit is the relay's, however many workers it has.
 */
#ifndef DATAPLANE_BUDGET_H
#define DATAPLANE_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUDGET_BUCKETS 8192

struct rate {
	double unit_ns;	   /* what a unit takes to come back, nanoseconds; 0: no limit */
	uint64_t burst_ns; /* what a full bucket does */
};

/* Nanoseconds of the clock; 0: full. */
typedef _Atomic uint64_t bucket;

/* per_second: units, 0: no limit. burst: units that a full bucket holds. */
struct rate rate_make(uint64_t per_second, uint64_t burst);
/* Takes `units` if they are there. A clock that steps back gives nothing away, and
 * keeps nobody waiting for longer than a full bucket takes. now_us: microseconds,
 * below 2^54. */
bool bucket_take(bucket *b, const struct rate *r, uint64_t units, uint64_t now_us);

/* Buckets by hash of a key, in a fixed table: bounded memory whatever strangers
 * send. Two keys that share a bucket share its budget, which errs on the side of
 * sending less. */
struct budget {
	uint64_t seed;
	struct rate rate;
	bucket bucket[BUDGET_BUCKETS];
};

void budget_init(struct budget *b, uint64_t per_second, uint64_t burst, uint64_t seed);
/* The same with the key's bucket. */
bool budget_take(struct budget *b, const void *key, size_t len, uint64_t units, uint64_t now_us);

#endif
