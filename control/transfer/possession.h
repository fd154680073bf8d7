/* SPDX-License-Identifier: BSD-3-Clause
 * Proofs of possession. The challenge is minted from the request, so nothing is
 * kept between it and the proof; a proof is hashed beside the control thread,
 * from a copy of the chunks, and what was asked then handled again.
 */
#ifndef CONTROL_TRANSFER_POSSESSION_H
#define CONTROL_TRANSFER_POSSESSION_H

#include <sys/queue.h>

#include "store/jobs.h"
#include "dataplane/ask.h"

#define POSSESSION_JOBS 256 /* proofs being verified at once */

struct control;
struct possession_job;

enum possession {
	POSSESSION_UNKNOWN, /* the ask's proof has not been looked at */
	POSSESSION_PROVEN,
	POSSESSION_WRONG,
	POSSESSION_ABSENT, /* the blob is not there (any more) */
	POSSESSION_BUSY,   /* its chunks cannot be had now */
};

/* Handles the ask again, knowing how its proof turned out. */
typedef void possession_fn(struct control *ctl, const struct ask_carried *c,
			   enum possession outcome);

LIST_HEAD(possession_jobs, possession_job);

struct possession_queue {
	struct possession_jobs jobs;
	uint32_t count;
};

/* Has the ask's proof verified against the blob, which the store may have to read, then calls
 * `again`. False: too many are under way, or no memory. */
bool possession_verify(struct control *ctl, const struct ask_carried *c, possession_fn *again);
/* The hash threads have stopped. */
void possession_fini(struct control *ctl);

#endif
