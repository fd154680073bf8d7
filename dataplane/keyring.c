/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include <sodium.h>

#include "dataplane/keyring.h"

struct keyring *keyring_alloc(uint32_t domains, uint32_t pairs)
{
	struct keyring *k = calloc(1, sizeof(*k) + domains * sizeof(k->domain[0]));

	if (k == NULL)
		return NULL;
	k->pair = calloc(pairs + 1, sizeof(*k->pair));
	if (k->pair == NULL) {
		free(k);
		return NULL;
	}
	return k;
}

void keyring_free(struct keyring *k)
{
	if (k == NULL)
		return;
	sodium_memzero(k->pair, k->pair_count * sizeof(*k->pair));
	free(k->pair);
	sodium_memzero(k->domain, k->domain_count * sizeof(k->domain[0]));
	free(k);
}

const struct domain *keyring_domain(const struct keyring *k, uint32_t id)
{
	uint32_t low = 0, high = k->domain_count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (k->domain[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < k->domain_count && k->domain[low].id == id ? &k->domain[low] : NULL;
}

const struct domain *keyring_find(const struct keyring *k, uint32_t field,
				  const struct domain_keys **keys)
{
	const struct domain *d;

	*keys = NULL;
	if (field == 0)
		return k->open ? &k->domain[0] : NULL;
	d = keyring_domain(k, field >> 8);
	for (uint32_t i = 0; d != NULL && i < d->key_count; i++) {
		if (d->field[i] != field)
			continue;
		*keys = &d->keys[i];
		return d;
	}
	return NULL;
}

const struct pair *keyring_pair(const struct keyring *k, uint32_t field)
{
	for (uint32_t i = 0; i < k->pair_count; i++)
		if (k->pair[i].field == field)
			return &k->pair[i];
	return NULL;
}

bool keyring_allows(const struct keyring *k, const struct domain *d, const struct addr *target)
{
	return d->limited ? policy_contains(&d->targets, target)
			  : policy_allows(&k->policy, target);
}

size_t keyring_sign(const struct keyring *k, uint32_t field, uint64_t conn,
		    const struct addr *member, uint8_t *buf, size_t len)
{
	const struct domain_keys *keys;
	struct session session;

	if (field == 0 || len == 0)
		return len;
	if (keyring_find(k, field, &keys) == NULL)
		return 0;
	session_derive(keys, conn, member, &session);
	return frame_sign(buf, WIRE_MAX_FRAME, len, &session);
}
