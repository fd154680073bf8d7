/* SPDX-License-Identifier: BSD-3-Clause
 * Several sources with the same new blob: who uploads, who waits, and how long
 * somebody slow can keep the others waiting.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "control/transfer/attempt.h"
#include "tests/unit/scene_frames.h"
#include "tests/unit/unit_clock.h"
#include "tests/unit/unit_eal.h"

#define STEP 100000 /* microseconds */
#define SECOND 1000000
#define SOURCES 8
#define TARGET 60
#define LENGTH 400000
#define CHUNKS ((LENGTH + CHUNK_SIZE - 1) / CHUNK_SIZE)

/* How somebody sends. */
struct source {
	uint8_t content;   /* what its chunks begin with: 0 is right */
	uint64_t every;	   /* microseconds between chunks; 0: answers every PULL at once */
	uint64_t still[2]; /* it is stopped from here to there */
	bool other;	   /* sends another blob than the rest */
	/* it was the person before, and shows this */
	bool came;
	struct moved moved;
	/* what it was told */
	bool waited, uploaded, stored, served;
	uint8_t refused; /* enum refuse_reason */
	uint64_t stored_at;
	/* what it is to vouch for, in bytes; 0: nothing */
	uint64_t kept;
	struct challenge challenge;
	/* what it was asked for and has not sent */
	uint64_t stream;
	uint32_t number[CHUNKS]; /* of the PULL; 0: none */
	uint64_t next;		 /* when it sends again */
};

static struct scene scene;
static struct source sources[SOURCES]; /* person i + 1 */
static uint8_t bytes[LENGTH];
static struct ident id;
static uint64_t passed;

static int setup_as(bool stream)
{
	struct ident_state *hash = ident_begin(RULE_SHA256);

	unit_clock_reset();
	memset(&scene, 0, sizeof(scene));
	memset(sources, 0, sizeof(sources));
	passed = 0;
	box_config(&scene.config, ROLE_CENTRAL, false);
	scene.config.max_uploads = 16;
	scene.config.slab_size = 8 << 20;
	scene.config.stream = stream;
	scene_open(&scene);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i / 7);
	bytes[0] = 0;
	ident_update(hash, bytes, sizeof(bytes));
	ident_final(hash, &id);
	ident_free(hash);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return setup_as(true);
}

static int setup_stored(void **state)
{
	(void)state;
	return setup_as(false);
}

static int teardown(void **state)
{
	(void)state;
	scene_close(&scene);
	return 0;
}

static struct person *person(unsigned int i)
{
	return scene_person(&scene, i + 1);
}

/* That its blob begins as what the relay has kept; or not. */
static struct proof vouch_of(const struct source *s)
{
	struct ident_state *hash = ident_begin(RULE_SHA256);
	struct ident prefix;
	struct proof p;

	for (uint64_t at = 0; at < s->kept; at += CHUNK_SIZE) {
		const uint8_t first = (uint8_t)(bytes[at] + s->content);

		ident_update(hash, &first, 1);
		ident_update(hash, bytes + at + 1, CHUNK_SIZE - 1);
	}
	ident_final(hash, &prefix);
	ident_free(hash);
	vouch_make(&s->challenge, &prefix, (uint32_t)(s->kept / CHUNK_SIZE), &p);
	return p;
}

static void send_say(unsigned int i, uint8_t transfer)
{
	const struct source *s = &sources[i];
	const struct cookie c = scene_cookie(&scene, person(i), COOKIE_VALID);
	const struct proof vouch = vouch_of(s);
	struct ident asked = id;
	uint8_t buf[WIRE_MAX_FRAME];

	asked.b[0] ^= s->other;
	memset(&about, 0, sizeof(about));
	about.id = &asked;
	about.length = sizeof(bytes);
	about.target = scene_person(&scene, TARGET)->addr;
	about.transfer = transfer;
	about.vouch = s->kept > 0 ? &vouch : NULL;
	about.moved = s->came ? &s->moved : NULL;
	about.deadline = 300;
	scene_send(&scene, person(i), buf, make_send(person(i), &c, buf));
}

static void status_note(struct source *s, const struct frame *f)
{
	struct status st;

	assert_int_equal(status_decode(f, &st), DROP_NONE);
	if (st.challenge != NULL) {
		s->challenge = *st.challenge;
		s->kept = st.bytes;
	}
	s->waited |= st.code == STATUS_WAITING;
	s->uploaded |= st.code == STATUS_UPLOAD;
	s->served |= st.code == STATUS_SERVING_CENTRAL;
	if (st.code == STATUS_STORED && !s->stored) {
		s->stored = true;
		s->stored_at = passed;
	}
	if (st.code == STATUS_REFUSED)
		s->refused = st.reason;
}

static void chunk_send(unsigned int i, uint32_t chunk)
{
	struct source *s = &sources[i];
	uint8_t buf[WIRE_MAX_FRAME], copy[CHUNK_SIZE];
	struct data d = {
		.upload = true,
		.stream = s->stream,
		.number = s->number[chunk],
		.first = chunk,
		.bytes = copy,
		.len = (uint16_t)chunk_length(sizeof(bytes), chunk),
	};

	s->number[chunk] = 0;
	memcpy(copy, bytes + (size_t)chunk * CHUNK_SIZE, d.len);
	copy[0] = (uint8_t)(copy[0] + s->content);
	scene_send(&scene, person(i), buf, data_encode(buf, sizeof(buf), 0, person(i)->conn, &d));
}

static void pull_note(struct source *s, const struct frame *f)
{
	struct pull p;

	assert_int_equal(pull_decode(f, &p), DROP_NONE);
	if (p.stream != s->stream)
		memset(s->number, 0, sizeof(s->number));
	s->stream = p.stream;
	for (uint32_t mask = p.mask; mask != 0; mask &= mask - 1)
		s->number[p.first + (uint32_t)__builtin_ctz(mask)] = p.number;
}

/* What it may send now. */
static void data_say(unsigned int i)
{
	struct source *s = &sources[i];

	for (uint32_t chunk = 0; chunk < CHUNKS; chunk++) {
		if (s->number[chunk] == 0)
			continue;
		if (s->every != 0 && passed < s->next)
			return;
		chunk_send(i, chunk);
		s->next = passed + s->every;
	}
}

/* Everybody reads what came, and answers; which draws more. */
static void everybody_reads(void)
{
	static struct box_frame frames[SCENE_FRAMES];
	struct frame f;

	for (unsigned int turn = 0; scene.frames > 0 && turn < 2000; turn++) {
		unsigned int n = scene.frames;

		memcpy(frames, scene.frame, n * sizeof(frames[0]));
		scene_clear(&scene);
		for (unsigned int k = 0; k < n; k++) {
			unsigned int i = frames[k].peer.ip[3] - 1u;

			if (i >= SOURCES || frame_parse(frames[k].payload, frames[k].len, &f))
				continue;
			if (f.verb == VERB_STATUS)
				status_note(&sources[i], &f);
			if (f.verb == VERB_PULL)
				pull_note(&sources[i], &f);
		}
	}
}

/* Time passes; each of the first n repeats its SEND once a second and sends data
 * as it does, until it has heard how it ended. */
static void run(unsigned int n, uint64_t us)
{
	for (uint64_t end = passed + us; passed < end; passed += STEP) {
		for (unsigned int i = 0; i < n; i++) {
			struct source *s = &sources[i];

			if (passed >= s->still[0] && passed < s->still[1])
				continue;
			if (passed % SECOND == 0 && !s->served && s->refused == 0)
				send_say(i, (uint8_t)(s->came ? i - 1 : i));
			everybody_reads();
			for (int turn = 0; turn < 40; turn++) {
				data_say(i);
				everybody_reads();
			}
		}
		scene_pass(&scene, STEP);
		everybody_reads();
	}
}

/* One wrong chunk each 4 s kept an honest source waiting until its own timeout. */
static void trickle_blocks_nobody(void **state)
{
	(void)state;
	sources[0] = (struct source){.content = 1, .every = 4 * SECOND};
	run(2, 30 * SECOND);
	assert_true(sources[1].waited);
	assert_true(sources[1].stored);
	assert_true(sources[1].stored_at <= 5 * SECOND);
	/* which is no verdict: it waited, and what it wanted to send is here */
	assert_int_equal(sources[0].refused, 0);
	assert_true(sources[0].waited);
	assert_true(sources[0].served);
}

/* Nor do several, however they divide it among them. */
static void many_trickles_block_nobody(void **state)
{
	const unsigned int honest = SOURCES - 1;

	(void)state;
	for (unsigned int i = 0; i < honest; i++)
		sources[i] = (struct source){.content = (uint8_t)(i + 1), .every = SECOND / 10};
	run(SOURCES, 60 * SECOND);
	assert_true(sources[honest].stored);
	assert_true(sources[honest].stored_at <= 30 * SECOND);
}

/* Who is slow, but alone, may be. */
static void slow_source_alone_is_let_be(void **state)
{
	(void)state;
	sources[0] = (struct source){.every = SECOND / 4};
	run(1, 50 * SECOND); /* below its deadline */
	assert_int_equal(sources[0].refused, 0);
	assert_true(sources[0].uploaded);
}

/* Stopped in the middle for whatever time, it goes on where it was. */
static void stopped_source_goes_on(void **state)
{
	static const unsigned int seconds[] = {4, 7, 60, 110};

	for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
		if (i > 0) {
			teardown(state);
			setup(state);
		}
		sources[0] = (struct source){
			.every = STEP,
			.still = {2 * SECOND, (2 + seconds[i]) * SECOND},
		};
		run(1, (2 + seconds[i]) * SECOND);
		assert_false(sources[0].stored);
		run(1, 34 * SECOND); /* in 35 s it sends all of it, and it had begun */
		assert_true(sources[0].stored);
		assert_int_equal(sources[0].refused, 0);
		assert_int_equal(scene.box->control.counters.uploads_put_off, 0);
	}
}

/* For two minutes; then it begins anew. */
static void stopped_for_long(void **state)
{
	(void)state;
	sources[0] = (struct source){
		.every = STEP,
		.still = {2 * SECOND, 125 * SECOND},
	};
	run(1, 124 * SECOND);
	assert_int_equal(scene.box->control.attempts->active, 0);
	run(1, 40 * SECOND);
	assert_true(sources[0].stored);
	assert_int_equal(sources[0].refused, 0);
}

/* Where person 0 was is where person 1 says it was; both have one conn. */
static void move(enum cookie_state state)
{
	person(1)->conn = person(0)->conn;
	sources[1] = (struct source){.every = STEP, .came = true};
	sources[1].moved.addr = person(0)->addr;
	sources[1].moved.cookie = scene_cookie(&scene, person(0), state);
	sources[0].still[0] = passed;
	sources[0].still[1] = UINT64_MAX;
}

/* It goes on where it was, and what it had sent is not asked for again. */
static void source_moves(void **state)
{
	struct control *ctl = &scene.box->control;

	(void)state;
	sources[0] = (struct source){.every = STEP};
	run(1, 10 * SECOND);
	move(COOKIE_VALID);
	run(2, 2 * STEP);
	assert_int_not_equal(sources[1].stream, 0); /* it is asked at once */
	run(2, 10 * SECOND);
	assert_int_equal(ctl->counters.sources_moved, 1);
	assert_false(sources[1].waited);
	assert_int_equal(ctl->attempts->active, 1);
	run(2, 30 * SECOND);
	assert_true(sources[1].stored);
	assert_int_equal(ctl->counters.sources_moved, 1);
	assert_int_equal(scene.box->control.worker[0]->stats.upload_chunks, CHUNKS);
}

/* What a worker took before control moved the upload counts, also if it is heard of only
 * then: nobody else would bring that chunk again. */
static void late_notes_count(void **state)
{
	struct control *ctl = &scene.box->control;
	struct message note = {.kind = MESSAGE_CHUNK};
	const struct pull_request *r;
	struct attempt *a;
	uint32_t have;

	(void)state;
	sources[0] = (struct source){.every = STEP};
	run(1, 5 * SECOND);
	a = TAILQ_FIRST(&ctl->uploads->by_key->attempts);
	r = pulls_oldest(&a->window.pulls);
	assert_non_null(r);
	note.slot = a->slot;
	note.number = r->number;
	note.chunk = r->first + (uint32_t)__builtin_ctz(r->missing);
	note.stream_low = a->stream;
	note.came_us = ctl->unix_us;
	have = a->window.pulls.have;
	attempt_move(a, &a->ask);
	assert_true(a->moving);
	assert_int_equal(a->window.pulls.flight, 0); /* the path is another one */
	assert_true(a->window.congestion.rate == 0);
	attempt_chunk(ctl, &note);
	assert_int_equal(a->window.pulls.have, have + 1);
	box_settle(scene.box);
	assert_false(a->moving);
	assert_int_not_equal(a->stream, note.stream_low);
	note.chunk++;
	attempt_chunk(ctl, &note);
	assert_int_equal(a->window.pulls.have, have + 2);
	note.stream_low += 2; /* of an upload that was here before */
	note.chunk++;
	attempt_chunk(ctl, &note);
	assert_int_equal(a->window.pulls.have, have + 2);
}

/* Nobody else goes on with it, whatever they know. */
static void nobody_else_moves(void **state)
{
	for (enum cookie_state c = COOKIE_NONE; c < COOKIE_VALID; c++) {
		if (c > COOKIE_NONE) {
			teardown(state);
			setup(state);
		}
		sources[0] = (struct source){.every = STEP};
		run(1, 5 * SECOND);
		move(c);
		sources[0].still[0] = UINT64_MAX; /* it did not move */
		run(2, 2 * SECOND);
		assert_int_equal(scene.box->control.counters.sources_moved, 0);
		assert_true(sources[1].waited);
	}
}

/* Others go first: who waits for the same blob after five seconds, and who wants another
 * one as soon as there is no room. */
static void stopped_source_lets_others_go_first(void **state)
{
	(void)state;
	sources[0] = (struct source){
		.every = STEP,
		.still = {2 * SECOND, 40 * SECOND},
	};
	run(1, 3 * SECOND);
	run(2, 8 * SECOND);
	assert_true(sources[1].waited);
	assert_true(sources[1].stored);
	run(1, 35 * SECOND);
	assert_true(sources[0].served);
	assert_false(sources[0].stored);
	assert_int_equal(sources[0].refused, 0);
}

/* Not who began first. */
static void who_stopped_first_makes_room(void **state)
{
	struct control *ctl = &scene.box->control;
	const struct attempt *a;

	(void)state;
	sources[0] = (struct source){.every = SECOND / 10, .still = {6 * SECOND, 90 * SECOND}};
	sources[1] = (struct source){
		.every = SECOND / 10,
		.still = {2 * SECOND, 90 * SECOND},
		.other = true,
	};
	run(2, 12 * SECOND);
	assert_int_equal(ctl->attempts->active, 2);
	assert_true(attempts_reclaim(ctl, NULL));
	TAILQ_FOREACH (a, &ctl->attempts->open, open_link)
		assert_int_equal(a->goes, addr_same_host(&a->ask.key.source, &person(1)->addr));
	assert_false(attempts_reclaim(ctl, &person(1)->addr)); /* it is going already */
	assert_true(attempts_reclaim(ctl, &person(0)->addr));
}

static void stopped_source_makes_room(void **state)
{
	struct control *ctl = &scene.box->control;

	(void)state;
	sources[0] = (struct source){
		.every = STEP,
		.still = {2 * SECOND, 40 * SECOND},
	};
	run(1, 4 * SECOND);
	assert_int_equal(ctl->attempts->active, 1);
	assert_false(attempts_reclaim(ctl, NULL)); /* it has not been so for long */
	run(1, 4 * SECOND);
	assert_false(attempts_reclaim(ctl, &person(1)->addr)); /* that is another's limit */
	assert_true(attempts_reclaim(ctl, &person(0)->addr));
	assert_false(attempts_reclaim(ctl, NULL)); /* it is going already */
	run(1, STEP);
	assert_int_equal(ctl->attempts->active, 0);
	assert_int_equal(ctl->counters.uploads_put_off, 1);
	assert_false(attempts_reclaim(ctl, NULL));
	run(1, STEP);
	assert_true(sources[0].waited);
	run(1, 80 * SECOND);
	assert_true(sources[0].stored);
	assert_int_equal(sources[0].refused, 0);
}

/* Both send the truth: the faster one serves both, and nobody is refused. */
static void faster_source_uploads_beside(void **state)
{
	(void)state;
	sources[0] = (struct source){.every = SECOND / 10};
	run(2, 30 * SECOND);
	assert_true(sources[0].uploaded);
	assert_true(sources[0].served);
	assert_false(sources[0].stored);
	assert_true(sources[1].waited);
	assert_true(sources[1].stored);
	assert_true(sources[1].served);
	assert_int_equal(sources[0].refused, 0);
	assert_int_equal(sources[1].refused, 0);
}

static uint32_t uploading(unsigned int i)
{
	const struct attempt *a;
	uint32_t n = 0;

	TAILQ_FOREACH (a, &scene.box->control.attempts->open, open_link)
		n += addr_same_host(&a->ask.key.source, &person(i)->addr);
	return n;
}

/* Two that both move, one of them less than half as fast as the other: that one alone goes on,
 * for all targets, as long as it moves; then the other one, where it was. */
static void half_as_fast_is_passed(void **state)
{
	struct control *ctl = &scene.box->control;

	(void)state;
	sources[0] = (struct source){.every = STEP};
	sources[1] = (struct source){.every = STEP};
	run(2, 6 * SECOND);
	assert_true(uploading(0) == 1 && uploading(1) == 1);
	run(2, 6 * SECOND);
	assert_true(uploading(0) == 1 && uploading(1) == 1); /* it is as fast */
	sources[0].every = 3 * STEP;
	run(2, 7 * SECOND);
	for (unsigned int i = 0; i < 10; i++) {
		assert_true(uploading(0) == 0 && uploading(1) == 1);
		run(2, SECOND);
	}
	sources[1].still[0] = passed;
	sources[1].still[1] = UINT64_MAX;
	run(2, 8 * SECOND);
	assert_true(uploading(0) == 1);
	assert_int_equal(ctl->counters.uploads_resumed, 1);
	assert_int_equal(sources[0].refused, 0);
	assert_int_equal(sources[1].refused, 0);
	run(2, 100 * SECOND);
	assert_true(sources[0].stored);
}

/* One that is not heard of any more gets no offer made: its target may take the blob only
 * once, from the source that lives. When it sends again, that is a hit. */
static void dead_source_is_not_served(void **state)
{
	(void)state;
	sources[0] = (struct source){.every = SECOND / 10, .still = {2 * SECOND, 40 * SECOND}};
	sources[1] = (struct source){.still = {0, 5 * SECOND}};
	run(2, 30 * SECOND);
	assert_true(sources[1].stored);
	assert_true(sources[1].served);
	assert_false(sources[0].served);
	assert_int_equal(scene.box->control.stats.offers, 1);
	run(2, 15 * SECOND);
	assert_true(sources[0].served);
	assert_int_equal(sources[0].refused, 0);
}

/* A wrong chunk of one is never part of what the other sent. */
static void bytes_never_mix(void **state)
{
	(void)state;
	sources[0] = (struct source){.content = 1, .every = SECOND / 10};
	run(2, 30 * SECOND);
	assert_true(sources[1].stored);
	assert_int_equal(sources[1].refused, 0);
	assert_int_equal(scene.box->control.counters.uploads, 1);
	assert_int_equal(scene.box->control.attempts->active, 0);
}

/* A second transfer of the same host is not another source. */
static void own_transfers_do_not_compete(void **state)
{
	(void)state;
	sources[0] = (struct source){.every = SECOND / 4};
	for (int i = 0; i < 10; i++) {
		send_say(0, 77);
		run(1, SECOND);
	}
	assert_true(sources[0].waited);
	assert_int_equal(scene.box->control.attempts->active, 1);
	assert_int_equal(sources[0].refused, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static int start(void **state)
{
	return sodium_init() < 0 ? -1 : unit_eal_start(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(trickle_blocks_nobody),
		TEST(many_trickles_block_nobody),
		TEST(slow_source_alone_is_let_be),
		TEST(stopped_source_goes_on),
		TEST(stopped_for_long),
		TEST(source_moves),
		TEST(late_notes_count),
		TEST(nobody_else_moves),
		TEST(stopped_source_lets_others_go_first),
		TEST(who_stopped_first_makes_room),
		TEST(stopped_source_makes_room),
		TEST(faster_source_uploads_beside),
		TEST(half_as_fast_is_passed),
		cmocka_unit_test_setup_teardown(dead_source_is_not_served, setup_stored, teardown),
		TEST(bytes_never_mix),
		TEST(own_transfers_do_not_compete),
	};

	return cmocka_run_group_tests(tests, start, unit_eal_stop);
}
