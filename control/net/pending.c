/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "control/base/table.h"
#include "control/core.h"
#include "control/net/pending.h"
#include "control/net/route.h"

#define PENDING_PER_HOST 64

struct pending_host {
	struct addr host; /* port 0 */
	uint32_t count;
	struct rte_mbuf *frames[PENDING_PER_HOST];
	UT_hash_handle hh;
};

static struct addr host_of(const struct addr *a)
{
	struct addr host = *a;

	host.port = put16(0);
	return host;
}

static struct pending_host *host_find(struct control *ctl, const struct addr *host)
{
	struct pending_host *h;

	HASH_FIND(hh, ctl->pending->hosts, host, sizeof(*host), h);
	return h;
}

static void host_forget(struct control *ctl, struct pending_host *h)
{
	ctl->pending->frames -= h->count;
	HASH_DEL(ctl->pending->hosts, h);
	free(h);
}

void pending_add(struct control *ctl, struct rte_mbuf *m)
{
	struct addr host = host_of(&packet_of(m)->peer);
	struct pending_host *h = host_find(ctl, &host);
	bool asked = h != NULL;

	if (h == NULL) {
		h = calloc(1, sizeof(*h));
		if (h == NULL)
			goto full;
		h->host = host;
		HASH_ADD(hh, ctl->pending->hosts, host, sizeof(host), h);
	}
	if (h->count == PENDING_PER_HOST || ctl->pending->frames == PENDING_TOTAL)
		goto full;
	h->frames[h->count++] = m;
	ctl->pending->frames++;
	/* the answer may come at once, and frees h */
	if (!asked && router_resolve(ctl->router, &host) < 0) {
		control_drop(ctl, DROP_NEXT_HOP_FULL);
		rte_pktmbuf_free(m);
		host_forget(ctl, h);
	}
	return;
full:
	control_drop(ctl, DROP_NEXT_HOP_FULL);
	rte_pktmbuf_free(m);
	if (h != NULL && h->count == 0)
		host_forget(ctl, h);
}

bool pending_has(struct control *ctl, const struct addr *host)
{
	struct addr key = host_of(host);

	return host_find(ctl, &key) != NULL;
}

void pending_release(void *ctx, const struct addr *host)
{
	struct control *ctl = ctx;
	struct addr key = host_of(host);
	struct pending_host *h = host_find(ctl, &key);

	if (h == NULL)
		return;
	for (uint32_t i = 0; i < h->count; i++)
		outbox_push(ctl, h->frames[i]);
	host_forget(ctl, h);
}

void pending_free(struct control *ctl)
{
	struct pending_host *h, *next;

	HASH_ITER(hh, ctl->pending->hosts, h, next)
	{
		for (uint32_t i = 0; i < h->count; i++)
			rte_pktmbuf_free(h->frames[i]);
		host_forget(ctl, h);
	}
}
