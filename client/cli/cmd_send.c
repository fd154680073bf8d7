/* SPDX-License-Identifier: BSD-3-Clause
 * oncewire send
 */
#include <unistd.h>

#include "client/cli/command.h"
#include "client/cli/icons.h"
#include "client/cli/progress.h"
#include "wire/frame.h"

struct arguments {
	const char *file, *to;
	const char *domain_key; /* NULL: none */
	const char *recipient, *content_key;
	int encrypt; /* enum ow_encrypt, 0: not encrypted */
	int via;     /* enum ow_via, 0: not said */
	int rule;
	uint32_t timeout_ms, limit_ms;
	bool json;
};

/* Returns 0 or EXIT_USAGE. */
static int encrypt_check(char **argv, const struct arguments *a)
{
	if (a->encrypt == 0 && (a->recipient != NULL || a->content_key != NULL))
		return usage_error(argv, "say how to encrypt: --encrypt shared or random");
	if (a->encrypt != 0 && a->recipient == NULL)
		return usage_error(argv, "say who may read it: --recipient PUBKEY");
	if (a->encrypt == OW_ENCRYPT_RANDOM && a->content_key != NULL)
		return usage_error(argv, "--content-key is for --encrypt shared");
	return 0;
}

/* Returns 0 or EXIT_USAGE. */
static int arguments_parse(int argc, char **argv, struct arguments *a, struct client_config *c)
{
	static const struct option options[] = {
		{"to", required_argument, NULL, 't'},
		{"via", required_argument, NULL, 'v'},
		{"private", required_argument, NULL, 'p'},
		{"central", required_argument, NULL, 'c'},
		{"rule", required_argument, NULL, 'r'},
		{"timeout", required_argument, NULL, 's'},
		{"limit", required_argument, NULL, 'l'},
		{"domain-key", required_argument, NULL, 'd'},
		{"encrypt", required_argument, NULL, 'e'},
		{"recipient", required_argument, NULL, 'k'},
		{"content-key", required_argument, NULL, 'n'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int option;

	while ((option = option_next(argc, argv, options)) != -1) {
		switch (option) {
		case 't':
			if (option_address(argv, "--to", optarg, WIRE_TARGET_PORT) < 0)
				return EXIT_USAGE;
			a->to = optarg;
			break;
		case 'v':
			if (strcmp(optarg, "private") != 0 && strcmp(optarg, "central") != 0)
				return usage_error(argv, "--via: choose private or central");
			a->via = optarg[0] == 'p' ? OW_VIA_PRIVATE : OW_VIA_CENTRAL;
			break;
		case 'p':
			if (option_address(argv, "--private", optarg, WIRE_PORT) < 0)
				return EXIT_USAGE;
			snprintf(c->private_relay, sizeof(c->private_relay), "%s", optarg);
			break;
		case 'c':
			if (option_address(argv, "--central", optarg, WIRE_PORT) < 0)
				return EXIT_USAGE;
			snprintf(c->central_relay, sizeof(c->central_relay), "%s", optarg);
			break;
		case 'r':
			if (option_rule(argv, optarg, &a->rule) < 0)
				return EXIT_USAGE;
			break;
		case 's':
			if (option_seconds(argv, "--timeout", optarg, &a->timeout_ms) < 0)
				return EXIT_USAGE;
			break;
		case 'l':
			if (option_seconds(argv, "--limit", optarg, &a->limit_ms) < 0)
				return EXIT_USAGE;
			break;
		case 'd':
			a->domain_key = optarg;
			break;
		case 'e':
			if (strcmp(optarg, "shared") != 0 && strcmp(optarg, "random") != 0)
				return usage_error(argv, "--encrypt: choose shared or random");
			a->encrypt = optarg[0] == 's' ? OW_ENCRYPT_SHARED : OW_ENCRYPT_RANDOM;
			break;
		case 'k':
			a->recipient = optarg;
			break;
		case 'n':
			a->content_key = optarg;
			break;
		case 'j':
			a->json = true;
			break;
		default:
			return usage_error(argv, "the options are wrong");
		}
	}
	if (optind + 1 != argc)
		return usage_error(argv, "name one file");
	a->file = argv[optind];
	if (a->to == NULL)
		return usage_error(argv, "say where to: --to ADDR[:PORT]");
	return encrypt_check(argv, a);
}

/* Decides which relay. Returns 0 or an exit status. */
static int via_decide(char **argv, struct arguments *a, const struct client_config *c,
		      const char **relay)
{
	if (a->via == 0 && c->private_relay[0] == '\0' && c->central_relay[0] == '\0')
		return usage_error(argv, "no relay is configured: give --private or --central, or "
					 "put them in the configuration");
	if (a->via == 0) {
		if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
			return usage_error(argv, "say which relay to use: --via private or "
						 "--via central");
		a->via = icons_choose(c->private_relay, c->central_relay);
		if (a->via == 0) {
			complain(argv, "cancelled");
			return EXIT_FAILED;
		}
	}
	*relay = a->via == OW_VIA_PRIVATE ? c->private_relay : c->central_relay;
	if ((*relay)[0] != '\0')
		return 0;
	return usage_error(argv,
			   "the address of the %s relay is not known: give --%s ADDR[:PORT] "
			   "or put it in the configuration",
			   a->via == OW_VIA_PRIVATE ? "private" : "central",
			   a->via == OW_VIA_PRIVATE ? "private" : "central");
}

static void result_json(const struct ow_send_result *r, const char *message)
{
	const char *outcome = ow_outcome_name(r->outcome);
	json_t *o = json_object();

	json_object_set_new(o, "id", r->id[0] != '\0' ? json_string(r->id) : json_null());
	json_object_set_new(o, "bytes", json_integer((json_int_t)r->bytes));
	json_object_set_new(o, "outcome", outcome != NULL ? json_string(outcome) : json_null());
	json_object_set_new(o, "uploaded_bytes", json_integer((json_int_t)r->uploaded_bytes));
	json_object_set_new(o, "kept_bytes", json_integer((json_int_t)r->kept_bytes));
	json_object_set_new(o, "delivered", json_boolean(r->delivered));
	json_object_set_new(o, "stored", json_boolean(r->stored));
	json_object_set_new(o, "target_name",
			    r->target_name[0] != '\0' ? json_text(r->target_name) : json_null());
	json_object_set_new(o, "seconds", json_real(r->seconds));
	if (message[0] != '\0')
		json_object_set_new(o, "error", json_text(message));
	json_print(o);
}

static void result_text(const struct arguments *a, const struct ow_send_result *r)
{
	const char *name = r->target_name;

	printf("delivered %s to %s%s%s%s: %s, %llu bytes, %llu uploaded", a->file, a->to,
	       name[0] != '\0' ? " as \"" : "", name, name[0] != '\0' ? "\"" : "",
	       ow_outcome_name(r->outcome), (unsigned long long)r->bytes,
	       (unsigned long long)r->uploaded_bytes);
	if (r->kept_bytes > 0)
		printf(" (%llu before)", (unsigned long long)r->kept_bytes);
	printf(", %.3f s\n", r->seconds);
}

int cmd_send(int argc, char **argv)
{
	struct ow_send_options o = {0};
	struct ow_send_result result;
	struct client_config config;
	struct arguments a = {0};
	struct progress progress;
	char message[OW_MESSAGE_MAX];
	int ret;

	if (config_load(&config, stderr) < 0)
		return EXIT_FAILED;
	if (config.domain_key[0] != '\0')
		a.domain_key = config.domain_key;
	ret = arguments_parse(argc, argv, &a, &config);
	if (ret == 0)
		ret = via_decide(argv, &a, &config, &o.relay);
	if (ret != 0)
		return ret;
	o.via = a.via;
	o.target = a.to;
	o.path = a.file;
	o.domain_key_file = a.domain_key;
	o.encrypt = a.encrypt;
	o.recipient = a.recipient;
	o.content_key_file = a.content_key;
	if (o.content_key_file == NULL && config.content_key[0] != '\0')
		o.content_key_file = config.content_key;
	o.rule = a.rule;
	o.timeout_ms = a.timeout_ms;
	o.limit_ms = a.limit_ms;
	o.stop = stop_on_signals();
	if (progress_begin(&progress)) {
		o.progress = progress_show;
		o.ctx = &progress;
	}
	ret = ow_send(&o, &result, message);
	progress_end(&progress);
	if (a.json)
		result_json(&result, message);
	else if (ret == OW_OK)
		result_text(&a, &result);
	if (ret != OW_OK)
		complain(argv, "%s", message);
	if (result.renamed)
		complain(argv, "the target has this file under the name of an earlier transfer");
	return exit_status(ret);
}
