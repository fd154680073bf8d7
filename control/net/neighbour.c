/* SPDX-License-Identifier: BSD-3-Clause
 * Neighbours. The kernel resolves them, for it answers what others ask too: it is told that
 * one is in use, and says how that goes. What workers see of one stays until something
 * better is known.
 */
#include <errno.h>
#include <stdlib.h>

#include <linux/neighbour.h>

#include "control/net/router_part.h"

/* milliseconds */
#define ASK_AGAIN 1000
#define ASK_LIMIT 2700	   /* with a tick's delay, below the 3 s that are promised */
#define VISIT_ROUND 15000  /* every neighbour is looked at this often */
#define UNUSED_LIFE 600000 /* then it is dropped */
#define USED_LATELY 30000  /* worth asking for again when the kernel forgot it */

#define RECHECK_BURST 64

static struct addr no_port(const struct addr *a)
{
	struct addr host = *a;

	host.port = put16(0);
	return host;
}

/* ---- which there are ---- */

struct neighbour *neighbour_find(struct router *r, const struct addr *addr)
{
	struct addr key = no_port(addr);
	struct neighbour *n;

	HASH_FIND(hh, r->neighbours.by_addr, &key, sizeof(key), n);
	return n;
}

static struct neighbour_list *use_list(struct router *r, const struct neighbour *n)
{
	return n->kept ? &r->neighbours.by_use : &r->neighbours.fresh;
}

/* The list that a condition has its neighbours on, NULL: none. */
static struct neighbour_list *state_list(struct router *r, enum condition condition)
{
	switch (condition) {
	case CONDITION_ASKING:
		return &r->neighbours.asking;
	case CONDITION_FAILED:
		return &r->neighbours.failed;
	default:
		return NULL;
	}
}

static void condition_set(struct router *r, struct neighbour *n, enum condition to)
{
	struct neighbour_list *list = state_list(r, n->condition);

	if (list)
		TAILQ_REMOVE(list, n, state);
	list = state_list(r, to);
	if (list)
		TAILQ_INSERT_TAIL(list, n, state);
	n->condition = to;
	n->since = route_clock();
}

/* Nobody may be waiting for it, nor lead by it. */
static void neighbour_drop(struct router *r, struct neighbour *n)
{
	struct neighbours *all = &r->neighbours;
	uint32_t slot = n->slot;

	condition_set(r, n, CONDITION_UNKNOWN);
	if (n->listed)
		TAILQ_REMOVE(use_list(r, n), n, by_use);
	TAILQ_REMOVE(&all->visit, n, visit);
	HASH_DEL(all->by_addr, n);
	all->by_slot[slot] = NULL;
	all->n--;
	nexthop_neighbour_remove(r->config.table, slot, n->listed ? &n->addr : NULL);
	free(n);
}

/* Asks the table whether workers used it since this was last asked. The first time that
 * they did does not count, as who asks for a host uses it once. */
static bool neighbour_stamp(struct router *r, struct neighbour *n)
{
	if (!nexthop_take_used(r->config.table, n->slot))
		return false;
	n->used = route_clock();
	if (n->listed)
		TAILQ_REMOVE(use_list(r, n), n, by_use);
	n->kept |= n->looked_at;
	n->looked_at = true;
	if (n->listed)
		TAILQ_INSERT_HEAD(use_list(r, n), n, by_use);
	return true;
}

/* Drops one that is not in use: of those that were asked for once, if there are any, so
 * that who names many hosts drives out no other. Who seems unused for longest may have been
 * used since somebody last looked, as workers only mark it in the table; a look takes the
 * mark, so nobody is looked at many times. False: all are in use. */
static bool neighbour_evict(struct router *r)
{
	for (uint32_t looks = 2 * r->neighbours.n + 1; looks > 0; looks--) {
		struct neighbour *n = TAILQ_LAST(&r->neighbours.fresh, neighbour_list);
		bool held;

		if (n == NULL)
			n = TAILQ_LAST(&r->neighbours.by_use, neighbour_list);
		if (n == NULL)
			break;
		held = n->waiting || n->pins > 0;
		if (!held && !neighbour_stamp(r, n)) {
			neighbour_drop(r, n);
			return true;
		}
		if (held) {
			TAILQ_REMOVE(use_list(r, n), n, by_use);
			TAILQ_INSERT_HEAD(use_list(r, n), n, by_use);
		}
	}
	return false;
}

static struct neighbour *neighbour_add(struct router *r, const struct addr *addr)
{
	struct neighbours *all = &r->neighbours;
	struct neighbour *n;

	if (all->n == r->config.neighbours && !neighbour_evict(r))
		return NULL;
	n = calloc(1, sizeof(*n));
	if (n == NULL)
		return NULL;
	if (nexthop_neighbour_add(r->config.table, &n->slot) < 0) {
		free(n);
		return NULL;
	}
	n->addr = no_port(addr);
	n->used = n->since = route_clock();
	all->by_slot[n->slot] = n;
	all->n++;
	TAILQ_INSERT_TAIL(&all->visit, n, visit);
	HASH_ADD(hh, all->by_addr, addr, sizeof(n->addr), n);
	return n;
}

/* ---- what is known of them ---- */

static void neighbour_show(struct router *r, struct neighbour *n, enum nexthop_state state,
			   const struct rte_ether_addr *mac)
{
	struct nexthop nh = {.state = (uint8_t)state, .port = r->config.port};

	if (mac)
		nh.mac = *mac;
	n->shown = nh;
	nexthop_neighbour_set(r->config.table, n->slot, &nh);
}

/* It is ready or has failed: whoever waits is called back by answers_give(). */
static void neighbour_answer(struct router *r, struct neighbour *n)
{
	if (n->waiting && !n->done) {
		TAILQ_INSERT_TAIL(&r->neighbours.answer, n, answer);
		n->done = true;
	}
	r->ways.news |= n->pins > 0;
}

static void neighbour_ready(struct router *r, struct neighbour *n, const struct rte_ether_addr *mac)
{
	if (n->condition != CONDITION_READY)
		condition_set(r, n, CONDITION_READY);
	if (n->shown.state != NEXTHOP_READY || !rte_is_same_ether_addr(&n->shown.mac, mac))
		neighbour_show(r, n, NEXTHOP_READY, mac);
	neighbour_answer(r, n);
}

static void neighbour_fail(struct router *r, struct neighbour *n)
{
	condition_set(r, n, CONDITION_FAILED);
	neighbour_show(r, n, NEXTHOP_NO_NEIGHBOUR, NULL);
	neighbour_answer(r, n);
}

static void neighbour_forget(struct router *r, struct neighbour *n)
{
	condition_set(r, n, CONDITION_UNKNOWN);
	neighbour_show(r, n, NEXTHOP_UNKNOWN, NULL);
}

static struct netlink_neighbour kernel_view(struct router *r, const struct neighbour *n)
{
	struct netlink_neighbour k;

	if (netlink_neighbour_get(r->netlink, &n->addr, r->config.ifindex, &k) < 0)
		k = (struct netlink_neighbour){.state = NUD_NONE};
	return k;
}

static bool view_ready(const struct netlink_neighbour *k)
{
	const uint16_t valid =
		NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP;

	return k->state & valid && k->has_mac;
}

/* Tells the kernel that it is in use. Not of a static one: since Linux 5.16 NTF_USE makes
 * it an ordinary one, without an address. If the kernel refuses, asking ends at its limit. */
static void neighbour_tell(struct router *r, struct neighbour *n, const struct netlink_neighbour *k)
{
	if (!(k->state & (NUD_PERMANENT | NUD_NOARP)))
		netlink_neighbour_use(r->netlink, &n->addr, r->config.ifindex);
	n->told = route_clock();
}

/* Likewise, after a look at what the kernel says of it. */
static void neighbour_remind(struct router *r, struct neighbour *n)
{
	const struct netlink_neighbour k = kernel_view(r, n);

	neighbour_tell(r, n, &k);
}

void neighbour_ask(struct router *r, struct neighbour *n)
{
	struct netlink_neighbour k;

	if (n->condition == CONDITION_ASKING)
		return;
	/* the kernel may know it, for others' sake */
	k = kernel_view(r, n);
	if (view_ready(&k)) {
		neighbour_ready(r, n, &k.mac);
		return;
	}
	condition_set(r, n, CONDITION_ASKING);
	r->stats.asks++;
	neighbour_tell(r, n, &k);
}

static bool neighbour_used(struct router *r, struct neighbour *n)
{
	neighbour_stamp(r, n);
	return n->waiting || route_clock() - n->used < USED_LATELY;
}

/* By now things may have moved on: the news only says where to look. A deleted neighbour,
 * for one, is first said to have failed. While we ask, only an answer counts, or the limit:
 * a failure may be the end of an earlier attempt. */
void neighbour_follow(struct router *r, struct neighbour *n)
{
	const struct netlink_neighbour k = kernel_view(r, n);

	if (view_ready(&k)) {
		neighbour_ready(r, n, &k.mac);
	} else if (n->condition == CONDITION_READY && k.state & NUD_FAILED) {
		neighbour_fail(r, n);
	} else if (n->condition == CONDITION_READY && neighbour_used(r, n)) {
		neighbour_ask(r, n); /* and meanwhile it is as it was */
	} else if (n->condition == CONDITION_READY && k.state == NUD_NONE) {
		neighbour_forget(r, n);
		if (n->pins == 0)
			neighbour_drop(r, n);
	}
}

/* ---- who has them ---- */

struct neighbour *neighbour_hold(struct router *r, const struct addr *addr)
{
	struct neighbour *n = neighbour_find(r, addr);

	if (n == NULL) {
		struct netlink_neighbour k;

		n = neighbour_add(r, addr);
		if (n == NULL)
			return NULL;
		k = kernel_view(r, n);
		if (view_ready(&k))
			neighbour_ready(r, n, &k.mac);
	}
	n->pins++;
	return n;
}

void neighbour_release(struct router *r, struct neighbour *n)
{
	if (--n->pins == 0 && !n->listed && !n->waiting)
		neighbour_drop(r, n);
}

struct neighbour *neighbour_on_link(struct router *r, const struct addr *host)
{
	struct neighbour *n = neighbour_find(r, host);

	if (n == NULL)
		n = neighbour_add(r, host);
	if (n == NULL || n->listed)
		return n;
	if (nexthop_neighbour_list(r->config.table, n->slot, &n->addr) < 0) {
		if (n->pins == 0)
			neighbour_drop(r, n);
		return NULL;
	}
	n->listed = true;
	TAILQ_INSERT_HEAD(use_list(r, n), n, by_use);
	return n;
}

/* Whoever is called may ask for more: those are put on the list, and this loop comes to
 * them. */
void answers_give(struct router *r)
{
	struct neighbours *all = &r->neighbours;
	struct neighbour *n;

	if (all->answering)
		return;
	if (r->ways.news)
		ways_check(r);
	all->answering = true;
	while ((n = TAILQ_FIRST(&all->answer))) {
		struct addr addr = n->addr; /* n may be evicted meanwhile */

		TAILQ_REMOVE(&all->answer, n, answer);
		n->done = n->waiting = false;
		all->waiting--;
		if (n->pins == 0 && !n->listed) /* its route has gone */
			neighbour_drop(r, n);
		r->config.resolved(r->config.ctx, &addr);
	}
	all->answering = false;
}

/* ---- time ---- */

/* Looks after the head of the list, which goes to its end: dropped when it has long been
 * unused; the kernel sees no use of what XDP sends, so it is told. */
static void neighbour_visit(struct router *r)
{
	struct neighbour *n = TAILQ_FIRST(&r->neighbours.visit);
	uint64_t now = route_clock();

	TAILQ_REMOVE(&r->neighbours.visit, n, visit);
	TAILQ_INSERT_TAIL(&r->neighbours.visit, n, visit);
	if (neighbour_stamp(r, n)) {
		if (n->condition == CONDITION_READY && now - n->told >= VISIT_ROUND - ROUTE_TICK_MS)
			neighbour_remind(r, n);
		/* frames go by another of its route's paths, and this one is to come back */
		else if (n->condition == CONDITION_UNKNOWN && n->pins > 0)
			neighbour_ask(r, n);
	} else if (!n->waiting && n->pins == 0 && now - n->used >= UNUSED_LIFE) {
		neighbour_drop(r, n);
	}
}

static void asking_check(struct router *r, uint64_t now)
{
	struct neighbour *n, *next;

	for (n = TAILQ_FIRST(&r->neighbours.asking); n; n = next) {
		next = TAILQ_NEXT(n, state);
		if (now - n->since >= ASK_LIMIT)
			neighbour_fail(r, n);
		else if (now - n->told >= ASK_AGAIN)
			neighbour_remind(r, n);
	}
}

/* A bad answer is forgotten after a while, so that the next need asks again. */
static void failed_check(struct router *r, uint64_t now)
{
	struct neighbour *n;

	while ((n = TAILQ_FIRST(&r->neighbours.failed)) && now - n->since >= ROUTE_NEGATIVE_MS) {
		neighbour_forget(r, n);
		if (n->pins == 0 && !n->waiting)
			neighbour_drop(r, n);
	}
}

void neighbours_tick(struct router *r)
{
	uint64_t now = route_clock();
	uint32_t visits = r->neighbours.n * ROUTE_TICK_MS / VISIT_ROUND + 1;

	asking_check(r, now);
	failed_check(r, now);
	for (; visits > 0 && r->neighbours.n > 0; visits--)
		neighbour_visit(r);
}

bool neighbours_recheck(struct router *r)
{
	struct neighbours *all = &r->neighbours;

	for (unsigned int i = 0; i < RECHECK_BURST && all->recheck > 0 && all->n > 0; i++) {
		struct neighbour *n = TAILQ_FIRST(&all->visit);

		all->recheck--;
		TAILQ_REMOVE(&all->visit, n, visit);
		TAILQ_INSERT_TAIL(&all->visit, n, visit);
		neighbour_follow(r, n);
	}
	return all->recheck > 0 && all->n > 0;
}

int neighbours_open(struct router *r)
{
	struct neighbours *all = &r->neighbours;

	TAILQ_INIT(&all->visit);
	TAILQ_INIT(&all->asking);
	TAILQ_INIT(&all->failed);
	TAILQ_INIT(&all->by_use);
	TAILQ_INIT(&all->fresh);
	TAILQ_INIT(&all->answer);
	all->by_slot = calloc(ROUTE_SLOTS, sizeof(struct neighbour *));
	return all->by_slot ? 0 : -ENOMEM;
}

/* The table keeps its entries. */
void neighbours_close(struct router *r)
{
	struct neighbour *n, *next;

	HASH_ITER(hh, r->neighbours.by_addr, n, next)
	{
		HASH_DEL(r->neighbours.by_addr, n);
		free(n);
	}
	free(r->neighbours.by_slot);
}
