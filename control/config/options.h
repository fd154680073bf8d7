/* SPDX-License-Identifier: BSD-3-Clause
 * The table of every configuration key: the parser, its messages and the
 * sample file all come from it.
 */
#ifndef CONTROL_CONFIG_OPTIONS_H
#define CONTROL_CONFIG_OPTIONS_H

#include "control/config/config.h"

enum config_type {
	TYPE_CHOICE, /* one of `words`: min + its position, into an integer of `size` bytes */
	TYPE_WORD,   /* one of `words`, itself */
	TYPE_LABEL,  /* letters, digits, '.', '_', '-' */
	TYPE_PATH,
	TYPE_PORT,    /* af_xdp:IFNAME or vdev:ARGS */
	TYPE_ADDRESS, /* of this relay or another: a host's own, and a UDP port */
	TYPE_LISTEN,  /* struct addr_pair: one or two such, not of the same IP version */
	TYPE_MAC,     /* struct rte_ether_addr: of one host */
	TYPE_COUNT,   /* uint32_t */
	TYPE_BYTES,   /* uint64_t; K, M, G or T (of 1024), also with B or iB, may follow */
	TYPE_CPU,     /* int; "any" is -1 */
	TYPE_CPUS,    /* int[CONFIG_WORKERS]; the rest is -1 */
	TYPE_RULES,   /* uint32_t: bits of rules */
	TYPE_RANGES,  /* struct policy */
};

enum config_section {
	SECTION_RELAY,
	SECTION_STORE,
	SECTION_LIMITS,
	SECTION_TARGETS,
	SECTION_DOMAIN,
	SECTION_UPSTREAM,
	SECTION_PEER,
	SECTION_COUNT
};

struct config_key {
	uint8_t section; /* enum config_section */
	uint8_t type;	 /* enum config_type */
	bool required;	 /* wherever its section is there */
	bool live;	 /* a reload changes it; others need a restart */
	bool automatic;	 /* COUNT and BYTES: may be "auto" */
	const char *name;
	size_t offset; /* in struct config; of a named section's key, in that section's struct */
	size_t size;
	const char *value;   /* the default; NULL: none, or one that other keys decide */
	const char *example; /* what the sample shows where there is no default */
	const char *words;   /* CHOICE, WORD: "one|other" */
	uint64_t min, max;   /* CHOICE: min alone; COUNT and BYTES: both */
	const char *help;
};

struct config_section_info {
	const char *name;   /* as the file has it; of a named one the word before NAME */
	const char *header; /* as the sample has it */
	bool optional;	    /* a comment in the sample */
	bool named;	    /* any number, each [name NAME] */
	const char *help;
};

#define CONFIG_KEYS 65
extern const struct config_key config_keys[CONFIG_KEYS];
extern const struct config_section_info config_sections[SECTION_COUNT];

/* Reads `text` into the key's field, which has its section's struct at `base`.
 * 0, or -EINVAL with what is wrong and what to do about it in `why`. */
int config_value_parse(const struct config_key *k, const char *text, void *base, char *why,
		       size_t why_size);

#endif
