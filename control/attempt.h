/* SPDX-License-Identifier: BSD-3-Clause
 * An attempt: one source uploading one blob. Owns the descriptor being filled,
 * the worker's slot, the pull window and the hash job.
 */
#ifndef CONTROL_ATTEMPT_H
#define CONTROL_ATTEMPT_H

#include "control/upload.h"

#define ATTEMPT_PARK_US 120000000u /* without a new chunk: given up, even if nobody waits */

struct attempt {
	struct control *ctl;
	/* NULL: ended; memory is still in use by a worker or hash thread */
	struct request *request;
	struct addr source;
	/* the low halves of its stream's number, and of that before it moved; 0: none. Notes
	 * of either are of its chunks. */
	uint32_t stream, before;
	bool moving; /* the slot is closed until no worker uses it any more */
	uint16_t slot;
	uint16_t worker;
	uint32_t blob;
	bool committed; /* the blob belongs to the index now */
	bool hashing;	/* the job is with the hash threads */
	bool dirty;
	bool goes;	     /* for lack of progress, to make room */
	uint32_t contiguous; /* chunks received without a gap */
	uint32_t hashed;     /* chunks hashed */
	uint32_t limit;	     /* chunks that have memory */
	uint32_t field;	     /* key field of its source's frames */
	uint16_t domain_slot;
	struct hash_job job;
	struct ident_state *hash;
	uint32_t hash_to; /* chunks that the job hashes up to */
	struct pullwin window;
	uint64_t came; /* when the newest chunk did, by the worker's clock; of now_us */
	uint8_t *bits; /* the window's bitmaps, then the slot's */
	size_t bits_size;
	uint64_t judged; /* when its rate was last looked at, and */
	uint32_t had;	 /* how many chunks there were then */
	struct event *timer;
	TAILQ_ENTRY(attempt) link; /* in uploads.dirty */
};

/* It is looked at in the next pump. */
void attempt_mark(struct attempt *a);
/* Starts pulling from the request's source. REFUSE_NONE, or why not. BUSY: now. */
enum refuse_reason attempt_start(struct upload *u, struct request *rq);
/* Its source, the request's, is at another address now: pulls from there, and goes on
 * where it was. Without memory it does not, and will stall. */
void attempt_move(struct attempt *a);
/* Detaches it from its upload; memory goes once nobody can touch it any more. */
void attempt_end(struct attempt *a);
/* Bytes a second since it was judged. */
uint64_t attempt_rate(const struct attempt *a);
/* attempt -> upload: all chunks are here and this is their identifier */
void upload_hashed(struct attempt *a, const struct ident *computed);
/* attempt -> upload: it must not go on */
void upload_failed(struct attempt *a, enum refuse_reason reason);
/* attempt -> upload: nothing has come for a while. Ends the attempt if another source is
 * waiting to upload, or if this has lasted; true then. */
bool upload_stalled(struct attempt *a);
/* Has nothing come for so long that others go first? */
bool attempt_stalled(const struct attempt *a);

#endif
