/* SPDX-License-Identifier: BSD-3-Clause */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "dataplane/macs.h"

#define MAC_BITS 48

struct place {
	_Atomic uint64_t *set;
	uint64_t tag;
};

static struct place place_of(const struct mac_table *t, const struct addr *host)
{
	uint64_t hash = XXH3_64bits_withSeed(host->ip, sizeof(host->ip), t->seed);
	struct mac_table *table = (struct mac_table *)(uintptr_t)t;

	return (struct place){table->slot[hash % MAC_SETS], hash >> MAC_BITS};
}

void mac_learn(struct mac_table *t, const struct addr *host, const struct rte_ether_addr *mac)
{
	struct place p = place_of(t, host);
	unsigned int way = MAC_WAYS;
	uint64_t value = 0, slot;

	if (!rte_is_valid_assigned_ether_addr(mac))
		return;
	memcpy(&value, mac, sizeof(*mac));
	value |= p.tag << MAC_BITS;
	for (unsigned int i = 0; i < MAC_WAYS; i++) {
		slot = atomic_load_explicit(&p.set[i], memory_order_relaxed);
		if (slot == value)
			return; /* all workers read the line: it is written when it changes */
		if (slot != 0 && slot >> MAC_BITS == p.tag) {
			way = i;
			break;
		}
		if (slot == 0 && way == MAC_WAYS)
			way = i;
	}
	if (way == MAC_WAYS)
		way = value % MAC_WAYS;
	atomic_store_explicit(&p.set[way], value, memory_order_relaxed);
}

bool mac_find(const struct mac_table *t, const struct addr *host, struct rte_ether_addr *out)
{
	struct place p = place_of(t, host);

	for (unsigned int i = 0; i < MAC_WAYS; i++) {
		uint64_t slot = atomic_load_explicit(&p.set[i], memory_order_relaxed);

		if (slot == 0 || slot >> MAC_BITS != p.tag)
			continue;
		memcpy(out, &slot, sizeof(*out));
		return true;
	}
	return false;
}
