/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/policy.h"

static bool range_contains(const struct policy_range *r, const struct addr *a)
{
	uint8_t mask = (uint8_t)(0xff00 >> (r->bits % 8));

	if (r->type != a->type || memcmp(r->ip, a->ip, r->bits / 8) != 0)
		return false;
	return r->bits % 8 == 0 || ((r->ip[r->bits / 8] ^ a->ip[r->bits / 8]) & mask) == 0;
}

bool policy_contains(const struct policy *p, const struct addr *target)
{
	if (p->allow_special && addr_special_use(target))
		return true;
	for (uint32_t i = 0; i < p->count; i++)
		if (range_contains(&p->allow[i], target))
			return true;
	return false;
}

bool policy_allows(const struct policy *p, const struct addr *target)
{
	return !addr_special_use(target) || policy_contains(p, target);
}
