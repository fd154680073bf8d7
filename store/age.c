/* SPDX-License-Identifier: BSD-3-Clause
 * Without an engine: each domain's blobs in the order in which they came, by the descriptors
 * of their heads.
 */
#include <errno.h>
#include <stdlib.h>

#include "store/store_part.h"

struct age {
	uint32_t before, after; /* or PIECE_NONE */
	uint64_t stored;	/* Unix microseconds */
};

int ages_init(struct store *s)
{
	s->ages = calloc(s->slab->piece_count, sizeof(*s->ages));
	return s->ages != NULL ? 0 : -ENOMEM;
}

void ages_fini(struct store *s)
{
	free(s->ages);
	s->ages = NULL;
}

static uint32_t *age_link(struct store *s, uint32_t no, bool forward, uint32_t *end)
{
	if (no == PIECE_NONE)
		return end;
	return forward ? &s->ages[no].after : &s->ages[no].before;
}

void age_add(struct store *s, uint32_t no)
{
	struct usage_of *u = usage_find(s, slab_piece(s->slab, no)->domain);

	s->ages[no] = (struct age){.before = u->newest, .after = PIECE_NONE, .stored = s->unix_us};
	*age_link(s, u->newest, true, &u->oldest) = no;
	u->newest = no;
}

void age_remove(struct store *s, uint32_t no)
{
	struct usage_of *u = usage_find(s, slab_piece(s->slab, no)->domain);
	const struct age *a = &s->ages[no];

	*age_link(s, a->before, true, &u->oldest) = a->after;
	*age_link(s, a->after, false, &u->newest) = a->before;
}

uint64_t age_stored(const struct store *s, uint32_t no)
{
	return s->ages[no].stored;
}

uint32_t ages_oldest(const struct store *s, const struct usage_of *u, struct engine_entry *out,
		     uint32_t max)
{
	uint32_t n = 0;

	for (uint32_t no = u->oldest; no != PIECE_NONE && n < max; no = s->ages[no].after, n++) {
		out[n].name = piece_name(slab_piece(s->slab, no));
		out[n].stored = s->ages[no].stored;
	}
	return n;
}
