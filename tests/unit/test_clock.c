/* SPDX-License-Identifier: BSD-3-Clause
 * The host's clock is set, by an hour and more, while people use the relay: nobody
 * notices, and relays go on with each other.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "tests/unit/scene_frames.h"
#include "tests/unit/unit_clock.h"
#include "tests/unit/unit_eal.h"

#define SECOND INT64_C(1000000)
#define HOUR (3600 * SECOND)

enum { SOURCE = 1, TARGET };

static struct scene scene;
static uint8_t bytes[5000];
static struct ident present, wanted = {{9}};
static const int64_t steps[] = {HOUR,	    -HOUR,	400 * 24 * HOUR, -400 * 24 * HOUR,
				5 * SECOND, -5 * SECOND};

static struct person *person(unsigned int who)
{
	return scene_person(&scene, who);
}

static void open_as(enum role role)
{
	memset(&scene, 0, sizeof(scene));
	box_config(&scene.config, role, false);
	scene_open(&scene);
	assert_int_equal(box_store(scene.box, 0, RULE_SHA256, bytes, sizeof(bytes), &present), 0);
}

static void about_file(const struct ident *id, uint8_t transfer)
{
	memset(&about, 0, sizeof(about));
	about.id = id;
	about.length = sizeof(bytes);
	about.target = person(TARGET)->addr;
	about.transfer = transfer;
}

static void say(unsigned int who, const struct cookie *c, scene_maker make)
{
	uint8_t buf[WIRE_MAX_FRAME];

	scene_clear(&scene);
	scene_send(&scene, person(who), buf, make(person(who), c, buf));
}

/* What was given out before is as good as it was. */
static void tokens_and_leases_outlive_a_step(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(steps); i++) {
		struct cookie source, target;

		open_as(ROLE_CENTRAL);
		about_file(&present, 1);
		source = scene_cookie(&scene, person(SOURCE), COOKIE_VALID);
		target = scene_cookie(&scene, person(TARGET), COOKIE_VALID);
		about_ticket(&scene, person(SOURCE), addr_pair_any(&scene.config.listen), 60);
		about.echo = scene_echo(&scene, person(TARGET), 0);
		say(TARGET, &target, make_listen);
		assert_non_null(scene_sent(&scene, person(TARGET), VERB_LISTENING));

		unit_clock_step(steps[i]);
		scene_pass(&scene, SECOND + SECOND / 2);
		say(SOURCE, &source, make_send);
		assert_non_null(scene_sent(&scene, person(SOURCE), VERB_STATUS));
		assert_non_null(scene_sent(&scene, person(TARGET), VERB_OFFER));
		assert_int_equal(lease_count(scene.box->relay.leases), 1);
		assert_non_null(lease_lookup(scene.box->relay.leases, &person(TARGET)->addr,
					     box_seconds()));
		say(TARGET, &target, make_pull);
		assert_non_null(scene_sent(&scene, person(TARGET), VERB_DATA));
		scene_close(&scene);
	}
}

/* Fifty milliseconds a second, until it is there. */
static void tokens_follow_the_clock(void **state)
{
	const struct control *ctl;

	(void)state;
	open_as(ROLE_CENTRAL);
	ctl = &scene.box->control;
	assert_false(ctl->clock.spoken);
	unit_clock_step(-10 * SECOND);
	scene_pass(&scene, SECOND);
	assert_true(ctl->clock.spoken);
	assert_non_null(strstr(ctl->clock.text, "set 10.000 s back"));
	scene_pass(&scene, 100 * SECOND);
	assert_in_range(ctl->unix_us - ctl->wall_us, 10 * SECOND - 102 * 50000,
			10 * SECOND - 99 * 50000);
	scene_pass(&scene, 101 * SECOND);
	assert_true(ctl->unix_us == ctl->wall_us);
	assert_int_equal(ctl->clock_behind, 0);
	scene_close(&scene);
}

/* A private relay, and a source that is about to SEND what it does not have. */
static struct cookie private_is_asked(void)
{
	open_as(ROLE_PRIVATE);
	about_file(&wanted, 1);
	return scene_cookie(&scene, person(SOURCE), COOKIE_VALID);
}

/* Repeats of one request: the QUERY that was sent last. */
static struct query asked(void)
{
	const struct frame *f = scene_sent(
		&scene, &(struct person){.addr = scene.config.upstream.addr}, VERB_QUERY);
	struct query q;

	assert_non_null(f);
	assert_int_equal(query_decode(f, &q), DROP_NONE);
	return q;
}

static uint64_t asked_conn(void)
{
	return scene_sent(&scene, &(struct person){.addr = scene.config.upstream.addr}, VERB_QUERY)
		->conn;
}

static bool central_would_take(const struct query *q)
{
	const int64_t now = (int64_t)(unit_clock_unix_us() / 1000);

	return llabs((int64_t)q->time - now) <= 30000 && (int64_t)(q->nonce / 1000) <= now + 30000;
}

static void answer(const struct query *q, uint64_t conn)
{
	const struct key_set *keys = &scene.config.upstream.keys;
	const struct answer a = {
		.nonce = unit_clock_unix_us(),
		.time = unit_clock_unix_us() / 1000,
		.query_nonce = q->nonce,
		.transfer = q->transfer,
		.leg = q->leg,
		.code = ANSWER_SERVING,
	};
	uint8_t buf[WIRE_MAX_FRAME];
	struct person central = {.addr = scene.config.upstream.addr};

	scene_clear(&scene);
	scene_send(&scene, &central, buf,
		   answer_encode(buf, sizeof(buf), key_set_field(keys, 0), conn, &a,
				 keys->key[0].key));
}

/* It began an hour ahead: central refused it, in words to both. Once its clock is
 * right it asks with numbers that central takes, and so does a request under way. */
static void private_begins_an_hour_ahead(void **state)
{
	struct cookie source;
	struct query q;

	(void)state;
	source = private_is_asked();
	say(SOURCE, &source, make_send);
	q = asked();
	assert_true(central_would_take(&q));
	unit_clock_step(-HOUR);
	assert_false(central_would_take(&q));
	scene_clear(&scene);
	scene_pass(&scene, 300000);
	q = asked();
	assert_true(central_would_take(&q));
	answer(&q, asked_conn());
	assert_int_equal(scene.box->control.counters.query_hits, 1);
	assert_non_null(scene_sent(&scene, person(SOURCE), VERB_STATUS));
	scene_close(&scene);
}

/* Central is down, and then there again: a problem that passes. */
static void silent_central_is_a_problem(void **state)
{
	const struct control *ctl;
	struct cookie source;
	struct query q;

	(void)state;
	source = private_is_asked();
	ctl = &scene.box->control;
	say(SOURCE, &source, make_send);
	assert_false(ctl->upstream.bad);
	scene_pass(&scene, 2 * SECOND);
	assert_true(ctl->upstream.bad);
	assert_non_null(strstr(ctl->upstream.text, "198.51.100.1:4870 does not answer"));
	about_file(&wanted, 2);
	scene_clear(&scene);
	say(SOURCE, &source, make_send);
	q = asked();
	answer(&q, asked_conn());
	assert_false(ctl->upstream.bad);
	scene_close(&scene);
}

int __wrap_router_resolve(struct router *r, const struct addr *host, const struct addr *source,
			  struct addr *neighbour);
bool __wrap_router_awaits(struct router *r, const struct addr *host, struct addr *neighbour);

static bool answers_at_once, awaits;

/* Says that the way is known, without the table knowing it (it was forgotten at once); or
 * that the host is a neighbour that is being asked for, until the test says otherwise. */
int __wrap_router_resolve(struct router *r, const struct addr *host, const struct addr *source,
			  struct addr *neighbour)
{
	(void)r;
	(void)source;
	*neighbour = *host;
	awaits = !answers_at_once;
	return answers_at_once ? 0 : -EINPROGRESS;
}

bool __wrap_router_awaits(struct router *r, const struct addr *host, struct addr *neighbour)
{
	(void)r;
	*neighbour = *host;
	return awaits;
}

/* All hosts are on the link, and none of them is known. */
static void route_all(struct nexthop_table *t)
{
	const struct path link = {.up_to = UINT32_MAX, .neighbour = NEXTHOP_ON_LINK};
	const struct prefix all = {.type = ADDR_IP4};
	uint32_t hop;

	assert_int_equal(nexthop_hop_add(t, &hop), 0);
	assert_int_equal(nexthop_hop_set(t, hop, &link, 1), 0);
	assert_int_equal(fib_set(nexthop_fib(t), &all, hop), 0);
}

/* Neither asks the other for ever. */
static void a_frame_asks_for_its_next_hop_once(void **state)
{
	struct cookie source;

	(void)state;
	source = private_is_asked();
	scene.box->relay.port.ifindex = 7;
	route_all(scene.box->relay.nexthops);
	answers_at_once = true;
	say(SOURCE, &source, make_send); /* the box comes to rest */
	answers_at_once = false;
	scene.box->relay.port.ifindex = 0;
	/* the STATUS, and the QUERY */
	assert_int_equal(scene.box->control.worker[0]->stats.drops[DROP_NEXT_HOP_FULL], 2);
	scene_close(&scene);
}

/* The way to central is found after longer than central has to answer. */
static void only_a_question_that_left_is_unanswered(void **state)
{
	const struct addr *central = &scene.config.upstream.addr;
	struct router *const some = (struct router *)&awaits; /* nobody looks into it */
	struct control *ctl;
	struct cookie source;
	struct rte_mbuf *m;
	struct query q;

	(void)state;
	source = private_is_asked();
	ctl = &scene.box->control;
	ctl->router = some;
	route_all(scene.box->relay.nexthops);
	m = outbox_alloc(ctl, 0, central);
	egress_sized(m, make_send(person(SOURCE), &source, egress_payload(m)));
	pending_add(ctl, m);
	say(SOURCE, &source, make_send);
	scene_clear(&scene);
	scene_pass(&scene, 2 * SECOND);
	assert_int_equal(ctl->counters.query_timeouts, 0);
	assert_null(scene_sent(&scene, &(struct person){.addr = *central}, VERB_QUERY));
	awaits = false;
	pending_release(ctl, central);
	scene_pass(&scene, 800000);
	assert_int_equal(ctl->counters.query_timeouts, 0);
	q = asked();
	answer(&q, asked_conn());
	assert_int_equal(ctl->counters.query_hits, 1);
	ctl->router = NULL;
	scene_close(&scene);
}

static bool was_sent(enum verb verb)
{
	struct box_frame taken;
	struct frame f;
	bool found = false;

	while (box_take(scene.box, &taken))
		found |= frame_parse(taken.payload, taken.len, &f) == DROP_NONE && f.verb == verb;
	return found;
}

/* Control may sleep after any turn: what a turn has begun it also does. */
static void upload_begins_in_the_turn_that_decides_on_it(void **state)
{
	struct control *ctl;
	struct cookie source;

	(void)state;
	source = private_is_asked();
	ctl = &scene.box->control;
	say(SOURCE, &source, make_send);
	unit_clock_advance(1100000);
	control_turn(ctl, false); /* central has had its time */
	assert_int_equal(ctl->counters.query_timeouts, 1);
	control_turn(ctl, false);
	worker_turn(ctl->worker[0]);
	assert_true(was_sent(VERB_PULL));
	box_settle(scene.box);
	scene_close(&scene);
}

/* Central would still have time to answer, but nobody is there to hear of it. */
static void asking_ends_at_the_deadline(void **state)
{
	struct cookie source;
	struct control *ctl;

	(void)state;
	open_as(ROLE_PRIVATE);
	ctl = &scene.box->control;
	scene.box->config.upstream_timeout_ms = 10000;
	about_file(&wanted, 1);
	about.deadline = 2;
	source = scene_cookie(&scene, person(SOURCE), COOKIE_VALID);
	say(SOURCE, &source, make_send);
	scene_pass(&scene, SECOND);
	assert_int_equal(HASH_COUNT(ctl->requests->by_key), 1);
	scene_clear(&scene);
	scene_pass(&scene, 2 * SECOND);
	assert_non_null(scene_sent(&scene, person(SOURCE), VERB_STATUS));
	assert_int_equal(HASH_COUNT(ctl->requests->by_key), 0);
	assert_int_equal(HASH_COUNT(ctl->queries->by_conn), 0);
	scene_close(&scene);
}

static int start(void **state)
{
	return sodium_init() < 0 ? -1 : unit_eal_start(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tokens_and_leases_outlive_a_step),
		cmocka_unit_test(tokens_follow_the_clock),
		cmocka_unit_test(private_begins_an_hour_ahead),
		cmocka_unit_test(silent_central_is_a_problem),
		cmocka_unit_test(only_a_question_that_left_is_unanswered),
		cmocka_unit_test(a_frame_asks_for_its_next_hop_once),
		cmocka_unit_test(upload_begins_in_the_turn_that_decides_on_it),
		cmocka_unit_test(asking_ends_at_the_deadline),
	};

	return cmocka_run_group_tests(tests, start, unit_eal_stop);
}
