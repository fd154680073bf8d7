/* SPDX-License-Identifier: BSD-3-Clause
 * Token buckets by hash of a key, in a fixed table: bounded memory whatever
 * strangers send. Two keys that share a bucket share its budget, which errs on
 * the side of sending less. One table a worker; nothing is shared.
 */
#ifndef DATAPLANE_BUDGET_H
#define DATAPLANE_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUDGET_BUCKETS 8192

struct budget_bucket {
	uint64_t updated; /* microseconds */
	uint64_t tokens;  /* in units x 1,000,000 */
};

struct budget {
	uint64_t seed;
	uint64_t rate;	/* units a second; 0: everything passes */
	uint64_t burst; /* units a full bucket holds */
	struct budget_bucket bucket[BUDGET_BUCKETS];
};

/* Takes `units` if they are there. A bucket of zeros is a full one, as
 * the clock's zero is long ago. */
bool bucket_take(struct budget_bucket *k, uint64_t rate, uint64_t burst, uint64_t units,
		 uint64_t now_us);

/* One bucket alone, for keys that have a number. */
struct rate {
	uint64_t updated; /* microseconds */
	uint64_t tokens;  /* in units x 1,000,000 */
};
/* Takes one unit of `per_second`, of which a full bucket holds a second's
 * worth; 0: everything passes. */
bool rate_take(struct rate *r, uint64_t per_second, uint64_t now_us);

void budget_init(struct budget *b, uint64_t rate, uint64_t burst, uint64_t seed);
/* The same with the key's bucket. */
bool budget_take(struct budget *b, const void *key, size_t len, uint64_t units, uint64_t now_us);

#endif
