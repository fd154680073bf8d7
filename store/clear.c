/* SPDX-License-Identifier: BSD-3-Clause
 * The engine's room: given back when blobs went, and how much of the disk is free.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "store/store_part.h"

static struct clearing *clearing_of(struct job *job)
{
	return (struct clearing *)((char *)job - offsetof(struct clearing, job));
}

static void clear_run(struct job *job)
{
	struct clearing *c = clearing_of(job);
	struct engine *e = c->store->engine;

	c->result = e->ops->clear(e, c->pressed, &c->found);
}

static void clear_done(struct job *job)
{
	struct clearing *c = clearing_of(job);

	c->under_way = false;
	c->fresh = false;
	engine_done(c->store, c->result < 0 ? c->result : 0);
	if (c->result == 1)
		c->wanted = true;
	if (c->result >= 0)
		c->store->space = c->found;
}

void clearing_want(struct store *s)
{
	s->clearing.wanted = true;
	s->clearing.fresh = false;
}

/* ---- the disk ---- */

static struct clearing *clearing_of_look(struct job *job)
{
	return (struct clearing *)((char *)job - offsetof(struct clearing, look));
}

/* Somebody took the folder away, or its disk: what is written there is for nobody. */
static int folder_check(const struct store *s)
{
	struct stat st;

	if (stat(s->config.path, &st) == 0 && st.st_dev == s->life.folder.dev &&
	    st.st_ino == s->life.folder.ino)
		return 0;
	snprintf(s->engine->why, sizeof(s->engine->why), "the folder is not there any more");
	return -EIO;
}

static void look_run(struct job *job)
{
	struct clearing *c = clearing_of_look(job);
	struct statvfs v;

	c->look_result = folder_check(c->store);
	if (c->look_result < 0 || statvfs(c->store->config.path, &v) < 0)
		return;
	c->disk_free = (uint64_t)v.f_bavail * v.f_frsize;
	c->disk_size = (uint64_t)v.f_blocks * v.f_frsize;
}

static void look_done(struct job *job)
{
	struct clearing *c = clearing_of_look(job);

	c->looking = false;
	c->fresh = c->will_be_fresh && !c->wanted && !c->under_way;
	engine_done(c->store, c->look_result);
	c->store->disk_free = c->disk_free;
	c->store->disk_size = c->disk_size;
	if (disk_short(c->store) > 0 && c->store->space.dead > 0)
		clearing_want(c->store); /* though nobody went */
}

/* ---- both ---- */

void clearing_init(struct store *s)
{
	struct clearing *c = &s->clearing;

	c->store = s;
	c->job = (struct job){.run = clear_run, .done = clear_done};
	c->look = (struct job){.run = look_run, .done = look_done};
	c->wanted = true; /* whatever the one before left */
	look_run(&c->look);
	s->disk_free = c->disk_free;
	s->disk_size = c->disk_size;
}

void clearing_poll(struct store *s)
{
	struct clearing *c = &s->clearing;

	if (!engine_works(s))
		return;
	if (!c->looking && c->looked != s->unix_seconds) {
		c->looking = true;
		c->looked = s->unix_seconds;
		c->will_be_fresh = !c->wanted && !c->under_way;
		engine_submit(s, &c->look);
	}
	if (c->under_way || !c->wanted)
		return;
	c->wanted = false;
	c->under_way = true;
	c->pressed = disk_short(s) > 0;
	engine_submit(s, &c->job);
}

bool clearing_wait(const struct store *s)
{
	return engine_works(s) && s->clearing.wanted && !s->clearing.under_way;
}
