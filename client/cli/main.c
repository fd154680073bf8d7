/* SPDX-License-Identifier: BSD-3-Clause
 * oncewire: the terminals' command.
 */
#include <locale.h>
#include <string.h>

#include "client/cli/command.h"

const struct command commands[] = {
	{"send", cmd_send,
	 "FILE --to ADDR[:PORT] [--via private|central] [--private ADDR[:PORT]]\n"
	 "                     [--central ADDR[:PORT]] [--domain-key FILE] [--rule sha256|xxh3]\n"
	 "                     [--encrypt shared|random --recipient PUBKEY [--content-key FILE]]\n"
	 "                     [--timeout S] [--limit S] [--json]",
	 "Sends FILE to the target and ends when the target confirmed the verified file and a\n"
	 "relay has stored it.\n\n"
	 "  --to ADDR[:PORT]        the target (port 4871)\n"
	 "  --via private|central   the relay to use; asked for on a terminal if absent\n"
	 "  --private ADDR[:PORT]   the private relay (port 4870; default: configuration)\n"
	 "  --central ADDR[:PORT]   the central relay (port 4870; default: configuration)\n"
	 "  --domain-key FILE       the key of the domain to send as a member of\n"
	 "  --rule sha256|xxh3      how the identifier is computed (default: sha256)\n"
	 "  --encrypt shared|random relays see a ciphertext only: one that members of the domain\n"
	 "                          share, so that it is uploaded once, or a new one each time\n"
	 "  --recipient PUBKEY      the public key of the target's identity: who may read it\n"
	 "  --content-key FILE      shared: the domain's secret, from `oncewire keygen content`\n"
	 "  --timeout S             give up after S seconds without progress (default: 120)\n"
	 "  --limit S               give up after S seconds in any case (default: never)\n"
	 "  --json                  print one object: id, bytes, outcome, uploaded_bytes,\n"
	 "                          kept_bytes, delivered, stored, seconds\n\n"
	 "If it is cut off, the same command again goes on where it was, for as long as the relay\n"
	 "keeps what has come (15 minutes, unless its operator chose otherwise); not with "
	 "--encrypt\n"
	 "random, which encrypts anew.\n"},
	{"recv", cmd_recv,
	 "--out DIR [--listen ADDR:PORT] [--relay ADDR[:PORT] ...] [--domain-key FILE]\n"
	 "                     [--identity FILE] [--private-files] [--count N] [--timeout S]\n"
	 "                     [--json]",
	 "Receives files into DIR. A file appears under its name once it is verified.\n\n"
	 "  --out DIR               where files go, made if it is not there; nothing there is\n"
	 "                          ever overwritten\n"
	 "  --listen ADDR:PORT      local address (default: all addresses, port 4871)\n"
	 "  --relay ADDR[:PORT]     keep a lease with this relay (port 4870); may be repeated\n"
	 "  --domain-key FILE       the key of the domain whose member the lease is for\n"
	 "  --identity FILE         decrypt what is encrypted for this secret key\n"
	 "  --private-files         keep files from other users of this host (mode 0600)\n"
	 "  --count N               end after N files\n"
	 "  --timeout S             end after S seconds; fewer than N files is a failure\n"
	 "  --json                  print one object a file: id, bytes, path, relay, verified,\n"
	 "                          kept_bytes, encrypted\n\n"
	 "What has come of a file that is cut off stays in DIR, hidden, for a day: when it is "
	 "sent\n"
	 "again, it goes on from there.\n"},
	{"id", cmd_id, "FILE [--rule sha256|xxh3]",
	 "Prints the identifier of FILE.\n\n"
	 "  --rule sha256|xxh3      how it is computed (default: sha256)\n"},
	{"keygen", cmd_keygen,
	 "master|domain|pair|content|identity FILE [--id N]\n"
	 "                     [--rotate|--retire] [--show] [--json]",
	 "Makes a key file of mode 0600, or a new generation in one, and says what to do\n"
	 "with it. No file is overwritten but by --rotate and --retire.\n\n"
	 "  master                  a relay group's master key\n"
	 "  domain, pair            the keys of a domain, of two relays that work together\n"
	 "  content                 a domain's secret for `send --encrypt shared`\n"
	 "  identity                a target's secret key for encrypted files; prints the\n"
	 "                          public key, which senders need\n"
	 "  --id N                  domain, pair: the number (default: a random one)\n"
	 "  --rotate                domain, pair: a new generation; the last one stays valid\n"
	 "  --retire                domain, pair: drop all generations but the newest\n"
	 "  --show                  identity: print the public key of an existing file\n"
	 "  --json                  print one object: kind, path and what belongs to the kind\n"},
	{"status", cmd_status, "[--socket PATH] [--describe] [--json]",
	 "Prints the health and the counters of the relay on this host. Ends with 6 if it has\n"
	 "problems, which are also said on standard error.\n\n"
	 "  --socket PATH           its admin socket (default: $ONCEWIRE_ADMIN, else the\n"
	 "                          configuration's `admin`, else the only socket in\n"
	 "                          /run/oncewire)\n"
	 "  --describe              say what each counter means, instead of their values\n"
	 "  --json                  print the relay's answer as one line\n"},
	{"store", cmd_store,
	 "ls [--limit N] [--after MARK] | stat ID... | rm ID... | verify [--anew]\n"
	 "                     | export ID FILE | import FILE...  [--domain NAME]\n"
	 "                     [--rule sha256|xxh3] [--socket PATH] [--json]",
	 "Looks into the store of the relay on this host, and changes it, as root or the\n"
	 "relay's user. The relay serves on meanwhile.\n\n"
	 "  ls                      each blob: identifier, rule, bytes, when it was stored, "
	 "domain\n"
	 "  stat ID...              what is known of a blob\n"
	 "  rm ID...                removes a blob; deliveries of it that are under way end\n"
	 "  verify                  reads every blob from the disk and computes its identifier\n"
	 "                          anew; what is damaged is put aside. Ends with 6 if anything\n"
	 "                          was. After an interruption it goes on where it was\n"
	 "  export ID FILE          writes a blob to a new file\n"
	 "  import FILE...          stores files, as if they had been uploaded\n\n"
	 "  --domain NAME           the domain; - is the open one (default: any; import: the open\n"
	 "                          one)\n"
	 "  --rule sha256|xxh3      what the identifier is (default: any; import: sha256)\n"
	 "  --limit N               ls: so many at most\n"
	 "  --after MARK            ls: go on where a limit ended it\n"
	 "  --anew                  verify: begin with the first\n"
	 "  --socket PATH           as for status\n"
	 "  --json                  print one object a blob, or a file\n"},
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
	      "confirm, 5 refused, 6 the relay has problems (status, store verify), 7 delivered,\n"
	      "but the relay did not keep it.\n",
	      to);
}

int main(int argc, char **argv)
{
	const struct command *c;
	char name[64];
	int status;

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
		status = c->run(argc - 1, argv + 1);
		status = output_end(argv + 1, status);
		interrupt_pass_on();
		return status;
	}
	fprintf(stderr, "oncewire: no command \"%s\"\nTry 'oncewire --help'.\n", argv[1]);
	return EXIT_USAGE;
}
