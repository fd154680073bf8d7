/* SPDX-License-Identifier: BSD-3-Clause
 * A member of a domain, and frames between it and its relay: every token is
 * right.
 */
#ifndef BENCH_MICRO_MEMBER_H
#define BENCH_MICRO_MEMBER_H

#include "wire/frame.h"

struct member {
	struct token_ring ring; /* of unix_seconds */
	uint64_t unix_seconds;
	struct addr self, relay;
	uint64_t conn;
	uint32_t key; /* the header's field */
	struct domain_keys domain;
	struct session session;
	struct cookie cookie;
	struct echo echo;
	struct ticket ticket;
	struct ident id;
	uint64_t length; /* of the blob: one chunk */
	uint8_t transfer[TRANSFER_SIZE];
};

/* The one that all groups share. */
const struct member *member_get(void);

enum member_frame {
	MEMBER_SEND,
	MEMBER_PULL,
	MEMBER_RECEIPT,
	MEMBER_DATA, /* of an upload: one whole chunk */
	MEMBER_LISTEN,
	MEMBER_STATUS, /* the relay's answer to a SEND */
	MEMBER_FRAMES
};
/* Writes it into buf (WIRE_MAX_FRAME bytes), signed, and parses it there. */
void member_frame(enum member_frame which, uint8_t *buf, struct frame *f);

#endif
