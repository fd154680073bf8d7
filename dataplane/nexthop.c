/* SPDX-License-Identifier: BSD-3-Clause
 * An rte_hash with lock-free readers: host -> entry on the heap. An entry is
 * never changed but replaced, and freed after a grace period.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_hash.h>
#include <rte_lcore.h>

#include <sodium.h>
#include <xxhash.h>

#include "dataplane/nexthop.h"

struct entry {
	struct nexthop nh;    /* immutable */
	_Atomic uint8_t used; /* workers set it, and test it first; control clears it */
	int32_t position;     /* control: of a removed key, to be freed with it; else -1 */
	struct entry *next;   /* control: among the retired */
} __rte_cache_aligned;

struct nexthop_table {
	struct rte_hash *hash;
	uint64_t seed;
	/* control's own */
	struct reclaim *reclaim;
	uint32_t limit;
	uint32_t count;
	uint32_t deferred;     /* entries with reclaim */
	bool destroyed;	       /* the last of them frees the table */
	struct entry *retired; /* unlinked, and not yet taken by reclaim: it had no memory */
};

static struct addr key_of(const struct nexthop_table *t, const struct addr *host, uint32_t *hash)
{
	struct addr key = *host;

	key.port = put16(0);
	*hash = (uint32_t)XXH3_64bits_withSeed(&key, sizeof(key), t->seed);
	return key;
}

static struct entry *entry_find(const struct nexthop_table *t, const struct addr *host)
{
	uint32_t hash;
	struct addr key = key_of(t, host, &hash);
	void *e;

	return rte_hash_lookup_with_hash_data(t->hash, &key, hash, &e) < 0 ? NULL : e;
}

static struct entry *entry_make(const struct nexthop *nh)
{
	struct entry *e = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*e));

	if (!e)
		return NULL;
	e->nh = *nh;
	e->position = -1;
	atomic_init(&e->used, 0);
	return e;
}

/* Reclaim's callback: no worker reads the entry, or probes its key's slot. */
static void entry_free(void *ctx, uint64_t arg)
{
	struct nexthop_table *t = ctx;
	struct entry *e = (struct entry *)(uintptr_t)arg;

	if (e->position >= 0 && t->hash)
		rte_hash_free_key_with_position(t->hash, e->position);
	free(e);
	if (--t->deferred == 0 && t->destroyed)
		free(t);
}

/* Hands an unlinked entry to reclaim. What reclaim has no memory for is tried
 * again with the next one. */
static void entry_retire(struct nexthop_table *t, struct entry *e)
{
	e->next = t->retired;
	t->retired = e;
	while ((e = t->retired)) {
		struct entry *next = e->next;

		if (reclaim_defer(t->reclaim, entry_free, t, (uintptr_t)e) < 0)
			return;
		t->deferred++;
		t->retired = next;
	}
}

struct nexthop_table *nexthop_table_create(uint32_t entries, struct reclaim *reclaim)
{
	static unsigned int number;
	struct nexthop_table *t = calloc(1, sizeof(*t));
	char name[RTE_HASH_NAMESIZE];
	struct rte_hash_parameters params = {
		.name = name,
		/* room for keys that are removed and not yet free, and for full buckets */
		.entries = entries + entries / 2 + 64,
		.key_len = sizeof(struct addr),
		.socket_id = (int)rte_socket_id(),
		.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF,
	};

	if (!t)
		return NULL;
	snprintf(name, sizeof(name), "nexthop_%u", number++);
	t->hash = rte_hash_create(&params);
	if (!t->hash) {
		free(t);
		return NULL;
	}
	t->reclaim = reclaim;
	t->limit = entries;
	randombytes_buf(&t->seed, sizeof(t->seed));
	return t;
}

void nexthop_table_destroy(struct nexthop_table *t)
{
	const void *key;
	void *e;
	uint32_t at = 0;

	if (!t)
		return;
	while (rte_hash_iterate(t->hash, &key, &e, &at) >= 0)
		free(e);
	rte_hash_free(t->hash);
	t->hash = NULL;
	while ((e = t->retired)) {
		t->retired = ((struct entry *)e)->next;
		free(e);
	}
	t->destroyed = true;
	if (t->deferred == 0)
		free(t);
}

const struct nexthop *nexthop_lookup(const struct nexthop_table *t, const struct addr *host)
{
	struct entry *e = entry_find(t, host);

	if (!e)
		return NULL;
	/* a shared line: written once between two of control's looks */
	if (!atomic_load_explicit(&e->used, memory_order_relaxed))
		atomic_store_explicit(&e->used, 1, memory_order_relaxed);
	return &e->nh;
}

int nexthop_set(struct nexthop_table *t, const struct addr *host, const struct nexthop *nh)
{
	struct entry *old = entry_find(t, host), *e;
	struct addr key;
	uint32_t hash;
	int rc;

	if (!old && t->count == t->limit)
		return -ENOSPC;
	e = entry_make(nh);
	if (!e)
		return -ENOMEM;
	if (old)
		atomic_init(&e->used, atomic_load_explicit(&old->used, memory_order_relaxed));
	key = key_of(t, host, &hash);
	rc = rte_hash_add_key_with_hash_data(t->hash, &key, hash, e);
	if (rc < 0) {
		free(e);
		return rc;
	}
	if (old)
		entry_retire(t, old);
	else
		t->count++;
	return 0;
}

void nexthop_remove(struct nexthop_table *t, const struct addr *host)
{
	struct entry *e = entry_find(t, host);
	struct addr key;
	uint32_t hash;

	if (!e)
		return;
	key = key_of(t, host, &hash);
	e->position = rte_hash_del_key_with_hash(t->hash, &key, hash);
	t->count--;
	entry_retire(t, e);
}

bool nexthop_take_used(struct nexthop_table *t, const struct addr *host)
{
	struct entry *e = entry_find(t, host);

	return e && atomic_exchange_explicit(&e->used, 0, memory_order_relaxed);
}

uint32_t nexthop_count(const struct nexthop_table *t)
{
	return t->count;
}
