/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include <sodium.h>

#include "control/config/reader.h"
#include "control/base/log.h"

static void config_default(struct config *c)
{
	memset(c, 0, sizeof(*c));
	for (int s = 0; s < SECTION_COUNT; s++)
		if (!config_sections[s].named)
			section_default(s, c);
	strcpy(c->xdp_program, STEER_OBJECT);
	strcpy(c->upstream.name, "upstream");
}

static int reader_open(struct reader **out, const char *path, struct config *c, FILE *err)
{
	struct reader *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return -ENOMEM;
	r->problems = (struct problems){.path = path, .err = err};
	r->config = c;
	r->file = fopen(path, "re");
	if (!r->file) {
		rc = -errno;
		problem(&r->problems, 1, NULL, NULL,
			"cannot be read: %s; check the path and its mode", strerror(-rc));
		free(r);
		return rc;
	}
	*out = r;
	return 0;
}

static void reader_close(struct reader *r)
{
	fclose(r->file);
	free(r->domain);
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
	rc = reader_run(r);
	if (rc < 0) {
		problem(&r->problems, r->line, NULL, NULL, "cannot be read: %s; check the file",
			strerror(-rc));
	} else {
		config_check(r);
		rc = r->problems.count ? -EINVAL : 0;
	}
	reader_close(r);
	if (rc < 0)
		config_free(c);
	return rc;
}

static bool value_equal(const struct config_key *k, const void *a, const void *b)
{
	switch (k->type) {
	case TYPE_WORD:
	case TYPE_LABEL:
	case TYPE_PATH:
	case TYPE_PORT:
		return strcmp(a, b) == 0;
	default:
		return memcmp(a, b, k->size) == 0;
	}
}

static void restart_warn(FILE *err, const char *section, const char *key)
{
	fprintf(err, "warning: [%s]%s%s needs a restart to change; until then it stays as it is\n",
		section, *key ? " " : "", key);
}

/* Asking an upstream relay, or not, is decided at the start. */
static void upstream_retain(const struct config *running, struct config *next, FILE *err)
{
	if ((running->upstream.addr.type == ADDR_NONE) == (next->upstream.addr.type == ADDR_NONE))
		return;
	restart_warn(err, "upstream", "");
	next->upstream = running->upstream;
	next->upstream_timeout_ms = running->upstream_timeout_ms;
}

void config_retain(const struct config *running, struct config *next, FILE *err)
{
	upstream_retain(running, next, err);
	for (unsigned int i = 0; i < CONFIG_KEYS; i++) {
		const struct config_key *k = &config_keys[i];
		const uint8_t *old = (const uint8_t *)running + k->offset;
		uint8_t *new = (uint8_t *)next + k->offset;

		if (k->live || config_sections[k->section].named || value_equal(k, old, new))
			continue;
		restart_warn(err, config_sections[k->section].name, k->name);
		memcpy(new, old, k->size);
	}
}

void config_warn_open(const struct config *c)
{
	if (c->domain_count == 0)
		log_line(LOG_WARNING, "WARNING: this relay is open: anybody may use it, as it has "
				      "no domain; make a key with: oncewire keygen domain FILE, "
				      "and add a section [domain NAME] with key_file = FILE");
}

void config_free(struct config *c)
{
	if (c->domains)
		sodium_memzero(c->domains, c->domain_count * sizeof(*c->domains));
	free(c->domains);
	sodium_memzero(c, sizeof(*c));
}

const char *role_name(enum role role)
{
	return role == ROLE_CENTRAL ? "central" : "private";
}
