/* SPDX-License-Identifier: BSD-3-Clause
 * How much of something each host has, in a fixed table: bounded memory
 * whatever strangers send. Hosts that share a place share what it allows. Of
 * IPv6 the /64 counts, which is what one customer has.
 */
#ifndef DATAPLANE_TALLY_H
#define DATAPLANE_TALLY_H

#include "wire/addr.h"

#define TALLY_PLACES 16384

struct tally {
	uint64_t seed;
	uint32_t count[TALLY_PLACES];
};

void tally_init(struct tally *t);
/* The host's count, to read or to change. */
uint32_t *tally_of(struct tally *t, const struct addr *host);

#endif
