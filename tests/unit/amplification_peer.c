/* SPDX-License-Identifier: BSD-3-Clause
 * Rows of QUERY, ANSWER and NOTICE.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/amplification.h"
#include "tests/unit/unit_clock.h"

static const struct key_set *pair_keys(void)
{
	const struct config *c = &scene.config;

	return c->role == ROLE_PRIVATE ? &c->upstream.keys : &c->peers[0].keys;
}

static const struct ticket *holding; /* the next QUERY's; NULL: none */

static size_t query_build(uint8_t *buf, const uint8_t *key, uint32_t send_size, bool leased)
{
	static const uint8_t transfer[TRANSFER_SIZE] = {1};
	const struct query q = {
		.ticket = holding,
		.attempt = holding != NULL ? 7 : 0,
		.available = holding != NULL ? 1 : 0,
		.nonce = unit_clock_unix_us(),
		.time = box_seconds() * 1000,
		.transfer = transfer,
		.id = &present,
		.target = &person(TARGET)->addr,
		.source = &person(BYSTANDER)->addr,
		.rule = RULE_SHA256,
		.leased = leased,
		.deadline = 60,
		.send_size = send_size,
		.length = PRESENT,
	};

	return query_encode(buf, WIRE_MAX_FRAME, key_set_field(pair_keys(), 0), 5, &q, key);
}

static void query_with(uint32_t send_size, bool leased)
{
	struct person *p = person(STRANGER); /* a peer may come from anywhere */
	uint8_t buf[WIRE_MAX_FRAME];

	p->proven = true;
	scene_send(&scene, p, buf, query_build(buf, pair_keys()->key[0].key, send_size, leased));
	assert_true(was_sent(STRANGER, VERB_ANSWER));
}

static void query_hit(void)
{
	query_with(500, false);
	assert_int_equal(person(TARGET)->offers, 1);
}

static void query_hit_small(void)
{
	query_with(200, false);
	assert_int_equal(person(TARGET)->offers, 0);
}

static void query_leased(void)
{
	query_with(500, true);
	assert_int_equal(person(TARGET)->offers, 0);
}

/* Private has something of its own for a target, to whom only we may push. */
static void query_holding(void)
{
	static const struct ticket ticket = {.leg = {{0, 9}}};
	struct person *p = person(STRANGER);
	uint8_t buf[WIRE_MAX_FRAME];

	holding = &ticket;
	p->proven = true;
	scene_send(&scene, p, buf, query_build(buf, pair_keys()->key[0].key, 500, false));
	holding = NULL;
	assert_false(was_sent(STRANGER, VERB_ANSWER));
}

static void query_holding_leased(void)
{
	const struct frame *f;
	struct offer o;

	person_send(person(TARGET), make_listen);
	query_holding();
	assert_int_equal(person(TARGET)->offers, 1);
	f = scene_sent(&scene, person(TARGET), VERB_OFFER);
	assert_int_equal(offer_decode(f, &o), DROP_NONE);
	assert_true(f->conn == person(TARGET)->conn);
	assert_true(addr_equal(o.holder, &person(STRANGER)->addr)); /* where it came from */
	assert_true(o.attempt == 7 && o.available == 1 && get16(o.ticket->leg) == 9);
}

static void query_holding_unleased(void)
{
	const uint64_t *drops = scene.box->control.stats.drops;
	const uint64_t before = drops[DROP_NO_LEASE];

	query_holding();
	assert_int_equal(person(TARGET)->offers, 0);
	assert_int_equal(drops[DROP_NO_LEASE], before + 1);
}

static void query_wrong_key(void)
{
	static const uint8_t wrong[PAIR_KEY_SIZE];
	uint8_t buf[WIRE_MAX_FRAME];

	scene_send(&scene, person(STRANGER), buf, query_build(buf, wrong, 500, false));
	assert_int_equal(scene.frames, 0);
}

static void query_replayed(void)
{
	uint8_t buf[WIRE_MAX_FRAME];
	size_t len = query_build(buf, pair_keys()->key[0].key, 500, false);

	person(BYSTANDER)->proven = true;
	scene_send(&scene, person(BYSTANDER), buf, len);
	assert_true(was_sent(BYSTANDER, VERB_ANSWER));
	scene_clear(&scene);
	scene_send(&scene, person(STRANGER), buf, len);
	assert_int_equal(scene.frames, 0);
}

static void query_late(void)
{
	uint8_t buf[WIRE_MAX_FRAME];
	size_t len = query_build(buf, pair_keys()->key[0].key, 500, false);

	scene_pass(&scene, UINT64_C(60000000));
	scene_send(&scene, person(STRANGER), buf, len);
	assert_int_equal(scene.frames, 0);
}

static void answer_from(const uint8_t *key)
{
	static const uint8_t transfer[TRANSFER_SIZE] = {1};
	const struct answer a = {
		.nonce = unit_clock_unix_us(),
		.time = box_seconds() * 1000,
		.transfer = transfer,
		.code = ANSWER_SERVING,
	};
	uint8_t buf[WIRE_MAX_FRAME];

	scene_send(&scene, person(STRANGER), buf,
		   answer_encode(buf, sizeof(buf), key_set_field(pair_keys(), 0), 5, &a, key));
	assert_int_equal(scene.frames, 0);
}

static void answer_unasked(void)
{
	answer_from(pair_keys()->key[0].key);
}

static void answer_wrong_key(void)
{
	static const uint8_t wrong[PAIR_KEY_SIZE];

	answer_from(wrong);
}

static void notice_from(const uint8_t *key, bool ack)
{
	static const uint8_t transfer[TRANSFER_SIZE] = {1}, digest[8];
	const struct notice n = {
		.nonce = unit_clock_unix_us(),
		.time = box_seconds() * 1000,
		.transfer = transfer,
		.meta_digest = digest,
		.source = &person(BYSTANDER)->addr,
		.ack = ack,
		.code = RECEIPT_COMPLETE,
	};
	uint8_t buf[WIRE_MAX_FRAME];

	scene_send(&scene, person(STRANGER), buf,
		   notice_encode(buf, sizeof(buf), key_set_field(pair_keys(), 0), 5, &n, key));
}

static void notice_good(void)
{
	person(STRANGER)->proven = person(BYSTANDER)->proven = true;
	notice_from(pair_keys()->key[0].key, false);
	assert_int_equal(status_of(BYSTANDER), STATUS_DELIVERED);
}

static void notice_wrong_key(void)
{
	static const uint8_t wrong[PAIR_KEY_SIZE];

	notice_from(wrong, false);
	assert_int_equal(scene.frames, 0);
}

static void notice_ack_unasked(void)
{
	notice_from(pair_keys()->key[0].key, true);
	assert_int_equal(scene.frames, 0);
}

const struct row peer_rows[] = {
	{VERB_QUERY, "hit", ROLE_CENTRAL, query_hit, NULL},
	{VERB_QUERY, "hit, its SEND too small", ROLE_CENTRAL, query_hit_small, NULL},
	{VERB_QUERY, "hit, private holds the lease", ROLE_CENTRAL, query_leased, NULL},
	{VERB_QUERY, "private holds it, central the lease", ROLE_CENTRAL, query_holding_leased,
	 NULL},
	{VERB_QUERY, "private holds it, nobody a lease", ROLE_CENTRAL, query_holding_unleased,
	 NULL},
	{VERB_QUERY, "wrong key", BOTH, query_wrong_key, NULL},
	{VERB_QUERY, "replayed", ROLE_CENTRAL, query_replayed, NULL},
	{VERB_QUERY, "a minute late", ROLE_CENTRAL, query_late, NULL},
	{VERB_ANSWER, "nobody asked", BOTH, answer_unasked, NULL},
	{VERB_ANSWER, "wrong key", BOTH, answer_wrong_key, NULL},
	{VERB_NOTICE, "good", ROLE_PRIVATE, notice_good, NULL},
	{VERB_NOTICE, "wrong key", BOTH, notice_wrong_key, NULL},
	{VERB_NOTICE, "acknowledges nothing", BOTH, notice_ack_unasked, NULL},
	{0, NULL, BOTH, NULL, NULL},
};
