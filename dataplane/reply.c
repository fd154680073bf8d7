/* SPDX-License-Identifier: BSD-3-Clause
 * Small answers to whoever sent a frame.
 */
#include "dataplane/worker.h"

/* Bytes of an answer of `len` with the trailer that a member's has; 0 stays 0. */
static size_t signed_size(const struct item *it, size_t len)
{
	return len > 0 && it->member ? len + TRAILER_SIZE : len;
}

/* For an answer to the sender of `it`: the buffer that its frame came in, of which nothing is
 * read after that, if it has the room. */
static struct rte_mbuf *answer_alloc(struct worker *w, struct item *it)
{
	struct rte_mbuf *m = it->mbuf;

	if (!buffer_takes(m, WIRE_MAX_FRAME))
		return egress_alloc(w, &it->packet->peer);
	it->mbuf = NULL;
	m->ol_flags = 0;
	rte_pktmbuf_reset_headroom(m);
	packet_init(m, &it->packet->peer);
	return m;
}

/* Sends the answer of `len` bytes in m, yet unsigned, to the sender of `it`. */
static void answer_leave(struct worker *w, const struct item *it, struct rte_mbuf *m, size_t len)
{
	if (!egress_sized(m, signed_size(it, len)))
		return;
	if (it->member && egress_sign(w, m, len, &it->session) == 0)
		rte_pktmbuf_free(m); /* it would be too long: not of what we send */
	else
		egress_reply(w, m, it);
}

void reply_status(struct worker *w, struct item *it, const struct ask *a, struct status *s)
{
	struct rte_mbuf *m = answer_alloc(w, it);

	if (m != NULL)
		answer_leave(w, it, m, answer_status(a, s, egress_payload(m)));
}

void reply_challenge(struct worker *w, struct item *it, const struct ask *a)
{
	struct rte_mbuf *m = answer_alloc(w, it);

	if (m != NULL)
		answer_leave(w, it, m, answer_challenge(a, w->keys, egress_payload(m)));
}

void report_status(struct worker *w, const struct ticket *t, const struct status *s)
{
	uint32_t key = get32(t->key);
	uint64_t conn = get64(t->source_conn);
	struct rte_mbuf *m = egress_alloc(w, &t->source);
	size_t len;

	if (m == NULL)
		return;
	len = status_encode(egress_payload(m), WIRE_MAX_FRAME, key, conn, s);
	len = keyring_sign(w->keyring, key, conn, &t->source, egress_payload(m), len);
	if (len == 0)
		w->stats.drops[DROP_KEY_UNKNOWN]++;
	if (egress_sized(m, len))
		egress_send(w, m);
}

/* The ERROR in m, unsigned; 0 if it would be larger than the frame it answers. */
static size_t error_write(const struct item *it, struct rte_mbuf *m, const struct error *e)
{
	size_t len =
		error_encode(egress_payload(m), WIRE_MAX_FRAME, it->frame.key, it->frame.conn, e);

	return signed_size(it, len) <= it->frame.len ? len : 0;
}

void reply_later(struct worker *w, struct item *it, uint32_t available)
{
	const struct error e = {
		.code = ERROR_LATER,
		.verb = VERB_PULL,
		.number = it->pull.number,
		.stream = it->pull.stream,
		.available = available,
	};
	struct rte_mbuf *m = answer_alloc(w, it);

	w->stats.later++;
	if (m != NULL)
		answer_leave(w, it, m, error_write(it, m, &e));
}

void reply_error(struct worker *w, struct item *it, const struct error *e)
{
	const struct addr *peer = &it->packet->peer;
	struct error full = *e;
	struct echo echo;
	struct rte_mbuf *m;
	size_t len;

	if (!budget_take(&w->relay->error_source, peer->ip, sizeof(peer->ip), 1, w->now_us)) {
		w->stats.drops[DROP_RATE]++;
		return;
	}
	full.verb = it->frame.verb;
	if (e->code == ERROR_FRESH) {
		echo_mint(w->keys, peer, it->frame.conn, it->frame.key, worker_seconds(w), &echo);
		full.echo = &echo;
	}
	m = answer_alloc(w, it);
	if (m == NULL)
		return;
	len = error_write(it, m, &full);
	if (len == 0 && full.retry_after != 0) {
		full.retry_after = 0; /* a small frame: the code alone */
		len = error_write(it, m, &full);
	}
	w->stats.errors += len != 0;
	answer_leave(w, it, m, len);
}
