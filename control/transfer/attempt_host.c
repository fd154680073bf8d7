/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "control/core.h"
#include "control/transfer/attempt_host.h"

static void host_key(const struct addr *source, uint8_t ip[16])
{
	memset(ip, 0, 16);
	memcpy(ip, source->ip, source->type == ADDR_IP4 ? 4 : 8);
	ip[15] = source->type; /* 32.1.13.184 is not 2001:db8::/64 */
}

struct attempt_host *host_find(struct control *ctl, const struct addr *source)
{
	struct attempt_host *h;
	uint8_t ip[16];

	host_key(source, ip);
	HASH_FIND(hh, ctl->attempts->hosts, ip, sizeof(ip), h);
	return h;
}

int host_enter(struct attempt *a)
{
	struct attempt_host *h = host_find(a->ctl, &a->ask.key.source);

	if (h == NULL) {
		h = calloc(1, sizeof(*h));
		if (h == NULL)
			return -ENOMEM;
		host_key(&a->ask.key.source, h->ip);
		TAILQ_INIT(&h->attempts);
		HASH_ADD(hh, a->ctl->attempts->hosts, ip, sizeof(h->ip), h);
	}
	a->host = h;
	h->count++;
	TAILQ_INSERT_TAIL(&h->attempts, a, host_link);
	return 0;
}

void host_leave(struct attempt *a)
{
	struct attempt_host *h = a->host;

	if (h == NULL)
		return;
	a->host = NULL;
	TAILQ_REMOVE(&h->attempts, a, host_link);
	if (--h->count > 0)
		return;
	HASH_DEL(a->ctl->attempts->hosts, h);
	free(h);
}

void progress_note(struct attempt *a)
{
	struct attempts *as = a->ctl->attempts;

	if (a->progress == a->window.progress)
		return;
	a->progress = a->window.progress;
	TAILQ_REMOVE(&as->open, a, open_link);
	TAILQ_INSERT_TAIL(&as->open, a, open_link);
	if (a->host == NULL)
		return;
	TAILQ_REMOVE(&a->host->attempts, a, host_link);
	TAILQ_INSERT_TAIL(&a->host->attempts, a, host_link);
}

/* The first that may go for others: without progress, and not going yet. h: of this
 * host; NULL: of any. */
static struct attempt *idle_first(const struct attempts *as, const struct attempt_host *h)
{
	struct attempt *a = h != NULL ? TAILQ_FIRST(&h->attempts) : TAILQ_FIRST(&as->open);

	while (a != NULL && (a->goes || a->parked))
		a = h != NULL ? TAILQ_NEXT(a, host_link) : TAILQ_NEXT(a, open_link);
	return a != NULL && attempt_stalled(a) ? a : NULL;
}

/* Likewise of those that are parked; NULL: there is none. */
static struct attempt *parked_first(const struct attempts *as, const struct attempt_host *h)
{
	struct attempt *a;

	if (h == NULL)
		return TAILQ_FIRST(&as->parked);
	TAILQ_FOREACH (a, &h->attempts, host_link)
		if (a->parked)
			return a;
	return NULL;
}

/* Who is at its own limit must not take the place of others. */
bool attempts_reclaim(struct control *ctl, const struct addr *source)
{
	const struct attempt_host *h = source != NULL ? host_find(ctl, source) : NULL;
	struct attempt *a;

	if (source != NULL && h == NULL)
		return false;
	a = parked_first(ctl->attempts, h);
	if (a != NULL) {
		attempt_drop(a);
		return true;
	}
	a = idle_first(ctl->attempts, h);
	if (a == NULL)
		return false;
	a->goes = true;
	attempt_mark(a);
	return true;
}
