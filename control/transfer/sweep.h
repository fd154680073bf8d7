/* SPDX-License-Identifier: BSD-3-Clause
 * Blobs of domains that are not configured any more are removed, some at a time, beside
 * everything else. Nobody could ask for them.
 */
#ifndef CONTROL_TRANSFER_SWEEP_H
#define CONTROL_TRANSFER_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

struct control;
struct event;

struct sweep {
	struct event *timer;
	uint32_t cursor;
	bool again;	/* what is behind the cursor may have changed */
	uint64_t blobs; /* removed in this sweep */
	uint64_t bytes; /* of these */
};

int sweep_init(struct control *ctl);
void sweep_fini(struct control *ctl);
/* After domains may have gone, or a blob of one that has was stored. */
void sweep_start(struct control *ctl);

#endif
