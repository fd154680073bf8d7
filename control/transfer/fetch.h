/* SPDX-License-Identifier: BSD-3-Clause
 * PULLs of what is not in RAM (any more): the store loads it, and what most likely follows.
 * The target is told BUSY when it is there, as its next PULL will find it; GONE if it is
 * not in the store.
 */
#ifndef CONTROL_TRANSFER_FETCH_H
#define CONTROL_TRANSFER_FETCH_H

#include <stdint.h>
#include <sys/queue.h>

struct control;
struct fetch;
struct frame;
struct packet;

struct fetches {
	TAILQ_HEAD(, fetch) all;
	uint32_t count;
};

void fetches_init(struct control *ctl);
void fetches_fini(struct control *ctl);
/* A PULL that a worker found in order, but for its chunks. */
void handle_pull_slow(struct control *ctl, const struct packet *p, const struct frame *f);

#endif
