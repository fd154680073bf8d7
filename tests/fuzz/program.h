/* SPDX-License-Identifier: BSD-3-Clause
 * A fuzzer's input read as a program, and the small world it plays in: hosts,
 * blobs, and what they have learned from the relay so far.
 */
#ifndef TESTS_FUZZ_PROGRAM_H
#define TESTS_FUZZ_PROGRAM_H

#include "tests/unit/relay_box.h"

#define HOSTS 8
#define BLOBS 8
#define BLOB_LONGEST 70000
#define THIEF 3	   /* the host that knows identifiers and has no blobs */
#define HISTORY 16 /* frames that can be replayed */

struct host {
	struct addr addr;
	uint64_t conn;
	uint32_t domain; /* 0: none */
	uint32_t field;	 /* of its frames */
	struct session session;
	uint64_t number; /* of its last LISTEN or STOP */
	/* from the last frame that had one */
	struct echo echo;
	struct ticket ticket;
	struct ident id; /* of the ticket */
	uint8_t rule;
	uint64_t length;
	uint64_t attempt; /* of the last OFFER that had one */
	/* the last PULL of an upload */
	struct pull wanted;
	struct ident wanted_id;
	uint64_t wanted_conn;
	struct challenge challenge;
	uint64_t kept; /* bytes of an upload that it is to vouch for; 0: none */
	bool pulled;   /* it came since they were last served */
};

struct history {
	struct {
		uint8_t host;
		uint16_t len;
		uint8_t bytes[WIRE_MAX_FRAME];
	} frame[HISTORY];
	unsigned int count;
};

struct program {
	const uint8_t *next, *end;
	struct box *box;
	struct host host[HOSTS];
	struct history sent, received; /* by hosts; by the relay */
	/* the last QUERY to a private relay's upstream */
	uint64_t query_conn, query_nonce;
	uint8_t query_transfer[TRANSFER_SIZE];
	uint16_t query_leg;
	uint64_t peer_nonce;
	bool has[BOX_DOMAINS + 1][BLOBS]; /* what members have uploaded or may have */
	bool serve;			  /* upload PULLs are answered as they come */
	bool hold;			  /* frames gather, to arrive as one burst */
	unsigned int gathered;
};

uint8_t byte_next(struct program *p);
uint64_t bytes_next(struct program *p, unsigned int n);

/* Blob i: its bytes, its length, its identifier. */
void blobs_make(void);
const uint8_t *blob_bytes(unsigned int i);
uint64_t blob_size(unsigned int i);
const struct ident *blob_id(unsigned int i);
/* -1: none of them. */
int blob_find(const struct ident *id);

/* members: most of them belong to domains. */
void hosts_make(struct program *p, bool ip6, bool members);
/* Signs a frame as the host's domain has it; the new length. */
size_t host_sign(const struct host *h, uint8_t *frame, size_t len);
/* Injects a frame of a host's, and remembers it. */
void host_send(struct program *p, unsigned int host, const uint8_t *frame, size_t len);
/* Takes what the relay sent: checks it, learns from it, answers PULLs if `serve`. */
void frames_take(struct program *p);
/* Chunks of the host's last PULL. `spoil` changes a byte. */
void upload_serve(struct program *p, unsigned int host, unsigned int most, bool spoil);

/* ---- makers.c: frames of each verb, right or wrong as the program says ---- */

/* The frame's length in buf (WIRE_MAX_FRAME bytes); 0: none. */
typedef size_t (*maker)(struct program *p, struct host *h, uint8_t *buf);
#define MAKERS 16
extern const struct maker_info {
	maker make;
	bool members; /* sign such frames */
} makers[MAKERS];

#endif
