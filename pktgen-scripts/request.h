/* SPDX-License-Identifier: BSD-3-Clause
 * Requests with tokens of our own minting: whoever has the group's master key
 * can say what a relay would have said. Those of a domain's members are signed.
 */
#ifndef PKTGEN_REQUEST_H
#define PKTGEN_REQUEST_H

#include "pktgen-scripts/catalogue.h"
#include "wire/frame.h"

struct request_context {
	struct token_ring keys; /* of unix_seconds */
	uint32_t key;		/* the header's field; 0: the sources are of no domain */
	struct domain_keys domain;
	uint64_t unix_seconds;
	uint64_t seed;
	struct addr relay;
	struct addr target; /* of SENDs; ADDR_NONE: each source itself */
	uint8_t rule;
	unsigned int chunks; /* that one PULL asks for, at most */
};

struct request {
	uint64_t number;
	const struct addr *source;
	const struct catalogue_entry *blob;
	uint64_t random;
};

/* Writes the frame, unsigned, into buf (WIRE_MAX_FRAME bytes); its length, 0: impossible. */
typedef size_t (*request_maker)(const struct request_context *c, const struct request *r,
				uint8_t *buf);

/* "hello", "send" or "pull"; NULL: none of these. */
request_maker request_maker_find(const char *verb);
/* Signs the source's frame of `len` bytes if it is a member and frames of that verb
 * are signed; its new length, 0: impossible. */
size_t request_sign(const struct request_context *c, const struct addr *source, uint8_t *buf,
		    size_t len);

#endif
