/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include <sodium.h>

#include "control/core.h"
#include "control/net/router.h"
#include "control/transfer/adopt.h"
#include "control/transfer/parked.h"
#include "control/transfer/sweep.h"
#include "control/transfer/upload.h"

#define LIVELY_US 3000000u     /* a source repeats its SEND every second */
#define JUDGE_US 2000000u      /* a rate is of so long a time */
#define BESIDE_US 5000000u     /* an upload that needs no longer is not worth a second one */
#define VOUCH_US 10000000u     /* a source is waited for that is to vouch, and */
#define VOUCH_RATE 20u	       /* as long as it takes to read, at so many bytes a microsecond; */
#define VOUCH_TURN_US 2000000u /* but others are asked meanwhile */
#define RATE_LEAST 10000u      /* bytes a second, while another source waits */

void uploads_init(struct control *ctl)
{
	TAILQ_INIT(&ctl->uploads->news);
}

/* ---- who waits ---- */

static void waiter_tell(struct control *ctl, struct waiter *w, enum waiter_news news)
{
	if (w->news == WAITER_QUIET)
		TAILQ_INSERT_TAIL(&ctl->uploads->news, w, news_link);
	w->news = news;
}

/* Out of the upload, for good or until it joins again. */
static void waiter_out(struct upload *u, struct waiter *w, enum waiter_news news)
{
	TAILQ_REMOVE(&u->waiters, w, link);
	w->upload = NULL;
	if (u->voucher == w)
		u->voucher = NULL;
	if (news != WAITER_QUIET)
		waiter_tell(u->ctl, w, news);
}

static void waiter_fail(struct upload *u, struct waiter *w, enum refuse_reason reason)
{
	u->ctl->counters.upload_failures += reason != REFUSE_BUSY;
	w->reason = reason;
	waiter_out(u, w, WAITER_FAILED);
}

struct status upload_stands(const struct waiter *w)
{
	const struct attempt *a = w->attempt;
	struct status s = {.code = STATUS_WAITING};

	if (w->upload != NULL && w->upload->voucher == w && w->kept > 0) {
		s.code = STATUS_UPLOAD;
		s.bytes = (uint64_t)w->kept * CHUNK_SIZE;
		s.challenge = &w->challenge;
	} else if (a != NULL && pullwin_complete(&a->window)) {
		s.code = STATUS_WORKING;
	} else if (a != NULL) {
		s.code = STATUS_UPLOAD;
		s.bytes = (uint64_t)a->window.pulls.have * CHUNK_SIZE;
	}
	return s;
}

const struct attempt *upload_offered(const struct waiter *w, bool own_only)
{
	const struct attempt *a, *found = NULL;

	if (w->attempt != NULL || own_only || w->upload == NULL)
		return w->attempt != NULL && w->attempt->shown ? w->attempt : NULL;
	TAILQ_FOREACH (a, &w->upload->attempts, beside_link)
		if (a->shown && (found == NULL || a->contiguous > found->contiguous))
			found = a;
	return found;
}

/* ---- attempts of one upload ---- */

static void upload_enter(struct upload *u, struct waiter *w, struct attempt *a)
{
	w->passed = false;
	w->attempt = a;
	TAILQ_INSERT_TAIL(&u->attempts, a, beside_link);
	u->attempt_count++;
	waiter_tell(u->ctl, w, WAITER_CHANGED);
}

static void upload_out(struct upload *u, struct attempt *a)
{
	TAILQ_REMOVE(&u->attempts, a, beside_link);
	u->attempt_count--;
	a->owner->attempt = NULL;
}

static void upload_end(struct upload *u, struct attempt *a)
{
	upload_out(u, a);
	attempt_end(a);
}

static void upload_park(struct upload *u, struct attempt *a)
{
	upload_out(u, a);
	attempt_park(a, &u->key);
}

/* Until when a source, or the relay itself, may read what is parked. */
static uint64_t vouch_time(const struct control *ctl, const struct attempt *parked)
{
	return ctl->now_us + VOUCH_US + (uint64_t)parked->hashed * CHUNK_SIZE / VOUCH_RATE;
}

/* The one who is to vouch is told for what. */
static void vouch_ask(struct upload *u, const struct attempt *parked)
{
	struct waiter *w = u->voucher;

	randombytes_buf(&w->challenge, sizeof(w->challenge));
	w->kept = parked->hashed;
	w->kept_of = parked->number;
	w->vouch_until = vouch_time(u->ctl, parked);
	waiter_tell(u->ctl, w, WAITER_CHANGED);
}

/* Is it asked for what is parked now, and may still answer? */
static bool vouch_awaited(const struct waiter *w, const struct attempt *parked)
{
	return w->kept > 0 && parked->rested && w->kept_of == parked->number &&
	       w->kept == parked->hashed;
}

/* Lets it upload, or vouch first. */
static enum refuse_reason upload_start(struct upload *u, struct waiter *w)
{
	struct attempt *parked = parked_find(u->ctl, &u->key), *a;
	enum refuse_reason reason;

	if (parked != NULL && !w->fresh) {
		u->voucher = w;
		u->voucher_since = u->ctl->now_us;
		if (vouch_awaited(w, parked))
			return REFUSE_NONE;
		w->kept = 0;
		w->vouch_until = vouch_time(u->ctl, parked);
		if (parked->rested)
			vouch_ask(u, parked);
		else if (parked->cold)
			adopt_warm(parked);
		return REFUSE_NONE;
	}
	reason = attempt_start(u->ctl, w, w->ask, &a);
	if (reason == REFUSE_NONE)
		upload_enter(u, w, a);
	return reason;
}

static void upload_free(struct upload *u)
{
	HASH_DEL(u->ctl->uploads->by_key, u);
	free(u);
}

/* Does a source on this host upload it already, and move? */
static bool upload_by(const struct upload *u, const struct addr *host)
{
	const struct attempt *a;

	TAILQ_FOREACH (a, &u->attempts, beside_link)
		if (!attempt_stalled(a) && addr_same_host(&a->ask.key.source, host))
			return true;
	return false;
}

static bool upload_moves(const struct upload *u)
{
	const struct attempt *a;

	TAILQ_FOREACH (a, &u->attempts, beside_link)
		if (!attempt_stalled(a))
			return true;
	return false;
}

static bool waiter_lives(const struct upload *u, const struct waiter *w)
{
	return u->ctl->now_us - w->heard < LIVELY_US;
}

/* The first that waits and whose source was heard of lately: one that lives
 * repeats its SEND, and the dead would cost a stall each. */
static struct waiter *upload_elect(const struct upload *u)
{
	struct waiter *w;

	TAILQ_FOREACH (w, &u->waiters, link)
		if (w != u->voucher && w->attempt == NULL && waiter_lives(u, w) &&
		    !(w->passed && upload_moves(u)) && !upload_by(u, &w->ask->key.source))
			return w;
	return NULL;
}

/* Lets the first that can upload do so, if nobody does; without one the upload ends,
 * and is freed. */
static void upload_next(struct upload *u)
{
	while (u->attempt_count == 0 && u->voucher == NULL && !TAILQ_EMPTY(&u->waiters)) {
		struct waiter *w = upload_elect(u);
		enum refuse_reason reason;

		if (w == NULL)
			w = TAILQ_FIRST(&u->waiters);
		reason = upload_start(u, w);
		if (reason != REFUSE_NONE)
			waiter_fail(u, w, reason);
	}
	if (TAILQ_EMPTY(&u->waiters))
		upload_free(u);
}

/* What is parked is not there any more, or not for this one: it begins anew. */
static void upload_afresh(struct upload *u, struct waiter *w)
{
	enum refuse_reason reason;

	w->fresh = true;
	if (u->voucher != w)
		return; /* when it is its turn */
	u->voucher = NULL;
	reason = upload_start(u, w);
	if (reason != REFUSE_NONE)
		waiter_fail(u, w, reason);
	upload_next(u);
}

void upload_vouch(struct waiter *w, const struct proof *vouch)
{
	struct upload *u = w->upload;
	struct attempt *parked;
	enum refuse_reason reason;

	if (u == NULL || w->attempt != NULL || w->fresh || u->attempt_count == UPLOAD_BESIDE ||
	    memcmp(&vouch->challenge, &w->challenge, sizeof(w->challenge)) != 0)
		return;
	parked = parked_find(u->ctl, &u->key);
	/* another one may have taken its place */
	if (parked == NULL || !vouch_awaited(w, parked))
		return;
	if (!vouch_check(vouch, &parked->prefix, parked->hashed)) {
		parked->doubted = true;
		u->ctl->counters.vouch_failures++;
		upload_afresh(u, w);
		return;
	}
	reason = attempt_resume(parked, w, w->ask);
	if (reason == REFUSE_NONE) {
		u->voucher = NULL; /* whoever it was: it has nothing to vouch for any more */
		u->ctl->counters.uploads_resumed++;
		upload_enter(u, w, parked);
		return;
	}
	waiter_fail(u, w, reason);
	upload_next(u);
}

/* Slowness is no verdict: its source waits from now on, behind all others. */
static void upload_demote(struct upload *u, struct attempt *a)
{
	struct waiter *w = a->owner;

	upload_park(u, a);
	w->fresh = false;
	TAILQ_REMOVE(&u->waiters, w, link);
	TAILQ_INSERT_TAIL(&u->waiters, w, link);
	waiter_tell(u->ctl, w, WAITER_CHANGED);
	upload_next(u);
}

/* Nor is silence: its source may begin anew. */
static void upload_put_off(struct upload *u, struct attempt *a)
{
	struct waiter *w = a->owner;

	if (a->goes)
		upload_end(u, a);
	else
		upload_park(u, a);
	u->ctl->counters.uploads_put_off++;
	waiter_out(u, w, WAITER_PUT_OFF);
	upload_next(u);
}

/* Others go first; without any, for a while, nobody minds. */
static void upload_stalled(struct upload *u, struct attempt *a)
{
	if (a->goes)
		upload_put_off(u, a);
	else if (upload_elect(u) != NULL)
		upload_demote(u, a);
	else if (u->ctl->now_us - a->window.progress >= ATTEMPT_PARK_US)
		upload_put_off(u, a);
	else
		attempt_go_on(a);
}

static void upload_failed(struct upload *u, struct attempt *a, enum refuse_reason reason)
{
	struct waiter *w = a->owner;

	upload_end(u, a);
	waiter_fail(u, w, reason);
	upload_next(u);
}

/* Targets can have the beginning of it: their sources' requests see to that. */
static void upload_shown(struct upload *u, const struct attempt *a)
{
	struct waiter *w;

	TAILQ_FOREACH (w, &u->waiters, link)
		if (w->news == WAITER_QUIET && (w->attempt == NULL || w->attempt == a))
			waiter_tell(u->ctl, w, WAITER_CHANGED);
}

static void upload_hashed(struct upload *u, struct attempt *a)
{
	if (ident_equal(&a->computed, &u->key.id))
		attempt_store(a);
	else
		upload_failed(u, a, REFUSE_WRONG_IDENTIFIER);
}

static enum refuse_reason store_refusal(int result)
{
	switch (result) {
	case -ENOSPC:
		return REFUSE_STORE_FULL;
	case -EIO:
		return REFUSE_BUSY;
	default:
		return REFUSE_INTERNAL;
	}
}

/* It is there, or was there already: what others sent meanwhile serves as well. A source that
 * died must not take what its target may have been told to take only once; if it lives after
 * all, its next SEND is a hit. */
static void upload_stored(struct upload *u, struct attempt *a)
{
	const struct control *ctl = u->ctl;
	struct waiter *bringer = a->owner, *w;
	const bool brought = !a->foreign || !ctl->relay->possession;

	if (a->result < 0 && a->result != -EEXIST) {
		upload_failed(u, a, store_refusal(a->result));
		return;
	}
	if (keyring_domain(relay_keyring(ctl->relay), u->key.domain) == NULL)
		sweep_start(u->ctl); /* its domain went while it was brought */
	while ((a = TAILQ_FIRST(&u->attempts)) != NULL)
		upload_end(u, a);
	parked_forget(u->ctl, &u->key);
	u->ctl->counters.uploads++;
	while ((w = TAILQ_FIRST(&u->waiters)) != NULL) {
		w->brought = w == bringer && brought;
		waiter_out(u, w,
			   w == bringer || waiter_lives(u, w) ? WAITER_STORED : WAITER_PUT_OFF);
	}
	upload_free(u);
}

/* Somebody may wait for it already. */
static void upload_rested(struct control *ctl, const struct attempt *parked)
{
	struct upload *u;

	HASH_FIND(hh, ctl->uploads->by_key, &parked->key, sizeof(parked->key), u);
	if (u != NULL && u->voucher != NULL)
		vouch_ask(u, parked);
}

void uploads_pump(struct control *ctl)
{
	struct attempt *a;

	while ((a = TAILQ_FIRST(&ctl->attempts->news)) != NULL) {
		const enum attempt_news news = a->news;
		struct upload *u = a->owner != NULL ? a->owner->upload : NULL;

		TAILQ_REMOVE(&ctl->attempts->news, a, news_link);
		a->news = ATTEMPT_QUIET;
		if (news == ATTEMPT_RESTED)
			upload_rested(ctl, a);
		else if (news == ATTEMPT_SHOWN)
			upload_shown(u, a);
		else if (news == ATTEMPT_HASHED)
			upload_hashed(u, a);
		else if (news == ATTEMPT_STORED)
			upload_stored(u, a);
		else if (news == ATTEMPT_FAILED)
			upload_failed(u, a, a->reason);
		else
			upload_stalled(u, a);
	}
}

/* ---- slow sources ---- */

/* The attempt that has been without progress for longest, or NULL. */
static struct attempt *stalled_of(const struct upload *u)
{
	struct attempt *a, *found = NULL;

	TAILQ_FOREACH (a, &u->attempts, beside_link)
		if (attempt_stalled(a) &&
		    (found == NULL || a->window.progress < found->window.progress))
			found = a;
	return found;
}

struct verdict {
	struct attempt *slowest;
	uint64_t least, most; /* bytes a second */
	uint64_t left_us;     /* until the first one is through; and */
	uint64_t slowest_us;  /* until the slowest would be */
};

/* At this rate; UINT64_MAX: never. */
static uint64_t attempt_left_us(const struct attempt *a, uint64_t rate)
{
	const uint32_t left = a->window.pulls.chunks - a->window.pulls.have;

	return rate > 0 ? (uint64_t)left * CHUNK_SIZE * 1000000 / rate : UINT64_MAX;
}

/* What its attempts do. False: it is too early to say, or all of the blob is here. */
static bool upload_judge(const struct upload *u, struct verdict *v)
{
	struct attempt *a;

	*v = (struct verdict){.least = UINT64_MAX, .left_us = UINT64_MAX};
	TAILQ_FOREACH (a, &u->attempts, beside_link) {
		uint64_t rate, left_us;

		if (pullwin_complete(&a->window) || u->ctl->now_us - a->judged < JUDGE_US)
			return false;
		rate = attempt_rate(a);
		left_us = attempt_left_us(a, rate);
		v->left_us = RTE_MIN(v->left_us, left_us);
		v->most = RTE_MAX(v->most, rate);
		if (rate < v->least) {
			v->least = rate;
			v->slowest = a;
			v->slowest_us = left_us;
		}
	}
	return true;
}

/* Is the slowest less than half as fast as another one, which will be through first? Its targets
 * are better off with that one, from now on. */
static bool upload_passed(const struct verdict *v)
{
	return v->least < v->most / 2 && v->left_us < v->slowest_us;
}

/* Rates count from here. */
static void upload_mark(struct upload *u)
{
	struct attempt *a;

	TAILQ_FOREACH (a, &u->attempts, beside_link) {
		a->judged = u->ctl->now_us;
		a->had = a->window.pulls.have;
	}
}

/* Who sends an identifier first must not be able to keep all others from sending
 * it: a source that waits uploads beside those that would take long, and the
 * slowest goes when another one passes it, when there are too many, or when it hardly moves. */
static void slowness_review(struct upload *u)
{
	struct waiter *waiter = upload_elect(u);
	struct attempt *stalled = stalled_of(u);
	bool full = u->attempt_count == UPLOAD_BESIDE;
	struct verdict v;

	if (waiter == NULL && u->attempt_count < 2) {
		upload_mark(u);
		return;
	}
	if (waiter != NULL && stalled != NULL) {
		upload_demote(u, stalled);
		return;
	}
	if (!upload_judge(u, &v))
		return;
	upload_mark(u);
	if (upload_passed(&v)) {
		v.slowest->owner->passed = true;
		upload_demote(u, v.slowest);
		return;
	}
	if (waiter == NULL || v.left_us <= BESIDE_US)
		return;
	/* at a limit of the relay's it goes on waiting */
	if (!full)
		upload_start(u, waiter);
	/* makes room for it at the next review */
	if (full || v.least < RATE_LEAST)
		upload_demote(u, v.slowest);
}

/* Who is to vouch must neither take for ever, nor hold up others. */
static void voucher_review(struct upload *u)
{
	const uint64_t now = u->ctl->now_us;
	struct waiter *w = u->voucher;

	if (now >= w->vouch_until || parked_find(u->ctl, &u->key) == NULL) {
		upload_afresh(u, w);
	} else if (now - u->voucher_since >= VOUCH_TURN_US && upload_elect(u) != NULL) {
		u->voucher = NULL;
		TAILQ_REMOVE(&u->waiters, w, link);
		TAILQ_INSERT_TAIL(&u->waiters, w, link);
		upload_next(u);
	}
}

void uploads_review(struct control *ctl)
{
	struct upload *u, *next;

	parked_review(ctl);
	HASH_ITER(hh, ctl->uploads->by_key, u, next)
	{
		if (u->voucher != NULL)
			voucher_review(u);
		else
			slowness_review(u);
	}
}

/* ---- waiting ---- */

static struct upload *upload_create(struct control *ctl, const struct upload_key *key)
{
	struct upload *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return NULL;
	u->key = *key;
	u->ctl = ctl;
	TAILQ_INIT(&u->waiters);
	TAILQ_INIT(&u->attempts);
	HASH_ADD(hh, ctl->uploads->by_key, key, sizeof(u->key), u);
	return u;
}

void upload_join(struct control *ctl, struct waiter *w)
{
	const struct ask *ask = w->ask;
	struct upload_key key = {
		.id = ask->id,
		.length = ask->length,
		.rule = ask->rule,
		.domain = ask_domain(ask),
	};
	struct upload *u;

	/* data that could never be sent on is not asked for */
	if (ctl->router != NULL && !nexthop_reaches(ctl->relay->nexthops, &ask->target)) {
		w->reason = REFUSE_TARGET_UNREACHABLE;
		waiter_tell(ctl, w, WAITER_FAILED);
		return;
	}
	if (relay_hides(ctl->relay, ask->length))
		key.owner = ask->key; /* that somebody uploads the same is not to be seen */
	HASH_FIND(hh, ctl->uploads->by_key, &key, sizeof(key), u);
	if (u == NULL)
		u = upload_create(ctl, &key);
	if (u == NULL) {
		w->reason = REFUSE_BUSY;
		waiter_tell(ctl, w, WAITER_FAILED);
		return;
	}
	w->upload = u;
	w->fresh = w->passed = false;
	TAILQ_INSERT_TAIL(&u->waiters, w, link);
	waiter_tell(ctl, w, WAITER_CHANGED);
	upload_next(u);
}

void upload_leave(struct control *ctl, struct waiter *w)
{
	struct upload *u = w->upload;

	if (u != NULL) {
		if (w->attempt != NULL) {
			upload_park(u, w->attempt);
			ctl->counters.uploads_put_off++;
		}
		waiter_out(u, w, WAITER_QUIET);
		upload_next(u);
	}
	if (w->news != WAITER_QUIET)
		TAILQ_REMOVE(&ctl->uploads->news, w, news_link);
	w->news = WAITER_QUIET;
}

void upload_move(struct waiter *w)
{
	if (w->attempt != NULL)
		attempt_move(w->attempt, w->ask);
}

void uploads_fini(struct control *ctl)
{
	struct upload *u, *next;

	HASH_ITER(hh, ctl->uploads->by_key, u, next)
	{
		struct attempt *a;
		struct waiter *w;

		while ((a = TAILQ_FIRST(&u->attempts)) != NULL) {
			a->hashing = false; /* the hash threads are gone */
			upload_end(u, a);
		}
		while ((w = TAILQ_FIRST(&u->waiters)) != NULL)
			waiter_out(u, w, WAITER_QUIET);
		upload_free(u);
	}
	attempts_fini(ctl);
}
