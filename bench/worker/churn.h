/* SPDX-License-Identifier: BSD-3-Clause
 * Blobs that come and go while workers serve others.
 */
#ifndef BENCH_WORKER_CHURN_H
#define BENCH_WORKER_CHURN_H

#include <jansson.h>

#include "control/control.h"

struct churn {
	struct control *ctl;
	double per_tick; /* 0: nothing comes or goes */
	/* by number, in the order they came */
	uint64_t stored, removed;
	uint64_t refused; /* there was no room, as yet */
};

void churn_init(struct churn *c, struct control *ctl, double per_second);
/* Stores what is due after so many ticks, a batch at most, and removes as many of the oldest. */
void churn_turn(struct churn *c, uint64_t ticks);
/* Removes what is left. Counts, as an object. */
json_t *churn_end(struct churn *c);

#endif
