/* SPDX-License-Identifier: BSD-3-Clause
 * SENDs that workers cannot serve alone: a hit whose source must prove that it
 * holds the blob, and a miss, which becomes a request.
 */
#include "control/attempt.h"
#include "control/control.h"

/* A SEND that is answered without becoming a request. */
struct arrival {
	struct control *ctl;
	const struct packet *p;
	const struct frame *f;
	const struct domain *d;
	struct send s;
};

static void answer_status(const struct arrival *a, enum status_code code, enum refuse_reason reason,
			  const struct challenge *challenge)
{
	const struct status s = {
		.transfer = a->s.transfer,
		.challenge = challenge,
		.leg = a->s.leg,
		.code = (uint8_t)code,
		.reason = (uint8_t)reason,
	};

	outbox_status(a->ctl, a->p->worker, &a->p->peer, a->f->key, a->f->conn, &s);
}

static void answer_busy(const struct arrival *a)
{
	const struct error e = {
		.code = ERROR_BUSY,
		.verb = VERB_SEND,
		.retry_after = BUSY_RETRY_MS,
	};

	outbox_error(a->ctl, a->p->worker, &a->p->peer, a->f->key, a->f->conn, &e);
}

static void answer_hit(const struct arrival *a, const struct blob *b)
{
	const struct offer_request q = {
		.transfer = a->s.transfer,
		.target = a->s.target,
		.source = &a->p->peer,
		.home = &a->ctl->relay->self,
		.meta = a->s.meta,
		.meta_len = a->s.meta_len,
		.leg = a->s.leg,
		.key = a->f->key,
		.deadline = a->s.deadline,
		.source_conn = a->f->conn,
		.sealed_key = a->s.sealed_key,
		.send_size = a->p->frame_len,
	};

	a->ctl->stats.hits++;
	a->ctl->usage[a->d->slot].hits++;
	answer_status(a, status_serving(a->ctl), REFUSE_NONE, NULL);
	control_offer(a->ctl, a->p->worker, &q, b);
}

static possession_fn send_handle;

/* The blob is here. Has the source shown that it holds it, if it must? */
static void send_hit(const struct arrival *a, const struct blob *b, enum possession outcome)
{
	struct control *ctl = a->ctl;
	const struct challenge_request claim = {
		.source = &a->p->peer,
		.transfer = a->s.transfer,
		.id = a->s.id,
		.leg = a->s.leg,
		.rule = a->s.rule,
		.key = a->f->key,
		.length = a->s.length,
	};
	struct challenge challenge;

	if (!ctl->relay->possession || a->s.length == 0 || outcome == POSSESSION_PROVEN) {
		answer_hit(a, b);
	} else if (outcome == POSSESSION_WRONG) {
		answer_status(a, STATUS_REFUSED, REFUSE_PROOF, NULL);
	} else if (a->s.proof == NULL ||
		   !challenge_check(relay_keys(ctl->relay), &a->s.proof->challenge, &claim)) {
		challenge_mint(relay_keys(ctl->relay), &claim, &challenge);
		answer_status(a, STATUS_CHALLENGE, REFUSE_NONE, &challenge);
	} else if (!possession_verify(ctl, a->p, a->f, b, send_handle)) {
		answer_busy(a);
	}
}

static void send_miss(const struct arrival *a, const struct request_key *key)
{
	struct control *ctl = a->ctl;
	struct request *rq = NULL;

	if (a->s.length > ctl->relay->slab.max_blob) {
		answer_status(a, STATUS_REFUSED, REFUSE_TOO_LARGE, NULL);
		return;
	}
	if (request_room(ctl, a->d, &a->p->peer))
		rq = request_create(ctl, key, a->d, a->p, a->f, &a->s);
	if (rq == NULL) {
		answer_busy(a);
		return;
	}
	ctl->counters.misses++;
	if (ctl->relay->central || ctl->peers.count == 0 || relay_hides(ctl->relay, a->s.length)) {
		request_upload(rq);
		return;
	}
	request_status(rq, STATUS_WORKING, REFUSE_NONE, 0);
	ctl->counters.queries++;
	query_send(ctl, rq);
}

/* The request of a source that shows that it was at another address before: it goes on
 * under the new one. NULL: there is none. */
static struct request *request_followed(const struct arrival *a, const struct request_key *key)
{
	const struct moved *m = a->s.moved;
	struct control *ctl = a->ctl;
	struct request_key old = *key;
	struct request *rq;

	if (m == NULL || cookie_check(relay_keys(ctl->relay), &m->cookie, &m->addr, a->f->conn,
				      a->f->key) != DROP_NONE)
		return NULL;
	if (!addr_same_host(&m->addr, &a->p->peer) &&
	    *tally_of(&ctl->requests.hosts, &a->p->peer) >= ctl->config->max_waiters_per_source)
		return NULL;
	old.source = m->addr;
	HASH_FIND(hh, ctl->requests.by_key, &old, sizeof(old), rq);
	if (rq == NULL || !request_is(rq, a->d, &a->s))
		return NULL;
	ctl->counters.sources_moved++;
	request_move(rq, key);
	request_update(rq, a->p, a->f, &a->s);
	if (rq->attempt != NULL)
		attempt_move(rq->attempt);
	return rq;
}

static void send_handle(struct control *ctl, const struct packet *p, const struct frame *f,
			enum possession outcome)
{
	struct request_key key = {.source = p->peer};
	const struct domain_keys *keys;
	struct arrival a = {
		.ctl = ctl,
		.p = p,
		.f = f,
		.d = keyring_find(relay_keyring(ctl->relay), f->key, &keys),
	};
	const struct blob *b;
	struct request *rq;

	if (a.d == NULL) { /* retired since the worker looked */
		control_drop(ctl, DROP_KEY_UNKNOWN);
		return;
	}
	if (send_decode(f, &a.s) != DROP_NONE)
		return; /* the worker decoded it before */
	ctl->counters.proofs += outcome == POSSESSION_PROVEN;
	ctl->counters.proof_failures += outcome == POSSESSION_WRONG;
	memcpy(key.transfer, a.s.transfer, sizeof(key.transfer));
	key.leg = put16(a.s.leg);
	HASH_FIND(hh, ctl->requests.by_key, &key, sizeof(key), rq);
	if (rq == NULL)
		rq = request_followed(&a, &key);
	if (rq != NULL && request_is(rq, a.d, &a.s)) {
		request_update(rq, p, f, &a.s);
		request_again(rq);
		return;
	}
	b = relay_hides(ctl->relay, a.s.length)
		    ? NULL
		    : control_blob(ctl, a.d->id, a.s.id, a.s.rule, a.s.length);
	if (b != NULL)
		send_hit(&a, b, outcome);
	else if (rq == NULL)
		send_miss(&a, &key);
	else
		control_drop(ctl, DROP_CONFLICT);
}

void handle_send_slow(struct control *ctl, const struct packet *p, const struct frame *f)
{
	send_handle(ctl, p, f, POSSESSION_UNKNOWN);
}
