/* SPDX-License-Identifier: BSD-3-Clause
 * From payload to port: next hop, headers, transmit bursts.
 */
#include <rte_ethdev.h>

#include "dataplane/worker.h"

#define TX_TRIES 4 /* bursts without progress before the rest is dropped */

struct rte_mbuf *egress_alloc(struct worker *w, const struct addr *peer)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(w->pool);
	struct packet *p;

	if (m == NULL) {
		w->stats.drops[DROP_NO_BUFFER]++;
		return NULL;
	}
	p = packet_of(m);
	p->peer = *peer;
	p->has_sum = false;
	p->asked = false;
	return m;
}

bool egress_sized(struct rte_mbuf *m, size_t len)
{
	if (len == 0 || len > rte_pktmbuf_tailroom(m)) {
		rte_pktmbuf_free(m);
		return false;
	}
	m->data_len = (uint16_t)len;
	m->pkt_len = (uint32_t)len;
	return true;
}

void egress_flush(struct worker *w)
{
	uint16_t done = 0, tries = 0;

	while (done < w->tx_count && tries < TX_TRIES) {
		uint16_t n = rte_eth_tx_burst(w->relay->port.id, w->id, w->tx + done,
					      (uint16_t)(w->tx_count - done));

		tries = n == 0 ? tries + 1 : 0;
		done = (uint16_t)(done + n);
	}
	w->stats.tx_packets += done;
	for (; done < w->tx_count; done++) {
		w->stats.tx_bytes -= w->tx[done]->pkt_len; /* counted when it was queued */
		worker_drop(w, w->tx[done], DROP_TX_FULL);
	}
	w->tx_count = 0;
}

/* Once for each frame: an answer that did not get into the table, for want of memory,
 * would have both ask each other for ever. */
static void next_hop_ask(struct worker *w, struct rte_mbuf *m)
{
	struct message msg = {.kind = MESSAGE_NEXT_HOP, .mbuf = m};

	if (packet_of(m)->asked) {
		worker_drop(w, m, DROP_NEXT_HOP_FULL);
		return;
	}
	packet_of(m)->asked = true;
	packet_of(m)->worker = w->id;
	if (!message_put(w->to_control, &msg)) {
		worker_drop(w, m, DROP_CONTROL_BUSY);
		return;
	}
	w->told_control = true;
}

static void egress_queue(struct worker *w, struct rte_mbuf *m, const struct rte_ether_addr *to)
{
	const struct rte_ether_addr from = port_mac(&w->relay->port);
	const struct addr *self = relay_self(w->relay, &packet_of(m)->peer);

	if (self->type == ADDR_NONE) { /* a ticket's source, say, of a relay that has both */
		worker_drop(w, m, DROP_NO_ROUTE);
		return;
	}
	packet_finish(m, self, &from, to);
	w->stats.tx_bytes += m->pkt_len;
	w->tx[w->tx_count++] = m;
	if (w->tx_count == WORKER_TX_BURST)
		egress_flush(w);
}

void egress_return(struct worker *w, struct rte_mbuf *m, const struct item *it)
{
	const struct rte_ether_addr *to = &it->packet->mac;

	if (rte_is_valid_assigned_ether_addr(to))
		egress_queue(w, m, to);
	else
		worker_drop(w, m, DROP_ADDRESS);
}

/* A port without an interface of the kernel: to the gateway, or to where the
 * host's own frames came from. */
static void egress_learned(struct worker *w, struct rte_mbuf *m)
{
	const struct relay *r = w->relay;
	struct rte_ether_addr to = r->gateway_mac;

	if (r->has_gateway_mac || mac_find(&r->macs, &packet_of(m)->peer, &to))
		egress_queue(w, m, &to);
	else
		worker_drop(w, m, DROP_NO_NEIGHBOUR);
}

void egress_send(struct worker *w, struct rte_mbuf *m)
{
	const struct relay *r = w->relay;
	const struct nexthop *nh;

	if (r->port.ifindex == 0) {
		egress_learned(w, m);
		return;
	}
	nh = nexthop_lookup(r->nexthops, &packet_of(m)->peer);
	if (nh == NULL)
		next_hop_ask(w, m);
	else if (nh->state == NEXTHOP_READY)
		egress_queue(w, m, &nh->mac);
	else
		worker_drop(w, m,
			    nh->state == NEXTHOP_NO_ROUTE ? DROP_NO_ROUTE : DROP_NO_NEIGHBOUR);
}

void egress_reply(struct worker *w, struct rte_mbuf *m, const struct item *it)
{
	if (w->relay->port.ifindex == 0)
		egress_return(w, m, it);
	else
		egress_send(w, m);
}
