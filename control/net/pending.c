/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "control/base/table.h"
#include "control/core.h"
#include "control/net/pending.h"
#include "control/net/router.h"

#define PENDING_FRAMES 256 /* for one neighbour, who may be the gateway of many */

struct pending_queue {
	struct addr neighbour;
	uint32_t count;
	struct rte_mbuf *frames[PENDING_FRAMES];
	UT_hash_handle hh;
};

static struct pending_queue *queue_find(struct control *ctl, const struct addr *neighbour)
{
	struct pending_queue *q;

	HASH_FIND(hh, ctl->pending->queues, neighbour, sizeof(*neighbour), q);
	return q;
}

static void queue_forget(struct control *ctl, struct pending_queue *q)
{
	ctl->pending->frames -= q->count;
	HASH_DEL(ctl->pending->queues, q);
	free(q);
}

static void frame_drop(struct control *ctl, struct rte_mbuf *m, enum drop reason)
{
	control_drop(ctl, reason);
	rte_pktmbuf_free(m);
}

static void frame_wait(struct control *ctl, struct rte_mbuf *m, const struct addr *neighbour)
{
	struct pending_queue *q = queue_find(ctl, neighbour);

	if (q == NULL) {
		q = calloc(1, sizeof(*q));
		if (q == NULL) {
			frame_drop(ctl, m, DROP_NEXT_HOP_FULL);
			return;
		}
		q->neighbour = *neighbour;
		HASH_ADD(hh, ctl->pending->queues, neighbour, sizeof(q->neighbour), q);
	}
	if (q->count == PENDING_FRAMES || ctl->pending->frames == PENDING_TOTAL) {
		frame_drop(ctl, m, DROP_NEXT_HOP_FULL);
		return;
	}
	q->frames[q->count++] = m;
	ctl->pending->frames++;
}

void pending_add(struct control *ctl, struct rte_mbuf *m)
{
	const struct packet *p = packet_of(m);
	struct addr neighbour;

	switch (router_resolve(ctl->router, &p->peer, &p->source, &neighbour)) {
	case 0:
		outbox_push(ctl, m);
		break;
	case -EINPROGRESS:
		frame_wait(ctl, m, &neighbour);
		break;
	case -ENETUNREACH:
		frame_drop(ctl, m, DROP_NO_ROUTE);
		break;
	case -EHOSTUNREACH:
		frame_drop(ctl, m, DROP_NO_NEIGHBOUR);
		break;
	case -EDQUOT:
		frame_drop(ctl, m, DROP_NEIGHBOUR_BUDGET);
		break;
	default:
		frame_drop(ctl, m, DROP_NEXT_HOP_FULL);
	}
}

bool pending_has(struct control *ctl, const struct addr *host)
{
	struct addr neighbour;

	return ctl->router != NULL && router_awaits(ctl->router, host, &neighbour) &&
	       queue_find(ctl, &neighbour) != NULL;
}

void pending_release(void *ctx, const struct addr *neighbour)
{
	struct control *ctl = ctx;
	struct pending_queue *q = queue_find(ctl, neighbour);

	if (q == NULL)
		return;
	for (uint32_t i = 0; i < q->count; i++)
		outbox_push(ctl, q->frames[i]);
	queue_forget(ctl, q);
}

void pending_free(struct control *ctl)
{
	struct pending_queue *q, *next;

	HASH_ITER(hh, ctl->pending->queues, q, next)
	{
		for (uint32_t i = 0; i < q->count; i++)
			rte_pktmbuf_free(q->frames[i]);
		queue_forget(ctl, q);
	}
}
