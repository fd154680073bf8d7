/* SPDX-License-Identifier: BSD-3-Clause
 * store verify: reads every blob as the engine has it, and computes its identifier anew. How
 * far it came is noted, so that the next one goes on there.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "control/admin/task.h"
#include "control/base/base.h"
#include "control/base/log.h"
#include "control/core.h"

#define SAY_US 500000	/* between two lines */
#define NOTE_US 5000000 /* between two notes */
#define NOTE "verify"

/* What is noted: nobody but this program reads it. */
struct progress {
	struct blob_name last; /* the newest that was looked at, */
	uint64_t blobs, bytes; /* with those before it */
	uint64_t damaged;
};

struct verify {
	struct task task; /* first */
	struct store_list list;
	uint32_t at; /* in the page */
	uint32_t piece;
	struct store_read read;
	uint32_t chunk[PIECE_CHUNKS];
	uint8_t *bytes; /* of a piece */
	struct ident_state *hash;
	struct job job;
	struct store_removal removal;
	struct store_note note;
	struct progress done, noted;
	uint64_t said_us, noted_us;
	bool over; /* there is nothing to note */
};

static void verify_free(struct verify *v)
{
	v->task.ctl->tasks->verifying = false;
	ident_free(v->hash);
	free(v->bytes);
	task_free(&v->task);
}

static void left_noted(struct store_note *note, int result)
{
	(void)result; /* what is not noted is looked at again */
	verify_free(container_of(note, struct verify, note));
}

/* How far it came, if that is news. */
static bool note_write(struct verify *v, void (*fn)(struct store_note *note, int result))
{
	if (v->done.blobs == v->noted.blobs)
		return false;
	v->noted_us = v->task.ctl->now_us;
	v->noted = v->done;
	v->note = (struct store_note){
		.name = NOTE, .bytes = &v->noted, .size = sizeof(v->noted), .fn = fn};
	store_note_write(&v->task.ctl->store, &v->note);
	return true;
}

static void verify_end(struct task *t)
{
	struct verify *v = (struct verify *)t;

	if (v->over || !note_write(v, left_noted))
		verify_free(v);
}

static void fail(struct verify *v)
{
	v->over = true;
	task_answer(&v->task, store_error(v->task.ctl));
}

/* ---- what is said of it ---- */

static void say(struct verify *v)
{
	const struct store_usage all = store_here(&v->task.ctl->store);

	v->said_us = v->task.ctl->now_us;
	admin_say(v->task.client,
		  json_pack("{s:I, s:I, s:I, s:I}", "bytes", (json_int_t)v->done.bytes, "blobs",
			    (json_int_t)v->done.blobs, "of_bytes", (json_int_t)all.bytes,
			    "of_blobs", (json_int_t)all.blobs));
}

static void finish(struct verify *v)
{
	task_answer(&v->task,
		    json_pack("{s:{s:I, s:I, s:I}}", "verified", "bytes", (json_int_t)v->done.bytes,
			      "blobs", (json_int_t)v->done.blobs, "damaged",
			      (json_int_t)v->done.damaged));
}

static void page_next(struct verify *v);

static void over_noted(struct store_note *note, int result)
{
	struct verify *v = container_of(note, struct verify, note);

	(void)result;
	if (task_back(&v->task))
		finish(v);
}

/* The next one begins with the first blob. */
static void over(struct verify *v)
{
	v->over = true;
	v->note = (struct store_note){.name = NOTE, .fn = over_noted};
	task_out(&v->task);
	store_note_write(&v->task.ctl->store, &v->note);
}

/* ---- a blob ---- */

static const struct engine_entry *entry(const struct verify *v)
{
	return &v->list.entry[v->at];
}

static void blob_next(struct verify *v);

static void noted(struct store_note *note, int result)
{
	struct verify *v = container_of(note, struct verify, note);

	(void)result;
	if (task_back(&v->task))
		blob_next(v);
}

static void blob_over(struct verify *v)
{
	struct control *ctl = v->task.ctl;

	v->done.last = entry(v)->name;
	v->done.blobs++;
	v->done.bytes += entry(v)->name.length;
	ident_free(v->hash);
	v->hash = NULL;
	v->at++;
	if (ctl->now_us - v->noted_us < NOTE_US) {
		blob_next(v);
		return;
	}
	task_out(&v->task);
	note_write(v, noted);
}

static void damage_say(struct verify *v)
{
	const struct blob_name *name = &entry(v)->name;
	char hex[IDENT_HEX_MAX];

	v->done.damaged++;
	log_line(LOG_ERR,
		 "a blob of %" PRIu64 " bytes, %s, is damaged on disk; it is put aside, and the "
		 "next source uploads it anew",
		 name->length, ident_hex(&name->id, hex));
	admin_say(v->task.client, json_pack("{s:o}", "damaged", blob_json(v->task.ctl, entry(v))));
}

static void damage_removed(struct store_removal *removal, int result)
{
	struct verify *v = container_of(removal, struct verify, removal);

	if (!task_back(&v->task))
		return;
	if (result == 0)
		damage_say(v);
	if (result < 0 && result != -ENOENT)
		fail(v);
	else
		blob_over(v);
}

/* Its bytes are as they were written, and are not what they are said to be. */
static void blob_wrong(struct verify *v)
{
	int ret;

	v->removal = (struct store_removal){
		.name = entry(v)->name, .damaged = true, .fn = damage_removed};
	task_out(&v->task);
	ret = store_remove(&v->task.ctl->store, &v->removal);
	if (ret < 0)
		damage_removed(&v->removal, ret);
}

static void piece_next(struct verify *v);

static void hash_run(struct job *job)
{
	struct verify *v = container_of(job, struct verify, job);

	ident_update(v->hash, v->bytes, piece_length(entry(v)->name.length, v->piece));
}

static void hash_done(struct job *job)
{
	struct verify *v = container_of(job, struct verify, job);

	if (!task_back(&v->task))
		return;
	v->piece++;
	if (v->task.ctl->now_us - v->said_us > SAY_US)
		say(v);
	piece_next(v);
}

static void piece_read(struct store_read *read, int result)
{
	struct verify *v = container_of(read, struct verify, read);

	if (!task_back(&v->task))
		return;
	switch (result) {
	case 0:
		v->job = (struct job){.run = hash_run, .done = hash_done};
		task_out(&v->task);
		jobs_submit(v->task.ctl->hasher, &v->job);
		break;
	case -EBADMSG: /* the store has put it aside */
		damage_say(v);
		blob_over(v);
		break;
	case -ENOENT: /* it went meanwhile */
		blob_over(v);
		break;
	default:
		fail(v);
	}
}

static void piece_next(struct verify *v)
{
	const struct blob_name *name = &entry(v)->name;
	struct ident computed;

	if ((uint64_t)v->piece * PIECE_SIZE >= name->length) {
		ident_final(v->hash, &computed);
		if (ident_equal(&computed, &name->id))
			blob_over(v);
		else
			blob_wrong(v);
		return;
	}
	piece_prepare(&v->read, name, v->piece, v->chunk, v->bytes);
	v->read.stored = true;
	v->read.fn = piece_read;
	task_out(&v->task);
	store_read(&v->task.ctl->store, &v->read);
}

static void blob_next(struct verify *v)
{
	if (v->at == v->list.count) {
		page_next(v);
		return;
	}
	v->piece = 0;
	v->hash = ident_begin(entry(v)->name.rule);
	if (v->hash != NULL)
		piece_next(v);
	else
		task_answer(&v->task, NULL);
}

/* ---- all of them ---- */

static void listed(struct store_list *list, int result)
{
	struct verify *v = container_of(list, struct verify, list);

	if (!task_back(&v->task))
		return;
	v->at = 0;
	if (result < 0)
		fail(v);
	else if (list->count > 0)
		blob_next(v);
	else if (list->more)
		page_next(v);
	else
		over(v);
}

static void page_next(struct verify *v)
{
	if (v->list.count > 0 && !v->list.more) {
		over(v);
		return;
	}
	v->list.most = STORE_PAGE;
	v->list.fn = listed;
	task_out(&v->task);
	store_list(&v->task.ctl->store, &v->list);
}

static void begin(struct verify *v)
{
	v->noted_us = v->task.ctl->now_us;
	admin_say(v->task.client, json_pack("{s:I, s:I}", "from_bytes", (json_int_t)v->done.bytes,
					    "from_blobs", (json_int_t)v->done.blobs));
	say(v);
	page_next(v);
}

static void recalled(struct store_note *note, int result)
{
	struct verify *v = container_of(note, struct verify, note);

	if (result == 0 && note->size == sizeof(v->done)) {
		memcpy(&v->done, note->bytes, sizeof(v->done));
		v->list.behind = true;
		v->list.after = v->done.last;
		v->noted = v->done;
	}
	free(note->bytes);
	if (!task_back(&v->task))
		return;
	if (result < 0)
		fail(v);
	else
		begin(v);
}

json_t *store_verify(struct control *ctl, struct admin_client *client, int argc, char **argv)
{
	const bool anew = argc > 0 && strcmp(argv[0], "anew") == 0;
	struct verify *v;

	if (argc > 0 && !anew)
		return admin_error("store verify: \"%s\" is not a word it knows", argv[0]);
	if (ctl->tasks->verifying)
		return admin_error("the store is being verified already");
	v = task_begin(ctl, client, sizeof(*v), verify_end, (struct admin_task){.watches = true});
	if (v == NULL)
		return NULL;
	ctl->tasks->verifying = true;
	v->bytes = malloc(PIECE_SIZE);
	if (v->bytes == NULL) {
		task_answer(&v->task, NULL);
		return NULL;
	}
	if (anew) {
		begin(v);
		return NULL;
	}
	v->note = (struct store_note){.name = NOTE, .fn = recalled};
	task_out(&v->task);
	store_note_read(&ctl->store, &v->note);
	return NULL;
}
