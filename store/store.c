/* SPDX-License-Identifier: BSD-3-Clause
 * What is there, and of whom.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_part.h"

int store_init(struct store *s, struct slab *slab, struct index *index, struct reclaim *reclaim,
	       unsigned int readers)
{
	int ret;

	*s = (struct store){.slab = slab, .index = index, .reclaim = reclaim};
	s->all = calloc(1, sizeof(*s->all));
	if (s->all == NULL)
		return -ENOMEM;
	trim_init(s);
	ret = room_init(s);
	if (ret == 0)
		ret = ages_init(s);
	if (ret == 0)
		ret = cache_create(&s->cache, slab->piece_count, readers);
	if (ret == 0)
		ret = changes_init(s);
	return ret == 0 ? loads_init(s) : ret;
}

void store_fini(struct store *s)
{
	struct usage_of *u, *next;

	hot_fini(s);
	drops_fini(s);
	loads_fini(s);
	changes_fini(s);
	life_fini(s);
	cache_destroy(s->cache);
	ages_fini(s);
	free(s->leaving);
	free(s->all);
	HASH_ITER(hh, s->usage, u, next)
	{
		HASH_DEL(s->usage, u);
		free(u);
	}
}

/* ---- whose ---- */

struct usage_of *usage_find(const struct store *s, uint32_t domain)
{
	struct usage_of *u;

	HASH_FIND(hh, s->usage, &domain, sizeof(domain), u);
	return u;
}

struct store_usage store_usage(const struct store *s, uint32_t domain)
{
	const struct usage_of *u = usage_find(s, domain);

	return u != NULL ? u->usage : (struct store_usage){0};
}

struct store_usage store_here(const struct store *s)
{
	return s->all->here;
}

static void add(struct store_usage *u, uint64_t bytes, uint64_t blobs)
{
	u->bytes += bytes;
	u->blobs += blobs;
}

static void sub(struct store_usage *u, uint64_t bytes, uint64_t blobs)
{
	u->bytes -= bytes;
	u->blobs -= blobs;
}

int usage_add(struct store *s, uint32_t domain, uint64_t bytes, uint64_t blobs)
{
	struct usage_of *u = usage_find(s, domain);

	if (u == NULL) {
		u = calloc(1, sizeof(*u));
		if (u == NULL)
			return -ENOMEM;
		u->domain = domain;
		u->oldest = u->newest = PIECE_NONE;
		HASH_ADD(hh, s->usage, domain, sizeof(u->domain), u);
	}
	add(&u->usage, bytes, blobs);
	add(&s->all->usage, bytes, blobs);
	return 0;
}

void usage_sub(struct store *s, uint32_t domain, uint64_t bytes, uint64_t blobs)
{
	struct usage_of *u = usage_find(s, domain);

	sub(&s->all->usage, bytes, blobs);
	sub(&u->usage, bytes, blobs);
	if (u->usage.blobs > 0)
		return;
	HASH_DEL(s->usage, u);
	free(u);
}

void stored_add(struct store *s, uint32_t domain, uint64_t bytes, uint64_t blobs)
{
	add(&usage_find(s, domain)->stored, bytes, blobs);
}

void stored_sub(struct store *s, uint32_t domain, uint64_t bytes, uint64_t blobs)
{
	sub(&usage_find(s, domain)->stored, bytes, blobs);
}

void here_add(struct store *s, uint32_t domain, uint64_t bytes, uint64_t blobs)
{
	struct usage_of *u = usage_find(s, domain);

	add(&u->here, bytes, blobs);
	add(&s->all->here, bytes, blobs);
	s->trim.due = true;
	if (blobs > 0)
		u->bare = s->all->bare = false;
}

void here_sub(struct store *s, uint32_t domain, uint64_t bytes, uint64_t blobs)
{
	sub(&usage_find(s, domain)->here, bytes, blobs);
	sub(&s->all->here, bytes, blobs);
}

/* ---- in RAM or not ---- */

bool blob_name_equal(const struct blob_name *a, const struct blob_name *b)
{
	return a->length == b->length && a->domain == b->domain && a->rule == b->rule &&
	       ident_equal(&a->id, &b->id);
}

struct index_key name_key(const struct store *s, const struct blob_name *name, uint32_t number)
{
	struct index_pad pad;

	index_pad(s->index, name->domain, name->rule, &pad);
	return index_key_make(&pad, &name->id, number);
}

const struct piece *store_find_piece(const struct store *s, const struct blob_name *name,
				     uint32_t number)
{
	const struct index_key key = name_key(s, name, number);
	const uint32_t no = index_lookup(s->index, &key);
	const struct piece *p = no != PIECE_NONE ? slab_piece(s->slab, no) : NULL;

	return p != NULL && piece_match(p, name->domain, &name->id, name->rule, name->length,
					number)
		       ? p
		       : NULL;
}

const struct piece *store_find(const struct store *s, const struct blob_name *name)
{
	return store_find_piece(s, name, 0);
}

uint32_t piece_blocks(const struct slab *slab, uint32_t no, struct iovec blocks[PIECE_EXTENTS])
{
	const struct piece *p = slab_piece(slab, no);
	uint32_t left = piece_length(p->length, p->number), n = 0;

	for (; left > 0; n++) {
		const uint32_t len = left < ENGINE_BLOCK ? left : ENGINE_BLOCK;

		blocks[n].iov_base = piece_chunk(slab, p, n * EXTENT_CHUNKS);
		blocks[n].iov_len = len;
		left -= len;
	}
	return n;
}

/* ---- what is under way ---- */

int store_fd(const struct store *s)
{
	return s->jobs != NULL ? jobs_fd(s->jobs) : -1;
}

void store_drain(struct store *s)
{
	s->draining = true;
	while (s->under_way > 0 || s->life.opening || changes_wait(s)) {
		struct pollfd over = {.fd = store_fd(s), .events = POLLIN};

		if (s->under_way > 0 || s->life.opening)
			poll(&over, 1, -1);
		store_poll(s, s->unix_us);
	}
	s->draining = false;
}

void store_closing(struct store *s)
{
	s->closing = true;
}

void store_poll(struct store *s, uint64_t unix_us)
{
	s->unix_us = unix_us;
	s->unix_seconds = unix_us / 1000000;
	if (s->jobs != NULL)
		jobs_collect(s->jobs);
	life_poll(s);
	changes_poll(s);
	loads_poll(s);
	if (s->draining) /* what can wait until the next start does */
		return;
	drops_poll(s);
	trim_poll(s);
	clearing_poll(s);
	hot_poll(s);
}

bool store_waits(const struct store *s)
{
	return changes_wait(s) || loads_wait(s) || drops_wait(s) || trim_waits(s) ||
	       clearing_wait(s) || hot_waits(s);
}
