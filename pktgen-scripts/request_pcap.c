/* SPDX-License-Identifier: BSD-3-Clause
 * request_pcap: writes a capture file of requests to a relay, for whatever
 * replays one: `port = vdev:net_pcap0,rx_pcap=FILE,...`, Pktgen-DPDK's
 * `-s 0:FILE`, or testpmd on net_pcap as a yardstick beside it.
 *
 * A replay can react to nothing, so every request stands alone: its cookie, echo
 * and ticket are minted here from the group's master key, as the relay itself
 * would have. What binds them to time is --time (default: now), and a relay
 * takes them as long as its own clock is near:
 *
 *   HELLO   always (it carries no token)
 *   SEND    for one to two epochs of 300 s
 *   PULL    for 8 s, which is how long its echo lives; a bench that replays
 *           PULLs for longer pins the relay's clock to --time
 *
 * Blobs are those of a file (--ids: a line each, identifier and length), or
 * generated: blob i of --content-seed is the byte stream of bench/content.h,
 * so a loader can make the same ones. With --hit-share below 1 the rest of the
 * requests name identifiers that no blob has. --zipf 0.99 is YCSB's skew; the
 * catalogue's first entry is then the most popular.
 *
 * The same arguments and --time give the same file, byte for byte. One packet
 * a microsecond is written into the timestamps; replays go by their own rate.
 *
 *   request_pcap --master-key central.key --relay 10.0.0.2 \
 *     --relay-mac 02:00:00:00:00:02 --source 10.0.1.1:40000 --sources 64 \
 *     --source-mac 02:00:00:00:00:01 --generate 10000 --bytes 1152 \
 *     --verb pull --zipf 0.99 --count 1000000 --out pull.pcap
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include <sodium.h>

#include "bench/content.h"
#include "pktgen-scripts/packet.h"
#include "pktgen-scripts/request.h"
#include "wire/keyfile.h"

#define EXIT_USAGE 2
#define COUNT_MAX 1e9

enum option_id {
	OPT_MASTER_KEY = 1,
	OPT_DOMAIN,
	OPT_RELAY,
	OPT_RELAY_MAC,
	OPT_SOURCE,
	OPT_SOURCES,
	OPT_SOURCE_MAC,
	OPT_TARGET,
	OPT_IDS,
	OPT_GENERATE,
	OPT_BYTES,
	OPT_CONTENT_SEED,
	OPT_RULE,
	OPT_VERB,
	OPT_CHUNKS,
	OPT_HIT_SHARE,
	OPT_ZIPF,
	OPT_COUNT,
	OPT_TIME,
	OPT_SEED,
	OPT_OUT,
	OPT_HELP,
};

static const struct {
	const char *name, *argument, *help;
} options_help[] = {
	[OPT_MASTER_KEY] = {"master-key", "FILE", "the group's key, 64 hex digits, mode 0600"},
	[OPT_DOMAIN] = {"domain", "FILE", "key file of the domain that the sources are of (none)"},
	[OPT_RELAY] = {"relay", "ADDR[:PORT]", "where the relay listens (IPv4)"},
	[OPT_RELAY_MAC] = {"relay-mac", "MAC", "its Ethernet address (all zeros)"},
	[OPT_SOURCE] = {"source", "ADDR:PORT", "who asks"},
	[OPT_SOURCES] = {"sources", "N", "that many hosts from there on, in turn (1)"},
	[OPT_SOURCE_MAC] = {"source-mac", "MAC", "the Ethernet address of all of them (all zeros)"},
	[OPT_TARGET] = {"target", "ADDR:PORT", "of SENDs (each source itself)"},
	[OPT_IDS] = {"ids", "FILE", "the blobs: a line each, IDENTIFIER BYTES"},
	[OPT_GENERATE] = {"generate", "N", "or: N blobs as bench/content.h makes them"},
	[OPT_BYTES] = {"bytes", "N", "length of each generated blob (1152)"},
	[OPT_CONTENT_SEED] = {"content-seed", "N", "of the generated blobs (1)"},
	[OPT_RULE] = {"rule", "sha256|xxh3", "of the identifiers (sha256)"},
	[OPT_VERB] = {"verb", "hello|send|pull", "what is asked"},
	[OPT_CHUNKS] = {"chunks", "N", "that one PULL asks for, 1 to 32 (1)"},
	[OPT_HIT_SHARE] = {"hit-share", "X", "0 to 1: share of requests for these blobs (1)"},
	[OPT_ZIPF] = {"zipf", "X", "skew of their popularity (0: uniform)"},
	[OPT_COUNT] = {"count", "N", "requests"},
	[OPT_TIME] = {"time", "SECONDS", "Unix time the tokens are minted at (now)"},
	[OPT_SEED] = {"seed", "N", "of everything random (1)"},
	[OPT_OUT] = {"out", "FILE", "the capture file"},
	[OPT_HELP] = {"help", NULL, "this text"},
};
#define OPTIONS (sizeof(options_help) / sizeof(options_help[0]))

struct command_line {
	struct request_context context;
	struct packet_path path; /* from: the first source */
	request_maker make;
	const char *master_key, *domain, *ids, *out;
	uint64_t sources, generate, bytes, content_seed, count;
	double hit_share, zipf;
};

static void usage(FILE *f)
{
	fputs("usage: request_pcap --master-key FILE --relay ADDR --source ADDR:PORT --verb VERB\n"
	      "                    (--ids FILE | --generate N) --count N --out FILE "
	      "[OPTION...]\n\n",
	      f);
	for (size_t i = 1; i < OPTIONS; i++) {
		const char *argument = options_help[i].argument;

		fprintf(f, "  --%s %-*s %s\n", options_help[i].name,
			(int)(26 - strlen(options_help[i].name)), argument ? argument : "",
			options_help[i].help);
	}
}

/* ---- command line ---- */

static bool real_parse(const char *text, double max, double *out)
{
	char *end;

	*out = strtod(text, &end);
	return end != text && *end == '\0' && *out >= 0 && *out <= max;
}

static bool whole_parse(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	return end != text && *end == '\0' && *text != '-' && errno == 0 && *out >= min &&
	       *out <= max;
}

static bool ip4_parse(const char *text, uint16_t port, struct addr *out)
{
	return addr_parse(text, port, out) == 0 && out->type == ADDR_IP4;
}

static bool option_take(struct command_line *cl, int id, const char *text)
{
	uint64_t n = 0;

	switch (id) {
	case OPT_MASTER_KEY:
		cl->master_key = text;
		return true;
	case OPT_DOMAIN:
		cl->domain = text;
		return true;
	case OPT_RELAY:
		return ip4_parse(text, WIRE_PORT, &cl->path.to);
	case OPT_RELAY_MAC:
		return mac_parse(text, cl->path.to_mac) == 0;
	case OPT_SOURCE:
		return ip4_parse(text, 0, &cl->path.from);
	case OPT_SOURCES:
		return whole_parse(text, 1, UINT32_MAX, &cl->sources);
	case OPT_SOURCE_MAC:
		return mac_parse(text, cl->path.from_mac) == 0;
	case OPT_TARGET:
		return addr_parse(text, 0, &cl->context.target) == 0;
	case OPT_IDS:
		cl->ids = text;
		return true;
	case OPT_GENERATE:
		return whole_parse(text, 1, (uint64_t)COUNT_MAX, &cl->generate);
	case OPT_BYTES:
		return whole_parse(text, 1, BLOB_MAX_LENGTH, &cl->bytes);
	case OPT_CONTENT_SEED:
		return whole_parse(text, 0, UINT64_MAX, &cl->content_seed);
	case OPT_RULE:
		cl->context.rule = rule_from_name(text);
		return cl->context.rule != 0;
	case OPT_VERB:
		cl->make = request_maker_find(text);
		return cl->make != NULL;
	case OPT_CHUNKS:
		if (!whole_parse(text, 1, PULL_MAX_CHUNKS, &n))
			return false;
		cl->context.chunks = (unsigned int)n;
		return true;
	case OPT_HIT_SHARE:
		return real_parse(text, 1, &cl->hit_share);
	case OPT_ZIPF:
		return real_parse(text, 10, &cl->zipf);
	case OPT_COUNT:
		return whole_parse(text, 1, (uint64_t)COUNT_MAX, &cl->count);
	case OPT_TIME:
		return whole_parse(text, 0, UINT32_MAX - DEADLINE_MAX, &cl->context.unix_seconds);
	case OPT_SEED:
		return whole_parse(text, 0, UINT64_MAX, &cl->context.seed);
	case OPT_OUT:
		cl->out = text;
		return true;
	default:
		return false;
	}
}

static bool command_line_complete(struct command_line *cl)
{
	cl->context.relay = cl->path.to;
	return cl->master_key && cl->out && cl->make && cl->count && cl->path.from.type &&
	       cl->path.to.type && !cl->ids != !cl->generate;
}

static bool command_line_parse(int argc, char **argv, struct command_line *cl)
{
	struct option options[OPTIONS] = {0};
	int id;

	*cl = (struct command_line){
		.context = {.unix_seconds = (uint64_t)time(NULL),
			    .seed = 1,
			    .rule = RULE_SHA256,
			    .chunks = 1},
		.sources = 1,
		.bytes = CHUNK_SIZE,
		.content_seed = 1,
		.hit_share = 1,
	};
	for (size_t i = 1; i < OPTIONS; i++)
		options[i - 1] = (struct option){
			.name = options_help[i].name,
			.has_arg = options_help[i].argument ? required_argument : no_argument,
			.val = (int)i,
		};
	while ((id = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (id == OPT_HELP) {
			usage(stdout);
			exit(EXIT_SUCCESS);
		}
		if (option_take(cl, id, optarg))
			continue;
		if (id != '?')
			fprintf(stderr, "request_pcap: --%s %s: not %s, or out of range\n",
				options_help[id].name, optarg, options_help[id].argument);
		return false;
	}
	if (optind == argc && command_line_complete(cl))
		return true;
	usage(stderr);
	return false;
}

/* ---- the file ---- */

/* 53 random bits as a fraction below 1. */
static double fraction(uint64_t *state)
{
	return (double)(mix_next(state) >> 11) * 0x1p-53;
}

static struct addr source_at(const struct addr *first, uint64_t i)
{
	struct addr a = *first;
	be32 ip;

	memcpy(&ip, first->ip, sizeof(ip));
	ip = put32(get32(ip) + (uint32_t)i);
	memcpy(a.ip, &ip, sizeof(ip));
	return a;
}

/* As long as the blob it stands for, under an identifier that nothing has. */
static struct catalogue_entry entry_missing(const struct catalogue_entry *e, uint64_t *state)
{
	struct catalogue_entry missing = {.length = e->length};

	for (size_t i = 0; i < IDENT_SIZE; i += sizeof(uint64_t)) {
		uint64_t word = mix_next(state);

		memcpy(missing.id.b + i, &word, sizeof(word));
	}
	return missing;
}

static int requests_write(const struct command_line *cl, const struct catalogue *catalogue, FILE *f)
{
	uint8_t frame[WIRE_MAX_FRAME], packet[PACKET_MAX];
	struct packet_path path = cl->path;
	uint64_t state = cl->context.seed;
	int ret = capture_begin(f);

	for (uint64_t i = 0; i < cl->count && ret == 0; i++) {
		struct catalogue_entry blob = *catalogue_pick(catalogue, fraction(&state));
		struct request r = {.number = i, .source = &path.from, .blob = &blob};
		size_t len;

		path.from = source_at(&cl->path.from, i % cl->sources);
		if (fraction(&state) >= cl->hit_share)
			blob = entry_missing(&blob, &state);
		r.random = mix_next(&state);
		len = cl->make(&cl->context, &r, frame);
		len = request_sign(&cl->context, r.source, frame, len);
		len = len ? packet_build(packet, &path, frame, len) : 0;
		ret = len ? capture_put(f, cl->context.unix_seconds * 1000000 + i, packet, len)
			  : -EINVAL;
	}
	return ret;
}

static int catalogue_make(const struct command_line *cl, struct catalogue *c)
{
	int ret = cl->ids ? catalogue_read(c, cl->ids)
			  : catalogue_generate(c, cl->generate, cl->content_seed, cl->context.rule,
					       cl->bytes);

	if (ret == 0 && c->count == 0)
		ret = -ENODATA;
	return ret == 0 ? catalogue_weigh(c, cl->zipf) : ret;
}

static int file_write(const struct command_line *cl, const struct catalogue *catalogue)
{
	FILE *f = fopen(cl->out, "we");
	int ret;

	if (f == NULL)
		return -errno;
	ret = requests_write(cl, catalogue, f);
	if (fclose(f) != 0 && ret == 0)
		ret = -errno;
	if (ret < 0)
		remove(cl->out);
	return ret;
}

static int failed(const char *what, int err)
{
	fprintf(stderr, "request_pcap: %s: %s\n", what, strerror(-err));
	return EXIT_FAILURE;
}

static int master_read(struct command_line *cl)
{
	uint8_t master[MASTER_KEY_SIZE];
	int ret = key_file_read(cl->master_key, master, sizeof(master));

	if (ret == 0)
		token_ring_derive(&cl->context.keys, master, cl->context.unix_seconds);
	sodium_memzero(master, sizeof(master));
	return ret;
}

static int domain_read(struct command_line *cl)
{
	struct key_set set;
	int ret = key_set_read(cl->domain, &set);

	if (ret == 0) {
		cl->context.key = key_set_field(&set, 0);
		domain_keys_derive(&cl->context.domain, set.key[0].key);
	}
	sodium_memzero(&set, sizeof(set));
	return ret;
}

int main(int argc, char **argv)
{
	struct catalogue catalogue;
	struct command_line cl;
	int ret;

	if (!command_line_parse(argc, argv, &cl))
		return EXIT_USAGE;
	if (sodium_init() < 0)
		return EXIT_FAILURE;
	ret = master_read(&cl);
	if (ret < 0)
		return failed(cl.master_key, ret);
	ret = cl.domain != NULL ? domain_read(&cl) : 0;
	if (ret < 0)
		return failed(cl.domain, ret);
	ret = catalogue_make(&cl, &catalogue);
	if (ret < 0) {
		failed(cl.ids ? cl.ids : "blobs", ret);
	} else {
		ret = file_write(&cl, &catalogue);
		if (ret < 0)
			failed(cl.out, ret);
	}
	catalogue_free(&catalogue);
	return ret < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
