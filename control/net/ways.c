/* SPDX-License-Identifier: BSD-3-Clause
 * Ways: where routes lead. All routes with the same paths share one, and with it one hop of
 * the next-hop table; those by the same next-hop object of the kernel (as FRR installs them)
 * likewise, so that a change of it is one change, however many routes go by it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/rtnetlink.h>

#include "control/base/log.h"
#include "control/net/router_part.h"

#define OBJECT_DEPTH 2 /* a group's members are paths */

/* What makes a way itself: two routes with equal keys lead the same way. Ways through other
 * interfaces are told apart too, for the kernel names a route that goes by its paths. */
struct way_key {
	uint32_t object;
	uint8_t type; /* RTN_... */
	uint8_t zero[3];
	uint32_t n;
	struct netlink_path path[]; /* zero in what is unused */
};

static size_t key_size(uint32_t n)
{
	return sizeof(struct way_key) + n * sizeof(struct netlink_path);
}

static struct way_key *key_make(const struct netlink_route *route)
{
	bool unicast = route->type == RTN_UNICAST;
	uint32_t n = unicast && route->nexthop == 0 ? route->n : 0;
	struct way_key *key = calloc(1, key_size(n));

	if (key == NULL)
		return NULL;
	key->type = route->type;
	key->object = unicast ? route->nexthop : 0;
	key->n = n;
	for (uint32_t i = 0; i < n; i++) {
		key->path[i].ifindex = route->path[i].ifindex;
		key->path[i].via = route->path[i].via;
		key->path[i].weight = route->path[i].weight;
		key->path[i].dead = route->path[i].dead;
	}
	return key;
}

/* ---- paths ---- */

static void paths_free(struct router *r, struct paths *p)
{
	for (unsigned int i = 0; p != NULL && i < p->n; i++)
		if (p->path[i].via != NULL)
			neighbour_release(r, p->path[i].via);
	free(p);
}

/* Those by our port. NULL: none, or no room for a neighbour. */
static struct paths *paths_make(struct router *r, const struct netlink_path *list, uint32_t n)
{
	struct paths *p = calloc(1, sizeof(*p) + n * sizeof(p->path[0]));

	for (uint32_t i = 0; p != NULL && i < n; i++) {
		struct way_path *to = &p->path[p->n];

		if (list[i].ifindex != r->config.ifindex || list[i].dead)
			continue;
		if (list[i].via.type != ADDR_NONE) {
			to->via = neighbour_hold(r, &list[i].via);
			if (to->via == NULL)
				continue;
		}
		to->weight = list[i].weight;
		p->n++;
	}
	if (p != NULL && p->n == 0) {
		free(p);
		p = NULL;
	}
	return p;
}

static bool paths_usable(const struct paths *p)
{
	for (unsigned int i = 0; p != NULL && i < p->n; i++)
		if (p->path[i].via == NULL || p->path[i].via->shown.state == NEXTHOP_READY)
			return true;
	return false;
}

static bool paths_settled(const struct paths *p)
{
	if (paths_usable(p))
		return true;
	for (unsigned int i = 0; p != NULL && i < p->n; i++)
		if (p->path[i].via->condition != CONDITION_FAILED)
			return false;
	return true;
}

static void paths_ask(struct router *r, const struct paths *p)
{
	for (unsigned int i = 0; p != NULL && i < p->n; i++)
		if (p->path[i].via != NULL && p->path[i].via->condition == CONDITION_UNKNOWN)
			neighbour_ask(r, p->path[i].via);
}

/* Gives each path its share of all flows. */
static int paths_publish(struct router *r, uint32_t hop, const struct paths *p)
{
	struct path out[NETLINK_PATHS];
	uint64_t total = 0, sum = 0;
	unsigned int n = p != NULL ? p->n : 0;

	for (unsigned int i = 0; i < n; i++)
		total += p->path[i].weight;
	for (unsigned int i = 0; i < n; i++) {
		sum += p->path[i].weight;
		out[i].up_to = (uint32_t)((sum << 32) / total - 1);
		out[i].neighbour = p->path[i].via ? p->path[i].via->slot : NEXTHOP_ON_LINK;
	}
	return nexthop_hop_set(r->config.table, hop, out, n);
}

/* The way leads here from now on. */
static void way_publish(struct router *r, struct way *w, struct paths *p)
{
	struct paths *old = w->paths;

	w->has_next = false;
	w->next = NULL;
	if (paths_publish(r, w->hop, p) < 0) {
		log_line(LOG_WARNING,
			 "warning: no memory for a next hop; its routes stay as they were");
		paths_free(r, p);
		return;
	}
	w->paths = p;
	paths_free(r, old);
}

/* ---- next-hop objects ---- */

static struct object *object_find(const struct router *r, uint32_t id)
{
	struct object *o;

	HASH_FIND(hh, r->ways.objects, &id, sizeof(id), o);
	return o;
}

/* Adds an object's paths to the list. Returns how many there are then. */
static uint32_t object_paths(const struct router *r, uint32_t id, uint16_t weight,
			     unsigned int depth, struct netlink_path *list, uint32_t n)
{
	const struct object *o = depth > 0 ? object_find(r, id) : NULL;

	if (o == NULL)
		return n;
	if (o->nexthop.has_path && n < NETLINK_PATHS) {
		list[n] = o->nexthop.path;
		list[n++].weight = weight;
	}
	for (unsigned int i = 0; i < o->nexthop.n; i++)
		n = object_paths(r, o->nexthop.member[i].id, o->nexthop.member[i].weight, depth - 1,
				 list, n);
	return n;
}

static struct paths *way_paths(struct router *r, const struct way *w)
{
	struct netlink_path list[NETLINK_PATHS];
	uint32_t n;

	if (w->key->object == 0)
		return paths_make(r, w->key->path, w->key->n);
	n = object_paths(r, w->key->object, 1, OBJECT_DEPTH, list, 0);
	return paths_make(r, list, n);
}

static bool paths_equal(const struct paths *a, const struct paths *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return a->n == b->n && memcmp(a->path, b->path, a->n * sizeof(a->path[0])) == 0;
}

static void settle_add(struct router *r, struct way *w)
{
	if (!w->waits)
		TAILQ_INSERT_TAIL(&r->ways.settle, w, settle);
	w->waits = true;
}

/* Its object is another. The new paths are taken when they are known to lead somewhere, or
 * not to: until then what worked goes on. */
static void way_update(struct router *r, struct way *w)
{
	struct paths *p;

	if (w->hop == NEXTHOP_NONE)
		return;
	p = way_paths(r, w);
	if (w->has_next)
		paths_free(r, w->next);
	w->has_next = false;
	w->next = NULL;
	if (paths_equal(p, w->paths)) {
		paths_free(r, p);
		return;
	}
	if (paths_settled(p) || !paths_usable(w->paths)) {
		way_publish(r, w, p);
		return;
	}
	w->next = p;
	w->has_next = true;
	settle_add(r, w);
	paths_ask(r, p);
}

void objects_apply(struct router *r)
{
	struct way *w, *next;

	if (!r->ways.objects_news)
		return;
	r->ways.objects_news = false;
	HASH_ITER(hh, r->ways.by_key, w, next)
	{
		if (w->key->object != 0)
			way_update(r, w);
	}
	r->ways.news = true;
}

static void object_forget(struct router *r, struct object *o)
{
	HASH_DEL(r->ways.objects, o);
	free(o);
}

void object_take(struct router *r, const struct netlink_nexthop *n)
{
	struct object *o = object_find(r, n->id);

	if (n->change == NETLINK_GONE) {
		if (o != NULL)
			object_forget(r, o);
	} else {
		if (o == NULL) {
			o = calloc(1, sizeof(*o));
			if (o == NULL)
				return; /* its routes lead nowhere until all is read anew */
			o->id = n->id;
			HASH_ADD(hh, r->ways.objects, id, sizeof(o->id), o);
		}
		o->nexthop = *n;
		o->generation = r->mirror.generation;
	}
	r->ways.objects_news = true;
}

void objects_sweep(struct router *r)
{
	struct object *o, *next;

	HASH_ITER(hh, r->ways.objects, o, next)
	{
		if (o->generation != r->mirror.generation)
			object_forget(r, o);
	}
	r->ways.objects_news = true;
	objects_apply(r);
}

/* ---- ways ---- */

/* Hops of their own have those that lead somewhere, or may. */
static bool way_leads(const struct way *w, const struct router *r)
{
	if (w->key->object != 0)
		return true;
	for (uint32_t i = 0; i < w->key->n; i++)
		if (w->key->path[i].ifindex == r->config.ifindex)
			return true;
	return false;
}

static int way_open(struct router *r, struct way *w)
{
	int rc;

	w->is_throw = w->key->type == RTN_THROW;
	w->refuses = w->key->type == RTN_BLACKHOLE || w->key->type == RTN_UNREACHABLE ||
		     w->key->type == RTN_PROHIBIT;
	if (!way_leads(w, r))
		return 0;
	rc = nexthop_hop_add(r->config.table, &w->hop);
	if (rc == -ENOSPC) {
		log_line(LOG_ERR,
			 "error: the kernel's routes have more than %d different next "
			 "hops; the other routes lead nowhere",
			 FIB_VALUES - 1);
		return 0;
	}
	if (rc < 0)
		return rc;
	way_publish(r, w, way_paths(r, w));
	return 0;
}

struct way *way_take(struct router *r, const struct netlink_route *route)
{
	struct way_key *key = key_make(route);
	struct way *w;

	if (key == NULL)
		return NULL;
	HASH_FIND(hh, r->ways.by_key, key, key_size(key->n), w);
	if (w != NULL) {
		free(key);
		return way_keep(w);
	}
	w = calloc(1, sizeof(*w));
	if (w == NULL) {
		free(key);
		return NULL;
	}
	w->key = key;
	TAILQ_INIT(&w->parked);
	if (way_open(r, w) < 0) {
		free(key);
		free(w);
		return NULL;
	}
	HASH_ADD_KEYPTR(hh, r->ways.by_key, key, key_size(key->n), w);
	return way_keep(w);
}

struct way *way_keep(struct way *w)
{
	w->refs++;
	return w;
}

void way_drop(struct router *r, struct way *w)
{
	if (--w->refs > 0)
		return;
	HASH_DEL(r->ways.by_key, w);
	if (w->waits)
		TAILQ_REMOVE(&r->ways.settle, w, settle);
	if (w->hop != NEXTHOP_NONE)
		nexthop_hop_remove(r->config.table, w->hop);
	paths_free(r, w->paths);
	paths_free(r, w->next);
	free(w->key);
	free(w);
}

bool way_has(const struct way *all, const struct way *some)
{
	for (uint32_t i = 0; i < some->key->n; i++) {
		uint32_t j = 0;

		while (j < all->key->n && memcmp(&all->key->path[j], &some->key->path[i],
						 sizeof(struct netlink_path)) != 0)
			j++;
		if (j == all->key->n)
			return false;
	}
	return some->key->n > 0;
}

bool way_usable(const struct way *w)
{
	return paths_usable(w->paths);
}

bool way_settled(const struct way *w)
{
	return paths_settled(w->paths);
}

void way_settle(struct router *r, struct way *w)
{
	settle_add(r, w);
	paths_ask(r, w->paths);
}

void ways_check(struct router *r)
{
	struct way *w, *next;

	r->ways.news = false;
	for (w = TAILQ_FIRST(&r->ways.settle); w != NULL; w = next) {
		next = TAILQ_NEXT(w, settle);
		if (w->has_next && paths_settled(w->next))
			way_publish(r, w, w->next);
		if (w->has_next || !paths_settled(w->paths))
			continue;
		TAILQ_REMOVE(&r->ways.settle, w, settle);
		w->waits = false;
		way_settles(r, w);
	}
}

bool ways_use(const struct router *r, unsigned int ifindex)
{
	const struct way *w, *next;

	HASH_ITER(hh, r->ways.by_key, w, next)
	{
		if (w->key->object != 0)
			return true;
		for (uint32_t i = 0; i < w->key->n; i++)
			if (w->key->path[i].ifindex == ifindex)
				return true;
	}
	return false;
}

int ways_open(struct router *r)
{
	const struct netlink_route none = {.type = RTN_UNREACHABLE};

	TAILQ_INIT(&r->ways.settle);
	r->ways.nowhere = way_take(r, &none);
	return r->ways.nowhere ? 0 : -ENOMEM;
}

void ways_close(struct router *r)
{
	struct object *o, *next;

	HASH_ITER(hh, r->ways.objects, o, next)
	{
		object_forget(r, o);
	}
	if (r->ways.nowhere != NULL)
		way_drop(r, r->ways.nowhere);
}
