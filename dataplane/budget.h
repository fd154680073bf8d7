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

void budget_init(struct budget *b, uint64_t rate, uint64_t burst, uint64_t seed);
/* Takes `units` from the key's bucket if they are there. */
bool budget_take(struct budget *b, const void *key, size_t len, uint64_t units, uint64_t now_us);

#endif
