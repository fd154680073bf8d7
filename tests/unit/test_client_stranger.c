/* SPDX-License-Identifier: BSD-3-Clause
 * What strangers and lying relays can make a client send, to themselves and to
 * somebody else: counted over minutes of a clock that the test moves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/lib/clock.h"
#include "client/lib/oncewire.h"
#include "client/lib/udp.h"
#include "client_relay.h"
#include "unit_clock.h"
#include "unit_net.h"

#define STEP (5 * MILLISECOND)
#define IP_UDP 28 /* bytes of headers in front of each frame */
#define NO_ERROR 0

/* Whoever is on the other end of a socket of ours. */
struct stranger {
	struct udp udp;
	struct addr addr;
	/* how it answers */
	const struct addr *self; /* WELCOME names it; NULL: no WELCOME */
	uint32_t welcomes;	 /* to each HELLO */
	uint8_t error;		 /* to each PULL, SEND or LISTEN; NO_ERROR: nothing */
	bool challenges;	 /* each SEND, with another challenge, */
	uint8_t challenge;	 /* enum status_code, and so much */
	uint64_t kept;		 /* of an upload */
	bool falls_silent;	 /* after its first WELCOME */
	/* what happened */
	uint64_t heard_bytes, sent_bytes; /* with IP and UDP headers */
	uint32_t heard[VERB_COUNT];
	uint64_t last; /* when something was last heard */
};

struct scene {
	struct stranger attacker, victim;
	struct ow_receiver *receiver;
	struct ow_sender *sender;
	char directory[64], attacker_text[ADDR_TEXT_MAX];
	struct addr target;
	struct udp_rx *rx;
	struct udp_tx tx;
};

static void stranger_open(struct stranger *p)
{
	struct addr local = {.type = ADDR_IP4, .ip = {127, 0, 0, 1}};

	assert_int_equal(udp_open(&p->udp, &local, 1 << 20), 0);
	assert_int_equal(socket_local(&p->udp, &p->addr), 0);
	p->welcomes = 1;
}

static int scene_setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	char text[ADDR_TEXT_MAX];
	struct udp probe = {0};
	struct addr local = {.type = ADDR_IP4, .ip = {127, 0, 0, 1}};
	struct ow_receive_options o = {.directory = s->directory, .listen = text};

	unit_clock_reset();
	unit_net_reset();
	s->rx = udp_rx_create();
	assert_non_null(s->rx);
	stranger_open(&s->attacker);
	stranger_open(&s->victim);
	addr_text(&s->attacker.addr, s->attacker_text);
	strcpy(s->directory, "/var/tmp/oncewire-test-XXXXXX");
	assert_non_null(mkdtemp(s->directory));
	assert_int_equal(udp_open(&probe, &local, 0), 0);
	assert_int_equal(socket_local(&probe, &s->target), 0);
	udp_close(&probe);
	addr_text(&s->target, text);
	assert_int_equal(ow_receiver_open(&o, &s->receiver), OW_OK);
	*state = s;
	return 0;
}

static int scene_teardown(void **state)
{
	struct scene *s = *state;

	ow_receiver_close(s->receiver);
	ow_sender_close(s->sender);
	udp_close(&s->attacker.udp);
	udp_close(&s->victim.udp);
	rmdir(s->directory);
	free(s->rx);
	free(s);
	return 0;
}

static void stranger_send(struct scene *s, struct stranger *p, const struct addr *to, size_t len)
{
	assert_true(len > 0);
	p->sent_bytes += len + IP_UDP;
	udp_commit(&p->udp, &s->tx, to, len);
	udp_flush(&p->udp, &s->tx);
}

static void welcome_send(struct scene *s, struct stranger *p, const struct frame *f,
			 const struct addr *to)
{
	struct cookie cookie = {0};
	struct echo echo = {0};
	struct hello h;
	struct welcome w = {.cookie = &cookie,
			    .echo = &echo,
			    .seen = to,
			    .self = p->self,
			    .lifetime = 300,
			    .central = true};

	assert_int_equal(hello_decode(f, &h), DROP_NONE);
	w.nonce = h.nonce;
	for (uint32_t i = 0; i < p->welcomes; i++)
		stranger_send(
			s, p, to,
			welcome_encode(udp_slot(&p->udp, &s->tx), WIRE_MAX_FRAME, 0, f->conn, &w));
	if (p->falls_silent)
		p->self = NULL;
}

static void error_send(struct scene *s, struct stranger *p, const struct frame *f,
		       const struct addr *to)
{
	static const struct echo echo;
	struct error e = {.code = p->error, .verb = f->verb};
	struct pull pull;

	if (f->verb == VERB_PULL) {
		assert_int_equal(pull_decode(f, &pull), DROP_NONE);
		e.number = pull.number;
		e.stream = pull.stream;
	}
	e.echo = p->error == ERROR_FRESH ? &echo : NULL;
	stranger_send(s, p, to,
		      error_encode(udp_slot(&p->udp, &s->tx), WIRE_MAX_FRAME, 0, f->conn, &e));
}

static void challenge_send(struct scene *s, struct stranger *p, const struct frame *f,
			   const struct addr *to)
{
	struct challenge challenge = {0};
	struct send sd;
	struct status st = {.code = p->challenge, .bytes = p->kept, .challenge = &challenge};

	assert_int_equal(send_decode(f, &sd), DROP_NONE);
	st.transfer = sd.transfer;
	memcpy(&challenge, &p->heard[VERB_SEND], sizeof(p->heard[VERB_SEND]));
	stranger_send(s, p, to,
		      status_encode(udp_slot(&p->udp, &s->tx), WIRE_MAX_FRAME, 0, f->conn, &st));
}

static void stranger_run(struct scene *s, struct stranger *p)
{
	uint32_t n = udp_receive(&p->udp, s->rx), i;
	struct frame f;

	for (i = 0; i < n; i++) {
		const struct addr *from = s->rx->datagram[i].from;

		assert_int_equal(frame_parse(s->rx->datagram[i].bytes, s->rx->datagram[i].len, &f),
				 DROP_NONE);
		p->heard_bytes += s->rx->datagram[i].len + IP_UDP;
		p->heard[f.verb]++;
		p->last = clock_now();
		if (f.verb == VERB_HELLO && p->self != NULL)
			welcome_send(s, p, &f, from);
		if (f.verb == VERB_SEND && p->challenges)
			challenge_send(s, p, &f, from);
		if ((f.verb == VERB_PULL || f.verb == VERB_SEND || f.verb == VERB_LISTEN) &&
		    p->error != NO_ERROR)
			error_send(s, p, &f, from);
	}
}

static void scene_run(struct scene *s, uint64_t microseconds)
{
	uint64_t passed;

	for (passed = 0; passed < microseconds; passed += STEP) {
		/* several turns a step: an answer that draws a frame at once may do so */
		for (int turn = 0; turn < 4; turn++) {
			ow_receiver_process(s->receiver);
			if (s->sender != NULL)
				ow_sender_process(s->sender);
			stranger_run(s, &s->attacker);
			stranger_run(s, &s->victim);
		}
		unit_clock_advance(STEP);
	}
}

/* Returns the OFFER's bytes, headers included. */
static uint64_t offer(struct scene *s, uint8_t transfer, uint64_t length, const struct addr *holder)
{
	const uint8_t name[TRANSFER_SIZE] = {transfer};
	const struct ident id = {{7, transfer}};
	const struct ticket ticket = {0};
	const struct offer o = {.transfer = name,
				.id = &id,
				.ticket = &ticket,
				.holder = holder,
				.rule = RULE_SHA256,
				.deadline = DEADLINE_MAX,
				.length = length};
	uint64_t before = s->attacker.sent_bytes;

	stranger_send(s, &s->attacker, &s->target,
		      offer_encode(udp_slot(&s->attacker.udp, &s->tx), WIRE_MAX_FRAME, 0, 1, &o,
				   SEND_MIN));
	return s->attacker.sent_bytes - before;
}

/* ---- aimed at somebody else ---- */

struct aim {
	const char *what;
	bool holder;	   /* the OFFER names the victim */
	bool self;	   /* the attacker's WELCOME does */
	uint32_t welcomes; /* of them to each HELLO */
	uint32_t offers;   /* of one file each */
};

static void victim_gets_less_than_was_spent(void **state)
{
	static const struct aim aims[] = {
		{"OFFER names a holder", true, false, 0, 1},
		{"WELCOME names another self", false, true, 1, 1},
		{"many WELCOMEs do", false, true, 200, 1},
		{"a hundred OFFERs, WELCOMEs name another self", false, true, 1, 100},
		{"a hundred OFFERs name a holder", true, false, 0, 100},
	};
	struct scene *s;

	(void)state;
	for (size_t i = 0; i < sizeof(aims) / sizeof(aims[0]); i++) {
		const struct aim *a = &aims[i];
		uint64_t spent = 0;

		scene_setup((void **)&s);
		s->attacker.self = a->self ? &s->victim.addr : NULL;
		s->attacker.welcomes = a->welcomes;
		for (uint32_t n = 0; n < a->offers; n++) {
			spent += offer(s, (uint8_t)n, 10000000, a->holder ? &s->victim.addr : NULL);
			scene_run(s, 50 * MILLISECOND);
		}
		scene_run(s, 420 * SECOND);
		print_message("%s: %lu bytes drew %lu to the victim, %lu back\n", a->what,
			      (unsigned long)spent, (unsigned long)s->victim.heard_bytes,
			      (unsigned long)s->attacker.heard_bytes);
		assert_true(s->victim.heard_bytes > 0);
		assert_true(s->victim.heard_bytes + s->attacker.heard_bytes <= spent);
		assert_int_equal(s->victim.heard[VERB_HELLO] * (HELLO_SIZE + IP_UDP),
				 s->victim.heard_bytes);
		scene_teardown((void **)&s);
	}
}

/* A relay that answers for another that is one: introduced, but by its own word only. */
static void named_relay_is_asked_itself(void **state)
{
	struct scene *s = *state;

	s->attacker.self = &s->victim.addr;
	s->victim.self = &s->victim.addr;
	offer(s, 1, 10000000, NULL);
	scene_run(s, 200 * MILLISECOND);
	assert_int_equal(s->victim.heard[VERB_HELLO], 1);
	assert_true(s->victim.heard[VERB_PULL] > 0);
	assert_int_equal(s->attacker.heard[VERB_PULL], 0);
}

/* It answered one HELLO, and then nothing: single HELLOs, and an end to them. */
static void silent_holder_is_left_alone(void **state)
{
	struct scene *s = *state;

	s->attacker.self = &s->attacker.addr;
	s->attacker.falls_silent = true;
	for (uint8_t n = 0; n < 10; n++)
		offer(s, n, 10000000, NULL);
	scene_run(s, 420 * SECOND);
	print_message("10 files: %u PULLs, %u RECEIPTs, %u HELLOs, the last after %lu s\n",
		      s->attacker.heard[VERB_PULL], s->attacker.heard[VERB_RECEIPT],
		      s->attacker.heard[VERB_HELLO],
		      (unsigned long)((s->attacker.last - UNIT_CLOCK_BOOT * SECOND) / SECOND));
	assert_true(s->attacker.heard[VERB_PULL] > 0);
	assert_true(s->attacker.heard[VERB_PULL] <= 10 * 12);
	assert_true(s->attacker.heard[VERB_RECEIPT] <= 10);
	assert_true(s->attacker.heard[VERB_HELLO] <= 10);
	assert_true(s->attacker.last < (UNIT_CLOCK_BOOT + 30) * SECOND);
}

/* ---- loops ---- */

static void errors_to_pulls_have_a_floor(void **state)
{
	static const uint8_t codes[] = {ERROR_STALE, ERROR_FRESH,	ERROR_TICKET, ERROR_GONE,
					ERROR_BUSY,  ERROR_UNSUPPORTED, ERROR_KEY};
	struct scene *s;

	(void)state;
	for (size_t i = 0; i < sizeof(codes); i++) {
		uint32_t after_a_minute;

		scene_setup((void **)&s);
		s->attacker.self = &s->attacker.addr;
		s->attacker.error = codes[i];
		offer(s, 1, 10000000, NULL);
		scene_run(s, 60 * SECOND);
		after_a_minute = s->attacker.heard[VERB_PULL];
		print_message("ERROR(%u): %u PULLs, %u HELLOs\n", codes[i], after_a_minute,
			      s->attacker.heard[VERB_HELLO]);
		assert_true(after_a_minute > 0);
		assert_true(after_a_minute <= 200);
		assert_true(s->attacker.heard[VERB_HELLO] <= 60);
		/* and an end, if not for BUSY, which asks for a repetition */
		scene_run(s, 60 * SECOND);
		assert_int_equal(s->attacker.heard[VERB_PULL], after_a_minute);
		scene_teardown((void **)&s);
	}
}

/* It has no end of its own, as a source may be slow; but a pace. */
static void later_has_a_floor(void **state)
{
	struct scene *s = *state;

	s->attacker.self = &s->attacker.addr;
	s->attacker.error = ERROR_LATER;
	offer(s, 1, 10000000, NULL);
	scene_run(s, 60 * SECOND);
	print_message("ERROR(LATER): %u PULLs\n", s->attacker.heard[VERB_PULL]);
	assert_in_range(s->attacker.heard[VERB_PULL], 10, 300);
}

static void sender_open(struct scene *s)
{
	static uint8_t data[100000];
	struct ow_send_options o = {.relay = s->attacker_text,
				    .via = OW_VIA_CENTRAL,
				    .target = "192.0.2.1",
				    .data = data,
				    .size = sizeof(data)};

	s->attacker.self = &s->attacker.addr;
	assert_int_equal(ow_sender_open(&o, &s->sender), OW_OK);
}

static void errors_to_sends_have_a_floor(void **state)
{
	static const uint8_t codes[] = {ERROR_STALE, ERROR_FRESH, ERROR_TICKET,
					ERROR_GONE,  ERROR_BUSY,  ERROR_UNSUPPORTED};
	struct scene *s;

	(void)state;
	for (size_t i = 0; i < sizeof(codes); i++) {
		scene_setup((void **)&s);
		s->attacker.error = codes[i];
		sender_open(s);
		scene_run(s, 60 * SECOND);
		print_message("ERROR(%u): %u SENDs, %u HELLOs\n", codes[i],
			      s->attacker.heard[VERB_SEND], s->attacker.heard[VERB_HELLO]);
		assert_true(s->attacker.heard[VERB_SEND] > 0);
		assert_true(s->attacker.heard[VERB_SEND] <= 120);
		assert_true(s->attacker.heard[VERB_HELLO] <= 60);
		scene_teardown((void **)&s);
	}
}

static void challenges_have_a_floor(void **state)
{
	struct scene *s = *state;

	s->attacker.challenges = true;
	s->attacker.challenge = STATUS_CHALLENGE;
	sender_open(s);
	scene_run(s, 60 * SECOND);
	print_message("%u SENDs\n", s->attacker.heard[VERB_SEND]);
	assert_true(s->attacker.heard[VERB_SEND] > 10);
	assert_true(s->attacker.heard[VERB_SEND] <= 120);
}

/* To vouch for what was kept costs reading, too. */
static void vouches_have_a_floor(void **state)
{
	struct scene *s = *state;

	s->attacker.challenges = true;
	s->attacker.challenge = STATUS_UPLOAD;
	s->attacker.kept = CHUNK_SIZE;
	sender_open(s);
	scene_run(s, 60 * SECOND);
	print_message("%u SENDs\n", s->attacker.heard[VERB_SEND]);
	assert_true(s->attacker.heard[VERB_SEND] > 10);
	assert_true(s->attacker.heard[VERB_SEND] <= 120);
}

/* ---- memory ---- */

static long resident(void)
{
	long pages, size;
	FILE *f = fopen("/proc/self/statm", "r");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%ld %ld", &size, &pages), 2);
	fclose(f);
	return pages * getpagesize();
}

static void promised_length_costs_no_memory(void **state)
{
	struct scene *s = *state;
	long before = resident();

	s->attacker.self = &s->attacker.addr;
	for (uint8_t n = 0; n < 64; n++) {
		offer(s, n, BLOB_MAX_LENGTH, NULL);
		scene_run(s, 10 * MILLISECOND);
	}
	scene_run(s, SECOND);
	assert_true(s->attacker.heard[VERB_PULL] >= 64);
	print_message("64 OFFERs of 64 GiB: %ld kB\n", (resident() - before) / 1024);
	assert_true(resident() - before < 16 << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(victim_gets_less_than_was_spent),
		cmocka_unit_test_setup_teardown(named_relay_is_asked_itself, scene_setup,
						scene_teardown),
		cmocka_unit_test_setup_teardown(silent_holder_is_left_alone, scene_setup,
						scene_teardown),
		cmocka_unit_test(errors_to_pulls_have_a_floor),
		cmocka_unit_test_setup_teardown(later_has_a_floor, scene_setup, scene_teardown),
		cmocka_unit_test(errors_to_sends_have_a_floor),
		cmocka_unit_test_setup_teardown(vouches_have_a_floor, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(challenges_have_a_floor, scene_setup,
						scene_teardown),
		cmocka_unit_test_setup_teardown(promised_length_costs_no_memory, scene_setup,
						scene_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
