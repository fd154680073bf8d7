/* SPDX-License-Identifier: BSD-3-Clause
 * Relay to relay: pair keys, protection against replay, and the QUERYs and
 * NOTICEs between a private relay and central.
 */
#ifndef CONTROL_PEER_H
#define CONTROL_PEER_H

#include "control/config.h"
#include "dataplane/packet.h"
#include "wire/frame.h"

#define PEER_WINDOW 1024 /* nonces that may arrive out of order */

struct control;
struct request;
struct notice_pending;

struct peer {
	const struct peer_config *config;
	uint32_t key;			   /* the header's key field */
	struct addr addr;		   /* central: where the last authentic frame came from */
	uint64_t nonce;			   /* of our next frame */
	uint64_t highest;		   /* nonce seen */
	uint64_t window[PEER_WINDOW / 64]; /* which of the last PEER_WINDOW were seen */
};

struct peers {
	struct peer peer[CONFIG_PEERS]; /* private: [0] is upstream */
	uint32_t count;
	struct notice_pending *notices; /* not acknowledged yet */
};

void peers_init(struct control *ctl);
void peers_fini(struct control *ctl);

/* Who sent this frame? Checks key, trailer, clock and nonce; counts the drop
 * and returns NULL if any is wrong. nonce and time: of the frame. */
struct peer *peer_authenticate(struct control *ctl, const struct frame *f, uint64_t nonce,
			       uint64_t time_ms);

/* query.c: private */
void query_send(struct control *ctl, struct request *rq);
void handle_answer(struct control *ctl, const struct packet *p, const struct frame *f);
/* serve.c: central */
void handle_query(struct control *ctl, const struct packet *p, const struct frame *f);
/* notice.c: central reports a RECEIPT to the source's home relay ... */
void handle_foreign_receipt(struct control *ctl, const struct packet *p, const struct frame *f);
/* ... private passes it on and acknowledges, central sees the acknowledgement */
void handle_notice(struct control *ctl, const struct packet *p, const struct frame *f);

#endif
