/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/worker/churn.h"

#include <rte_cycles.h>

#define BATCH 32 /* between two turns of control */
#define LIVE 512 /* that are there at once */
#define LENGTH 64

/* As the engine is in memory, what is asked for has happened when the store was polled. */
static struct churn *under_way;

static void on_stored(struct store_put *put, int result)
{
	(void)put;
	under_way->stored += result == 0;
}

static void on_ended(struct store_put *put)
{
	(void)put;
}

static void on_removed(struct store_removal *r, int result)
{
	(void)r;
	under_way->removed += result == 0;
}

static struct blob_name name_of(uint64_t number)
{
	struct blob_name name = {.length = LENGTH, .rule = RULE_SHA256};

	memset(&name.id, 0xcc, sizeof(name.id));
	memcpy(&name.id, &number, sizeof(number));
	return name;
}

void churn_init(struct churn *c, struct control *ctl, double per_second)
{
	*c = (struct churn){.ctl = ctl, .per_tick = per_second / (double)rte_get_tsc_hz()};
	under_way = c;
}

/* False: there is no room now. */
static bool put_begin(struct churn *c, struct store_put *put, uint64_t number)
{
	static const uint8_t bytes[LENGTH];
	const struct blob_name name = name_of(number);
	struct store *s = &c->ctl->store;

	if (store_put_begin(s, &name, put) < 0)
		return false;
	if (store_put_grow(put, 1) < 0) {
		store_put_end(put, on_ended);
		return false;
	}
	chunk_store(s->slab, slab_piece(s->slab, put->piece[0]), 0, bytes, LENGTH);
	store_put_ready(put, 1);
	store_put_commit(put, on_stored);
	return true;
}

static void come(struct churn *c, uint64_t n)
{
	struct store_put put[BATCH];
	uint64_t begun = 0;

	while (begun < n && put_begin(c, &put[begun], c->stored + begun))
		begun++;
	c->refused += n - begun;
	store_poll(&c->ctl->store, c->ctl->unix_us);
	for (uint64_t i = 0; i < begun; i++)
		store_put_end(&put[i], on_ended);
}

static void go(struct churn *c, uint64_t n)
{
	struct store_removal removal[BATCH];
	const uint64_t first = c->removed;

	for (uint64_t i = 0; i < n; i++) {
		removal[i] = (struct store_removal){.name = name_of(first + i), .fn = on_removed};
		store_remove(&c->ctl->store, &removal[i]);
	}
	store_poll(&c->ctl->store, c->ctl->unix_us);
}

void churn_turn(struct churn *c, uint64_t ticks)
{
	const uint64_t due = (uint64_t)((double)ticks * c->per_tick);

	if (due > c->stored)
		come(c, RTE_MIN(due - c->stored, (uint64_t)BATCH));
	if (c->stored - c->removed > LIVE)
		go(c, RTE_MIN(c->stored - c->removed - LIVE, (uint64_t)BATCH));
}

json_t *churn_end(struct churn *c)
{
	const json_int_t removed = (json_int_t)c->removed;
	uint64_t before;

	do {
		before = c->removed;
		go(c, RTE_MIN(c->stored - c->removed, (uint64_t)BATCH));
	} while (c->removed > before);
	return json_pack("{s:I, s:I, s:I}", "stored", (json_int_t)c->stored, "removed", removed,
			 "refused", (json_int_t)c->refused);
}
