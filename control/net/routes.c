/* SPDX-License-Identifier: BSD-3-Clause
 * The routes that the kernel has for a prefix, in its order. They come in lists and in news,
 * which are of different moments: what news said since a list was begun is newer.
 */
#include <stdlib.h>

#include "control/net/router_part.h"

/* ---- tables ---- */

struct table *table_find(const struct router *r, uint32_t id)
{
	struct table *t;

	HASH_FIND(hh, r->mirror.tables, &id, sizeof(id), t);
	return t;
}

static struct table *table_make(struct router *r, uint32_t id)
{
	struct table *t = table_find(r, id);

	if (t != NULL)
		return t;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return NULL;
	t->id = id;
	HASH_ADD(hh, r->mirror.tables, id, sizeof(t->id), t);
	return t;
}

void tables_free(struct router *r)
{
	struct table *t, *next;

	HASH_ITER(hh, r->mirror.tables, t, next)
	{
		HASH_DEL(r->mirror.tables, t);
		free(t);
	}
}

/* ---- routes ---- */

static void route_count(struct router *r, const struct prefix_node *n, const struct route *e,
			int by)
{
	struct table *t = table_find(r, e->table);

	t->of_length[route_version(n->key.type)][n->key.bits] += (uint32_t)by;
	if (e->way->is_throw)
		t->throws += (uint32_t)by;
	r->mirror.routes += (uint32_t)by;
}

static void route_free(struct router *r, struct prefix_node *n, struct route **at)
{
	struct route *e = *at;

	if (!e->gone)
		route_count(r, n, e, -1);
	*at = e->next;
	way_drop(r, e->way);
	free(e);
}

/* While routes are listed, the list may name it still: it is remembered as gone. */
static void route_gone(struct router *r, struct prefix_node *n, struct route **at)
{
	struct route *e = *at;

	if (!r->mirror.listing) {
		route_free(r, n, at);
		return;
	}
	if (!e->gone)
		route_count(r, n, e, -1);
	e->gone = true;
	e->generation = r->mirror.generation;
}

void routes_sweep(struct router *r, struct prefix_node *n)
{
	struct route **at = &n->routes;

	while (*at != NULL)
		if ((*at)->gone || (*at)->generation != r->mirror.generation)
			route_free(r, n, at);
		else
			at = &(*at)->next;
}

static bool same_rank(const struct route *e, const struct netlink_route *m)
{
	return e->table == m->table && e->metric == m->metric;
}

static struct route **route_find(struct prefix_node *n, const struct netlink_route *m,
				 const struct way *w)
{
	struct route **at = &n->routes;

	while (*at != NULL && !(same_rank(*at, m) && (*at)->way == w))
		at = &(*at)->next;
	return at;
}

/* Before (or behind) those of its table that have the same metric. */
static bool route_add(struct router *r, struct prefix_node *n, const struct netlink_route *m,
		      struct way *w, bool before)
{
	struct route *e = calloc(1, sizeof(*e)), **at = &n->routes;

	if (e == NULL || table_make(r, m->table) == NULL) {
		free(e);
		return false;
	}
	e->table = m->table;
	e->metric = m->metric;
	e->generation = r->mirror.generation;
	e->way = way_keep(w);
	while (*at != NULL && ((*at)->table != e->table || (*at)->metric < e->metric ||
			       (!before && (*at)->metric == e->metric)))
		at = &(*at)->next;
	e->next = *at;
	*at = e;
	route_count(r, n, e, 1);
	return true;
}

static bool route_listed(struct router *r, struct prefix_node *n, const struct netlink_route *m,
			 struct way *w)
{
	struct route **at = route_find(n, m, w);

	if (*at != NULL && (*at)->gone) {
		/* since this list was begun: that is newer */
		if ((*at)->generation == r->mirror.generation)
			return true;
		route_free(r, n, at);
	} else if (*at != NULL) {
		(*at)->generation = r->mirror.generation;
		return true;
	}
	return route_add(r, n, m, w, false);
}

/* IPv6 has one message for all paths of a metric: what is added to a route comes with all
 * that it had. */
static bool route_new(struct router *r, struct prefix_node *n, const struct netlink_route *m,
		      struct way *w)
{
	struct route **at = route_find(n, m, w);

	if (*at != NULL) {
		route_free(r, n, at);
		return route_add(r, n, m, w, m->change != NETLINK_APPENDED);
	}
	for (at = &n->routes; *at != NULL;) {
		struct route *e = *at;

		if (!e->gone && same_rank(e, m) &&
		    (m->change == NETLINK_REPLACED ||
		     (m->change == NETLINK_APPENDED && m->to.type == ADDR_IP6 &&
		      way_has(w, e->way)))) {
			route_gone(r, n, at);
			break;
		}
		at = &e->next;
	}
	return route_add(r, n, m, w, m->change != NETLINK_APPENDED);
}

/* False: it is not known which one that was. IPv6 names just the path of a route that went. */
static bool route_deleted(struct router *r, struct prefix_node *n, const struct netlink_route *m,
			  struct way *w)
{
	struct route **at = route_find(n, m, w);

	if (*at == NULL)
		return false;
	route_gone(r, n, at);
	return true;
}

bool routes_take(struct router *r, struct prefix_node *n, const struct netlink_route *m,
		 struct way *w)
{
	switch (m->change) {
	case NETLINK_LISTED:
		return route_listed(r, n, m, w);
	case NETLINK_GONE:
		return route_deleted(r, n, m, w);
	default:
		return route_new(r, n, m, w);
	}
}

void routes_free(struct router *r, struct prefix_node *n)
{
	while (n->routes != NULL)
		route_free(r, n, &n->routes);
}
