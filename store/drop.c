/* SPDX-License-Identifier: BSD-3-Clause
 * Domains that are gone take their blobs with them, some at a time. RAM is walked by the
 * descriptor; the engine lists what it has of each domain.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_part.h"

#define WALK_BURST 8192u /* descriptors at once */
#define LIST_BURST 64u	 /* blobs at once */

struct dropping {
	struct job job; /* the list */
	struct store *store;
	bool listing;
	int listed;	       /* how many, or an error */
	uint32_t cursor;       /* of the walk */
	uint32_t count, at;    /* domains, and which one is listed */
	bool behind;	       /* `last` is set */
	struct blob_name last; /* that was listed of it */
	struct engine_entry entry[LIST_BURST];
	uint32_t domain[];
};

static struct dropping *drop_of(struct job *job)
{
	return (struct dropping *)((char *)job - offsetof(struct dropping, job));
}

static bool drop_has(const struct dropping *d, uint32_t domain)
{
	for (uint32_t i = 0; i < d->count; i++)
		if (d->domain[i] == domain)
			return true;
	return false;
}

static void drop_blob(struct store *s, const struct blob_name *name)
{
	s->counters.removed++;
	s->counters.removed_bytes += name->length;
	blob_remove(s, name, REMOVE_GONE);
}

/* What of it is in RAM, among the next descriptors. Without an engine that is all. */
static void drop_walk(struct dropping *d)
{
	struct store *s = d->store;
	const uint32_t left = s->slab->piece_count - d->cursor;
	const uint32_t end = d->cursor + (left < WALK_BURST ? left : WALK_BURST);

	for (; d->cursor < end; d->cursor++) {
		struct piece *p = slab_piece(s->slab, d->cursor);
		const struct blob_name name = piece_name(p);

		if (atomic_load_explicit(&p->state, memory_order_relaxed) != PIECE_READY ||
		    !drop_has(d, p->domain) || store_find_piece(s, &name, p->number) != p)
			continue;
		if (s->kept)
			piece_remove(s, p);
		else if (p->number == 0)
			drop_blob(s, &name);
	}
}

static void list_run(struct job *job)
{
	struct dropping *d = drop_of(job);
	struct engine *e = d->store->engine;

	d->listed = e->ops->list(e, &d->domain[d->at], d->behind ? &d->last : NULL, d->entry,
				 LIST_BURST);
}

static void list_done(struct job *job)
{
	struct dropping *d = drop_of(job);
	const uint32_t listed = d->listed > 0 ? (uint32_t)d->listed : 0;

	d->listing = false;
	engine_done(d->store, d->listed < 0 ? d->listed : 0);
	for (uint32_t i = 0; i < listed; i++)
		drop_blob(d->store, &d->entry[i].name);
	d->behind = listed == LIST_BURST;
	if (d->behind)
		d->last = d->entry[listed - 1].name;
	else if (d->listed >= 0)
		d->at++;
}

static void drop_end(struct store *s)
{
	free(s->drop);
	s->drop = NULL;
}

void drops_poll(struct store *s)
{
	struct dropping *d = s->drop;

	if (d == NULL || d->listing)
		return;
	if (d->cursor < s->slab->piece_count) {
		drop_walk(d);
	} else if (!s->kept || d->at == d->count) {
		drop_end(s);
	} else if (engine_works(s) && !changes_wait(s)) {
		d->listing = true;
		d->job = (struct job){.run = list_run, .done = list_done};
		engine_submit(s, &d->job);
	}
}

bool drops_wait(const struct store *s)
{
	const struct dropping *d = s->drop;

	return d != NULL && !d->listing && (!s->kept || engine_works(s));
}

void drops_fini(struct store *s)
{
	drop_end(s);
}

int store_drop(struct store *s, bool (*gone)(void *ctx, uint32_t domain), void *ctx)
{
	struct dropping *d, *old = s->drop;
	struct usage_of *u, *next;

	if (old != NULL && old->listing)
		return -EAGAIN;
	d = calloc(1, sizeof(*d) + HASH_COUNT(s->usage) * sizeof(d->domain[0]));
	if (d == NULL)
		return -ENOMEM;
	d->store = s;
	HASH_ITER(hh, s->usage, u, next)
	if (gone(ctx, u->domain))
		d->domain[d->count++] = u->domain;
	free(old);
	s->drop = d;
	if (d->count == 0)
		drop_end(s); /* nothing to walk for */
	return 0;
}

bool store_drops(const struct store *s)
{
	return s->drop != NULL;
}
