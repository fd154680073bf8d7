/* SPDX-License-Identifier: BSD-3-Clause
 * Reads the configuration file: lines through libinih, values through the
 * table, then what only the whole can tell. Goes on after a problem, so that
 * one run names them all.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/un.h>

#include <ini.h>

#include "control/config_table.h"
#include "store/slab.h"

#define LINE_MAX_BYTES 8192

struct reader {
	const char *path;
	FILE *file;
	FILE *err;
	int line; /* the one read last */
	unsigned int problems;
	struct config *config;
	int peer;		 /* of the last [peer NAME]; -1: one too many */
	int seen[CONFIG_KEYS];	 /* line; 0: absent */
	int last[SECTION_COUNT]; /* line of a section's last key */
	bool bad[SECTION_COUNT]; /* a value of it could not be read */
	/* of each [peer NAME] */
	int peer_seen[CONFIG_PEERS][CONFIG_KEYS];
	int peer_last[CONFIG_PEERS];
};

__attribute__((format(printf, 5, 6))) static void
problem(struct reader *r, int line, const char *section, const char *key, const char *fmt, ...)
{
	va_list ap;

	r->problems++;
	fprintf(r->err, "%s:%d: ", r->path, line > 0 ? line : 1);
	if (section)
		fprintf(r->err, "[%s]%s", section, key ? " " : ": ");
	if (key)
		fprintf(r->err, "%s: ", key);
	va_start(ap, fmt);
	vfprintf(r->err, fmt, ap);
	va_end(ap);
	fputc('\n', r->err);
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
		problem(r, r->line, NULL, NULL,
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
		problem(r, r->line, NULL, NULL,
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
	problem(r, r->line, section, NULL, "no such section; the nearest is [%s]",
		config_sections[best].header);
}

/* The index of [peer NAME], made at its first key; -1 if it cannot be. */
static int peer_find(struct reader *r, const char *section, const char *name)
{
	static const struct config_key label = {
		.type = TYPE_LABEL, .name = "NAME", .size = CONFIG_NAME};
	struct config *c = r->config;
	char why[160], text[CONFIG_NAME];

	for (uint32_t i = 0; i < c->peer_count; i++)
		if (strcmp(c->peers[i].name, name) == 0)
			return (int)i;
	if (config_value_parse(&label, name, text, why, sizeof(why)) < 0) {
		problem(r, r->line, section, NULL, "%s", why);
		return -1;
	}
	if (c->peer_count == CONFIG_PEERS) {
		problem(r, r->line, section, NULL, "too many peers; at most %d are served",
			CONFIG_PEERS);
		return -1;
	}
	memcpy(c->peers[c->peer_count].name, text, sizeof(text));
	return (int)c->peer_count++;
}

static int section_find(const char *text, const char **peer)
{
	for (int s = 0; s < SECTION_COUNT; s++) {
		size_t len = strlen(config_sections[s].name);

		if (s == SECTION_PEER && strncmp(text, "peer", len) == 0 &&
		    (text[len] == ' ' || text[len] == '\t')) {
			*peer = text + len + strspn(text + len, " \t");
			return s;
		}
		if (s != SECTION_PEER && strcmp(text, config_sections[s].name) == 0)
			return s;
	}
	return -1;
}

/* libinih's handler. Always succeeds: problems are counted here. */
static int key_take(void *ctx, const char *section, const char *name, const char *text)
{
	struct reader *r = ctx;
	const struct config_key *k;
	const char *peer_name = NULL;
	void *base = r->config;
	int *seen = r->seen;
	char why[256];
	int s, i;

	s = section_find(section, &peer_name);
	if (s < 0) {
		section_unknown(r, section);
		return 1;
	}
	r->last[s] = r->line;
	if (s == SECTION_PEER) {
		i = peer_find(r, section, peer_name);
		if (i < 0)
			return 1;
		base = &r->config->peers[i];
		seen = r->peer_seen[i];
		r->peer_last[i] = r->line;
	}
	k = key_nearest(s, name);
	if (k->section != s || strcmp(k->name, name) != 0) {
		problem(r, r->line, section, name, "no such key; the nearest is %s in [%s]",
			k->name, k->section == s ? section : config_sections[k->section].header);
		return 1;
	}
	i = (int)(k - config_keys);
	if (seen[i]) {
		problem(r, r->line, section, name, "is set a second time; remove it or line %d",
			seen[i]);
		return 1;
	}
	seen[i] = r->line;
	if (config_value_parse(k, text, base, why, sizeof(why)) < 0) {
		problem(r, r->line, section, name, "%s", why);
		r->bad[s] = true;
	}
	return 1;
}

static int file_read(struct reader *r, ini_handler handler)
{
	int rc;

	ini_max_line = LINE_MAX_BYTES;
	ini_allow_multiline = false; /* an indented key is a key */
	rc = ini_parse_stream(line_read, r, handler, r);
	if (ferror(r->file))
		return -EIO;
	if (rc > 0)
		problem(r, rc, NULL, NULL,
			"neither a key nor a section; write 'key = value' or '[section]'");
	return rc < 0 ? -ENOMEM : 0;
}

/* 0 if the key is absent. */
static int line_of(const int *seen, enum config_section s, const char *name)
{
	for (unsigned int i = 0; i < CONFIG_KEYS; i++)
		if (config_keys[i].section == s && strcmp(config_keys[i].name, name) == 0)
			return seen[i];
	return 0;
}

static void config_default(struct config *c)
{
	char why[256];

	memset(c, 0, sizeof(*c));
	for (unsigned int i = 0; i < CONFIG_KEYS; i++)
		if (config_keys[i].value)
			config_value_parse(&config_keys[i], config_keys[i].value, c, why,
					   sizeof(why));
	strcpy(c->xdp_program, STEER_OBJECT);
	strcpy(c->upstream.name, "upstream");
}

/* Keys that must be there, in a section that must be or is. */
static void required_check(struct reader *r)
{
	for (unsigned int i = 0; i < CONFIG_KEYS; i++) {
		const struct config_key *k = &config_keys[i];
		const struct config_section_info *info = &config_sections[k->section];

		if (!k->required)
			continue;
		for (uint32_t p = 0; k->section == SECTION_PEER && p < r->config->peer_count; p++) {
			char header[CONFIG_NAME + 8];

			snprintf(header, sizeof(header), "peer %s", r->config->peers[p].name);
			if (!r->peer_seen[p][i])
				problem(r, r->peer_last[p], header, k->name,
					"is missing; add a line such as '%s = %s'", k->name,
					k->example);
		}
		if (k->section == SECTION_PEER || r->seen[i] ||
		    (info->optional && !r->last[k->section]))
			continue;
		problem(r, r->last[k->section] ? r->last[k->section] : r->line, info->name, k->name,
			"is missing; add a line such as '%s = %s'", k->name, k->example);
	}
}

static void relay_check(struct reader *r)
{
	struct config *c = r->config;
	unsigned int cpus = 0;

	if (c->instance[0] == '\0')
		strcpy(c->instance, role_name(c->role));
	if (c->admin_socket[0] == '\0')
		snprintf(c->admin_socket, sizeof(c->admin_socket), "/run/oncewire/%s.sock",
			 c->instance);
	if (strlen(c->admin_socket) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		problem(r, line_of(r->seen, SECTION_RELAY, "admin_socket"), "relay", "admin_socket",
			"is too long for a socket; use a path below %zu characters",
			sizeof(((struct sockaddr_un *)0)->sun_path));
	while (cpus < CONFIG_WORKERS && c->worker_cpus[cpus] >= 0)
		cpus++;
	if (cpus && cpus != c->workers)
		problem(r, line_of(r->seen, SECTION_RELAY, "worker_cpus"), "relay", "worker_cpus",
			"names %u CPUs for %u workers; name one a worker, or set workers = %u",
			cpus, c->workers, cpus);
}

/* Bytes of the longest blob that `slab` bytes hold: whole extents, and list
 * extents once their numbers leave the descriptor. */
static uint64_t longest_blob(uint64_t slab)
{
	uint64_t extents = slab / EXTENT_SIZE, lists = 0;

	if (extents > BLOB_DIRECT)
		lists = (extents + LIST_ENTRIES) / (LIST_ENTRIES + 1);
	return (extents - lists) * EXTENT_SUMS;
}

static void store_check(struct reader *r)
{
	struct config *c = r->config;
	int line = line_of(r->seen, SECTION_STORE, "max_blob");
	uint64_t longest = longest_blob(c->slab_size);
	char max[24], slab[24];

	if (line && c->max_blob > c->slab_size)
		problem(r, line, "store", "max_blob",
			"%s does not fit in slab_size, %s; lower it or raise slab_size",
			config_bytes_text(c->max_blob, max), config_bytes_text(c->slab_size, slab));
	if (c->max_blob > longest)
		c->max_blob = longest;
}

/* One end's address against this relay's own. */
static void remote_check(struct reader *r, int line, const char *section, const struct addr *a)
{
	const struct addr *own = &r->config->listen;

	if (a->type == ADDR_NONE || own->type == ADDR_NONE)
		return;
	if (a->type != own->type)
		problem(r, line, section, "address",
			"is not of the IP version of listen; use the same one for both");
	else if (addr_equal(a, own))
		problem(r, line, section, "address",
			"is this relay's own; write the other relay's");
}

static void upstream_check(struct reader *r)
{
	const struct config *c = r->config;

	if (!r->last[SECTION_UPSTREAM])
		return;
	if (c->role == ROLE_CENTRAL)
		problem(r, r->last[SECTION_UPSTREAM], "upstream", NULL,
			"a central relay asks nobody; remove the section, or set role = private");
	remote_check(r, line_of(r->seen, SECTION_UPSTREAM, "address"), "upstream",
		     &c->upstream.addr);
}

static void peers_check(struct reader *r)
{
	const struct config *c = r->config;
	char header[CONFIG_NAME + 8];

	if (c->peer_count && c->role == ROLE_PRIVATE)
		problem(r, r->last[SECTION_PEER], "peer", NULL,
			"a private relay is asked by nobody; remove the section, or set role = "
			"central");
	for (uint32_t i = 0; i < c->peer_count; i++) {
		snprintf(header, sizeof(header), "peer %s", c->peers[i].name);
		remote_check(r, line_of(r->peer_seen[i], SECTION_PEER, "address"), header,
			     &c->peers[i].addr);
		for (uint32_t j = 0; j < i && c->peers[i].id; j++)
			if (c->peers[j].id == c->peers[i].id)
				problem(r, line_of(r->peer_seen[i], SECTION_PEER, "id"), header,
					"id",
					"%u is also [peer %s]'s; give each pair a number of its "
					"own",
					c->peers[i].id, c->peers[j].name);
	}
}

/* Cross checks need sound values: for one that is not, one problem is enough. */
static void config_check(struct reader *r)
{
	required_check(r);
	if (!r->bad[SECTION_STORE])
		store_check(r);
	if (r->config->role == 0 || r->bad[SECTION_RELAY])
		return;
	relay_check(r);
	upstream_check(r);
	peers_check(r);
}

static int reader_open(struct reader **out, const char *path, struct config *c, FILE *err)
{
	struct reader *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return -ENOMEM;
	r->path = path;
	r->err = err;
	r->config = c;
	r->file = fopen(path, "re");
	if (!r->file) {
		rc = -errno;
		problem(r, 1, NULL, NULL, "cannot be read: %s; check the path and its mode",
			strerror(-rc));
		free(r);
		return rc;
	}
	*out = r;
	return 0;
}

static void reader_close(struct reader *r)
{
	fclose(r->file);
	free(r);
}

int config_load(const char *path, struct config *c, FILE *err)
{
	struct reader *r = NULL;
	int rc;

	config_default(c);
	rc = reader_open(&r, path, c, err);
	if (rc < 0)
		return rc;
	rc = file_read(r, key_take);
	if (rc < 0) {
		problem(r, r->line, NULL, NULL, "cannot be read: %s; check the file",
			strerror(-rc));
		goto out;
	}
	config_check(r);
	rc = r->problems ? -EINVAL : 0;
out:
	reader_close(r);
	return rc;
}

static void key_load(struct reader *r, int line, const char *section, const char *name,
		     const char *path, uint8_t *key, size_t size)
{
	int rc = key_file_read(path, key, size);

	if (rc == -EPERM)
		problem(r, line, section, name, "%s may be read by others; run: chmod 0600 %s",
			path, path);
	else if (rc == -EINVAL)
		problem(r, line, section, name,
			"%s is not a key; write %zu hex digits, as from: openssl rand -hex %zu",
			path, 2 * size, size);
	else if (rc < 0)
		problem(r, line, section, name,
			"%s cannot be read: %s; check the path and its mode", path, strerror(-rc));
}

int config_load_keys(const char *path, struct config *c, FILE *err)
{
	struct config *scratch = malloc(sizeof(*scratch));
	struct reader *r = NULL;
	int rc = -ENOMEM;

	if (!scratch)
		return rc;
	/* once more through the file, only for the lines to name */
	config_default(scratch);
	rc = reader_open(&r, path, scratch, err);
	if (rc < 0)
		goto out_scratch;
	rc = file_read(r, key_take);
	if (rc < 0)
		goto out;
	key_load(r, line_of(r->seen, SECTION_RELAY, "master_key_file"), "relay", "master_key_file",
		 c->master_key_file, c->master_key, sizeof(c->master_key));
	if (c->upstream.addr.type != ADDR_NONE)
		key_load(r, line_of(r->seen, SECTION_UPSTREAM, "key_file"), "upstream", "key_file",
			 c->upstream.key_file, c->upstream.key, sizeof(c->upstream.key));
	for (uint32_t i = 0; i < c->peer_count; i++) {
		char header[CONFIG_NAME + 8];

		snprintf(header, sizeof(header), "peer %s", c->peers[i].name);
		key_load(r, line_of(r->peer_seen[i], SECTION_PEER, "key_file"), header, "key_file",
			 c->peers[i].key_file, c->peers[i].key, sizeof(c->peers[i].key));
	}
	rc = r->problems ? -EINVAL : 0;
out:
	reader_close(r);
out_scratch:
	free(scratch);
	return rc;
}

const char *role_name(enum role role)
{
	return role == ROLE_CENTRAL ? "central" : "private";
}
