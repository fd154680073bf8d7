/* SPDX-License-Identifier: BSD-3-Clause
 * A lease: a target's consent to a relay's OFFERs, renewed while it listens
 * and given back when it stops.
 */
#ifndef CLIENT_LIB_SUBSCRIPTION_H
#define CLIENT_LIB_SUBSCRIPTION_H

#include "client/lib/hosts.h"
#include "client/lib/contact.h"

#define SUBSCRIPTIONS_MAX 64
#define SUBSCRIPTION_SECONDS 60

struct subscription {
	struct contact *peer;
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

void subscription_init(struct subscription *l, struct contact *peer, const struct hosts *hosts,
		       uint64_t now);
/* Sends the LISTEN or STOP that is due. */
void subscription_tick(struct ow_receiver *r, struct subscription *l, uint64_t now);
uint64_t subscription_due(const struct subscription *l);
/* A LISTENING of its relay. */
void subscription_answer(struct ow_receiver *r, struct subscription *l, const struct listening *a,
			 uint64_t now);
/* An ERROR about its LISTEN. */
void subscription_error(struct ow_receiver *r, struct subscription *l, const struct error *e,
			uint64_t now);
/* Gives it back. */
void subscription_stop(struct subscription *l, uint64_t now);
/* Nothing is left to give back. */
bool subscription_ended(const struct subscription *l);

#endif
