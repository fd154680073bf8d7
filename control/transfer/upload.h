/* SPDX-License-Identifier: BSD-3-Clause
 * Uploads: a blob that nobody has comes from the first source that asked for
 * it, the others wait. If that source fails, the next one starts afresh. If it is
 * slow, for whatever reason, another one uploads beside it, and the first to bring
 * all of it serves everybody. Bytes of two sources never mix, but that one may go on behind
 * another's if it vouches for those.
 *
 * Who waits is told by news, which stand in a list until it looks: nobody is called
 * from here.
 */
#ifndef CONTROL_TRANSFER_UPLOAD_H
#define CONTROL_TRANSFER_UPLOAD_H

#include "control/transfer/attempt.h"

enum waiter_news {
	WAITER_QUIET,
	WAITER_CHANGED, /* upload_stands() says something else now */
	/* It is out: */
	WAITER_PUT_OFF, /* it may begin anew: its upload lacked progress */
	WAITER_FAILED,	/* for `reason` */
	WAITER_STORED,	/* the blob is there */
};

/* One who waits for a blob, or uploads it. */
struct waiter {
	const struct ask *ask;
	uint64_t heard;		 /* when its source last was, monotonic microseconds */
	struct upload *upload;	 /* NULL: it does not wait */
	struct attempt *attempt; /* its source uploads; NULL: others do */
	enum waiter_news news;
	enum refuse_reason reason;
	bool brought; /* WAITER_STORED: its source was the one who uploaded it */
	/* Its source is, or was, asked to vouch for what is parked. */
	struct challenge challenge;
	uint32_t kept;		       /* so many chunks; 0: it was not asked yet */
	uint64_t kept_of;	       /* the parked attempt's number */
	uint64_t vouch_until;	       /* then without it */
	bool fresh;		       /* it begins with the first chunk, whatever is parked */
	bool passed;		       /* by a faster one: not again while others move */
	TAILQ_ENTRY(waiter) link;      /* in upload->waiters */
	TAILQ_ENTRY(waiter) news_link; /* in uploads.news */
};

TAILQ_HEAD(waiter_list, waiter);

struct upload {
	struct upload_key key;
	struct control *ctl;
	struct waiter_list waiters;   /* never empty; one has an attempt, or is the voucher */
	struct attempt_list attempts; /* at most UPLOAD_BESIDE */
	uint32_t attempt_count;
	struct waiter *voucher; /* uploads next, as soon as it vouched, or does not; or NULL */
	uint64_t voucher_since;
	UT_hash_handle hh;
};

#define UPLOAD_BESIDE 4 /* uploads of one blob beside each other */

struct uploads {
	struct upload *by_key;
	struct waiter_list news;
};

void uploads_init(struct control *ctl);
/* Hash threads and workers have stopped. No waiter waits after this. */
void uploads_fini(struct control *ctl);
/* Acts on the news of attempts. */
void uploads_pump(struct control *ctl);
/* Each second: lets others upload beside sources that are slow. */
void uploads_review(struct control *ctl);

/* Waits for, or starts, the upload of the blob that w->ask wants. */
void upload_join(struct control *ctl, struct waiter *w);
/* Waits no more, whatever for; forgets its news. Another one takes over if nobody else
 * uploads. */
void upload_leave(struct control *ctl, struct waiter *w);
/* Its source is at another address now. */
void upload_move(struct waiter *w);
/* The attempt whose chunks its target may be offered now: its source's own, or, unless
 * `own_only`, that of another which has brought most; NULL: there is none. */
const struct attempt *upload_offered(const struct waiter *w, bool own_only);
/* What its source is to be told. */
struct status upload_stands(const struct waiter *w);
/* Its source vouches for what is parked. */
void upload_vouch(struct waiter *w, const struct proof *vouch);

#endif
