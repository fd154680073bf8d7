/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "tests/unit/unit_clock.h"
#include "tests/unit/unit_eal.h"
#include "tests/unit/upload_scene.h"

struct scene scene;
struct heard heard[PEOPLE];
uint8_t bytes[LENGTH];
struct ident id;
uint16_t pull_len;
const struct proof *vouch;
struct asked asked;

void setup_as(enum role role, void (*adjust)(struct config *))
{
	struct ident_state *hash = ident_begin(RULE_SHA256);

	unit_clock_reset();
	memset(&scene, 0, sizeof(scene));
	memset(heard, 0, sizeof(heard));
	memset(&asked, 0, sizeof(asked));
	vouch = NULL;
	box_config(&scene.config, role, false);
	scene.config.slab_size = 16 << 20;
	if (adjust != NULL)
		adjust(&scene.config);
	scene_open(&scene);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i / 5 + i / CHUNK_SIZE);
	ident_update(hash, bytes, sizeof(bytes));
	ident_final(hash, &id);
	ident_free(hash);
}

int setup(void **state)
{
	(void)state;
	setup_as(ROLE_CENTRAL, NULL);
	return 0;
}

int teardown(void **state)
{
	(void)state;
	scene_check(&scene);
	scene_close(&scene);
	return 0;
}

struct person *person(unsigned int i)
{
	return scene_person(&scene, i);
}

/* ---- what they hear ---- */

static void source_pull(struct heard *h, const struct frame *f)
{
	struct pull p;

	assert_int_equal(pull_decode(f, &p), DROP_NONE);
	assert_true(p.upload && p.attempt == 0);
	if (p.stream != h->stream)
		memset(h->number, 0, sizeof(h->number));
	h->stream = p.stream;
	for (uint32_t mask = p.mask; mask != 0; mask &= mask - 1)
		h->number[p.first + (uint32_t)__builtin_ctz(mask)] = p.number;
}

static void source_status(struct heard *h, const struct frame *f)
{
	struct status st;

	assert_int_equal(status_decode(f, &st), DROP_NONE);
	h->stored |= st.code == STATUS_STORED;
	if (st.code == STATUS_REFUSED)
		h->refused = st.reason;
	if (st.transfer[0] != h->transfer + 1) /* as scene_frames.c has it */
		return;
	h->status = st.code;
	h->kept = st.bytes;
	h->asked = st.challenge != NULL;
	if (h->asked)
		h->challenge = *st.challenge;
}

static void target_offer(struct heard *h, const struct frame *f)
{
	struct offer o;

	assert_int_equal(offer_decode(f, &o), DROP_NONE);
	h->offers++;
	h->attempt = o.attempt;
	h->available = o.available;
	h->ticket = *o.ticket;
}

static void target_data(struct heard *h, const struct frame *f)
{
	struct data d;

	assert_int_equal(data_decode(f, &d), DROP_NONE);
	assert_int_equal(d.len, chunk_length(LENGTH, d.first));
	assert_memory_equal(d.bytes, bytes + (size_t)d.first * CHUNK_SIZE, d.len);
	h->chunks[d.first]++;
	h->partial = d.partial;
	h->data_available = d.available;
}

static void target_error(struct heard *h, const struct frame *f)
{
	struct error e;

	assert_int_equal(error_decode(f, &e), DROP_NONE);
	h->error = e.code;
	h->error_available = e.available;
	h->error_len = (uint16_t)f->len;
}

static void central_query(const struct frame *f)
{
	struct query q;

	assert_int_equal(query_decode(f, &q), DROP_NONE);
	if (q.ticket == NULL) {
		asked.heard++;
		asked.conn = f->conn;
		asked.nonce = q.nonce;
		memcpy(asked.transfer, q.transfer, TRANSFER_SIZE);
		return;
	}
	asked.holding++;
	asked.attempt = q.attempt;
	asked.ticket = *q.ticket;
}

static void everybody_reads(void)
{
	for (unsigned int i = 0; i < scene.frames; i++) {
		const unsigned int who = scene.frame[i].peer.ip[3];
		struct frame f;

		assert_int_equal(frame_parse(scene.frame[i].payload, scene.frame[i].len, &f),
				 DROP_NONE);
		if (f.verb == VERB_QUERY)
			central_query(&f);
		else if (f.verb == VERB_PULL)
			source_pull(&heard[who], &f);
		else if (f.verb == VERB_STATUS)
			source_status(&heard[who], &f);
		else if (f.verb == VERB_OFFER)
			target_offer(&heard[who], &f);
		else if (f.verb == VERB_DATA)
			target_data(&heard[who], &f);
		else if (f.verb == VERB_ERROR)
			target_error(&heard[who], &f);
	}
	scene.frames = 0;
}

void pass(uint64_t us)
{
	scene_pass(&scene, us);
	everybody_reads();
}

/* ---- what they say ---- */

void send_again(unsigned int who, unsigned int target, uint8_t transfer)
{
	const struct cookie c = scene_cookie(&scene, person(who), COOKIE_VALID);
	uint8_t buf[WIRE_MAX_FRAME];

	memset(&about, 0, sizeof(about));
	about.id = &id;
	about.length = LENGTH;
	about.target = person(target)->addr;
	about.transfer = heard[who].transfer = transfer;
	about.deadline = 600;
	about.vouch = vouch;
	scene_send(&scene, person(who), buf, make_send(person(who), &c, buf));
	everybody_reads();
}

void send_say(unsigned int who, unsigned int target)
{
	send_again(who, target, (uint8_t)who);
}

void chunk_say(unsigned int who, uint32_t chunk, uint8_t lie)
{
	struct heard *h = &heard[who];
	uint8_t buf[WIRE_MAX_FRAME], copy[CHUNK_SIZE];
	struct data d = {
		.upload = true,
		.stream = h->stream,
		.number = h->number[chunk],
		.first = chunk,
		.bytes = copy,
		.len = (uint16_t)chunk_length(LENGTH, chunk),
	};

	assert_int_not_equal(h->number[chunk], 0); /* it was asked for */
	memcpy(copy, bytes + (size_t)chunk * CHUNK_SIZE, d.len);
	copy[0] ^= lie;
	scene_send(&scene, person(who), buf,
		   data_encode(buf, sizeof(buf), 0, person(who)->conn, &d));
	everybody_reads();
}

void upload(unsigned int who, uint32_t first, uint32_t end)
{
	for (uint32_t i = first; i < end; i++) {
		for (unsigned int turn = 0; heard[who].number[i] == 0 && turn < 100; turn++)
			pass(SECOND / 1000);
		chunk_say(who, i, 0);
	}
	pass(SECOND / 100);
}

void pull_say(unsigned int who, uint64_t attempt, const struct ticket *t, const struct ident *of,
	      uint32_t first, uint32_t mask)
{
	const struct cookie c = scene_cookie(&scene, person(who), COOKIE_VALID);
	const struct echo echo = scene_echo(&scene, person(who), 0);
	const struct pull p = {
		.cookie = &c,
		.echo = &echo,
		.ticket = t,
		.id = of,
		.rule = RULE_SHA256,
		.stream = 5,
		.number = 1,
		.first = first,
		.mask = mask,
		.length = LENGTH,
		.attempt = attempt,
	};
	uint8_t buf[WIRE_MAX_FRAME];
	size_t len = pull_encode(buf, sizeof(buf), 0, person(who)->conn, &p);

	assert_true(len > 0);
	pull_len = (uint16_t)len;
	heard[who].error = 0;
	scene_send(&scene, person(who), buf, len);
	everybody_reads();
}

void pull(unsigned int who, uint64_t attempt, uint32_t first, uint32_t mask)
{
	pull_say(who, attempt, &heard[who].ticket, &id, first, mask);
}

uint32_t chunks_of(unsigned int who)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < CHUNKS; i++)
		n += heard[who].chunks[i];
	return n;
}

void assert_not_served(unsigned int who, uint64_t attempt)
{
	const uint32_t had = chunks_of(who);

	pull(who, attempt, 0, 3);
	assert_int_equal(chunks_of(who), had);
	assert_int_equal(heard[who].error, ERROR_GONE);
}

struct control *control(void)
{
	return &scene.box->control;
}

uint32_t parked(void)
{
	return HASH_COUNT(control()->attempts->parked_by_key);
}

struct proof vouch_of(unsigned int who)
{
	const uint32_t chunks = (uint32_t)(heard[who].kept / CHUNK_SIZE);
	struct ident_state *hash = ident_begin(RULE_SHA256);
	struct ident prefix;
	struct proof p;

	ident_update(hash, bytes, heard[who].kept);
	ident_final(hash, &prefix);
	ident_free(hash);
	vouch_make(&heard[who].challenge, &prefix, chunks, &p);
	return p;
}

uint32_t asked_below(unsigned int who, uint32_t chunk)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < chunk; i++)
		n += heard[who].number[i] != 0;
	return n;
}
