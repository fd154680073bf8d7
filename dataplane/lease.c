/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include <rte_errno.h>
#include <rte_hash.h>
#include <rte_lcore.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include <sodium.h>

#include "dataplane/lease.h"
#include "dataplane/tally.h"

#define EXPIRE_SLICE 4096 /* entries looked at in one lease_expire() */

struct lease_table {
	struct rte_hash *hash;
	struct reclaim *reclaim;
	uint32_t cursor; /* where lease_expire() resumes */
	uint32_t per_host;
	struct tally hosts;
};

static uint64_t lease_seed; /* rte_hash hands its function 32 bits of seed only */

static uint32_t lease_hash(const void *key, uint32_t len, uint32_t init)
{
	(void)init;
	return (uint32_t)XXH3_64bits_withSeed(key, len, lease_seed);
}

struct lease_table *lease_table_create(uint32_t entries, uint32_t per_host, struct reclaim *reclaim)
{
	struct rte_hash_parameters params = {
		.name = "leases",
		/* cuckoo buckets fill unevenly: a little slack keeps `entries` true */
		.entries = entries + entries / 8 + 64,
		.key_len = sizeof(struct addr),
		.hash_func = lease_hash,
		.socket_id = (int)rte_socket_id(),
		.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF,
	};
	struct lease_table *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	randombytes_buf(&lease_seed, sizeof(lease_seed));
	t->reclaim = reclaim;
	t->per_host = per_host;
	tally_init(&t->hosts);
	t->hash = rte_hash_create(&params);
	if (t->hash == NULL) {
		free(t);
		return NULL;
	}
	return t;
}

void lease_table_destroy(struct lease_table *t)
{
	const void *key;
	void *data;
	uint32_t at = 0;

	if (t == NULL)
		return;
	while (rte_hash_iterate(t->hash, &key, &data, &at) >= 0)
		free(data);
	rte_hash_free(t->hash);
	free(t);
}

void lease_find(const struct lease_table *t, const struct addr *const targets[], unsigned int n,
		const struct lease *out[])
{
	const void *keys[LEASE_BURST];
	void *found[LEASE_BURST];
	uint64_t hits = 0;

	for (unsigned int i = 0; i < n; i++)
		keys[i] = targets[i];
	rte_hash_lookup_bulk_data(t->hash, keys, n, &hits, found);
	for (unsigned int i = 0; i < n; i++)
		out[i] = hits >> i & 1 ? found[i] : NULL;
}

const struct lease *lease_lookup(const struct lease_table *t, const struct addr *target,
				 uint64_t unix_seconds)
{
	const struct lease *l;

	lease_find(t, &target, 1, &l);
	return l != NULL && lease_live(l, unix_seconds) ? l : NULL;
}

void lease_revoke(struct lease_table *t, const struct addr *target, uint64_t number)
{
	struct lease *l;
	void *data;

	if (rte_hash_lookup_data(t->hash, target, &data) < 0)
		return;
	l = data;
	if (number > l->number)
		atomic_store_explicit(&l->revoked, true, memory_order_relaxed);
}

static void lease_free(void *ctx, uint64_t arg)
{
	(void)ctx;
	free((void *)(uintptr_t)arg);
}

static void position_free(void *ctx, uint64_t arg)
{
	rte_hash_free_key_with_position(ctx, (int32_t)arg);
}

int lease_set(struct lease_table *t, const struct lease *l)
{
	struct lease *copy, *old = NULL;
	void *data;
	int ret;

	if (rte_hash_lookup_data(t->hash, &l->target, &data) >= 0) {
		old = data;
		if (old->number >= l->number)
			return old->number > l->number ? -EALREADY : -EEXIST;
	} else if (*tally_of(&t->hosts, &l->target) >= t->per_host) {
		return -EDQUOT;
	}
	copy = malloc(sizeof(*copy));
	if (copy == NULL)
		return -ENOMEM;
	*copy = *l;
	ret = rte_hash_add_key_data(t->hash, &l->target, copy);
	if (ret < 0) {
		free(copy);
		return ret;
	}
	*tally_of(&t->hosts, &l->target) += old == NULL;
	/* without memory for the queue the old lease leaks, which beats a
	 * worker reading freed memory */
	if (old != NULL)
		reclaim_defer(t->reclaim, lease_free, NULL, (uint64_t)(uintptr_t)old);
	return 0;
}

void lease_expire(struct lease_table *t, uint64_t unix_seconds)
{
	const void *key;
	void *data;

	for (unsigned int i = 0; i < EXPIRE_SLICE; i++) {
		struct lease *l;
		int32_t position;

		if (rte_hash_iterate(t->hash, &key, &data, &t->cursor) < 0) {
			t->cursor = 0;
			return;
		}
		l = data;
		if (l->forget > unix_seconds)
			continue;
		position = rte_hash_del_key(t->hash, &l->target);
		if (position < 0)
			continue;
		--*tally_of(&t->hosts, &l->target);
		reclaim_defer(t->reclaim, position_free, t->hash, (uint64_t)position);
		reclaim_defer(t->reclaim, lease_free, NULL, (uint64_t)(uintptr_t)l);
	}
}

uint32_t lease_count(const struct lease_table *t)
{
	return (uint32_t)rte_hash_count(t->hash);
}
