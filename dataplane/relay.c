/* SPDX-License-Identifier: BSD-3-Clause */
#include <sodium.h>

#include "dataplane/offer.h"

#define ERRORS_PER_SOURCE 100 /* a second */

void relay_limits_init(struct relay *r)
{
	uint64_t seed;

	randombytes_buf(&seed, sizeof(seed));
	randombytes_buf(&r->macs.seed, sizeof(r->macs.seed));
	offer_budget_init(&r->offer_budget, r->offers_per_target, seed);
	budget_init(&r->data_target, r->rate_per_target,
		    /* at least one whole PULL, else nothing ever passes */
		    r->rate_per_target / 10 + PULL_MAX_CHUNKS * CHUNK_SIZE, seed + 2);
	budget_init(&r->error_source, ERRORS_PER_SOURCE, ERRORS_PER_SOURCE, seed + 3);
	budget_init(&r->stranger_source, r->strangers.source, 2 * (uint64_t)r->strangers.source,
		    seed + 4);
	budget_init(&r->control_source, r->control_per_source, r->control_per_source, seed + 5);
}
