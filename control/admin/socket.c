/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>

#include "control/admin/socket.h"

#define ADMIN_CLIENTS 16
#define ADMIN_SECONDS 5
#define ADMIN_LINE 4096
#define ADMIN_WORDS 16

struct client {
	LIST_ENTRY(client) link;
	struct admin *admin;
	struct bufferevent *bev;
	struct event *deadline; /* of the whole exchange: a slow client does not stretch it */
};

struct admin {
	struct event_base *base;
	struct evconnlistener *listener;
	struct event *retry;
	const struct admin_command *commands;
	void *ctx;
	LIST_HEAD(, client) clients;
	unsigned int count;
	struct sockaddr_un addr;
	dev_t dev; /* the socket file that is ours */
	ino_t ino;
};

static void client_free(struct client *c)
{
	LIST_REMOVE(c, link);
	if (c->admin->count-- == ADMIN_CLIENTS)
		evconnlistener_enable(c->admin->listener);
	event_free(c->deadline);
	bufferevent_free(c->bev);
	free(c);
}

static json_t *error_json(const char *what)
{
	return json_pack("{s:s}", "error", what);
}

static json_t *command_run(struct admin *a, char *line)
{
	char *words[ADMIN_WORDS + 1], *save, *word;
	int count = 0;

	for (word = strtok_r(line, " \t\r", &save); word; word = strtok_r(NULL, " \t\r", &save)) {
		if (count == ADMIN_WORDS)
			return error_json("too many words");
		words[count++] = word;
	}
	words[count] = NULL;
	if (count == 0)
		return error_json("no command");
	for (const struct admin_command *cmd = a->commands; cmd->name; cmd++)
		if (strcmp(cmd->name, words[0]) == 0)
			return cmd->run(a->ctx, count, words);
	return error_json("unknown command");
}

/* Queues the answer; client_write() ends the exchange once it is out. */
static void client_answer(struct client *c, json_t *answer)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);
	char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;

	json_decref(answer);
	bufferevent_disable(c->bev, EV_READ);
	if (text)
		evbuffer_add(out, text, strlen(text));
	else
		evbuffer_add_printf(out, "{\"error\":\"out of memory\"}");
	evbuffer_add(out, "\n", 1);
	free(text);
}

static void client_read(struct bufferevent *bev, void *arg)
{
	struct client *c = arg;
	struct evbuffer *in = bufferevent_get_input(bev);
	struct evbuffer_ptr end = evbuffer_search_eol(in, NULL, NULL, EVBUFFER_EOL_LF);
	char *line;

	if (end.pos >= ADMIN_LINE || (end.pos < 0 && evbuffer_get_length(in) >= ADMIN_LINE)) {
		client_answer(c, error_json("the command is too long"));
		return;
	}
	if (end.pos < 0)
		return;
	line = evbuffer_readln(in, NULL, EVBUFFER_EOL_LF);
	client_answer(c, line ? command_run(c->admin, line) : NULL);
	free(line);
}

static void client_write(struct bufferevent *bev, void *arg)
{
	if (!(bufferevent_get_enabled(bev) & EV_READ))
		client_free(arg);
}

static void client_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)what;
	client_free(arg);
}

static void client_deadline(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	client_free(arg);
}

static void client_accept(struct evconnlistener *listener, evutil_socket_t fd,
			  struct sockaddr *peer, int peer_len, void *arg)
{
	static const struct timeval limit = {.tv_sec = ADMIN_SECONDS};
	struct admin *a = arg;
	struct client *c = calloc(1, sizeof(*c));

	(void)peer;
	(void)peer_len;
	if (!c)
		goto fail;
	c->admin = a;
	c->deadline = evtimer_new(a->base, client_deadline, c);
	if (!c->deadline || evtimer_add(c->deadline, &limit) < 0)
		goto fail_deadline;
	c->bev = bufferevent_socket_new(a->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!c->bev)
		goto fail_deadline;
	LIST_INSERT_HEAD(&a->clients, c, link);
	if (++a->count == ADMIN_CLIENTS)
		evconnlistener_disable(listener);
	bufferevent_setcb(c->bev, client_read, client_write, client_event, c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, ADMIN_LINE);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	return;

fail_deadline:
	if (c->deadline)
		event_free(c->deadline);
	free(c);
fail:
	evutil_closesocket(fd);
}

/* Out of descriptors: without a pause the listener would call again at once. */
static void accept_failed(struct evconnlistener *listener, void *arg)
{
	static const struct timeval pause = {.tv_sec = 1};
	struct admin *a = arg;

	evconnlistener_disable(listener);
	evtimer_add(a->retry, &pause);
}

static void accept_retry(evutil_socket_t fd, short what, void *arg)
{
	struct admin *a = arg;

	(void)fd;
	(void)what;
	if (a->count < ADMIN_CLIENTS)
		evconnlistener_enable(a->listener);
}

/* Does anybody listen on it? 0: no, it may go. -errno otherwise. */
static int socket_stale(const struct sockaddr_un *addr)
{
	struct stat st;
	int fd, rc;

	if (lstat(addr->sun_path, &st) < 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	rc = connect(fd, (const struct sockaddr *)addr, sizeof(*addr));
	rc = rc < 0 && errno == ECONNREFUSED ? 0 : -EADDRINUSE;
	close(fd);
	return rc;
}

static int folder_make(const char *path)
{
	char copy[sizeof(((struct sockaddr_un *)0)->sun_path)];

	strcpy(copy, path);
	return mkdir(dirname(copy), 0755) < 0 && errno != EEXIST ? -errno : 0;
}

/* Returns a bound descriptor or -errno. The mode is set before bind() as well,
 * so that the socket is at no time open to more than 0660 allows. */
static int socket_bind(const struct sockaddr_un *addr)
{
	int fd, rc;

	rc = folder_make(addr->sun_path);
	if (rc < 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	fchmod(fd, 0660);
	rc = bind(fd, (const struct sockaddr *)addr, sizeof(*addr));
	if (rc < 0 && errno == EADDRINUSE) {
		rc = socket_stale(addr);
		if (rc < 0)
			goto fail;
		unlink(addr->sun_path);
		rc = bind(fd, (const struct sockaddr *)addr, sizeof(*addr));
	}
	if (rc < 0 || fchmodat(AT_FDCWD, addr->sun_path, 0660, AT_SYMLINK_NOFOLLOW) < 0) {
		rc = -errno;
		goto fail;
	}
	return fd;
fail:
	close(fd);
	return rc;
}

struct admin *admin_open(struct event_base *base, const char *path,
			 const struct admin_command *commands, void *ctx)
{
	struct admin *a = calloc(1, sizeof(*a));
	struct stat st;
	int fd, rc;

	if (!a) {
		errno = ENOMEM;
		return NULL;
	}
	a->base = base;
	a->commands = commands;
	a->ctx = ctx;
	a->addr.sun_family = AF_UNIX;
	rc = -ENAMETOOLONG;
	if (strlen(path) >= sizeof(a->addr.sun_path))
		goto fail;
	strcpy(a->addr.sun_path, path);
	rc = -ENOMEM;
	a->retry = evtimer_new(base, accept_retry, a);
	if (!a->retry)
		goto fail;
	rc = fd = socket_bind(&a->addr);
	if (rc < 0)
		goto fail_retry;
	if (stat(path, &st) == 0) {
		a->dev = st.st_dev;
		a->ino = st.st_ino;
	}
	a->listener = evconnlistener_new(base, client_accept, a,
					 LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
					 ADMIN_CLIENTS, fd);
	rc = -errno;
	if (!a->listener)
		goto fail_socket;
	evconnlistener_set_error_cb(a->listener, accept_failed);
	return a;

fail_socket:
	unlink(path);
	close(fd);
fail_retry:
	event_free(a->retry);
fail:
	free(a);
	errno = -rc;
	return NULL;
}

/* The file is looked at and changed through one descriptor: its folder may be
 * another user's. */
int admin_give(struct admin *a, uid_t uid, gid_t gid)
{
	int fd = open(a->addr.sun_path, O_PATH | O_NOFOLLOW | O_CLOEXEC), rc = 0;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		rc = -errno;
	else if (st.st_dev != a->dev || st.st_ino != a->ino)
		rc = -ESTALE;
	else if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

void admin_close(struct admin *a)
{
	struct stat st;

	if (!a)
		return;
	while (!LIST_EMPTY(&a->clients))
		client_free(LIST_FIRST(&a->clients));
	/* not one that another daemon has put there since */
	if (stat(a->addr.sun_path, &st) == 0 && st.st_dev == a->dev && st.st_ino == a->ino)
		unlink(a->addr.sun_path);
	evconnlistener_free(a->listener);
	event_free(a->retry);
	free(a);
}
