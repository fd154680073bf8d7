/* SPDX-License-Identifier: BSD-3-Clause */
#define XXH_INLINE_ALL
#include <xxhash.h>
#include <sodium.h>

#include "dataplane/tally.h"

void tally_init(struct tally *t)
{
	memset(t, 0, sizeof(*t));
	randombytes_buf(&t->seed, sizeof(t->seed));
}

uint32_t *tally_of(struct tally *t, const struct addr *host)
{
	size_t len = host->type == ADDR_IP4 ? 4 : 8;

	return &t->count[XXH3_64bits_withSeed(host->ip, len, t->seed) % TALLY_PLACES];
}
