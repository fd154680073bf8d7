/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/core.h"
#include "control/transfer/parked.h"

static uint64_t parked_size(const struct attempt *a)
{
	return (uint64_t)a->hashed * CHUNK_SIZE;
}

/* Bytes that all of them may take. */
static uint64_t parked_share(const struct control *ctl)
{
	const struct config *c = ctl->config;
	uint64_t whole = ctl->store.kept ? c->max_bytes : c->slab_size;

	if (whole == 0)
		whole = ctl->store.disk_size;
	return whole / 100 * c->parked_percent;
}

struct attempt *parked_find(const struct control *ctl, const struct upload_key *key)
{
	struct attempt *a;

	HASH_FIND(hh, ctl->attempts->parked_by_key, key, sizeof(*key), a);
	return a;
}

/* The oldest one goes; there is one. */
static void parked_yield(struct control *ctl)
{
	attempt_drop(TAILQ_FIRST(&ctl->attempts->parked));
}

bool parked_enter(struct attempt *a, const struct upload_key *key)
{
	struct attempts *as = a->ctl->attempts;
	struct attempt *other = parked_find(a->ctl, key);

	/* who parks little must not take the place of more, unless nobody has vouched for that */
	if (other != NULL && !other->doubted && other->hashed >= a->contiguous)
		return false;
	if (other != NULL)
		attempt_drop(other);
	a->key = *key;
	a->parked = true;
	a->rested = a->doubted = false;
	a->parked_at = a->ctl->now_us;
	TAILQ_INSERT_TAIL(&as->parked, a, open_link);
	HASH_ADD(hh, as->parked_by_key, key, sizeof(a->key), a);
	if (HASH_COUNT(as->parked_by_key) > a->ctl->config->max_uploads)
		parked_yield(a->ctl);
	return true;
}

bool parked_weigh(struct attempt *a)
{
	struct control *ctl = a->ctl;

	if (a->hashed == 0 || parked_size(a) > parked_share(ctl)) {
		parked_leave(a);
		return false;
	}
	ctl->attempts->parked_bytes += parked_size(a) - a->counted;
	a->counted = parked_size(a);
	while (ctl->attempts->parked_bytes > parked_share(ctl) &&
	       TAILQ_FIRST(&ctl->attempts->parked) != a)
		parked_yield(ctl);
	return true;
}

void parked_leave(struct attempt *a)
{
	struct attempts *as = a->ctl->attempts;

	TAILQ_REMOVE(&as->parked, a, open_link);
	HASH_DEL(as->parked_by_key, a);
	as->parked_bytes -= a->counted;
	a->counted = 0;
	a->parked = false;
}

void parked_forget(struct control *ctl, const struct upload_key *key)
{
	struct attempt *a = parked_find(ctl, key);

	if (a != NULL)
		attempt_drop(a);
}

static bool parked_over(const struct attempt *a)
{
	const struct control *ctl = a->ctl;

	return ctl->now_us - a->parked_at >= ctl->config->parked_seconds * UINT64_C(1000000) ||
	       keyring_domain(relay_keyring(ctl->relay), a->key.domain) == NULL;
}

void parked_review(struct control *ctl)
{
	struct attempt *a = TAILQ_FIRST(&ctl->attempts->parked), *next;

	for (; a != NULL; a = next) {
		next = TAILQ_NEXT(a, open_link);
		if (parked_over(a))
			attempt_drop(a);
	}
}
