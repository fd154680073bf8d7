/* SPDX-License-Identifier: BSD-3-Clause
 * cli/: the oncewire command, a file a subcommand (cmd_...), its configuration file, what
 * it draws at a terminal, and here what these share. What it does is all in lib/.
 */
#ifndef CLIENT_CLI_COMMAND_H
#define CLIENT_CLI_COMMAND_H

#include <getopt.h>
#include <jansson.h>

#include "client/cli/config.h"
#include "client/lib/oncewire.h"

enum exit_status {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_UNREACHABLE = 3,
	EXIT_UNCONFIRMED = 4,
	EXIT_REFUSED = 5,
	EXIT_UNKEPT = 7,
	EXIT_UNWELL = 6, /* status, store verify: the relay answers, and says what is wrong */
};

struct command {
	const char *name;
	int (*run)(int argc, char **argv); /* argv[0]: "oncewire NAME"; returns an exit status */
	const char *grammar;
	const char *help;
};

extern const struct command commands[]; /* ends with a NULL name */

int cmd_id(int argc, char **argv);
int cmd_keygen(int argc, char **argv);
int cmd_recv(int argc, char **argv);
int cmd_send(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_store(int argc, char **argv);

/* "oncewire NAME: TEXT" and a hint at --help, on stderr; returns EXIT_USAGE. */
int usage_error(char **argv, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "oncewire NAME: TEXT" on stderr. */
void complain(char **argv, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The exit status for a result of the library. */
int exit_status(int code);

/* The next option, as getopt_long() returns it; prints help and exits on --help. */
int option_next(int argc, char **argv, const struct option *options);
/* Each returns 0, or complains about the value of `option` and returns -1. */
int option_seconds(char **argv, const char *option, const char *text, uint32_t *milliseconds);
int option_rule(char **argv, const char *text, int *rule);
int option_address(char **argv, const char *option, const char *text, uint16_t port);

/* Makes SIGINT and SIGTERM set what this returns instead of ending the program. */
const volatile sig_atomic_t *stop_on_signals(void);
/* Flushes stdout. What could not be written makes a success a failure, with words.
 * Returns the exit status. */
int output_end(char **argv, int status);
/* If SIGINT did: dies of it, now that all is cleaned up, so that a shell's loop
 * around the command ends too. */
void interrupt_pass_on(void);

/* A JSON string; bytes that are not UTF-8 become U+FFFD. */
json_t *json_text(const char *text);
/* Prints one line on stdout, at once, and releases the object. */
void json_print(json_t *object);

#endif
