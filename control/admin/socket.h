/* SPDX-License-Identifier: BSD-3-Clause
 * The admin socket: a Unix stream socket, mode 0660. A client writes one line, a command and
 * its words; the answer is one JSON object and a new line, then the connection closes. An
 * unknown command answers {"error": "..."}. Some commands answer later, write more lines or
 * bytes before the last one, or read bytes behind the command.
 */
#ifndef CONTROL_ADMIN_SOCKET_H
#define CONTROL_ADMIN_SOCKET_H

#include <stdbool.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <jansson.h>
#include <sys/types.h>

struct admin;
struct admin_client;

/* A command that is under way. */
struct admin_task {
	/* The client went, or for half a minute did not read, or write what is wanted of it. */
	void (*gone)(struct admin_task *t);
	/* Bytes came, while they are wanted. NULL: the command has none. */
	void (*came)(struct admin_task *t);
	/* Likewise without bytes: that the client went is noticed at once, and not when something
	 * is written; it has to do nothing meanwhile. */
	bool watches;
	/* All that was written has left. May be NULL. */
	void (*sent)(struct admin_task *t);
};

struct admin_command {
	const char *name;
	bool owner; /* for root and the daemon's own user alone, not for the group */
	/* Returns a new reference: the object to answer with; NULL after admin_later(), or when
	 * there is no memory. */
	json_t *(*run)(void *ctx, struct admin_client *client, int argc, char **argv);
};

/* commands ends with a NULL name. A socket file that nobody listens on is replaced; a live
 * one refuses with -EADDRINUSE. Creates the socket's folder (0755) if needed. On failure NULL
 * with errno set. Clients: at most 16 at once; 5 s and 4 KiB for a command. */
struct admin *admin_open(struct event_base *base, const char *path,
			 const struct admin_command *commands, void *ctx);
/* Gives the socket file to a user and a group. 0 or -errno. */
int admin_give(struct admin *a, uid_t uid, gid_t gid);
/* Closes and removes the socket file. NULL is allowed. */
void admin_close(struct admin *a);

/* {"error": ...}; NULL without memory. */
json_t *admin_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* In run(): admin_answer() will be called, until which the task must stay. */
void admin_later(struct admin_client *client, struct admin_task *t);
/* The last line; takes the reference (NULL: out of memory). Neither the client nor its task
 * is used after it. */
void admin_answer(struct admin_client *client, json_t *answer);
/* Closes without a last line, and without sending what has not left. */
void admin_hang_up(struct admin_client *client);
/* A line before it, likewise. */
void admin_say(struct admin_client *client, json_t *line);
void admin_send(struct admin_client *client, const void *bytes, size_t len);
/* Bytes behind the command; takes the first `max` of those that came. How many. */
size_t admin_take(struct admin_client *client, void *to, size_t max);
/* Are more wanted now? At first they are, if the task has came(). */
void admin_want(struct admin_client *client, bool more);

#endif
