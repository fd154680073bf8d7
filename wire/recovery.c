/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/recovery.h"

#define TIMEOUT_FIRST UINT64_C(300000) /* before a round trip is known */
#define TIMEOUT_LEAST UINT64_C(10000)
#define PROBE_LEAST UINT64_C(1000)
#define REORDERING_LEAST UINT64_C(250) /* rings and wake-ups reorder by so much anywhere */
#define LATE_ROUNDS 64u		       /* round trips in which lateness is remembered */

static uint64_t max64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t min64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void recovery_init(struct recovery *v, uint64_t now)
{
	*v = (struct recovery){.backoff = 1, .activity = now};
}

void recovery_sent(struct recovery *v, uint64_t now)
{
	v->activity = now;
}

void recovery_heard(struct recovery *v, uint64_t now)
{
	v->activity = now;
	v->backoff = 1;
	v->probed = false;
}

/* ---- round trips ---- */

/* RFC 6298, section 2. */
static void rtt_take(struct recovery *v, uint64_t rtt)
{
	uint64_t error;

	if (v->srtt == 0) {
		v->srtt = rtt;
		v->rttvar = rtt / 2;
		return;
	}
	error = rtt > v->srtt ? rtt - v->srtt : v->srtt - rtt;
	v->rttvar = (3 * v->rttvar + error) / 4;
	v->srtt = max64((7 * v->srtt + rtt) / 8, 1);
}

/* A PULL's number comes back with its DATA, so its first chunk is a round trip even if
 * it was repeated; but not if it was given up, or waited out a silence somewhere. */
static uint64_t rtt_measure(struct recovery *v, const struct pull_request *r, uint32_t chunk,
			    uint64_t came)
{
	uint64_t rtt = max64(came - r->sent, 1);

	if (r->came != 0)
		return 0;
	if (v->srtt != 0 && (r->number < v->silent_below || !pull_missing(r, chunk)))
		return 0;
	rtt_take(v, rtt);
	return rtt;
}

/* ---- loss ---- */

static uint64_t reordering(const struct recovery *v)
{
	uint64_t window = max64(v->srtt / 4, v->late + v->late / 4);

	return max64(min64(window, v->srtt), REORDERING_LEAST);
}

/* What was passed has come: by so much it was overtaken. */
static void late_take(struct recovery *v, const struct pull_request *r, uint64_t now)
{
	uint64_t late = now - r->passed;

	if (r->passed == 0 || r->number < v->silent_below)
		return;
	v->late = max64(v->late, late);
	v->late_next = max64(v->late_next, late);
}

static void late_forget(struct recovery *v, uint64_t now)
{
	if (now < v->late_until)
		return;
	v->late = v->late_next;
	v->late_next = 0;
	v->late_until = now + LATE_ROUNDS * v->srtt;
}

static void passed_raise(struct recovery *v, const struct pulls *q, const struct pull_request *by,
			 uint64_t now)
{
	struct pull_request *r;

	if (by->number <= v->passed)
		return;
	while ((r = pulls_from(q, v->passed)) != NULL && r->number < by->number) {
		r->passed = now;
		v->passed = r->number + 1;
	}
	v->passed = by->number;
}

uint64_t recovery_came(struct recovery *v, const struct pulls *q, struct pull_request *r,
		       uint32_t chunk, uint64_t came, uint64_t now)
{
	uint64_t rtt = rtt_measure(v, r, chunk, came);

	late_forget(v, now);
	late_take(v, r, now);
	r->came |= UINT32_C(1) << (chunk - r->first);
	/* by when it is seen: what it passed may be next in the socket */
	passed_raise(v, q, r, now);
	recovery_heard(v, now);
	return rtt;
}

uint64_t recovery_due(const struct recovery *v, const struct pulls *q)
{
	const struct pull_request *r = pulls_oldest(q);

	return r != NULL && r->passed != 0 ? r->passed + reordering(v) : UINT64_MAX;
}

/* The oldest was passed first. */
struct pull_request *recovery_overdue(const struct recovery *v, const struct pulls *q, uint64_t now)
{
	return recovery_due(v, q) <= now ? pulls_oldest(q) : NULL;
}

/* ---- silence ---- */

static uint64_t timeout(const struct recovery *v)
{
	uint64_t one = v->srtt == 0 ? TIMEOUT_FIRST : max64(v->srtt + 4 * v->rttvar, TIMEOUT_LEAST);

	return min64(one * v->backoff, max64(one, SILENCE_MAX));
}

uint64_t recovery_silence(const struct recovery *v, const struct pulls *q)
{
	uint64_t wait = max64(max64(2 * v->srtt, v->srtt + 4 * v->rttvar), PROBE_LEAST);

	if (q->flight == 0)
		return UINT64_MAX;
	if (v->srtt == 0 || v->probed || wait > timeout(v))
		wait = timeout(v);
	return v->activity + wait;
}

bool recovery_silent(struct recovery *v, const struct pulls *q, uint64_t now)
{
	/* until a PULL goes out, another look has nothing to add */
	v->activity = now;
	if (!v->probed) {
		v->probed = true;
		return false;
	}
	v->silent_below = q->number;
	if (timeout(v) < SILENCE_MAX)
		v->backoff *= 2;
	return true;
}
