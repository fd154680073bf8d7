/* SPDX-License-Identifier: BSD-3-Clause
 * A blob that is pulled while it is uploaded: who is offered what of it, what PULLs get, and
 * what becomes of an attempt that ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "tests/unit/unit_clock.h"
#include "tests/unit/unit_eal.h"
#include "tests/unit/upload_scene.h"

static void target_gets_the_beginning(void **state)
{
	struct heard *t = &heard[TARGET];

	(void)state;
	send_say(SOURCE, TARGET);
	assert_int_equal(t->offers, 0); /* there is nothing yet */
	upload(SOURCE, 0, 3);
	assert_int_equal(t->offers, 1);
	assert_int_not_equal(t->attempt, 0);
	assert_in_range(t->available, 1, 3);
	pull(TARGET, t->attempt, 0, 7);
	assert_true(t->chunks[0] == 1 && t->chunks[1] == 1 && t->chunks[2] == 1);
	assert_true(t->partial);
	assert_int_equal(t->data_available, 3);
	assert_int_equal(t->error, 0);
	/* each repeat of the SEND brings one OFFER, which says more */
	send_say(SOURCE, TARGET);
	assert_int_equal(t->offers, 2);
	assert_int_equal(t->available, 3);
}

/* What is there of a PULL comes, then a word about the rest, which is smaller than the PULL. */
static void what_is_not_here_comes_later(void **state)
{
	struct heard *t = &heard[TARGET];

	(void)state;
	send_say(SOURCE, TARGET);
	upload(SOURCE, 0, 3);
	pull(TARGET, t->attempt, 1, 0xf);
	assert_true(t->chunks[1] == 1 && t->chunks[2] == 1 && chunks_of(TARGET) == 2);
	assert_int_equal(t->error, ERROR_LATER);
	assert_int_equal(t->error_available, 3);
	assert_true(t->error_len < pull_len);
	pull(TARGET, t->attempt, 3, 1);
	assert_int_equal(t->error, ERROR_LATER);
	assert_int_equal(chunks_of(TARGET), 2);
	/* a chunk behind a hole is not there */
	chunk_say(SOURCE, 4, 0);
	pass(SECOND / 100);
	pull(TARGET, t->attempt, 4, 1);
	assert_int_equal(t->error, ERROR_LATER);
	assert_int_equal(t->error_available, 3);
	assert_int_equal(scene.box->control.worker[0]->stats.later, 3);
}

/* More of these than there are ERRORs a second for one source. */
static void later_is_no_error(void **state)
{
	(void)state;
	send_say(SOURCE, TARGET);
	upload(SOURCE, 0, 3);
	for (unsigned int i = 0; i < 300; i++) {
		pull(TARGET, heard[TARGET].attempt, 3, 1);
		assert_int_equal(heard[TARGET].error, ERROR_LATER);
	}
}

static void pieces_meet_in_a_pull(void **state)
{
	struct heard *t = &heard[TARGET];

	(void)state;
	send_say(SOURCE, TARGET);
	upload(SOURCE, 0, PIECE_CHUNKS + 1);
	pull(TARGET, t->attempt, PIECE_CHUNKS - 2, 0xf);
	assert_true(t->chunks[PIECE_CHUNKS - 2] == 1 && t->chunks[PIECE_CHUNKS] == 1);
	assert_int_equal(chunks_of(TARGET), 3);
	assert_int_equal(t->error, ERROR_LATER);
	assert_int_equal(t->error_available, PIECE_CHUNKS + 1);
}

/* Only who names the attempt gets bytes that nobody has verified. */
static void attempt_must_be_named(void **state)
{
	const uint64_t *a = &heard[TARGET].attempt;

	(void)state;
	send_say(SOURCE, TARGET);
	upload(SOURCE, 0, 3);
	assert_not_served(TARGET, 0);
	assert_not_served(TARGET, *a ^ UINT64_C(1) << 40);
	assert_not_served(TARGET, *a ^ 1); /* another slot */
}

/* A ticket is the right to its own blob, whatever attempt is named with it. */
static void ticket_must_be_of_the_blob(void **state)
{
	struct ident else_id = id;

	(void)state;
	send_say(SOURCE, TARGET);
	upload(SOURCE, 0, 3);
	else_id.b[31] ^= 1;
	about.id = &else_id;
	about_ticket(&scene, person(OTHER), addr_pair_any(&scene.config.listen), 60);
	pull_say(TARGET, heard[TARGET].attempt, &about.ticket, &else_id, 0, 7);
	assert_int_equal(chunks_of(TARGET), 0);
	assert_int_equal(heard[TARGET].error, ERROR_GONE);
}

/* The end changes nothing for who goes on with the attempt. */
static void stored_blob_is_served_to_both(void **state)
{
	struct heard *t = &heard[TARGET];
	uint64_t attempt;

	(void)state;
	send_say(SOURCE, TARGET);
	upload(SOURCE, 0, CHUNKS);
	pass(SECOND / 10);
	assert_true(heard[SOURCE].stored);
	attempt = t->attempt;
	assert_int_equal(t->offers, 1); /* its SEND had one */
	pull(TARGET, attempt, 0, 1);
	assert_int_equal(t->chunks[0], 1);
	assert_false(t->partial);
	pull(TARGET, 0, 1, 1);
	assert_int_equal(t->chunks[1], 1);
	assert_not_served(TARGET, attempt ^ UINT64_C(1) << 40);
	/* the next SEND is a hit */
	send_say(SOURCE, TARGET);
	assert_int_equal(t->offers, 2);
	assert_int_equal(t->attempt, 0);
}

/* All of it can be pulled before it is known to be right, and even if it is not. */
static void wrong_blob_ends_for_all(void **state)
{
	struct heard *t = &heard[TARGET];
	uint64_t attempt;

	(void)state;
	send_say(SOURCE, TARGET);
	upload(SOURCE, 0, CHUNKS - 1);
	attempt = t->attempt;
	box_hold_hashes(scene.box, true);
	chunk_say(SOURCE, CHUNKS - 1, 1);
	pull(TARGET, attempt, CHUNKS - 2, 1);
	assert_int_equal(t->chunks[CHUNKS - 2], 1);
	assert_int_equal(t->data_available, CHUNKS);
	box_hold_hashes(scene.box, false);
	pass(SECOND / 10);
	assert_int_equal(heard[SOURCE].refused, REFUSE_WRONG_IDENTIFIER);
	assert_not_served(TARGET, attempt);
	assert_not_served(TARGET, 0);
}

/* Who waits for another's upload has its target served from that. */
static void second_asker_is_served_too(void **state)
{
	struct heard *t = &heard[OTHER_TARGET];

	(void)state;
	send_say(SOURCE, TARGET);
	upload(SOURCE, 0, 3);
	send_say(OTHER, OTHER_TARGET);
	assert_int_equal(t->offers, 1);
	assert_true(t->attempt == heard[TARGET].attempt && t->available == 3);
	pull(OTHER_TARGET, t->attempt, 0, 7);
	assert_int_equal(chunks_of(OTHER_TARGET), 3);
}

static void adjust_possession(struct config *c)
{
	c->possession = true;
}

/* Who has shown nothing does not get what another brings. */
static void possession_is_for_its_own_target(void **state)
{
	(void)state;
	teardown(state);
	setup_as(ROLE_CENTRAL, adjust_possession);
	send_say(SOURCE, TARGET);
	upload(SOURCE, 0, 3);
	send_say(OTHER, OTHER_TARGET);
	pass(SECOND / 10);
	assert_int_equal(heard[TARGET].offers, 1);
	assert_int_equal(heard[OTHER_TARGET].offers, 0);
}

static void adjust_hide(struct config *c)
{
	c->hide_hits = LENGTH;
}

/* That another one sends the same is not to be seen. */
static void hidden_uploads_are_apart(void **state)
{
	(void)state;
	teardown(state);
	setup_as(ROLE_CENTRAL, adjust_hide);
	send_say(SOURCE, TARGET);
	upload(SOURCE, 0, 3);
	send_say(OTHER, OTHER_TARGET);
	pass(SECOND / 10);
	assert_int_equal(heard[OTHER_TARGET].offers, 0);
	upload(OTHER, 0, 2);
	assert_int_equal(heard[OTHER_TARGET].offers, 1);
	assert_in_range(heard[OTHER_TARGET].available, 1, 2);
	assert_true(heard[OTHER_TARGET].attempt != heard[TARGET].attempt);
}

static void adjust_stored(struct config *c)
{
	c->stream = false;
}

static void deliver_stored_waits_for_the_end(void **state)
{
	(void)state;
	teardown(state);
	setup_as(ROLE_CENTRAL, adjust_stored);
	send_say(SOURCE, TARGET);
	upload(SOURCE, 0, CHUNKS - 1);
	send_say(SOURCE, TARGET);
	assert_int_equal(heard[TARGET].offers, 0);
	upload(SOURCE, CHUNKS - 1, CHUNKS);
	pass(SECOND / 10);
	assert_int_equal(heard[TARGET].offers, 1);
	assert_int_equal(heard[TARGET].attempt, 0);
	pull(TARGET, 0, 0, 1);
	assert_int_equal(heard[TARGET].chunks[0], 1);
}

/* The source that uploaded is silent, and the next one's turn comes: another attempt. */
static void next_source_is_another_attempt(void **state)
{
	uint64_t first;

	(void)state;
	send_say(SOURCE, TARGET);
	upload(SOURCE, 0, 3);
	first = heard[TARGET].attempt;
	for (unsigned int i = 0; i < 8; i++) {
		send_say(OTHER, OTHER_TARGET);
		pass(SECOND);
	}
	assert_not_served(TARGET, first);
	upload(OTHER, 0, 4);
	send_say(OTHER, OTHER_TARGET);
	assert_true(heard[OTHER_TARGET].attempt != 0 && heard[OTHER_TARGET].attempt != first);
	pull(OTHER_TARGET, heard[OTHER_TARGET].attempt, 0, 0xf);
	assert_int_equal(chunks_of(OTHER_TARGET), 4);
	assert_not_served(TARGET, first);
}

/* Central says that it has not got it, and whether it has the target's lease. */
static void answer_say(bool leased)
{
	const struct peer_config *up = &scene.config.upstream;
	const struct answer a = {
		.nonce = unit_clock_unix_us(),
		.time = box_seconds() * 1000,
		.query_nonce = asked.nonce,
		.transfer = asked.transfer,
		.code = ANSWER_FAILED,
		.leased = leased,
	};
	uint8_t buf[WIRE_MAX_FRAME];

	assert_int_equal(asked.heard, 1);
	box_inject(scene.box, &up->addr, buf,
		   answer_encode(buf, sizeof(buf), key_set_field(&up->keys, 0), asked.conn, &a,
				 up->keys.key[0].key));
	pass(SECOND / 1000);
}

/* Central alone may push to the target: private has it offer what is uploaded here. */
static void target_of_centrals_is_offered_by_central(void **state)
{
	(void)state;
	teardown(state);
	setup_as(ROLE_PRIVATE, NULL);
	send_say(SOURCE, TARGET);
	answer_say(true);
	upload(SOURCE, 0, 3);
	assert_int_equal(heard[TARGET].offers, 0);
	assert_int_equal(asked.holding, 1);
	assert_int_not_equal(asked.attempt, 0);
	/* its ticket is ours, for this blob */
	pull_say(TARGET, asked.attempt, &asked.ticket, &id, 0, 7);
	assert_int_equal(chunks_of(TARGET), 3);
	send_say(SOURCE, TARGET);
	assert_int_equal(asked.holding, 2); /* one for a SEND */
	assert_int_equal(asked.heard, 1);
}

static void others_are_offered_here(void **state)
{
	(void)state;
	teardown(state);
	setup_as(ROLE_PRIVATE, NULL);
	send_say(SOURCE, TARGET);
	answer_say(false);
	upload(SOURCE, 0, 3);
	assert_int_equal(heard[TARGET].offers, 1);
	assert_int_equal(asked.holding, 0);
}

static int start(void **state)
{
	return sodium_init() < 0 ? -1 : unit_eal_start(state);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(target_gets_the_beginning),
		TEST(what_is_not_here_comes_later),
		TEST(later_is_no_error),
		TEST(pieces_meet_in_a_pull),
		TEST(attempt_must_be_named),
		TEST(ticket_must_be_of_the_blob),
		TEST(stored_blob_is_served_to_both),
		TEST(wrong_blob_ends_for_all),
		TEST(second_asker_is_served_too),
		TEST(possession_is_for_its_own_target),
		TEST(hidden_uploads_are_apart),
		TEST(deliver_stored_waits_for_the_end),
		TEST(next_source_is_another_attempt),
		TEST(target_of_centrals_is_offered_by_central),
		TEST(others_are_offered_here),
	};

	return cmocka_run_group_tests(tests, start, unit_eal_stop);
}
