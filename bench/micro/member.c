/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "bench/content.h"
#include "bench/micro/member.h"

static const uint8_t master_key[MASTER_KEY_SIZE] = "the group's";
static const uint8_t domain_key[DOMAIN_KEY_SIZE] = "the domain's";

/* A blob's bytes are random, and so is what stands for something random. */
static void member_draw(struct member *m)
{
	content_fill(1, 0, m->id.b, sizeof(m->id.b));
	content_fill(1, 1, m->transfer, sizeof(m->transfer));
	content_fill(1, 2, (uint8_t *)&m->conn, sizeof(m->conn));
}

static void member_make(struct member *m)
{
	m->unix_seconds = UINT64_C(1800000000);
	m->key = 7 << 8 | 1;
	m->length = CHUNK_SIZE;
	member_draw(m);
	if (addr_parse("192.0.2.1", 40000, &m->self) < 0 ||
	    addr_parse("192.0.2.2", WIRE_PORT, &m->relay) < 0)
		abort();
	token_ring_derive(&m->ring, master_key, m->unix_seconds);
	domain_keys_derive(&m->domain, domain_key);
	session_derive(&m->domain, m->conn, &m->self, &m->session);
	cookie_mint(&m->ring, &m->self, m->conn, m->key, &m->cookie);
	echo_mint(&m->ring, &m->self, m->conn, m->key, m->unix_seconds, &m->echo);
	m->ticket = (struct ticket){
		.expiry = put32((uint32_t)m->unix_seconds + DEADLINE_MAX),
		.key = put32(m->key),
		.source_conn = put64(m->conn),
		.source = m->self,
		.home = m->relay,
	};
	memcpy(m->ticket.transfer, m->transfer, sizeof(m->transfer));
	ticket_mint(&m->ring, &m->ticket, &m->id, RULE_SHA256, m->length);
}

const struct member *member_get(void)
{
	static struct member m;

	if (m.unix_seconds == 0)
		member_make(&m);
	return &m;
}

static size_t send_make(const struct member *m, uint8_t *buf)
{
	const struct send s = {
		.cookie = &m->cookie,
		.transfer = m->transfer,
		.id = &m->id,
		.target = &m->self,
		.rule = RULE_SHA256,
		.deadline = DEADLINE_MAX,
		.length = m->length,
	};

	return send_encode(buf, WIRE_MAX_FRAME, m->key, m->conn, &s);
}

static size_t pull_make(const struct member *m, uint8_t *buf)
{
	const struct pull p = {
		.cookie = &m->cookie,
		.echo = &m->echo,
		.ticket = &m->ticket,
		.id = &m->id,
		.rule = RULE_SHA256,
		.mask = 1,
		.length = m->length,
	};

	return pull_encode(buf, WIRE_MAX_FRAME, m->key, m->conn, &p);
}

static size_t receipt_make(const struct member *m, uint8_t *buf)
{
	static const uint8_t digest[8];
	const struct receipt r = {
		.cookie = &m->cookie,
		.id = &m->id,
		.meta_digest = digest,
		.ticket = &m->ticket,
		.code = RECEIPT_COMPLETE,
		.rule = RULE_SHA256,
		.length = m->length,
		.bytes = m->length,
	};

	return receipt_encode(buf, WIRE_MAX_FRAME, m->key, m->conn, &r);
}

static size_t data_make(const struct member *m, uint8_t *buf)
{
	uint8_t chunk[CHUNK_SIZE];
	const struct data d = {.upload = true, .bytes = chunk, .len = sizeof(chunk)};

	content_fill(1, 3, chunk, sizeof(chunk));
	return data_encode(buf, WIRE_MAX_FRAME, m->key, m->conn, &d);
}

static size_t listen_make(const struct member *m, uint8_t *buf)
{
	const struct listen l = {.cookie = &m->cookie, .number = 1, .seconds = 60};

	return listen_encode(buf, WIRE_MAX_FRAME, m->key, m->conn, &l);
}

static size_t status_make(const struct member *m, uint8_t *buf)
{
	const struct status s = {.transfer = m->transfer, .code = STATUS_SERVING_PRIVATE};

	return status_encode(buf, WIRE_MAX_FRAME, m->key, m->conn, &s);
}

void member_frame(enum member_frame which, uint8_t *buf, struct frame *f)
{
	static size_t (*const make[MEMBER_FRAMES])(const struct member *, uint8_t *) = {
		[MEMBER_SEND] = send_make,	 [MEMBER_PULL] = pull_make,
		[MEMBER_RECEIPT] = receipt_make, [MEMBER_DATA] = data_make,
		[MEMBER_LISTEN] = listen_make,	 [MEMBER_STATUS] = status_make,
	};
	const struct member *m = member_get();
	size_t len = frame_sign(buf, WIRE_MAX_FRAME, make[which](m, buf), &m->session);

	if (len == 0 || frame_parse(buf, len, f) != DROP_NONE)
		abort();
}
