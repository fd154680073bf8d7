/* SPDX-License-Identifier: BSD-3-Clause
 * What has to be said to a relay before its hit path can be measured: HELLO,
 * LISTEN, and a SEND to ourselves, which uploads the blob if the relay has not
 * got it and brings the OFFER with the ticket.
 */
#ifndef BENCH_SESSION_H
#define BENCH_SESSION_H

#include "wire/frame.h"

struct session {
	int fd; /* UDP, connected to the server */
	uint16_t length;
	uint8_t blob[CHUNK_SIZE];
	/* from session_open() on */
	uint64_t conn;
	struct addr self; /* as the relay sees us */
	struct cookie cookie;
	struct echo echo; /* the newest */
	struct ident id;
	struct ticket ticket;
};

/* Makes blob `number`, of 1..CHUNK_SIZE bytes, and opens the socket. 0 or -errno. */
int session_connect(struct session *s, const struct addr *server, uint64_t number, uint16_t length);
/* The whole exchange about that blob. 0 or -errno, after one line on stderr. */
int session_open(struct session *s);

#endif
