/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/lib/prefix.h"

#include <errno.h>

#include "client/lib/clock.h"

#define SLICES 4		       /* pieces hashed in one call */
#define WAIT_FIRST (100 * MILLISECOND) /* between vouches; doubles */
#define WAIT_LONGEST (2 * SECOND)
#define STEP_LEAST (8u << 20)

static void marks_free(struct prefix *p)
{
	while (p->marks > 0)
		ident_free(p->mark[--p->marks]);
}

static void hash_free(struct prefix *p)
{
	ident_free(p->hash);
	p->hash = NULL;
}

void prefix_free(struct prefix *p)
{
	hash_free(p);
	marks_free(p);
}

void prefix_pass(struct prefix *p, uint64_t length)
{
	const uint64_t step = length / PREFIX_MARKS / INPUT_PIECE * INPUT_PIECE + INPUT_PIECE;

	marks_free(p);
	p->mark_step = later(step, STEP_LEAST);
}

void prefix_mark(struct prefix *p, const struct ident_state *hash, uint64_t hashed)
{
	struct ident_state *copy;

	/* without memory the ones behind it are left out, too */
	if (p->marks == PREFIX_MARKS || hashed != (p->marks + 1) * p->mark_step)
		return;
	copy = ident_copy(hash);
	if (copy != NULL)
		p->mark[p->marks++] = copy;
}

void prefix_ask(struct prefix *p, const struct challenge *c, uint32_t chunks)
{
	if (p->chunks == chunks && memcmp(&p->challenge, c, sizeof(*c)) == 0)
		return;
	p->challenge = *c;
	p->chunks = chunks;
	p->vouched = p->pulled = false;
}

uint64_t prefix_due(const struct prefix *p)
{
	if (p->chunks == 0 || p->vouched)
		return NEVER;
	return p->hash != NULL ? 0 : p->at;
}

static int read_begin(struct prefix *p, uint8_t rule)
{
	const uint64_t all = (uint64_t)p->chunks * CHUNK_SIZE;
	const uint64_t had = p->mark_step > 0 ? earlier(all / p->mark_step, p->marks) : 0;

	hash_free(p);
	p->hash = had > 0 ? ident_copy(p->mark[had - 1]) : ident_begin(rule);
	p->of = p->chunks;
	p->hashed = had * p->mark_step;
	return p->hash != NULL ? 0 : -ENOMEM;
}

/* 1: all of it has been read. */
static int read_on(struct prefix *p, struct input *b)
{
	const uint64_t all = (uint64_t)p->of * CHUNK_SIZE;

	for (uint32_t i = 0; i < SLICES && p->hashed < all; i++) {
		const uint64_t rest = earlier(all - p->hashed, INPUT_PIECE);
		const uint8_t *bytes = input_read(b, p->hashed, rest);

		if (bytes == NULL)
			return -errno;
		ident_update(p->hash, bytes, rest);
		p->hashed += rest;
	}
	p->most = later(p->most, p->hashed);
	if (p->hashed < all)
		return 0;
	ident_final(p->hash, &p->id);
	hash_free(p);
	return 1;
}

int prefix_run(struct prefix *p, struct input *b, uint8_t rule, uint64_t now)
{
	int ret = 1;

	if (now < prefix_due(p))
		return 0;
	if (p->of != p->chunks)
		ret = read_begin(p, rule);
	if (ret >= 0 && p->hash != NULL)
		ret = read_on(p, b);
	if (ret < 1)
		return ret;
	vouch_make(&p->challenge, &p->id, p->chunks, &p->vouch);
	p->vouched = true;
	p->wait = p->wait == 0 ? WAIT_FIRST : earlier(p->wait * 2, WAIT_LONGEST);
	p->at = now + p->wait;
	return 1;
}
