/* SPDX-License-Identifier: BSD-3-Clause
 * The command's configuration, icons and progress bars.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "client/cli/config.h"
#include "client/cli/icons.h"
#include "client/cli/progress.h"

/* ---- configuration ---- */

static char file_path[64];
static char complaints[4096];

static int config_of(const char *text, struct client_config *c)
{
	FILE *errors;
	int fd, ret;

	strcpy(file_path, "/var/tmp/oncewire-test-XXXXXX");
	fd = mkstemp(file_path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	memset(complaints, 0, sizeof(complaints));
	errors = fmemopen(complaints, sizeof(complaints) - 1, "w");
	ret = config_read(c, file_path, errors);
	fclose(errors);
	unlink(file_path);
	return ret;
}

/* The complaint names file, line, key and says what helps. */
static void complaint_check(int line, const char *key, const char *remedy)
{
	char place[128];

	snprintf(place, sizeof(place), "%s:%d: ", file_path, line);
	assert_non_null(strstr(complaints, place));
	assert_non_null(strstr(complaints, key));
	assert_non_null(strstr(complaints, remedy));
}

static void test_config(void **state)
{
	struct client_config c;

	(void)state;
	assert_int_equal(config_of("# a comment\n\n[oncewire]\nprivate = 192.0.2.1\n"
				   "central = [2001:db8::1]:99 ; said in passing\n"
				   "listen=[::]:5000\nadmin = /run/x.sock\n"
				   "content_key = /c.key\nidentity = /i.key\n",
				   &c),
			 0);
	assert_string_equal(c.private_relay, "192.0.2.1");
	assert_string_equal(c.central_relay, "[2001:db8::1]:99");
	assert_string_equal(c.listen, "[::]:5000");
	assert_string_equal(c.admin, "/run/x.sock");
	assert_string_equal(c.content_key, "/c.key");
	assert_string_equal(c.identity, "/i.key");
	assert_string_equal(complaints, "");
	assert_int_equal(config_of("", &c), 0);
	assert_string_equal(c.private_relay, "");
	assert_string_equal(c.admin, "");
}

static void test_config_mistakes(void **state)
{
	struct client_config c;

	(void)state;
	assert_int_equal(config_of("[oncewire]\n\nprivate = no where\nport = 1\n", &c), -EINVAL);
	complaint_check(3, "private", "192.0.2.1:4870");
	complaint_check(4, "port", "use one of private, central, listen, domain_key, ");
	assert_int_equal(config_of("[relay]\nprivate = 192.0.2.1\n", &c), -EINVAL);
	complaint_check(2, "[relay]", "[oncewire]");
	assert_int_equal(config_of("[oncewire]\nadmin = a.sock\n", &c), -EINVAL);
	complaint_check(2, "admin", "begin it with /");
	assert_int_equal(config_of("[oncewire]\nprivate = 192.0.2.1\nprivate = 192.0.2.2\n", &c),
			 -EINVAL);
	complaint_check(3, "private", "line 2");
	assert_int_equal(config_of("[oncewire]\nprivate 192.0.2.1\n", &c), -EINVAL);
	complaint_check(2, "", "key = value");
	assert_int_equal(config_of("private = 192.0.2.1\n", &c), -EINVAL);
	complaint_check(1, "private", "[oncewire]");
}

static void test_config_files(void **state)
{
	struct client_config c;
	FILE *errors;

	(void)state;
	memset(complaints, 0, sizeof(complaints));
	errors = fmemopen(complaints, sizeof(complaints) - 1, "w");
	assert_int_equal(config_read(&c, "/nonexistent/oncewire.conf", errors), -ENOENT);
	setenv("ONCEWIRE_CONFIG", "/nonexistent/oncewire.conf", 1);
	assert_int_equal(config_load(&c, errors), -ENOENT);
	fclose(errors);
	assert_non_null(strstr(complaints, "ONCEWIRE_CONFIG"));
}

/* ---- icons ---- */

static struct icons icons;

static enum icons_action keys(const char *bytes)
{
	enum icons_action last = ICONS_NONE;

	while (*bytes != '\0')
		last = icons_key(&icons, (uint8_t)*bytes++);
	return last;
}

static void test_icons_arrows(void **state)
{
	(void)state;
	icons_init(&icons, "192.0.2.1", "192.0.2.2");
	assert_int_equal(icons.at, 0);
	assert_int_equal(keys("\033[C"), ICONS_MOVED);
	assert_int_equal(icons.at, 1);
	assert_int_equal(keys("\033[C"), ICONS_NONE); /* at the edge */
	assert_int_equal(icons.at, 1);
	assert_int_equal(keys("\033OD"), ICONS_MOVED); /* application mode */
	assert_int_equal(icons.at, 0);
	assert_int_equal(keys("\t"), ICONS_MOVED);
	assert_int_equal(keys("\033[1;5D"), ICONS_MOVED); /* with Ctrl */
	assert_int_equal(icons.at, 0);
	assert_int_equal(keys("\033[3~"), ICONS_NONE); /* Delete */
	assert_int_equal(keys("x"), ICONS_NONE);
	assert_int_equal(icons.at, 0);
	assert_int_equal(keys("\033[C\r"), ICONS_CHOSEN);
	assert_int_equal(icons.at, 1);
}

static void test_icons_digits(void **state)
{
	(void)state;
	icons_init(&icons, "192.0.2.1", "192.0.2.2");
	assert_int_equal(keys("2"), ICONS_CHOSEN);
	assert_int_equal(icons.at, 1);
	assert_int_equal(keys("1"), ICONS_CHOSEN);
	assert_int_equal(icons.at, 0);
	assert_int_equal(keys("3"), ICONS_NONE);
	assert_int_equal(keys("\n"), ICONS_CHOSEN);
}

static void test_icons_leave(void **state)
{
	(void)state;
	icons_init(&icons, "192.0.2.1", "192.0.2.2");
	assert_int_equal(keys("q"), ICONS_CANCELLED);
	assert_int_equal(keys("\003"), ICONS_CANCELLED);
	assert_int_equal(keys("\033"), ICONS_NONE); /* an arrow may follow */
	assert_int_equal(icons_pause(&icons), ICONS_CANCELLED);
	assert_int_equal(keys("\033["), ICONS_NONE);
	assert_int_equal(icons_pause(&icons), ICONS_NONE);
	assert_int_equal(icons_pause(&icons), ICONS_NONE);
	assert_int_equal(keys("\033\033"), ICONS_CANCELLED);
}

static void test_icons_unconfigured(void **state)
{
	(void)state;
	icons_init(&icons, "", "192.0.2.2");
	assert_int_equal(icons.at, 1);
	assert_int_equal(keys("\033[D"), ICONS_BELL);
	assert_int_equal(keys("1"), ICONS_BELL);
	assert_int_equal(icons.at, 1);
	assert_int_equal(keys("\r"), ICONS_CHOSEN);
	icons_init(&icons, "192.0.2.1", "");
	assert_int_equal(keys("2"), ICONS_BELL);
	assert_int_equal(keys("\033[C"), ICONS_BELL);
	assert_int_equal(icons.at, 0);
}

static int columns(const char *utf8)
{
	wchar_t wide[1024];
	size_t n = mbstowcs(wide, utf8, 1024);

	assert_true(n != (size_t)-1);
	return wcswidth(wide, n);
}

static void test_icons_draw(void **state)
{
	static const char *const addresses[][2] = {
		{"192.0.2.1:4870", ""},
		{"[2001:db8:1111:2222:3333:4444:5555:6666]:4870", "192.0.2.1:4870"},
	};
	char lines[ICONS_LINES][ICONS_LINE_MAX];
	size_t a, n;
	int utf8, width;

	(void)state;
	assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
	for (a = 0; a < 2; a++) {
		for (utf8 = 0; utf8 < 2; utf8++) {
			icons_init(&icons, addresses[a][0], addresses[a][1]);
			icons_draw(&icons, 80, utf8, false, lines);
			width = columns(lines[1]);
			assert_true(width < 80);
			for (n = 1; n <= 11; n++) /* the cards are straight */
				assert_int_equal(columns(lines[n]), width);
			for (n = 0; n < ICONS_LINES && !utf8; n++)
				assert_int_equal(strlen(lines[n]), columns(lines[n]));
		}
	}
	icons_init(&icons, "192.0.2.1:4870", "");
	icons_draw(&icons, 80, true, true, lines);
	assert_non_null(strstr(lines[10], "192.0.2.1:4870"));
	assert_non_null(strstr(lines[10], "not configured"));
	assert_non_null(strstr(lines[10], "\033[90m")); /* grey */
}

/* Two cards have no room: a row each, and nothing wraps. */
static void test_icons_draw_narrow(void **state)
{
	char lines[ICONS_LINES][ICONS_LINE_MAX];
	int n, width;

	(void)state;
	icons_init(&icons, "192.0.2.1:4870", "198.51.100.7:4870");
	icons_key(&icons, '\t');
	for (width = 1; width < 53; width++) {
		icons_draw(&icons, width, true, true, lines);
		for (n = 0; n < ICONS_LINES; n++)
			assert_true(columns(lines[n]) < width);
	}
	icons_draw(&icons, 52, true, true, lines);
	assert_string_equal(lines[1], "  1  private server");
	assert_string_equal(lines[2], "     192.0.2.1:4870");
	assert_string_equal(lines[3], "> 2  central server");
	icons_draw(&icons, 53, true, false, lines);
	assert_int_equal(columns(lines[1]), 52);
}

/* ---- progress ---- */

static void test_progress(void **state)
{
	char line[512];

	(void)state;
	assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
	progress_line(line, sizeof(line), 80, false, OW_UPLOADING, 500000, 1000000, 100000);
	assert_non_null(strstr(line, "uploading"));
	assert_non_null(strstr(line, " 50%  500 kB of 1.00 MB  100 kB/s  0:05 left"));
	assert_true(strlen(line) < 80);
	progress_line(line, sizeof(line), 80, true, OW_HASHING, 1, 3, 0);
	assert_true(columns(line) < 80);
	assert_non_null(strstr(line, " 33%  1 B of 3 B"));
	assert_null(strstr(line, "left"));
	progress_line(line, sizeof(line), 80, false, OW_WAITING, 18000, 300000, 0);
	assert_string_equal(line, "waiting for the target  4:42 left");
	progress_line(line, sizeof(line), 20, false, OW_WAITING, 18000, 300000, 0);
	assert_string_equal(line, "waiting for the tar");
	progress_line(line, sizeof(line), 80, false, OW_DELIVERING, 0, 0, 0);
	assert_non_null(strstr(line, "100%"));
	progress_line(line, sizeof(line), 80, false, OW_DELIVERING, 0, 4000000000, 1000000);
	assert_non_null(strstr(line, "0%  0 B of 4.00 GB  1.00 MB/s  1:06:40 left"));
}

static void test_progress_widths(void **state)
{
	char line[512];
	int width;

	(void)state;
	assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
	for (width = 14; width < 300; width++) {
		progress_line(line, sizeof(line), width, true, OW_DELIVERING, 123456789, 999999999,
			      12345678);
		assert_true(columns(line) < width);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_config_mistakes),
		cmocka_unit_test(test_config_files),
		cmocka_unit_test(test_icons_arrows),
		cmocka_unit_test(test_icons_digits),
		cmocka_unit_test(test_icons_leave),
		cmocka_unit_test(test_icons_unconfigured),
		cmocka_unit_test(test_icons_draw),
		cmocka_unit_test(test_icons_draw_narrow),
		cmocka_unit_test(test_progress),
		cmocka_unit_test(test_progress_widths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
