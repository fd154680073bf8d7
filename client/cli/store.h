/* SPDX-License-Identifier: BSD-3-Clause
 * oncewire store: what its parts share. cmd_store.c has the command, and looks and takes
 * out; store_bytes.c moves bytes.
 */
#ifndef CLIENT_CLI_STORE_H
#define CLIENT_CLI_STORE_H

#include "client/cli/admin.h"
#include "client/cli/command.h"

#define STORE_SECONDS 60 /* that a relay may be silent: its disk may be slow */

struct store_options {
	const char *domain; /* NULL: any; for an import the open one */
	const char *rule;   /* likewise; SHA-256 */
	const char *after;
	uint64_t limit;
	bool anew;
	bool json;
};

/* The blob of this identifier, as the relay describes it; NULL with *status set. */
json_t *store_find(char **argv, struct admin_link *l, const struct store_options *o, const char *id,
		   int *status);
/* "store VERB DOMAIN RULE ID\n", of a blob that was found. */
void store_question(char *question, size_t size, const char *verb, json_t *blob);

int store_verify(char **argv, struct admin_link *l, const struct store_options *o);
int store_export(char **argv, struct admin_link *l, const struct store_options *o, const char *id,
		 const char *path);
int store_import(char **argv, struct admin_link *l, const struct store_options *o,
		 const char *path);

#endif
