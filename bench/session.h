/* SPDX-License-Identifier: BSD-3-Clause
 * What has to be said to a relay before its hit path can be measured: HELLO,
 * LISTEN, and a SEND to ourselves, which uploads the blob if the relay has not
 * got it and brings the OFFER with the ticket. Then the frames of a member of a
 * domain are signed.
 */
#ifndef BENCH_SESSION_H
#define BENCH_SESSION_H

#include "wire/frame.h"

struct conversation {
	int fd; /* UDP, connected to the server */
	uint16_t length;
	uint8_t blob[CHUNK_SIZE];
	uint32_t key;		   /* the header's field; 0: of no domain */
	struct domain_keys domain; /* of that key */
	/* from session_open() on */
	uint64_t conn;
	struct addr self;	/* as the relay sees us */
	struct session session; /* of a member */
	struct cookie cookie;
	struct echo echo; /* the newest */
	struct ident id;
	struct ticket ticket;
};

/* Makes blob `number`, of 1..CHUNK_SIZE bytes, and opens the socket. 0 or -errno. */
int session_connect(struct conversation *s, const struct addr *server, uint64_t number,
		    uint16_t length);
/* Makes it a member's, before session_open(): a domain's key file. 0, or -errno of
 * key_set_read(). */
int session_join(struct conversation *s, const char *path);
/* The whole exchange about that blob. 0 or -errno, after one line on stderr. */
int session_open(struct conversation *s);

/* Signs a member's finished frame of `len` bytes, in WIRE_MAX_FRAME of room; the
 * new length, 0 if it does not fit. Leaves others as they are. */
size_t session_sign(const struct conversation *s, uint8_t *buf, size_t len);
/* Is it as the relay signs what it answers to this client? */
bool session_signed(const struct conversation *s, const struct frame *f);

#endif
