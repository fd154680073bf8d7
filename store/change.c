/* SPDX-License-Identifier: BSD-3-Clause
 * Records that come and go: what makes a blob one, and what removes it. Those of several are
 * written together.
 */
#include <errno.h>
#include <stdlib.h>

#include "store/store_part.h"

#define COMMIT_MOST 64u		/* changes at once */
#define COMMIT_BYTES (8u << 20) /* of blocks in these */

/* The changes that wait, and those under way. */
struct commits {
	TAILQ_HEAD(, change) queue;
	TAILQ_HEAD(, change) failed; /* before it came to the engine */
	struct job job;
	struct store *store;
	bool under_way;
	int err;
	uint32_t count;
	struct change *item[COMMIT_MOST];
	struct engine_change change[COMMIT_MOST];
};

/* ---- changes ---- */

static void commit_run(struct job *job);
static void commit_done(struct job *job);

int changes_init(struct store *s)
{
	struct commits *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return -ENOMEM;
	TAILQ_INIT(&c->queue);
	TAILQ_INIT(&c->failed);
	c->job = (struct job){.run = commit_run, .done = commit_done};
	c->store = s;
	s->commits = c;
	return 0;
}

void changes_fini(struct store *s)
{
	free(s->commits);
}

static struct commits *commits_of(struct job *job)
{
	return (struct commits *)((char *)job - offsetof(struct commits, job));
}

static void commit_run(struct job *job)
{
	struct commits *c = commits_of(job);
	struct engine *e = c->store->engine;

	c->err = e->ops->commit(e, c->change, c->count, c->store->config.sync != STORE_SYNC_OS);
}

/* Each is told; it may be gone after that. */
static void commit_tell(struct commits *c, int err)
{
	for (uint32_t i = 0; i < c->count; i++) {
		c->item[i]->c = c->change[i];
		c->item[i]->done(c->item[i], err);
	}
	c->count = 0;
}

static void commit_done(struct job *job)
{
	struct commits *c = commits_of(job);

	c->under_way = false;
	c->store->counters.commits++;
	engine_done(c->store, c->err);
	commit_tell(c, c->err);
}

static uint64_t change_bytes(const struct engine_change *c)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < c->count; i++)
		bytes += c->blocks[i].iov_len;
	return bytes;
}

/* Is there one about the same blob already? What the second means depends on the first. */
static bool commit_has(const struct commits *c, const struct blob_name *name)
{
	for (uint32_t i = 0; i < c->count; i++)
		if (ident_equal(&c->change[i].name.id, &name->id))
			return true;
	return false;
}

/* Those that go together, in the order they came. */
static void commit_gather(struct commits *c)
{
	const uint32_t most = c->store->config.sync == STORE_SYNC_ALWAYS ? 1 : COMMIT_MOST;
	uint64_t bytes = 0;
	struct change *ch;

	while (c->count < most && bytes < COMMIT_BYTES && (ch = TAILQ_FIRST(&c->queue)) != NULL &&
	       !commit_has(c, &ch->c.name)) {
		TAILQ_REMOVE(&c->queue, ch, link);
		bytes += change_bytes(&ch->c);
		c->item[c->count] = ch;
		c->change[c->count++] = ch->c;
	}
}

/* Those that cannot be. */
static void changes_fail(struct commits *c)
{
	struct change *ch;

	while ((ch = TAILQ_FIRST(&c->failed)) != NULL) {
		TAILQ_REMOVE(&c->failed, ch, link);
		ch->done(ch, -EIO);
	}
}

void changes_poll(struct store *s)
{
	struct commits *c = s->commits;

	changes_fail(c);
	while (!c->under_way && !TAILQ_EMPTY(&c->queue)) {
		commit_gather(c);
		if (engine_works(s)) {
			c->under_way = true;
			engine_submit(s, &c->job);
		} else {
			commit_tell(c, s->kept ? -EIO : 0);
		}
	}
}

void change_queue(struct store *s, struct change *ch)
{
	TAILQ_INSERT_TAIL(&s->commits->queue, ch, link);
}

void change_fail(struct store *s, struct change *ch)
{
	TAILQ_INSERT_TAIL(&s->commits->failed, ch, link);
}

bool changes_wait(const struct store *s)
{
	const struct commits *c = s->commits;

	return !TAILQ_EMPTY(&c->failed) || (!c->under_way && !TAILQ_EMPTY(&c->queue));
}

/* ---- removing ---- */

struct removal {
	struct change change; /* first */
	struct store *store;
	bool trimmed;
	struct store_removal *told; /* NULL: nobody is */
};

static void blob_forget(struct store *s, const struct blob_name *name)
{
	pieces_remove(s, name);
	loads_forget(s, name);
}

static void removed(struct change *ch, int err)
{
	struct removal *r = (struct removal *)ch;
	const struct blob_name *name = &ch->c.name;
	struct store *s = r->store;

	s->trim.removing -= r->trimmed;
	/* where the engine fails it is still there, and found when it is asked for */
	if (err == 0 && ch->c.result == 0) {
		blob_forget(s, name); /* what was loaded meanwhile */
		stored_sub(s, name->domain, name->length, 1);
		here_sub(s, name->domain, name->length, 1);
		usage_sub(s, name->domain, name->length, 1);
		clearing_want(s);
	}
	if (r->told != NULL)
		r->told->fn(r->told, said(err != 0 ? err : ch->c.result));
	free(r);
}

static int removal_begin(struct store *s, const struct blob_name *name, enum remove_why why,
			 struct store_removal *told)
{
	struct removal *r;

	if (!s->kept && store_find(s, name) == NULL)
		return -ENOENT;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return -ENOMEM;
	r->store = s;
	r->trimmed = why == REMOVE_TRIMMED;
	r->told = told;
	r->change.c = (struct engine_change){
		.name = *name, .remove = true, .quarantine = why == REMOVE_DAMAGED};
	r->change.done = removed;
	blob_forget(s, name);
	change_queue(s, &r->change);
	return 0;
}

int blob_remove(struct store *s, const struct blob_name *name, enum remove_why why)
{
	return removal_begin(s, name, why, NULL);
}

int store_remove(struct store *s, struct store_removal *r)
{
	int ret = removal_begin(s, &r->name, r->damaged ? REMOVE_DAMAGED : REMOVE_GONE, r);

	s->counters.corrupt += ret == 0 && r->damaged;
	return ret;
}
