/* SPDX-License-Identifier: BSD-3-Clause
 * Frames that control wants sent: only workers transmit, so they go through a
 * worker's ring.
 */
#include "control/control.h"

struct rte_mbuf *outbox_alloc(struct control *ctl, uint16_t worker, const struct addr *peer)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(ctl->worker[worker]->pool);
	struct packet *p;

	if (m == NULL) {
		control_drop(ctl, DROP_NO_BUFFER);
		return NULL;
	}
	p = packet_of(m);
	p->peer = *peer;
	p->has_sum = false;
	p->worker = worker;
	return m;
}

void outbox_push(struct control *ctl, struct rte_mbuf *m)
{
	uint16_t worker = packet_of(m)->worker;
	struct message msg = {.kind = MESSAGE_SEND, .mbuf = m};

	if (!message_put(ctl->worker[worker]->from_control, &msg)) {
		control_drop(ctl, DROP_TX_FULL);
		rte_pktmbuf_free(m);
		return;
	}
	ctl->told[worker] = true;
}

void outbox_send(struct control *ctl, struct rte_mbuf *m, size_t len)
{
	if (egress_sized(m, len))
		outbox_push(ctl, m);
}

void outbox_send_signed(struct control *ctl, struct rte_mbuf *m, uint32_t key, uint64_t conn,
			size_t len)
{
	size_t full = keyring_sign(relay_keyring(ctl->relay), key, conn, &packet_of(m)->peer,
				   egress_payload(m), len);

	if (full == 0)
		control_drop(ctl, DROP_KEY_UNKNOWN); /* the key was retired meanwhile */
	outbox_send(ctl, m, full);
}

void outbox_status(struct control *ctl, uint16_t worker, const struct addr *to, uint32_t key,
		   uint64_t conn, const struct status *s)
{
	struct rte_mbuf *m = outbox_alloc(ctl, worker, to);

	if (m != NULL)
		outbox_send_signed(ctl, m, key, conn,
				   status_encode(egress_payload(m), WIRE_MAX_FRAME, key, conn, s));
}

void outbox_error(struct control *ctl, uint16_t worker, const struct addr *to, uint32_t key,
		  uint64_t conn, const struct error *e)
{
	struct rte_mbuf *m = outbox_alloc(ctl, worker, to);

	if (m == NULL)
		return;
	ctl->stats.errors++;
	outbox_send_signed(ctl, m, key, conn,
			   error_encode(egress_payload(m), WIRE_MAX_FRAME, key, conn, e));
}

void outbox_flush(struct control *ctl)
{
	for (uint16_t i = 0; i < ctl->relay->port.workers; i++) {
		if (ctl->told[i])
			doorbell_ring(&ctl->worker[i]->bell);
		ctl->told[i] = false;
	}
}
