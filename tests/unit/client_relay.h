/* SPDX-License-Identifier: BSD-3-Clause
 * A small relay for the tests of the client: one blob, one source, one target,
 * on a loopback socket, in the test's own thread.
 */
#ifndef TESTS_CLIENT_RELAY_H
#define TESTS_CLIENT_RELAY_H

#include "client/udp.h"
#include "wire/pullwin.h"

struct relay {
	struct udp udp;
	struct addr addr;
	struct token_ring keys;
	struct udp_rx rx;
	struct udp_tx tx;

	/* how it behaves */
	uint32_t loss;	       /* frames in a thousand lost, in each direction */
	uint8_t serving;       /* enum status_code of a hit */
	uint8_t refuse;	       /* enum refuse_reason of every SEND, 0: none */
	bool deaf;	       /* answers nothing */
	bool mute_offers;      /* never tells the target */
	bool elsewhere;	       /* WELCOME names this relay's address, asked under another */
	uint32_t corrupt;      /* DATA frames to falsify */
	uint32_t stale;	       /* frames with a cookie to answer with ERROR(STALE) */
	uint32_t lose_verb;    /* a verb of which the next frame is lost, either way */
	struct relay *holder;  /* offers name it */
	const struct addr *to; /* target used instead of the SEND's */
	bool hide_inline;      /* never put the blob into the OFFER */

	/* the store */
	bool stored;
	uint8_t *bytes;
	uint64_t length;
	struct ident id;
	uint8_t rule;

	/* the upload */
	bool uploading;
	struct pullwin window;
	void *bits;

	/* the transfer */
	struct addr source;
	uint64_t source_conn;
	uint8_t transfer[TRANSFER_SIZE];
	bool sent; /* a SEND came */
	uint8_t meta[META_MAX];
	uint8_t meta_len;

	/* the lease */
	struct addr lease;
	uint64_t lease_conn;
	uint64_t lease_number;

	/* what happened */
	uint32_t random;
	uint32_t frames[VERB_COUNT]; /* heard, by verb */
	uint32_t offers;
	uint32_t inlined;
	uint32_t unserved; /* PULLs answered by an ERROR */
	uint8_t receipt;   /* the newest RECEIPT's code */
	uint8_t reason;	   /* and reason */
};

/* The address a socket is bound to; 0 or -1. */
int socket_local(const struct udp *u, struct addr *out);
void relay_open(struct relay *r, uint32_t seed);
void relay_close(struct relay *r);
/* Puts a blob into the store; relay_close frees the copy. */
void relay_store(struct relay *r, const void *bytes, uint64_t length);
/* Handles what has come and what is due. */
void relay_run(struct relay *r);
/* Sends the target an OFFER of the newest SEND (again). */
void relay_offer(struct relay *r);
const char *relay_text(const struct relay *r, char *buf);

#endif
