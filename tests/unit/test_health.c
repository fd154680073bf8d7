/* SPDX-License-Identifier: BSD-3-Clause
 * What is said about a state that changes, and how often.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/base/health.h"
#include "control/base/log.h"

#define SECOND UINT64_C(1000000)

static FILE *real;
static char *text;
static size_t size;

/* What was said since the last time. */
static const char *said(void)
{
	static char last[4096];

	fflush(stderr);
	snprintf(last, sizeof(last), "%s", text);
	rewind(stderr);
	memset(text, 0, size);
	return last;
}

static int listen(void **state)
{
	(void)state;
	real = stderr;
	stderr = open_memstream(&text, &size);
	return stderr ? 0 : -1;
}

static int hear_no_more(void **state)
{
	(void)state;
	fclose(stderr);
	stderr = real;
	free(text);
	return 0;
}

static void test_only_changes_are_said(void **state)
{
	struct health_item h = {0};

	(void)state;
	health_set(&h, 0, false, "link is %s", "up");
	assert_string_equal(said(), "");
	health_set(&h, SECOND, true, "link is %s", "down");
	assert_true(h.bad);
	assert_string_equal(said(), "oncewired: link is down\n");
	for (int i = 0; i < 100; i++) {
		health_set(&h, i * 20 * SECOND, true, "link is %s", "down");
		health_review(&h, i * 20 * SECOND);
	}
	assert_string_equal(said(), "");
}

static void test_bad_from_the_start_is_said(void **state)
{
	struct health_item h = {0};

	(void)state;
	health_set(&h, 0, true, "link is down");
	assert_string_equal(said(), "oncewired: link is down\n");
}

/* Forty changes in a second are two lines: the first, and ten seconds later the
 * state that came of it. The state itself is always the newest. */
static void test_flapping(void **state)
{
	struct health_item h = {0};
	uint64_t now = 0;

	(void)state;
	health_set(&h, now, false, "up");
	for (int i = 0; i < 40; i++) {
		now += SECOND / 40;
		health_set(&h, now, i % 2 == 0, i % 2 == 0 ? "down" : "up");
		assert_int_equal(h.bad, i % 2 == 0);
	}
	assert_string_equal(said(), "oncewired: down\n");
	for (; now < 10 * SECOND; now += SECOND)
		health_review(&h, now);
	assert_string_equal(said(), "");
	health_review(&h, now + SECOND);
	assert_string_equal(said(), "oncewired: up (the last of 39 changes)\n");
	health_review(&h, now + 30 * SECOND);
	assert_string_equal(said(), "");
}

static void test_words_alone_can_change(void **state)
{
	struct health_item h = {0};

	(void)state;
	health_set(&h, 0, false, "MTU of 1500");
	health_set(&h, SECOND, false, "MTU of 1400");
	assert_string_equal(said(), "oncewired: MTU of 1400\n");
}

static void test_priorities_in_the_journal(void **state)
{
	char path[] = "/tmp/oncewire-journal-XXXXXX", stream[64], got[256] = "";
	int fd = mkstemp(path), saved;
	struct stat st;
	FILE *f;

	(void)state;
	assert_true(fd >= 0);
	saved = dup(STDERR_FILENO);
	dup2(fd, STDERR_FILENO);
	assert_int_equal(fstat(fd, &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_line(LOG_ERR, "a");
	log_text(LOG_WARNING, "b\nc\n");
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	f = fdopen(fd, "r");
	rewind(f);
	assert_true(fread(got, 1, sizeof(got) - 1, f) > 0);
	fclose(f);
	unlink(path);
	unsetenv("JOURNAL_STREAM");
	assert_string_equal(got, "<3>oncewired: a\n<4>b\n<4>c\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_only_changes_are_said, listen, hear_no_more),
		cmocka_unit_test_setup_teardown(test_bad_from_the_start_is_said, listen,
						hear_no_more),
		cmocka_unit_test_setup_teardown(test_flapping, listen, hear_no_more),
		cmocka_unit_test_setup_teardown(test_words_alone_can_change, listen, hear_no_more),
		cmocka_unit_test(test_priorities_in_the_journal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
