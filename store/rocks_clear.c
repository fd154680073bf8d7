/* SPDX-License-Identifier: BSD-3-Clause
 * Room that comes back: segments that are dead are dropped, and those that are so in part
 * after their blobs were moved, a few blocks at a time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/rocks.h"

/* Moving begins when so great a part of all, and a small segment more, is dead: if the oldest
 * blobs go first, segments die by themselves before that. */
#define DEAD_PART 4u
#define WORTH_PART 10u	/* a segment of which less is dead is left alone */
#define STEP_BLOCKS 12u /* at once; */
#define STEPS 16u
#define MISSES_MOST 8u

/* ---- a blob that moves ---- */

static void move_end(struct rocks *r)
{
	free(r->moving->blocks);
	free(r->moving);
	r->moving = NULL;
}

/* What was written of it is dead. */
static int move_abandon(struct rocks *r)
{
	const uint64_t to = r->moving->to.body;
	int ret = to != 0 ? rocks_abandon(&r->engine, to) : 0;

	move_end(r);
	return ret < 0 ? ret : 1;
}

static int move_record(struct rocks *r)
{
	const struct moving *m = r->moving;
	const struct body_key open = body_key('o', m->to.body), of = body_key('b', m->from.body);
	struct engine_record now;
	rocksdb_writebatch_t *b;
	int ret = record_get(r, &m->key, &now);

	if (ret < 0 || now.body != m->from.body) /* it was removed meanwhile */
		return ret == 0 ? -ENOENT : ret;
	now.body = m->to.body;
	b = rocksdb_writebatch_create();
	record_put(b, r, &m->key, &now);
	batch_delete(b, r->family[FAMILY_DEFAULT], &of, sizeof(of));
	batch_add(b, r, 's', body_segment(m->from.body), 'l', -m->from.length);
	batch_delete(b, r->family[FAMILY_DEFAULT], &open, sizeof(open));
	return batch_write(r, b, false);
}

/* All of it was written. */
static int move_commit(struct rocks *r)
{
	int ret;

	pthread_mutex_lock(&r->changing);
	pthread_rwlock_rdlock(&r->lock);
	ret = move_record(r);
	pthread_rwlock_unlock(&r->lock);
	pthread_mutex_unlock(&r->changing);
	if (ret == -ENOENT)
		return move_abandon(r);
	move_end(r);
	return ret < 0 ? ret : 1;
}

/* The next of its blocks. */
static int move_read(struct rocks *r, struct iovec v[STEP_BLOCKS], uint32_t *count)
{
	struct moving *m = r->moving;
	uint64_t at = (uint64_t)m->to.blocks * ENGINE_BLOCK;
	int ret = 0;

	for (*count = 0; *count < STEP_BLOCKS && at < m->from.length && ret == 0; (*count)++) {
		const uint64_t left = m->from.length - at;
		struct iovec *to = &v[*count];

		to->iov_base = m->blocks + (size_t)*count * ENGINE_BLOCK;
		to->iov_len = left < ENGINE_BLOCK ? left : ENGINE_BLOCK;
		ret = block_read(r, r->emptied, m->from.body, m->to.blocks + *count, to->iov_base,
				 (uint32_t)to->iov_len);
		at += to->iov_len;
	}
	return ret;
}

static int move_step(struct rocks *r)
{
	struct moving *m = r->moving;
	struct iovec v[STEP_BLOCKS];
	uint32_t count;
	int ret = move_read(r, v, &count);

	if (ret == -EBADMSG) { /* whoever asks for it will find that too */
		r->emptied->misses = MISSES_MOST;
		return move_abandon(r);
	}
	if (ret == 0)
		ret = rocks_write(&r->engine, &m->to, v, count);
	if (ret < 0)
		return ret;
	return (uint64_t)m->to.blocks * ENGINE_BLOCK >= m->from.length ? move_commit(r) : 1;
}

static bool body_first_of(void *ctx, const char *key, size_t key_size, const char *value,
			  size_t value_size)
{
	struct moving *m = ctx;

	if (key_size != sizeof(struct body_key) || value_size != sizeof(m->key))
		return true;
	m->from.body = get_be((const uint8_t *)key + 1, 8);
	memcpy(&m->key, value, sizeof(m->key));
	return false;
}

static int body_next(struct rocks *r, struct moving *m, uint64_t *body)
{
	const struct body_key from = body_key('b', (uint64_t)r->emptied->number << 32);
	int ret = each_key(r, r->family[FAMILY_DEFAULT], &from, sizeof(from), 1 + sizeof(uint32_t),
			   body_first_of, m);

	*body = m->from.body;
	if (ret == 0)
		ret = *body != 0 ? record_get(r, &m->key, &m->from) : -ENOENT;
	return ret == 0 && m->from.body != *body ? -ENOENT : ret;
}

/* The next blob of the segment that is emptied. */
static int move_begin(struct rocks *r)
{
	struct moving *m = calloc(1, sizeof(*m));
	uint64_t body = 0;
	int ret;

	if (m == NULL || (m->blocks = malloc((size_t)STEP_BLOCKS * ENGINE_BLOCK)) == NULL) {
		free(m);
		return 0; /* another time */
	}
	r->moving = m;
	ret = body_next(r, m, &body);
	m->to.name.length = m->from.length;
	if (ret == 0)
		return 1;
	/* there is none, or it was removed this very moment: if neither, it must not go on */
	r->emptied->misses++;
	if (body == 0)
		r->emptied = NULL;
	move_end(r);
	return ret == -ENOENT || ret == -EBADMSG ? 1 : ret;
}

/* ---- which ---- */

struct survey {
	struct segment *dead;  /* all of it is */
	struct segment *worst; /* has the greatest dead part, */
	uint64_t part, of;     /* which is this */
	struct engine_space space;
};

static int survey_segment(struct rocks *r, struct segment *s, struct survey *v)
{
	const bool current = s == r->current;
	uint64_t written, live, dead;
	int ret = segment_sums(r, s->number, &written, &live);

	if (ret < 0)
		return ret;
	v->space.written += written;
	ret = segment_busy(r, s->number);
	if (ret != 0)
		return ret < 0 ? ret : 0;
	dead = written - live;
	if (live == 0 && !current)
		v->dead = s;
	if (s->misses >= MISSES_MOST || dead == 0 || dead * WORTH_PART < written ||
	    (current && written < r->segment_least / 2))
		return 0;
	v->space.dead += dead;
	if (v->worst == NULL || (double)dead * (double)v->of > (double)v->part * (double)written) {
		v->worst = s;
		v->part = dead;
		v->of = written;
	}
	return 0;
}

/* Its segments stay: only clearing takes them away. */
static int survey(struct rocks *r, struct survey *v)
{
	uint32_t count;
	int ret = 0;

	pthread_rwlock_rdlock(&r->lock);
	count = r->segments;
	for (uint32_t i = 0; i < count && ret == 0; i++)
		ret = survey_segment(r, r->segment[i], v);
	pthread_rwlock_unlock(&r->lock);
	return ret;
}

static int choose(struct rocks *r, bool pressed, struct engine_space *space)
{
	struct survey v = {0};
	int ret = survey(r, &v);

	if (ret < 0)
		return ret;
	*space = v.space;
	if (v.dead != NULL)
		return segment_drop(r, v.dead);
	if (v.worst == NULL ||
	    (!pressed && v.space.dead < v.space.written / DEAD_PART + r->segment_least))
		return 0;
	ret = v.worst == r->current ? segment_next(r) : 0;
	r->emptied = ret == 0 ? v.worst : NULL;
	return ret == 0 ? 1 : ret;
}

int rocks_clear(struct engine *e, bool pressed, struct engine_space *space)
{
	struct rocks *r = (struct rocks *)e;
	uint32_t steps = 0;
	int ret = 1;

	if (r->emptied == NULL)
		return choose(r, pressed, space);
	/* of small blobs several */
	while (ret == 1 && r->emptied != NULL && steps++ < STEPS) {
		if (r->emptied->misses >= MISSES_MOST && r->moving == NULL)
			r->emptied = NULL;
		else
			ret = r->moving == NULL ? move_begin(r) : move_step(r);
	}
	return ret;
}
