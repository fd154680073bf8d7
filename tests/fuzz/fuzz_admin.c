/* SPDX-License-Identifier: BSD-3-Clause
 * What arrives on the admin socket, in pieces. The first byte says how long
 * they are. The answer is lines of one JSON object each, and bytes behind that of an
 * export; or none, to a line that never ends and to an import.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/admin/socket.h"
#include "tests/fuzz/check.h"
#include "tests/unit/relay_box.h"
#include "tests/unit/unit_eal.h"

#define TURNS 2000

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static char folder[] = "/tmp/fuzz_admin.XXXXXX";
static struct sockaddr_un addr = {.sun_family = AF_UNIX};
static struct admin *admin;
static struct config config;
static struct box *box;

static json_t *echo_run(void *ctx, struct admin_client *client, int argc, char **argv)
{
	json_t *words = json_array();

	(void)client;
	check(ctx == &box->control && argc >= 1 && argv[argc] == NULL);
	for (int i = 0; i < argc; i++)
		json_array_append_new(words, json_string(argv[i]));
	return json_pack("{s:o}", "words", words);
}

static const struct admin_command commands[] = {
	{"echo", false, echo_run},
	{"status", false, control_status},
	{"metrics", false, metrics_describe},
	{"store", true, control_store},
	{NULL, false, NULL},
};

static void finish(void)
{
	admin_close(admin);
	rmdir(folder);
	box_close(box);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	box_config(&config, ROLE_CENTRAL, false);
	check(unit_eal_start(NULL) == 0 && (box = box_open(&config)) != NULL);
	check(mkdtemp(folder) != NULL);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/socket", folder);
	admin = admin_open(box->control.base, addr.sun_path, commands, &box->control);
	check(admin != NULL && atexit(finish) == 0);
	return 0;
}

/* The relay reads after each piece. It may have answered and hung up before all is sent. */
static void send_pieces(int fd, size_t piece, const uint8_t *bytes, size_t len)
{
	while (len > 0) {
		size_t n = len < piece ? len : piece;

		if (send(fd, bytes, n, MSG_NOSIGNAL) != (ssize_t)n)
			return;
		bytes += n;
		len -= n;
		box_settle(box);
	}
	shutdown(fd, SHUT_WR);
}

/* -1: the relay hung up with bytes of ours unread, and its answer may be lost. */
static ssize_t answer_read(int fd, char *answer, size_t room)
{
	size_t len = 0;

	for (unsigned int i = 0; i < TURNS; i++) {
		ssize_t n = recv(fd, answer + len, room - len, MSG_DONTWAIT);

		if (n == 0)
			return (ssize_t)len;
		if (n > 0)
			len += (size_t)n;
		else if (errno != EAGAIN)
			return -1;
		box_pass(box, 1000, 1000); /* a task may wait for memory */
	}
	abort();
}

static void check_answer(const char *answer, size_t len)
{
	while (len > 0) {
		const char *end = memchr(answer, '\n', len);
		json_t *object =
			json_loadb(answer, end != NULL ? (size_t)(end - answer) : len, 0, NULL);
		bool bytes = json_object_get(object, "export") != NULL;

		check(end != NULL && json_is_object(object) && json_object_size(object) > 0);
		json_decref(object);
		if (bytes)
			return;
		len -= (size_t)(end + 1 - answer);
		answer = end + 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static char answer[65536];
	ssize_t n;
	int fd;

	if (len == 0)
		return 0;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	check(fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
	box_settle(box);
	send_pieces(fd, bytes[0] ? bytes[0] : len, bytes + 1, len - 1);
	n = answer_read(fd, answer, sizeof(answer));
	if (n > 0)
		check_answer(answer, (size_t)n);
	else if (n == 0)
		check(memchr(bytes + 1, '\n', len - 1) == NULL ||
		      memmem(bytes + 1, len - 1, "import", 6) != NULL);
	close(fd);
	return 0;
}
