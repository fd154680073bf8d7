/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/offer.h"

void offer_ticket(const struct relay *r, const struct offer_request *q, const struct blob *b,
		  uint64_t unix_seconds, struct ticket *out)
{
	memset(out, 0, sizeof(*out));
	out->leg = put16(q->leg);
	out->expiry = put32((uint32_t)(unix_seconds + q->deadline));
	out->key = put32(q->key);
	memcpy(out->transfer, q->transfer, TRANSFER_SIZE);
	out->source_conn = put64(q->source_conn);
	out->source = *q->source;
	out->home = *q->home;
	ticket_mint(relay_keys(r), out, &b->id, b->rule, b->length);
}

/* Until the target speaks, nobody knows its conn: ours is the transfer's head. */
static uint64_t stranger_conn(const uint8_t *transfer)
{
	be64 head;

	memcpy(&head, transfer, sizeof(head));
	return get64(head);
}

static size_t inline_size(const struct offer_request *q, const struct blob *b)
{
	size_t ext = (q->meta_len ? (2u + q->meta_len + 3u) & ~3u : 0) +
		     (q->sealed_key ? (2u + SEALED_KEY_SIZE + 3u) & ~3u : 0);

	return OFFER_SIZE + ext + b->length + TRAILER_SIZE;
}

static void blob_copy(const struct relay *r, const struct blob *b, uint8_t *to)
{
	for (uint32_t i = 0; i < chunk_count(b->length); i++)
		memcpy(to + (size_t)i * CHUNK_SIZE, blob_chunk(&r->slab, b, i),
		       chunk_length(b->length, i));
}

size_t offer_build(const struct relay *r, const struct offer_request *q, const struct blob *b,
		   const struct lease *lease, uint64_t unix_seconds, uint8_t *buf, bool *is_inline)
{
	struct ticket ticket;
	struct echo echo;
	struct offer o = {
		.transfer = q->transfer,
		.id = &b->id,
		.ticket = &ticket,
		.meta = q->meta,
		.sealed_key = q->sealed_key,
		.meta_len = q->meta_len,
		.leg = q->leg,
		.rule = b->rule,
		.deadline = q->deadline,
		.length = b->length,
	};
	uint32_t allowed = q->send_size - addr_overhead(q->target);
	size_t len;

	*is_inline = false;
	offer_ticket(r, q, b, unix_seconds, &ticket);
	if (lease == NULL) {
		if (q->send_size <= addr_overhead(q->target))
			return 0;
		if (allowed > WIRE_MAX_FRAME)
			allowed = WIRE_MAX_FRAME;
		len = offer_encode(buf, WIRE_MAX_FRAME, 0, stranger_conn(q->transfer), &o,
				   allowed & ~3u);
		return len <= allowed ? len : 0;
	}
	echo_mint(relay_keys(r), q->target, lease->conn, unix_seconds, &echo);
	o.echo = &echo;
	o.has_inline = inline_size(q, b) <= WIRE_MAX_FRAME;
	*is_inline = o.has_inline;
	len = offer_encode(buf, WIRE_MAX_FRAME, lease->key, lease->conn, &o, 0);
	if (o.has_inline && len != 0)
		blob_copy(r, b, buf + len - b->length);
	return len;
}

enum refuse_reason offer_refusal(const struct relay *r, const struct domain *d,
				 const struct addr *target)
{
	const struct nexthop *nh;

	if (!keyring_allows(relay_keyring(r), d, target) || addr_same_host(target, &r->self) ||
	    peer_hosts_have(&r->peers, target))
		return REFUSE_TARGET_POLICY;
	if (target->type != r->self.type || !addr_one_host(target) || addr_loopback(target))
		return REFUSE_TARGET_UNREACHABLE;
	nh = r->port.ifindex != 0 ? nexthop_lookup(r->nexthops, target) : NULL;
	if (nh != NULL && nh->state == NEXTHOP_NO_ROUTE)
		return REFUSE_TARGET_UNREACHABLE;
	return REFUSE_NONE;
}

const struct lease *offer_lease(const struct relay *r, uint32_t key, const struct addr *target,
				uint64_t unix_seconds)
{
	const struct lease *l = lease_lookup(r->leases, target, unix_seconds);

	return l != NULL && l->key >> 8 == key >> 8 ? l : NULL;
}

void offer_budget_init(struct offer_budget *b, uint32_t per_second, uint64_t seed)
{
	uint32_t pair = per_second > 1 ? per_second / 2 : per_second;

	budget_init(&b->target, per_second, per_second, seed);
	budget_init(&b->pair, pair, pair, seed + 1);
}

bool offer_allowed(struct offer_budget *b, const struct addr *source, const struct addr *target,
		   uint64_t now_us)
{
	struct {
		uint8_t source[8]; /* /24 of IPv4, /48 of IPv6 */
		uint8_t target[16];
	} pair = {0};

	memcpy(pair.source, source->ip, source->type == ADDR_IP4 ? 3 : 6);
	memcpy(pair.target, target->ip, sizeof(pair.target));
	/* the pair's first: a flooding source must not drain the target's */
	return budget_take(&b->pair, &pair, sizeof(pair), 1, now_us) &&
	       budget_take(&b->target, target->ip, sizeof(target->ip), 1, now_us);
}
