/* SPDX-License-Identifier: BSD-3-Clause
 * oncewire recv
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "client/cli/command.h"
#include "client/cli/progress.h"
#include "wire/frame.h"

#define RELAYS_MAX 64

struct arguments {
	struct ow_receive_options options;
	const char *relays[RELAYS_MAX];
	bool json;
	char **argv;
	struct progress progress;
};

static int count_parse(char **argv, const char *text, uint32_t *count)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value == 0 ||
	    value > UINT32_MAX) {
		usage_error(argv, "--count: \"%s\" is not a number above 0", text);
		return -1;
	}
	*count = (uint32_t)value;
	return 0;
}

static int relay_add(char **argv, struct arguments *a, const char *text)
{
	if (option_address(argv, "--relay", text, WIRE_PORT) < 0)
		return -1;
	if (a->options.relay_count == RELAYS_MAX) {
		usage_error(argv, "--relay: at most %d", RELAYS_MAX);
		return -1;
	}
	a->relays[a->options.relay_count++] = text;
	return 0;
}

/* Returns 0 or EXIT_USAGE. */
static int arguments_parse(int argc, char **argv, struct arguments *a)
{
	static const struct option options[] = {
		{"out", required_argument, NULL, 'o'},
		{"listen", required_argument, NULL, 'l'},
		{"relay", required_argument, NULL, 'r'},
		{"count", required_argument, NULL, 'c'},
		{"timeout", required_argument, NULL, 's'},
		{"domain-key", required_argument, NULL, 'd'},
		{"identity", required_argument, NULL, 'i'},
		{"private-files", no_argument, NULL, 'p'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int option, ret = 0;

	while (ret == 0 && (option = option_next(argc, argv, options)) != -1) {
		switch (option) {
		case 'd':
			a->options.domain_key_file = optarg;
			break;
		case 'o':
			a->options.directory = optarg;
			break;
		case 'l':
			ret = option_address(argv, "--listen", optarg, WIRE_TARGET_PORT);
			a->options.listen = optarg;
			break;
		case 'r':
			ret = relay_add(argv, a, optarg);
			break;
		case 'c':
			ret = count_parse(argv, optarg, &a->options.count);
			break;
		case 's':
			ret = option_seconds(argv, "--timeout", optarg, &a->options.timeout_ms);
			break;
		case 'i':
			a->options.identity_file = optarg;
			break;
		case 'p':
			a->options.private_files = true;
			break;
		case 'j':
			a->json = true;
			break;
		default:
			return usage_error(argv, "the options are wrong");
		}
	}
	if (ret < 0)
		return EXIT_USAGE;
	if (optind != argc)
		return usage_error(argv, "\"%s\" is not an option", argv[optind]);
	if (a->options.directory == NULL)
		return usage_error(argv, "say where files go: --out DIR");
	a->options.relays = a->relays;
	return 0;
}

static void file_print(void *ctx, const struct ow_file *f)
{
	struct arguments *a = ctx;
	json_t *o;

	progress_end(&a->progress);
	if (!a->json) {
		printf("%s  %llu bytes, %sverified, from relay %s\n", f->path,
		       (unsigned long long)f->bytes, f->encrypted ? "decrypted, " : "", f->relay);
		fflush(stdout);
		return;
	}
	o = json_object();
	json_object_set_new(o, "id", json_string(f->id));
	json_object_set_new(o, "bytes", json_integer((json_int_t)f->bytes));
	json_object_set_new(o, "path", json_text(f->path));
	json_object_set_new(o, "relay", json_string(f->relay));
	json_object_set_new(o, "verified", json_true());
	json_object_set_new(o, "kept_bytes", json_integer((json_int_t)f->kept_bytes));
	json_object_set_new(o, "encrypted", json_boolean(f->encrypted));
	json_print(o);
}

/* Warnings and notices. */
static void line_print(void *ctx, const char *text)
{
	struct arguments *a = ctx;

	progress_end(&a->progress);
	complain(a->argv, "%s", text);
}

static void progress_print(void *ctx, enum ow_phase phase, uint64_t done, uint64_t total)
{
	struct arguments *a = ctx;

	progress_show(&a->progress, phase, done, total);
}

/* Files that arrive at once are open at once. */
static void descriptors_allow(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

int cmd_recv(int argc, char **argv)
{
	struct arguments a = {.argv = argv};
	struct ow_receive_options *o = &a.options;
	struct client_config config;
	char message[OW_MESSAGE_MAX];
	int ret;

	if (config_load(&config, stderr) < 0)
		return EXIT_FAILED;
	if (config.listen[0] != '\0')
		o->listen = config.listen;
	if (config.domain_key[0] != '\0')
		o->domain_key_file = config.domain_key;
	if (config.identity[0] != '\0')
		o->identity_file = config.identity;
	o->private_files = strcmp(config.private_files, "yes") == 0;
	ret = arguments_parse(argc, argv, &a);
	if (ret != 0)
		return ret;
	o->file = file_print;
	o->warning = o->notice = line_print;
	if (progress_begin(&a.progress))
		o->progress = progress_print;
	o->ctx = &a;
	o->stop = stop_on_signals();
	descriptors_allow();
	/* Who reads our output may go; the files still matter. */
	signal(SIGPIPE, SIG_IGN);
	ret = ow_receive(o, message);
	progress_end(&a.progress);
	/* Being told when to end is a failure only if a number was asked for. */
	if ((ret == OW_STOPPED || ret == OW_TIMEOUT) && o->count == 0)
		return EXIT_DONE;
	if (ret != OW_OK)
		complain(argv, "%s", message);
	return exit_status(ret);
}
