/* SPDX-License-Identifier: BSD-3-Clause
 * Requests: SENDs whose blob is not here, from the miss until central serves
 * them or an upload has. Hits never become requests.
 */
#ifndef CONTROL_REQUEST_H
#define CONTROL_REQUEST_H

#include <sys/queue.h>

#include <event2/event.h>

#include "control/table.h"
#include "dataplane/ask.h"
#include "dataplane/tally.h"

struct blob;
struct control;
struct domain;
struct upload;

struct request {
	struct control *ctl;
	struct ask ask;
	struct ask_cold cold; /* its proof is of the newest SEND */
	uint16_t slot;	      /* the domain's */
	uint64_t heard;	      /* last SEND, monotonic microseconds */
	/* asking central; query_conn 0: not (any more) */
	uint64_t query_conn;		  /* names this request in ANSWERs */
	uint64_t query_first, query_last; /* nonces used */
	uint64_t query_started;		  /* monotonic microseconds */
	struct event *timer;		  /* next QUERY while asking central, else the deadline */
	/* waiting for an upload */
	struct upload *upload;
	struct attempt *attempt;     /* its source uploads; NULL: others do */
	TAILQ_ENTRY(request) waiter; /* in upload->requests, or in requests.served */
	bool waits;		     /* counted against its source's and domain's limits */
	bool served;		     /* answered: kept a little for the source's repeats */
	bool uploaded;		     /* by this very source: what it asks for is no secret to it */
	UT_hash_handle hh;	     /* in requests.by_key, under ask.key */
	UT_hash_handle hh_query;     /* in requests.by_query */
};

TAILQ_HEAD(request_list, request);

struct requests {
	struct tally hosts; /* requests by source */
	struct request *by_key;
	struct request *by_query;
	struct request_list served; /* oldest first */
};

void requests_init(struct control *ctl);

/* send.c: a SEND that a worker cannot serve alone: a miss, or one that brings a
 * proof. */
void handle_send_slow(struct control *ctl, const struct ask_carried *c);

/* Is there room for one more that waits: in all, of its source, of its domain? */
bool request_room(struct control *ctl, const struct domain *d, const struct addr *source);
/* NULL: no memory. */
struct request *request_create(struct control *ctl, const struct domain *d,
			       const struct ask_carried *c);
struct request *request_find(struct control *ctl, const struct ask_key *key);
/* Takes over what may differ between a SEND and its repeats, even its source's address. */
void request_update(struct request *rq, const struct ask_carried *c);
/* The source asks again: tells it where things stand. */
void request_again(struct request *rq);
struct request *request_by_query(struct control *ctl, uint64_t conn);
/* Central has sent the OFFER (or given us the ticket for it). */
void request_served(struct request *rq);
/* Central does not have it (or did not say so in time): the source uploads. */
void request_upload(struct request *rq);
/* Central has it, but wants to see a proof first. */
void request_challenged(struct request *rq, const struct challenge *challenge);
/* Tells the source. */
void request_status(struct request *rq, enum status_code code, enum refuse_reason reason,
		    uint64_t bytes);
/* Tells the source that it has to wait, and when to ask again; ends the request. */
void request_wait(struct request *rq);
/* Tells the source to come back later; ends the request. */
void request_busy(struct request *rq);
/* The blob is here: OFFER to the target, STATUS to the source (or a challenge,
 * if it has to prove something first); ends the request. */
void request_serve(struct request *rq, const struct blob *b);
/* Takes it out of everything. */
void request_free(struct request *rq);
void requests_fini(struct control *ctl);

#endif
