/* SPDX-License-Identifier: BSD-3-Clause
 * Commands on the store that take a while: what they share, and `store`, which finds the one
 * that is meant.
 */
#ifndef CONTROL_ADMIN_TASK_H
#define CONTROL_ADMIN_TASK_H

#include "control/admin/socket.h"
#include "store/store.h"

struct control;

struct task {
	struct admin_task link; /* first */
	struct control *ctl;
	struct admin_client *client; /* NULL: it went */
	bool busy;		     /* the store, a hash thread or a timer has it */
	/* Nobody wants it any more, and nothing has it: frees it. */
	void (*end)(struct task *t);
	LIST_ENTRY(task) all;
};

struct tasks {
	LIST_HEAD(, task) all;
	bool verifying; /* one at a time */
};

/* A task of `size` bytes, which begins with a struct task, all zeros but that; `end` frees
 * what it has besides. admin_later() was called; of `link` came, watches and sent count. NULL
 * without memory. */
void *task_begin(struct control *ctl, struct admin_client *client, size_t size,
		 void (*end)(struct task *t), struct admin_task link);
/* Frees its memory, and no more. */
void task_free(struct task *t);
/* Answers, and ends it. */
void task_answer(struct task *t, json_t *answer);
/* Something has it from now on. */
static inline void task_out(struct task *t)
{
	t->busy = true;
}
/* Not any more. False: nobody wants it, and it was ended. */
bool task_back(struct task *t);

/* A whole piece, for store_read(), with place for the numbers of its chunks. */
void piece_prepare(struct store_read *r, const struct blob_name *name, uint32_t piece,
		   uint32_t chunk[PIECE_CHUNKS], uint8_t *to);

/* Hash threads, workers and the admin socket are gone. */
void tasks_fini(struct control *ctl);

/* ---- what is meant ---- */

/* "-" is the open domain, else the name of one. 0; -ENOENT. */
int domain_of(const struct control *ctl, const char *text, uint32_t *domain);
/* A blob for an answer: id, rule, bytes, domain (null: the open one), stored. */
json_t *blob_json(const struct control *ctl, const struct engine_entry *e);
/* "domain rule identifier". A new reference to an error; NULL: *name is set but for its
 * length. */
json_t *blob_parse(const struct control *ctl, char **argv, struct blob_name *name);
/* Why the store cannot say, or do, anything. */
json_t *store_error(const struct control *ctl);

/* ---- commands: look.c, verify.c, carry.c ---- */

typedef json_t *store_command(struct control *ctl, struct admin_client *client, int argc,
			      char **argv);

/* ls DOMAIN|* COUNT [MARK]: {"blobs": [...], "next": MARK or null} */
store_command store_ls;
/* stat DOMAIN|* RULE|* ID: {"blobs": [...]}: none, one, or one of each domain and rule. */
store_command store_stat_command;
/* rm DOMAIN RULE ID: {"removed": blob} */
store_command store_rm;
/* verify [anew]: lines {"bytes", "blobs", "of_bytes", "of_blobs"} and {"damaged": blob}, at
 * last {"verified": {"bytes", "blobs", "damaged", "from_bytes", ...}} */
store_command store_verify;
/* export DOMAIN RULE ID: {"export": blob}, and its bytes. */
store_command store_export;
/* import DOMAIN RULE ID LENGTH, and its bytes: {"stored": true}; false: it was there. */
store_command store_import;

/* The admin command `store`. ctl: struct control. */
json_t *control_store(void *ctl, struct admin_client *client, int argc, char **argv);

#endif
