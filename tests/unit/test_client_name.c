/* SPDX-License-Identifier: BSD-3-Clause
 * File names from the network, and the directory they end in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/lib/name.h"
#include "client/lib/part.h"

#define FROM_ID "abababababababab"

static const struct ident id = {{[0 ... 31] = 0xab}};

static void check_len(const char *meta, size_t len, const char *expected)
{
	char out[NAME_BYTES + 1];

	memset(out, 'z', sizeof(out));
	name_sanitise((const uint8_t *)meta, len, &id, out);
	assert_string_equal(out, expected);
}

static void check(const char *meta, const char *expected)
{
	check_len(meta, strlen(meta), expected);
}

static void test_plain(void **state)
{
	(void)state;
	check("report.pdf", "report.pdf");
	check("no extension", "no extension");
	check("Grüße €.txt", "Grüße €.txt");
	check("a..b", "a..b");
	check("trailing.", "trailing.");
	check("back\\slash", "back\\slash");
}

static void test_paths(void **state)
{
	(void)state;
	check("../../etc/passwd", "passwd");
	check("/etc/passwd", "passwd");
	check("a/b/c", "c");
	check("..", FROM_ID);
	check("../..", FROM_ID);
	check(".", FROM_ID);
	check("/", FROM_ID);
	check("dir/", FROM_ID);
	check("", FROM_ID);
	check("....", FROM_ID);
	check("../.../.hidden", "hidden");
	check(".bashrc", "bashrc");
	check(".oncewire-00000000.part", "oncewire-00000000.part");
}

static void test_control(void **state)
{
	(void)state;
	check("a\nb\tc\x7f\x1b[31m", "a_b_c__[31m");
	check("a\xc2\x85"
	      "b",
	      "a_b");			    /* C1 */
	check("exe.\u202efdp", "exe._fdp"); /* right-to-left override */
	check("\n", "_");
}

static void test_utf8(void **state)
{
	(void)state;
	check("a\xff", "a_");
	check("\xc3", "_");		   /* cut off */
	check("\xc0\xaf", "__");	   /* overlong '/' */
	check("\xe0\x80\xaf", "___");	   /* overlong '/' */
	check("\xed\xa0\x80", "___");	   /* surrogate */
	check("\xf4\x90\x80\x80", "____"); /* above U+10FFFF */
	check("\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80");
	check("\xe2\x82"
	      "a",
	      "__a");
}

static void test_meta(void **state)
{
	char mime[META_MAX + 1];

	(void)state;
	check_len("a.txt\0text/plain", 16, "a.txt");
	check_len("\0text/plain", 11, FROM_ID);
	check_len("a\0/../b", 7, "a");
	check_len(NULL, 0, FROM_ID);
	name_mime((const uint8_t *)"a.txt\0text/plain", 16, mime);
	assert_string_equal(mime, "text/plain");
	name_mime((const uint8_t *)"a.txt", 5, mime);
	assert_string_equal(mime, "");
	name_mime((const uint8_t *)"a\0b\nc", 5, mime);
	assert_string_equal(mime, "");
	name_mime(NULL, 0, mime);
	assert_string_equal(mime, "");
}

static void test_long(void **state)
{
	char name[META_MAX + 1], out[NAME_BYTES + 1], numbered[256];

	(void)state;
	memset(name, 'n', META_MAX);
	name[META_MAX] = '\0';
	name_sanitise((uint8_t *)name, META_MAX, &id, out);
	assert_int_equal(strlen(out), NAME_BYTES);
	/* A character is kept whole or not at all. */
	memcpy(name + NAME_BYTES - 3, "\xc3\xbc.", 3);
	name_sanitise((uint8_t *)name, META_MAX, &id, out);
	assert_string_equal(out, name);
	name_number(out, 0, numbered);
	assert_string_equal(numbered, name);
}

/* A number costs the middle of the name, never its extension or half a character. */
static void test_long_number(void **state)
{
	char name[NAME_BYTES + 1], out[NAME_BYTES + 1], want[NAME_BYTES + 1];

	(void)state;
	memset(name, 'n', sizeof(name));
	strcpy(name + NAME_BYTES - 5, ".jpeg");
	name_number(name, 1, out);
	memset(want, 'n', sizeof(want));
	strcpy(want + NAME_BYTES - 9, " (1).jpeg");
	assert_string_equal(out, want);
	/* 125 characters of two bytes */
	for (int i = 0; i < 250; i += 2)
		memcpy(name + i, "\xc3\xbc", 2);
	name_number(name, 12345, out);
	assert_int_equal(strlen(out), 242 + 8 + 5);
	assert_memory_equal(out, name, 242);
	assert_string_equal(out + 242, " (12345).jpeg");
	name_number(name, 123456, out);
	assert_memory_equal(out, name, 240);
	assert_string_equal(out + 240, " (123456).jpeg");
	/* no extension: just a dot far in front */
	memset(name, 'n', sizeof(name));
	name[NAME_BYTES] = '\0';
	name[3] = '.';
	name_number(name, 7, out);
	assert_int_equal(strlen(out), NAME_BYTES);
	assert_string_equal(out + NAME_BYTES - 4, " (7)");
}

static void test_number(void **state)
{
	char out[256];

	(void)state;
	name_number("a.txt", 0, out);
	assert_string_equal(out, "a.txt");
	name_number("a.txt", 1, out);
	assert_string_equal(out, "a (1).txt");
	name_number("a", 12, out);
	assert_string_equal(out, "a (12)");
	name_number("a.tar.gz", 2, out);
	assert_string_equal(out, "a.tar (2).gz");
}

/* ---- the directory ---- */

/* File systems that cannot do what others can. These take the place of libc's. */
static bool no_tmpfile, no_renameat2;

int openat(int fd, const char *path, int flags, ...)
{
	unsigned mode = 0;
	va_list args;

	if (no_tmpfile && (flags & O_TMPFILE) == O_TMPFILE) {
		errno = EOPNOTSUPP;
		return -1;
	}
	if (flags & (O_CREAT | O_TMPFILE)) {
		va_start(args, flags);
		mode = va_arg(args, unsigned);
		va_end(args);
	}
	return (int)syscall(SYS_openat, fd, path, flags, mode);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	if (no_renameat2) {
		errno = EINVAL;
		return -1;
	}
	return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
}

static char directory[64];
static struct inbox inbox;

static int setup(void **state)
{
	(void)state;
	strcpy(directory, "/var/tmp/oncewire-test-XXXXXX");
	assert_non_null(mkdtemp(directory));
	return inbox_open(&inbox, directory, false);
}

static int teardown(void **state)
{
	static const char *const names[] = {"a.txt", "a (1).txt", "a (2).txt", "target"};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlinkat(inbox.fd, names[i], 0);
	no_tmpfile = no_renameat2 = false;
	inbox_close(&inbox);
	return rmdir(directory);
}

static void part_fill(struct part *p, const char *text)
{
	struct iovec iov[2] = {{(void *)text, 1}, {(void *)(text + 1), strlen(text) - 1}};

	assert_int_equal(part_open(&inbox, p), 0);
	assert_int_equal(part_write(p, iov, 2, 0), 0);
}

static void content_check(const char *path, const char *text)
{
	char found[64] = "";
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_true(read(fd, found, sizeof(found) - 1) >= 0);
	close(fd);
	assert_string_equal(found, text);
}

/* Hidden while it is incomplete, gone when it is thrown away. */
static void test_part_named(void **state)
{
	struct part p;

	(void)state;
	no_tmpfile = true;
	part_fill(&p, "hidden");
	assert_memory_equal(p.name, ".oncewire-", 10);
	assert_int_equal(faccessat(inbox.fd, p.name, F_OK, 0), 0);
	part_discard(&inbox, &p);
	/* teardown finds the directory empty */
}

static void publish(const struct inbox *in, struct part *p, const char *name, const char *where,
		    char *path)
{
	char taken[NAME_BYTES + 1];

	assert_int_equal(part_publish(in, p, name, taken), 0);
	assert_true(snprintf(path, PATH_MAX, "%s/%s", where, taken) < PATH_MAX);
}

static void test_publish(void **state)
{
	char path[PATH_MAX], expected[128];
	struct part p;

	(void)state;
	part_fill(&p, "first");
	snprintf(expected, sizeof(expected), "%s/a.txt", directory);
	assert_int_equal(access(expected, F_OK), -1); /* nothing yet */
	publish(&inbox, &p, "a.txt", directory, path);
	assert_string_equal(path, expected);
	part_fill(&p, "second");
	publish(&inbox, &p, "a.txt", directory, path);
	content_check(path, "second");
	content_check(expected, "first");
	snprintf(expected, sizeof(expected), "%s/a (1).txt", directory);
	assert_string_equal(path, expected);
}

static void test_publish_named(void **state)
{
	no_tmpfile = true;
	test_publish(state);
}

static void test_publish_linked(void **state)
{
	no_tmpfile = no_renameat2 = true;
	test_publish(state);
}

/* A link, even to nowhere, is a name that is taken. */
static void test_publish_link(void **state)
{
	char path[PATH_MAX], expected[128];
	struct part p;

	(void)state;
	assert_int_equal(symlinkat("target", inbox.fd, "a.txt"), 0);
	part_fill(&p, "data");
	publish(&inbox, &p, "a.txt", directory, path);
	snprintf(expected, sizeof(expected), "%s/a (1).txt", directory);
	assert_string_equal(path, expected);
	assert_int_equal(faccessat(inbox.fd, "target", F_OK, 0), -1);
}

static void test_discard(void **state)
{
	struct part p;
	char back[4];

	(void)state;
	part_fill(&p, "gone");
	assert_int_equal(part_read(&p, back, 4, 0), 0);
	assert_memory_equal(back, "gone", 4);
	assert_int_equal(part_read(&p, back, 4, 1), -EIO);
	assert_int_equal(part_truncate(&p, 0), 0);
	assert_int_equal(part_read(&p, back, 1, 0), -EIO);
	part_discard(&inbox, &p);
	assert_int_equal(p.fd, -1);
	/* teardown finds the directory empty */
}

/* The README's first step names a folder that nobody has made. */
static void test_inbox_is_made(void **state)
{
	char path[] = "/var/tmp/oncewire-test-XXXXXX", inner[sizeof(path) + 8];
	struct inbox in;

	(void)state;
	assert_non_null(mkdtemp(path));
	snprintf(inner, sizeof(inner), "%s/incoming", path);
	assert_int_equal(inbox_open(&in, inner, false), 0);
	inbox_close(&in);
	assert_int_equal(inbox_open(&in, inner, false), 0);
	inbox_close(&in);
	assert_int_equal(rmdir(inner), 0);
	assert_int_equal(rmdir(path), 0);
}

static void make_file(const struct inbox *in, const char *where)
{
	char path[PATH_MAX];
	struct stat st;
	struct part p;

	assert_int_equal(part_open(in, &p), 0);
	publish(in, &p, "a", where, path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(unlink(path), 0);
}

/* Moved, with another one put in its place, and deleted. The path that is said is
 * where the file is; its mode is 0600 under any umask. */
static void test_inbox_is_followed(void **state)
{
	char path[] = "/var/tmp/oncewire-test-XXXXXX", first[sizeof(path) + 8];
	char second[sizeof(path) + 8], where[PATH_MAX];
	mode_t before = umask(0);
	struct inbox in;

	(void)state;
	assert_non_null(mkdtemp(path));
	snprintf(first, sizeof(first), "%s/first", path);
	snprintf(second, sizeof(second), "%s/second", path);
	assert_int_equal(inbox_open(&in, first, true), 0);
	assert_int_equal(inbox_follow(&in, where), 0);
	assert_string_equal(where, first);
	make_file(&in, where);
	assert_int_equal(rename(first, second), 0);
	assert_int_equal(mkdir(first, 0700), 0);
	assert_int_equal(inbox_follow(&in, where), 1);
	assert_string_equal(where, second);
	make_file(&in, where);
	assert_int_equal(rmdir(first), 0);
	assert_int_equal(rmdir(second), 0);
	assert_int_equal(inbox_follow(&in, where), 0);
	assert_string_equal(where, first);
	make_file(&in, where);
	assert_int_equal(rmdir(first), 0);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(inbox_follow(&in, where), -ENOENT);
	inbox_close(&in);
	umask(before);
}

static void test_inbox_errors(void **state)
{
	struct inbox in;

	(void)state;
	assert_int_equal(inbox_open(&in, "/nonexistent/deeper", false), -ENOENT);
	assert_int_equal(inbox_open(&in, "/dev/null", false), -ENOTDIR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_control),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_meta),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_long_number),
		cmocka_unit_test(test_number),
		cmocka_unit_test_setup_teardown(test_publish, setup, teardown),
		cmocka_unit_test_setup_teardown(test_part_named, setup, teardown),
		cmocka_unit_test_setup_teardown(test_publish_named, setup, teardown),
		cmocka_unit_test_setup_teardown(test_publish_linked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_publish_link, setup, teardown),
		cmocka_unit_test_setup_teardown(test_discard, setup, teardown),
		cmocka_unit_test(test_inbox_is_made),
		cmocka_unit_test(test_inbox_is_followed),
		cmocka_unit_test(test_inbox_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
