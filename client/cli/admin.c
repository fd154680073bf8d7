/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/cli/admin.h"
#include "client/cli/command.h"

#define SOCKETS "/run/oncewire/*.sock"
#define LINE_MAX_BYTES (1 << 20)

/* The only relay of this host. */
static int socket_glob(char **argv, char *path)
{
	glob_t found;
	int status = EXIT_UNREACHABLE;

	if (glob(SOCKETS, 0, NULL, &found) != 0) {
		complain(argv, "no relay runs on this host (no " SOCKETS "); name its admin socket "
			       "with --socket");
		return status;
	}
	if (found.gl_pathc > 1)
		complain(argv,
			 "several relays run on this host; choose one with --socket, "
			 "for example %s",
			 found.gl_pathv[0]);
	else if (snprintf(path, PATH_MAX, "%s", found.gl_pathv[0]) < PATH_MAX)
		status = EXIT_DONE;
	globfree(&found);
	return status;
}

int admin_find(char **argv, const char *named, struct admin_link *l)
{
	struct client_config config;

	*l = (struct admin_link){0};
	if (config_load(&config, stderr) < 0)
		return EXIT_FAILED;
	if (named == NULL)
		named = getenv("ONCEWIRE_ADMIN");
	if (named == NULL || named[0] == '\0')
		named = config.admin;
	if (named[0] == '\0')
		return socket_glob(argv, l->path);
	snprintf(l->path, sizeof(l->path), "%s", named);
	return EXIT_DONE;
}

/* Returns a connected socket or -errno. */
static int socket_connect(const char *path, unsigned int seconds)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = seconds};
	int fd, ret;

	if (strlen(path) >= sizeof(to.sun_path))
		return -ENAMETOOLONG;
	strcpy(to.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

int admin_ask(char **argv, struct admin_link *l, unsigned int seconds, const char *question)
{
	int fd = socket_connect(l->path, seconds);

	if (fd == -EACCES || fd == -EPERM) {
		complain(argv,
			 "you may not ask the relay at %s: %s; run it as root, or as a member of "
			 "its [relay] admin_group",
			 l->path, strerror(-fd));
		return EXIT_FAILED;
	}
	if (fd < 0) {
		complain(argv, "no relay answers at %s: %s", l->path, strerror(-fd));
		return EXIT_UNREACHABLE;
	}
	l->stream = fdopen(fd, "r");
	if (l->stream == NULL) {
		complain(argv, "%s", strerror(errno));
		close(fd);
		return EXIT_FAILED;
	}
	if (send(fd, question, strlen(question), MSG_NOSIGNAL) < 0) {
		complain(argv, "no answer from %s: %s", l->path, strerror(errno));
		return EXIT_UNREACHABLE;
	}
	return EXIT_DONE;
}

void admin_end(struct admin_link *l)
{
	if (l->stream != NULL)
		fclose(l->stream);
	l->stream = NULL;
}

/* A line of bounded length for free(); NULL with errno set, to 0 at the end. */
static char *line_read(FILE *f)
{
	char *line = malloc(LINE_MAX_BYTES);
	size_t len;

	if (line == NULL)
		return NULL;
	errno = 0;
	if (fgets(line, LINE_MAX_BYTES, f) == NULL) {
		free(line);
		return NULL;
	}
	len = strlen(line);
	if (len == 0 || line[len - 1] != '\n') {
		errno = len + 1 < LINE_MAX_BYTES ? EPIPE : EMSGSIZE;
		free(line);
		return NULL;
	}
	return line;
}

json_t *admin_line(char **argv, struct admin_link *l, int *status)
{
	char *text = line_read(l->stream);
	json_t *answer = NULL;
	const char *error;

	*status = EXIT_UNREACHABLE;
	if (text == NULL && errno == EINTR)
		return NULL; /* the caller knows why */
	if (text == NULL)
		complain(argv, "no answer from %s: %s", l->path,
			 errno != 0 ? strerror(errno) : "it hung up");
	else if ((answer = json_loads(text, 0, NULL)) == NULL)
		complain(argv, "the answer from %s is not JSON; is that oncewired?", l->path);
	free(text);
	if (answer != NULL)
		*status = EXIT_DONE;
	error = json_string_value(json_object_get(answer, "error"));
	if (error != NULL) {
		complain(argv, "%s: %s", l->path, error);
		*status = EXIT_FAILED;
		json_decref(answer);
		return NULL;
	}
	return answer;
}

json_t *admin_answer(char **argv, struct admin_link *l, unsigned int seconds, const char *question,
		     int *status)
{
	json_t *answer = NULL;

	*status = admin_ask(argv, l, seconds, question);
	if (*status == EXIT_DONE)
		answer = admin_line(argv, l, status);
	admin_end(l);
	return answer;
}
