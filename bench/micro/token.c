/* SPDX-License-Identifier: BSD-3-Clause
 * The tokens of requests: what a worker checks before it does anything.
 */
#include "bench/micro/member.h"
#include "bench/micro/micro.h"

static const struct member *m;

static bool cookie_run(uint64_t times)
{
	bool ok = true;

	while (times-- > 0)
		ok &= cookie_check(&m->ring, &m->cookie, &m->self, m->conn, m->key) == DROP_NONE;
	return ok;
}

static bool echo_run(uint64_t times)
{
	bool ok = true;

	while (times-- > 0)
		ok &= echo_check(&m->ring, &m->echo, &m->self, m->conn, m->key, m->unix_seconds) ==
		      DROP_NONE;
	return ok;
}

static bool ticket_run(uint64_t times)
{
	bool ok = true;

	while (times-- > 0)
		ok &= ticket_check(&m->ring, &m->ticket, &m->id, RULE_SHA256, m->length,
				   m->unix_seconds) == DROP_NONE;
	return ok;
}

static bool challenge_run(uint64_t times)
{
	const struct challenge_request q = {
		.source = &m->self,
		.transfer = m->transfer,
		.id = &m->id,
		.rule = RULE_SHA256,
		.key = m->key,
		.length = m->length,
	};
	struct challenge c = {0};

	while (times-- > 0) {
		challenge_mint(&m->ring, &q, &c);
		micro_use(&c);
	}
	return challenge_check(&m->ring, &c, &q);
}

static const struct micro list[] = {
	{.name = "cookie_check", .run = cookie_run},
	{.name = "echo_check", .run = echo_run},
	{.name = "ticket_check", .run = ticket_run},
	{.name = "challenge_mint", .run = challenge_run},
};

void micro_token(void)
{
	m = member_get();
	micro_add(list, sizeof(list) / sizeof(list[0]));
}
