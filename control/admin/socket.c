/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/bufferevent.h>
#include <event2/listener.h>

#include "control/admin/socket.h"

#define ADMIN_CLIENTS 16
#define ADMIN_SECONDS 5
#define ADMIN_LINE 4096
#define ADMIN_WORDS 16
#define TASK_SECONDS 30	     /* that a client may do nothing, where it has to */
#define TASK_INPUT (1 << 20) /* bytes that wait for the task */

struct admin_client {
	LIST_ENTRY(admin_client) link;
	struct admin *admin;
	struct bufferevent *bev;
	/* Of the whole exchange, but for a task: a slow client does not stretch it. */
	struct event *deadline;
	struct admin_task *task;
	bool owner;
	bool ends; /* the last line is written */
};

struct admin {
	struct event_base *base;
	struct evconnlistener *listener;
	struct event *retry;
	const struct admin_command *commands;
	void *ctx;
	LIST_HEAD(, admin_client) clients;
	unsigned int count;
	struct sockaddr_un addr;
	dev_t dev; /* the socket file that is ours */
	ino_t ino;
};

static void client_free(struct admin_client *c)
{
	struct admin_task *t = c->task;

	LIST_REMOVE(c, link);
	if (c->admin->count-- == ADMIN_CLIENTS)
		evconnlistener_enable(c->admin->listener);
	event_free(c->deadline);
	bufferevent_free(c->bev);
	free(c);
	if (t != NULL)
		t->gone(t);
}

json_t *admin_error(const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return json_pack("{s:s}", "error", text);
}

static json_t *command_run(struct admin_client *c, char *line)
{
	const struct admin *a = c->admin;
	char *words[ADMIN_WORDS + 1], *save, *word;
	int count = 0;

	for (word = strtok_r(line, " \t\r", &save); word; word = strtok_r(NULL, " \t\r", &save)) {
		if (count == ADMIN_WORDS)
			return admin_error("too many words");
		words[count++] = word;
	}
	words[count] = NULL;
	if (count == 0)
		return admin_error("no command");
	for (const struct admin_command *cmd = a->commands; cmd->name; cmd++) {
		if (strcmp(cmd->name, words[0]) != 0)
			continue;
		if (cmd->owner && !c->owner)
			return admin_error(
				"\"%s\" is for root and the user that the relay runs as; "
				"run it as root",
				words[0]);
		return cmd->run(a->ctx, c, count, words);
	}
	return admin_error("unknown command");
}

static void line_write(struct admin_client *c, json_t *line)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);
	char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;

	json_decref(line);
	if (text)
		evbuffer_add(out, text, strlen(text));
	else
		evbuffer_add_printf(out, "{\"error\":\"out of memory\"}");
	evbuffer_add(out, "\n", 1);
	free(text);
}

/* client_write() ends the exchange once all is out. */
static void client_end(struct admin_client *c)
{
	static const struct timeval limit = {.tv_sec = ADMIN_SECONDS};

	c->task = NULL;
	c->ends = true;
	bufferevent_disable(c->bev, EV_READ);
	evtimer_add(c->deadline, &limit);
}

void admin_answer(struct admin_client *c, json_t *answer)
{
	line_write(c, answer);
	client_end(c);
}

/* ---- tasks ---- */

void admin_later(struct admin_client *c, struct admin_task *t)
{
	static const struct timeval limit = {.tv_sec = TASK_SECONDS};

	c->task = t;
	event_del(c->deadline);
	bufferevent_set_timeouts(c->bev, t->watches ? NULL : &limit, &limit);
	bufferevent_setwatermark(c->bev, EV_READ, 0, TASK_INPUT);
	admin_want(c, t->came != NULL || t->watches);
}

void admin_say(struct admin_client *c, json_t *line)
{
	line_write(c, line);
}

void admin_send(struct admin_client *c, const void *bytes, size_t len)
{
	evbuffer_add(bufferevent_get_output(c->bev), bytes, len);
}

size_t admin_take(struct admin_client *c, void *to, size_t max)
{
	int n = evbuffer_remove(bufferevent_get_input(c->bev), to, max);

	return n > 0 ? (size_t)n : 0;
}

void admin_want(struct admin_client *c, bool more)
{
	if (more)
		bufferevent_enable(c->bev, EV_READ);
	else
		bufferevent_disable(c->bev, EV_READ);
}

/* Where nothing is left to write, nothing would call client_write(). */
void admin_hang_up(struct admin_client *c)
{
	client_end(c);
	bufferevent_trigger(c->bev, EV_WRITE, BEV_OPT_DEFER_CALLBACKS);
}

/* ---- a connection ---- */

static void line_read(struct admin_client *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	struct evbuffer_ptr end = evbuffer_search_eol(in, NULL, NULL, EVBUFFER_EOL_LF);
	json_t *answer;
	char *line;

	if (end.pos >= ADMIN_LINE || (end.pos < 0 && evbuffer_get_length(in) >= ADMIN_LINE)) {
		admin_answer(c, admin_error("the command is too long"));
		return;
	}
	if (end.pos < 0)
		return;
	line = evbuffer_readln(in, NULL, EVBUFFER_EOL_LF);
	answer = line ? command_run(c, line) : NULL;
	free(line);
	/* a task may have answered already */
	if (answer != NULL || (c->task == NULL && !c->ends))
		admin_answer(c, answer);
}

static void client_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	struct admin_client *c = arg;

	if (c->ends)
		return;
	if (c->task == NULL)
		line_read(c);
	if (c->task != NULL && c->task->came != NULL)
		c->task->came(c->task);
	else if (c->task != NULL && c->task->watches)
		evbuffer_drain(in, evbuffer_get_length(in));
}

static void client_write(struct bufferevent *bev, void *arg)
{
	struct admin_client *c = arg;

	(void)bev;
	if (c->ends)
		client_free(c);
	else if (c->task != NULL && c->task->sent != NULL)
		c->task->sent(c->task);
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

/* Root, and the user that the daemon runs as by now. */
static bool peer_owns(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
	       (peer.uid == 0 || peer.uid == geteuid());
}

static void client_accept(struct evconnlistener *listener, evutil_socket_t fd,
			  struct sockaddr *peer, int peer_len, void *arg)
{
	static const struct timeval limit = {.tv_sec = ADMIN_SECONDS};
	struct admin *a = arg;
	struct admin_client *c = calloc(1, sizeof(*c));

	(void)peer;
	(void)peer_len;
	if (!c)
		goto fail;
	c->admin = a;
	c->owner = peer_owns(fd);
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
