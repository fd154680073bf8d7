/* SPDX-License-Identifier: BSD-3-Clause */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "dataplane/budget.h"

#define SECOND_NS 1e9

struct rate rate_make(uint64_t per_second, uint64_t burst)
{
	double unit = per_second > 0 ? SECOND_NS / (double)per_second : 0;

	return (struct rate){.unit_ns = unit, .burst_ns = (uint64_t)(unit * (double)burst)};
}

bool bucket_take(bucket *b, const struct rate *r, uint64_t units, uint64_t now_us)
{
	const uint64_t now = now_us * 1000, latest = now + r->burst_ns;
	uint64_t full, next;

	if (r->unit_ns == 0)
		return true;
	full = atomic_load_explicit(b, memory_order_relaxed);
	do {
		/* later than `latest` it can only be because the clock stepped back */
		next = full < now ? now : full > latest ? latest : full;
		next += (uint64_t)(r->unit_ns * (double)units);
		if (next > latest)
			break;
	} while (!atomic_compare_exchange_weak_explicit(b, &full, next, memory_order_relaxed,
							memory_order_relaxed));
	if (next <= latest)
		return true;
	if (full > latest)
		atomic_store_explicit(b, latest, memory_order_relaxed);
	return false;
}

void budget_init(struct budget *b, uint64_t per_second, uint64_t burst, uint64_t seed)
{
	b->seed = seed;
	b->rate = rate_make(per_second, burst);
	for (unsigned int i = 0; i < BUDGET_BUCKETS; i++)
		atomic_init(&b->bucket[i], 0);
}

bool budget_take(struct budget *b, const void *key, size_t len, uint64_t units, uint64_t now_us)
{
	uint64_t hash;

	if (b->rate.unit_ns == 0)
		return true;
	hash = XXH3_64bits_withSeed(key, len, b->seed);
	return bucket_take(&b->bucket[hash % BUDGET_BUCKETS], &b->rate, units, now_us);
}
