/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/ask.h"

static void ask_of_query(struct ask *a, const struct query *q, const struct packet *p,
			 uint16_t worker, uint64_t unix_seconds)
{
	*a = (struct ask){
		.key = {.source = *q->source, .leg = put16(q->leg)},
		.target = *q->target,
		.home = p->peer,
		.id = *q->id,
		.length = q->length,
		.conn = q->source_conn,
		.expiry = unix_seconds + q->deadline,
		.field = q->source_key,
		.send_size = q->send_size,
		.worker = worker,
		.rule = q->rule,
	};
	memcpy(a->key.transfer, q->transfer, TRANSFER_SIZE);
}

struct ask_extras ask_extras_of(const struct ask_cold *c)
{
	return (struct ask_extras){
		.meta = c->meta,
		.sealed_key = c->has_sealed_key ? c->sealed_key : NULL,
		.meta_len = c->meta_len,
	};
}

static void cold_copy(struct ask_cold *c, const struct ask_extras *e, const struct proof *proof)
{
	c->has_proof = proof != NULL;
	if (proof != NULL)
		c->proof = *proof;
	c->has_vouch = false;
	c->has_sealed_key = e->sealed_key != NULL;
	if (e->sealed_key != NULL)
		memcpy(c->sealed_key, e->sealed_key, sizeof(c->sealed_key));
	c->meta_len = e->meta_len;
	if (e->meta_len > 0)
		memcpy(c->meta, e->meta, e->meta_len);
}

/* `c` was made from the frame in m, which it replaces. */
static void carried_put(struct rte_mbuf *m, const struct ask_carried *c)
{
	_Static_assert(sizeof(*c) <= WIRE_MAX_FRAME, "fits where every frame does");

	m->data_off = RTE_PKTMBUF_HEADROOM;
	m->data_len = sizeof(*c);
	m->pkt_len = sizeof(*c);
	memcpy(rte_pktmbuf_mtod(m, void *), c, sizeof(*c));
}

void ask_carry_send(struct rte_mbuf *m, const struct ask *a, const struct send *s)
{
	const struct ask_extras extras = ask_extras_of_send(s);
	struct ask_carried c;

	c.ask = *a;
	cold_copy(&c.cold, &extras, s->proof);
	c.cold.has_vouch = s->vouch != NULL;
	if (s->vouch != NULL)
		c.cold.vouch = *s->vouch;
	c.is_query = false;
	c.has_moved = s->moved != NULL;
	if (s->moved != NULL)
		c.moved = *s->moved;
	carried_put(m, &c);
}

void ask_carry_query(struct rte_mbuf *m, const struct query *q, const struct frame *f,
		     uint16_t worker, uint64_t unix_seconds)
{
	const struct ask_extras extras = {
		.meta = q->meta, .sealed_key = q->sealed_key, .meta_len = q->meta_len};
	struct ask_carried c;

	ask_of_query(&c.ask, q, packet_of(m), worker, unix_seconds);
	cold_copy(&c.cold, &extras, q->proof);
	c.is_query = true;
	c.query.leased = q->leased;
	c.query.holding = q->ticket != NULL;
	if (q->ticket != NULL)
		c.query.ticket = *q->ticket;
	c.query.attempt = q->attempt;
	c.query.available = q->available;
	c.query.pair = f->key;
	c.query.conn = f->conn;
	c.query.nonce = q->nonce;
	c.query.time = q->time;
	carried_put(m, &c);
}

bool ask_same(const struct ask *a, const struct ask *b)
{
	return ask_domain(a) == ask_domain(b) && a->rule == b->rule && a->length == b->length &&
	       ident_equal(&a->id, &b->id) && addr_equal(&a->target, &b->target);
}

static struct challenge_request claim(const struct ask *a)
{
	return (struct challenge_request){
		.source = &a->key.source,
		.transfer = a->key.transfer,
		.id = &a->id,
		.leg = get16(a->key.leg),
		.rule = a->rule,
		.key = a->field,
		.length = a->length,
	};
}

void ask_challenge(const struct ask *a, const struct token_ring *keys, struct challenge *out)
{
	const struct challenge_request q = claim(a);

	challenge_mint(keys, &q, out);
}

bool ask_challenged(const struct ask *a, const struct token_ring *keys, const struct challenge *c)
{
	const struct challenge_request q = claim(a);

	return challenge_check(keys, c, &q);
}
