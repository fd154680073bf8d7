/* SPDX-License-Identifier: BSD-3-Clause
 * Membership of a domain: its newest key, as the key file has it.
 */
#ifndef CLIENT_LIB_MEMBER_H
#define CLIENT_LIB_MEMBER_H

#include "client/lib/fault.h"
#include "wire/keyfile.h"
#include "wire/token.h"

struct member {
	uint32_t key; /* the header's key field; 0: of no domain */
	struct domain_keys keys;
	char path[4096]; /* of the file */
};

#define MEMBER_TEXT_MAX 128

/* Reads the file; NULL: of no domain. Returns 0, or sets the fault and returns
 * its code. */
int member_read(struct member *m, const char *path, struct fault *f);
/* "generation G of domain N (FILE)" into buf (MEMBER_TEXT_MAX bytes); returns buf. */
const char *member_text(const struct member *m, char *buf);

#endif
