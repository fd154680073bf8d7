/* SPDX-License-Identifier: BSD-3-Clause
 * Uploads: a blob that nobody has comes from the first source that asked for
 * it, the others wait. If that source fails, the next one starts afresh. If it is
 * slow, for whatever reason, another one uploads beside it, and the first to bring
 * all of it serves everybody. Bytes of two sources never mix.
 */
#ifndef CONTROL_UPLOAD_H
#define CONTROL_UPLOAD_H

#include <sys/queue.h>

#include "control/hasher.h"
#include "control/request.h"
#include "control/table.h"
#include "dataplane/message.h"
#include "dataplane/upload.h"
#include "wire/pullwin.h"

struct control;
struct attempt;

struct upload_key {
	struct ident id;
	uint64_t length;
	uint32_t rule;
	uint32_t domain;
	struct ask_key owner; /* zero: anybody may wait for it */
};

struct upload {
	struct upload_key key;
	struct control *ctl;
	struct request_list requests; /* never empty; one at least has an attempt */
	uint32_t attempts;
	UT_hash_handle hh;
};

/* Uploads of one blob beside each other, at most. */
#define UPLOAD_BESIDE 4

TAILQ_HEAD(attempt_list, attempt);

struct uploads {
	struct upload *by_key;
	uint32_t active;	     /* attempts with an open slot */
	struct tally hosts;	     /* of these, by source */
	struct attempt_list dirty;   /* with news since they were last pumped */
	uint16_t free[UPLOAD_SLOTS]; /* stack of closed slots */
	uint32_t free_count;
};

void uploads_init(struct control *ctl);
/* Hash threads and workers have stopped. */
void uploads_fini(struct control *ctl);

/* A limit of the relay's, or of a host's (else NULL), is reached: the attempt, or that host's,
 * that has been without progress for longest will go at the next pump, and its memory a
 * little later. False: there is none that others may go before. */
bool uploads_reclaim(struct control *ctl, const struct addr *host);
/* Each second: lets others upload beside sources that are slow. */
void uploads_review(struct control *ctl);
/* Waits for, or starts, the upload of the request's blob. May end the request. */
void upload_join(struct request *rq);
/* The request's time is over; should its source be heard again, it begins anew. Another
 * one takes over if nobody else uploads. Ends the request. */
void upload_leave(struct request *rq);
/* Tells the request's source how the upload stands. */
void upload_status(struct request *rq);
/* A worker's note. */
void upload_chunk(struct control *ctl, const struct message *note);
/* Sends PULLs and hands prefixes to the hash threads, after a batch of notes. */
void uploads_pump(struct control *ctl);

#endif
