/* SPDX-License-Identifier: BSD-3-Clause
 * The source's side of an upload: answers a relay's PULLs with DATA, within
 * its own rate.
 */
#ifndef CLIENT_LIB_OUTGOING_H
#define CLIENT_LIB_OUTGOING_H

#include "client/lib/input.h"
#include "client/lib/contact.h"
#include "wire/pullwin.h"

#define OUTGOING_RATE UINT64_C(1000000000) /* default, bytes a second */
#define OUTGOING_RATE_LEAST UINT64_C(10000)
#define OUTGOING_RATE_MOST UINT64_C(1000000000000)
#define OUTGOING_QUEUE PULLS_MAX

struct outgoing_pull {
	uint64_t stream;
	uint32_t number;
	uint32_t first;
	uint32_t mask; /* chunks not sent yet */
};

struct outgoing {
	uint64_t distinct;  /* bytes sent, each counted once */
	uint64_t repeated;  /* bytes sent again */
	uint64_t rate;	    /* bytes a second */
	uint64_t tokens;    /* bytes that may be sent now */
	uint64_t refilled;  /* when tokens were last added */
	uint64_t resume_at; /* the socket or the rate says: not before */
	uint64_t *sent;	    /* bitmap of chunks, made by the first PULL */
	uint32_t head, count;
	struct outgoing_pull queue[OUTGOING_QUEUE];
	uint8_t frames[PULL_MAX_CHUNKS][WIRE_MAX_FRAME]; /* without signature: heads only */
	struct iovec iov[PULL_MAX_CHUNKS][2];
	struct mmsghdr msgs[PULL_MAX_CHUNKS];
};

void outgoing_init(struct outgoing *up, uint64_t rate, uint64_t now);
void outgoing_free(struct outgoing *up);
/* Takes a PULL for this blob; one beyond the queue is lost, the relay repeats
 * it. Returns 0 or -ENOMEM. */
int outgoing_pull(struct outgoing *up, const struct input *b, const struct pull *p);
/* Sends what may be sent now. Returns 0, or -errno if the blob cannot be read. */
int outgoing_run(struct outgoing *up, struct input *b, struct udp *u, const struct contact *relay,
		 uint64_t now);
/* When outgoing_run() is due. */
uint64_t outgoing_due(const struct outgoing *up);

#endif
