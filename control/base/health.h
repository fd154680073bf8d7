/* SPDX-License-Identifier: BSD-3-Clause
 * What can be wrong with a relay while it runs. Each item is in one state, good
 * or bad, said in words: `oncewire status` shows the bad ones, and a change is one
 * line in the log, at most one in ten seconds for each item.
 */
#ifndef CONTROL_BASE_HEALTH_H
#define CONTROL_BASE_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#define HEALTH_TEXT 320
#define HEALTH_QUIET_US 10000000 /* between two lines about one item */

struct health_item {
	bool bad;
	bool spoken;		/* said_us is valid */
	unsigned int changes;	/* that have not been said */
	uint64_t said_us;	/* monotonic */
	char text[HEALTH_TEXT]; /* "": nothing was ever set: good */
};

/* The item is in this state now. Nothing happens if it was; a first state that is
 * good is not worth a line. */
void health_set(struct health_item *h, uint64_t now_us, bool bad, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Says what had to wait; to be called about once a second. */
void health_review(struct health_item *h, uint64_t now_us);

#endif
