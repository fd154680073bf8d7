/* SPDX-License-Identifier: BSD-3-Clause
 * What an ask is answered with: frames to its source, and the OFFER to its target,
 * each written into a buffer of at least WIRE_MAX_FRAME bytes. Worker and control
 * differ only in how the buffer leaves, and in how they sign for members.
 *
 * All return the frame's length, without a trailer; 0: there is no such frame.
 */
#ifndef DATAPLANE_ANSWER_H
#define DATAPLANE_ANSWER_H

#include "dataplane/ask.h"
#include "dataplane/relay.h"
#include "dataplane/stats.h"

#define BUSY_RETRY_MS 1000 /* what ERROR(BUSY) and STATUS(WAITING) ask for */

/* Sets the ask's transfer and leg in s. */
size_t answer_status(const struct ask *a, struct status *s, uint8_t *buf);
/* STATUS(CHALLENGE), with a challenge for this ask. */
size_t answer_challenge(const struct ask *a, const struct token_ring *keys, uint8_t *buf);
/* ERROR(BUSY): come back later. */
size_t answer_busy(const struct ask *a, uint8_t *buf);

/* What an OFFER waits for: its ticket's MAC, and under a lease its echo. A worker has them
 * hashed with those of its burst. */
struct offer_macs {
	struct ticket_mac ticket;
	struct sip echo;
	uint64_t unix_seconds;
	bool leased;
	uint16_t blob; /* bytes at the frame's end that are the blob; 0: it is not in it, */
	uint16_t sum;  /* and their one's-complement sum */
};
void offer_macs_hash(struct offer_macs *m, unsigned int n);
/* buf: the OFFER's frame. */
void offer_macs_write(const struct offer_macs *m, uint8_t *buf);

/* What is here of a blob that is still uploaded. */
struct partial {
	uint64_t attempt; /* what targets name it by */
	uint32_t available;
};

/* The OFFER of the ask's blob, but for its MACs: of a READY one, whose head is b, or (NULL) of what
 * `partial` says is here. With a lease it carries an echo, and a small blob
 * itself. Without one it is padded to, and never larger than, the SEND that caused it; 0, counted,
 * if it cannot be that small. */
size_t answer_offer(const struct relay *r, const struct ask *a, const struct ask_extras *e,
		    const struct piece *b, const struct partial *partial, const struct lease *lease,
		    uint64_t unix_seconds, uint8_t *buf, struct stats *stats,
		    struct offer_macs *macs);
/* The right to pull it. */
void answer_ticket(const struct relay *r, const struct ask *a, uint64_t unix_seconds,
		   struct ticket *out);

#endif
