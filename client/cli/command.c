/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

#include "client/cli/command.h"
#include "client/lib/hosts.h"
#include "wire/ident.h"

static volatile sig_atomic_t stop;

static void complain_va(char **argv, const char *format, va_list args)
{
	fprintf(stderr, "%s: ", argv[0]);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

void complain(char **argv, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain_va(argv, format, args);
	va_end(args);
}

int usage_error(char **argv, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain_va(argv, format, args);
	va_end(args);
	fprintf(stderr, "Try '%s --help'.\n", argv[0]);
	return EXIT_USAGE;
}

int exit_status(int code)
{
	if (code == OW_OK)
		return EXIT_DONE;
	if (code == OW_UNKEPT)
		return EXIT_UNKEPT;
	return code >= OW_REFUSED && code <= OW_FAILED ? -code : EXIT_FAILED;
}

static void help_print(const char *name)
{
	const struct command *c;

	name = strrchr(name, ' ') + 1;
	for (c = commands; c->name != NULL; c++)
		if (strcmp(c->name, name) == 0)
			printf("usage: oncewire %s %s\n\n%s", c->name, c->grammar, c->help);
}

int option_next(int argc, char **argv, const struct option *options)
{
	int option = getopt_long(argc, argv, "h", options, NULL);

	if (option == 'h') {
		help_print(argv[0]);
		exit(fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED);
	}
	return option;
}

int option_seconds(char **argv, const char *option, const char *text, uint32_t *milliseconds)
{
	char *end;
	double value;

	errno = 0;
	value = strtod(text, &end);
	if (end == text || *end != '\0' || errno != 0 || !isfinite(value) || value < 0.001 ||
	    value > 4000000) {
		usage_error(argv, "%s: \"%s\" is not a number of seconds above 0", option, text);
		return -1;
	}
	*milliseconds = (uint32_t)(value * 1000 + 0.5);
	return 0;
}

int option_rule(char **argv, const char *text, int *rule)
{
	*rule = rule_from_name(text);
	if (*rule != 0)
		return 0;
	usage_error(argv, "--rule: \"%s\" is not a rule; choose sha256 or xxh3", text);
	return -1;
}

int option_address(char **argv, const char *option, const char *text, uint16_t port)
{
	if (hosts_text_valid(text, port))
		return 0;
	usage_error(argv,
		    "%s: \"%s\" is neither an address nor a host name; write it as 192.0.2.1:%u, "
		    "[2001:db8::1]:%u or host.example:%u",
		    option, text, port, port, port);
	return -1;
}

static void stop_note(int number)
{
	stop = number;
}

const volatile sig_atomic_t *stop_on_signals(void)
{
	struct sigaction action = {.sa_handler = stop_note};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	return &stop;
}

int output_end(char **argv, int status)
{
	int error = fflush(stdout) != 0 ? errno : 0;

	if (error == 0 && !ferror(stdout))
		return status;
	complain(argv, "cannot write to standard output%s%s", error != 0 ? ": " : "",
		 error != 0 ? strerror(error) : "");
	return status == EXIT_DONE ? EXIT_FAILED : status;
}

void interrupt_pass_on(void)
{
	if (stop != SIGINT)
		return;
	signal(SIGINT, SIG_DFL);
	raise(SIGINT);
}

/* The longest prefix that is UTF-8 to JSON's library; 0 if not even a character. */
static size_t text_valid(const char *text, size_t len)
{
	json_t *probe;
	size_t n;

	for (n = len < 4 ? len : 4; n > 0; n--) {
		probe = json_stringn(text, n);
		json_decref(probe);
		if (probe != NULL)
			return n;
	}
	return 0;
}

json_t *json_text(const char *text)
{
	json_t *whole = json_string(text);
	size_t len = strlen(text), n, out = 0;
	char *clean;

	if (whole != NULL)
		return whole;
	clean = malloc(3 * len + 1);
	if (clean == NULL)
		return NULL;
	while (len > 0) {
		n = text_valid(text, len);
		memcpy(clean + out, n > 0 ? text : "\xef\xbf\xbd", n > 0 ? n : 3);
		out += n > 0 ? n : 3;
		n = n > 0 ? n : 1;
		text += n;
		len -= n;
	}
	whole = json_stringn(clean, out);
	free(clean);
	return whole;
}

void json_print(json_t *object)
{
	json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
	putchar('\n');
	fflush(stdout);
	json_decref(object);
}
