/* SPDX-License-Identifier: BSD-3-Clause
 * The router: follows the kernel's news, and reads everything anew where news was lost or
 * is not given: IPv4 routes go without a word when their interface goes down, loses the
 * address that they prefer, or their next-hop object is deleted.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

#include <net/if.h>

#include <sodium.h>

#include "control/base/log.h"
#include "control/net/router_part.h"

/* milliseconds */
#define COALESCE 50	  /* from what asks for a list until it is asked for */
#define RETRY 1000	  /* after an error */
#define FIRST_LIMIT 60000 /* for the first reading of all */
#define TORN_LIMIT 3	  /* times that a list is asked for again as it changed meanwhile */
#define SHARE 4		  /* times as long as reading all takes, is nothing read */

uint64_t route_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void timer_start(struct event *timer, uint64_t ms)
{
	struct timeval tv = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (ms % 1000) * 1000};

	if (!evtimer_pending(timer, NULL))
		evtimer_add(timer, &tv);
}

/* ---- reading everything ---- */

void resync_start(struct router *r)
{
	uint64_t now = route_clock(), rest = r->sync_began + r->sync_took * (SHARE + 1);

	if (r->stage != SYNC_IDLE)
		r->again = true;
	else
		timer_start(r->resync, rest > now + COALESCE ? rest - now : COALESCE);
}

/* Lists that this relay has no use for are not asked for. */
static bool stage_skipped(const struct router *r, enum sync_stage s)
{
	return ((s == SYNC_RULES4 || s == SYNC_ROUTES4) && !r->config.ip4) ||
	       ((s == SYNC_RULES6 || s == SYNC_ROUTES6) && !r->config.ip6);
}

static void sync_end(struct router *r)
{
	r->stage = SYNC_IDLE;
	r->sync_took = route_clock() - r->sync_began;
	r->stats.syncs++;
	mirror_list_end(r);
	if (r->sync_error < 0 && r->stats.syncs > 1)
		log_line(LOG_NOTICE, "the kernel's routes can be read again");
	r->sync_error = 0;
	if (r->again)
		resync_start(r);
	r->again = false;
}

static void sync_failed(struct router *r, int rc)
{
	r->stage = SYNC_IDLE;
	r->again = false;
	if (r->stats.syncs > 0 && r->sync_error != rc)
		log_line(LOG_WARNING,
			 "warning: the kernel's routes cannot be read (%s); the relay goes on with "
			 "those that it knows, and tries again each second",
			 strerror(-rc));
	r->sync_error = rc;
	timer_start(r->resync, RETRY);
}

static void stage_ask(struct router *r)
{
	static const struct {
		enum netlink_list what;
		uint8_t type;
	} lists[] = {
		[SYNC_RULES4] = {NETLINK_RULES, ADDR_IP4},
		[SYNC_RULES6] = {NETLINK_RULES, ADDR_IP6},
		[SYNC_NEXTHOPS] = {NETLINK_NEXTHOPS, ADDR_IP4},
		[SYNC_ROUTES4] = {NETLINK_ROUTES, ADDR_IP4},
		[SYNC_ROUTES6] = {NETLINK_ROUTES, ADDR_IP6},
	};
	int rc = netlink_list(r->netlink, lists[r->stage].what, lists[r->stage].type);

	if (rc < 0)
		sync_failed(r, rc);
}

static void stage_next(struct router *r)
{
	if (r->stage == SYNC_NEXTHOPS)
		objects_sweep(r);
	r->torn = 0;
	do {
		r->stage++;
	} while (stage_skipped(r, r->stage));
	if (r->stage == SYNC_END)
		sync_end(r);
	else
		stage_ask(r);
}

static void sync_begin(struct router *r)
{
	r->sync_began = route_clock();
	mirror_list_begin(r);
	stage_next(r);
}

static void list_read(struct router *r)
{
	int rc = netlink_list_read(r->netlink);

	if (r->stage == SYNC_IDLE || rc == -EAGAIN)
		return;
	if (rc == -EINTR && r->torn++ < TORN_LIMIT) {
		stage_ask(r); /* what is listed twice is the same twice */
	} else if (rc == -EINTR) {
		r->again = true; /* it never stands still: later, and meanwhile what there is */
		stage_next(r);
	} else if (rc == -EOPNOTSUPP && r->stage == SYNC_NEXTHOPS) {
		stage_next(r); /* Linux before 5.3 */
	} else if (rc < 0) {
		sync_failed(r, rc);
	} else {
		stage_next(r);
	}
}

static void lists_readable(evutil_socket_t fd, short what, void *arg)
{
	struct router *r = arg;

	(void)fd;
	(void)what;
	list_read(r);
	answers_give(r);
}

static void resync_run(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	sync_begin(arg);
}

/* ---- news ---- */

static void on_route(void *ctx, const struct netlink_route *route)
{
	struct router *r = ctx;

	if (!mirror_route(r, route))
		resync_start(r);
}

static void on_nexthop(void *ctx, const struct netlink_nexthop *n)
{
	struct router *r = ctx;

	object_take(r, n);
	if (n->change == NETLINK_GONE)
		resync_start(r);
}

static void on_rule(void *ctx, const struct netlink_rule *rule)
{
	struct router *r = ctx;
	bool ip6 = rule->type == ADDR_IP6;

	if (rule->change == NETLINK_LISTED)
		chain_add(&r->mirror.next[ip6], rule, addr_pair_of(&r->config.from, rule->type));
	else
		resync_start(r);
}

/* An interface that comes or goes takes routes along. */
static void on_link(void *ctx, const struct netlink_link *l)
{
	struct router *r = ctx;
	struct link_state *s;
	bool up = !l->gone && l->flags & IFF_UP, was;

	HASH_FIND(hh, r->links, &l->ifindex, sizeof(l->ifindex), s);
	was = s == NULL || s->up;
	if (s != NULL && l->gone) {
		HASH_DEL(r->links, s);
		free(s);
	} else if (s == NULL && !l->gone) {
		s = calloc(1, sizeof(*s));
		if (s != NULL) {
			s->ifindex = l->ifindex;
			HASH_ADD(hh, r->links, ifindex, sizeof(s->ifindex), s);
		}
	}
	if (s != NULL && !l->gone)
		s->up = up;
	if (up != was && ways_use(r, l->ifindex))
		resync_start(r);
}

static void on_address(void *ctx, uint8_t type, bool gone)
{
	if (gone && type == ADDR_IP4)
		resync_start(ctx);
}

static void on_neighbour(void *ctx, const struct netlink_neighbour *k)
{
	struct router *r = ctx;
	struct neighbour *n = NULL;

	if (k->ifindex == r->config.ifindex)
		n = neighbour_find(r, &k->addr);
	if (n != NULL)
		neighbour_follow(r, n);
}

static void on_lost(void *ctx)
{
	struct router *r = ctx;

	r->neighbours.recheck = r->neighbours.n;
	pump_start(r);
	resync_start(r);
}

static const struct netlink_news handlers = {
	.neighbour = on_neighbour,
	.link = on_link,
	.address = on_address,
	.route = on_route,
	.nexthop = on_nexthop,
	.rule = on_rule,
	.lost = on_lost,
};

static void news_readable(evutil_socket_t fd, short what, void *arg)
{
	struct router *r = arg;

	(void)fd;
	(void)what;
	netlink_read(r->netlink);
	objects_apply(r);
	answers_give(r);
}

/* ---- time ---- */

void pump_start(struct router *r)
{
	timer_start(r->pump, 0);
}

static void pump_run(evutil_socket_t fd, short what, void *arg)
{
	struct router *r = arg;
	bool more = mirror_pump(r);

	(void)fd;
	(void)what;
	more |= neighbours_recheck(r);
	answers_give(r);
	if (more)
		pump_start(r);
}

static void tick_run(evutil_socket_t fd, short what, void *arg)
{
	struct router *r = arg;

	(void)fd;
	(void)what;
	neighbours_tick(r);
	answers_give(r);
}

/* ---- for the rest of control ---- */

static struct neighbour *neighbour_of(struct router *r, const struct addr *host, int *rc)
{
	struct neighbour *n;
	uint32_t slot;

	*rc = 0;
	if (!nexthop_path(r->config.table, host, &slot)) {
		*rc = -ENETUNREACH;
		return NULL;
	}
	n = slot == NEXTHOP_ON_LINK ? neighbour_find(r, host) : r->neighbours.by_slot[slot];
	if (slot == NEXTHOP_ON_LINK && (n == NULL || !n->listed))
		*rc = -ENOENT;
	return n;
}

/* A /24 of IPv4, a /48 of IPv6. */
static bool ask_allowed(struct router *r, const struct addr *source)
{
	struct prefix net =
		prefix_make(source->type, source->ip, source->type == ADDR_IP4 ? 24 : 48);

	return budget_take(&r->asks, &net, sizeof(net), 1, route_clock() * 1000);
}

int router_resolve(struct router *r, const struct addr *host, const struct addr *source,
		   struct addr *neighbour)
{
	struct neighbour *n;
	int rc;

	n = neighbour_of(r, host, &rc);
	if (rc == -ENETUNREACH)
		return rc;
	if (n != NULL && n->condition == CONDITION_FAILED)
		return -EHOSTUNREACH;
	if (n == NULL || n->condition == CONDITION_UNKNOWN) {
		if (!ask_allowed(r, source))
			return -EDQUOT;
		if (r->neighbours.waiting == ROUTE_WAITING)
			return -EBUSY;
	}
	if (rc == -ENOENT)
		n = neighbour_on_link(r, host);
	if (n == NULL)
		return -EBUSY;
	if (n->condition == CONDITION_UNKNOWN)
		neighbour_ask(r, n);
	if (n->shown.state == NEXTHOP_READY)
		return 0;
	if (!n->waiting) {
		n->waiting = true;
		r->neighbours.waiting++;
	}
	*neighbour = n->addr;
	return -EINPROGRESS;
}

bool router_awaits(struct router *r, const struct addr *host, struct addr *neighbour)
{
	int rc;
	const struct neighbour *n = neighbour_of(r, host, &rc);

	if (n == NULL || !n->waiting)
		return false;
	*neighbour = n->addr;
	return true;
}

struct router_size router_size(const struct router *r)
{
	return (struct router_size){
		.routes = r->mirror.routes,
		.left_out = r->mirror.left_out,
		.rules_out = r->mirror.chain[0].left_out + r->mirror.chain[1].left_out,
		.neighbours = r->neighbours.n,
		.blocks = fib_blocks(nexthop_fib(r->config.table)),
		.busy = r->stage != SYNC_IDLE || evtimer_pending(r->pump, NULL) ||
			evtimer_pending(r->resync, NULL),
	};
}

const struct router_stats *router_stats(const struct router *r)
{
	return &r->stats;
}

/* ---- its life ---- */

/* Before anybody sends: all at once. */
static int first_sync(struct router *r)
{
	struct pollfd p = {.fd = netlink_list_fd(r->netlink), .events = POLLIN};
	uint64_t end = route_clock() + FIRST_LIMIT;

	sync_begin(r);
	while (r->stage != SYNC_IDLE && route_clock() < end) {
		if (poll(&p, 1, 1000) > 0)
			list_read(r);
	}
	if (r->stats.syncs == 0)
		return r->stage == SYNC_IDLE ? r->sync_error : -ETIMEDOUT;
	while (mirror_pump(r))
		;
	return 0;
}

static int events_open(struct router *r)
{
	const struct timeval tick = {.tv_usec = ROUTE_TICK_MS * 1000};
	struct event_base *base = r->config.base;

	r->news = event_new(base, netlink_fd(r->netlink), EV_READ | EV_PERSIST, news_readable, r);
	r->lists = event_new(base, netlink_list_fd(r->netlink), EV_READ | EV_PERSIST,
			     lists_readable, r);
	r->tick = event_new(base, -1, EV_PERSIST, tick_run, r);
	r->pump = evtimer_new(base, pump_run, r);
	r->resync = evtimer_new(base, resync_run, r);
	if (!r->news || !r->lists || !r->tick || !r->pump || !r->resync)
		return -ENOMEM;
	return event_add(r->news, NULL) < 0 || event_add(r->lists, NULL) < 0 ||
			       event_add(r->tick, &tick) < 0
		       ? -ENOMEM
		       : 0;
}

struct router *router_create(const struct router_config *config)
{
	struct router *r = calloc(1, sizeof(*r));
	struct netlink_link link;
	int rc = -ENOMEM;

	if (r == NULL)
		goto fail;
	r->config = *config;
	if (r->config.neighbours == 0)
		r->config.neighbours = ROUTE_NEIGHBOURS;
	budget_init(&r->asks, ROUTE_ASKS_PER_SECOND, ROUTE_ASKS_BURST, randombytes_random());
	mirror_open(r);
	rc = netlink_open(&r->netlink, &handlers, r);
	if (rc < 0)
		goto fail;
	rc = netlink_link_get(r->netlink, config->ifindex, &link);
	if (rc == 0)
		rc = events_open(r);
	if (rc == 0)
		rc = neighbours_open(r);
	if (rc == 0)
		rc = ways_open(r);
	if (rc == 0)
		rc = first_sync(r);
	if (rc == 0)
		return r;
fail:
	router_destroy(r);
	errno = -rc;
	return NULL;
}

static void event_close(struct event *e)
{
	if (e != NULL)
		event_free(e);
}

void router_destroy(struct router *r)
{
	struct link_state *s, *next;

	if (r == NULL)
		return;
	mirror_close(r);
	ways_close(r);
	neighbours_close(r);
	HASH_ITER(hh, r->links, s, next)
	{
		HASH_DEL(r->links, s);
		free(s);
	}
	event_close(r->news);
	event_close(r->lists);
	event_close(r->tick);
	event_close(r->pump);
	event_close(r->resync);
	if (r->netlink != NULL)
		netlink_close(r->netlink);
	free(r);
}
