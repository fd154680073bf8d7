/* SPDX-License-Identifier: BSD-3-Clause
 * Attempts: one source at a time uploading one blob. An attempt owns the descriptor being
 * filled, the worker's slot, the pull window and the hash job. How it goes is news for
 * who began it (upload.h), which is found in a list, so nobody is called from here.
 */
#ifndef CONTROL_TRANSFER_ATTEMPT_H
#define CONTROL_TRANSFER_ATTEMPT_H

#include <sys/queue.h>

#include <event2/event.h>

#include "store/jobs.h"
#include "control/base/table.h"
#include "dataplane/ask.h"
#include "dataplane/message.h"
#include "dataplane/upload_slot.h"
#include "store/store.h"
#include "wire/pullwin.h"

#define ATTEMPT_PARK_US 120000000u /* without a new chunk: given up, even if nobody waits */

struct control;
struct waiter;

enum attempt_news {
	ATTEMPT_QUIET,
	ATTEMPT_SHOWN,	 /* targets may pull what has come of it */
	ATTEMPT_STALLED, /* nothing has come for a while: attempt_go_on() or attempt_end() */
	ATTEMPT_HASHED,	 /* all chunks are here, and `computed` is their identifier */
	ATTEMPT_STORED,	 /* attempt_store() is over: `result` */
	ATTEMPT_FAILED,	 /* it cannot go on, for `reason` */
	ATTEMPT_RESTED,	 /* it is nobody's, and may be taken on: parked.h */
};

/* Which blob is uploaded, and for whom. */
struct upload_key {
	struct ident id;
	uint64_t length;
	uint32_t rule;
	uint32_t domain;
	struct ask_key owner; /* zero: anybody may wait for it */
};

/* A source's host, as far as limits tell hosts apart: of IPv6 the /64. */
struct attempt_host {
	uint8_t ip[16]; /* the last byte: enum addr_type */
	uint32_t count;
	TAILQ_HEAD(, attempt) attempts; /* the one without progress for longest first */
	UT_hash_handle hh;
};

struct attempt {
	struct control *ctl;
	struct waiter *owner; /* NULL: parked; or ended, and a worker or hash thread still uses its
			       * memory */
	struct ask ask;	      /* of its source, the last one it had; the address may change */
	/* the low halves of its stream's number, and of that before it moved; 0: none. Notes
	 * of either are of its chunks. */
	uint32_t stream, before;
	bool moving; /* the slot is closed until no worker uses it any more */
	uint16_t slot;
	uint64_t number; /* what targets name it by */
	bool shown;	 /* they may */
	struct store_put put;
	bool hashing; /* the job is with the hash threads */
	bool dirty;
	bool goes;	     /* for lack of progress, to make room */
	uint32_t contiguous; /* chunks received without a gap */
	uint32_t hashed;     /* chunks hashed: what stays of it when it is parked */
	uint32_t limit;	     /* chunks that have memory */
	uint16_t domain_slot;
	bool foreign; /* its beginning came of another request than its end */
	/* Parked: */
	bool parked;
	bool cold;	     /* an earlier process's, of which nothing was read yet */
	bool rested;	     /* nothing is under way any more: it may be taken on */
	uint64_t counted;    /* bytes, in attempts.parked_bytes */
	bool doubted;	     /* a source's blob did not begin so */
	struct ident prefix; /* rested: the identifier of what was hashed */
	uint64_t parked_at;
	struct upload_key key;
	UT_hash_handle hh; /* in attempts.parked_by_key */
	struct job job;
	struct ident_state *hash;
	uint32_t hash_to; /* chunks that the job hashes up to */
	struct pullwin window;
	uint64_t came;	   /* when the newest chunk did, by the worker's clock; of now_us */
	uint64_t progress; /* the window's, when its place in the lists was last right */
	uint8_t *bits;	   /* the window's bitmaps, then the slot's */
	size_t bits_size;
	uint64_t judged; /* when its rate was last looked at, and */
	uint32_t had;	 /* how many chunks there were then */
	enum attempt_news news;
	enum refuse_reason reason;
	struct ident computed;
	int result; /* of store_put_commit() */
	struct attempt_host *host;
	struct event *timer;
	TAILQ_ENTRY(attempt) dirty_link;  /* in attempts.dirty */
	TAILQ_ENTRY(attempt) news_link;	  /* in attempts.news */
	TAILQ_ENTRY(attempt) open_link;	  /* in attempts.open, or .parked */
	TAILQ_ENTRY(attempt) host_link;	  /* in host->attempts */
	TAILQ_ENTRY(attempt) beside_link; /* the upload's: its attempts */
};

TAILQ_HEAD(attempt_list, attempt);

static inline struct attempt *attempt_of_put(struct store_put *put)
{
	return (struct attempt *)((char *)put - offsetof(struct attempt, put));
}

struct attempts {
	uint32_t active;	    /* with an open slot */
	struct attempt_list open;   /* these, the one without progress for longest first */
	struct attempt_host *hosts; /* those that have one, parked ones included */
	struct attempt_list parked; /* the one that is so for longest first */
	struct attempt *parked_by_key;
	uint64_t parked_bytes;	   /* of these, those that have rested, or are cold */
	struct attempt_list dirty; /* to be looked at in the next pump */
	struct attempt_list news;
	uint16_t free[UPLOAD_SLOTS]; /* stack of closed slots */
	uint32_t free_count;
};

void attempts_init(struct control *ctl);
/* Hash threads and workers have stopped: those that are parked end. */
void attempts_fini(struct control *ctl);
/* Sends PULLs and hands prefixes to the hash threads, after a batch of notes. */
void attempts_pump(struct control *ctl);
/* A worker's note. */
void attempt_chunk(struct control *ctl, const struct message *note);

/* Starts pulling from the source of the owner's ask. REFUSE_NONE with *out, or why
 * not; BUSY: not now. */
enum refuse_reason attempt_start(struct control *ctl, struct waiter *owner, const struct ask *ask,
				 struct attempt **out);
/* Its source is at another address now, as `ask` says: pulls from there, and goes on
 * where it was. Without memory it does not, and will stall. */
void attempt_move(struct attempt *a, const struct ask *ask);
/* It is stalled, and may be so longer. */
void attempt_go_on(struct attempt *a);
/* The identifier was right: keeps it. */
void attempt_store(struct attempt *a);
/* Closes the slot; memory goes once nobody can touch it any more. */
void attempt_end(struct attempt *a);
/* Its source lacked progress. Closes the slot, and parks what has come, if that is of use; else
 * ends it. */
void attempt_park(struct attempt *a, const struct upload_key *key);
/* A parked one that has rested goes on from the source of the owner's ask, which vouched for it.
 * REFUSE_NONE, or why not: then it stays parked. */
enum refuse_reason attempt_resume(struct attempt *a, struct waiter *owner, const struct ask *ask);
/* It was parked, and is no more: its memory goes. */
void attempt_drop(struct attempt *a);
/* Nothing uses it any more, and no place is its: it rests, if it is parked and of use, or goes. */
void attempt_left(struct attempt *a);
/* One of nothing yet, or NULL. */
struct attempt *attempt_make(struct control *ctl, uint8_t rule);
void attempt_free(struct attempt *a);
/* It is looked at in the next pump. */
void attempt_mark(struct attempt *a);
/* Bytes a second since it was judged. */
uint64_t attempt_rate(const struct attempt *a);
/* Has nothing come for so long that others go first? */
bool attempt_stalled(const struct attempt *a);

#endif
