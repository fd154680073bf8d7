/* SPDX-License-Identifier: BSD-3-Clause
 * The kernel looks a packet up in the tables that its rules name, one after the other, until
 * one has a route. Workers look into one FIB. It holds every prefix that any of these
 * tables has, with what the rules, in their order, find for the prefix as a whole: as all
 * prefixes around an address are around the longest one of them, that is what they find for
 * the address.
 *
 * A prefix whose way is not known to lead anywhere, while the one before does, waits: no
 * frame that has a way loses it to a change.
 */
#include <stdlib.h>

#include <linux/rtnetlink.h>

#include "control/base/log.h"
#include "control/net/router_part.h"

#define PUMP_BURST 256 /* prefixes at once: half a millisecond */

enum node_busy { NODE_IDLE, NODE_DIRTY, NODE_PARKED };

static bool prefix_inside(const struct prefix *inner, const struct prefix *outer)
{
	return inner->bits >= outer->bits && prefix_has(outer, inner->type, inner->ip);
}

/* ---- prefixes ---- */

static struct prefix_node *node_find(const struct router *r, const struct prefix *key)
{
	struct prefix_node *n;

	HASH_FIND(hh, r->mirror.nodes, key, sizeof(*key), n);
	return n;
}

static struct prefix_node *node_make(struct router *r, const struct prefix *key)
{
	struct prefix_node *n = node_find(r, key);

	if (n != NULL)
		return n;
	n = calloc(1, sizeof(*n));
	if (n == NULL)
		return NULL;
	n->key = *key;
	HASH_ADD(hh, r->mirror.nodes, key, sizeof(n->key), n);
	return n;
}

/* Takes it off the list that it is on. */
static void node_rest(struct router *r, struct prefix_node *n)
{
	struct way *w = n->wanted;

	if (n->busy == NODE_DIRTY)
		TAILQ_REMOVE(&r->mirror.dirty, n, work);
	if (n->busy == NODE_PARKED)
		TAILQ_REMOVE(&w->parked, n, work);
	n->busy = NODE_IDLE;
	n->wanted = NULL;
	if (w != NULL)
		way_drop(r, w);
}

static void node_dirty(struct router *r, struct prefix_node *n)
{
	if (n->busy == NODE_DIRTY)
		return;
	node_rest(r, n);
	TAILQ_INSERT_TAIL(&r->mirror.dirty, n, work);
	n->busy = NODE_DIRTY;
	pump_start(r);
}

void way_settles(struct router *r, struct way *w)
{
	struct prefix_node *n;

	way_keep(w); /* its parked prefixes may be all that has it */
	while ((n = TAILQ_FIRST(&w->parked)))
		node_dirty(r, n);
	way_drop(r, w);
}

/* The longest prefix around this one that is in the FIB, NULL: none. */
static struct prefix_node *node_cover(const struct router *r, const struct prefix_node *n)
{
	for (unsigned int bits = n->key.bits; bits-- > 0;) {
		struct prefix key;
		struct prefix_node *cover;

		if (r->mirror.of_length[route_version(n->key.type)][bits] == 0)
			continue;
		key = prefix_make(n->key.type, n->key.ip, (uint8_t)bits);
		cover = node_find(r, &key);
		if (cover != NULL && cover->shown != NULL)
			return cover;
	}
	return NULL;
}

/* ---- what the rules find ---- */

/* The table's route for all of a prefix: the longest around it. NULL: none. */
static const struct route *table_lookup(const struct router *r, const struct table *t,
					const struct prefix *p, uint8_t *bits)
{
	for (unsigned int b = p->bits + 1u; b-- > 0;) {
		struct prefix key;
		const struct prefix_node *n;

		if (t->of_length[route_version(p->type)][b] == 0)
			continue;
		key = prefix_make(p->type, p->ip, (uint8_t)b);
		n = node_find(r, &key);
		for (const struct route *e = n ? n->routes : NULL; e != NULL; e = e->next)
			if (e->table == t->id && !e->gone) {
				*bits = (uint8_t)b;
				return e;
			}
	}
	return NULL;
}

/* Does the table decide, or the next rule? IPv4 does not suppress what refuses. */
static bool decides(const struct route *e, const struct step *s, uint8_t type, uint8_t bits)
{
	if (e == NULL || e->way->is_throw)
		return false;
	return (int)bits > s->suppress || (type == ADDR_IP4 && e->way->refuses);
}

/* Where frames to hosts of this prefix go. */
static struct way *node_way(const struct router *r, const struct prefix_node *n)
{
	const struct chain *c = &r->mirror.chain[route_version(n->key.type)];

	for (unsigned int i = 0; i < c->n; i++) {
		const struct step *s = &c->step[i];
		const struct route *e = NULL;
		const struct table *t;
		uint8_t bits = 0;

		if (!prefix_inside(&n->key, &s->to))
			continue;
		if (s->refuse)
			break;
		t = table_find(r, s->table);
		if (t != NULL)
			e = table_lookup(r, t, &n->key, &bits);
		if (decides(e, s, n->key.type, bits))
			return e->way;
	}
	return r->ways.nowhere;
}

/* ---- into the FIB ---- */

static void left_out_set(struct router *r, struct prefix_node *n, bool out)
{
	if (out && r->mirror.left_out == 0)
		log_line(LOG_ERR,
			 "error: the kernel has more routes than there is room for (%u KiB are "
			 "used); hosts of those that are left out are reached by the shorter "
			 "prefixes around them, if at all",
			 fib_blocks(nexthop_fib(r->config.table)));
	r->mirror.left_out += (uint32_t)(out - n->left_out);
	n->left_out = out;
}

static void node_show(struct router *r, struct prefix_node *n, struct way *w)
{
	struct way *old = n->shown;
	int rc = fib_set(nexthop_fib(r->config.table), &n->key, w->hop);

	left_out_set(r, n, rc < 0);
	if (rc < 0)
		return;
	r->mirror.of_length[route_version(n->key.type)][n->key.bits] += old == NULL;
	n->shown = way_keep(w);
	if (old != NULL)
		way_drop(r, old);
}

static void node_hide(struct router *r, struct prefix_node *n)
{
	const struct prefix_node *cover;
	struct way *old = n->shown;

	if (old == NULL)
		return;
	cover = node_cover(r, n);
	fib_unset(nexthop_fib(r->config.table), &n->key, cover ? &cover->key : NULL,
		  cover ? cover->shown->hop : NEXTHOP_NONE);
	r->mirror.of_length[route_version(n->key.type)][n->key.bits]--;
	n->shown = NULL;
	way_drop(r, old);
}

/* Parks it until the way is settled. */
static void node_park(struct router *r, struct prefix_node *n, struct way *w)
{
	n->wanted = way_keep(w);
	n->busy = NODE_PARKED;
	TAILQ_INSERT_TAIL(&w->parked, n, work);
	way_settle(r, w);
}

static void node_free(struct router *r, struct prefix_node *n)
{
	node_hide(r, n);
	left_out_set(r, n, false);
	if (r->mirror.cursor == n)
		r->mirror.cursor = n->hh.next;
	HASH_DEL(r->mirror.nodes, n);
	free(n);
}

static void node_apply(struct router *r, struct prefix_node *n)
{
	struct way *w, *before = n->shown;

	node_rest(r, n);
	if (n->routes == NULL && n->steps == 0) {
		node_free(r, n);
		return;
	}
	w = node_way(r, n);
	if (w == before)
		return;
	if (before == NULL) {
		const struct prefix_node *cover = node_cover(r, n);

		before = cover ? cover->shown : r->ways.nowhere;
	}
	if (way_usable(before) && !way_settled(w))
		node_park(r, n, w);
	else
		node_show(r, n, w);
}

/* ---- what a change means for other prefixes ---- */

static bool table_longer(const struct table *t, unsigned int v, unsigned int bits)
{
	for (unsigned int b = bits + 1; b <= 128; b++)
		if (t->of_length[v][b] > 0)
			return true;
	return false;
}

/* Does what a table has for a prefix decide on longer ones that only other tables have?
 * Those of the tables behind it; and of tables before, where they leave it to the others. */
static bool change_spreads(const struct router *r, const struct prefix *p, uint32_t table)
{
	const struct chain *c = &r->mirror.chain[route_version(p->type)];
	bool behind = false;

	for (unsigned int i = 0; i < c->n; i++) {
		const struct step *s = &c->step[i];
		const struct table *t = s->refuse ? NULL : table_find(r, s->table);

		if (s->table == table && !s->refuse) {
			behind = true;
			continue;
		}
		if (t != NULL && (behind || t->throws > 0 || s->suppress > p->bits) &&
		    table_longer(t, route_version(p->type), p->bits))
			return true;
	}
	return false;
}

/* All prefixes are looked at again, some at a time. */
static void pass_start(struct router *r)
{
	if (r->mirror.cursor != NULL)
		r->mirror.pass_again = true;
	else
		r->mirror.cursor = r->mirror.nodes;
	pump_start(r);
}

/* Prefixes that are in the FIB only because a rule is about them. */
static void steps_dirty(struct router *r, const struct chain *c, int by)
{
	for (unsigned int i = 0; i < c->n; i++) {
		struct prefix_node *n;

		if (c->step[i].to.bits == 0)
			continue;
		n = node_make(r, &c->step[i].to);
		if (n == NULL)
			continue;
		n->steps += (uint32_t)by;
		node_dirty(r, n);
	}
}

static void route_changed(struct router *r, struct prefix_node *n, uint32_t table)
{
	steps_dirty(r, &r->mirror.chain[route_version(n->key.type)], 0);
	if (change_spreads(r, &n->key, table))
		pass_start(r);
	node_dirty(r, n);
}

/* ---- the rest of the router ---- */

static bool wanted(const struct router *r, const struct netlink_route *m)
{
	unsigned int v = route_version(m->to.type);

	return !m->special && (chain_wants(&r->mirror.chain[v], m->table) ||
			       chain_wants(&r->mirror.next[v], m->table));
}

/* Every interface has a route to those. */
static bool link_local_elsewhere(const struct router *r, const struct netlink_route *m)
{
	static const struct prefix link_local = {ADDR_IP6, 10, {0xfe, 0x80}};

	if (!prefix_inside(&m->to, &link_local))
		return false;
	return m->type == RTN_UNICAST && m->n > 0 && m->path[0].ifindex != r->config.ifindex;
}

static bool all_dead(const struct netlink_route *m)
{
	for (unsigned int i = 0; i < m->n; i++)
		if (!m->path[i].dead)
			return false;
	return m->type == RTN_UNICAST && m->nexthop == 0;
}

bool mirror_route(struct router *r, const struct netlink_route *m)
{
	struct prefix_node *n;
	struct way *w;
	bool done;

	if (!wanted(r, m) || link_local_elsewhere(r, m))
		return true;
	/* the kernel passes over what has no path that works */
	if (all_dead(m))
		return m->change == NETLINK_LISTED;
	w = way_take(r, m);
	n = w != NULL ? node_make(r, &m->to) : NULL;
	if (n == NULL) {
		if (w != NULL)
			way_drop(r, w);
		return false;
	}
	done = routes_take(r, n, m, w);
	way_drop(r, w);
	/* what is listed is looked at when the list has ended */
	if (m->change != NETLINK_LISTED || n->routes == NULL)
		route_changed(r, n, m->table);
	return done;
}

bool mirror_pump(struct router *r)
{
	struct mirror *m = &r->mirror;
	struct prefix_node *n;

	for (unsigned int i = 0; i < PUMP_BURST; i++) {
		n = TAILQ_FIRST(&m->dirty);
		if (n == NULL) {
			n = m->cursor;
			if (n == NULL)
				return false;
			m->cursor = n->hh.next;
			if (m->cursor == NULL && m->pass_again) {
				m->pass_again = false;
				m->cursor = m->nodes;
			}
		}
		if (!m->listing)
			routes_sweep(r, n);
		node_apply(r, n);
	}
	return true;
}

void mirror_list_begin(struct router *r)
{
	r->mirror.generation++;
	r->mirror.listing = true;
	memset(r->mirror.next, 0, sizeof(r->mirror.next));
}

void mirror_list_end(struct router *r)
{
	struct mirror *m = &r->mirror;

	m->listing = false;
	for (unsigned int v = 0; v < 2; v++) {
		chain_log(&m->chain[v], &m->next[v], v ? ADDR_IP6 : ADDR_IP4);
		steps_dirty(r, &m->next[v], 1);
		steps_dirty(r, &m->chain[v], -1);
		m->chain[v] = m->next[v];
	}
	pass_start(r);
}

void mirror_open(struct router *r)
{
	TAILQ_INIT(&r->mirror.dirty);
}

/* The table keeps what it has: nothing is taken out of the FIB. */
void mirror_close(struct router *r)
{
	struct prefix_node *n, *next;

	HASH_ITER(hh, r->mirror.nodes, n, next)
	{
		node_rest(r, n);
		routes_free(r, n);
		if (n->shown != NULL)
			way_drop(r, n->shown);
		HASH_DEL(r->mirror.nodes, n);
		free(n);
	}
	tables_free(r);
}
