/* SPDX-License-Identifier: BSD-3-Clause
 * oncewire status: asks the daemon on this host, over its admin socket.
 */
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/cli/command.h"

#define SOCKETS "/run/oncewire/*.sock"
#define ANSWER_MAX (1 << 20)
#define ANSWER_SECONDS 5

/* The only relay of this host. Returns 0 or -1 after a complaint. */
static int socket_find(char **argv, char *path)
{
	glob_t found;
	int ret = -1;

	if (glob(SOCKETS, 0, NULL, &found) != 0) {
		complain(argv, "no relay runs on this host (no " SOCKETS "); name its admin socket "
			       "with --socket");
		return -1;
	}
	if (found.gl_pathc > 1)
		complain(argv,
			 "several relays run on this host; choose one with --socket, "
			 "for example %s",
			 found.gl_pathv[0]);
	else if (snprintf(path, PATH_MAX, "%s", found.gl_pathv[0]) < PATH_MAX)
		ret = 0;
	globfree(&found);
	return ret;
}

/* Returns a connected socket or -errno. */
static int socket_connect(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = ANSWER_SECONDS};
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

/* Asks and reads the whole answer. Returns its length or -errno. */
static ssize_t status_ask(int fd, const char *question, char *answer, size_t size)
{
	size_t len = 0;
	ssize_t n;

	if (send(fd, question, strlen(question), MSG_NOSIGNAL) < 0)
		return -errno;
	while (len < size) {
		n = recv(fd, answer + len, size - len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return (ssize_t)len;
		len += (size_t)n;
	}
	return -EMSGSIZE;
}

/* NULL: it has complained, and *failure is the exit status. */
static json_t *status_fetch(char **argv, const char *path, const char *question, int *failure)
{
	json_t *answer = NULL;
	ssize_t len = -ENOMEM;
	char *text;
	int fd;

	*failure = EXIT_UNREACHABLE;
	fd = socket_connect(path);
	if (fd == -EACCES || fd == -EPERM) {
		*failure = EXIT_FAILED;
		complain(argv,
			 "you may not ask the relay at %s: %s; run it as root, or as a member of "
			 "its [relay] admin_group",
			 path, strerror(-fd));
		return NULL;
	}
	if (fd < 0) {
		complain(argv, "no relay answers at %s: %s", path, strerror(-fd));
		return NULL;
	}
	text = malloc(ANSWER_MAX);
	if (text != NULL)
		len = status_ask(fd, question, text, ANSWER_MAX);
	if (len < 0)
		complain(argv, "no answer from %s: %s", path, strerror((int)-len));
	else if ((answer = json_loadb(text, (size_t)len, 0, NULL)) == NULL)
		complain(argv, "the answer from %s is not JSON; is that oncewired?", path);
	free(text);
	close(fd);
	return answer;
}

static void value_print(const char *prefix, const char *key, json_t *value)
{
	char name[128], *text;

	snprintf(name, sizeof(name), "%s%s", prefix, key);
	if (json_is_string(value)) {
		printf("%-32s %20s\n", name, json_string_value(value));
	} else if (json_is_integer(value)) {
		printf("%-32s %20lld\n", name, (long long)json_integer_value(value));
	} else {
		text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
		printf("%-32s %20s\n", name, text != NULL ? text : "");
		free(text);
	}
}

/* Objects within: "drops.short"; of their numbers only those that are not 0. */
static void status_print(const char *prefix, json_t *object)
{
	char inner[128];
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		if (json_is_object(value)) {
			snprintf(inner, sizeof(inner), "%s%s.", prefix, key);
			status_print(inner, value);
		} else if (prefix[0] == '\0' || !json_is_integer(value) ||
			   json_integer_value(value) != 0) {
			value_print(prefix, key, value);
		}
	}
}

/* What each number of a status means. */
static void metrics_print(json_t *answer)
{
	json_t *metric;
	size_t i;

	json_array_foreach(json_object_get(answer, "metrics"), i, metric)
	{
		const char *name, *type, *help, *label = NULL;
		char full[128];

		if (json_unpack(metric, "{s:s, s:s, s:s, s?s}", "name", &name, "type", &type,
				"help", &help, "label", &label) < 0)
			continue;
		if (label != NULL)
			snprintf(full, sizeof(full), "%s{%s}", name, label);
		else
			snprintf(full, sizeof(full), "%s", name);
		printf("%-32s %-10s %s\n", full, type, help);
	}
}

/* Says what is wrong with the relay; the exit status for a monitor. */
static int health_judge(char **argv, json_t *status)
{
	json_t *health = json_object_get(status, "health"), *problem;
	size_t i;

	if (!json_is_false(json_object_get(health, "ok")))
		return EXIT_DONE;
	json_array_foreach(json_object_get(health, "problems"), i, problem)
		complain(argv, "problem: %s", json_string_value(problem));
	return EXIT_UNWELL;
}

int cmd_status(int argc, char **argv)
{
	static const struct option options[] = {
		{"socket", required_argument, NULL, 's'},
		{"json", no_argument, NULL, 'j'},
		{"describe", no_argument, NULL, 'd'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	const char *named = getenv("ONCEWIRE_ADMIN"), *error;
	struct client_config config;
	char path[PATH_MAX] = "";
	bool json = false, describe = false;
	json_t *status;
	int option, failure, end = EXIT_DONE;

	if (config_load(&config, stderr) < 0)
		return EXIT_FAILED;
	if (named == NULL || named[0] == '\0')
		named = config.admin;
	while ((option = option_next(argc, argv, options)) != -1) {
		if (option == 's')
			named = optarg;
		else if (option == 'j')
			json = true;
		else if (option == 'd')
			describe = true;
		else
			return usage_error(argv, "the options are wrong");
	}
	if (optind != argc)
		return usage_error(argv, "\"%s\" is not an option", argv[optind]);
	if (named[0] != '\0')
		snprintf(path, sizeof(path), "%s", named);
	else if (socket_find(argv, path) < 0)
		return EXIT_UNREACHABLE;
	status = status_fetch(argv, path, describe ? "metrics\n" : "status\n", &failure);
	if (status == NULL)
		return failure;
	error = json_string_value(json_object_get(status, "error"));
	if (error != NULL) {
		complain(argv, "%s: %s", path, error);
		json_decref(status);
		return EXIT_FAILED;
	}
	if (!describe)
		end = health_judge(argv, status);
	if (json) {
		json_print(status);
		return end;
	}
	if (describe)
		metrics_print(status);
	else
		status_print("", status);
	json_decref(status);
	return end;
}
