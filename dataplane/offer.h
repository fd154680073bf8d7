/* SPDX-License-Identifier: BSD-3-Clause
 * May a target be offered something? The one place that decides, for workers and
 * control alike; answer.h makes the OFFER.
 */
#ifndef DATAPLANE_OFFER_H
#define DATAPLANE_OFFER_H

#include "dataplane/ask.h"
#include "dataplane/relay.h"
#include "dataplane/stats.h"

/* per_second: OFFERs to one target. */
void offer_budget_init(struct offer_budget *b, uint32_t per_second, uint64_t seed);
bool offer_allowed(struct offer_budget *b, const struct addr *source, const struct addr *target,
		   uint64_t now_us);

/* Is the ask's target to be offered its blob now? With a live lease of its domain always,
 * without one (NULL) within the budgets; counts in `stats` what they do not allow. */
bool offer_admit(struct relay *r, const struct ask *a, const struct lease *lease, uint64_t unix_us,
		 struct stats *stats);

/* Why this relay will not send to a target at all for this domain's members;
 * REFUSE_NONE if it will. */
enum refuse_reason offer_refusal(const struct relay *r, const struct domain *d,
				 const struct addr *target);

/* Is what was found of a target a live lease that was given to this domain? */
static inline bool offer_leased(const struct lease *l, uint32_t key, uint64_t unix_seconds)
{
	return l != NULL && l->key >> 8 == key >> 8 && lease_live(l, unix_seconds);
}
/* That lease; NULL: there is none. */
const struct lease *offer_lease(const struct relay *r, uint32_t key, const struct addr *target,
				uint64_t unix_seconds);

#endif
