/* SPDX-License-Identifier: BSD-3-Clause
 * Authentication of whole frames: members' trailers, and those between relays.
 */
#include <stdlib.h>

#include "bench/micro/member.h"
#include "bench/micro/micro.h"

static const uint8_t pair_key[PAIR_KEY_SIZE] = "the pair's";
static const struct member *m;
static uint8_t bytes[MEMBER_FRAMES][WIRE_MAX_FRAME], query_bytes[WIRE_MAX_FRAME];
static struct frame frames[MEMBER_FRAMES], query;

static bool derive_run(uint64_t times)
{
	struct session s = {0};

	while (times-- > 0) {
		session_derive(&m->domain, m->conn, &m->self, &s);
		micro_use(&s);
	}
	return memcmp(&s, &m->session, sizeof(s)) == 0;
}

/* All that a worker does for a frame because its sender is a member; and the
 * member, for an answer. */
static bool admit_run(enum member_frame which, uint64_t times)
{
	struct session s;
	bool ok = true;

	while (times-- > 0) {
		session_derive(&m->domain, m->conn, &m->self, &s);
		ok &= frame_signed(&frames[which], &s);
	}
	return ok;
}

#define RUNS(name, which)                        \
	static bool admit_##name(uint64_t times) \
	{                                        \
		return admit_run(which, times);  \
	}
RUNS(send, MEMBER_SEND)
RUNS(pull, MEMBER_PULL)
RUNS(receipt, MEMBER_RECEIPT)
RUNS(data, MEMBER_DATA)
RUNS(listen, MEMBER_LISTEN)
RUNS(status, MEMBER_STATUS)

static bool trailer_run(uint64_t times)
{
	bool ok = true;

	while (times-- > 0)
		ok &= trailer_check(pair_key, query.start, query.len - TRAILER_SIZE, query.trailer);
	return ok;
}

static void query_make(void)
{
	const struct query q = {
		.nonce = 1,
		.time = m->unix_seconds * 1000,
		.transfer = m->transfer,
		.id = &m->id,
		.target = &m->self,
		.source = &m->self,
		.rule = RULE_SHA256,
		.deadline = DEADLINE_MAX,
		.send_size = SEND_MIN,
		.source_key = m->key,
		.length = m->length,
		.source_conn = m->conn,
	};
	size_t len = query_encode(query_bytes, sizeof(query_bytes), 1 << 8, 1, &q, pair_key);

	if (len == 0 || frame_parse(query_bytes, len, &query) != DROP_NONE)
		abort();
}

void micro_sign(void)
{
	static struct micro list[] = {
		{.name = "session_derive", .run = derive_run},
		{.name = "member_check/SEND", .run = admit_send},
		{.name = "member_check/PULL", .run = admit_pull},
		{.name = "member_check/RECEIPT", .run = admit_receipt},
		{.name = "member_check/DATA", .run = admit_data},
		{.name = "member_check/LISTEN", .run = admit_listen},
		{.name = "member_check/STATUS", .run = admit_status},
		{.name = "trailer_check/QUERY", .run = trailer_run},
	};
	const size_t count = sizeof(list) / sizeof(list[0]);

	m = member_get();
	for (unsigned int i = 0; i < MEMBER_FRAMES; i++) {
		member_frame(i, bytes[i], &frames[i]);
		list[1 + i].bytes = frames[i].len;
	}
	query_make();
	list[count - 1].bytes = query.len;
	micro_add(list, count);
}
