/* SPDX-License-Identifier: BSD-3-Clause
 * Relay to relay: pair keys, protection against replay, and the QUERYs and
 * NOTICEs between a private relay and central.
 */
#ifndef CONTROL_TRANSFER_PEER_H
#define CONTROL_TRANSFER_PEER_H

#include <jansson.h>

#include "control/config/config.h"
#include "control/base/health.h"
#include "dataplane/packet.h"
#include "wire/frame.h"

#define PEER_WINDOW 1024 /* nonces that may arrive out of order */

struct ask_carried;
struct control;
struct notice_pending;

struct peer {
	struct key_set keys;		   /* id 0: this place is free */
	uint32_t generation;		   /* which of them ours are signed with */
	struct addr configured;		   /* ADDR_NONE: anywhere */
	struct addr addr;		   /* central: where the last QUERY came from */
	uint64_t nonce;			   /* of our next frame */
	uint64_t highest;		   /* nonce seen, 0: none */
	uint64_t window[PEER_WINDOW / 64]; /* which of the last PEER_WINDOW were seen */
	/* A run of nonces that follow each other: its first; the highest before it */
	uint64_t run;
	uint64_t before;
	/* Seen while a clock was ahead: never again. Both 0: none. */
	uint64_t barred_from;
	uint64_t barred_to;
	int64_t clock_ahead_ms; /* of ours; way and waiting included */
	uint64_t heard_us;	/* monotonic, when its last good frame came; 0: never */
	struct health_item clock;
};

struct peers {
	struct peer peer[CONFIG_PEERS]; /* private: [0] is upstream */
	uint32_t count;			/* places up to the last that is used */
	struct notice_pending *notices; /* not acknowledged yet */
};

/* The header's key field of a frame to the peer, and the key of its trailer. */
static inline uint32_t peer_field(const struct peer *p)
{
	return key_set_field(&p->keys, p->generation);
}

static inline const uint8_t *peer_key(const struct peer *p)
{
	return p->keys.key[p->generation].key;
}

/* Makes the peers those of a configuration. Who was one before keeps its
 * nonces, and its address unless the configuration has another one now. */
void peers_update(struct control *ctl, const struct config *c);
void peers_fini(struct control *ctl);
/* Their frames are no strangers'. To be said again and again: marks get lost. */
void peers_mark(struct control *ctl);

/* The host's clock was set: numbers go on from where it is now. */
void peers_clock_set(struct control *ctl);
/* Once a second. */
void peers_review(struct control *ctl);
/* For `oncewire status`: an object for each, by name; what is wrong to `problems`. */
json_t *peers_status(const struct control *ctl, json_t *problems);

/* By the pair's id, NULL if there is none; id 0 finds a free place. */
struct peer *peer_find(struct control *ctl, uint32_t id);

/* Who sent this frame, whose trailer the worker has checked? Checks clock and
 * nonce; counts the drop and returns NULL if any is wrong. field (of the key), nonce
 * and time: of the frame. */
struct peer *peer_authenticate(struct control *ctl, uint32_t field, uint64_t nonce,
			       uint64_t time_ms);

/* Central has an authentic QUERY: where the peer is now, and which generation
 * of the pair's key it has. */
void peer_heard(struct control *ctl, struct peer *p, const struct addr *from, uint32_t field);

/* query.c: private */
void handle_answer(struct control *ctl, const struct packet *p, const struct frame *f);
/* serve.c: central */
void handle_query(struct control *ctl, const struct ask_carried *c);
/* notice.c: central reports a RECEIPT to the source's home relay ... */
void handle_foreign_receipt(struct control *ctl, const struct packet *p, const struct frame *f);
/* The peer is gone: so are the outcomes that it has not acknowledged. */
void notices_forget(struct control *ctl, const struct peer *peer);
/* ... private passes it on and acknowledges, central sees the acknowledgement */
void handle_notice(struct control *ctl, const struct packet *p, const struct frame *f);

#endif
