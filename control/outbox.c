/* SPDX-License-Identifier: BSD-3-Clause
 * Frames that control wants sent: only workers transmit, so they go through a
 * worker's ring.
 */
#include "control/core.h"

struct rte_mbuf *outbox_alloc(struct control *ctl, uint16_t worker, const struct addr *peer)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(ctl->worker[worker]->pool);

	if (m == NULL) {
		control_drop(ctl, DROP_NO_BUFFER);
		return NULL;
	}
	packet_init(m, peer);
	packet_of(m)->worker = worker;
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

/* Sends the answer of `len` bytes in m to the source. */
static void answer_leave(struct control *ctl, const struct ask *a, struct rte_mbuf *m, size_t len)
{
	outbox_send_signed(ctl, m, a->field, a->conn, len);
}

void outbox_status(struct control *ctl, const struct ask *a, struct status *s)
{
	struct rte_mbuf *m = outbox_alloc(ctl, a->worker, &a->key.source);

	if (m != NULL)
		answer_leave(ctl, a, m, answer_status(a, s, egress_payload(m)));
}

void outbox_challenge(struct control *ctl, const struct ask *a)
{
	struct rte_mbuf *m = outbox_alloc(ctl, a->worker, &a->key.source);

	if (m != NULL)
		answer_leave(ctl, a, m,
			     answer_challenge(a, relay_keys(ctl->relay), egress_payload(m)));
}

void outbox_busy(struct control *ctl, const struct ask *a)
{
	struct rte_mbuf *m = outbox_alloc(ctl, a->worker, &a->key.source);

	if (m == NULL)
		return;
	ctl->stats.errors++;
	answer_leave(ctl, a, m, answer_busy(a, egress_payload(m)));
}

static void offer_send(struct control *ctl, const struct ask *a, const struct ask_extras *e,
		       const struct piece *b, const struct partial *p)
{
	const struct lease *lease =
		offer_lease(ctl->relay, a->field, &a->target, control_seconds(ctl));
	struct offer_macs macs;
	struct rte_mbuf *m;
	size_t len;

	if (!offer_admit(ctl->relay, a, lease, ctl->unix_us, &ctl->stats))
		return;
	m = outbox_alloc(ctl, a->worker, &a->target);
	if (m == NULL)
		return;
	packet_of(m)->source = a->key.source;
	len = answer_offer(ctl->relay, a, e, b, p, lease, control_seconds(ctl), egress_payload(m),
			   &ctl->stats, &macs);
	if (len > 0) {
		offer_macs_hash(&macs, 1);
		offer_macs_write(&macs, egress_payload(m));
	}
	outbox_send(ctl, m, len);
}

void outbox_offer(struct control *ctl, const struct ask *a, const struct ask_extras *e,
		  const struct piece *b)
{
	offer_send(ctl, a, e, b, NULL);
}

void outbox_offer_partial(struct control *ctl, const struct ask *a, const struct ask_extras *e,
			  const struct partial *p)
{
	offer_send(ctl, a, e, NULL, p);
}

void outbox_offer_held(struct control *ctl, const struct ask *a, const struct ask_extras *e,
		       const struct addr *holder, const struct ticket *ticket,
		       const struct partial *p)
{
	uint64_t now = control_seconds(ctl);
	const struct lease *lease = offer_lease(ctl->relay, a->field, &a->target, now);
	struct offer o = {
		.transfer = a->key.transfer,
		.id = &a->id,
		.ticket = ticket,
		.holder = holder,
		.meta = e->meta,
		.sealed_key = e->sealed_key,
		.meta_len = e->meta_len,
		.leg = get16(a->key.leg),
		.rule = a->rule,
		.deadline = ask_deadline(a, now),
		.length = a->length,
		.attempt = p != NULL ? p->attempt : 0,
		.available = p != NULL ? p->available : 0,
	};
	struct rte_mbuf *m;

	if (lease == NULL) { /* expired meanwhile: the source's next SEND finds another way */
		control_drop(ctl, DROP_NO_LEASE);
		return;
	}
	m = outbox_alloc(ctl, a->worker, &a->target);
	if (m == NULL)
		return;
	packet_of(m)->source = a->key.source;
	ctl->stats.offers++;
	/* as large as the SEND, so that the HELLOs it causes stay below it */
	outbox_send(ctl, m,
		    offer_encode(egress_payload(m), WIRE_MAX_FRAME, lease->key, lease->conn, &o,
				 SEND_MIN));
}

void outbox_serving(struct control *ctl, const struct ask *a)
{
	struct status s = {.code = ctl->relay->central ? STATUS_SERVING_CENTRAL
						       : STATUS_SERVING_PRIVATE};

	outbox_status(ctl, a, &s);
}

void outbox_flush(struct control *ctl)
{
	for (uint16_t i = 0; i < ctl->relay->port.workers; i++) {
		if (ctl->told[i])
			doorbell_ring(&ctl->worker[i]->bell);
		ctl->told[i] = false;
	}
}
