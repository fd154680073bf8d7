/* SPDX-License-Identifier: BSD-3-Clause
 * oncewire: the terminals' command.
 */
#include <locale.h>
#include <string.h>

#include "client/command.h"

const struct command commands[] = {
	{"send", cmd_send,
	 "FILE --to ADDR[:PORT] [--via private|central] [--private ADDR[:PORT]]\n"
	 "                     [--central ADDR[:PORT]] [--rule sha256|xxh3] [--timeout S] [--json]",
	 "Sends FILE to the target and ends when the target confirmed the verified file.\n\n"
	 "  --to ADDR[:PORT]        the target (port 4871)\n"
	 "  --via private|central   the relay to use; asked for on a terminal if absent\n"
	 "  --private ADDR[:PORT]   the private relay (port 4870; default: configuration)\n"
	 "  --central ADDR[:PORT]   the central relay (port 4870; default: configuration)\n"
	 "  --rule sha256|xxh3      how the identifier is computed (default: sha256)\n"
	 "  --timeout S             give up after S seconds (default: 300, at most 3600)\n"
	 "  --json                  print one object: id, bytes, outcome, uploaded_bytes,\n"
	 "                          delivered, seconds\n"},
	{"recv", cmd_recv,
	 "--out DIR [--listen ADDR:PORT] [--relay ADDR[:PORT] ...] [--count N]\n"
	 "                     [--timeout S] [--json]",
	 "Receives files into DIR. A file appears under its name once it is verified.\n\n"
	 "  --out DIR               where files go; nothing there is ever overwritten\n"
	 "  --listen ADDR:PORT      local address (default: all addresses, port 4871)\n"
	 "  --relay ADDR[:PORT]     keep a lease with this relay (port 4870); may be repeated\n"
	 "  --count N               end after N files\n"
	 "  --timeout S             end after S seconds; fewer than N files is a failure\n"
	 "  --json                  print one object a file: id, bytes, path, relay, verified\n"},
	{"id", cmd_id, "FILE [--rule sha256|xxh3]",
	 "Prints the identifier of FILE.\n\n"
	 "  --rule sha256|xxh3      how it is computed (default: sha256)\n"},
	{"status", cmd_status, "[--socket PATH] [--json]",
	 "Prints the counters of the relay on this host.\n\n"
	 "  --socket PATH           its admin socket (default: $ONCEWIRE_ADMIN, else the\n"
	 "                          configuration's `admin`, else the only socket in\n"
	 "                          /run/oncewire)\n"
	 "  --json                  print the relay's answer as one line\n"},
	{NULL, NULL, NULL, NULL},
};

static void help_print(FILE *to)
{
	const struct command *c;

	fputs("usage: oncewire COMMAND ...\n\n", to);
	for (c = commands; c->name != NULL; c++)
		fprintf(to, "       oncewire %s %s\n", c->name, c->grammar);
	fputs("       oncewire --version\n"
	      "       oncewire [COMMAND] --help\n\n"
	      "Exit status: 0 done, 1 failed, 2 usage, 3 relay unreachable, 4 target did not\n"
	      "confirm, 5 refused.\n",
	      to);
}

int main(int argc, char **argv)
{
	const struct command *c;
	char name[64];

	setlocale(LC_CTYPE, "");
	if (argc < 2) {
		help_print(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("oncewire %s\n", ow_version());
		return EXIT_DONE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		help_print(stdout);
		return EXIT_DONE;
	}
	for (c = commands; c->name != NULL; c++) {
		if (strcmp(argv[1], c->name) != 0)
			continue;
		snprintf(name, sizeof(name), "oncewire %s", c->name);
		argv[1] = name;
		return c->run(argc - 1, argv + 1);
	}
	fprintf(stderr, "oncewire: no command \"%s\"\nTry 'oncewire --help'.\n", argv[1]);
	return EXIT_USAGE;
}
