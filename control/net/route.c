/* SPDX-License-Identifier: BSD-3-Clause
 * The router: asks for routes, follows the news, and keeps what is in use.
 */
#include <errno.h>
#include <search.h>
#include <stdlib.h>

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "control/net/route_part.h"

/* milliseconds */
#define TICK 200
#define ASK_AGAIN 1000
#define ASK_LIMIT 2700	   /* with a tick's delay, below the 3 s that are promised */
#define VISIT_ROUND 15000  /* every host is looked at this often */
#define UNUSED_LIFE 600000 /* then a host is dropped */
#define COALESCE 50	   /* between a change of routes and looking at them */
#define RESOLVE_PAUSE 10
#define RESOLVE_BURST 256 /* hosts between two pauses */

static void timer_start(struct event *timer, unsigned int ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};

	if (!evtimer_pending(timer, NULL))
		evtimer_add(timer, &tv);
}

static bool route_ask(struct router *r, const struct addr *host, struct netlink_route *route)
{
	const struct addr *from = addr_pair_of(&r->from, host->type);

	if (from->type == ADDR_NONE)
		from = NULL;
	return netlink_route_get(r->netlink, host, from, r->ifindex, route) == 0 &&
	       route->type == RTN_UNICAST && route->ifindex == r->ifindex;
}

bool router_reaches(struct router *r, const struct addr *host)
{
	struct netlink_route route;

	return route_ask(r, host, &route);
}

/* Asks the kernel for the route, and sees how far its neighbour is. */
static void host_resolve(struct router *r, struct host *h)
{
	struct netlink_route route;
	struct neighbour *n;
	uint32_t mtu;

	if (!route_ask(r, &h->addr, &route)) {
		host_detach(r, h);
		host_answer(r, h, NEXTHOP_NO_ROUTE);
		return;
	}
	mtu = route.mtu && route.mtu < r->link_mtu ? route.mtu : r->link_mtu;
	h->mtu = (uint16_t)RTE_MIN(mtu, (uint32_t)UINT16_MAX);
	if (host_attach(r, h, route.via.type == ADDR_NONE ? &h->addr : &route.via) < 0) {
		host_answer(r, h, NEXTHOP_NO_NEIGHBOUR);
		return;
	}
	n = h->via;
	if (n->generation != r->generation)
		neighbour_read(r, n);
	if (n->condition == CONDITION_FAILED && route_clock() - n->since >= ROUTE_NEGATIVE_MS)
		neighbour_ask(r, n);
	if (n->condition == CONDITION_READY)
		host_answer(r, h, NEXTHOP_READY);
	else if (n->condition == CONDITION_FAILED)
		host_answer(r, h, NEXTHOP_NO_NEIGHBOUR);
}

int router_resolve(struct router *r, const struct addr *host)
{
	struct addr key = *host;
	struct host *h;

	key.port = put16(0);
	h = host_find(r, &key);
	if (h && h->waiting)
		return 0;
	if (r->waiting == ROUTE_WAITING)
		return -EBUSY;
	if (!h) {
		if (r->host_count == ROUTE_HOSTS && host_evict(r) < 0)
			return -EBUSY;
		h = host_add(r, &key);
		if (!h)
			return -ENOMEM;
		timer_start(r->tick, TICK);
	}
	h->waiting = true;
	r->waiting++;
	/* a worker may have asked before it could see the answer */
	if (h->published)
		host_answer(r, h, h->shown.state);
	else
		host_resolve(r, h);
	answers_give(r);
	return 0;
}

/* Looks after the head of the list, which goes to its end: dropped when it has
 * long been unused; the kernel sees no use of what XDP sends, so it is told. */
static struct host *host_visit(struct router *r)
{
	struct host *h = TAILQ_FIRST(&r->visit);

	TAILQ_REMOVE(&r->visit, h, visit);
	TAILQ_INSERT_TAIL(&r->visit, h, visit);
	if (host_stamp(r, h)) {
		struct neighbour *n = h->via;

		if (n && n->condition == CONDITION_READY &&
		    route_clock() - n->told >= VISIT_ROUND - TICK)
			neighbour_tell(r, n);
	} else if (!h->waiting && route_clock() - h->used >= UNUSED_LIFE) {
		host_drop(r, h);
		return NULL;
	}
	return h;
}

static void asking_check(struct router *r, uint64_t now)
{
	struct neighbour *n, *next;

	for (n = TAILQ_FIRST(&r->asking); n; n = next) {
		next = TAILQ_NEXT(n, asking);
		if (now - n->since >= ASK_LIMIT)
			neighbour_fail(r, n);
		else if (now - n->told >= ASK_AGAIN)
			neighbour_tell(r, n);
	}
}

static void tick_run(evutil_socket_t fd, short what, void *arg)
{
	struct router *r = arg;
	uint64_t now = route_clock();
	uint32_t visits = r->host_count * TICK / VISIT_ROUND + 1;
	struct host *h;

	(void)fd;
	(void)what;
	asking_check(r, now);
	while ((h = TAILQ_FIRST(&r->negative)) && h->expires <= now && !h->waiting)
		host_drop(r, h);
	/* while routes are looked at again, that visits them all */
	if (r->stale == 0)
		for (; visits && r->host_count; visits--)
			host_visit(r);
	answers_give(r);
	if (r->host_count)
		timer_start(r->tick, TICK);
}

static void resync_run(evutil_socket_t fd, short what, void *arg)
{
	struct router *r = arg;

	(void)fd;
	(void)what;
	if (r->changed)
		r->stale = r->host_count;
	r->changed = false;
	for (unsigned int i = 0; i < RESOLVE_BURST && r->stale; i++) {
		struct host *h;

		r->stale = RTE_MIN(r->stale, r->host_count);
		if (r->stale == 0)
			break;
		r->stale--;
		h = host_visit(r);
		if (h)
			host_resolve(r, h);
	}
	answers_give(r);
	if (r->stale)
		timer_start(r->resync, RESOLVE_PAUSE);
}

static void routes_changed(void *ctx)
{
	struct router *r = ctx;

	r->changed = true;
	timer_start(r->resync, COALESCE);
}

static void link_changed(void *ctx, const struct netlink_link *l)
{
	struct router *r = ctx;

	if (l->ifindex != r->ifindex)
		return;
	if (l->mtu)
		r->link_mtu = l->mtu;
	routes_changed(r);
}

/* The news only says where to look: by now things may have moved on. A deleted
 * neighbour, for one, is first said to have failed. */
static void neighbour_changed(void *ctx, const struct netlink_neighbour *k)
{
	struct router *r = ctx;
	struct neighbour *n;

	if (k->ifindex != r->ifindex)
		return;
	n = neighbour_find(r, &k->addr);
	if (n)
		neighbour_follow(r, n);
}

static void news_lost(void *ctx)
{
	struct router *r = ctx;
	struct netlink_link l;

	r->generation++;
	if (netlink_link_get(r->netlink, r->ifindex, &l) == 0 && l.mtu)
		r->link_mtu = l.mtu;
	routes_changed(r);
}

static void news_read(evutil_socket_t fd, short what, void *arg)
{
	struct router *r = arg;

	(void)fd;
	(void)what;
	netlink_read(r->netlink);
	answers_give(r);
}

static const struct netlink_news news_handlers = {
	.neighbour = neighbour_changed,
	.link = link_changed,
	.addresses = routes_changed, /* a source address can decide on the route */
	.routes = routes_changed,
	.lost = news_lost,
};

struct router *router_create(struct event_base *base, struct nexthop_table *table,
			     unsigned int ifindex, const struct addr_pair *from,
			     route_resolved resolved, void *ctx)
{
	struct router *r = calloc(1, sizeof(*r));
	struct netlink_link link;
	int rc = -ENOMEM;

	if (!r)
		goto fail;
	r->table = table;
	r->ifindex = ifindex;
	r->from = *from;
	r->resolved = resolved;
	r->ctx = ctx;
	TAILQ_INIT(&r->by_use);
	TAILQ_INIT(&r->fresh);
	TAILQ_INIT(&r->visit);
	TAILQ_INIT(&r->negative);
	TAILQ_INIT(&r->answer);
	TAILQ_INIT(&r->asking);
	rc = netlink_open(&r->netlink, &news_handlers, r);
	if (rc < 0)
		goto fail;
	rc = netlink_link_get(r->netlink, ifindex, &link);
	if (rc < 0)
		goto fail_netlink;
	r->link_mtu = link.mtu;
	rc = -ENOMEM;
	r->news = event_new(base, netlink_fd(r->netlink), EV_READ | EV_PERSIST, news_read, r);
	r->tick = evtimer_new(base, tick_run, r);
	r->resync = evtimer_new(base, resync_run, r);
	if (!r->news || !r->tick || !r->resync || event_add(r->news, NULL) < 0)
		goto fail_events;
	return r;

fail_events:
	if (r->news)
		event_free(r->news);
	if (r->tick)
		event_free(r->tick);
	if (r->resync)
		event_free(r->resync);
fail_netlink:
	netlink_close(r->netlink);
fail:
	free(r);
	errno = -rc;
	return NULL;
}

void router_destroy(struct router *r)
{
	if (!r)
		return;
	event_free(r->news);
	event_free(r->tick);
	event_free(r->resync);
	netlink_close(r->netlink);
	tdestroy(r->hosts, free);
	tdestroy(r->neighbours, free);
	free(r);
}
