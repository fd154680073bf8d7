/* SPDX-License-Identifier: BSD-3-Clause */
#include "pktgen-scripts/request.h"

#include "bench/content.h"

/* The number a source would have drawn; the same in every request of it. */
static uint64_t source_conn(const struct request_context *c, const struct addr *source)
{
	uint64_t state = c->seed ^ get16(source->port);
	be32 ip;

	memcpy(&ip, source->ip, sizeof(ip));
	state ^= (uint64_t)get32(ip) << 16;
	return mix_next(&state);
}

static void transfer_make(const struct request_context *c, const struct request *r,
			  uint8_t out[TRANSFER_SIZE])
{
	be64 head = put64(c->seed), tail = put64(r->number);

	memcpy(out, &head, sizeof(head));
	memcpy(out + sizeof(head), &tail, sizeof(tail));
}

static size_t hello_make(const struct request_context *c, const struct request *r, uint8_t *buf)
{
	uint64_t conn = source_conn(c, r->source);
	struct mac proof = {0};
	const struct hello h = {.nonce = r->random, .proof = c->key != 0 ? &proof : NULL};

	if (c->key != 0)
		hello_prove(&c->domain, conn, c->key, h.nonce, &proof);
	return hello_encode(buf, WIRE_MAX_FRAME, c->key, conn, &h);
}

static size_t send_make(const struct request_context *c, const struct request *r, uint8_t *buf)
{
	uint64_t conn = source_conn(c, r->source);
	uint8_t transfer[TRANSFER_SIZE];
	struct cookie cookie;
	const struct send s = {
		.cookie = &cookie,
		.transfer = transfer,
		.id = &r->blob->id,
		.target = c->target.type != ADDR_NONE ? &c->target : r->source,
		.rule = c->rule,
		.deadline = DEADLINE_MAX,
		.length = r->blob->length,
	};

	cookie_mint(&c->keys, r->source, conn, c->key, &cookie);
	transfer_make(c, r, transfer);
	return send_encode(buf, WIRE_MAX_FRAME, c->key, conn, &s);
}

/* As the OFFER would have brought it, had the puller sent the blob to itself. */
static void ticket_make(const struct request_context *c, const struct request *r, uint64_t conn,
			struct ticket *t)
{
	memset(t, 0, sizeof(*t));
	t->key = put32(c->key);
	t->expiry = put32((uint32_t)(c->unix_seconds + DEADLINE_MAX));
	transfer_make(c, r, t->transfer);
	t->source_conn = put64(conn);
	t->source = *r->source;
	t->home = c->relay;
	ticket_mint(&c->keys, t, &r->blob->id, c->rule, r->blob->length);
}

static size_t pull_make(const struct request_context *c, const struct request *r, uint8_t *buf)
{
	uint32_t count = chunk_count(r->blob->length), wanted = c->chunks;
	uint64_t conn = source_conn(c, r->source);
	struct cookie cookie;
	struct echo echo;
	struct ticket ticket;
	struct pull p = {
		.cookie = &cookie,
		.echo = &echo,
		.ticket = &ticket,
		.id = &r->blob->id,
		.rule = c->rule,
		.stream = conn,
		.number = (uint32_t)r->number,
		.length = r->blob->length,
	};

	/* whole PULLs of a receiver that goes through the blob in order */
	p.first = (uint32_t)(r->random % ((count + wanted - 1) / wanted)) * wanted;
	if (wanted > count - p.first)
		wanted = count - p.first;
	p.mask = (uint32_t)((UINT64_C(1) << wanted) - 1);
	cookie_mint(&c->keys, r->source, conn, c->key, &cookie);
	echo_mint(&c->keys, r->source, conn, c->key, c->unix_seconds, &echo);
	ticket_make(c, r, conn, &ticket);
	return pull_encode(buf, WIRE_MAX_FRAME, c->key, conn, &p);
}

size_t request_sign(const struct request_context *c, const struct addr *source, uint8_t *buf,
		    size_t len)
{
	struct session session;

	if (c->key == 0 || len == 0 || ((const struct wire_header *)buf)->verb == VERB_HELLO)
		return len;
	session_derive(&c->domain, source_conn(c, source), source, &session);
	return frame_sign(buf, WIRE_MAX_FRAME, len, &session);
}

request_maker request_maker_find(const char *verb)
{
	if (strcmp(verb, "hello") == 0)
		return hello_make;
	if (strcmp(verb, "send") == 0)
		return send_make;
	return strcmp(verb, "pull") == 0 ? pull_make : NULL;
}
