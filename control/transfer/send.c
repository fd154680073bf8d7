/* SPDX-License-Identifier: BSD-3-Clause
 * SENDs that workers cannot serve alone: a hit whose source must prove that it
 * holds the blob, and a miss, which becomes a request.
 */
#include "control/core.h"
#include "control/transfer/possession.h"
#include "control/transfer/request.h"

static void answer_refuse(struct control *ctl, const struct ask *a, enum refuse_reason reason)
{
	struct status s = {.code = STATUS_REFUSED, .reason = (uint8_t)reason};

	outbox_status(ctl, a, &s);
}

static possession_fn send_handle;

/* Does it bring what it was challenged to? */
static bool proof_brought(const struct control *ctl, const struct ask_carried *c)
{
	return c->cold.has_proof &&
	       ask_challenged(&c->ask, relay_keys(ctl->relay), &c->cold.proof.challenge);
}

/* The blob is in RAM. Has the source shown that it holds it, if it must? */
static void send_hit(struct control *ctl, const struct ask_carried *c, const struct domain *d,
		     const struct piece *b, enum possession outcome)
{
	const struct ask_extras extras = ask_extras_of(&c->cold);
	const struct ask *a = &c->ask;

	if (!ctl->relay->possession || a->length == 0 || outcome == POSSESSION_PROVEN) {
		ctl->stats.hits++;
		ctl->usage[d->slot].hits++;
		outbox_serving(ctl, a);
		outbox_offer(ctl, a, &extras, b);
	} else if (!proof_brought(ctl, c)) {
		outbox_challenge(ctl, a);
	} else if (!possession_verify(ctl, c, send_handle)) {
		outbox_busy(ctl, a);
	}
}

/* It is not in RAM: elsewhere in the store perhaps, or a miss. */
static void send_elsewhere(struct control *ctl, const struct ask_carried *c, const struct domain *d,
			   enum possession outcome)
{
	const struct ask *a = &c->ask;
	const bool proven = outcome == POSSESSION_PROVEN;

	if (a->length > ctl->relay->max_blob)
		answer_refuse(ctl, a, REFUSE_TOO_LARGE);
	else if (outcome == POSSESSION_UNKNOWN && ctl->relay->possession && ctl->store.kept &&
		 proof_brought(ctl, c) && possession_verify(ctl, c, send_handle))
		return;
	else if (!request_room(ctl, d, &a->key.source) || !request_begin(ctl, d, c, proven))
		outbox_busy(ctl, a);
}

/* The request of a source that shows that it was at another address before. NULL: there
 * is none. */
static struct request *request_followed(struct control *ctl, const struct ask_carried *c)
{
	const struct ask *a = &c->ask;
	struct ask_key old = a->key;
	struct request *rq;

	if (!c->has_moved || cookie_check(relay_keys(ctl->relay), &c->moved.cookie, &c->moved.addr,
					  a->conn, a->field) != DROP_NONE)
		return NULL;
	if (!addr_same_host(&c->moved.addr, &a->key.source) &&
	    *tally_of(&ctl->requests->hosts, &a->key.source) >= ctl->config->max_waiters_per_source)
		return NULL;
	old.source = c->moved.addr;
	rq = request_find(ctl, &old);
	if (rq == NULL || !ask_same(&rq->ask, a))
		return NULL;
	ctl->counters.sources_moved++;
	return rq;
}

static void send_handle(struct control *ctl, const struct ask_carried *c, enum possession outcome)
{
	const struct ask *a = &c->ask;
	const struct domain_keys *keys;
	const struct domain *d = keyring_find(relay_keyring(ctl->relay), a->field, &keys);
	struct request *rq;
	const struct piece *b;

	if (d == NULL) { /* retired since the worker looked */
		control_drop(ctl, DROP_KEY_UNKNOWN);
		return;
	}
	ctl->counters.proofs += outcome == POSSESSION_PROVEN;
	ctl->counters.proof_failures += outcome == POSSESSION_WRONG;
	rq = request_find(ctl, &a->key);
	if (rq == NULL)
		rq = request_followed(ctl, c);
	/* one that names another blob or target is no repeat: what it causes must not go
	 * to the first one's */
	if (rq != NULL && ask_same(&rq->ask, a)) {
		request_repeat(rq, c);
		return;
	}
	if (outcome == POSSESSION_WRONG) {
		answer_refuse(ctl, a, REFUSE_PROOF);
		return;
	}
	if (outcome == POSSESSION_BUSY) {
		outbox_busy(ctl, a);
		return;
	}
	b = relay_hides(ctl->relay, a->length) ? NULL : control_blob(ctl, a);
	if (b != NULL)
		send_hit(ctl, c, d, b, outcome);
	else if (rq == NULL)
		send_elsewhere(ctl, c, d, outcome);
	else
		control_drop(ctl, DROP_CONFLICT);
}

void handle_send_slow(struct control *ctl, const struct ask_carried *c)
{
	send_handle(ctl, c, POSSESSION_UNKNOWN);
}
