/* SPDX-License-Identifier: BSD-3-Clause
 * Limits: what is taken in at all, and which blobs go when there is more than there may be,
 * when they are too old, or when the disk has too little room. The oldest are listed, some
 * at a time, and removed until it is enough.
 */
#include <errno.h>

#include "store/store_part.h"

#define OVER_MOST (UINT64_C(64) << 20) /* bytes beyond a limit while the oldest go */

/* ---- how much there is, and may be ---- */

/* A store or a domain in it. */
struct scope {
	struct usage_of *u;
	struct store_limits limits;
};

static struct scope scope_all(struct store *s)
{
	struct scope all = {.u = s->all, .limits = s->policy.all};

	if (!s->kept) /* the slab's size is the limit */
		all.limits.bytes = all.limits.blobs = 0;
	return all;
}

static struct scope scope_domain(const struct store *s, struct usage_of *u)
{
	struct scope of = {.u = u};

	if (s->policy.of != NULL)
		s->policy.of(s->policy.ctx, u->domain, &of.limits);
	/* without an engine there is no list of all blobs by age */
	if (!s->kept && s->policy.all.keep_seconds > 0 &&
	    (of.limits.keep_seconds == 0 || of.limits.keep_seconds > s->policy.all.keep_seconds))
		of.limits.keep_seconds = s->policy.all.keep_seconds;
	return of;
}

static uint64_t beyond(uint64_t have, uint64_t limit)
{
	return limit > 0 && have > limit ? have - limit : 0;
}

uint64_t disk_short(const struct store *s)
{
	return s->kept && s->disk_free < s->policy.free_least ? s->policy.free_least - s->disk_free
							      : 0;
}

/* Half of what is to stay free is for what is under way. */
bool store_disk_full(const struct store *s)
{
	const uint64_t missing = disk_short(s);

	return s->policy.refuse ? missing > 0 : missing > s->policy.free_least / 2;
}

/* What must go from a scope, by number and by bytes. */
struct excess {
	uint64_t blobs, bytes;
};

static struct excess excess_of(const struct store *s, const struct scope *of)
{
	struct excess e = {0};

	if (s->policy.refuse || of->u->bare)
		return e;
	e.blobs = beyond(of->u->here.blobs, of->limits.blobs);
	e.bytes = beyond(of->u->here.bytes, of->limits.bytes);
	/* what is dead already comes back without anybody's going */
	if (of->u == s->all && s->clearing.fresh && disk_short(s) > s->space.dead &&
	    disk_short(s) - s->space.dead > e.bytes)
		e.bytes = disk_short(s) - s->space.dead;
	return e;
}

/* ---- what is taken ---- */

static bool fits(uint64_t have, uint64_t more, uint64_t limit)
{
	return limit == 0 || (more <= limit && have <= limit - more);
}

/* Where nothing goes for it, with all that is on its way. */
static bool scope_admits(const struct store *s, const struct scope *of, uint64_t bytes,
			 uint64_t blobs)
{
	if (!s->policy.refuse)
		return fits(0, bytes, of->limits.bytes);
	return fits(of->u->usage.bytes, bytes, of->limits.bytes) &&
	       fits(of->u->usage.blobs, blobs, of->limits.blobs);
}

int limit_admits(struct store *s, const struct blob_name *name, uint64_t bytes, uint64_t blobs)
{
	struct usage_of none = {.domain = name->domain}, *u = usage_find(s, name->domain);
	const struct scope all = scope_all(s), of = scope_domain(s, u != NULL ? u : &none);

	if (!fits(0, name->length, all.limits.bytes))
		return -EFBIG;
	if (!scope_admits(s, &of, bytes, blobs))
		return -EDQUOT;
	return scope_admits(s, &all, bytes, blobs) && !store_disk_full(s) ? 0 : -ENOSPC;
}

/* Where nobody can go, all that is there is uploads. */
static int scope_room(const struct store *s, const struct scope *of)
{
	if (beyond(of->u->here.bytes, of->limits.bytes) <= OVER_MOST)
		return 0;
	return s->policy.refuse || of->u->bare || of->u->here.blobs == 0 ? -ENOSPC : -EAGAIN;
}

int limit_room(struct store *s, uint32_t domain)
{
	const struct scope all = scope_all(s), of = scope_domain(s, usage_find(s, domain));
	int ret;

	if (store_disk_full(s))
		return -ENOSPC;
	ret = scope_room(s, &all);
	return ret == 0 ? scope_room(s, &of) : ret;
}

/* ---- who goes ---- */

static struct trim *trim_of(struct job *job)
{
	return (struct trim *)((char *)job - offsetof(struct trim, job));
}

static void oldest_run(struct job *job)
{
	struct trim *t = trim_of(job);
	struct engine *e = t->store->engine;

	t->listed = e->ops->oldest(e, t->all ? NULL : &t->domain, t->aged, TRIM_BURST);
}

static uint64_t keep_us(const struct scope *of)
{
	return of->limits.keep_seconds * UINT64_C(1000000);
}

static bool expired(const struct store *s, const struct scope *of, uint64_t stored)
{
	return of->limits.keep_seconds > 0 && s->unix_us >= stored + keep_us(of);
}

/* Of those that were listed, from the oldest on. */
static void trim_listed(struct store *s, const struct scope *of)
{
	struct trim *t = &s->trim;
	struct excess e = excess_of(s, of);
	uint32_t i = 0;

	for (; i < (uint32_t)t->listed; i++) {
		const struct engine_entry *a = &t->aged[i];
		const bool old = expired(s, of, a->stored);

		if (!old && e.blobs == 0 && e.bytes == 0)
			break;
		if (blob_remove(s, &a->name, REMOVE_TRIMMED) < 0) {
			t->due = false; /* in a second */
			break;
		}
		t->removing++;
		e.blobs -= e.blobs > 0;
		e.bytes -= e.bytes < a->name.length ? e.bytes : a->name.length;
		if (old)
			s->counters.expired++;
		else
			s->counters.trimmed++;
	}
	of->u->bare = t->listed == 0;
	/* the first that stays says when to look again */
	if (i < (uint32_t)t->listed && of->limits.keep_seconds > 0)
		of->u->expires = t->aged[i].stored + keep_us(of);
	else
		of->u->expires = i > 0 ? 0 : s->unix_us + keep_us(of);
}

static void oldest_done(struct job *job)
{
	struct trim *t = trim_of(job);
	struct store *s = t->store;
	struct usage_of *u = t->all ? s->all : usage_find(s, t->domain);
	struct scope of;

	t->listing = false;
	engine_done(s, t->listed < 0 ? t->listed : 0);
	if (t->listed < 0)
		t->due = false; /* in a second */
	if (t->listed < 0 || u == NULL)
		return;
	of = t->all ? scope_all(s) : scope_domain(s, u);
	trim_listed(s, &of);
}

static bool scope_needs(const struct store *s, const struct scope *of)
{
	const struct excess e = excess_of(s, of);

	if (of->u->here.blobs == 0)
		return false;
	return e.blobs > 0 || e.bytes > 0 ||
	       (of->limits.keep_seconds > 0 && s->unix_us >= of->u->expires);
}

static void trim_begin(struct store *s, const struct scope *of)
{
	struct trim *t = &s->trim;

	t->all = of->u == s->all;
	t->domain = of->u->domain;
	if (!s->kept) {
		t->listed = (int)ages_oldest(s, of->u, t->aged, TRIM_BURST);
		trim_listed(s, of);
		return;
	}
	t->listing = true;
	engine_submit(s, &t->job);
}

static bool trim_may(const struct store *s)
{
	return s->trim.due && !s->trim.listing && s->trim.removing == 0 &&
	       (!s->kept || engine_works(s));
}

/* Whatever was known of them was known of other limits. */
static void trim_anew(struct store *s)
{
	struct usage_of *u, *next;

	s->trim.anew = false;
	s->all->expires = 0;
	HASH_ITER(hh, s->usage, u, next)
	u->expires = 0;
}

/* One scope after the other, until none needs anything. */
void trim_poll(struct store *s)
{
	struct scope of = scope_all(s);
	struct usage_of *u, *next;

	if (s->trim.second != s->unix_seconds)
		s->trim.due = true;
	if (!trim_may(s))
		return;
	s->trim.second = s->unix_seconds;
	if (s->trim.anew)
		trim_anew(s);
	if (s->kept && scope_needs(s, &of)) {
		trim_begin(s, &of);
		return;
	}
	HASH_ITER(hh, s->usage, u, next)
	{
		of = scope_domain(s, u);
		if (scope_needs(s, &of)) {
			trim_begin(s, &of);
			return;
		}
	}
	s->trim.due = false;
}

bool trim_waits(const struct store *s)
{
	return trim_may(s);
}

void trim_init(struct store *s)
{
	s->trim.store = s;
	s->trim.job = (struct job){.run = oldest_run, .done = oldest_done};
}

void store_limit(struct store *s, const struct store_policy *p)
{
	s->policy = *p;
	s->trim.anew = true;
	s->trim.due = true;
}
