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

bool bucket_take(struct budget_bucket *k, uint64_t rate, uint64_t burst, uint64_t units,
		 uint64_t now_us)
{
	uint64_t idle, full = burst * SCALE;

	if (rate == 0)
		return true;
	idle = now_us > k->updated ? now_us - k->updated : 0;
	/* beyond a full bucket the product could overflow */
	if (idle >= full / rate)
		k->tokens = full;
	else if (k->tokens + idle * rate < full)
		k->tokens += idle * rate;
	else
		k->tokens = full;
	k->updated = now_us;
	if (k->tokens < units * SCALE)
		return false;
	k->tokens -= units * SCALE;
	return true;
}

bool budget_take(struct budget *b, const void *key, size_t len, uint64_t units, uint64_t now_us)
{
	if (b->rate == 0)
		return true;
	return bucket_take(&b->bucket[XXH3_64bits_withSeed(key, len, b->seed) % BUDGET_BUCKETS],
			   b->rate, b->burst, units, now_us);
}

bool rate_take(struct rate *r, uint64_t per_second, uint64_t now_us)
{
	uint64_t idle = now_us > r->updated ? now_us - r->updated : 0, full = per_second * SCALE;

	if (per_second == 0)
		return true;
	if (idle > SCALE)
		idle = SCALE;
	r->tokens += idle * per_second;
	if (r->tokens > full)
		r->tokens = full;
	r->updated = now_us;
	if (r->tokens < SCALE)
		return false;
	r->tokens -= SCALE;
	return true;
}
