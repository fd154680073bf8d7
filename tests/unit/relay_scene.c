/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/relay_scene.h"
#include "tests/unit/unit_clock.h"

#define STEP_US 100000

const char *const cookie_state_names[] = {
	[COOKIE_NONE] = "no cookie",
	[COOKIE_WRONG] = "wrong cookie",
	[COOKIE_STALE] = "stale cookie",
	[COOKIE_OF_ANOTHER] = "another's cookie",
	[COOKIE_OF_OTHER_CONN] = "another conn's cookie",
	[COOKIE_VALID] = "valid cookie",
};

void scene_open(struct scene *s)
{
	s->people = s->frames = 0;
	unit_clock_reset();
	s->box = box_open(&s->config);
	assert_non_null(s->box);
}

void scene_close(struct scene *s)
{
	/* those that wait for time-outs */
	box_pass(s->box, 10 * UINT64_C(1000000), STEP_US);
	assert_int_equal(box_close(s->box), 0);
}

void scene_clear(struct scene *s)
{
	s->frames = 0;
	for (unsigned int i = 0; i < s->people; i++) {
		struct person *p = &s->person[i];

		p->received = p->sent = p->sends = p->named = p->offers = p->offer_bytes = 0;
	}
}

static struct person *person_at(struct scene *s, const struct addr *a)
{
	for (unsigned int i = 0; i < s->people; i++)
		if (addr_equal(&s->person[i].addr, a))
			return &s->person[i];
	assert_true(s->people < SCENE_PEOPLE);
	s->person[s->people] = (struct person){
		.addr = *a,
		.conn = UINT64_C(0x0101010101010101) * (s->people + 1),
		/* where the relay is configured to send to */
		.proven = addr_equal(a, &s->config.upstream.addr) ||
			  addr_equal(a, &s->config.peers[0].addr),
	};
	return &s->person[s->people++];
}

struct person *scene_person(struct scene *s, unsigned int host)
{
	struct addr a;
	char text[32];

	snprintf(text, sizeof(text), "11.0.0.%u", host);
	assert_int_equal(addr_parse(text, WIRE_TARGET_PORT, &a), 0);
	return person_at(s, &a);
}

/* ---- frames ---- */

static void named_count(struct scene *s, const uint8_t *frame, size_t len, uint64_t ip_bytes)
{
	struct person *target;
	struct frame f;
	struct send send;
	struct query query;

	if (frame_parse(frame, len, &f) != DROP_NONE)
		return;
	if (f.verb == VERB_SEND && send_decode(&f, &send) == DROP_NONE) {
		target = person_at(s, send.target);
		target->named += ip_bytes;
	} else if (f.verb == VERB_QUERY && query_decode(&f, &query) == DROP_NONE) {
		target = person_at(s, query.target);
		target->named += query.send_size;
	} else {
		return;
	}
	target->sends++;
}

static void frames_take(struct scene *s)
{
	struct box_frame out;
	struct person *p;

	while (box_take(s->box, &out)) {
		p = person_at(s, &out.peer);
		if (s->frames < SCENE_FRAMES)
			s->frame[s->frames++] = out;
		if (out.payload[1] == VERB_OFFER) {
			p->offers++;
			p->offer_bytes += out.ip_bytes;
		} else {
			p->sent += out.ip_bytes;
		}
	}
}

void scene_send(struct scene *s, struct person *from, const uint8_t *frame, size_t len)
{
	uint64_t ip_bytes = box_inject(s->box, &from->addr, frame, len);

	from->received += ip_bytes;
	named_count(s, frame, len, ip_bytes);
	box_settle(s->box);
	frames_take(s);
}

void scene_pass(struct scene *s, uint64_t us)
{
	box_pass(s->box, us, STEP_US);
	frames_take(s);
}

const struct frame *scene_sent(struct scene *s, const struct person *to, uint8_t verb)
{
	static struct frame f;

	for (unsigned int i = s->frames; i-- > 0;)
		if (addr_equal(&s->frame[i].peer, &to->addr) && s->frame[i].payload[1] == verb) {
			assert_int_equal(frame_parse(s->frame[i].payload, s->frame[i].len, &f),
					 DROP_NONE);
			return &f;
		}
	return NULL;
}

void scene_check(const struct scene *s)
{
	for (unsigned int i = 0; i < s->people; i++) {
		const struct person *p = &s->person[i];

		if (p->proven)
			continue;
		assert_true(p->sent <= p->received);
		assert_true(p->offers <= p->sends);
		assert_true(p->offer_bytes <= p->named);
	}
}

/* ---- tokens ---- */

const struct token_ring *scene_keys(const struct scene *s)
{
	return relay_keys(&s->box->relay);
}

struct cookie scene_cookie(struct scene *s, struct person *p, enum cookie_state state)
{
	uint32_t field = box_field(p->domain);
	struct token_ring old;
	struct addr other = p->addr;
	struct cookie c = {0};

	switch (state) {
	case COOKIE_WRONG:
		memset(&c, 0x55, sizeof(c));
		break;
	case COOKIE_STALE:
		token_ring_derive(&old, s->config.master_key,
				  box_seconds() - 3 * TOKEN_EPOCH_SECONDS);
		cookie_mint(&old, &p->addr, p->conn, field, &c);
		break;
	case COOKIE_OF_ANOTHER:
		other.ip[3]++;
		cookie_mint(scene_keys(s), &other, p->conn, field, &c);
		break;
	case COOKIE_OF_OTHER_CONN:
		cookie_mint(scene_keys(s), &p->addr, p->conn + 1, field, &c);
		break;
	case COOKIE_VALID:
		cookie_mint(scene_keys(s), &p->addr, p->conn, field, &c);
		p->proven = true;
		break;
	default:
		break;
	}
	return c;
}

struct echo scene_echo(const struct scene *s, const struct person *p, unsigned int age)
{
	struct echo e;

	echo_mint(scene_keys(s), &p->addr, p->conn, box_field(p->domain), box_seconds() - age, &e);
	return e;
}

size_t scene_sign(const struct person *p, uint8_t *frame, size_t len)
{
	struct domain_keys keys;
	struct session session;

	if (p->domain == 0)
		return len;
	box_domain_keys(p->domain, &keys);
	session_derive(&keys, p->conn, &p->addr, &session);
	return frame_sign(frame, WIRE_MAX_FRAME, len, &session);
}
