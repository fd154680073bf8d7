/* SPDX-License-Identifier: BSD-3-Clause
 * OFFERs, as a worker makes them on a hit and control after an upload or for a
 * peer: the one place that decides what a target may be sent unasked.
 */
#ifndef DATAPLANE_OFFER_H
#define DATAPLANE_OFFER_H

#include "dataplane/relay.h"

struct offer_request {
	const uint8_t *transfer;
	const struct addr *target;
	const struct addr *source;
	const struct addr *home; /* the relay that the source spoke to */
	const uint8_t *meta;
	uint8_t meta_len;
	uint16_t leg;
	uint32_t key;		   /* the source's, as its frames have it */
	const uint8_t *sealed_key; /* NULL: not encrypted */
	uint32_t deadline;
	uint64_t source_conn;
	uint32_t send_size; /* IP bytes of the SEND that caused this */
};

/* The ticket for a blob's delivery. */
void offer_ticket(const struct relay *r, const struct offer_request *q, const struct blob *b,
		  uint64_t unix_seconds, struct ticket *out);

/* Writes the OFFER of a READY blob into buf (at least WIRE_MAX_FRAME bytes) and
 * returns its length. With a live lease it carries an echo, and the blob itself
 * if it fits (*is_inline). Without one it is padded to, and never larger than,
 * the SEND that caused it: 0 if it cannot be that small. */
size_t offer_build(const struct relay *r, const struct offer_request *q, const struct blob *b,
		   const struct lease *lease, uint64_t unix_seconds, uint8_t *buf, bool *is_inline);

/* per_second: OFFERs to one target. */
void offer_budget_init(struct offer_budget *b, uint32_t per_second, uint64_t seed);
bool offer_allowed(struct offer_budget *b, const struct addr *source, const struct addr *target,
		   uint64_t now_us);

/* Why this relay will not send to a target at all for this domain's members;
 * REFUSE_NONE if it will. */
enum refuse_reason offer_refusal(const struct relay *r, const struct domain *d,
				 const struct addr *target);

/* The target's live lease, if it was given to this domain; NULL: none. */
const struct lease *offer_lease(const struct relay *r, uint32_t key, const struct addr *target,
				uint64_t unix_seconds);

#endif
