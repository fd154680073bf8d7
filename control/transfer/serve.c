/* SPDX-License-Identifier: BSD-3-Clause
 * Central answers a private relay's QUERY; on a hit it offers the blob to the
 * target itself.
 */
#include <stdlib.h>

#include "control/core.h"
#include "control/transfer/peer.h"
#include "control/transfer/possession.h"
#include "control/transfer/serve.h"

#define LOOKUPS_MAX 1024u /* QUERYs that wait for the store */

/* A QUERY whose blob is looked for; its repeats are not. */
struct lookup {
	struct control *ctl;
	struct ask_carried asked;
	enum possession outcome;
	struct store_get get;
	TAILQ_ENTRY(lookup) link;
};

static possession_fn query_handle;

/* Decides about the source's proof. ANSWER_SERVING: there is nothing (more) to
 * prove. 0: it is being verified, or there is no room for that now. */
static uint8_t query_possession(struct control *ctl, const struct ask_carried *c,
				enum possession outcome)
{
	const struct ask *a = &c->ask;

	if (!ctl->relay->possession || a->length == 0 || outcome == POSSESSION_PROVEN)
		return ANSWER_SERVING;
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
		answer_ticket(ctl->relay, a, now, ticket);
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

static void query_answer(struct control *ctl, const struct ask_carried *c, enum possession outcome,
			 enum store_answer found)
{
	struct peer *peer = peer_find(ctl, c->query.pair >> 8);
	const struct domain *d = keyring_domain(relay_keyring(ctl->relay), ask_domain(&c->ask));
	const struct piece *b = control_blob(ctl, &c->ask);
	struct answer a = {.code = ANSWER_FAILED};
	struct challenge challenge;
	struct ticket ticket;

	if (peer == NULL)
		return;
	if (found == STORE_HERE && d != NULL)
		a.code = query_possession(ctl, c, outcome);
	else
		ctl->counters.misses++;
	if (a.code == 0 || (a.code == ANSWER_SERVING && b == NULL))
		return; /* the private relay asks again */
	if (a.code == ANSWER_SERVING)
		a.code = (uint8_t)query_serve(ctl, c, d, b, &ticket, &a.reason);
	if (a.code == ANSWER_OFFER)
		a.ticket = &ticket;
	a.leased =
		offer_lease(ctl->relay, c->ask.field, &c->ask.target, control_seconds(ctl)) != NULL;
	if (a.code == ANSWER_CHALLENGE) {
		ask_challenge(&c->ask, relay_keys(ctl->relay), &challenge);
		a.challenge = &challenge;
	}
	answer_send(ctl, c, peer, &a);
}

/* ---- the store ---- */

static void lookup_free(struct lookup *l)
{
	struct lookups *ls = l->ctl->lookups;

	store_get_cancel(&l->get);
	TAILQ_REMOVE(&ls->all, l, link);
	ls->count--;
	free(l);
}

static void lookup_answered(struct store_get *g, enum store_answer answer)
{
	struct lookup *l = container_of(g, struct lookup, get);

	query_answer(l->ctl, &l->asked, l->outcome, answer);
	lookup_free(l);
}

static bool lookup_runs(const struct control *ctl, const struct ask_carried *c)
{
	const struct lookup *l;

	TAILQ_FOREACH (l, &ctl->lookups->all, link)
		if (l->asked.query.conn == c->query.conn && l->asked.query.pair == c->query.pair)
			return true;
	return false;
}

/* Without room the private relay asks again. */
static void lookup_begin(struct control *ctl, const struct ask_carried *c, enum possession outcome)
{
	const bool owes =
		ctl->relay->possession && c->ask.length > 0 && outcome != POSSESSION_PROVEN;
	struct lookups *ls = ctl->lookups;
	struct lookup *l;

	if (ls->count >= LOOKUPS_MAX || lookup_runs(ctl, c) || (l = calloc(1, sizeof(*l))) == NULL)
		return;
	l->ctl = ctl;
	l->asked = *c;
	l->outcome = outcome;
	l->get.name = ask_blob(&c->ask);
	l->get.want = owes ? STORE_PRESENCE : STORE_PIECE;
	l->get.fn = lookup_answered;
	TAILQ_INSERT_TAIL(&ls->all, l, link);
	ls->count++;
	store_get(&ctl->store, &l->get);
}

void lookups_init(struct control *ctl)
{
	TAILQ_INIT(&ctl->lookups->all);
}

void lookups_fini(struct control *ctl)
{
	while (!TAILQ_EMPTY(&ctl->lookups->all))
		lookup_free(TAILQ_FIRST(&ctl->lookups->all));
}

/* ---- QUERY ---- */

/* May it be told about the blob at all? */
static bool query_admitted(const struct control *ctl, const struct ask *a)
{
	const struct relay *r = ctl->relay;

	return keyring_domain(relay_keyring(r), ask_domain(a)) != NULL &&
	       (r->rules & (1u << a->rule)) != 0 && !relay_hides(r, a->length);
}

/* The QUERY was authentic, and its nonce fresh when it came. */
static void query_handle(struct control *ctl, const struct ask_carried *c, enum possession outcome)
{
	ctl->counters.proofs += outcome == POSSESSION_PROVEN;
	ctl->counters.proof_failures += outcome == POSSESSION_WRONG;
	if (outcome == POSSESSION_BUSY)
		return; /* the private relay asks again */
	/* who is wrong may upload what it claims to have */
	if (!query_admitted(ctl, &c->ask) || outcome == POSSESSION_WRONG ||
	    outcome == POSSESSION_ABSENT)
		query_answer(ctl, c, outcome, STORE_ABSENT);
	else if (control_blob(ctl, &c->ask) != NULL)
		query_answer(ctl, c, outcome, STORE_HERE);
	else if (ctl->store.kept)
		lookup_begin(ctl, c, outcome);
	else
		query_answer(ctl, c, outcome, STORE_ABSENT);
}

/* Private has it, but only we may push to this target. It asks again with each SEND, and is not
 * answered. */
static void query_held(struct control *ctl, const struct ask_carried *c)
{
	const struct ask_extras extras = ask_extras_of(&c->cold);
	const struct domain *d = keyring_domain(relay_keyring(ctl->relay), ask_domain(&c->ask));
	const struct partial p = {c->query.attempt, c->query.available};

	if (d == NULL)
		control_drop(ctl, DROP_KEY_UNKNOWN);
	else if (offer_refusal(ctl->relay, d, &c->ask.target) != REFUSE_NONE)
		control_drop(ctl, DROP_NO_LEASE);
	else
		outbox_offer_held(ctl, &c->ask, &extras, &c->ask.home, &c->query.ticket,
				  p.attempt != 0 ? &p : NULL);
}

void handle_query(struct control *ctl, const struct ask_carried *c)
{
	struct peer *peer = peer_authenticate(ctl, c->query.pair, c->query.nonce, c->query.time);

	if (peer == NULL)
		return;
	peer_heard(ctl, peer, &c->ask.home, c->query.pair);
	if (c->query.holding) {
		query_held(ctl, c);
		return;
	}
	ctl->counters.queries++;
	query_handle(ctl, c, POSSESSION_UNKNOWN);
}
