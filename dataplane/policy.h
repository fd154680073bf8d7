/* SPDX-License-Identifier: BSD-3-Clause
 * Which addresses this relay may be asked to send to.
 */
#ifndef DATAPLANE_POLICY_H
#define DATAPLANE_POLICY_H

#include "wire/addr.h"

#define POLICY_RANGES 64

struct policy_range {
	uint8_t type; /* enum addr_type */
	uint8_t bits; /* of prefix */
	uint8_t ip[16];
};

struct policy {
	bool allow_special; /* all special-use ranges */
	uint32_t count;
	struct policy_range allow[POLICY_RANGES];
};

/* Special-use addresses only where a range (or allow_special) admits them. */
bool policy_allows(const struct policy *p, const struct addr *target);

/* Is it in one of the ranges, or special-use with allow_special? */
bool policy_contains(const struct policy *p, const struct addr *target);

#endif
