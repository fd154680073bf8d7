/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "control/core.h"
#include "control/transfer/attempt.h"
#include "control/transfer/fetch.h"

#define FETCHES_MAX 4096u /* that wait; beyond, the target's next PULL is its next chance */
#define AHEAD 8u	  /* pieces that follow */
#define THERE_RETRY_MS 1
#define BACK_RETRY_MS 4 /* a few pieces' reading takes as long */

struct fetch {
	struct control *ctl;
	struct store_get get;
	struct addr peer;
	uint64_t conn;
	uint64_t stream;
	uint32_t field;
	uint64_t attempt; /* that the PULL names; 0: none */
	uint32_t number;
	uint16_t worker;
	TAILQ_ENTRY(fetch) link;
};

void fetches_init(struct control *ctl)
{
	TAILQ_INIT(&ctl->fetches->all);
}

static void fetch_free(struct fetch *f)
{
	struct fetches *fs = f->ctl->fetches;

	store_get_cancel(&f->get);
	TAILQ_REMOVE(&fs->all, f, link);
	fs->count--;
	free(f);
}

void fetches_fini(struct control *ctl)
{
	while (!TAILQ_EMPTY(&ctl->fetches->all))
		fetch_free(TAILQ_FIRST(&ctl->fetches->all));
}

/* Are the bytes that the store has those of the attempt that is wanted? */
static bool attempt_is(const struct fetch *f)
{
	const struct piece *p = store_find_piece(&f->ctl->store, &f->get.name, f->get.number);

	return f->attempt == 0 || (p != NULL && p->attempt == f->attempt);
}

static void fetch_answered(struct store_get *g, enum store_answer answer)
{
	struct fetch *f = container_of(g, struct fetch, get);
	struct error e = {
		.code = ERROR_BUSY,
		.verb = VERB_PULL,
		.number = f->number,
		.stream = f->stream,
		.retry_after = answer == STORE_HERE ? THERE_RETRY_MS : BUSY_RETRY_MS,
	};

	if (answer == STORE_ABSENT || (answer == STORE_HERE && !attempt_is(f))) {
		e.code = ERROR_GONE;
		e.retry_after = 0;
		control_drop(f->ctl, DROP_UNKNOWN_BLOB);
	}
	outbox_error(f->ctl, f->worker, &f->peer, f->field, f->conn, &e);
	fetch_free(f);
}

/* The first of the PULL's pieces that is not in RAM. */
static uint32_t piece_wanted(const struct control *ctl, const struct blob_name *name,
			     const struct pull *p)
{
	const uint32_t number = p->first / PIECE_CHUNKS;

	return store_find_piece(&ctl->store, name, number) == NULL ? number : pull_last_piece(p);
}

/* The attempt that the PULL names, if it is under way. */
static struct attempt *attempt_named(const struct control *ctl, const struct pull *p,
				     const struct blob_name *name)
{
	struct attempt *a = ctl->relay->uploads[p->attempt & (UPLOAD_SLOTS - 1)].attempt;

	return a != NULL && a->shown && a->number == p->attempt &&
			       blob_name_equal(&a->put.name, name)
		       ? a
		       : NULL;
}

/* What has come of an upload, and left RAM, comes back for who pulls it. */
static void piece_back(struct control *ctl, struct attempt *a, const struct packet *p,
		       const struct frame *f, const struct pull *pull)
{
	struct error e = {
		.code = ERROR_BUSY,
		.verb = VERB_PULL,
		.number = pull->number,
		.stream = pull->stream,
		.retry_after = THERE_RETRY_MS,
	};

	for (uint32_t n = pull->first / PIECE_CHUNKS; n <= pull_last_piece(pull); n++)
		if (store_put_back(&a->put, n) < 0) {
			e.retry_after = BACK_RETRY_MS;
			break;
		}
	outbox_error(ctl, p->worker, &p->peer, f->key, f->conn, &e);
}

void handle_pull_slow(struct control *ctl, const struct packet *p, const struct frame *f)
{
	struct fetches *fs = ctl->fetches;
	struct blob_name name;
	struct attempt *a;
	struct fetch *fetch;
	struct pull pull;
	enum drop reason = pull_decode(f, &pull);

	if (reason != DROP_NONE) {
		control_drop(ctl, reason);
		return;
	}
	name = (struct blob_name){
		.id = *pull.id,
		.length = pull.length,
		.domain = get32(pull.ticket->key) >> 8,
		.rule = pull.rule,
	};
	a = attempt_named(ctl, &pull, &name);
	if (a != NULL) {
		piece_back(ctl, a, p, f, &pull);
		return;
	}
	if (fs->count >= FETCHES_MAX || (fetch = calloc(1, sizeof(*fetch))) == NULL) {
		control_drop(ctl, DROP_CONTROL_BUSY);
		return;
	}
	fetch->ctl = ctl;
	fetch->peer = p->peer;
	fetch->conn = f->conn;
	fetch->field = f->key;
	fetch->stream = pull.stream;
	fetch->attempt = pull.attempt;
	fetch->number = pull.number;
	fetch->worker = p->worker;
	fetch->get.name = name;
	fetch->get.number = piece_wanted(ctl, &fetch->get.name, &pull);
	fetch->get.want = STORE_PIECE;
	fetch->get.fn = fetch_answered;
	TAILQ_INSERT_TAIL(&fs->all, fetch, link);
	fs->count++;
	if (keyring_domain(relay_keyring(ctl->relay), fetch->get.name.domain) == NULL) {
		fetch_answered(&fetch->get, STORE_ABSENT); /* nobody's any more */
		return;
	}
	store_get(&ctl->store, &fetch->get);
	for (uint32_t i = 1; i <= AHEAD; i++)
		store_get_ahead(&ctl->store, &fetch->get.name, fetch->get.number + i);
}
