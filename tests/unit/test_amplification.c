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

#include "tests/unit/amplification.h"
#include "tests/unit/unit_eal.h"
#include "tests/unit/wire_frames.h"

struct scene scene; /* large */
uint8_t bytes[PRESENT];
struct ident present, wanted, small;

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

void about_blob(const struct ident *id, uint64_t length)
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
	if (m->domain != 0 && !m->sign)
		assert_int_equal(scene.frames, 0);
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

/* ---- flows ---- */

struct person *person(unsigned int which)
{
	return scene_person(&scene, which);
}

void person_send(struct person *p, scene_maker make)
{
	struct cookie c = scene_cookie(&scene, p, COOKIE_VALID);
	uint8_t buf[WIRE_MAX_FRAME];
	size_t len = make(p, &c, buf);

	assert_true(len > 0);
	scene_send(&scene, p, buf, scene_sign(p, buf, len));
}

bool was_sent(unsigned int whom, uint8_t verb)
{
	return scene_sent(&scene, person(whom), verb) != NULL;
}

uint8_t status_of(unsigned int whom)
{
	const struct frame *f = scene_sent(&scene, person(whom), VERB_STATUS);
	struct status s;

	assert_non_null(f);
	assert_int_equal(status_decode(f, &s), DROP_NONE);
	return s.code;
}

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
	static const struct row *const tables[] = {send_rows, pull_rows, peer_rows};
	unsigned int count[VERB_COUNT] = {0};

	(void)state;
	for (size_t i = 0; i < RTE_DIM(tables); i++)
		for (const struct row *r = tables[i]; r->verb != 0; r++) {
			count[r->verb]++;
			for (int role = ROLE_PRIVATE; role <= ROLE_CENTRAL; role++)
				if (r->role == BOTH || r->role == role)
					row_run(r, (enum role)role);
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
