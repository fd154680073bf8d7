/* SPDX-License-Identifier: BSD-3-Clause
 * Central answers a private relay's QUERY; on a hit it offers the blob to the
 * target itself.
 */
#include "control/core.h"
#include "control/transfer/peer.h"
#include "control/transfer/possession.h"

static possession_fn query_handle;

static const struct piece *blob_asked(struct control *ctl, const struct domain *d,
				      const struct ask *a)
{
	const struct relay *r = ctl->relay;

	if (d == NULL || (r->rules & (1u << a->rule)) == 0 || relay_hides(r, a->length))
		return NULL;
	return control_blob(ctl, a);
}

/* Decides about the source's proof. ANSWER_SERVING: there is nothing (more) to
 * prove. 0: it is being verified, or there is no room for that now. */
static uint8_t query_possession(struct control *ctl, const struct ask_carried *c,
				enum possession outcome)
{
	const struct ask *a = &c->ask;

	if (!ctl->relay->possession || a->length == 0 || outcome == POSSESSION_PROVEN)
		return ANSWER_SERVING;
	if (outcome == POSSESSION_WRONG)
		return ANSWER_FAILED; /* it may upload what it claims to have */
	if (c->cold.has_proof &&
	    ask_challenged(a, relay_keys(ctl->relay), &c->cold.proof.challenge)) {
		/* if that fails the private relay asks again */
		possession_verify(ctl, c, query_handle);
		return 0;
	}
	return ANSWER_CHALLENGE;
}

/* A hit: sends the OFFER, or makes the ticket for it. */
static enum answer_code query_serve(struct control *ctl, const struct ask_carried *c,
				    const struct domain *d, const struct piece *b,
				    struct ticket *ticket, uint8_t *reason)
{
	const struct ask_extras extras = ask_extras_of(&c->cold);
	const uint64_t now = control_seconds(ctl);
	const struct ask *a = &c->ask;

	ctl->stats.hits++;
	ctl->usage[d->slot].hits++;
	ctl->counters.query_hits++;
	*reason = (uint8_t)offer_refusal(ctl->relay, d, &a->target);
	if (*reason != REFUSE_NONE)
		return ANSWER_REFUSED;
	if (c->query.leased && offer_lease(ctl->relay, a->field, &a->target, now) == NULL) {
		answer_ticket(ctl->relay, a, b, now, ticket);
		return ANSWER_OFFER;
	}
	outbox_offer(ctl, a, &extras, b);
	return ANSWER_SERVING;
}

static void answer_send(struct control *ctl, const struct ask_carried *c, struct peer *peer,
			struct answer *a)
{
	struct rte_mbuf *m = outbox_alloc(ctl, c->ask.worker, &c->ask.home);

	a->nonce = peer->nonce++;
	a->time = ctl->wall_us / 1000;
	a->query_nonce = c->query.nonce;
	a->transfer = c->ask.key.transfer;
	a->leg = get16(c->ask.key.leg);
	if (m != NULL)
		outbox_send(ctl, m,
			    answer_encode(egress_payload(m), WIRE_MAX_FRAME, peer_field(peer),
					  c->query.conn, a, peer_key(peer)));
}

/* The QUERY was authentic, and its nonce fresh when it came. */
static void query_handle(struct control *ctl, const struct ask_carried *c, enum possession outcome)
{
	struct peer *peer = peer_find(ctl, c->query.pair >> 8);
	const struct domain *d = keyring_domain(relay_keyring(ctl->relay), ask_domain(&c->ask));
	const struct piece *b = blob_asked(ctl, d, &c->ask);
	struct answer a = {.code = ANSWER_FAILED};
	struct challenge challenge;
	struct ticket ticket;

	if (peer == NULL)
		return;
	ctl->counters.proofs += outcome == POSSESSION_PROVEN;
	ctl->counters.proof_failures += outcome == POSSESSION_WRONG;
	if (b == NULL)
		ctl->counters.misses++;
	else
		a.code = query_possession(ctl, c, outcome);
	if (a.code == 0)
		return;
	if (a.code == ANSWER_SERVING)
		a.code = (uint8_t)query_serve(ctl, c, d, b, &ticket, &a.reason);
	if (a.code == ANSWER_OFFER)
		a.ticket = &ticket;
	if (a.code == ANSWER_CHALLENGE) {
		ask_challenge(&c->ask, relay_keys(ctl->relay), &challenge);
		a.challenge = &challenge;
	}
	answer_send(ctl, c, peer, &a);
}

void handle_query(struct control *ctl, const struct ask_carried *c)
{
	struct peer *peer = peer_authenticate(ctl, c->query.pair, c->query.nonce, c->query.time);

	if (peer == NULL)
		return;
	peer_heard(ctl, peer, &c->ask.home, c->query.pair);
	ctl->counters.queries++;
	query_handle(ctl, c, POSSESSION_UNKNOWN);
}
