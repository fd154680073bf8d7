/* SPDX-License-Identifier: BSD-3-Clause
 * store export, import: one blob's bytes, behind the answer or the command.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "control/admin/task.h"
#include "control/base/base.h"
#include "control/base/log.h"
#include "control/core.h"
#include "control/transfer/sweep.h"

#define ROOM_WAIT_US 10000 /* until there is memory, or the engine has taken some */

/* ---- export ---- */

struct leaving {
	struct task task; /* first */
	struct store_stat stat;
	struct store_read read;
	uint32_t piece;
	uint32_t chunk[PIECE_CHUNKS];
	uint8_t *bytes; /* of a piece */
};

static void leaving_end(struct task *t)
{
	free(((struct leaving *)t)->bytes);
	task_free(t);
}

/* What it said so far is not whole, and cannot be. */
static void leaving_break(struct leaving *l)
{
	admin_hang_up(l->task.client);
	l->task.client = NULL;
	l->task.end(&l->task);
}

static void leaving_read(struct store_read *read, int result)
{
	struct leaving *l = container_of(read, struct leaving, read);
	const uint64_t length = read->name.length;
	char hex[IDENT_HEX_MAX];

	if (!task_back(&l->task))
		return;
	if (result < 0) {
		log_line(LOG_ERR, "the export of %s broke off: %s", ident_hex(&read->name.id, hex),
			 result == -ENOENT    ? "the blob was removed meanwhile"
			 : result == -EBADMSG ? "the blob is damaged on disk, and is put aside"
					      : l->task.ctl->store.why);
		leaving_break(l);
		return;
	}
	admin_send(l->task.client, l->bytes, piece_length(length, l->piece));
	l->piece++;
}

static void leaving_next(struct leaving *l)
{
	const struct blob_name *name = &l->stat.entry.name;

	if ((uint64_t)l->piece * PIECE_SIZE >= name->length) {
		leaving_break(l); /* it is all out */
		return;
	}
	piece_prepare(&l->read, name, l->piece, l->chunk, l->bytes);
	l->read.fn = leaving_read;
	task_out(&l->task);
	store_read(&l->task.ctl->store, &l->read);
}

static void leaving_sent(struct admin_task *t)
{
	struct leaving *l = (struct leaving *)t;

	if (!l->task.busy)
		leaving_next(l);
}

static void leaving_found(struct store_stat *stat, int result)
{
	struct leaving *l = container_of(stat, struct leaving, stat);

	if (!task_back(&l->task))
		return;
	if (result == 0)
		admin_say(l->task.client,
			  json_pack("{s:o}", "export", blob_json(l->task.ctl, &stat->entry)));
	else
		task_answer(&l->task, result == -ENOENT ? admin_error("the store has no such blob")
							: store_error(l->task.ctl));
}

json_t *store_export(struct control *ctl, struct admin_client *client, int argc, char **argv)
{
	struct blob_name name;
	json_t *wrong = blob_parse(ctl, argv, &name);
	struct leaving *l;

	(void)argc;
	if (wrong != NULL)
		return wrong;
	l = task_begin(ctl, client, sizeof(*l), leaving_end,
		       (struct admin_task){.sent = leaving_sent});
	if (l == NULL)
		return NULL;
	l->bytes = malloc(PIECE_SIZE);
	if (l->bytes == NULL) {
		task_answer(&l->task, NULL);
		return NULL;
	}
	l->stat = (struct store_stat){.entry.name = name, .fn = leaving_found};
	task_out(&l->task);
	store_stat(&ctl->store, &l->stat);
	return NULL;
}

/* ---- import ---- */

struct coming {
	struct task task; /* first */
	struct store_stat stat;
	struct blob_name name;
	struct store_put put;
	bool putting; /* it was begun */
	uint32_t piece;
	uint8_t *bytes; /* of this piece, */
	uint32_t have;	/* so many */
	struct ident_state *hash;
	struct job job;
	struct event *wait;
};

static void coming_free(struct coming *c)
{
	if (c->wait != NULL)
		event_free(c->wait);
	ident_free(c->hash);
	free(c->bytes);
	task_free(&c->task);
}

static void coming_ended(struct store_put *put)
{
	coming_free(container_of(put, struct coming, put));
}

static void coming_end(struct task *t)
{
	struct coming *c = (struct coming *)t;

	if (c->putting)
		store_put_end(&c->put, coming_ended);
	else
		coming_free(c);
}

/* As it is said to a source that uploads. */
static json_t *refusal(const struct control *ctl, int err)
{
	switch (err) {
	case -EFBIG:
		return admin_error("the blob is larger than this store may be");
	case -EDQUOT:
		return admin_error("the domain has as much as it may");
	case -ENOSPC:
		return admin_error("the store is full");
	case -ENOMEM:
		return NULL;
	default:
		return store_error(ctl);
	}
}

static json_t *stored_json(bool stored)
{
	return json_pack("{s:b}", "stored", stored);
}

static void coming_stored(struct store_put *put, int result)
{
	struct coming *c = container_of(put, struct coming, put);

	if (!task_back(&c->task))
		return;
	if (keyring_domain(relay_keyring(c->task.ctl->relay), c->name.domain) == NULL)
		sweep_start(c->task.ctl); /* its domain went while it came */
	if (result == 0 || result == -EEXIST)
		task_answer(&c->task, stored_json(result == 0));
	else
		task_answer(&c->task, refusal(c->task.ctl, result));
}

/* All its bytes are here, and hashed. */
static void coming_whole(struct coming *c)
{
	struct ident computed;

	ident_final(c->hash, &computed);
	if (!ident_equal(&computed, &c->name.id)) {
		task_answer(&c->task,
			    admin_error("the bytes have another identifier; nothing was stored"));
		return;
	}
	task_out(&c->task);
	store_put_commit(&c->put, coming_stored);
}

static uint32_t wanted(const struct coming *c)
{
	return piece_length(c->name.length, c->piece);
}

static void coming_read(struct coming *c);

/* The piece is hashed: it goes into the store as soon as there is room. */
static void coming_store(struct coming *c)
{
	static const struct timeval wait = {.tv_usec = ROOM_WAIT_US};
	const struct slab *slab = &c->task.ctl->relay->slab;
	const uint32_t chunks = chunk_count(wanted(c));
	int ret = store_put_grow(&c->put, c->piece * PIECE_CHUNKS + chunks);

	if (ret == -EAGAIN) {
		task_out(&c->task);
		evtimer_add(c->wait, &wait);
		return;
	}
	if (ret < 0) {
		task_answer(&c->task, refusal(c->task.ctl, ret));
		return;
	}
	for (uint32_t i = 0; i < chunks; i++)
		chunk_store(slab, slab_piece(slab, c->put.piece[c->piece]), i,
			    c->bytes + (size_t)i * CHUNK_SIZE, chunk_length(wanted(c), i));
	store_put_ready(&c->put, c->piece * PIECE_CHUNKS + chunks);
	c->piece++;
	c->have = 0;
	coming_read(c);
}

static void coming_waited(evutil_socket_t fd, short what, void *arg)
{
	struct coming *c = arg;

	(void)fd;
	(void)what;
	control_clock(c->task.ctl);
	if (task_back(&c->task))
		coming_store(c);
}

static void hash_run(struct job *job)
{
	struct coming *c = container_of(job, struct coming, job);

	ident_update(c->hash, c->bytes, c->have);
}

static void hash_done(struct job *job)
{
	struct coming *c = container_of(job, struct coming, job);

	if (task_back(&c->task))
		coming_store(c);
}

static void coming_read(struct coming *c)
{
	if ((uint64_t)c->piece * PIECE_SIZE >= c->name.length) {
		admin_want(c->task.client, false);
		coming_whole(c);
		return;
	}
	c->have += (uint32_t)admin_take(c->task.client, c->bytes + c->have, wanted(c) - c->have);
	if (c->have < wanted(c)) {
		admin_want(c->task.client, true);
		return;
	}
	admin_want(c->task.client, false);
	c->job = (struct job){.run = hash_run, .done = hash_done};
	task_out(&c->task);
	jobs_submit(c->task.ctl->hasher, &c->job);
}

static void coming_came(struct admin_task *t)
{
	struct coming *c = (struct coming *)t;

	if (!c->task.busy)
		coming_read(c);
}

/* It is not there: its bytes are wanted. */
static void coming_begin(struct coming *c)
{
	int ret = store_put_begin(&c->task.ctl->store, &c->name, &c->put);

	if (ret < 0) {
		task_answer(&c->task, refusal(c->task.ctl, ret));
		return;
	}
	c->putting = true;
	coming_read(c);
}

static void coming_looked(struct store_stat *stat, int result)
{
	struct coming *c = container_of(stat, struct coming, stat);

	if (!task_back(&c->task))
		return;
	if (result == -ENOENT)
		coming_begin(c);
	else
		task_answer(&c->task, result == 0 ? stored_json(false) : store_error(c->task.ctl));
}

json_t *store_import(struct control *ctl, struct admin_client *client, int argc, char **argv)
{
	struct blob_name name;
	json_t *wrong = blob_parse(ctl, argv, &name);
	struct coming *c;
	char end;

	(void)argc;
	if (wrong == NULL && sscanf(argv[3], "%" SCNu64 "%c", &name.length, &end) != 1)
		wrong = admin_error("\"%s\" is not a length in bytes", argv[3]);
	else if (wrong == NULL && (ctl->config->rules & 1u << name.rule) == 0)
		wrong = admin_error("this relay does not take %s; see [store] rules", argv[1]);
	else if (wrong == NULL && keyring_domain(relay_keyring(ctl->relay), name.domain) == NULL)
		wrong = admin_error("this relay serves domains only; choose one");
	else if (wrong == NULL && name.length > ctl->config->max_blob)
		wrong = admin_error("longer than [store] max_blob, %" PRIu64 " bytes",
				    ctl->config->max_blob);
	if (wrong != NULL)
		return wrong;
	c = task_begin(ctl, client, sizeof(*c), coming_end,
		       (struct admin_task){.came = coming_came});
	if (c == NULL)
		return NULL;
	c->name = name;
	c->bytes = malloc(PIECE_SIZE);
	c->hash = ident_begin(name.rule);
	c->wait = evtimer_new(ctl->base, coming_waited, c);
	if (c->bytes == NULL || c->hash == NULL || c->wait == NULL) {
		task_answer(&c->task, NULL);
		return NULL;
	}
	admin_want(client, false); /* not yet */
	c->stat = (struct store_stat){.entry.name = name, .fn = coming_looked};
	task_out(&c->task);
	store_stat(&ctl->store, &c->stat);
	return NULL;
}
