/* SPDX-License-Identifier: BSD-3-Clause
 * Small answers to whoever sent a frame.
 */
#include "dataplane/worker.h"

void reply_status(struct worker *w, const struct addr *to, uint32_t key, uint64_t conn,
		  const struct status *s)
{
	struct rte_mbuf *m = egress_alloc(w, to);

	if (m != NULL &&
	    egress_sized(m, status_encode(egress_payload(m), WIRE_MAX_FRAME, key, conn, s)))
		egress_send(w, m);
}

void reply_error(struct worker *w, const struct item *it, enum error_code code, uint32_t number,
		 uint64_t stream)
{
	const struct addr *peer = &it->packet->peer;
	struct error e = {
		.code = (uint8_t)code,
		.verb = it->frame.verb,
		.number = number,
		.stream = stream,
	};
	struct echo echo;
	struct rte_mbuf *m;
	size_t len;

	if (!budget_take(&w->error_source, peer->ip, sizeof(peer->ip), 1, w->now_us)) {
		w->stats.drops[DROP_RATE]++;
		return;
	}
	if (code == ERROR_FRESH) {
		echo_mint(w->keys, peer, it->frame.conn, worker_seconds(w), &echo);
		e.echo = &echo;
	}
	m = egress_alloc(w, peer);
	if (m == NULL)
		return;
	len = error_encode(egress_payload(m), WIRE_MAX_FRAME, it->frame.key, it->frame.conn, &e);
	if (len > it->frame.len)
		len = 0; /* never larger than what it answers */
	if (egress_sized(m, len)) {
		w->stats.errors++;
		egress_send(w, m);
	}
}
