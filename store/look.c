/* SPDX-License-Identifier: BSD-3-Clause
 * What there is: one by its identifier, or all of it a page at a time; and notes.
 */
#include <errno.h>

#include "store/store_part.h"

#define WALK_BURST 8192u /* descriptors at once */

/* ---- one ---- */

static struct store_stat *stat_of(struct job *job)
{
	return (struct store_stat *)((char *)job - offsetof(struct store_stat, job));
}

static void stat_run(struct job *job)
{
	struct store_stat *st = stat_of(job);
	struct engine *e = st->store->engine;

	st->result = e->ops->stat(e, &st->entry);
}

static void stat_done(struct job *job)
{
	struct store_stat *st = stat_of(job);

	engine_done(st->store, st->result);
	st->fn(st, st->result == 0 || st->result == -ENOENT ? st->result : -EIO);
}

/* In RAM, of a blob whose length is not known. */
static int stat_here(const struct store *s, struct engine_entry *entry)
{
	const struct index_key key = name_key(s, &entry->name, 0);
	const uint32_t no = index_lookup(s->index, &key);
	struct blob_name name;

	if (no == PIECE_NONE)
		return -ENOENT;
	name = piece_name(slab_piece(s->slab, no));
	entry->name.length = name.length;
	if (!blob_name_equal(&name, &entry->name))
		return -ENOENT;
	entry->stored = age_stored(s, no);
	return 0;
}

void store_stat(struct store *s, struct store_stat *st)
{
	st->store = s;
	if (!s->kept) {
		st->fn(st, stat_here(s, &st->entry));
	} else if (!engine_works(s)) {
		st->fn(st, -EIO);
	} else {
		st->job = (struct job){.run = stat_run, .done = stat_done};
		engine_submit(s, &st->job);
	}
}

/* ---- all ---- */

static struct store_list *list_of(struct job *job)
{
	return (struct store_list *)((char *)job - offsetof(struct store_list, job));
}

static void list_run(struct job *job)
{
	struct store_list *l = list_of(job);
	struct engine *e = l->store->engine;

	l->result = e->ops->list(e, l->domain, l->behind ? &l->after : NULL, l->entry, l->most);
}

static void list_done(struct job *job)
{
	struct store_list *l = list_of(job);

	engine_done(l->store, l->result < 0 ? l->result : 0);
	l->count = l->result > 0 ? (uint32_t)l->result : 0;
	l->more = l->count == l->most;
	if (l->count > 0) {
		l->behind = true;
		l->after = l->entry[l->count - 1].name;
	}
	l->fn(l, l->result < 0 ? -EIO : 0);
}

/* RAM has no order of names. */
static void list_walk(const struct store *s, struct store_list *l)
{
	const uint32_t all = s->slab->piece_count;
	const uint32_t end = l->cursor + WALK_BURST < all ? l->cursor + WALK_BURST : all;

	for (l->count = 0; l->cursor < end && l->count < l->most; l->cursor++) {
		const struct piece *p = slab_piece(s->slab, l->cursor);
		const struct blob_name name = piece_name(p);

		if (p->number != 0 || (l->domain != NULL && p->domain != *l->domain) ||
		    store_find(s, &name) != p)
			continue;
		l->entry[l->count++] =
			(struct engine_entry){.name = name, .stored = age_stored(s, l->cursor)};
	}
	l->more = l->cursor < all;
}

void store_list(struct store *s, struct store_list *l)
{
	l->store = s;
	if (!s->kept) {
		list_walk(s, l);
		l->fn(l, 0);
	} else if (!engine_works(s)) {
		l->fn(l, -EIO);
	} else {
		l->job = (struct job){.run = list_run, .done = list_done};
		engine_submit(s, &l->job);
	}
}

/* ---- notes ---- */

static struct store_note *note_of(struct job *job)
{
	return (struct store_note *)((char *)job - offsetof(struct store_note, job));
}

static void note_write_run(struct job *job)
{
	struct store_note *n = note_of(job);
	struct engine *e = n->store->engine;

	n->result = e->ops->note(e, n->name, n->bytes, n->size);
}

static void note_read_run(struct job *job)
{
	struct store_note *n = note_of(job);
	struct engine *e = n->store->engine;

	n->result = e->ops->recall(e, n->name, &n->bytes, &n->size);
}

static void note_done(struct job *job)
{
	struct store_note *n = note_of(job);

	engine_done(n->store, n->result == -ENOMEM ? 0 : n->result);
	n->fn(n, n->result == 0 || n->result == -ENOENT ? 0 : -EIO);
}

static void note_submit(struct store *s, struct store_note *n, void (*run)(struct job *job))
{
	n->store = s;
	if (!engine_works(s)) {
		n->fn(n, s->kept ? -EIO : 0);
		return;
	}
	n->job = (struct job){.run = run, .done = note_done};
	engine_submit(s, &n->job);
}

void store_note_write(struct store *s, struct store_note *n)
{
	note_submit(s, n, note_write_run);
}

void store_note_read(struct store *s, struct store_note *n)
{
	n->bytes = NULL;
	n->size = 0;
	note_submit(s, n, note_read_run);
}
