/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/offer.h"

enum refuse_reason offer_refusal(const struct relay *r, const struct domain *d,
				 const struct addr *target)
{
	if (!keyring_allows(relay_keyring(r), d, target) ||
	    addr_same_host(target, relay_self(r, target)) || peer_hosts_have(&r->peers, target))
		return REFUSE_TARGET_POLICY;
	if (target->type != relay_self(r, target)->type || !addr_one_host(target) ||
	    addr_loopback(target))
		return REFUSE_TARGET_UNREACHABLE;
	if (r->port.ifindex != 0 && !nexthop_reaches(r->nexthops, target))
		return REFUSE_TARGET_UNREACHABLE;
	return REFUSE_NONE;
}

const struct lease *offer_lease(const struct relay *r, uint32_t key, const struct addr *target,
				uint64_t unix_seconds)
{
	const struct lease *l;

	lease_find(r->leases, &target, 1, &l);
	return offer_leased(l, key, unix_seconds) ? l : NULL;
}

void offer_budget_init(struct offer_budget *b, uint32_t per_second, uint64_t seed)
{
	uint32_t pair = per_second > 1 ? per_second / 2 : per_second;

	budget_init(&b->target, per_second, per_second, seed);
	budget_init(&b->pair, pair, pair, seed + 1);
}

bool offer_allowed(struct offer_budget *b, const struct addr *source, const struct addr *target,
		   uint64_t now_us)
{
	struct {
		uint8_t source[8]; /* /24 of IPv4, /48 of IPv6 */
		uint8_t target[16];
	} pair = {0};

	memcpy(pair.source, source->ip, source->type == ADDR_IP4 ? 3 : 6);
	memcpy(pair.target, target->ip, sizeof(pair.target));
	/* the pair's first: a flooding source must not drain the target's */
	return budget_take(&b->pair, &pair, sizeof(pair), 1, now_us) &&
	       budget_take(&b->target, target->ip, sizeof(target->ip), 1, now_us);
}

bool offer_admit(struct relay *r, const struct ask *a, const struct lease *lease, uint64_t unix_us,
		 struct stats *stats)
{
	if (lease != NULL || offer_allowed(&r->offer_budget, &a->key.source, &a->target, unix_us))
		return true;
	stats->drops[DROP_OFFER_BUDGET]++;
	return false;
}
