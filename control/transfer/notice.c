/* SPDX-License-Identifier: BSD-3-Clause
 * NOTICE: central delivered what a private relay's source asked for, and says
 * how that ended. Final outcomes are repeated until acknowledged; progress is
 * said once.
 */
#include <stdlib.h>

#include "control/base/table.h"
#include "control/core.h"
#include "control/transfer/peer.h"

#define NOTICE_RETRY_US 200000
#define NOTICE_TRIES 8
#define NOTICES_MAX 4096 /* unacknowledged; beyond it outcomes are said once */

struct notice_key {
	uint8_t transfer[TRANSFER_SIZE];
	be16 leg;
	uint8_t zero[6];
};

struct notice_pending {
	struct notice_key key;
	struct control *ctl;
	struct peer *peer;
	struct notice n; /* its pointers lead into this struct */
	struct addr source;
	uint8_t digest[8];
	uint8_t name[META_MAX];
	uint64_t first, last; /* nonces used */
	uint16_t worker;
	unsigned int tries;
	struct event *timer;
	UT_hash_handle hh;
};

static void pending_forget(struct notice_pending *np)
{
	HASH_DEL(np->ctl->peers->notices, np);
	event_free(np->timer);
	free(np);
}

void peers_fini(struct control *ctl)
{
	struct notice_pending *np, *next;

	HASH_ITER(hh, ctl->peers->notices, np, next)
	pending_forget(np);
}

void notices_forget(struct control *ctl, const struct peer *peer)
{
	struct notice_pending *np, *next;

	HASH_ITER(hh, ctl->peers->notices, np, next)
	if (np->peer == peer)
		pending_forget(np);
}

static uint64_t notice_transmit(struct control *ctl, struct peer *peer, uint16_t worker,
				const struct addr *to, uint64_t conn, struct notice *n)
{
	struct rte_mbuf *m = outbox_alloc(ctl, worker, to);

	n->nonce = peer->nonce++;
	n->time = ctl->wall_us / 1000;
	if (m != NULL)
		outbox_send(ctl, m,
			    notice_encode(egress_payload(m), WIRE_MAX_FRAME, peer_field(peer), conn,
					  n, peer_key(peer)));
	return n->nonce;
}

/* The relay's conn is not known here; the transfer's head stands for it. The
 * pair's key is what authenticates. */
static uint64_t notice_conn(const uint8_t *transfer)
{
	be64 head;

	memcpy(&head, transfer, sizeof(head));
	return get64(head);
}

static void pending_timer(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval retry = {.tv_usec = NOTICE_RETRY_US};
	struct notice_pending *np = arg;

	(void)fd;
	(void)what;
	control_clock(np->ctl);
	if (np->tries++ == NOTICE_TRIES) {
		np->ctl->counters.notice_failures++;
		pending_forget(np);
		return;
	}
	np->last = notice_transmit(np->ctl, np->peer, np->worker, &np->peer->addr,
				   notice_conn(np->key.transfer), &np->n);
	/* they may begin anew, when the clock was set */
	np->first = RTE_MIN(np->first, np->last);
	event_add(np->timer, &retry);
}

static struct notice_pending *pending_create(struct control *ctl, const struct notice_key *key,
					     const struct notice *n)
{
	struct notice_pending *np;

	if (HASH_COUNT(ctl->peers->notices) >= NOTICES_MAX)
		return NULL;
	np = calloc(1, sizeof(*np));
	if (np == NULL)
		return NULL;
	np->ctl = ctl;
	np->timer = evtimer_new(ctl->base, pending_timer, np);
	if (np->timer == NULL) {
		free(np);
		return NULL;
	}
	np->key = *key;
	np->n = *n;
	np->source = *n->source;
	memcpy(np->digest, n->meta_digest, sizeof(np->digest));
	np->n.transfer = np->key.transfer;
	np->n.source = &np->source;
	np->n.meta_digest = np->digest;
	if (n->name_len > 0)
		memcpy(np->name, n->name, n->name_len);
	np->n.name = np->name;
	HASH_ADD(hh, ctl->peers->notices, key, sizeof(np->key), np);
	return np;
}

static struct peer *peer_by_addr(struct control *ctl, const struct addr *home)
{
	for (uint32_t i = 0; i < ctl->peers->count; i++)
		if (addr_equal(&ctl->peers->peer[i].addr, home))
			return &ctl->peers->peer[i];
	return NULL;
}

void handle_foreign_receipt(struct control *ctl, const struct packet *p, const struct frame *f)
{
	struct notice_pending *np;
	struct notice_key key = {0};
	struct receipt rc;
	struct notice n;
	struct peer *peer;

	if (receipt_decode(f, &rc) != DROP_NONE)
		return; /* the worker decoded it before */
	peer = peer_by_addr(ctl, &rc.ticket->home);
	if (peer == NULL) {
		control_drop(ctl, DROP_UNKNOWN_QUERY);
		return;
	}
	n = (struct notice){
		.transfer = rc.ticket->transfer,
		.meta_digest = rc.meta_digest,
		.name = rc.name,
		.name_len = rc.name_len,
		.source = &rc.ticket->source,
		.leg = get16(rc.ticket->leg),
		.code = rc.code,
		.reason = rc.reason,
		.bytes = rc.bytes,
		.source_key = get32(rc.ticket->key),
		.source_conn = get64(rc.ticket->source_conn),
	};
	memcpy(key.transfer, n.transfer, sizeof(key.transfer));
	key.leg = rc.ticket->leg;
	HASH_FIND(hh, ctl->peers->notices, &key, sizeof(key), np);
	if (np != NULL)
		return; /* a final outcome is on its way already */
	ctl->counters.notices++;
	if (rc.code != RECEIPT_PROGRESS)
		np = pending_create(ctl, &key, &n);
	if (np == NULL) {
		notice_transmit(ctl, peer, p->worker, &peer->addr, notice_conn(n.transfer), &n);
		return;
	}
	np->peer = peer;
	np->worker = p->worker;
	np->first = peer->nonce;
	pending_timer(-1, EV_TIMEOUT, np);
}

static void notice_acknowledged(struct control *ctl, const struct notice *n)
{
	struct notice_pending *np;
	struct notice_key key = {0};

	memcpy(key.transfer, n->transfer, sizeof(key.transfer));
	key.leg = put16(n->leg);
	HASH_FIND(hh, ctl->peers->notices, &key, sizeof(key), np);
	if (np == NULL || n->notice_nonce < np->first || n->notice_nonce > np->last) {
		control_drop(ctl, DROP_UNKNOWN_QUERY);
		return;
	}
	pending_forget(np);
}

static void notice_pass_on(struct control *ctl, const struct packet *p, const struct notice *n)
{
	const struct status s = {
		.transfer = n->transfer,
		.meta_digest = n->meta_digest,
		.name = n->name,
		.name_len = n->name_len,
		.leg = n->leg,
		.code = receipt_status(n->code),
		.reason = n->reason,
		.bytes = n->bytes,
	};
	struct rte_mbuf *m = outbox_alloc(ctl, p->worker, n->source);

	if (m != NULL)
		outbox_send_signed(ctl, m, n->source_key, n->source_conn,
				   status_encode(egress_payload(m), WIRE_MAX_FRAME, n->source_key,
						 n->source_conn, &s));
}

void handle_notice(struct control *ctl, const struct packet *p, const struct frame *f)
{
	struct notice n, ack;
	struct peer *peer;
	enum drop reason = notice_decode(f, &n);

	if (reason != DROP_NONE) {
		control_drop(ctl, reason);
		return;
	}
	peer = peer_authenticate(ctl, f->key, n.nonce, n.time);
	if (peer == NULL)
		return;
	if (n.ack) {
		notice_acknowledged(ctl, &n);
		return;
	}
	notice_pass_on(ctl, p, &n);
	ack = n;
	ack.ack = true;
	ack.name_len = 0;
	ack.notice_nonce = n.nonce;
	notice_transmit(ctl, peer, p->worker, &p->peer, f->conn, &ack);
}
