/* SPDX-License-Identifier: BSD-3-Clause
 * The admin socket: a Unix stream socket, mode 0660. A client writes one line,
 * a command and its words; the answer is one JSON object and a new line, then
 * the connection closes. An unknown command answers {"error": "..."}.
 */
#ifndef CONTROL_ADMIN_SOCKET_H
#define CONTROL_ADMIN_SOCKET_H

#include <event2/event.h>
#include <jansson.h>
#include <sys/types.h>

struct admin;

struct admin_command {
	const char *name;
	/* Returns a new reference: the object to answer with. */
	json_t *(*run)(void *ctx, int argc, char **argv);
};

/* commands ends with a NULL name. A socket file that nobody listens on is
 * replaced; a live one refuses with -EADDRINUSE. Creates the socket's folder
 * (0755) if needed. On failure NULL with errno set. Clients: at most 16 at
 * once, 5 s and 4 KiB each. */
struct admin *admin_open(struct event_base *base, const char *path,
			 const struct admin_command *commands, void *ctx);
/* Gives the socket file to a user and a group. 0 or -errno. */
int admin_give(struct admin *a, uid_t uid, gid_t gid);
/* Closes and removes the socket file. NULL is allowed. */
void admin_close(struct admin *a);

#endif
