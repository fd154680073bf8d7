/* SPDX-License-Identifier: BSD-3-Clause
 * Requests with tokens of our own minting: whoever has the group's master key
 * can say what a relay would have said.
 */
#ifndef PKTGEN_REQUEST_H
#define PKTGEN_REQUEST_H

#include "pktgen-scripts/catalogue.h"
#include "wire/frame.h"

struct request_context {
	struct token_ring keys; /* of unix_seconds */
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

/* Writes the frame into buf (WIRE_MAX_FRAME bytes); its length, 0: impossible. */
typedef size_t (*request_maker)(const struct request_context *c, const struct request *r,
				uint8_t *buf);

/* "hello", "send" or "pull"; NULL: none of these. */
request_maker request_maker_find(const char *verb);

#endif
