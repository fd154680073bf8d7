/* SPDX-License-Identifier: BSD-3-Clause
 * oncewire store
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/cli/store.h"
#include "wire/ident.h"

#define PAGE 256u /* blobs that are asked for at once */
#define QUESTION_MAX 512

/* ---- one blob ---- */

static const char *domain_text(json_t *blob)
{
	const char *name = json_string_value(json_object_get(blob, "domain"));

	return name != NULL ? name : "-";
}

static const char *text_of(json_t *blob, const char *key)
{
	const char *text = json_string_value(json_object_get(blob, key));

	return text != NULL ? text : "";
}

static long long number_of(json_t *blob, const char *key)
{
	return (long long)json_integer_value(json_object_get(blob, key));
}

static const char *time_text(json_int_t unix_seconds, char buf[32])
{
	const time_t t = (time_t)unix_seconds;
	struct tm tm;

	if (localtime_r(&t, &tm) == NULL || strftime(buf, 32, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		snprintf(buf, 32, "%lld", (long long)unix_seconds);
	return buf;
}

void store_question(char *question, size_t size, const char *verb, json_t *blob)
{
	snprintf(question, size, "store %s %s %s %s\n", verb, domain_text(blob),
		 text_of(blob, "rule"), text_of(blob, "id"));
}

/* All that have this identifier. NULL with *status set. */
static json_t *blobs_find(char **argv, struct admin_link *l, const struct store_options *o,
			  const char *id, int *status)
{
	char question[QUESTION_MAX];
	struct ident parsed;
	json_t *answer, *blobs;

	if (ident_from_hex(id, &parsed) < 0) {
		*status =
			usage_error(argv, "\"%s\" is not an identifier: 64 hexadecimal digits", id);
		return NULL;
	}
	snprintf(question, sizeof(question), "store stat %s %s %s\n",
		 o->domain != NULL ? o->domain : "*", o->rule != NULL ? o->rule : "*", id);
	answer = admin_answer(argv, l, STORE_SECONDS, question, status);
	if (answer == NULL)
		return NULL;
	blobs = json_incref(json_object_get(answer, "blobs"));
	json_decref(answer);
	if (json_array_size(blobs) > 0)
		return blobs;
	json_decref(blobs);
	complain(argv, "the store has no blob %s", id);
	*status = EXIT_FAILED;
	return NULL;
}

json_t *store_find(char **argv, struct admin_link *l, const struct store_options *o, const char *id,
		   int *status)
{
	json_t *blobs = blobs_find(argv, l, o, id, status), *blob;
	size_t i;

	if (blobs == NULL)
		return NULL;
	if (json_array_size(blobs) > 1) {
		complain(argv,
			 "there are several blobs %s; choose one with --domain and --rule:", id);
		json_array_foreach(blobs, i, blob)
			fprintf(stderr, "  --domain %s --rule %s\n", domain_text(blob),
				text_of(blob, "rule"));
		json_decref(blobs);
		*status = EXIT_USAGE;
		return NULL;
	}
	blob = json_incref(json_array_get(blobs, 0));
	json_decref(blobs);
	return blob;
}

/* ---- ls ---- */

static void listed_print(json_t *blob, bool json)
{
	char when[32];

	if (json) {
		json_print(json_incref(blob));
		return;
	}
	printf("%s  %-6s  %14lld  %s  %s\n", text_of(blob, "id"), text_of(blob, "rule"),
	       number_of(blob, "bytes"), time_text(number_of(blob, "stored"), when),
	       domain_text(blob));
}

/* A page that is full may be the last. */
static bool listed_more(char **argv, struct admin_link *l, const struct store_options *o,
			const char *next)
{
	char question[QUESTION_MAX];
	json_t *answer;
	int status;
	bool more;

	snprintf(question, sizeof(question), "store ls %s 1 %s\n",
		 o->domain != NULL ? o->domain : "*", next);
	answer = admin_answer(argv, l, STORE_SECONDS, question, &status);
	more = json_array_size(json_object_get(answer, "blobs")) > 0;
	json_decref(answer);
	return more;
}

static int store_ls(char **argv, struct admin_link *l, const struct store_options *o)
{
	char question[QUESTION_MAX], next[128];
	uint64_t left = o->limit > 0 ? o->limit : UINT64_MAX;
	json_t *answer, *blobs, *blob;
	int status = EXIT_DONE;
	size_t i;

	snprintf(next, sizeof(next), "%s", o->after != NULL ? o->after : "");
	if (!o->json && isatty(STDOUT_FILENO))
		printf("%-64s  %-6s  %14s  %-19s  %s\n", "IDENTIFIER", "RULE", "BYTES", "STORED",
		       "DOMAIN");
	do {
		snprintf(question, sizeof(question), "store ls %s %u %s\n",
			 o->domain != NULL ? o->domain : "*",
			 (unsigned int)(left < PAGE ? left : PAGE), next);
		answer = admin_answer(argv, l, STORE_SECONDS, question, &status);
		if (answer == NULL)
			return status;
		blobs = json_object_get(answer, "blobs");
		json_array_foreach(blobs, i, blob) listed_print(blob, o->json);
		left -= json_array_size(blobs);
		snprintf(next, sizeof(next), "%s", text_of(answer, "next"));
		json_decref(answer);
	} while (next[0] != '\0' && left > 0 && !ferror(stdout));
	if (next[0] != '\0' && listed_more(argv, l, o, next))
		complain(argv, "there are more: --after %s", next);
	return status;
}

/* ---- stat ---- */

static void stat_print(json_t *blob, bool json)
{
	const json_int_t expires = number_of(blob, "expires");
	char when[32];

	if (json) {
		json_print(json_incref(blob));
		return;
	}
	printf("identifier  %s\n", text_of(blob, "id"));
	printf("rule        %s\n", text_of(blob, "rule"));
	printf("domain      %s\n", domain_text(blob));
	printf("bytes       %lld\n", number_of(blob, "bytes"));
	printf("stored      %s\n", time_text(number_of(blob, "stored"), when));
	printf("expires     %s\n", expires > 0 ? time_text(expires, when) : "never");
	printf("in memory   %lld of %lld pieces\n", number_of(blob, "pieces_in_memory"),
	       number_of(blob, "pieces"));
}

static int store_stat(char **argv, struct admin_link *l, const struct store_options *o,
		      const char *id)
{
	int status;
	json_t *blobs = blobs_find(argv, l, o, id, &status), *blob;
	size_t i;

	if (blobs == NULL)
		return status;
	json_array_foreach(blobs, i, blob)
	{
		if (i > 0 && !o->json)
			putchar('\n');
		stat_print(blob, o->json);
	}
	json_decref(blobs);
	return status;
}

/* ---- rm ---- */

static int store_rm(char **argv, struct admin_link *l, const struct store_options *o,
		    const char *id)
{
	char question[QUESTION_MAX];
	int status;
	json_t *blob = store_find(argv, l, o, id, &status), *answer;

	if (blob == NULL)
		return status;
	store_question(question, sizeof(question), "rm", blob);
	json_decref(blob);
	answer = admin_answer(argv, l, STORE_SECONDS, question, &status);
	if (answer == NULL)
		return status;
	blob = json_object_get(answer, "removed");
	if (o->json)
		json_print(json_incref(blob));
	else
		printf("removed %s, %lld bytes\n", text_of(blob, "id"), number_of(blob, "bytes"));
	json_decref(answer);
	return status;
}

/* ---- the command ---- */

enum store_verb { VERB_LS, VERB_STAT, VERB_RM, VERB_VERIFY, VERB_EXPORT, VERB_IMPORT, VERBS };

static const struct {
	const char *name;
	int least, most; /* words behind it */
	const char *wants;
} verbs[VERBS] = {
	[VERB_LS] = {"ls", 0, 0, "no word"},
	[VERB_STAT] = {"stat", 1, INT_MAX, "one identifier or more"},
	[VERB_RM] = {"rm", 1, INT_MAX, "one identifier or more"},
	[VERB_VERIFY] = {"verify", 0, 0, "no word"},
	[VERB_EXPORT] = {"export", 2, 2, "an identifier and a file"},
	[VERB_IMPORT] = {"import", 1, INT_MAX, "one file or more"},
};

/* Of several the worst. */
static int
each(char **argv, int count, char **words, struct admin_link *l, const struct store_options *o,
     int (*fn)(char **argv, struct admin_link *l, const struct store_options *o, const char *word))
{
	int status = EXIT_DONE;

	for (int i = 0; i < count; i++) {
		int ret = fn(argv, l, o, words[i]);

		status = ret != EXIT_DONE ? ret : status;
	}
	return status;
}

static int store_run(char **argv, enum store_verb verb, int count, char **words,
		     struct admin_link *l, const struct store_options *o)
{
	switch (verb) {
	case VERB_LS:
		return store_ls(argv, l, o);
	case VERB_STAT:
		return each(argv, count, words, l, o, store_stat);
	case VERB_RM:
		return each(argv, count, words, l, o, store_rm);
	case VERB_VERIFY:
		return store_verify(argv, l, o);
	case VERB_EXPORT:
		return store_export(argv, l, o, words[0], words[1]);
	default:
		return each(argv, count, words, l, o, store_import);
	}
}

/* It becomes a word of a line. */
static int word_option(char **argv, const char *option, const char *text, const char **out)
{
	if (text[0] == '\0' || strlen(text) > 127 || strpbrk(text, " \t\r\n*") != NULL) {
		usage_error(argv, "%s: \"%s\" cannot be right", option, text);
		return -1;
	}
	*out = text;
	return 0;
}

static int limit_option(char **argv, const char *text, uint64_t *limit)
{
	char *end;

	errno = 0;
	*limit = strtoull(text, &end, 10);
	if (errno == 0 && end != text && *end == '\0' && text[0] != '-' && *limit > 0)
		return 0;
	usage_error(argv, "--limit: \"%s\" is not a number above 0", text);
	return -1;
}

int cmd_store(int argc, char **argv)
{
	static const struct option options[] = {
		{"socket", required_argument, NULL, 's'},
		{"domain", required_argument, NULL, 'd'},
		{"rule", required_argument, NULL, 'r'},
		{"after", required_argument, NULL, 'a'},
		{"limit", required_argument, NULL, 'l'},
		{"anew", no_argument, NULL, 'n'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	struct store_options o = {0};
	const char *socket = NULL;
	struct admin_link relay;
	int option, rule, wrong = 0, verb = 0, status;

	while ((option = option_next(argc, argv, options)) != -1) {
		switch (option) {
		case 's':
			socket = optarg;
			break;
		case 'd':
			wrong |= word_option(argv, "--domain", optarg, &o.domain);
			break;
		case 'r':
			wrong |= option_rule(argv, optarg, &rule);
			o.rule = optarg;
			break;
		case 'a':
			wrong |= word_option(argv, "--after", optarg, &o.after);
			break;
		case 'l':
			wrong |= limit_option(argv, optarg, &o.limit);
			break;
		case 'n':
			o.anew = true;
			break;
		case 'j':
			o.json = true;
			break;
		default:
			return usage_error(argv, "the options are wrong");
		}
		if (wrong != 0)
			return EXIT_USAGE;
	}
	if (optind == argc)
		return usage_error(argv, "say what: ls, stat, rm, verify, export or import");
	while (verb < VERBS && strcmp(verbs[verb].name, argv[optind]) != 0)
		verb++;
	if (verb == VERBS)
		return usage_error(argv, "\"%s\" is not ls, stat, rm, verify, export or import",
				   argv[optind]);
	optind++;
	if (argc - optind < verbs[verb].least || argc - optind > verbs[verb].most)
		return usage_error(argv, "%s wants %s", verbs[verb].name, verbs[verb].wants);
	status = admin_find(argv, socket, &relay);
	if (status != EXIT_DONE)
		return status;
	return store_run(argv, (enum store_verb)verb, argc - optind, argv + optind, &relay, &o);
}
