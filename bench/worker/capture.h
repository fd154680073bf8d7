/* SPDX-License-Identifier: BSD-3-Clause
 * The requests of a capture file (pktgen-scripts/request_pcap), in memory, with what is
 * known of their answers.
 */
#ifndef BENCH_WORKER_CAPTURE_H
#define BENCH_WORKER_CAPTURE_H

#include "wire/frame.h"

/* A PULL's or a SEND's. */
struct captured {
	uint64_t at; /* its Ethernet frame, in `bytes` */
	uint64_t conn;
	uint32_t blob;	 /* whose blob it asks for, by number; BLOB_NONE: one that is not there */
	uint32_t chunks; /* PULL: what it asks for, one after the other from */
	uint32_t first;	 /* this one on */
	uint16_t len;	 /* of the Ethernet frame */
	uint8_t verb;
	struct addr source;
};
#define BLOB_NONE UINT32_MAX

#define CAPTURE_LONGEST 640u /* bytes of an Ethernet frame */

struct capture {
	uint8_t *bytes;
	size_t size;
	struct captured *list;
	uint32_t count;
	uint64_t unix_seconds; /* that their tokens were minted at */
};

/* A request's identifier, in its frame. */
const struct ident *captured_ident(const struct capture *rs, const struct captured *r);
/* The number that its answers carry: its place in the file. False: not of this file. */
bool capture_number_of(const struct capture *rs, const uint8_t *transfer, uint32_t *number);

/* Reads a file whose requests are IPv4 PULLs and SENDs of one verb; of PULLs, each asks for
 * one run of chunks. 0, or -errno after a line on stderr. `blob` is left BLOB_NONE. */
int capture_read(struct capture *rs, const char *path);
void capture_free(struct capture *rs);

#endif
