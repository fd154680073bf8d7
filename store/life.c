/* SPDX-License-Identifier: BSD-3-Clause
 * The engine's life: it is opened, fails, and is opened again.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/store_part.h"

#define RETRY_SECONDS 1 /* between attempts to open an engine that failed */

/* What an engine says that a domain has. */
struct found {
	uint32_t domain;
	struct store_usage has;
};

/* ---- failing ---- */

void engine_submit(struct store *s, struct job *job)
{
	s->under_way++;
	jobs_submit(s->jobs, job);
}

static void engine_fail(struct store *s)
{
	if (s->failed)
		return;
	s->failed = true;
	s->counters.failures++;
	memcpy(s->why, s->engine->why, sizeof(s->why));
	s->life.retry = s->unix_seconds + RETRY_SECONDS;
}

void engine_done(struct store *s, int err)
{
	s->under_way--;
	if (err != 0 && err != -ENOENT && err != -EBADMSG)
		engine_fail(s);
}

/* ---- opening ---- */

static struct life *life_of(struct job *job)
{
	return (struct life *)((char *)job - offsetof(struct life, job));
}

static void found_add(void *ctx, uint32_t domain, uint64_t bytes, uint64_t blobs)
{
	struct life *l = ctx;
	struct found *grown;

	if (l->found_count == l->found_room) {
		grown = realloc(l->found, (l->found_room * 2 + 16) * sizeof(*grown));
		if (grown == NULL) {
			l->result = -ENOMEM;
			return;
		}
		l->found = grown;
		l->found_room = l->found_room * 2 + 16;
	}
	l->found[l->found_count++] =
		(struct found){.domain = domain, .has = {.bytes = bytes, .blobs = blobs}};
}

static void upload_add(void *ctx, const struct engine_upload *u)
{
	struct life *l = ctx;
	struct engine_upload *grown;

	if (l->upload_count == l->upload_room) {
		grown = realloc(l->uploads, (l->upload_room * 2 + 16) * sizeof(*grown));
		if (grown == NULL) {
			l->result = -ENOMEM;
			return;
		}
		l->uploads = grown;
		l->upload_room = l->upload_room * 2 + 16;
	}
	l->uploads[l->upload_count++] = *u;
}

const struct engine_upload *store_uploads(const struct store *s, uint32_t *count)
{
	*count = s->life.upload_count;
	return s->life.uploads;
}

/* What it has, and which folder that is. */
static int engine_look(struct life *l)
{
	struct store *s = l->store;
	struct stat st;
	int ret;

	l->found_count = l->upload_count = 0;
	l->result = 0;
	ret = s->engine->ops->usage(s->engine, found_add, l);
	if (ret == 0)
		ret = s->engine->ops->uploads(s->engine, upload_add, l);
	if (ret < 0) {
		snprintf(l->why, sizeof(l->why), "%s", s->engine->why);
		return ret;
	}
	if (l->result == 0 && stat(s->config.path, &st) < 0)
		l->result = -errno;
	if (l->result < 0)
		snprintf(l->why, sizeof(l->why), "store %s: %s", s->config.path,
			 strerror(-l->result));
	else
		l->folder = (struct folder_id){.dev = st.st_dev, .ino = st.st_ino};
	return l->result;
}

/* In a thread of the store's: the engine's own threads inherit from it. */
static void open_run(struct job *job)
{
	struct life *l = life_of(job);
	struct store *s = l->store;
	const struct engine_config c = {
		.path = s->config.path,
		.log_path = s->config.log_path,
		.create = !s->kept, /* one that was there does not begin anew with nothing */
		/* uploads of this process that an engine lost begin anew */
		.keep_since = s->kept ? UINT64_MAX : s->config.keep_since,
	};

	if (s->engine != NULL)
		s->engine->ops->close(s->engine);
	s->engine = NULL;
	l->result = s->config.open(&s->engine, &c, l->why, sizeof(l->why));
	if (l->result == 0)
		l->result = engine_look(l);
}

/* What it has counts, and what it had before does not. */
static void usage_take(struct store *s)
{
	const struct life *l = &s->life;
	struct usage_of *u, *next;

	HASH_ITER(hh, s->usage, u, next)
	u->before = u->stored;
	for (uint32_t i = 0; i < l->found_count; i++) {
		const struct found *f = &l->found[i];

		if (usage_add(s, f->domain, f->has.bytes, f->has.blobs) < 0)
			continue;
		stored_add(s, f->domain, f->has.bytes, f->has.blobs);
		here_add(s, f->domain, f->has.bytes, f->has.blobs);
	}
	HASH_ITER(hh, s->usage, u, next)
	{
		const struct store_usage before = u->before;

		u->before = (struct store_usage){0};
		stored_sub(s, u->domain, before.bytes, before.blobs);
		here_sub(s, u->domain, before.bytes, before.blobs);
		usage_sub(s, u->domain, before.bytes, before.blobs);
	}
}

static void open_done(struct job *job)
{
	struct life *l = life_of(job);
	struct store *s = l->store;

	l->opening = false;
	s->opened++;
	s->failed = l->result < 0;
	if (s->failed)
		memcpy(s->why, l->why, sizeof(s->why));
	else
		usage_take(s);
	l->retry = s->unix_seconds + RETRY_SECONDS;
	clearing_want(s); /* what the one before left */
}

static void engine_open(struct store *s)
{
	s->life.opening = true;
	jobs_submit(s->jobs, &s->life.job);
}

void life_poll(struct store *s)
{
	if (s->failed && !s->life.opening && s->under_way == 0 && s->unix_seconds >= s->life.retry)
		engine_open(s);
}

int store_attach(struct store *s, const struct store_engine *c, char *why, size_t why_size)
{
	struct pollfd opened;

	s->config = *c;
	s->jobs = c->jobs;
	s->life.store = s;
	s->life.job = (struct job){.run = open_run, .done = open_done};
	opened = (struct pollfd){.fd = jobs_fd(s->jobs), .events = POLLIN};
	engine_open(s);
	while (s->life.opening) {
		poll(&opened, 1, -1);
		jobs_collect(s->jobs);
	}
	s->kept = !s->failed;
	if (s->failed) {
		snprintf(why, why_size, "%s", s->why);
		return s->life.result;
	}
	ages_fini(s);
	clearing_init(s);
	if (hot_begin(s) == 0)
		return 0;
	snprintf(why, why_size, "no memory");
	return -ENOMEM;
}

void life_fini(struct store *s)
{
	if (s->engine != NULL)
		s->engine->ops->close(s->engine);
	free(s->life.found);
	free(s->life.uploads);
}
