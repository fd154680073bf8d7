/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <time.h>

#include <linux/neighbour.h>

#include "control/net/route_part.h"

#define USED_LATELY 30000 /* milliseconds: worth asking for again when the kernel forgot it */

uint64_t route_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int addr_order(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct addr));
}

/* ---- hosts ---- */

struct host *host_find(struct router *r, const struct addr *addr)
{
	struct host **slot = tfind(addr, &r->hosts, addr_order);

	return slot ? *slot : NULL;
}

struct host *host_add(struct router *r, const struct addr *addr)
{
	struct host *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->addr = *addr;
	h->used = route_clock();
	if (!tsearch(h, &r->hosts, addr_order)) {
		free(h);
		return NULL;
	}
	TAILQ_INSERT_HEAD(&r->fresh, h, by_use);
	TAILQ_INSERT_TAIL(&r->visit, h, visit);
	r->host_count++;
	return h;
}

/* What cannot be published for want of memory is taken out: it is no longer
 * true. The host then expires like a negative answer. */
static void host_publish(struct router *r, struct host *h, enum nexthop_state state)
{
	struct nexthop nh = {.state = (uint8_t)state, .mtu = h->mtu};

	if (state == NEXTHOP_READY)
		nh.mac = h->via->mac;
	if (h->published && h->shown.state == nh.state && h->shown.mtu == nh.mtu &&
	    rte_is_same_ether_addr(&h->shown.mac, &nh.mac))
		return;
	h->published = nexthop_set(r->table, &h->addr, &nh) == 0;
	h->shown = nh;
	if (!h->published)
		nexthop_remove(r->table, &h->addr);
}

void host_answer(struct router *r, struct host *h, enum nexthop_state state)
{
	host_publish(r, h, state);
	if (state == NEXTHOP_READY && h->published) {
		if (h->expires)
			TAILQ_REMOVE(&r->negative, h, negative);
		h->expires = 0;
	} else if (!h->expires) {
		h->expires = route_clock() + ROUTE_NEGATIVE_MS;
		TAILQ_INSERT_TAIL(&r->negative, h, negative);
	}
	if (h->waiting && !h->done) {
		TAILQ_INSERT_TAIL(&r->answer, h, answer);
		h->done = true;
	}
}

/* Calls back. Whoever is called may ask for more hosts: those are put on the
 * list, and this loop comes to them. */
void answers_give(struct router *r)
{
	struct host *h;

	if (r->answering)
		return;
	r->answering = true;
	while ((h = TAILQ_FIRST(&r->answer))) {
		struct addr addr = h->addr; /* h may be evicted meanwhile */

		TAILQ_REMOVE(&r->answer, h, answer);
		h->done = h->waiting = false;
		r->waiting--;
		r->resolved(r->ctx, &addr);
	}
	r->answering = false;
}

void host_detach(struct router *r, struct host *h)
{
	struct neighbour *n = h->via;

	if (!n)
		return;
	TAILQ_REMOVE(&n->hosts, h, of_neighbour);
	h->via = NULL;
	if (!TAILQ_EMPTY(&n->hosts))
		return;
	if (n->condition == CONDITION_ASKING)
		TAILQ_REMOVE(&r->asking, n, asking);
	tdelete(n, &r->neighbours, addr_order);
	free(n);
}

static struct host_list *use_list(struct router *r, const struct host *h)
{
	return h->kept ? &r->by_use : &r->fresh;
}

void host_drop(struct router *r, struct host *h)
{
	nexthop_remove(r->table, &h->addr);
	host_detach(r, h);
	if (h->expires)
		TAILQ_REMOVE(&r->negative, h, negative);
	TAILQ_REMOVE(use_list(r, h), h, by_use);
	TAILQ_REMOVE(&r->visit, h, visit);
	r->host_count--;
	tdelete(h, &r->hosts, addr_order);
	free(h);
}

bool host_stamp(struct router *r, struct host *h)
{
	if (!nexthop_take_used(r->table, &h->addr))
		return false;
	h->used = route_clock();
	TAILQ_REMOVE(use_list(r, h), h, by_use);
	h->kept |= h->looked_at;
	h->looked_at = true;
	TAILQ_INSERT_HEAD(use_list(r, h), h, by_use);
	return true;
}

/* Who seems unused for longest may have been used since somebody last looked, as workers
 * only mark it in the table. A look takes the mark, so nobody is looked at many times. */
int host_evict(struct router *r)
{
	for (uint32_t looks = 2 * r->host_count + 1; looks > 0; looks--) {
		struct host *h = TAILQ_LAST(&r->fresh, host_list);

		if (h == NULL)
			h = TAILQ_LAST(&r->by_use, host_list);
		if (h == NULL)
			break;
		if (!h->waiting && !host_stamp(r, h)) {
			host_drop(r, h);
			return 0;
		}
		if (h->waiting) {
			TAILQ_REMOVE(use_list(r, h), h, by_use);
			TAILQ_INSERT_HEAD(use_list(r, h), h, by_use);
		}
	}
	return -EBUSY;
}

/* ---- neighbours ---- */

static void neighbour_condition(struct router *r, struct neighbour *n, enum condition to)
{
	if (n->condition == CONDITION_ASKING)
		TAILQ_REMOVE(&r->asking, n, asking);
	if (to == CONDITION_ASKING)
		TAILQ_INSERT_TAIL(&r->asking, n, asking);
	n->condition = to;
	n->since = route_clock();
}

static struct netlink_neighbour kernel_view(struct router *r, const struct neighbour *n)
{
	struct netlink_neighbour k;

	if (netlink_neighbour_get(r->netlink, &n->addr, r->ifindex, &k) < 0)
		k = (struct netlink_neighbour){.state = NUD_NONE};
	return k;
}

/* Not a static one: since Linux 5.16 NTF_USE makes it an ordinary one, without
 * an address. If the kernel refuses, asking ends at its limit. */
void neighbour_tell(struct router *r, struct neighbour *n)
{
	if (!(kernel_view(r, n).state & (NUD_PERMANENT | NUD_NOARP)))
		netlink_neighbour_use(r->netlink, &n->addr, r->ifindex);
	n->told = route_clock();
}

void neighbour_ask(struct router *r, struct neighbour *n)
{
	neighbour_condition(r, n, CONDITION_ASKING);
	neighbour_tell(r, n);
}

void neighbour_fail(struct router *r, struct neighbour *n)
{
	struct host *h;

	neighbour_condition(r, n, CONDITION_FAILED);
	TAILQ_FOREACH (h, &n->hosts, of_neighbour)
		host_answer(r, h, NEXTHOP_NO_NEIGHBOUR);
}

static void neighbour_ready(struct router *r, struct neighbour *n, const struct rte_ether_addr *mac)
{
	struct host *h;

	if (n->condition == CONDITION_READY && rte_is_same_ether_addr(&n->mac, mac))
		return;
	n->mac = *mac;
	neighbour_condition(r, n, CONDITION_READY);
	TAILQ_FOREACH (h, &n->hosts, of_neighbour)
		host_answer(r, h, NEXTHOP_READY);
}

/* What the kernel says of it now. While we ask, only an answer counts, or the
 * limit: a failure may be the end of an earlier attempt. */
static void neighbour_update(struct router *r, struct neighbour *n,
			     const struct netlink_neighbour *k)
{
	const uint16_t valid =
		NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP;

	if (k->state & valid && k->has_mac)
		neighbour_ready(r, n, &k->mac);
	else if (n->condition == CONDITION_READY && k->state & NUD_FAILED)
		neighbour_fail(r, n);
	else if (n->condition == CONDITION_READY || n->condition == CONDITION_NEW)
		neighbour_ask(r, n);
}

void neighbour_read(struct router *r, struct neighbour *n)
{
	const struct netlink_neighbour k = kernel_view(r, n);

	n->generation = r->generation;
	neighbour_update(r, n, &k);
}

static bool neighbour_used(struct router *r, const struct neighbour *n)
{
	struct host *h;
	bool used = false;

	TAILQ_FOREACH (h, &n->hosts, of_neighbour) {
		host_stamp(r, h);
		used |= h->waiting || route_clock() - h->used < USED_LATELY;
	}
	return used;
}

void neighbour_follow(struct router *r, struct neighbour *n)
{
	const struct netlink_neighbour k = kernel_view(r, n);
	struct host *h, *next;

	if (k.state != NUD_NONE || n->condition != CONDITION_READY || neighbour_used(r, n)) {
		neighbour_update(r, n, &k);
		return;
	}
	for (h = TAILQ_FIRST(&n->hosts); h; h = next) {
		next = TAILQ_NEXT(h, of_neighbour); /* with the last one, n goes */
		host_drop(r, h);
	}
}

struct neighbour *neighbour_find(struct router *r, const struct addr *addr)
{
	struct neighbour **slot = tfind(addr, &r->neighbours, addr_order);

	return slot ? *slot : NULL;
}

static struct neighbour *neighbour_add(struct router *r, const struct addr *addr)
{
	struct neighbour *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->addr = *addr;
	n->generation = r->generation - 1;
	TAILQ_INIT(&n->hosts);
	if (!tsearch(n, &r->neighbours, addr_order)) {
		free(n);
		return NULL;
	}
	return n;
}

int host_attach(struct router *r, struct host *h, const struct addr *via)
{
	struct neighbour *n = neighbour_find(r, via);

	if (h->via && h->via == n)
		return 0;
	if (!n)
		n = neighbour_add(r, via);
	if (!n)
		return -ENOMEM;
	host_detach(r, h);
	h->via = n;
	TAILQ_INSERT_TAIL(&n->hosts, h, of_neighbour);
	return 0;
}
