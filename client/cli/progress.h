/* SPDX-License-Identifier: BSD-3-Clause
 * Progress bars on stderr, one line a phase.
 */
#ifndef CLIENT_CLI_PROGRESS_H
#define CLIENT_CLI_PROGRESS_H

#include "client/lib/oncewire.h"

/* What takes its time, beside the library's phases. */
enum progress_phase {
	PROGRESS_VERIFYING = OW_RECEIVING + 1,
	PROGRESS_EXPORTING,
	PROGRESS_IMPORTING,
};

struct progress {
	bool drawn;	 /* a line is on the screen, without its end */
	bool utf8;	 /* block characters, not ASCII */
	int phase;	 /* enum ow_phase or progress_phase drawn last, 0: none */
	uint64_t begun;	 /* when the phase began, microseconds */
	uint64_t before; /* bytes done then */
};

/* Returns whether there is a terminal to draw on. */
bool progress_begin(struct progress *p);
/* An ow_progress_fn, ctx: struct progress. */
void progress_show(void *ctx, enum ow_phase phase, uint64_t done, uint64_t total);
/* Likewise, also for what is not the library's. */
void progress_draw(struct progress *p, int phase, uint64_t done, uint64_t total);
/* Erases the line: what follows says how it ended. */
void progress_end(struct progress *p);

/* Does the locale have Unicode? */
bool terminal_utf8(void);
/* Columns of the terminal on stderr; 80 if it does not say. */
int terminal_width(void);

/* The line itself, without "\r": label, bar, percent, bytes, rate and time
 * left, within `width` columns. rate: bytes a second, 0 unknown. Returns buf. */
char *progress_line(char *buf, size_t cap, int width, bool utf8, int phase, uint64_t done,
		    uint64_t total, double rate);

#endif
