/* SPDX-License-Identifier: BSD-3-Clause
 * One reading of a configuration file: what was found where, and how many
 * problems there are. It goes on after a problem, so that one run names them
 * all.
 */
#ifndef CONTROL_CONFIG_READER_H
#define CONTROL_CONFIG_READER_H

#include "control/config/options.h"

/* "domain NAME", "peer NAME" */
#define CONFIG_HEADER (CONFIG_NAME + 8)

struct problems {
	const char *path;
	FILE *err;
	unsigned int count;
};

/* Lines of one section, or of one [name NAME]; 0: absent. */
struct section_seen {
	int key[CONFIG_KEYS];
	int last; /* of any key */
};

struct reader {
	struct problems problems;
	FILE *file;
	int line; /* the one read last */
	struct config *config;
	struct section_seen section[SECTION_COUNT];
	bool bad[SECTION_COUNT]; /* a value of it could not be read */
	struct section_seen peer[CONFIG_PEERS];
	struct section_seen *domain; /* as config->domains; room for domain_room of both */
	uint32_t domain_room;
};

/* One line, FILE:LINE: [section] key: ... section and key may be NULL. */
__attribute__((format(printf, 5, 6))) void
problem(struct problems *p, int line, const char *section, const char *key, const char *fmt, ...);

/* Fills r->config, which has its defaults, from r->file. 0 or -errno. */
int reader_run(struct reader *r);
/* Sets the defaults of a section's keys in `base`. */
void section_default(enum config_section s, void *base);

/* How often the section stands in the file: at most once, unless it is named. */
uint32_t section_count(const struct reader *r, enum config_section s);
/* Of number i of them. */
const struct section_seen *section_seen(const struct reader *r, enum config_section s, uint32_t i);
/* "peer NAME"; into buf (CONFIG_HEADER bytes) if it is named. */
const char *section_header(const struct reader *r, enum config_section s, uint32_t i, char *buf);
/* The line of this key; 0 if it is absent. */
int section_line(const struct section_seen *seen, enum config_section s, const char *key);

/* check.c: what only the whole can tell. */
void config_check(struct reader *r);

#endif
