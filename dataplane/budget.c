/* SPDX-License-Identifier: BSD-3-Clause */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "dataplane/budget.h"

#define SCALE 1000000u /* microseconds in the second that a rate is given for */

void budget_init(struct budget *b, uint64_t rate, uint64_t burst, uint64_t seed)
{
	b->seed = seed;
	b->rate = rate;
	b->burst = burst;
	for (unsigned int i = 0; i < BUDGET_BUCKETS; i++)
		b->bucket[i] = (struct budget_bucket){.tokens = burst * SCALE};
}

bool budget_take(struct budget *b, const void *key, size_t len, uint64_t units, uint64_t now_us)
{
	struct budget_bucket *k;
	uint64_t idle, full = b->burst * SCALE;

	if (b->rate == 0)
		return true;
	k = &b->bucket[XXH3_64bits_withSeed(key, len, b->seed) % BUDGET_BUCKETS];
	idle = now_us > k->updated ? now_us - k->updated : 0;
	/* beyond a full bucket the product could overflow */
	if (idle >= full / b->rate)
		k->tokens = full;
	else if (k->tokens + idle * b->rate < full)
		k->tokens += idle * b->rate;
	else
		k->tokens = full;
	k->updated = now_us;
	if (k->tokens < units * SCALE)
		return false;
	k->tokens -= units * SCALE;
	return true;
}
