/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <ini.h>

#include "client/cli/config.h"
#include "wire/frame.h"

#define SECTION "oncewire"

enum value_type { VALUE_RELAY, VALUE_LISTEN, VALUE_PATH, VALUE_YES };

static const struct keyword {
	const char *name;
	enum value_type type;
	size_t offset, size;
} keywords[] = {
#define FIELD(field) \
	offsetof(struct client_config, field), sizeof(((struct client_config *)0)->field)
	{"private", VALUE_RELAY, FIELD(private_relay)},
	{"central", VALUE_RELAY, FIELD(central_relay)},
	{"listen", VALUE_LISTEN, FIELD(listen)},
	{"domain_key", VALUE_PATH, FIELD(domain_key)},
	{"content_key", VALUE_PATH, FIELD(content_key)},
	{"identity", VALUE_PATH, FIELD(identity)},
	{"admin", VALUE_PATH, FIELD(admin)},
	{"private_files", VALUE_YES, FIELD(private_files)},
#undef FIELD
};
#define KEYWORDS (sizeof(keywords) / sizeof(keywords[0]))

struct reading {
	struct client_config *config;
	const char *path;
	FILE *file, *errors;
	unsigned line;
	unsigned seen[KEYWORDS]; /* the line a key was on */
	bool line_ended;	 /* the last piece read was the end of a line */
	bool mistaken;
};

/* libinih does not tell a handler the line, so lines are counted as they are read. */
static char *line_read(char *buf, int size, void *stream)
{
	struct reading *r = stream;

	if (fgets(buf, size, r->file) == NULL)
		return NULL;
	if (r->line_ended)
		r->line++;
	r->line_ended = strchr(buf, '\n') != NULL;
	return buf;
}

static const char *value_problem(const struct keyword *k, const char *value)
{
	if (strlen(value) >= k->size)
		return "is too long; shorten it";
	switch (k->type) {
	case VALUE_RELAY:
		if (!hosts_text_valid(value, WIRE_PORT))
			return "is neither an address nor a host name; write it as "
			       "192.0.2.1:4870, [2001:db8::1]:4870 or host.example";
		break;
	case VALUE_LISTEN:
		if (!hosts_text_valid(value, WIRE_TARGET_PORT))
			return "is not an address; write it as 192.0.2.1:4871 or [::]:4871";
		break;
	case VALUE_PATH:
		if (value[0] != '/')
			return "is not a full path; begin it with /";
		break;
	case VALUE_YES:
		if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
			return "is neither yes nor no";
		break;
	}
	return NULL;
}

static int mistake(struct reading *r, const char *section, const char *key, const char *problem)
{
	fprintf(r->errors, "%s:%u: [%s] %s: %s\n", r->path, r->line, section, key, problem);
	r->mistaken = true;
	return 1; /* go on: all mistakes are told at once */
}

/* "no such key; use one of ..." */
static const char *unknown_key(char *buf, size_t cap)
{
	size_t n = (size_t)snprintf(buf, cap, "no such key; use one of");

	for (size_t i = 0; i < KEYWORDS && n < cap; i++)
		n += (size_t)snprintf(buf + n, cap - n, "%s %s", i > 0 ? "," : "",
				      keywords[i].name);
	return buf;
}

static int value_take(void *user, const char *section, const char *key, const char *value)
{
	struct reading *r = user;
	char problem[160];
	const char *why;
	size_t i;

	if (strcmp(section, SECTION) != 0)
		return mistake(r, section, key, "no such section; put it under [" SECTION "]");
	for (i = 0; i < KEYWORDS && strcmp(key, keywords[i].name) != 0; i++)
		;
	if (i == KEYWORDS)
		return mistake(r, section, key, unknown_key(problem, sizeof(problem)));
	if (r->seen[i] != 0) {
		snprintf(problem, sizeof(problem), "is on line %u already; keep one of them",
			 r->seen[i]);
		return mistake(r, section, key, problem);
	}
	r->seen[i] = r->line;
	why = value_problem(&keywords[i], value);
	if (why != NULL) {
		snprintf(problem, sizeof(problem), "\"%.40s\" %s", value, why);
		return mistake(r, section, key, problem);
	}
	snprintf((char *)r->config + keywords[i].offset, keywords[i].size, "%s", value);
	return 1;
}

int config_read(struct client_config *c, const char *path, FILE *errors)
{
	struct reading r = {.config = c, .path = path, .errors = errors, .line_ended = true};
	int line;

	memset(c, 0, sizeof(*c));
	r.file = fopen(path, "re");
	if (r.file == NULL)
		return -errno;
	line = ini_parse_stream(line_read, &r, value_take, &r);
	if (line > 0) {
		fprintf(errors, "%s:%d: is neither a [section] nor key = value; correct it\n", path,
			line);
		r.mistaken = true;
	}
	if (ferror(r.file))
		line = -1;
	fclose(r.file);
	if (line < 0)
		return -EIO;
	return r.mistaken ? -EINVAL : 0;
}

int config_load(struct client_config *c, FILE *errors)
{
	const char *named = getenv("ONCEWIRE_CONFIG"), *home = getenv("HOME");
	char path[PATH_MAX] = "";
	int ret = -ENOENT;

	if (named != NULL && named[0] != '\0') {
		ret = config_read(c, named, errors);
		if (ret < 0 && ret != -EINVAL)
			fprintf(errors, "%s: %s; correct ONCEWIRE_CONFIG, which names it\n", named,
				strerror(-ret));
		return ret;
	}
	if (home != NULL &&
	    snprintf(path, sizeof(path), "%s/.config/oncewire.conf", home) < (int)sizeof(path))
		ret = config_read(c, path, errors);
	if (ret == -ENOENT || ret == -ENOTDIR) {
		snprintf(path, sizeof(path), "/etc/oncewire/oncewire.conf");
		ret = config_read(c, path, errors);
	}
	if (ret == -ENOENT || ret == -ENOTDIR)
		return 0;
	if (ret < 0 && ret != -EINVAL)
		fprintf(errors, "%s: %s; make it readable or remove it\n", path, strerror(-ret));
	return ret;
}
