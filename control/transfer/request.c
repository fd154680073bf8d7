/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "control/core.h"
#include "control/transfer/peer.h"
#include "control/transfer/request.h"

#define KEEP_SECONDS 5 /* longer than a source waits before it repeats a SEND */

enum request_event {
	REPEATED, /* the SEND */
	/* the store */
	FOUND,
	ABSENT,
	UNREADABLE,
	/* central */
	SERVED,
	CHALLENGED,
	NOT_FOUND,
	/* the upload */
	CHANGED,
	PUT_OFF,
	FAILED,
	STORED,
	EXPIRED,
	REQUEST_EVENTS
};

/* ---- its life ---- */

/* It counts against the limits of its source and domain while it waits. */
static void request_count(struct request *rq, int by)
{
	if (rq->state == REQUEST_KEPT)
		return;
	*tally_of(&rq->ctl->requests->hosts, &rq->ask.key.source) += (uint32_t)by;
	rq->ctl->usage[rq->slot].requests += (uint64_t)(int64_t)by;
}

static void expiry_set(struct request *rq, uint32_t seconds)
{
	const struct timeval at = {.tv_sec = seconds};

	event_add(rq->expiry, &at);
}

/* Each repeat renews it, so a transfer may last for as long as it moves. */
static void deadline_set(struct request *rq)
{
	expiry_set(rq, ask_deadline(&rq->ask, control_seconds(rq->ctl)));
}

/* Out of what its state has it in. */
static void state_leave(struct request *rq)
{
	request_count(rq, -1);
	store_get_cancel(&rq->get);
	query_stop(&rq->query);
	upload_leave(rq->ctl, &rq->waiter);
	if (rq->state == REQUEST_KEPT)
		TAILQ_REMOVE(&rq->ctl->requests->kept, rq, kept);
}

static void request_free(struct request *rq)
{
	state_leave(rq);
	HASH_DELETE(hh, rq->ctl->requests->by_key, rq);
	query_fini(&rq->query);
	event_free(rq->expiry);
	free(rq);
}

static void request_look(struct request *rq);

static void state_enter(struct request *rq, enum request_state state)
{
	rq->state = state;
	request_count(rq, 1);
	if (state == REQUEST_KEPT) {
		TAILQ_INSERT_TAIL(&rq->ctl->requests->kept, rq, kept);
		expiry_set(rq, KEEP_SECONDS);
		return;
	}
	deadline_set(rq);
	if (state == REQUEST_LOOKING)
		request_look(rq);
	else if (state == REQUEST_ASKING)
		query_begin(&rq->query);
	else
		upload_join(rq->ctl, &rq->waiter);
}

static void state_change(struct request *rq, enum request_state state)
{
	state_leave(rq);
	state_enter(rq, state);
}

/* ---- what its source is told ---- */

static void request_status(struct request *rq, enum status_code code, enum refuse_reason reason,
			   uint64_t bytes)
{
	struct status s = {.code = (uint8_t)code, .reason = (uint8_t)reason, .bytes = bytes};

	outbox_status(rq->ctl, &rq->ask, &s);
}

/* Come again. */
static void status_wait(struct request *rq)
{
	struct status s = {.code = STATUS_WAITING, .retry_after = BUSY_RETRY_MS};

	outbox_status(rq->ctl, &rq->ask, &s);
}

/* Must its source show first that it holds the blob? Who waited for another's upload has
 * shown nothing yet. */
static bool request_owes(const struct request *rq)
{
	return rq->ctl->relay->possession && !rq->uploaded && !rq->proven && rq->ask.length > 0;
}

/* A SEND causes one OFFER, whatever its request comes to. */
static bool offer_owed(struct request *rq)
{
	const bool owed = rq->owes_offer;

	rq->owes_offer = false;
	return owed;
}

static void request_offer(struct request *rq, const struct ask_extras *extras,
			  const struct piece *b)
{
	if (!offer_owed(rq))
		return;
	if (query_can_hold(&rq->query))
		query_hold(&rq->query, NULL);
	else
		outbox_offer(rq->ctl, &rq->ask, extras, b);
}

/* The blob is there: OFFER to the target, STATUS to the source, or a challenge, if it has
 * to prove something first; or it has to be brought into RAM. Ends the request, or looks. */
static void request_serve(struct request *rq)
{
	const struct ask_extras extras = ask_extras_of(&rq->cold);
	const struct piece *b;

	if (request_owes(rq)) {
		outbox_challenge(rq->ctl, &rq->ask);
		request_free(rq);
		return;
	}
	b = control_blob(rq->ctl, &rq->ask);
	if (b == NULL) {
		state_change(rq, REQUEST_LOOKING);
		return;
	}
	outbox_serving(rq->ctl, &rq->ask);
	request_offer(rq, &extras, b);
	if (rq->uploaded && relay_hides(rq->ctl->relay, rq->ask.length))
		state_change(rq, REQUEST_KEPT); /* its next SEND must not ask for another upload */
	else
		request_free(rq);
}

/* ---- events ---- */

/* Central is asked of what it may be asked, and before an upload. */
static enum request_state state_of_miss(const struct control *ctl, const struct ask *a)
{
	const bool alone = ctl->relay->central || ctl->peers->count == 0;

	return alone || relay_hides(ctl->relay, a->length) ? REQUEST_WAITING : REQUEST_ASKING;
}

static void still_working(struct request *rq)
{
	request_status(rq, STATUS_WORKING, REFUSE_NONE, 0);
}

static void looking_found(struct request *rq)
{
	if (!rq->uploaded && !request_owes(rq)) {
		rq->ctl->stats.hits++;
		rq->ctl->usage[rq->slot].hits++;
	}
	request_serve(rq);
}

/* It is not here: where it goes from there. */
static enum request_state request_missed(struct request *rq)
{
	const enum request_state next = state_of_miss(rq->ctl, &rq->ask);

	rq->ctl->counters.misses++;
	if (next == REQUEST_ASKING) {
		still_working(rq);
		rq->ctl->counters.queries++;
	}
	return next;
}

static void looking_absent(struct request *rq)
{
	state_change(rq, request_missed(rq));
}

static void look_later(struct request *rq)
{
	outbox_busy(rq->ctl, &rq->ask);
	request_free(rq);
}

static void asking_served(struct request *rq)
{
	request_status(rq, STATUS_SERVING_CENTRAL, REFUSE_NONE, 0);
	state_change(rq, REQUEST_KEPT);
}

static void asking_challenged(struct request *rq)
{
	struct status s = {.code = STATUS_CHALLENGE, .challenge = &rq->query.challenge};

	outbox_status(rq->ctl, &rq->ask, &s);
	state_change(rq, REQUEST_KEPT);
}

static void asking_not_found(struct request *rq)
{
	state_change(rq, REQUEST_WAITING);
}

/* What has come of the upload is offered, if the target may have it. */
static void partial_offer(struct request *rq)
{
	const bool own_only = request_owes(rq) || relay_hides(rq->ctl->relay, rq->ask.length);
	const struct ask_extras extras = ask_extras_of(&rq->cold);
	const struct attempt *a = upload_offered(&rq->waiter, own_only);
	struct partial p;

	if (a == NULL || !offer_owed(rq))
		return;
	p = (struct partial){.attempt = a->number, .available = a->contiguous};
	if (query_can_hold(&rq->query))
		query_hold(&rq->query, &p);
	else
		outbox_offer_partial(rq->ctl, &rq->ask, &extras, &p);
}

static void waiting_stands(struct request *rq)
{
	struct status s = upload_stands(&rq->waiter);

	outbox_status(rq->ctl, &rq->ask, &s);
	partial_offer(rq);
}

static void come_again(struct request *rq)
{
	status_wait(rq);
	request_free(rq);
}

static void waiting_failed(struct request *rq)
{
	if (rq->waiter.reason == REFUSE_BUSY)
		outbox_busy(rq->ctl, &rq->ask);
	else
		request_status(rq, STATUS_REFUSED, rq->waiter.reason, 0);
	request_free(rq);
}

static void waiting_stored(struct request *rq)
{
	rq->uploaded = rq->waiter.brought;
	if (rq->uploaded)
		request_status(rq, STATUS_STORED, REFUSE_NONE, rq->ask.length);
	request_serve(rq);
}

/* Central repeats its OFFER, which the target answers. What was uploaded is there. */
static void kept_repeated(struct request *rq)
{
	if (rq->uploaded)
		request_serve(rq);
	else
		state_change(rq, REQUEST_ASKING);
}

typedef void request_fn(struct request *rq);

/* What does not stand here cannot happen: news ends with the state it is for. */
static request_fn *const table[REQUEST_STATES][REQUEST_EVENTS] = {
	[REQUEST_LOOKING] =
		{
			[REPEATED] = still_working,
			[FOUND] = looking_found,
			[ABSENT] = looking_absent,
			[UNREADABLE] = look_later,
			[EXPIRED] = come_again,
		},
	[REQUEST_ASKING] =
		{
			[REPEATED] = still_working,
			[SERVED] = asking_served,
			[CHALLENGED] = asking_challenged,
			[NOT_FOUND] = asking_not_found,
			[EXPIRED] = come_again,
		},
	[REQUEST_WAITING] =
		{
			[REPEATED] = waiting_stands,
			[CHANGED] = waiting_stands,
			[PUT_OFF] = come_again,
			[FAILED] = waiting_failed,
			[STORED] = waiting_stored,
			[EXPIRED] = come_again,
		},
	[REQUEST_KEPT] =
		{
			[REPEATED] = kept_repeated,
			[EXPIRED] = request_free,
		},
};

static void request_happens(struct request *rq, enum request_event event)
{
	request_fn *fn = table[rq->state][event];

	if (fn != NULL)
		fn(rq);
}

static void request_answered(struct store_get *g, enum store_answer answer)
{
	static const enum request_event event[] = {
		[STORE_HERE] = FOUND,
		[STORE_ABSENT] = ABSENT,
		[STORE_FAILED] = UNREADABLE,
	};

	request_happens(container_of(g, struct request, get), event[answer]);
}

static void request_look(struct request *rq)
{
	rq->get.name = ask_blob(&rq->ask);
	rq->get.want = request_owes(rq) ? STORE_PRESENCE : STORE_PIECE;
	rq->get.fn = request_answered;
	store_get(&rq->ctl->store, &rq->get);
}

static void request_expired(evutil_socket_t fd, short what, void *arg)
{
	struct request *rq = arg;

	(void)fd;
	(void)what;
	control_clock(rq->ctl);
	request_happens(rq, EXPIRED);
}

static void queries_act(struct control *ctl)
{
	static const enum request_event event[] = {
		[QUERY_SERVED] = SERVED,
		[QUERY_CHALLENGED] = CHALLENGED,
		[QUERY_FAILED] = NOT_FOUND,
	};
	struct inquiry *iq;

	while ((iq = TAILQ_FIRST(&ctl->queries->news)) != NULL) {
		const enum query_news news = iq->news;

		TAILQ_REMOVE(&ctl->queries->news, iq, link);
		iq->news = QUERY_QUIET;
		request_happens(container_of(iq, struct request, query), event[news]);
	}
}

static void waiters_act(struct control *ctl)
{
	static const enum request_event event[] = {
		[WAITER_CHANGED] = CHANGED,
		[WAITER_PUT_OFF] = PUT_OFF,
		[WAITER_FAILED] = FAILED,
		[WAITER_STORED] = STORED,
	};
	struct waiter *w;

	while ((w = TAILQ_FIRST(&ctl->uploads->news)) != NULL) {
		const enum waiter_news news = w->news;

		TAILQ_REMOVE(&ctl->uploads->news, w, news_link);
		w->news = WAITER_QUIET;
		request_happens(container_of(w, struct request, waiter), event[news]);
	}
}

/* What one does may give another one work, which must not wait for the next event. */
void requests_pump(struct control *ctl)
{
	do {
		attempts_pump(ctl);
		uploads_pump(ctl);
		queries_act(ctl);
		waiters_act(ctl);
	} while (!TAILQ_EMPTY(&ctl->attempts->dirty));
}

/* ---- beginning and repeating ---- */

void requests_init(struct control *ctl)
{
	TAILQ_INIT(&ctl->requests->kept);
	tally_init(&ctl->requests->hosts);
}

void requests_fini(struct control *ctl)
{
	struct request *rq, *next;

	HASH_ITER(hh, ctl->requests->by_key, rq, next)
	request_free(rq);
}

bool request_room(struct control *ctl, const struct domain *d, const struct addr *source)
{
	struct requests *rs = ctl->requests;

	if (d->max_requests > 0 && ctl->usage[d->slot].requests >= d->max_requests) {
		ctl->usage[d->slot].refused++;
		return false;
	}
	if (*tally_of(&rs->hosts, source) >= ctl->config->max_waiters_per_source)
		return false;
	if (HASH_COUNT(rs->by_key) >= ctl->config->max_waiters && !TAILQ_EMPTY(&rs->kept))
		request_free(TAILQ_FIRST(&rs->kept));
	return HASH_COUNT(rs->by_key) < ctl->config->max_waiters;
}

bool request_begin(struct control *ctl, const struct domain *d, const struct ask_carried *c,
		   bool proven)
{
	struct request *rq = calloc(1, sizeof(*rq));

	if (rq == NULL)
		return false;
	rq->ctl = ctl;
	rq->ask = c->ask;
	rq->cold = c->cold;
	rq->slot = d->slot;
	rq->proven = proven;
	rq->owes_offer = true;
	rq->waiter.ask = &rq->ask;
	rq->waiter.heard = ctl->now_us;
	rq->expiry = evtimer_new(ctl->base, request_expired, rq);
	if (rq->expiry == NULL || query_init(&rq->query, ctl, &rq->ask, &rq->cold) < 0) {
		if (rq->expiry != NULL)
			event_free(rq->expiry);
		free(rq);
		return false;
	}
	HASH_ADD(hh, ctl->requests->by_key, ask.key, sizeof(rq->ask.key), rq);
	/* a store that is more than RAM is looked into first */
	if (ctl->store.kept && !relay_hides(ctl->relay, rq->ask.length))
		state_enter(rq, REQUEST_LOOKING);
	else
		state_enter(rq, request_missed(rq));
	return true;
}

struct request *request_find(struct control *ctl, const struct ask_key *key)
{
	struct request *rq;

	HASH_FIND(hh, ctl->requests->by_key, key, sizeof(*key), rq);
	return rq;
}

/* Under another key, and counted for another host. */
static void request_move(struct request *rq, const struct ask *ask)
{
	request_count(rq, -1);
	HASH_DELETE(hh, rq->ctl->requests->by_key, rq);
	rq->ask = *ask;
	HASH_ADD(hh, rq->ctl->requests->by_key, ask.key, sizeof(rq->ask.key), rq);
	request_count(rq, 1);
	upload_move(&rq->waiter);
}

void request_repeat(struct request *rq, const struct ask_carried *c)
{
	if (memcmp(&rq->ask.key, &c->ask.key, sizeof(rq->ask.key)) != 0)
		request_move(rq, &c->ask);
	rq->ask = c->ask;
	rq->cold.has_proof = c->cold.has_proof;
	rq->cold.proof = c->cold.proof;
	rq->waiter.heard = rq->ctl->now_us;
	rq->owes_offer = true;
	if (rq->state != REQUEST_KEPT)
		deadline_set(rq);
	if (c->cold.has_vouch)
		upload_vouch(&rq->waiter, &c->cold.vouch);
	request_happens(rq, REPEATED);
}
