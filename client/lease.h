/* SPDX-License-Identifier: BSD-3-Clause
 * A lease: a target's consent to a relay's OFFERs, renewed while it listens
 * and given back when it stops.
 */
#ifndef CLIENT_LEASE_H
#define CLIENT_LEASE_H

#include "client/hosts.h"
#include "client/peer.h"

#define LEASES_MAX 64
#define LEASE_SECONDS 60

struct lease {
	struct peer *peer;
	struct hosts hosts; /* what the relay's name stands for; peer is the one in use */
	uint64_t first;	    /* number of the first LISTEN or STOP since the last answer */
	uint64_t number;    /* of the newest one */
	uint64_t due;	    /* when to send the next, microseconds */
	uint64_t wait;	    /* and how long after it the one that follows */
	uint64_t busy;	    /* the least wait after the next ERROR(BUSY) */
	uint32_t unanswered;
	bool held;     /* the relay granted it */
	bool stopping; /* it is being given back */
	bool told;     /* that it is held, since it began or was lost */
	bool warned;   /* about a relay that does not answer, or not grant it */
};

struct ow_receiver;

void lease_init(struct lease *l, struct peer *peer, const struct hosts *hosts, uint64_t now);
/* Sends the LISTEN or STOP that is due. */
void lease_tick(struct ow_receiver *r, struct lease *l, uint64_t now);
uint64_t lease_due(const struct lease *l);
/* A LISTENING of its relay. */
void lease_answer(struct ow_receiver *r, struct lease *l, const struct listening *a, uint64_t now);
/* An ERROR about its LISTEN. */
void lease_error(struct ow_receiver *r, struct lease *l, const struct error *e, uint64_t now);
/* Gives it back. */
void lease_stop(struct lease *l, uint64_t now);
/* Nothing is left to give back. */
bool lease_ended(const struct lease *l);

#endif
