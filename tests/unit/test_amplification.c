/* SPDX-License-Identifier: BSD-3-Clause
 * Every verb in every state: nobody who has not shown a valid cookie is sent
 * more IP bytes than came from there, but for one OFFER for each SEND that
 * names it, no larger than that SEND. With AMPLIFICATION_TABLE set in the
 * environment the figures are printed.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "tests/unit/scene_frames.h"
#include "tests/unit/unit_clock.h"
#include "tests/unit/unit_eal.h"
#include "tests/unit/wire_frames.h"

#define PRESENT 5000 /* bytes of the blob that is in the store */
#define WANTED 4000  /* of one that is not */
#define SMALL 300    /* of one that fits into an OFFER */

static struct scene scene; /* large */
static uint8_t bytes[PRESENT];
static struct ident present, wanted, small;

enum { STRANGER = 1, TARGET, BYSTANDER };

/* Sums of those who have not proved themselves, and of those who have. */
static void report(const char *verb, const char *state)
{
	struct person sum[2] = {0};

	if (getenv("AMPLIFICATION_TABLE") == NULL)
		return;
	for (unsigned int i = 0; i < scene.people; i++) {
		const struct person *p = &scene.person[i];
		struct person *to = &sum[p->proven];

		to->received += p->received;
		to->sent += p->sent;
		to->offer_bytes += p->offer_bytes;
		to->named += p->named;
	}
	printf("%-10s %-44s unproven %5" PRIu64 " in %5" PRIu64 " out, SEND %5" PRIu64
	       " OFFER %5" PRIu64 "; proven %5" PRIu64 " in %5" PRIu64 " out\n",
	       verb, state, sum[0].received, sum[0].sent, sum[0].named, sum[0].offer_bytes,
	       sum[1].received, sum[1].sent + sum[1].offer_bytes);
}

static const char *verb_text(uint8_t verb)
{
	for (size_t i = 0; i < sample_count; i++)
		if (samples[i].verb == verb)
			return samples[i].name;
	return "unknown";
}

static void open_as(enum role role, void (*adjust)(struct config *))
{
	box_config(&scene.config, role, false);
	if (adjust != NULL)
		adjust(&scene.config);
	scene_open(&scene);
}

static void store_for(uint32_t domain)
{
	box_store(scene.box, domain, RULE_SHA256, bytes, PRESENT, &present);
	box_store(scene.box, domain, RULE_SHA256, bytes, SMALL, &small);
}

static void about_blob(const struct ident *id, uint64_t length)
{
	memset(&about, 0, sizeof(about));
	about.id = id;
	about.length = length;
	about.target = scene_person(&scene, TARGET)->addr;
}

/* ---- which verb is taken how: a new one needs a line here, and rows below ---- */

enum verb_class {
	CLASS_NONE,
	CLASS_HELLO,
	CLASS_COOKIE, /* from anybody with a cookie */
	CLASS_PAIR,   /* from another relay, under the pair's key */
	CLASS_STREAM, /* DATA: under the stream number of an upload */
	CLASS_NEVER,  /* relays say it, and take it from nobody */
};

static const struct {
	enum verb_class class;
	scene_maker make; /* CLASS_COOKIE */
} verbs[VERB_COUNT] = {
	[VERB_HELLO] = {CLASS_HELLO, NULL},	     [VERB_WELCOME] = {CLASS_NEVER, NULL},
	[VERB_LISTEN] = {CLASS_COOKIE, make_listen}, [VERB_LISTENING] = {CLASS_NEVER, NULL},
	[VERB_SEND] = {CLASS_COOKIE, make_send},     [VERB_STATUS] = {CLASS_NEVER, NULL},
	[VERB_QUERY] = {CLASS_PAIR, NULL},	     [VERB_ANSWER] = {CLASS_PAIR, NULL},
	[VERB_OFFER] = {CLASS_NEVER, NULL},	     [VERB_PULL] = {CLASS_COOKIE, make_pull},
	[VERB_DATA] = {CLASS_STREAM, NULL},	     [VERB_RECEIPT] = {CLASS_COOKIE, make_receipt},
	[VERB_NOTICE] = {CLASS_PAIR, NULL},	     [VERB_STOP] = {CLASS_COOKIE, make_stop},
	[VERB_ERROR] = {CLASS_NEVER, NULL},
};

static void test_every_verb_has_its_class(void **state)
{
	(void)state;
	for (uint8_t verb = 1; verb < VERB_COUNT; verb++) {
		if (verbs[verb].class == CLASS_NONE)
			fail_msg("verb %u has no class, and so no rows here", verb);
		assert_int_equal(verbs[verb].class == CLASS_COOKIE, verbs[verb].make != NULL);
	}
}

/* ---- every verb with a cookie, in every state of that ---- */

static const struct membership {
	const char *name;
	bool domains; /* the relay has some */
	uint32_t domain;
	bool sign;
} memberships[] = {
	{"", false, 0, true},
	{", member", true, 1, true},
	{", member, unsigned", true, 1, false},
	{", outsider", true, 0, true},
	{", unknown domain", true, 9, true},
};

static void cookie_case(scene_maker make, const char *name, enum cookie_state state,
			const struct membership *m)
{
	struct person *p = scene_person(&scene, 10 + 2 * (unsigned int)state);
	struct cookie c;
	char text[64];
	uint8_t buf[WIRE_MAX_FRAME];
	size_t len;

	p->domain = m->domain;
	c = scene_cookie(&scene, p, state);
	len = make(p, &c, buf);
	assert_true(len > 0);
	if (m->sign)
		len = scene_sign(p, buf, len);
	scene_send(&scene, p, buf, len);
	scene_check(&scene);
	if (state != COOKIE_VALID)
		assert_int_equal(scene_person(&scene, TARGET)->offers, 0);
	/* without a cookie there is no answer at all; a stale one may get a small one */
	if (state != COOKIE_VALID && state != COOKIE_STALE)
		assert_int_equal(p->sent, 0);
	snprintf(text, sizeof(text), "%s%s", cookie_state_names[state], m->name);
	report(name, text);
	scene_clear(&scene);
}

static void cookie_cases(enum role role, const struct membership *m)
{
	for (uint8_t verb = 0; verb <= VERB_COUNT; verb++) {
		scene_maker make = verb == VERB_COUNT ? make_unknown : verbs[verb].make;

		if (make == NULL)
			continue;
		open_as(role, m->domains ? box_domains : NULL);
		store_for(m->domains ? 1 : 0);
		about_blob(&present, PRESENT);
		for (int state = 0; state < COOKIE_STATES; state++)
			cookie_case(make, verb_text(verb), (enum cookie_state)state, m);
		scene_close(&scene);
	}
}

static void test_cookies(void **state)
{
	(void)state;
	for (size_t i = 0; i < RTE_DIM(memberships); i++) {
		cookie_cases(ROLE_PRIVATE, &memberships[i]);
		cookie_cases(ROLE_CENTRAL, &memberships[i]);
	}
}

/* ---- every verb in every wrong shape, from strangers ---- */

static struct person *next_stranger(void)
{
	static unsigned int host;

	if (scene.people >= SCENE_PEOPLE - 4)
		scene.people = 0;
	return scene_person(&scene, 1 + host++ % 250);
}

static void shape_case(const char *verb, const char *shape, const uint8_t *frame, size_t len)
{
	scene_send(&scene, next_stranger(), frame, len);
	scene_check(&scene);
	report(verb, shape);
	scene_clear(&scene);
}

static void shape_cases(const struct sample *sample)
{
	static const uint8_t critical[4] = {0xff, 2, 0, 0}, pad[64];
	uint8_t frame[WIRE_MAX_FRAME + sizeof(pad)];
	struct wire_header *h = (struct wire_header *)frame;
	size_t len = sample->make(frame, WIRE_MAX_FRAME), body = sizeof(*h);

	body += verb_body_size(sample->verb);
	shape_case(sample->name, "as it is", frame, len);
	memcpy(frame + len, pad, sizeof(pad));
	shape_case(sample->name, "64 bytes too long", frame, len + sizeof(pad));
	h->key = put32(0);
	shape_case(sample->name, "open", frame, len);
	for (size_t cut = 0; cut < len; cut += cut < 32 ? 1 : 13) {
		scene_send(&scene, next_stranger(), frame, cut);
		scene_check(&scene);
	}
	report(sample->name, "cut at any length");
	scene_clear(&scene);
	h->version = 2;
	shape_case(sample->name, "another version", frame, len);
	h->version = WIRE_VERSION;
	h->flags ^= 0x7f;
	shape_case(sample->name, "unknown flags", frame, len);
	h->flags = 0;
	h->ext = 1;
	memcpy(frame + body, critical, sizeof(critical));
	shape_case(sample->name, "unknown critical extension", frame, body + sizeof(critical));
}

static void test_shapes(void **state)
{
	(void)state;
	for (int role = ROLE_PRIVATE; role <= ROLE_CENTRAL; role++)
		for (size_t i = 0; i < sample_count; i++) {
			open_as((enum role)role, NULL);
			shape_cases(&samples[i]);
			scene_close(&scene);
		}
	open_as(ROLE_PRIVATE, box_domains);
	for (size_t i = 0; i < sample_count; i++)
		shape_cases(&samples[i]);
	scene_close(&scene);
}

/* ---- flows: each row is a verb in a state that others have led to ---- */

static struct person *person(unsigned int which)
{
	return scene_person(&scene, which);
}

static void person_send(struct person *p, scene_maker make)
{
	struct cookie c = scene_cookie(&scene, p, COOKIE_VALID);
	uint8_t buf[WIRE_MAX_FRAME];
	size_t len = make(p, &c, buf);

	assert_true(len > 0);
	scene_send(&scene, p, buf, scene_sign(p, buf, len));
}

static bool was_sent(unsigned int whom, uint8_t verb)
{
	return scene_sent(&scene, person(whom), verb) != NULL;
}

static uint8_t status_of(unsigned int whom)
{
	const struct frame *f = scene_sent(&scene, person(whom), VERB_STATUS);
	struct status s;

	assert_non_null(f);
	assert_int_equal(status_decode(f, &s), DROP_NONE);
	return s.code;
}

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

static void send_to_relay(void)
{
	send_refused_to(&scene.config.listen);
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

/* ---- PULL ---- */

static void pull_with(unsigned int echo_age, uint32_t ticket_seconds, const struct ident *id)
{
	struct person *p = person(STRANGER);

	about_blob(id, PRESENT);
	about.echo = scene_echo(&scene, p, echo_age);
	about_ticket(&scene, person(BYSTANDER), &scene.config.listen, ticket_seconds);
	person_send(p, make_pull);
}

static void pull_refused(void)
{
	struct person *p = person(STRANGER);

	assert_true(was_sent(STRANGER, VERB_ERROR) && !was_sent(STRANGER, VERB_DATA));
	assert_true(p->sent <= p->received);
}

static void pull_good(void)
{
	pull_with(0, 60, &present);
	assert_true(was_sent(STRANGER, VERB_DATA));
}

static void pull_stale_echo(void)
{
	pull_with(20, 60, &present);
	pull_refused();
}

static void pull_no_echo(void)
{
	about_blob(&present, PRESENT);
	about_ticket(&scene, person(BYSTANDER), &scene.config.listen, 60);
	person_send(person(STRANGER), make_pull);
	pull_refused();
}

static void pull_no_ticket(void)
{
	about_blob(&present, PRESENT);
	about.echo = scene_echo(&scene, person(STRANGER), 0);
	about.ticket.source = about.ticket.home = person(BYSTANDER)->addr;
	person_send(person(STRANGER), make_pull);
	pull_refused();
}

static void pull_expired_ticket(void)
{
	pull_with(0, (uint32_t)-1, &present);
	pull_refused();
}

static void pull_unknown_blob(void)
{
	pull_with(0, 60, &wanted);
	pull_refused();
}

/* ---- RECEIPT, DATA ---- */

static void receipt_good(void)
{
	about_blob(&present, PRESENT);
	about_ticket(&scene, person(BYSTANDER), &scene.config.listen, 60);
	person_send(person(STRANGER), make_receipt);
	assert_int_equal(status_of(BYSTANDER), STATUS_DELIVERED);
}

static void receipt_foreign(void)
{
	about_blob(&present, PRESENT);
	about_ticket(&scene, person(BYSTANDER), &scene.config.peers[0].addr, 60);
	person_send(person(STRANGER), make_receipt);
	scene_pass(&scene, UINT64_C(4000000));
	assert_int_equal(scene_sent(&scene, person(STRANGER), VERB_NOTICE) != NULL, false);
	assert_false(was_sent(BYSTANDER, VERB_STATUS));
}

/* A ticket that the relay did not make, which names a victim as its source. */
static void receipt_forged(void)
{
	about_blob(&present, PRESENT);
	about_ticket(&scene, person(BYSTANDER), &scene.config.listen, 60);
	person(BYSTANDER)->proven = false;
	about.ticket.mac[0] ^= 1;
	person_send(person(STRANGER), make_receipt);
	assert_int_equal(scene.frames, 0);
}

static void data_unasked(void)
{
	const struct data d = {.upload = true, .stream = 77, .bytes = bytes, .len = CHUNK_SIZE};
	struct person *p = person(STRANGER);
	uint8_t buf[WIRE_MAX_FRAME];

	scene_send(&scene, p, buf, data_encode(buf, sizeof(buf), 0, p->conn, &d));
	assert_int_equal(scene.frames, 0);
}

/* ---- QUERY, ANSWER, NOTICE ---- */

static const struct key_set *pair_keys(void)
{
	const struct config *c = &scene.config;

	return c->role == ROLE_PRIVATE ? &c->upstream.keys : &c->peers[0].keys;
}

static size_t query_build(uint8_t *buf, const uint8_t *key, uint32_t send_size, bool leased)
{
	static const uint8_t transfer[TRANSFER_SIZE] = {1};
	const struct query q = {
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

#define BOTH 0

static const struct row {
	uint8_t verb;
	const char *state;
	int role; /* enum role, or BOTH */
	void (*run)(void);
	void (*adjust)(struct config *);
} rows[] = {
	{VERB_HELLO, "open relay", BOTH, hello_open, NULL},
	{VERB_HELLO, "member", BOTH, hello_member, box_domains},
	{VERB_HELLO, "member's key without its proof", BOTH, hello_impostor, box_domains},
	{VERB_HELLO, "a flood from one source", BOTH, hello_flood, strangers_few},
	{VERB_LISTEN, "leased, then SEND: inline OFFER", BOTH, send_hit_leased, NULL},
	{VERB_STOP, "after STOP the target is a stranger", BOTH, send_hit_stopped, NULL},
	{VERB_SEND, "hit", BOTH, send_hit, NULL},
	{VERB_SEND, "hit, ten times", BOTH, send_hit_again, NULL},
	{VERB_SEND, "hit, lease expired", BOTH, send_hit_expired, NULL},
	{VERB_SEND, "hit, the target's budget is spent", BOTH, send_over_budget, budget_small},
	{VERB_SEND, "special-use target", BOTH, send_to_special, NULL},
	{VERB_SEND, "the relay as target", BOTH, send_to_relay, NULL},
	{VERB_SEND, "a peer as target", BOTH, send_to_peer, NULL},
	{VERB_SEND, "miss", BOTH, send_miss, NULL},
	{VERB_SEND, "five times, then uploaded", ROLE_CENTRAL, send_uploaded, NULL},
	{VERB_SEND, "no proof of possession", BOTH, send_unproven, possession_always},
	{VERB_SEND, "right proof", BOTH, send_proven, possession_always},
	{VERB_SEND, "wrong proof", BOTH, send_wrongly_proven, possession_always},
	{VERB_PULL, "good", BOTH, pull_good, NULL},
	{VERB_PULL, "no echo", BOTH, pull_no_echo, NULL},
	{VERB_PULL, "stale echo", BOTH, pull_stale_echo, NULL},
	{VERB_PULL, "no ticket", BOTH, pull_no_ticket, NULL},
	{VERB_PULL, "expired ticket", BOTH, pull_expired_ticket, NULL},
	{VERB_PULL, "unknown blob", BOTH, pull_unknown_blob, NULL},
	{VERB_RECEIPT, "good", BOTH, receipt_good, NULL},
	{VERB_RECEIPT, "of a peer's source", ROLE_CENTRAL, receipt_foreign, NULL},
	{VERB_RECEIPT, "forged ticket", BOTH, receipt_forged, NULL},
	{VERB_DATA, "nobody asked for it", BOTH, data_unasked, NULL},
	{VERB_QUERY, "hit", ROLE_CENTRAL, query_hit, NULL},
	{VERB_QUERY, "hit, its SEND too small", ROLE_CENTRAL, query_hit_small, NULL},
	{VERB_QUERY, "hit, private holds the lease", ROLE_CENTRAL, query_leased, NULL},
	{VERB_QUERY, "wrong key", BOTH, query_wrong_key, NULL},
	{VERB_QUERY, "replayed", ROLE_CENTRAL, query_replayed, NULL},
	{VERB_QUERY, "a minute late", ROLE_CENTRAL, query_late, NULL},
	{VERB_ANSWER, "nobody asked", BOTH, answer_unasked, NULL},
	{VERB_ANSWER, "wrong key", BOTH, answer_wrong_key, NULL},
	{VERB_NOTICE, "good", ROLE_PRIVATE, notice_good, NULL},
	{VERB_NOTICE, "wrong key", BOTH, notice_wrong_key, NULL},
	{VERB_NOTICE, "acknowledges nothing", BOTH, notice_ack_unasked, NULL},
};

static void row_run(const struct row *r, enum role role)
{
	char text[80];

	open_as(role, r->adjust);
	store_for(0);
	store_for(1);
	r->run();
	scene_check(&scene);
	snprintf(text, sizeof(text), "%s (%s)", r->state, role_name(role));
	report(verb_text(r->verb), text);
	scene_close(&scene);
}

static void test_flows(void **state)
{
	unsigned int count[VERB_COUNT] = {0};

	(void)state;
	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		count[rows[i].verb]++;
		for (int role = ROLE_PRIVATE; role <= ROLE_CENTRAL; role++)
			if (rows[i].role == BOTH || rows[i].role == role)
				row_run(&rows[i], (enum role)role);
	}
	for (uint8_t verb = 1; verb < VERB_COUNT; verb++)
		if (verbs[verb].class != CLASS_NEVER && count[verb] == 0)
			fail_msg("verb %u has no row", verb);
}

static void ident_make(uint64_t length, struct ident *id)
{
	struct ident_state *s = ident_begin(RULE_SHA256);

	ident_update(s, bytes, length);
	ident_final(s, id);
	ident_free(s);
}

static int setup(void **state)
{
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256);
	ident_make(PRESENT, &present);
	ident_make(WANTED, &wanted);
	ident_make(SMALL, &small);
	return sodium_init() < 0 ? -1 : unit_eal_start(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_verb_has_its_class),
		cmocka_unit_test(test_cookies),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_flows),
	};

	return cmocka_run_group_tests(tests, setup, unit_eal_stop);
}
