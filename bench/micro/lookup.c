/* SPDX-License-Identifier: BSD-3-Clause
 * What a request is looked up in, a burst at once: few enough entries to stay in the cache.
 */
#include <stdlib.h>

#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_rcu_qsbr.h>

#include "bench/content.h"
#include "bench/micro/micro.h"
#include "dataplane/lease.h"
#include "dataplane/nexthop.h"
#include "store/cache.h"
#include "store/index.h"

#define BURST 32u
#define ENTRIES 4096u /* a multiple of BURST */
#define NOW 1000

static struct index *blobs;
static struct index_key keys[ENTRIES];
static struct piece pieces[ENTRIES];
static struct cache *cache;
static struct lease_table *leases;
static struct nexthop_table *hops;
static struct addr hosts[ENTRIES];
static const struct addr *host_list[ENTRIES];

/* The next burst's first entry. */
static uint32_t burst_next(void)
{
	static uint32_t at;

	at = (at + BURST) % ENTRIES;
	return at;
}

static bool index_run(uint64_t times)
{
	uint32_t found[BURST];
	bool ok = true;

	for (uint64_t done = 0; done < times; done += BURST) {
		const uint32_t at = burst_next();

		ok &= index_lookup_bulk(blobs, &keys[at], BURST, found) == UINT32_MAX &&
		      found[BURST - 1] == at + BURST - 1;
	}
	return ok;
}

static bool match_run(uint64_t times)
{
	uint32_t at = burst_next();
	bool ok = true;

	while (times-- > 0) {
		const struct piece *p = &pieces[at++ % ENTRIES];

		ok &= piece_match(p, 0, &p->id, RULE_SHA256, CHUNK_SIZE, 0);
	}
	return ok;
}

static bool touch_run(uint64_t times)
{
	cache_map *map = cache_reader(cache, 0);
	uint32_t at = burst_next();

	while (times-- > 0)
		cache_touch(map, at++ % ENTRIES);
	micro_use(map);
	return true;
}

static bool lease_run(uint64_t times)
{
	const struct lease *found[BURST];
	bool ok = true;

	for (uint64_t done = 0; done < times; done += BURST) {
		lease_find(leases, &host_list[burst_next()], BURST, found);
		ok &= found[BURST - 1] != NULL;
	}
	return ok;
}

static bool nexthop_run(uint64_t times)
{
	struct nexthop found[BURST];
	bool ok = true;

	for (uint64_t done = 0; done < times; done += BURST) {
		nexthop_lookup(hops, &host_list[burst_next()], BURST, found);
		ok &= found[BURST - 1].state == NEXTHOP_READY;
	}
	return ok;
}

/* ---- what they look into ---- */

static void must(bool done)
{
	if (!done)
		abort();
}

static void blobs_make(void)
{
	struct index_pad pad;

	must(index_create(&blobs, "micro", ENTRIES, SOCKET_ID_ANY) == 0 &&
	     cache_create(&cache, ENTRIES, 1) == 0);
	index_pad(blobs, 0, RULE_SHA256, &pad);
	for (uint32_t i = 0; i < ENTRIES; i++) {
		struct piece *p = &pieces[i];

		content_fill(2, i, p->id.b, sizeof(p->id.b));
		p->length = CHUNK_SIZE;
		p->rule = RULE_SHA256;
		atomic_store(&p->state, PIECE_READY);
		keys[i] = index_key_make(&pad, &p->id, 0);
		must(index_insert(blobs, &keys[i], i) == 0);
	}
}

static void leases_make(struct reclaim *reclaim)
{
	/* hosts share the counters of what they have */
	leases = lease_table_create(ENTRIES, ENTRIES, reclaim);
	must(leases != NULL);
	for (uint32_t i = 0; i < ENTRIES; i++) {
		const struct lease l = {
			.target = hosts[i], .number = 1, .expiry = NOW + 1, .forget = NOW + 1};

		must(lease_set(leases, &l) == 0);
	}
}

/* One router for all. */
static void hops_make(struct reclaim *reclaim)
{
	const struct nexthop router = {.mac = {{2, 0, 0, 0, 0, 9}}, .state = NEXTHOP_READY};
	const struct prefix all = {.type = ADDR_IP4};
	struct path path = {.up_to = UINT32_MAX};
	uint32_t hop;

	hops = nexthop_table_create(64, 4096, reclaim);
	must(hops != NULL && nexthop_neighbour_add(hops, &path.neighbour) == 0 &&
	     nexthop_hop_add(hops, &hop) == 0);
	nexthop_neighbour_set(hops, path.neighbour, &router);
	must(nexthop_hop_set(hops, hop, &path, 1) == 0 &&
	     fib_set(nexthop_fib(hops), &all, hop) == 0);
}

static struct reclaim *reclaim_make(void)
{
	struct rte_rcu_qsbr *qsbr =
		rte_zmalloc("qsbr", rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE);
	struct reclaim *r;

	must(qsbr != NULL && rte_rcu_qsbr_init(qsbr, 1) == 0);
	r = reclaim_create(qsbr, NULL);
	must(r != NULL);
	return r;
}

void micro_lookup(void)
{
	static const struct micro list[] = {
		{.name = "index_lookup", .run = index_run},
		{.name = "piece_match", .run = match_run},
		{.name = "cache_touch", .run = touch_run},
		{.name = "lease_find", .run = lease_run},
		{.name = "nexthop_lookup", .run = nexthop_run},
	};
	struct reclaim *reclaim = reclaim_make();

	for (uint32_t i = 0; i < ENTRIES; i++) {
		const be32 ip = put32(UINT32_C(0x0a000000) + i * 7);

		hosts[i] = (struct addr){.type = ADDR_IP4, .port = put16(40000)};
		memcpy(hosts[i].ip, &ip, sizeof(ip));
		host_list[i] = &hosts[i];
	}
	blobs_make();
	leases_make(reclaim);
	hops_make(reclaim);
	micro_add(list, sizeof(list) / sizeof(list[0]));
}
