/* SPDX-License-Identifier: BSD-3-Clause
 * oncewire keygen
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include <sodium.h>

#include "client/cli/command.h"
#include "client/cli/keygen.h"

struct arguments {
	const struct kind *kind;
	const char *file;
	uint32_t id; /* 0: a random one */
	bool rotate, retire, show, json;
};

/* Returns an exit status. */
typedef int make_fn(char **argv, const struct arguments *a);

static make_fn make_set, make_secret, make_identity;

static const struct kind {
	const char *name;
	make_fn *make;
	const char *before, *after; /* the path of the file, in what to do with it */
} kinds[] = {
	{"master", make_secret,
	 "In the configuration of all relays of a group, each with a copy of the file:\n\n"
	 "  [relay]\n"
	 "  master_key_file = ",
	 ""},
	{"domain", make_set,
	 "In the configuration of the relays that serve it, each with a copy of the file:\n\n"
	 "  [domain NAME]\n"
	 "  key_file = ",
	 "\nMembers send and receive with a copy of the file and --domain-key FILE.\n"},
	{"pair", make_set,
	 "In the configuration of both relays, under [upstream] of the private and under\n"
	 "[peer NAME] of the central one, each with a copy of the file:\n\n"
	 "  key_file = ",
	 ""},
	{"content", make_secret,
	 "For members of the domain only, never for a relay; they encrypt with:\n\n"
	 "  --encrypt shared --content-key ",
	 ""},
	{"identity", make_identity, "", ""},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* ---- arguments ---- */

static int id_parse(char **argv, const char *text, uint32_t *id)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value == 0 ||
	    value > KEY_SET_ID_MAX)
		return usage_error(argv, "--id: \"%s\" is not a number from 1 to %d", text,
				   KEY_SET_ID_MAX);
	*id = (uint32_t)value;
	return 0;
}

/* Options that the kind does not have. Returns 0 or EXIT_USAGE. */
static int combination_check(char **argv, const struct arguments *a)
{
	bool set = a->kind->make == make_set;

	if ((a->rotate || a->retire || a->id != 0) && !set)
		return usage_error(argv, "--id, --rotate and --retire are for domain and pair");
	if (a->show && a->kind->make != make_identity)
		return usage_error(argv, "--show is for identity");
	if (a->rotate + a->retire + (a->id != 0) > 1)
		return usage_error(argv, "choose one of --id, --rotate and --retire");
	return 0;
}

/* Returns 0 or EXIT_USAGE. */
static int arguments_parse(int argc, char **argv, struct arguments *a)
{
	static const struct option options[] = {
		{"id", required_argument, NULL, 'i'},
		{"rotate", no_argument, NULL, 'r'},
		{"retire", no_argument, NULL, 'e'},
		{"show", no_argument, NULL, 's'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int option, ret = 0;
	size_t i;

	while (ret == 0 && (option = option_next(argc, argv, options)) != -1) {
		switch (option) {
		case 'i':
			ret = id_parse(argv, optarg, &a->id);
			break;
		case 'r':
			a->rotate = true;
			break;
		case 'e':
			a->retire = true;
			break;
		case 's':
			a->show = true;
			break;
		case 'j':
			a->json = true;
			break;
		default:
			return usage_error(argv, "the options are wrong");
		}
	}
	if (ret != 0)
		return ret;
	if (optind + 2 != argc)
		return usage_error(argv, "say which kind of key and in which file");
	for (i = 0; i < KINDS; i++)
		if (strcmp(argv[optind], kinds[i].name) == 0)
			a->kind = &kinds[i];
	a->file = argv[optind + 1];
	if (a->kind == NULL)
		return usage_error(argv,
				   "\"%s\" is not a kind of key; choose master, domain, pair, "
				   "content or identity",
				   argv[optind]);
	return combination_check(argv, a);
}

/* ---- files ---- */

/* These complain and return EXIT_FAILED. */
static int read_failure(char **argv, const struct arguments *a, int error)
{
	switch (error) {
	case -EPERM:
		complain(argv,
			 "%s may be read by others; chmod 600 it, and replace the key if "
			 "they did",
			 a->file);
		break;
	case -EINVAL:
		complain(argv, "%s holds no %s key; name a file that keygen %s made", a->file,
			 a->kind->name, a->kind->name);
		break;
	case -ENOENT:
		complain(argv, "there is no %s; make it first: oncewire keygen %s %s", a->file,
			 a->kind->name, a->file);
		break;
	default:
		complain(argv, "cannot read %s: %s", a->file, strerror(-error));
	}
	return EXIT_FAILED;
}

static int write_failure(char **argv, const struct arguments *a, int error)
{
	if (error != -EEXIST)
		complain(argv, "cannot write %s: %s", a->file, strerror(-error));
	else if (a->kind->make == make_set)
		complain(argv,
			 "%s exists and is not overwritten; add a generation with --rotate, "
			 "or name another file",
			 a->file);
	else
		complain(argv,
			 "%s exists and is not overwritten; name another file, or remove it "
			 "if nobody needs its key",
			 a->file);
	return EXIT_FAILED;
}

/* ---- what is printed ---- */

static const char *full_path(const struct arguments *a, char path[PATH_MAX])
{
	return realpath(a->file, path) != NULL ? path : a->file;
}

static json_t *json_begin(const struct arguments *a)
{
	char path[PATH_MAX];
	json_t *o = json_object();

	json_object_set_new(o, "kind", json_string(a->kind->name));
	json_object_set_new(o, "path", json_text(full_path(a, path)));
	return o;
}

static void advice_print(const struct arguments *a)
{
	char path[PATH_MAX];

	printf("\n%s%s\n%s", a->kind->before, full_path(a, path), a->kind->after);
}

static void set_json(const struct arguments *a, const struct key_set *s)
{
	json_t *o = json_begin(a), *list = json_array();

	for (uint32_t i = 0; i < s->count; i++)
		json_array_append_new(list, json_integer(s->key[i].generation));
	json_object_set_new(o, "id", json_integer(s->id));
	json_object_set_new(o, "generations", list); /* newest first */
	json_print(o);
}

static void set_print(const struct arguments *a, const struct key_set *s)
{
	char path[PATH_MAX];

	printf("%s: %s key %u.%u", full_path(a, path), a->kind->name, s->id, s->key[0].generation);
	for (uint32_t i = 1; i < s->count; i++)
		printf(", and still %u.%u", s->id, s->key[i].generation);
	putchar('\n');
	if (!a->rotate && !a->retire)
		advice_print(a);
	else if (a->retire)
		printf("\nGive it to the relays and reload them: they refuse older keys then.\n");
	else if (strcmp(a->kind->name, "pair") == 0)
		printf("\nGive it to both relays and reload them together; then --retire.\n");
	else
		printf("\nGive it to the relays and reload them, then to the members. When all "
		       "have it:\n--retire.\n");
}

/* ---- kinds ---- */

static int make_set(char **argv, const struct arguments *a)
{
	bool replace = a->rotate || a->retire;
	char text[KEY_SET_TEXT];
	struct key_set s;
	int ret;

	if (!replace)
		keygen_set(&s, a->id);
	else if ((ret = key_set_read(a->file, &s)) < 0)
		return read_failure(argv, a, ret);
	if (a->rotate)
		keygen_rotate(&s);
	if (a->retire)
		keygen_retire(&s);
	ret = key_file_write(a->file, key_set_text(&s, text), replace);
	sodium_memzero(text, sizeof(text));
	if (ret < 0)
		ret = write_failure(argv, a, ret);
	else if (a->json)
		set_json(a, &s);
	else
		set_print(a, &s);
	sodium_memzero(&s, sizeof(s));
	return ret;
}

static int make_secret(char **argv, const struct arguments *a)
{
	char text[KEYGEN_TEXT], path[PATH_MAX];
	int ret = key_file_write(a->file, keygen_secret(text), false);

	sodium_memzero(text, sizeof(text));
	if (ret < 0)
		return write_failure(argv, a, ret);
	if (a->json) {
		json_print(json_begin(a));
	} else {
		printf("%s: %s key\n", full_path(a, path), a->kind->name);
		advice_print(a);
	}
	return EXIT_DONE;
}

static int make_identity(char **argv, const struct arguments *a)
{
	uint8_t secret[KEYGEN_SIZE];
	char text[KEYGEN_TEXT];
	json_t *o;
	int ret;

	ret = a->show ? 0 : key_file_write(a->file, keygen_identity(text), false);
	sodium_memzero(text, sizeof(text));
	if (ret < 0)
		return write_failure(argv, a, ret);
	ret = key_file_read(a->file, secret, sizeof(secret));
	if (ret == 0)
		ret = keygen_public(secret, text);
	sodium_memzero(secret, sizeof(secret));
	if (ret < 0)
		return read_failure(argv, a, ret);
	if (a->json) {
		o = json_begin(a);
		json_object_set_new(o, "public_key", json_string(text));
		json_print(o);
	} else {
		printf("%s\n", text);
	}
	return EXIT_DONE;
}

int cmd_keygen(int argc, char **argv)
{
	struct arguments a = {0};
	int ret = arguments_parse(argc, argv, &a);

	if (ret != 0)
		return ret;
	if (sodium_init() < 0) {
		complain(argv, "no source of random numbers");
		return EXIT_FAILED;
	}
	ret = a.kind->make(argv, &a);
	return ret;
}
