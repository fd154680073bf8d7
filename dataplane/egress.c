/* SPDX-License-Identifier: BSD-3-Clause
 * From payload to port: next hop, headers, transmit bursts.
 */
#include <rte_ethdev.h>

#include "dataplane/worker.h"

#define TX_TRIES 4 /* bursts without progress before the rest is dropped */

struct rte_mbuf *egress_alloc(struct worker *w, const struct addr *peer)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(w->pool);

	if (m == NULL) {
		w->stats.drops[DROP_NO_BUFFER]++;
		return NULL;
	}
	packet_init(m, peer);
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

/* Once for each frame: what is known of its next hop may be forgotten before it comes
 * back, time and again. */
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

/* Writes the headers. False: the frame is dropped. */
static bool frame_finish(struct worker *w, struct rte_mbuf *m, uint16_t port,
			 const struct rte_ether_addr *to)
{
	const struct rte_ether_addr from = port_mac(&w->relay->port);
	const struct addr *self = relay_self(w->relay, &packet_of(m)->peer);

	if (self->type == ADDR_NONE) { /* a ticket's source, say, of a relay that has both */
		worker_drop(w, m, DROP_NO_ROUTE);
		return false;
	}
	packet_finish(m, self, &from, to);
	m->port = port;
	w->stats.tx_bytes += m->pkt_len;
	return true;
}

/* By the way that was found, if it was. */
static bool frame_route(struct worker *w, struct rte_mbuf *m, const struct nexthop *nh)
{
	switch (nh->state) {
	case NEXTHOP_READY:
		return frame_finish(w, m, nh->port, &nh->mac);
	case NEXTHOP_UNKNOWN:
		next_hop_ask(w, m);
		return false;
	case NEXTHOP_NO_ROUTE:
		worker_drop(w, m, DROP_NO_ROUTE);
		return false;
	default:
		worker_drop(w, m, DROP_NO_NEIGHBOUR);
		return false;
	}
}

/* Finishes up to NEXTHOP_LOOKUP frames, and moves those that leave to `out`, which may
 * begin at or before them. Returns how many do. */
static uint16_t frames_finish(struct worker *w, struct rte_mbuf **m, uint16_t n,
			      struct rte_mbuf **out)
{
	const struct addr *hosts[NEXTHOP_LOOKUP];
	struct nexthop nh[NEXTHOP_LOOKUP];
	uint16_t ask = 0, asked = 0, leave = 0;

	for (uint16_t i = 0; i < n; i++)
		if (!packet_of(m[i])->has_mac)
			hosts[ask++] = &packet_of(m[i])->peer;
	if (ask > 0)
		nexthop_lookup(w->relay->nexthops, hosts, ask, nh);
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *f = m[i];
		bool leaves = packet_of(f)->has_mac
				      ? frame_finish(w, f, w->relay->port.id, &packet_of(f)->mac)
				      : frame_route(w, f, &nh[asked++]);

		if (leaves)
			out[leave++] = f;
	}
	return leave;
}

/* Frames for one port. */
static void frames_transmit(struct worker *w, struct rte_mbuf **m, uint16_t n)
{
	uint16_t done = 0, tries = 0;

	while (done < n && tries < TX_TRIES) {
		uint16_t sent = rte_eth_tx_burst(m[0]->port, w->id, m + done, (uint16_t)(n - done));

		tries = sent == 0 ? tries + 1 : 0;
		done = (uint16_t)(done + sent);
	}
	w->stats.tx_packets += done;
	for (; done < n; done++) {
		w->stats.tx_bytes -= m[done]->pkt_len; /* counted when it was finished */
		worker_drop(w, m[done], DROP_TX_FULL);
	}
}

/* By whatever ports. */
static void frames_leave(struct worker *w, struct rte_mbuf **m, uint16_t n)
{
	uint16_t run;

	for (uint16_t i = 0; i < n; i = (uint16_t)(i + run)) {
		for (run = 1; i + run < n && m[i + run]->port == m[i]->port;)
			run++;
		frames_transmit(w, m + i, run);
	}
}

/* ---- MACs ---- */

/* Room for one more job. */
static void macs_room(struct worker *w, unsigned int jobs)
{
	if (jobs == WORKER_TX_BURST)
		egress_flush(w);
}

size_t egress_sign(struct worker *w, struct rte_mbuf *m, size_t len, const struct session *s)
{
	struct macs_out *out = &w->macs_out;

	macs_room(w, out->trailers);
	len = frame_sign_begin(egress_payload(m), WIRE_MAX_FRAME, len, s,
			       &out->trailer[out->trailers]);
	if (len > 0)
		packet_of(m)->mac_job = (uint8_t)++out->trailers;
	return len;
}

struct offer_macs *egress_offer_macs(struct worker *w, struct rte_mbuf *m)
{
	struct macs_out *out = &w->macs_out;

	macs_room(w, out->offers);
	packet_of(m)->mac_job = (uint8_t)(WORKER_TX_BURST + ++out->offers);
	return &out->offer[out->offers - 1];
}

static void frame_mac(struct worker *w, struct rte_mbuf *m)
{
	const unsigned int job = packet_of(m)->mac_job;

	if (job == 0)
		return;
	if (job <= WORKER_TX_BURST)
		frame_sign_end(&w->macs_out.trailer[job - 1], egress_payload(m), m->data_len);
	else
		offer_macs_write(&w->macs_out.offer[job - WORKER_TX_BURST - 1], egress_payload(m));
	packet_of(m)->mac_job = 0;
}

/* Whatever is queued has been written but for these. There may be more of them than frames:
 * some were dropped before they were queued. */
static void macs_finish(struct worker *w)
{
	struct macs_out *out = &w->macs_out;
	const unsigned int trailers = out->trailers, offers = out->offers;

	out->trailers = out->offers = 0;
	if (w->tx_count == 0)
		return;
	sip_hash(out->trailer, sizeof(out->trailer[0]), trailers);
	offer_macs_hash(out->offer, offers);
	for (uint16_t i = 0; i < w->tx_count; i++)
		frame_mac(w, w->tx[i]);
}

static void payloads_flush(struct worker *w)
{
	uint16_t n = 0;

	for (uint16_t i = 0; i < w->tx_count; i = (uint16_t)(i + NEXTHOP_LOOKUP))
		n = (uint16_t)(n + frames_finish(w, w->tx + i,
						 RTE_MIN((uint16_t)(w->tx_count - i),
							 (uint16_t)NEXTHOP_LOOKUP),
						 w->tx + n));
	w->tx_count = 0;
	frames_leave(w, w->tx, n);
}

void egress_flush(struct worker *w)
{
	const uint16_t n = w->headed_count;

	stage_over(STAGE_build);
	macs_finish(w);
	stage_over(STAGE_tokens);
	w->headed_count = 0;
	frames_leave(w, w->headed, n);
	if (w->tx_count > 0)
		payloads_flush(w);
	stage_over(STAGE_send);
}

static void egress_queue(struct worker *w, struct rte_mbuf *m)
{
	w->tx[w->tx_count++] = m;
	if (w->tx_count == WORKER_TX_BURST)
		egress_flush(w);
}

static void egress_queue_to(struct worker *w, struct rte_mbuf *m, const struct rte_ether_addr *to)
{
	packet_of(m)->mac = *to;
	packet_of(m)->has_mac = true;
	egress_queue(w, m);
}

void egress_return(struct worker *w, struct rte_mbuf *m, const struct item *it)
{
	const struct rte_ether_addr *to = &it->packet->mac;

	if (rte_is_valid_assigned_ether_addr(to))
		egress_queue_to(w, m, to);
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
		egress_queue_to(w, m, &to);
	else
		worker_drop(w, m, DROP_NO_NEIGHBOUR);
}

void egress_send(struct worker *w, struct rte_mbuf *m)
{
	if (w->relay->port.ifindex == 0)
		egress_learned(w, m);
	else
		egress_queue(w, m);
}

void egress_reply(struct worker *w, struct rte_mbuf *m, const struct item *it)
{
	if (w->relay->port.ifindex == 0)
		egress_return(w, m, it);
	else
		egress_send(w, m);
}

/* ---- whole frames ---- */

static struct nexthop way_back(const struct item *it, uint16_t port)
{
	return (struct nexthop){
		.mac = it->packet->mac,
		.state = NEXTHOP_READY,
		.port = (uint8_t)port,
	};
}

void egress_ways(struct worker *w, const struct item *const items[], unsigned int n,
		 struct nexthop out[])
{
	const struct addr *hosts[NEXTHOP_LOOKUP];

	for (unsigned int i = 0; i < n; i++)
		hosts[i] = &items[i]->packet->peer;
	if (w->relay->port.ifindex != 0) {
		nexthop_lookup(w->relay->nexthops, hosts, n, out);
		return;
	}
	for (unsigned int i = 0; i < n; i++)
		out[i] = way_back(items[i], w->relay->port.id);
}

/* Back to a payload: control may have to be asked for the way. */
static void headed_unfinished(struct worker *w, struct rte_mbuf *m, const struct addr *peer,
			      unsigned int payload)
{
	const struct addr to = *peer; /* may be of m itself */

	rte_pktmbuf_adj(m, (uint16_t)payload);
	packet_init(m, &to);
	egress_queue(w, m);
}

void egress_headed(struct worker *w, struct rte_mbuf **m, unsigned int n, const struct nexthop *way,
		   const struct addr *peer, unsigned int payload)
{
	const bool known = way->state == NEXTHOP_READY,
		   valid = known && rte_is_valid_assigned_ether_addr(&way->mac);

	for (unsigned int i = 0; i < n; i++) {
		if (!known) {
			headed_unfinished(w, m[i], peer, payload);
		} else if (!valid) {
			worker_drop(w, m[i], DROP_ADDRESS);
		} else {
			m[i]->port = way->port;
			w->stats.tx_bytes += m[i]->pkt_len;
			w->headed[w->headed_count++] = m[i];
			if (w->headed_count == WORKER_TX_BURST)
				egress_flush(w);
		}
	}
}
