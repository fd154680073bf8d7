/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "store/store.h"

/* A removed blob, until nobody reads it. */
struct leaving {
	struct leaving *next;
	struct store *store;
	uint32_t no;
	int position; /* its key's in the index */
};

void store_init(struct store *s, struct slab *slab, struct index *index, struct reclaim *reclaim)
{
	*s = (struct store){.slab = slab, .index = index, .reclaim = reclaim};
}

void store_fini(struct store *s)
{
	struct leaving *l;

	while ((l = s->leaving)) {
		s->leaving = l->next;
		free(l);
	}
}

static struct index_key blob_key(const struct store *s, const struct blob *b)
{
	struct index_key pad;

	index_pad(s->index, b->domain, b->rule, &pad);
	return index_key_make(&pad, &b->id);
}

const struct blob *store_get(const struct store *s, const struct index_key *pad, uint32_t domain,
			     const struct ident *id, uint8_t rule, uint64_t length)
{
	const struct index_key key = index_key_make(pad, id);
	const uint32_t no = index_lookup(s->index, &key);
	const struct blob *b = no != BLOB_NONE ? slab_blob(s->slab, no) : NULL;

	return b != NULL && blob_match(b, domain, id, rule, length) ? b : NULL;
}

int store_commit(struct store *s, uint32_t no)
{
	const struct index_key key = blob_key(s, slab_blob(s->slab, no));

	blob_commit(s->slab, no);
	return index_insert(s->index, &key, no);
}

/* Reclaim's callback: no worker reads the blob, or probes its key's slot. */
static void blob_left(void *ctx, uint64_t arg)
{
	struct leaving *l = ctx;

	(void)arg;
	index_release(l->store->index, l->position);
	blob_free(l->store->slab, l->no);
	free(l);
}

/* What reclaim has no memory for is tried again with the next one. */
static void leaving_hand_over(struct store *s)
{
	struct leaving *l;

	while ((l = s->leaving)) {
		struct leaving *next = l->next;

		if (reclaim_defer(s->reclaim, blob_left, l, 0) < 0)
			return;
		s->leaving = next;
	}
}

int store_remove(struct store *s, uint32_t no)
{
	const struct index_key key = blob_key(s, slab_blob(s->slab, no));
	struct leaving *l;

	/* an upload that came second is READY, too, until it is freed */
	if (index_lookup(s->index, &key) != no)
		return -ENOENT;
	l = malloc(sizeof(*l));
	if (l == NULL)
		return -ENOMEM;
	l->store = s;
	l->no = no;
	l->position = index_remove(s->index, &key);
	blob_leave(s->slab, no);
	l->next = s->leaving;
	s->leaving = l;
	leaving_hand_over(s);
	return 0;
}

bool store_walk(struct store *s, uint32_t *cursor, uint32_t max, void (*fn)(void *ctx, uint32_t no),
		void *ctx)
{
	const uint32_t count = s->slab->blob_count;
	uint32_t end = count - *cursor > max ? *cursor + max : count;

	for (; *cursor < end; (*cursor)++) {
		const struct blob *b = slab_blob(s->slab, *cursor);

		if (atomic_load_explicit(&((struct blob *)(uintptr_t)b)->state,
					 memory_order_relaxed) == BLOB_READY)
			fn(ctx, *cursor);
	}
	return *cursor < count;
}
