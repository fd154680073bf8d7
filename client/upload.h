/* SPDX-License-Identifier: BSD-3-Clause
 * The source's side of an upload: answers a relay's PULLs with DATA, within
 * its own rate.
 */
#ifndef CLIENT_UPLOAD_H
#define CLIENT_UPLOAD_H

#include "client/blob.h"
#include "client/peer.h"
#include "wire/pullwin.h"

#define UPLOAD_RATE UINT64_C(1000000000) /* default, bytes a second */
#define UPLOAD_RATE_LEAST UINT64_C(10000)
#define UPLOAD_RATE_MOST UINT64_C(1000000000000)
#define UPLOAD_QUEUE PULLS_MAX

struct upload_pull {
	uint64_t stream;
	uint32_t number;
	uint32_t first;
	uint32_t mask; /* chunks not sent yet */
};

struct upload {
	uint64_t distinct;  /* bytes sent, each counted once */
	uint64_t repeated;  /* bytes sent again */
	uint64_t rate;	    /* bytes a second */
	uint64_t tokens;    /* bytes that may be sent now */
	uint64_t refilled;  /* when tokens were last added */
	uint64_t resume_at; /* the socket or the rate says: not before */
	uint64_t *sent;	    /* bitmap of chunks, made by the first PULL */
	uint32_t head, count;
	struct upload_pull queue[UPLOAD_QUEUE];
	uint8_t frames[PULL_MAX_CHUNKS][WIRE_MAX_FRAME]; /* without signature: heads only */
	struct iovec iov[PULL_MAX_CHUNKS][2];
	struct mmsghdr msgs[PULL_MAX_CHUNKS];
};

void upload_init(struct upload *up, uint64_t rate, uint64_t now);
void upload_free(struct upload *up);
/* Takes a PULL for this blob; one beyond the queue is lost, the relay repeats
 * it. Returns 0 or -ENOMEM. */
int upload_pull(struct upload *up, const struct blob *b, const struct pull *p);
/* Sends what may be sent now. Returns 0, or -errno if the blob cannot be read. */
int upload_run(struct upload *up, struct blob *b, struct udp *u, const struct peer *relay,
	       uint64_t now);
/* When upload_run() is due. */
uint64_t upload_due(const struct upload *up);

#endif
