/* SPDX-License-Identifier: BSD-3-Clause
 * Blobs of domains that are not configured any more are removed, beside everything else.
 * Nobody could ask for them.
 */
#ifndef CONTROL_TRANSFER_SWEEP_H
#define CONTROL_TRANSFER_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

struct control;

struct sweep {
	bool wanted;
	bool runs;
	uint64_t blobs; /* removed before it */
	uint64_t bytes; /* of these */
};

/* After domains may have gone, or a blob of one that has was stored. */
void sweep_start(struct control *ctl);
/* Each second. */
void sweep_review(struct control *ctl);

#endif
