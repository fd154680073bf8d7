/* SPDX-License-Identifier: BSD-3-Clause
 * The hit path: SENDs whose blob is here. PULLs: pull.c.
 */
#include <rte_prefetch.h>

#include "dataplane/worker.h"

static void offer_send(struct worker *w, const struct item *it, const struct ask *a,
		       const struct piece *b)
{
	const struct ask_extras extras = ask_extras_of_send(&it->send);
	const struct lease *lease =
		offer_leased(it->lease, a->field, worker_seconds(w)) ? it->lease : NULL;
	struct offer_macs *macs;
	struct rte_mbuf *m;
	size_t len;

	if (!offer_admit(w->relay, a, lease, w->now_us, &w->stats))
		return;
	stage_over(STAGE_index);
	m = egress_alloc(w, &a->target);
	if (m == NULL)
		return;
	packet_of(m)->source = a->key.source;
	macs = egress_offer_macs(w, m);
	len = answer_offer(w->relay, a, &extras, b, NULL, lease, worker_seconds(w),
			   egress_payload(m), &w->stats, macs);
	packet_of(m)->summed = macs->blob;
	packet_of(m)->sum = macs->sum;
	if (egress_sized(m, len))
		egress_send(w, m);
}

/* Refusals that need no lookup. */
static enum refuse_reason send_refusal(const struct worker *w, const struct item *it)
{
	const struct relay *r = w->relay;

	if (it->domain == NULL)
		return REFUSE_MEMBERS_ONLY;
	if ((r->rules & (1u << it->send.rule)) == 0)
		return REFUSE_RULE;
	return offer_refusal(r, it->domain, it->send.target);
}

static bool send_within_rate(struct worker *w, struct item *it)
{
	const struct domain *d = it->domain;

	return bucket_take(&w->relay->domain[d->slot], &d->sends, 1, w->now_us);
}

/* The blob is here: does this source get it at once? */
static void send_hit(struct worker *w, struct item *it, const struct ask *a, const struct piece *b)
{
	const struct relay *r = w->relay;
	struct status serving = {.code = r->central ? STATUS_SERVING_CENTRAL
						    : STATUS_SERVING_PRIVATE};

	if (r->possession && a->length > 0) {
		if (it->send.proof != NULL)
			item_ask_control(w, it, a); /* to be verified beside the hit path */
		else
			reply_challenge(w, it, a);
		return;
	}
	cache_touch(w->touched, it->piece);
	w->stats.hits++;
	w->domain[it->domain->slot].hits++;
	offer_send(w, it, a, b);
	reply_status(w, it, a, &serving);
}

/* What will be read of a blob that fits into its OFFER is on its way. */
static void blob_prefetch(const struct worker *w, uint32_t piece)
{
	const struct piece *b = slab_piece(&w->relay->slab, piece);
	const uint8_t *from;

	if (b->length == 0 || b->length > WIRE_MAX_FRAME - OFFER_SIZE)
		return;
	from = piece_chunk(&w->relay->slab, b, 0);
	for (uint32_t at = 0; at < b->length; at += RTE_CACHE_LINE_SIZE)
		rte_prefetch0(from + at);
	rte_prefetch0(piece_sum(b, 0, from));
}

void sends_prepare(struct worker *w, struct item **items, uint16_t n)
{
	const struct addr *targets[WORKER_BURST];
	const struct lease *lease[WORKER_BURST];
	struct item *hits[WORKER_BURST];
	unsigned int count = 0;

	_Static_assert(WORKER_BURST <= LEASE_BURST, "one lookup a burst");
	for (uint16_t i = 0; i < n; i++) {
		struct item *it = items[i];

		if (it->frame.verb != VERB_SEND || it->piece == PIECE_NONE)
			continue;
		blob_prefetch(w, it->piece);
		targets[count] = it->send.target;
		hits[count++] = it;
	}
	if (count == 0)
		return;
	lease_find(w->relay->leases, targets, count, lease);
	for (unsigned int i = 0; i < count; i++) {
		hits[i]->lease = lease[i];
		rte_prefetch0(lease[i]);
	}
}

void handle_send(struct worker *w, struct item *it)
{
	const struct relay *r = w->relay;
	struct domain_stats *ds = it->domain != NULL ? &w->domain[it->domain->slot] : NULL;
	const enum refuse_reason refusal = send_refusal(w, it);
	const struct piece *b;
	struct ask a;

	ask_of_send(&a, &it->send, it->packet, &it->frame, relay_self(r, &it->packet->peer), w->id,
		    worker_seconds(w));
	if (ds != NULL)
		ds->requests++;
	if (refusal != REFUSE_NONE) {
		if (ds != NULL)
			ds->refused++;
		reply_status(w, it, &a,
			     &(struct status){.code = STATUS_REFUSED, .reason = (uint8_t)refusal});
		return;
	}
	if (!send_within_rate(w, it)) {
		ds->refused++;
		w->stats.drops[DROP_RATE]++;
		reply_error(w, it,
			    &(struct error){.code = ERROR_BUSY, .retry_after = BUSY_RETRY_MS});
		return;
	}
	b = it->piece != PIECE_NONE ? slab_piece(&r->slab, it->piece) : NULL;
	if (b == NULL || !piece_match(b, it->domain->id, &a.id, a.rule, a.length, 0) ||
	    relay_hides(r, a.length))
		item_ask_control(w, it, &a);
	else
		send_hit(w, it, &a, b);
}
