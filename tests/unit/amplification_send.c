/* SPDX-License-Identifier: BSD-3-Clause
 * Rows of HELLO, LISTEN, STOP and SEND.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/amplification.h"

static void hello_from(struct person *p, bool proof)
{
	const struct hello h = {.nonce = 1};
	struct hello proving = h;
	struct domain_keys keys;
	struct mac mac;
	uint8_t buf[WIRE_MAX_FRAME];

	if (proof) {
		box_domain_keys(p->domain, &keys);
		hello_prove(&keys, p->conn, box_field(p->domain), h.nonce, &mac);
		proving.proof = &mac;
	}
	scene_send(&scene, p, buf,
		   hello_encode(buf, sizeof(buf), box_field(p->domain), p->conn, &proving));
}

static void hello_open(void)
{
	hello_from(person(STRANGER), false);
	assert_true(was_sent(STRANGER, VERB_WELCOME));
}

static void hello_member(void)
{
	person(STRANGER)->domain = 1;
	hello_from(person(STRANGER), true);
	assert_true(was_sent(STRANGER, VERB_WELCOME));
}

static void hello_impostor(void)
{
	struct person *p = person(STRANGER);

	p->domain = 2;
	hello_from(p, false);
	assert_false(was_sent(STRANGER, VERB_WELCOME));
}

/* Whole, but without its padding. */
static void hello_short(void)
{
	const struct hello h = {.nonce = 1};
	struct wire_header *head;
	uint8_t buf[WIRE_MAX_FRAME];

	hello_encode(buf, sizeof(buf), 0, person(STRANGER)->conn, &h);
	head = (struct wire_header *)buf;
	head->ext = 0;
	scene_send(&scene, person(STRANGER), buf, sizeof(*head) + sizeof(struct wire_hello));
}

static void hello_flood(void)
{
	for (int i = 0; i < 50; i++)
		hello_from(person(STRANGER), false);
	assert_int_equal(scene.frames, 10);
}

static void strangers_few(struct config *c)
{
	c->strangers_per_source = 5; /* a second, and twice that at once */
}

static void send_hit(void)
{
	about_blob(&present, PRESENT);
	person_send(person(STRANGER), make_send);
	assert_true(was_sent(TARGET, VERB_OFFER));
}

static void send_hit_leased(void)
{
	about_blob(&small, SMALL);
	person_send(person(TARGET), make_listen);
	person_send(person(STRANGER), make_send);
	assert_true(was_sent(TARGET, VERB_OFFER));
}

static void send_hit_stopped(void)
{
	send_hit_leased();
	person_send(person(TARGET), make_stop);
	person(TARGET)->proven = false;
	scene_clear(&scene);
	person_send(person(STRANGER), make_send);
	assert_true(was_sent(TARGET, VERB_OFFER));
}

static void send_hit_expired(void)
{
	send_hit_leased();
	scene_pass(&scene, 61 * UINT64_C(1000000));
	person(TARGET)->proven = false;
	scene_clear(&scene);
	person_send(person(STRANGER), make_send);
	assert_true(was_sent(TARGET, VERB_OFFER));
}

static void send_hit_again(void)
{
	for (int i = 0; i < 10; i++)
		send_hit();
}

static void send_over_budget(void)
{
	about_blob(&present, PRESENT);
	for (int i = 0; i < 40; i++) {
		about.transfer = (uint8_t)i;
		person_send(person(STRANGER), make_send);
	}
	assert_int_equal(person(TARGET)->offers, 2);
}

static void budget_small(struct config *c)
{
	c->offers_per_target = 4; /* half of that for each source network */
}

static void send_refused_to(const struct addr *target)
{
	about_blob(&present, PRESENT);
	about.target = *target;
	person_send(person(STRANGER), make_send);
	assert_int_equal(status_of(STRANGER), STATUS_REFUSED);
	assert_int_equal(scene.frames, 1);
}

static void send_to_special(void)
{
	struct addr a;

	addr_parse("10.1.2.3:4", 0, &a);
	send_refused_to(&a);
}

static void special_allowed(struct config *c)
{
	c->targets.allow_special = true; /* relay and peer have such addresses here */
}

static void send_to_relay(void)
{
	send_refused_to(addr_pair_any(&scene.config.listen));
}

static void send_to_peer(void)
{
	send_refused_to(scene.config.role == ROLE_PRIVATE ? &scene.config.upstream.addr
							  : &scene.config.peers[0].addr);
}

static void send_miss(void)
{
	about_blob(&wanted, WANTED);
	for (int i = 0; i < 3; i++) {
		person_send(person(STRANGER), make_send);
		scene_pass(&scene, UINT64_C(2000000));
	}
	assert_false(was_sent(TARGET, VERB_OFFER));
	assert_true(was_sent(STRANGER, VERB_PULL));
}

/* Whoever uploads has proved itself; its target has not. */
static void upload_answer(struct person *p)
{
	const struct frame *f = scene_sent(&scene, p, VERB_PULL);
	struct pull pull;

	assert_non_null(f);
	assert_int_equal(pull_decode(f, &pull), DROP_NONE);
	for (uint32_t i = 0; i < chunk_count(pull.length); i++) {
		struct data d = {
			.upload = true,
			.stream = pull.stream,
			.number = pull.number,
			.first = i,
			.bytes = bytes + i * CHUNK_SIZE,
			.len = (uint16_t)chunk_length(pull.length, i),
		};
		uint8_t buf[WIRE_MAX_FRAME];

		scene_send(&scene, p, buf, data_encode(buf, sizeof(buf), 0, p->conn, &d));
	}
}

static void send_uploaded(void)
{
	about_blob(&wanted, WANTED);
	for (int i = 0; i < 5; i++)
		person_send(person(STRANGER), make_send);
	upload_answer(person(STRANGER));
	assert_int_equal(person(TARGET)->offers, 1);
}

static void hits_hidden(struct config *c)
{
	c->hide_hits = WANTED;
}

/* A transfer that has been answered, and its source says SEND again, but ... */
static void send_answered(uint8_t meta_len)
{
	about_blob(&wanted, WANTED);
	about.meta_len = meta_len;
	person_send(person(STRANGER), make_send);
	upload_answer(person(STRANGER));
	assert_int_equal(person(TARGET)->offers, 1);
}

static void send_again_elsewhere(void)
{
	send_answered(0);
	about.target = person(BYSTANDER)->addr;
	person_send(person(STRANGER), make_send);
	assert_int_equal(person(TARGET)->offers, 1);
}

static void send_again_smaller(void)
{
	send_answered(META_MAX);
	about.meta_len = 0;
	person_send(person(STRANGER), make_send);
}

static void possession_always(struct config *c)
{
	c->possession = true;
}

static void send_unproven(void)
{
	about_blob(&present, PRESENT);
	person_send(person(STRANGER), make_send);
	assert_int_equal(status_of(STRANGER), STATUS_CHALLENGE);
	assert_int_equal(person(TARGET)->offers, 0);
}

static void proof_answer(uint8_t spoil)
{
	const struct frame *f = scene_sent(&scene, person(STRANGER), VERB_STATUS);
	static uint8_t picked[PROOF_CHUNKS * CHUNK_SIZE];
	static struct proof proof;
	struct status s;

	assert_int_equal(status_decode(f, &s), DROP_NONE);
	memcpy(picked, bytes, PRESENT); /* few enough chunks to be asked for all of them */
	picked[0] ^= spoil;
	proof_make(s.challenge, &present, picked, PRESENT, &proof);
	about.proof = &proof;
	person_send(person(STRANGER), make_send);
}

static void send_proven(void)
{
	send_unproven();
	proof_answer(0);
	assert_int_equal(person(TARGET)->offers, 1);
}

static void send_wrongly_proven(void)
{
	send_unproven();
	proof_answer(1);
	assert_int_equal(person(TARGET)->offers, 0);
}

const struct row send_rows[] = {
	{VERB_HELLO, "open relay", BOTH, hello_open, NULL},
	{VERB_HELLO, "member", BOTH, hello_member, box_domains},
	{VERB_HELLO, "member's key without its proof", BOTH, hello_impostor, box_domains},
	{VERB_HELLO, "without padding", BOTH, hello_short, NULL},
	{VERB_HELLO, "a flood from one source", BOTH, hello_flood, strangers_few},
	{VERB_LISTEN, "leased, then SEND: inline OFFER", BOTH, send_hit_leased, NULL},
	{VERB_STOP, "after STOP the target is a stranger", BOTH, send_hit_stopped, NULL},
	{VERB_SEND, "hit", BOTH, send_hit, NULL},
	{VERB_SEND, "hit, ten times", BOTH, send_hit_again, NULL},
	{VERB_SEND, "hit, lease expired", BOTH, send_hit_expired, NULL},
	{VERB_SEND, "hit, the target's budget is spent", BOTH, send_over_budget, budget_small},
	{VERB_SEND, "special-use target", BOTH, send_to_special, NULL},
	{VERB_SEND, "the relay as target", BOTH, send_to_relay, special_allowed},
	{VERB_SEND, "a peer as target", BOTH, send_to_peer, special_allowed},
	{VERB_SEND, "miss", BOTH, send_miss, NULL},
	{VERB_SEND, "five times, then uploaded", ROLE_CENTRAL, send_uploaded, NULL},
	{VERB_SEND, "a repeat that names another target", ROLE_CENTRAL, send_again_elsewhere,
	 hits_hidden},
	{VERB_SEND, "a repeat that is smaller", ROLE_CENTRAL, send_again_smaller, hits_hidden},
	{VERB_SEND, "no proof of possession", BOTH, send_unproven, possession_always},
	{VERB_SEND, "right proof", BOTH, send_proven, possession_always},
	{VERB_SEND, "wrong proof", BOTH, send_wrongly_proven, possession_always},
	{0, NULL, BOTH, NULL, NULL},
};
