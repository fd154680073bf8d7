/* SPDX-License-Identifier: BSD-3-Clause
 * Holding strangers back: what the worker does for each frame, over enough
 * peers to leave the first-level cache.
 */
#include <stdlib.h>

#include "bench/content.h"
#include "bench/micro/micro.h"
#include "dataplane/shed.h"
#include "wire/frame.h"

#define PEERS 4096u /* a power of two, and few enough to be all known */
#define SEED 5

static struct addr peers[PEERS];
static struct flow_table table;
static struct budget budget;
static struct shed shed;
static struct budget sources;
static uint64_t now_us;

static const struct addr *peer_next(void)
{
	static uint32_t at;

	return &peers[at++ % PEERS];
}

static bool flow_run(uint64_t times, uint64_t conn, bool known)
{
	bool ok = true;

	while (times-- > 0)
		ok &= flow_find(&table, peer_next(), VERB_SEND, conn).known == known;
	return ok;
}

static bool known_run(uint64_t times)
{
	return flow_run(times, 1, true);
}

static bool unknown_run(uint64_t times)
{
	return flow_run(times, 2, false);
}

static bool mark_run(uint64_t times)
{
	while (times-- > 0) {
		struct flow f = flow_find(&table, peer_next(), VERB_SEND, 1);

		flow_mark(&f);
	}
	return true;
}

static bool budget_run(uint64_t times)
{
	while (times-- > 0) {
		uint64_t source = shed_source(peer_next());
		bool taken = budget_take(&budget, &source, sizeof(source), 1, now_us++);

		micro_use(&taken);
	}
	return true;
}

static bool admit_run(uint64_t times)
{
	while (times-- > 0) {
		enum drop reason = shed_admit(&shed, peer_next(), now_us++);

		micro_use(&reason);
	}
	return true;
}

void micro_shed(void)
{
	static const struct micro list[] = {
		{.name = "flow_find/known", .run = known_run},
		{.name = "flow_find/stranger", .run = unknown_run},
		{.name = "flow_mark", .run = mark_run},
		{.name = "budget_take", .run = budget_run},
		{.name = "shed_admit", .run = admit_run},
	};
	static const struct shed_limits limits = {.source = 100, .total = 100000};
	static const struct port port = {.flows_map = -1, .state_map = -1, .workers = 1};
	uint64_t state = SEED;

	if (flow_table_open(&table, &port, &limits, 1) < 0)
		abort();
	budget_init(&budget, 100, 100, SEED);
	budget_init(&sources, limits.source, 2 * (uint64_t)limits.source, SEED);
	shed_init(&shed, &limits, 1, &sources);
	now_us = UINT64_C(1000000);
	for (unsigned int i = 0; i < PEERS; i++) {
		uint64_t bytes = mix_next(&state);

		peers[i] = (struct addr){.type = ADDR_IP4, .port = put16((uint16_t)(1 + i))};
		memcpy(peers[i].ip, &bytes, 4);
	}
	mark_run(PEERS);
	micro_add(list, sizeof(list) / sizeof(list[0]));
}
