/* SPDX-License-Identifier: BSD-3-Clause
 * A neighbour is one word, written at once, and a mark of use. A hop is never changed but
 * replaced. What workers may still hold the number of, be it a hop's, a slot or a position
 * in the hash of hosts on the link, is used again only after a grace period.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_hash.h>
#include <rte_lcore.h>

#include <sodium.h>
#include <xxhash.h>

#include "dataplane/nexthop.h"

#define HOPS FIB_VALUES

#define NO_NUMBER UINT32_MAX

/* Waits for a grace period. */
struct retired {
	struct retired *next;
	struct nexthop_table *table;
	void (*done)(struct nexthop_table *t, struct retired *w);
};

/* Immutable. */
struct hop {
	uint32_t n;
	uint32_t number; /* control: to be given back with it; NO_NUMBER: it was replaced */
	struct retired retired;
	struct path path[];
};

struct neighbour_slot {
	_Atomic uint64_t way; /* a struct nexthop */
	_Atomic uint8_t used; /* workers set it, and test it first; control clears it */
};

/* Of a slot that is given back. */
struct slot_rest {
	struct retired retired;
	int32_t position; /* of its key; < 0: it had none */
};

/* Numbers to give out: those that came back, then those that were never used. */
struct numbers {
	uint32_t *back;
	uint32_t n, fresh, limit;
};

struct nexthop_table {
	struct fib *fib;
	struct rte_hash *hosts; /* on the link: -> slot */
	struct neighbour_slot *slot;
	uint64_t seed;
	/* control's own */
	struct reclaim *reclaim;
	struct numbers hops, slots;
	struct slot_rest *rest;	 /* by slot */
	uint32_t deferred;	 /* with reclaim */
	bool destroyed;		 /* the last of them frees the table */
	struct retired *retired; /* not yet taken by reclaim: it had no memory */
	/* workers: ro */
	_Atomic(struct hop *) hop[HOPS];
};

/* ---- a neighbour's word ---- */

_Static_assert(sizeof(struct nexthop) == sizeof(uint64_t), "is read and written at once");

static uint64_t way_pack(const struct nexthop *nh)
{
	uint64_t w;

	memcpy(&w, nh, sizeof(w));
	return w;
}

static struct nexthop way_unpack(uint64_t w)
{
	struct nexthop nh;

	memcpy(&nh, &w, sizeof(nh));
	return nh;
}

static const struct nexthop no_route = {.state = NEXTHOP_NO_ROUTE};
static const struct nexthop unknown = {.state = NEXTHOP_UNKNOWN};

/* ---- lookup ---- */

static const struct hop *hop_find(const struct nexthop_table *t, const struct addr *host)
{
	uint32_t number = fib_lookup(fib_tables(t->fib), host);

	return atomic_load_explicit(&((struct nexthop_table *)(uintptr_t)t)->hop[number],
				    memory_order_acquire);
}

static struct nexthop slot_take(const struct nexthop_table *t, uint32_t slot)
{
	struct neighbour_slot *s = &t->slot[slot];

	/* a shared line: written once between two of control's looks */
	if (!atomic_load_explicit(&s->used, memory_order_relaxed))
		atomic_store_explicit(&s->used, 1, memory_order_relaxed);
	return way_unpack(atomic_load_explicit(&s->way, memory_order_relaxed));
}

static unsigned int path_index(const struct nexthop_table *t, const struct hop *h,
			       const struct addr *host)
{
	unsigned int i = 0;

	if (h->n > 1) {
		uint32_t flow = (uint32_t)XXH3_64bits_withSeed(host, sizeof(*host), t->seed);

		while (h->path[i].up_to < flow)
			i++;
	}
	return i;
}

/* Another path of the hop that is ready; else what the flow's own has come to. */
static struct nexthop path_other(const struct nexthop_table *t, const struct hop *h,
				 unsigned int own, struct nexthop nh)
{
	for (unsigned int i = 1; i < h->n && nh.state != NEXTHOP_READY; i++) {
		const struct path *p = &h->path[(own + i) % h->n];
		struct nexthop other;

		if (p->neighbour == NEXTHOP_ON_LINK)
			continue;
		other = slot_take(t, p->neighbour);
		if (other.state == NEXTHOP_READY)
			nh = other;
	}
	return nh;
}

static struct addr host_key(const struct addr *host)
{
	struct addr key = *host;

	key.port = put16(0);
	return key;
}

static hash_sig_t host_hash(const struct nexthop_table *t, const struct addr *key)
{
	return (hash_sig_t)XXH3_64bits_withSeed(key, sizeof(*key), t->seed);
}

/* Hosts on the link, found together. */
struct on_link {
	unsigned int n;
	struct addr key[NEXTHOP_LOOKUP];
	const void *keys[NEXTHOP_LOOKUP];
	hash_sig_t hash[NEXTHOP_LOOKUP];
	uint8_t at[NEXTHOP_LOOKUP]; /* in the caller's arrays */
};

static void on_link_find(const struct nexthop_table *t, struct on_link *l, struct nexthop out[])
{
	void *slot[NEXTHOP_LOOKUP];
	uint64_t hits = 0;

	if (l->n > 0)
		rte_hash_lookup_with_hash_bulk_data(t->hosts, l->keys, l->hash, l->n, &hits, slot);
	for (unsigned int i = 0; i < l->n; i++)
		out[l->at[i]] =
			hits >> i & 1 ? slot_take(t, (uint32_t)(uintptr_t)slot[i]) : unknown;
}

static void on_link_add(const struct nexthop_table *t, struct on_link *l, const struct addr *host,
			unsigned int at)
{
	unsigned int i = l->n++;

	l->key[i] = host_key(host);
	l->keys[i] = &l->key[i];
	l->hash[i] = host_hash(t, &l->key[i]);
	l->at[i] = (uint8_t)at;
}

void nexthop_lookup(const struct nexthop_table *t, const struct addr *const hosts[], unsigned int n,
		    struct nexthop out[])
{
	uint8_t same[NEXTHOP_LOOKUP]; /* the first of a run to the same address */
	struct on_link l;

	l.n = 0;
	for (unsigned int i = 0; i < n; i++) {
		const struct hop *h;
		unsigned int own;

		same[i] = (uint8_t)i;
		/* an answer to a PULL is a burst to one host */
		if (i > 0 && memcmp(hosts[i], hosts[i - 1], sizeof(*hosts[i])) == 0) {
			same[i] = same[i - 1];
			continue;
		}
		h = hop_find(t, hosts[i]);
		if (h->n == 0) {
			out[i] = no_route;
			continue;
		}
		own = path_index(t, h, hosts[i]);
		if (h->path[own].neighbour == NEXTHOP_ON_LINK)
			on_link_add(t, &l, hosts[i], i);
		else
			out[i] = path_other(t, h, own, slot_take(t, h->path[own].neighbour));
	}
	on_link_find(t, &l, out);
	for (unsigned int i = 0; i < n; i++)
		out[i] = out[same[i]];
}

bool nexthop_reaches(const struct nexthop_table *t, const struct addr *host)
{
	return hop_find(t, host)->n > 0;
}

bool nexthop_path(const struct nexthop_table *t, const struct addr *host, uint32_t *neighbour)
{
	const struct hop *h = hop_find(t, host);

	if (h->n == 0)
		return false;
	*neighbour = h->path[path_index(t, h, host)].neighbour;
	return true;
}

/* ---- numbers, and what waits for a grace period ---- */

static int numbers_open(struct numbers *n, uint32_t from, uint32_t limit)
{
	n->back = calloc(limit, sizeof(*n->back));
	n->fresh = from;
	n->limit = limit;
	return n->back ? 0 : -ENOMEM;
}

static int number_take(struct numbers *n, uint32_t *out)
{
	if (n->n > 0)
		*out = n->back[--n->n];
	else if (n->fresh < n->limit)
		*out = n->fresh++;
	else
		return -ENOSPC;
	return 0;
}

static void number_give(struct numbers *n, uint32_t number)
{
	n->back[n->n++] = number;
}

static void table_free(struct nexthop_table *t)
{
	free(t->hops.back);
	free(t->slots.back);
	free(t->slot);
	free(t->rest);
	free(t);
}

/* Reclaim's callback. */
static void retired_run(void *ctx, uint64_t arg)
{
	struct retired *w = ctx;
	struct nexthop_table *t = w->table;

	(void)arg;
	w->done(t, w);
	if (--t->deferred == 0 && t->destroyed)
		table_free(t);
}

/* What reclaim has no memory for is tried again with the next one. */
static void retire(struct nexthop_table *t, struct retired *w,
		   void (*done)(struct nexthop_table *t, struct retired *w))
{
	w->table = t;
	w->done = done;
	w->next = t->retired;
	t->retired = w;
	while ((w = t->retired)) {
		struct retired *next = w->next;

		if (reclaim_defer(t->reclaim, retired_run, w, 0) < 0)
			return;
		t->deferred++;
		t->retired = next;
	}
}

/* ---- hops ---- */

static struct hop *hop_make(const struct path *paths, unsigned int n)
{
	struct hop *h = malloc(sizeof(*h) + n * sizeof(h->path[0]));

	if (h == NULL)
		return NULL;
	h->n = n;
	h->number = NO_NUMBER;
	if (n > 0)
		memcpy(h->path, paths, n * sizeof(h->path[0]));
	return h;
}

static void hop_free(struct nexthop_table *t, struct retired *w)
{
	struct hop *h = (struct hop *)((char *)w - offsetof(struct hop, retired));

	if (h->number != NO_NUMBER) {
		atomic_store_explicit(&t->hop[h->number], NULL, memory_order_relaxed);
		number_give(&t->hops, h->number);
	}
	free(h);
}

int nexthop_hop_add(struct nexthop_table *t, uint32_t *hop)
{
	struct hop *h = hop_make(NULL, 0);
	int rc = h ? number_take(&t->hops, hop) : -ENOMEM;

	if (rc < 0)
		free(h);
	else
		atomic_store_explicit(&t->hop[*hop], h, memory_order_release);
	return rc;
}

int nexthop_hop_set(struct nexthop_table *t, uint32_t hop, const struct path *paths, unsigned int n)
{
	struct hop *h = hop_make(paths, n);

	if (h == NULL)
		return -ENOMEM;
	h = atomic_exchange_explicit(&t->hop[hop], h, memory_order_acq_rel);
	retire(t, &h->retired, hop_free);
	return 0;
}

/* It stays in its place for those who have just read its number. */
void nexthop_hop_remove(struct nexthop_table *t, uint32_t hop)
{
	struct hop *h = atomic_load_explicit(&t->hop[hop], memory_order_relaxed);

	h->number = hop;
	retire(t, &h->retired, hop_free);
}

/* ---- neighbours ---- */

int nexthop_neighbour_add(struct nexthop_table *t, uint32_t *slot)
{
	int rc = number_take(&t->slots, slot);

	if (rc < 0)
		return rc;
	atomic_store_explicit(&t->slot[*slot].way, way_pack(&unknown), memory_order_relaxed);
	atomic_store_explicit(&t->slot[*slot].used, 0, memory_order_relaxed);
	return 0;
}

void nexthop_neighbour_set(struct nexthop_table *t, uint32_t slot, const struct nexthop *nh)
{
	atomic_store_explicit(&t->slot[slot].way, way_pack(nh), memory_order_relaxed);
}

int nexthop_neighbour_list(struct nexthop_table *t, uint32_t slot, const struct addr *host)
{
	struct addr key = host_key(host);

	return rte_hash_add_key_with_hash_data(t->hosts, &key, host_hash(t, &key),
					       (void *)(uintptr_t)slot);
}

static void slot_free(struct nexthop_table *t, struct retired *w)
{
	struct slot_rest *rest =
		(struct slot_rest *)((char *)w - offsetof(struct slot_rest, retired));

	if (rest->position >= 0 && t->hosts)
		rte_hash_free_key_with_position(t->hosts, rest->position);
	number_give(&t->slots, (uint32_t)(rest - t->rest));
}

void nexthop_neighbour_remove(struct nexthop_table *t, uint32_t slot, const struct addr *listed)
{
	struct slot_rest *rest = &t->rest[slot];

	rest->position = -1;
	if (listed) {
		struct addr key = host_key(listed);

		rest->position = rte_hash_del_key_with_hash(t->hosts, &key, host_hash(t, &key));
	}
	retire(t, &rest->retired, slot_free);
}

bool nexthop_take_used(struct nexthop_table *t, uint32_t slot)
{
	_Atomic uint8_t *used = &t->slot[slot].used;

	return atomic_load_explicit(used, memory_order_relaxed) &&
	       atomic_exchange_explicit(used, 0, memory_order_relaxed);
}

struct fib *nexthop_fib(struct nexthop_table *t)
{
	return t->fib;
}

/* ---- the table ---- */

static struct rte_hash *hosts_create(uint32_t neighbours)
{
	static unsigned int number;
	char name[RTE_HASH_NAMESIZE];
	struct rte_hash_parameters params = {
		.name = name,
		/* room for keys that are removed and not yet free, and for full buckets */
		.entries = neighbours + neighbours / 2 + 64,
		.key_len = sizeof(struct addr),
		.socket_id = (int)rte_socket_id(),
		.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF,
	};

	snprintf(name, sizeof(name), "neighbours_%u", number++);
	return rte_hash_create(&params);
}

struct nexthop_table *nexthop_table_create(uint32_t neighbours, uint32_t blocks,
					   struct reclaim *reclaim)
{
	struct nexthop_table *t = calloc(1, sizeof(*t));
	struct hop *none = hop_make(NULL, 0);

	if (t == NULL || none == NULL) {
		free(none);
		free(t);
		return NULL;
	}
	t->reclaim = reclaim;
	atomic_init(&t->hop[NEXTHOP_NONE], none);
	randombytes_buf(&t->seed, sizeof(t->seed));
	t->slot = aligned_alloc(RTE_CACHE_LINE_SIZE,
				RTE_ALIGN(neighbours * sizeof(*t->slot), RTE_CACHE_LINE_SIZE));
	t->rest = calloc(neighbours, sizeof(*t->rest));
	t->fib = fib_create(blocks, reclaim);
	t->hosts = hosts_create(neighbours);
	if (t->slot == NULL || t->rest == NULL || t->fib == NULL || t->hosts == NULL ||
	    numbers_open(&t->hops, NEXTHOP_NONE + 1, HOPS) < 0 ||
	    numbers_open(&t->slots, 0, neighbours) < 0) {
		nexthop_table_destroy(t);
		return NULL;
	}
	return t;
}

void nexthop_table_destroy(struct nexthop_table *t)
{
	if (t == NULL)
		return;
	fib_destroy(t->fib);
	rte_hash_free(t->hosts);
	t->hosts = NULL;
	while (t->retired) {
		struct retired *w = t->retired;

		t->retired = w->next;
		w->done(t, w);
	}
	for (uint32_t i = 0; i < HOPS; i++) {
		struct hop *h = atomic_load_explicit(&t->hop[i], memory_order_relaxed);

		if (h && h->number == NO_NUMBER) /* the others are with reclaim */
			free(h);
	}
	t->destroyed = true;
	if (t->deferred == 0)
		table_free(t);
}
