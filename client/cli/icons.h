/* SPDX-License-Identifier: BSD-3-Clause
 * The two icons: the private and the central server, side by side on the
 * terminal, for the user to pick one.
 */
#ifndef CLIENT_CLI_ICONS_H
#define CLIENT_CLI_ICONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ICONS_LINES 14
#define ICONS_LINE_MAX 1024

struct icons {
	const char *address[2]; /* private, central; "" : cannot be chosen */
	uint8_t at;		/* the one that is marked */
	uint8_t escape;		/* bytes of an escape sequence seen: 0, 1 (ESC), 2 (ESC [) */
};

enum icons_action {
	ICONS_NONE, /* nothing to see */
	ICONS_MOVED,
	ICONS_BELL, /* that one cannot be chosen */
	ICONS_CHOSEN,
	ICONS_CANCELLED,
};

/* At least one address is not "". */
void icons_init(struct icons *i, const char *private_address, const char *central_address);
/* One byte from the keyboard. */
enum icons_action icons_key(struct icons *i, uint8_t byte);
/* No byte followed for a while: an ESC by itself is the key. */
enum icons_action icons_pause(struct icons *i);
/* The picture, ICONS_LINES lines of at most `width` columns. */
void icons_draw(const struct icons *i, int width, bool utf8, bool colour,
		char lines[ICONS_LINES][ICONS_LINE_MAX]);

/* Asks on stdin and stderr, which are terminals. Returns enum ow_via, or 0 if
 * cancelled. The terminal is as before afterwards, even if a signal ends it. */
int icons_choose(const char *private_address, const char *central_address);

#endif
