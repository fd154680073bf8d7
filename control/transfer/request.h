/* SPDX-License-Identifier: BSD-3-Clause
 * Requests: SENDs whose blob is not here, from the miss until central serves
 * them or an upload has. Hits never become requests.
 *
 * A request is in one state; what happens to it (its source repeats the SEND, central
 * or the upload has news, its time is over) makes it go to another: the table in
 * request.c is all of it.
 */
#ifndef CONTROL_TRANSFER_REQUEST_H
#define CONTROL_TRANSFER_REQUEST_H

#include "control/transfer/query.h"
#include "control/transfer/upload.h"
#include "dataplane/tally.h"

struct domain;

enum request_state {
	REQUEST_LOOKING, /* for the blob in the store, which brings it into RAM */
	REQUEST_ASKING,	 /* central */
	REQUEST_WAITING, /* for an upload, its source's or another's */
	REQUEST_KEPT,	 /* answered; its source may repeat its SEND */
	REQUEST_STATES
};

struct request {
	struct control *ctl;
	enum request_state state;
	struct ask ask;
	struct ask_cold cold;	   /* its proof is of the newest SEND */
	uint16_t slot;		   /* the domain's */
	bool uploaded;		   /* by this very source: what it asks for is no secret to it */
	bool proven;		   /* nor here: it has shown that it holds it */
	bool owes_offer;	   /* its newest SEND has caused none yet */
	struct store_get get;	   /* while LOOKING */
	struct inquiry query;	   /* while ASKING */
	struct waiter waiter;	   /* while WAITING */
	struct event *expiry;	   /* ends it */
	TAILQ_ENTRY(request) kept; /* in requests.kept */
	UT_hash_handle hh;	   /* in requests.by_key, under ask.key */
};

struct requests {
	struct tally hosts; /* requests by source, but for those that are kept */
	struct request *by_key;
	TAILQ_HEAD(, request) kept; /* oldest first */
};

void requests_init(struct control *ctl);
/* Does all that there is to do for attempts, uploads and requests now. */
void requests_pump(struct control *ctl);
void requests_fini(struct control *ctl);

/* send.c: a SEND that a worker cannot serve alone: a miss, or one that brings a
 * proof. */
void handle_send_slow(struct control *ctl, const struct ask_carried *c);

/* Is there room for one more that waits: in all, of its source, of its domain? */
bool request_room(struct control *ctl, const struct domain *d, const struct addr *source);
/* A new one, of a blob that is not in RAM: it is looked for, central is asked, or an upload
 * begins. proven: its source has shown that it holds it. False: no memory. */
bool request_begin(struct control *ctl, const struct domain *d, const struct ask_carried *c,
		   bool proven);
struct request *request_find(struct control *ctl, const struct ask_key *key);
/* Its source repeats the SEND, perhaps from another address: takes over what may differ,
 * and tells where things stand. It may be gone after this. */
void request_repeat(struct request *rq, const struct ask_carried *c);

#endif
