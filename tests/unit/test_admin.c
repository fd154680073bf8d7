/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/admin/socket.h"

static char folder[] = "test_admin.XXXXXX";
static char path[64];
static struct event_base *base;
static struct admin *admin;

static json_t *echo_run(void *ctx, struct admin_client *client, int argc, char **argv)
{
	json_t *words = json_array();

	assert_ptr_equal(ctx, &admin);
	assert_non_null(client);
	assert_null(argv[argc]);
	for (int i = 1; i < argc; i++)
		json_array_append_new(words, json_string(argv[i]));
	return json_pack("{s:o}", "words", words);
}

static json_t *large_run(void *ctx, struct admin_client *client, int argc, char **argv)
{
	char *text = malloc(1000001);
	json_t *answer;

	(void)ctx;
	(void)client;
	(void)argc;
	(void)argv;
	memset(text, 'x', 1000000);
	text[1000000] = '\0';
	answer = json_pack("{s:s}", "large", text);
	free(text);
	return answer;
}

static json_t *none_run(void *ctx, struct admin_client *client, int argc, char **argv)
{
	(void)ctx;
	(void)client;
	(void)argc;
	(void)argv;
	return NULL;
}

/* Says what came, a line for each turn of it, until "end" is among it. */
struct teller {
	struct admin_task task; /* first */
	struct admin_client *client;
	unsigned int gone, sent;
	char got[64];
	size_t len;
};

static struct teller teller;

static void teller_gone(struct admin_task *t)
{
	assert_ptr_equal(t, &teller.task);
	teller.gone++;
	teller.client = NULL;
}

static void teller_came(struct admin_task *t)
{
	assert_ptr_equal(t, &teller.task);
	teller.len += admin_take(teller.client, teller.got + teller.len,
				 sizeof(teller.got) - 1 - teller.len);
	if (strstr(teller.got, "end") != NULL)
		admin_answer(teller.client, json_pack("{s:s}", "got", teller.got));
	else
		admin_say(teller.client, json_pack("{s:i}", "bytes", (int)teller.len));
}

static void teller_sent(struct admin_task *t)
{
	assert_ptr_equal(t, &teller.task);
	teller.sent++;
}

static json_t *tell_run(void *ctx, struct admin_client *client, int argc, char **argv)
{
	(void)ctx;
	(void)argv;
	teller = (struct teller){
		.task = {.gone = teller_gone,
			 .came = argc > 1 ? NULL : teller_came,
			 .watches = argc > 2,
			 .sent = teller_sent},
		.client = client,
	};
	admin_later(client, &teller.task);
	return NULL;
}

/* Answers before it returns. */
static json_t *at_once_run(void *ctx, struct admin_client *client, int argc, char **argv)
{
	tell_run(ctx, client, argc, argv);
	admin_answer(client, json_pack("{s:b}", "at once", true));
	return NULL;
}

static json_t *broken_run(void *ctx, struct admin_client *client, int argc, char **argv)
{
	tell_run(ctx, client, argc, argv);
	admin_hang_up(client);
	return NULL;
}

static const struct admin_command commands[] = {
	{"echo", false, echo_run}, {"large", false, large_run},	    {"none", false, none_run},
	{"tell", true, tell_run},  {"at-once", false, at_once_run}, {"broken", false, broken_run},
	{NULL, false, NULL},
};

static int client_connect(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	strcpy(addr.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void turn(unsigned int ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	event_base_loopexit(base, &tv);
	event_base_dispatch(base);
}

/* Runs the loop until the relay closes the connection. Returns what it sent, or
 * NULL after `ms`. */
static char *client_finish(int fd, unsigned int ms)
{
	char *text, part[65536];
	size_t size;
	FILE *f = open_memstream(&text, &size);

	for (unsigned int spent = 0; spent < ms; spent += 2) {
		ssize_t n = read(fd, part, sizeof(part));

		if (n > 0) {
			fwrite(part, 1, (size_t)n, f);
			continue;
		}
		if (n == 0 || errno != EAGAIN) {
			fclose(f);
			close(fd);
			return text;
		}
		turn(2);
	}
	fclose(f);
	free(text);
	close(fd);
	return NULL;
}

static char *ask_bytes(const char *bytes, size_t len)
{
	int fd = client_connect();

	assert_int_equal(write(fd, bytes, len), len);
	return client_finish(fd, 2000);
}

static void must_answer(const char *command, const char *expected)
{
	char *answer = ask_bytes(command, strlen(command));

	assert_non_null(answer);
	assert_string_equal(answer, expected);
	free(answer);
}

static void test_commands(void **state)
{
	char *answer;

	(void)state;
	must_answer("echo\n", "{\"words\":[]}\n");
	must_answer("  echo a\t b\r\n", "{\"words\":[\"a\",\"b\"]}\n");
	must_answer("echo a\necho b\n", "{\"words\":[\"a\"]}\n");
	must_answer("reboot\n", "{\"error\":\"unknown command\"}\n");
	must_answer("ech\n", "{\"error\":\"unknown command\"}\n");
	must_answer("\n", "{\"error\":\"no command\"}\n");
	must_answer("echo 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n",
		    "{\"error\":\"too many words\"}\n");
	must_answer("none\n", "{\"error\":\"out of memory\"}\n");

	answer = ask_bytes("large\n", 6);
	assert_non_null(answer);
	assert_int_equal(strlen(answer), strlen("{\"large\":\"\"}\n") + 1000000);
	free(answer);
}

/* A task's lines, and bytes behind its command. */
static void test_task(void **state)
{
	int fd = client_connect();
	char *answer;

	(void)state;
	assert_int_equal(write(fd, "tell\nab", 7), 7);
	turn(20);
	assert_int_equal(teller.sent, 1);
	assert_int_equal(write(fd, "cd", 2), 2);
	turn(20);
	assert_int_equal(write(fd, "end", 3), 3);
	answer = client_finish(fd, 1000);
	assert_string_equal(answer, "{\"bytes\":2}\n{\"bytes\":4}\n{\"got\":\"abcdend\"}\n");
	free(answer);
	assert_int_equal(teller.gone, 0);

	must_answer("at-once\n", "{\"at once\":true}\n");
	must_answer("broken\n", "");
}

/* It may take longer than any other answer, and is told when its client goes. */
static void test_task_without_a_client(void **state)
{
	int fd = client_connect();

	(void)state;
	assert_int_equal(write(fd, "tell\nab", 7), 7);
	turn(5500);
	assert_int_equal(teller.gone, 0);
	close(fd);
	turn(20);
	assert_int_equal(teller.gone, 1);

	/* one that is to do nothing */
	fd = client_connect();
	assert_int_equal(write(fd, "tell no thing\nab", 16), 16);
	turn(20);
	assert_int_equal(teller.gone, 0);
	close(fd);
	turn(20);
	assert_int_equal(teller.gone, 1);
	assert_int_equal(teller.len, 0);

	/* one from whom nothing is read: when something is written */
	fd = client_connect();
	assert_int_equal(write(fd, "tell nothing\nab", 15), 15);
	turn(20);
	close(fd);
	turn(20);
	assert_int_equal(teller.gone, 0);
	assert_int_equal(teller.len, 0);
	admin_say(teller.client, json_pack("{s:i}", "n", 1));
	turn(20);
	assert_int_equal(teller.gone, 1);
}

static void test_in_pieces(void **state)
{
	int fd = client_connect();
	char *answer;

	(void)state;
	assert_int_equal(write(fd, "ec", 2), 2);
	turn(20);
	assert_int_equal(write(fd, "ho x\n", 5), 5);
	answer = client_finish(fd, 1000);
	assert_string_equal(answer, "{\"words\":[\"x\"]}\n");
	free(answer);

	/* half a line, then the end: no answer */
	fd = client_connect();
	assert_int_equal(write(fd, "echo", 4), 4);
	shutdown(fd, SHUT_WR);
	answer = client_finish(fd, 1000);
	assert_string_equal(answer, "");
	free(answer);
}

static void test_too_long(void **state)
{
	static char line[8192];
	char *answer;

	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line, "echo ", 5);
	/* 4095 bytes and the new line are taken */
	line[4095] = '\n';
	answer = ask_bytes(line, 4096);
	assert_int_equal(strlen(answer), strlen("{\"words\":[\"\"]}\n") + 4090);
	free(answer);
	line[4095] = 'x';
	line[4096] = '\n';
	answer = ask_bytes(line, 4097);
	assert_string_equal(answer, "{\"error\":\"the command is too long\"}\n");
	free(answer);
	line[4096] = 'x';
	answer = ask_bytes(line, sizeof(line));
	assert_non_null(strstr(answer, "too long"));
	free(answer);
}

/* The seventeenth waits until one of the others is done. */
static void test_many(void **state)
{
	int fd[17];
	char *answer;

	(void)state;
	for (int i = 0; i < 17; i++) {
		fd[i] = client_connect();
		turn(2);
	}
	assert_int_equal(write(fd[16], "echo x\n", 7), 7);
	turn(50);
	assert_int_equal(read(fd[16], &(char){0}, 1), -1);
	assert_int_equal(errno, EAGAIN);
	close(fd[0]);
	answer = client_finish(fd[16], 1000);
	assert_string_equal(answer, "{\"words\":[\"x\"]}\n");
	free(answer);
	for (int i = 1; i < 16; i++)
		close(fd[i]);
	turn(20);
}

static void test_slow_client(void **state)
{
	struct timespec start, end;
	int fd = client_connect();
	char *answer;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &start);
	/* a byte now and then does not keep it alive */
	for (int i = 0; i < 9; i++) {
		assert_int_equal(write(fd, "x", 1), 1);
		turn(500);
	}
	answer = client_finish(fd, 2000);
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert_string_equal(answer, "");
	assert_in_range(end.tv_sec - start.tv_sec, 4, 6);
	free(answer);
}

static void test_socket_file(void **state)
{
	char nested[128];
	struct admin *second;
	struct stat st;
	mode_t old = umask(0077);

	(void)state;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);

	/* somebody listens */
	assert_null(admin_open(base, path, commands, &admin));
	assert_int_equal(errno, EADDRINUSE);
	must_answer("echo\n", "{\"words\":[]}\n");

	/* not a socket: not ours to remove */
	snprintf(nested, sizeof(nested), "%s/file", folder);
	close(open(nested, O_CREAT | O_WRONLY, 0600));
	assert_null(admin_open(base, nested, commands, &admin));
	assert_int_equal(errno, EEXIST);
	assert_int_equal(unlink(nested), 0);

	umask(0);
	snprintf(nested, sizeof(nested), "%s/new/a.sock", folder);
	second = admin_open(base, nested, commands, &admin);
	assert_non_null(second);
	assert_int_equal(stat(nested, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	admin_close(second);
	assert_int_equal(stat(nested, &st), -1);
	*strrchr(nested, '/') = '\0';
	assert_int_equal(stat(nested, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(rmdir(nested), 0);
	umask(old);

	assert_null(admin_open(base,
			       "/0123456789012345678901234567890123456789012345678901234567890123"
			       "456789012345678901234567890123456789012345678",
			       commands, &admin));
	assert_int_equal(errno, ENAMETOOLONG);
}

/* What a killed daemon left is replaced; what another put in the place of ours
 * stays. */
static void test_stale(void **state)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct admin *second;
	struct stat st;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/stale", folder);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	second = admin_open(base, addr.sun_path, commands, &admin);
	assert_non_null(second);

	assert_int_equal(unlink(addr.sun_path), 0);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	admin_close(second);
	assert_int_equal(stat(addr.sun_path, &st), 0);
	close(fd);
	unlink(addr.sun_path);
}

/* A client in mid-exchange when the daemon ends. */
static void test_close(void **state)
{
	int fd = client_connect();

	(void)state;
	turn(10);
	admin_close(admin);
	turn(2); /* libevent closes descriptors from its loop */
	assert_int_equal(read(fd, &(char){0}, 1), 0);
	close(fd);
	assert_int_equal(access(path, F_OK), -1);
	admin = admin_open(base, path, commands, &admin);
	assert_non_null(admin);
}

static int setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN); /* as the daemon has it */
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/admin", folder);
	base = event_base_new();
	admin = admin_open(base, path, commands, &admin);
	return admin ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	admin_close(admin);
	event_base_free(base);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_task),
		cmocka_unit_test(test_task_without_a_client),
		cmocka_unit_test(test_in_pieces),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_slow_client),
		cmocka_unit_test(test_socket_file),
		cmocka_unit_test(test_stale),
		cmocka_unit_test(test_close),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
