/* SPDX-License-Identifier: BSD-3-Clause
 * attack_pcap: writes a capture file of hostile packets, for bench/flood or
 * whatever replays one. What binds a replay to time is the epoch of its cookie.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <time.h>

#include <sodium.h>

#include "pktgen-scripts/attack.h"
#include "wire/frame.h"
#include "wire/keyfile.h"

#define EXIT_USAGE 2
#define COUNT_MAX 1000000

struct command_line {
	struct attack_context context;
	const struct attack *attack;
	const char *master_key, *out;
	unsigned long count;
};

static void usage(FILE *f)
{
	fputs("usage: attack_pcap --attack NAME --master-key FILE --relay ADDR[:PORT]\n"
	      "                   --relay-mac MAC --source ADDR:PORT --source-mac MAC\n"
	      "                   --count N --out FILE\n"
	      "\n"
	      "  --source ADDR:PORT  the attacker, or whom it pretends to be; IPv4\n"
	      "  --master-key FILE   of the relay's group, which replays are made with\n"
	      "\n",
	      f);
	for (const struct attack *a = attacks; a->name != NULL; a++)
		fprintf(f, "  %-9s %s\n", a->name, a->help);
}

static const struct attack *attack_find(const char *name)
{
	for (const struct attack *a = attacks; a->name != NULL; a++)
		if (strcmp(a->name, name) == 0)
			return a;
	return NULL;
}

static bool ip4_parse(const char *text, uint16_t port, struct addr *out)
{
	return addr_parse(text, port, out) == 0 && out->type == ADDR_IP4;
}

static bool count_parse(const char *text, unsigned long *out)
{
	char *end;

	*out = strtoul(text, &end, 10);
	return *text >= '1' && *text <= '9' && *end == '\0' && *out <= COUNT_MAX;
}

static bool option_take(struct command_line *cl, int opt, const char *text)
{
	switch (opt) {
	case 'a':
		cl->attack = attack_find(text);
		return cl->attack != NULL;
	case 'k':
		cl->master_key = text;
		return true;
	case 'r':
		return ip4_parse(text, WIRE_PORT, &cl->context.path.to);
	case 'R':
		return mac_parse(text, cl->context.path.to_mac) == 0;
	case 's':
		return ip4_parse(text, 0, &cl->context.path.from);
	case 'S':
		return mac_parse(text, cl->context.path.from_mac) == 0;
	case 'n':
		return count_parse(text, &cl->count);
	case 'o':
		cl->out = text;
		return true;
	default:
		return false;
	}
}

static bool command_line_parse(int argc, char **argv, struct command_line *cl)
{
	static const struct option options[] = {
		{"attack", required_argument, NULL, 'a'},
		{"master-key", required_argument, NULL, 'k'},
		{"relay", required_argument, NULL, 'r'},
		{"relay-mac", required_argument, NULL, 'R'},
		{"source", required_argument, NULL, 's'},
		{"source-mac", required_argument, NULL, 'S'},
		{"count", required_argument, NULL, 'n'},
		{"out", required_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	const struct packet_path *path = &cl->context.path;
	int opt;

	*cl = (struct command_line){.context = {.random = 1}};
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'h') {
			usage(stdout);
			exit(EXIT_SUCCESS);
		}
		if (option_take(cl, opt, optarg))
			continue;
		if (opt != '?')
			fprintf(stderr, "attack_pcap: %s: not valid here; see --help\n", optarg);
		return false;
	}
	return optind == argc && cl->attack && cl->master_key && cl->count > 0 && cl->out &&
	       path->to.type == ADDR_IP4 && path->from.type == ADDR_IP4;
}

static int packets_write(struct command_line *cl, uint64_t unix_seconds, FILE *f)
{
	uint8_t packet[PACKET_MAX];
	int ret = capture_begin(f);

	for (unsigned long i = 0; i < cl->count && ret == 0; i++) {
		size_t len = cl->attack->make(&cl->context, packet);

		ret = len > 0 ? capture_put(f, unix_seconds * 1000000 + i, packet, len) : -EINVAL;
	}
	return ret;
}

static int file_write(struct command_line *cl, uint64_t unix_seconds)
{
	FILE *f = fopen(cl->out, "we");
	int ret;

	if (f == NULL)
		return -errno;
	ret = packets_write(cl, unix_seconds, f);
	if (fclose(f) != 0 && ret == 0)
		ret = -errno;
	if (ret < 0)
		remove(cl->out);
	return ret;
}

static int failed(const char *what, int err)
{
	fprintf(stderr, "attack_pcap: %s: %s\n", what, strerror(-err));
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	uint64_t now = (uint64_t)time(NULL);
	uint8_t master[MASTER_KEY_SIZE];
	struct command_line cl;
	int ret;

	if (!command_line_parse(argc, argv, &cl)) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (sodium_init() < 0)
		return EXIT_FAILURE;
	ret = key_file_read(cl.master_key, master, sizeof(master));
	if (ret < 0)
		return failed(cl.master_key, ret);
	token_ring_derive(&cl.context.keys, master, now);
	sodium_memzero(master, sizeof(master));
	ret = file_write(&cl, now);
	return ret < 0 ? failed(cl.out, ret) : EXIT_SUCCESS;
}
