/* SPDX-License-Identifier: BSD-3-Clause
 * The admin socket of a relay on this host: a question, and what comes back.
 */
#ifndef CLIENT_CLI_ADMIN_H
#define CLIENT_CLI_ADMIN_H

#include <limits.h>
#include <stdio.h>

#include <jansson.h>

struct admin_link {
	char path[PATH_MAX];
	FILE *stream; /* NULL: not connected */
};

/* Finds the socket: `named` (NULL: not said), else $ONCEWIRE_ADMIN, the configuration's
 * `admin`, or the only one in /run/oncewire. Returns an exit status, after a complaint if it
 * is not EXIT_DONE. */
int admin_find(char **argv, const char *named, struct admin_link *l);
/* Connects, and sends a line, which ends with a new line. seconds: that it may be silent.
 * Likewise. */
int admin_ask(char **argv, struct admin_link *l, unsigned int seconds, const char *question);
/* The next line, an object, and *status is EXIT_DONE; NULL with another one: it has complained,
 * also of {"error"}; but not where a signal came. */
json_t *admin_line(char **argv, struct admin_link *l, int *status);
/* All of these together, for one question with an answer of one line. */
json_t *admin_answer(char **argv, struct admin_link *l, unsigned int seconds, const char *question,
		     int *status);
void admin_end(struct admin_link *l);

#endif
