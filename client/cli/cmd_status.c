/* SPDX-License-Identifier: BSD-3-Clause
 * oncewire status: asks the daemon on this host, over its admin socket.
 */
#include <stdlib.h>
#include <string.h>

#include "client/cli/admin.h"
#include "client/cli/command.h"

#define ANSWER_SECONDS 5

static void value_print(const char *prefix, const char *key, json_t *value)
{
	char name[128], *text;

	snprintf(name, sizeof(name), "%s%s", prefix, key);
	if (json_is_string(value)) {
		printf("%-32s %20s\n", name, json_string_value(value));
	} else if (json_is_integer(value)) {
		printf("%-32s %20lld\n", name, (long long)json_integer_value(value));
	} else {
		text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
		printf("%-32s %20s\n", name, text != NULL ? text : "");
		free(text);
	}
}

/* Objects within: "drops.short"; of their numbers only those that are not 0. */
static void status_print(const char *prefix, json_t *object)
{
	char inner[128];
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		if (json_is_object(value)) {
			snprintf(inner, sizeof(inner), "%s%s.", prefix, key);
			status_print(inner, value);
		} else if (prefix[0] == '\0' || !json_is_integer(value) ||
			   json_integer_value(value) != 0) {
			value_print(prefix, key, value);
		}
	}
}

/* What each number of a status means. */
static void metrics_print(json_t *answer)
{
	json_t *metric;
	size_t i;

	json_array_foreach(json_object_get(answer, "metrics"), i, metric)
	{
		const char *name, *type, *help, *label = NULL;
		char full[128];

		if (json_unpack(metric, "{s:s, s:s, s:s, s?s}", "name", &name, "type", &type,
				"help", &help, "label", &label) < 0)
			continue;
		if (label != NULL)
			snprintf(full, sizeof(full), "%s{%s}", name, label);
		else
			snprintf(full, sizeof(full), "%s", name);
		printf("%-32s %-10s %s\n", full, type, help);
	}
}

/* Says what is wrong with the relay; the exit status for a monitor. */
static int health_judge(char **argv, json_t *status)
{
	json_t *health = json_object_get(status, "health"), *problem;
	size_t i;

	if (!json_is_false(json_object_get(health, "ok")))
		return EXIT_DONE;
	json_array_foreach(json_object_get(health, "problems"), i, problem)
		complain(argv, "problem: %s", json_string_value(problem));
	return EXIT_UNWELL;
}

int cmd_status(int argc, char **argv)
{
	static const struct option options[] = {
		{"socket", required_argument, NULL, 's'},
		{"json", no_argument, NULL, 'j'},
		{"describe", no_argument, NULL, 'd'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	const char *named = NULL;
	struct admin_link relay;
	bool json = false, describe = false;
	json_t *status;
	int option, failure, end = EXIT_DONE;

	while ((option = option_next(argc, argv, options)) != -1) {
		if (option == 's')
			named = optarg;
		else if (option == 'j')
			json = true;
		else if (option == 'd')
			describe = true;
		else
			return usage_error(argv, "the options are wrong");
	}
	if (optind != argc)
		return usage_error(argv, "\"%s\" is not an option", argv[optind]);
	failure = admin_find(argv, named, &relay);
	if (failure != EXIT_DONE)
		return failure;
	status = admin_answer(argv, &relay, ANSWER_SECONDS, describe ? "metrics\n" : "status\n",
			      &failure);
	if (status == NULL)
		return failure;
	if (!describe)
		end = health_judge(argv, status);
	if (json) {
		json_print(status);
		return end;
	}
	if (describe)
		metrics_print(status);
	else
		status_print("", status);
	json_decref(status);
	return end;
}
