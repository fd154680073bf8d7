/* SPDX-License-Identifier: BSD-3-Clause
 * Reads lines through libinih and finds the section and key that each is for.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include <ini.h>

#include "control/config/reader.h"

#define LINE_MAX_BYTES 8192

void problem(struct problems *p, int line, const char *section, const char *key, const char *fmt,
	     ...)
{
	va_list ap;

	p->count++;
	fprintf(p->err, "%s:%d: ", p->path, line > 0 ? line : 1);
	if (section)
		fprintf(p->err, "[%s]%s", section, key ? " " : ": ");
	if (key)
		fprintf(p->err, "%s: ", key);
	va_start(ap, fmt);
	vfprintf(p->err, fmt, ap);
	va_end(ap);
	fputc('\n', p->err);
}

/* libinih's reader. It cuts a line that is too long in two and takes the rest
 * for another; so such lines, and ones with a NUL, never reach it. */
static char *line_read(char *buf, int size, void *ctx)
{
	struct reader *r = ctx;
	char *line = NULL;
	size_t room = 0;
	ssize_t len;

	len = getline(&line, &room, r->file);
	if (len < 0) {
		free(line);
		return NULL;
	}
	r->line++;
	if (len >= size || memchr(line, '\0', (size_t)len)) {
		problem(&r->problems, r->line, NULL, NULL,
			"the line is too long or is not text; use at most %d characters", size - 1);
		len = 0;
	}
	memcpy(buf, line, (size_t)len);
	buf[len] = '\0';
	free(line);
	return buf;
}

/* Edit distance; words of the table are short. */
static unsigned int word_distance(const char *a, const char *b)
{
	unsigned int row[64], n = (unsigned int)strnlen(b, 63);

	for (unsigned int j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned int i = 1; *a; a++, i++) {
		unsigned int diagonal = row[0];

		row[0] = i;
		for (unsigned int j = 1; j <= n; j++) {
			unsigned int best = diagonal + (*a != b[j - 1]);

			diagonal = row[j];
			if (best > row[j] + 1)
				best = row[j] + 1;
			if (best > row[j - 1] + 1)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[n];
}

/* The key of this name; else the one that was probably meant: of this name in
 * another section, or the nearest of its own. */
static const struct config_key *key_nearest(int section, const char *name)
{
	const struct config_key *best = NULL;
	unsigned int least = UINT32_MAX;

	for (unsigned int i = 0; i < CONFIG_KEYS; i++) {
		const struct config_key *k = &config_keys[i];
		unsigned int d = word_distance(name, k->name);

		if (k->section == section && d == 0)
			return k;
		if (k->section != section && d)
			continue;
		if (d < least) {
			least = d;
			best = k;
		}
	}
	return best;
}

static void section_unknown(struct reader *r, const char *section)
{
	unsigned int least = UINT32_MAX, best = 0;

	if (*section == '\0') {
		problem(&r->problems, r->line, NULL, NULL,
			"a key before any section; write [relay] or another section above it");
		return;
	}
	for (unsigned int s = 0; s < SECTION_COUNT; s++) {
		unsigned int d = word_distance(section, config_sections[s].name);

		if (d < least) {
			least = d;
			best = s;
		}
	}
	problem(&r->problems, r->line, section, NULL, "no such section; the nearest is [%s]",
		config_sections[best].header);
}

/* *name: of a named section, what stands behind its word. -1: no such section. */
static int section_find(const char *text, const char **name)
{
	for (int s = 0; s < SECTION_COUNT; s++) {
		size_t len = strlen(config_sections[s].name);

		if (strncmp(text, config_sections[s].name, len) != 0)
			continue;
		if (!config_sections[s].named && text[len] == '\0')
			return s;
		if (config_sections[s].named && (text[len] == ' ' || text[len] == '\t')) {
			*name = text + len + strspn(text + len, " \t");
			return s;
		}
	}
	return -1;
}

void section_default(enum config_section s, void *base)
{
	char why[256];

	for (unsigned int i = 0; i < CONFIG_KEYS; i++)
		if (config_keys[i].section == s && config_keys[i].value)
			config_value_parse(&config_keys[i], config_keys[i].value, base, why,
					   sizeof(why));
}

/* Where number i of a section's struct is, and its name. */
static void *section_base(struct config *c, enum config_section s, uint32_t i)
{
	if (s == SECTION_PEER)
		return &c->peers[i];
	return s == SECTION_DOMAIN ? (void *)&c->domains[i] : (void *)c;
}

static const char *section_name(const struct config *c, enum config_section s, uint32_t i)
{
	return s == SECTION_PEER ? c->peers[i].name : c->domains[i].name;
}

uint32_t section_count(const struct reader *r, enum config_section s)
{
	if (s == SECTION_PEER)
		return r->config->peer_count;
	if (s == SECTION_DOMAIN)
		return r->config->domain_count;
	return config_sections[s].optional && !r->section[s].last ? 0 : 1;
}

const struct section_seen *section_seen(const struct reader *r, enum config_section s, uint32_t i)
{
	if (s == SECTION_PEER)
		return &r->peer[i];
	return s == SECTION_DOMAIN ? &r->domain[i] : &r->section[s];
}

const char *section_header(const struct reader *r, enum config_section s, uint32_t i, char *buf)
{
	if (!config_sections[s].named)
		return config_sections[s].name;
	snprintf(buf, CONFIG_HEADER, "%s %s", config_sections[s].name,
		 section_name(r->config, s, i));
	return buf;
}

int section_line(const struct section_seen *seen, enum config_section s, const char *key)
{
	for (unsigned int i = 0; i < CONFIG_KEYS; i++)
		if (config_keys[i].section == s && strcmp(config_keys[i].name, key) == 0)
			return seen->key[i];
	return 0;
}

/* Makes room for one more domain. */
static int domains_grow(struct reader *r)
{
	uint32_t room = r->domain_room ? 2 * r->domain_room : 16;
	struct domain_config *domains;
	struct section_seen *seen;

	if (r->config->domain_count < r->domain_room)
		return 0;
	domains = reallocarray(r->config->domains, room, sizeof(*domains));
	if (!domains)
		return -ENOMEM;
	r->config->domains = domains;
	seen = reallocarray(r->domain, room, sizeof(*seen));
	if (!seen)
		return -ENOMEM;
	r->domain = seen;
	r->domain_room = room;
	return 0;
}

static int peer_add(struct reader *r, const char *name)
{
	struct config *c = r->config;

	if (c->peer_count == CONFIG_PEERS)
		return -ENOSPC;
	strcpy(c->peers[c->peer_count].name, name);
	return (int)c->peer_count++;
}

static int domain_add(struct reader *r, const char *name)
{
	uint32_t i = r->config->domain_count;

	if (i == CONFIG_DOMAINS)
		return -ENOSPC;
	if (domains_grow(r) < 0)
		return -ENOMEM;
	memset(&r->domain[i], 0, sizeof(r->domain[i]));
	memset(&r->config->domains[i], 0, sizeof(r->config->domains[i]));
	section_default(SECTION_DOMAIN, &r->config->domains[i]);
	strcpy(r->config->domains[i].name, name);
	return (int)r->config->domain_count++;
}

/* The index of [word NAME], made at its first key; -1 if it cannot be. */
static int named_find(struct reader *r, enum config_section s, const char *section,
		      const char *name)
{
	static const struct config_key label = {
		.type = TYPE_LABEL, .name = "NAME", .size = CONFIG_NAME};
	uint32_t count = section_count(r, s);
	char why[160], text[CONFIG_NAME];
	int i;

	/* from the last on: it is nearly always that one */
	for (uint32_t n = count; n > 0; n--)
		if (strcmp(section_name(r->config, s, n - 1), name) == 0)
			return (int)n - 1;
	if (config_value_parse(&label, name, text, why, sizeof(why)) < 0) {
		problem(&r->problems, r->line, section, NULL, "%s", why);
		return -1;
	}
	i = s == SECTION_PEER ? peer_add(r, text) : domain_add(r, text);
	if (i == -ENOSPC)
		problem(&r->problems, r->line, section, NULL, "too many %ss; at most %u are served",
			config_sections[s].name, count);
	else if (i < 0)
		problem(&r->problems, r->line, section, NULL,
			"cannot be read: out of memory; free some");
	return i < 0 ? -1 : i;
}

/* libinih ends a value at " ;"; people write " #" as well. */
static const char *comment_cut(const char *text, char buf[LINE_MAX_BYTES])
{
	size_t len = strcspn(text, "#");

	while (text[len] != '\0' && len > 0 && !isspace((unsigned char)text[len - 1]))
		len += 1 + strcspn(text + len + 1, "#"); /* within a word */
	if (text[len] == '\0' || len >= LINE_MAX_BYTES)
		return text;
	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	memcpy(buf, text, len);
	buf[len] = '\0';
	return buf;
}

/* libinih's handler. Always succeeds: problems are counted. */
static int key_take(void *ctx, const char *section, const char *name, const char *whole)
{
	char cut[LINE_MAX_BYTES];
	const char *text = comment_cut(whole, cut);
	struct reader *r = ctx;
	const struct config_key *k;
	const char *section_label = NULL;
	struct section_seen *seen;
	char why[256];
	int s, i = 0;
	int *line;

	s = section_find(section, &section_label);
	if (s < 0) {
		section_unknown(r, section);
		return 1;
	}
	if (config_sections[s].named)
		i = named_find(r, s, section, section_label);
	if (i < 0)
		return 1;
	seen = (struct section_seen *)(uintptr_t)section_seen(r, s, (uint32_t)i);
	seen->last = r->line;
	k = key_nearest(s, name);
	if (k->section != s || strcmp(k->name, name) != 0) {
		problem(&r->problems, r->line, section, name,
			"no such key; the nearest is %s in [%s]", k->name,
			k->section == s ? section : config_sections[k->section].header);
		return 1;
	}
	line = &seen->key[k - config_keys];
	if (*line) {
		problem(&r->problems, r->line, section, name,
			"is set a second time; remove it or line %d", *line);
		return 1;
	}
	*line = r->line;
	if (config_value_parse(k, text, section_base(r->config, s, (uint32_t)i), why, sizeof(why)) <
	    0) {
		problem(&r->problems, r->line, section, name, "%s", why);
		r->bad[s] = true;
	}
	return 1;
}

int reader_run(struct reader *r)
{
	int rc;

	ini_max_line = LINE_MAX_BYTES;
	ini_allow_multiline = false; /* an indented key is a key */
	rc = ini_parse_stream(line_read, r, key_take, r);
	if (ferror(r->file))
		return -EIO;
	if (rc > 0)
		problem(&r->problems, rc, NULL, NULL,
			"neither a key nor a section; write 'key = value' or '[section]'");
	return rc < 0 ? -ENOMEM : 0;
}
