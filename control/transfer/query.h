/* SPDX-License-Identifier: BSD-3-Clause
 * A private relay asks central: QUERY, repeated until ANSWER or time-out. What came
 * of it is news, in a list, for who asked.
 */
#ifndef CONTROL_TRANSFER_QUERY_H
#define CONTROL_TRANSFER_QUERY_H

#include <sys/queue.h>

#include <event2/event.h>

#include "control/base/table.h"
#include "dataplane/answer.h"

struct control;

enum query_news {
	QUERY_QUIET,
	QUERY_SERVED,	  /* central has sent the OFFER, or we have, with its ticket */
	QUERY_CHALLENGED, /* central has it, but wants to see a proof first: `challenge` */
	QUERY_FAILED,	  /* it does not have it, or did not say so in time */
};

struct inquiry {
	struct control *ctl;
	const struct ask *ask;
	const struct ask_cold *cold;
	uint64_t conn;	      /* names it in ANSWERs; 0: not asking */
	uint64_t first, last; /* nonces used */
	uint64_t started;     /* monotonic microseconds */
	struct event *timer;  /* the next QUERY */
	enum query_news news;
	struct challenge challenge;
	bool target_leased;	   /* central said so: it may push to the target */
	UT_hash_handle hh;	   /* in queries.by_conn */
	TAILQ_ENTRY(inquiry) link; /* in queries.news */
};

struct queries {
	struct inquiry *by_conn;
	TAILQ_HEAD(, inquiry) news;
};

void queries_init(struct control *ctl);
/* 0 or -ENOMEM. ask and cold are looked at for each QUERY. */
int query_init(struct inquiry *iq, struct control *ctl, const struct ask *ask,
	       const struct ask_cold *cold);
void query_fini(struct inquiry *iq);
/* Asks, from the beginning. */
void query_begin(struct inquiry *iq);
/* Asks no more, and forgets its news. */
void query_stop(struct inquiry *iq);

/* Is it central that is to offer what we have ourselves, as it has the target's lease and we have
 * not? Then that is asked of it, once. p: what is here of it; NULL: all. */
bool query_can_hold(const struct inquiry *iq);
void query_hold(struct inquiry *iq, const struct partial *p);

#endif
