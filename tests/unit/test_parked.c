/* SPDX-License-Identifier: BSD-3-Clause
 * Uploads that were cut off: what is kept, who may go on, and what that takes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "tests/unit/unit_eal.h"
#include "tests/unit/upload_scene.h"

#define BEGUN 500u /* chunks that came before the source fell silent */
#define AGAIN 77   /* a transfer of its own */

/* The source brings so many chunks, and one behind a gap; then nothing is heard of it, until its
 * upload is given up. */
static void cut_off(uint32_t chunks)
{
	send_say(SOURCE, TARGET);
	upload(SOURCE, 0, chunks);
	chunk_say(SOURCE, chunks + 1, 0);
	pass(SECOND / 100);
	pass(121 * SECOND);
	pass(SECOND / 100);
	assert_int_equal(control()->attempts->active, 0);
}

/* It is asked, says that its blob begins so, and is pulled from there. */
static void takes_it_on(unsigned int who, unsigned int target, uint8_t transfer)
{
	struct proof p;

	memset(heard[who].number, 0, sizeof(heard[who].number));
	send_again(who, target, transfer);
	pass(SECOND / 100);
	assert_int_equal(heard[who].status, STATUS_UPLOAD);
	assert_true(heard[who].asked);
	assert_int_equal(heard[who].kept, BEGUN * CHUNK_SIZE);
	assert_int_equal(asked_below(who, CHUNKS), 0);
	p = vouch_of(who);
	vouch = &p;
	send_again(who, target, transfer);
	vouch = NULL;
	pass(SECOND / 100);
	assert_int_equal(heard[who].status, STATUS_UPLOAD);
	assert_false(heard[who].asked);
	assert_int_not_equal(heard[who].number[BEGUN], 0);
	assert_int_equal(asked_below(who, BEGUN), 0);
	assert_int_equal(parked(), 0);
}

static void other_goes_on(void **state)
{
	struct heard *t = &heard[TARGET], *o = &heard[OTHER_TARGET];

	(void)state;
	cut_off(BEGUN);
	assert_int_equal(parked(), 1);
	assert_int_equal(control()->attempts->parked_bytes, BEGUN * CHUNK_SIZE);
	/* who was offered it finds nothing meanwhile */
	assert_not_served(TARGET, t->attempt);
	takes_it_on(OTHER, OTHER_TARGET, OTHER);
	/* the attempt is the same one; both targets can have its beginning */
	upload(OTHER, BEGUN, BEGUN + 2);
	assert_int_equal(o->attempt, t->attempt);
	pull(OTHER_TARGET, o->attempt, 0, 1);
	pull(TARGET, t->attempt, BEGUN + 1, 1);
	assert_true(o->chunks[0] == 1 && t->chunks[BEGUN + 1] == 1);
	upload(OTHER, BEGUN + 2, CHUNKS);
	pass(SECOND / 10);
	assert_true(heard[OTHER].stored);
	assert_int_equal(control()->counters.uploads_resumed, 1);
	pull(TARGET, t->attempt, 0, 1);
	assert_int_equal(t->chunks[0], 1);
	pull(OTHER_TARGET, 0, CHUNKS - 1, 1);
	assert_int_equal(o->chunks[CHUNKS - 1], 1);
}

/* The same one, whose program was started again. */
static void same_source_goes_on(void **state)
{
	(void)state;
	send_say(SOURCE, TARGET);
	upload(SOURCE, 0, BEGUN);
	send_again(SOURCE, TARGET, AGAIN);
	assert_int_equal(heard[SOURCE].status, STATUS_WAITING);
	/* takes over from itself once that has been silent */
	for (unsigned int i = 0; i < 6; i++) {
		pass(SECOND);
		send_again(SOURCE, TARGET, AGAIN);
	}
	takes_it_on(SOURCE, TARGET, AGAIN);
	upload(SOURCE, BEGUN, CHUNKS);
	pass(SECOND / 10);
	assert_true(heard[SOURCE].stored);
}

static void assert_begins_anew(unsigned int who)
{
	pass(SECOND / 100);
	assert_int_equal(heard[who].status, STATUS_UPLOAD);
	assert_false(heard[who].asked);
	assert_int_equal(heard[who].refused, REFUSE_NONE);
	assert_int_not_equal(heard[who].number[0], 0);
	assert_int_equal(control()->counters.uploads_resumed, 0);
}

/* Nobody is blamed: what was kept may have been a lie. */
static void wrong_vouch_begins_anew(void **state)
{
	struct proof p;

	(void)state;
	cut_off(BEGUN);
	send_say(OTHER, OTHER_TARGET);
	p = vouch_of(OTHER);
	p.mac.b[15] ^= 1;
	vouch = &p;
	send_say(OTHER, OTHER_TARGET);
	assert_begins_anew(OTHER);
	assert_int_equal(control()->counters.vouch_failures, 1);
	upload(OTHER, 0, CHUNKS);
	pass(SECOND / 10);
	assert_true(heard[OTHER].stored);
	assert_int_equal(parked(), 0); /* nobody needs it any more */
}

/* Of fewer chunks, or for another request's challenge. */
static void vouch_is_for_its_own_challenge(void **state)
{
	struct challenge first;
	struct proof p;

	(void)state;
	cut_off(BEGUN);
	send_say(OTHER, OTHER_TARGET);
	first = heard[OTHER].challenge;
	p = vouch_of(OTHER);
	((uint8_t *)&p.challenge)[3] ^= 1;
	vouch = &p;
	send_say(OTHER, OTHER_TARGET);
	pass(SECOND / 100);
	assert_true(heard[OTHER].asked);
	assert_memory_equal(&heard[OTHER].challenge, &first, sizeof(first));
	assert_int_equal(asked_below(OTHER, CHUNKS), 0);
	heard[OTHER].kept -= CHUNK_SIZE;
	p = vouch_of(OTHER);
	send_say(OTHER, OTHER_TARGET);
	assert_begins_anew(OTHER);
}

static void who_does_not_vouch_begins_anew(void **state)
{
	(void)state;
	cut_off(BEGUN);
	for (unsigned int i = 0; i < 12; i++) {
		send_say(OTHER, OTHER_TARGET);
		assert_int_equal(asked_below(OTHER, CHUNKS) > 0, i >= 11);
		pass(SECOND);
	}
	send_say(OTHER, OTHER_TARGET);
	assert_begins_anew(OTHER);
}

/* One that is to vouch, and dies, holds nobody up. */
static void dead_voucher_is_passed(void **state)
{
	(void)state;
	cut_off(BEGUN);
	send_say(OTHER, OTHER_TARGET);
	assert_true(heard[OTHER].asked);
	for (unsigned int i = 0; i < 5; i++) {
		pass(SECOND);
		send_again(SOURCE, TARGET, AGAIN);
	}
	takes_it_on(SOURCE, TARGET, AGAIN);
}

/* Nor does one that lives, and takes its time; what it says then counts. */
static void slow_voucher_holds_up_nobody(void **state)
{
	static const struct challenge none;
	struct proof late;

	(void)state;
	cut_off(BEGUN);
	send_say(OTHER, OTHER_TARGET);
	late = vouch_of(OTHER);
	for (unsigned int i = 0; i < 4; i++) {
		send_again(SOURCE, TARGET, AGAIN);
		send_say(OTHER, OTHER_TARGET);
		pass(SECOND);
	}
	assert_memory_not_equal(&heard[SOURCE].challenge, &none, sizeof(none)); /* it was asked */
	vouch = &late;
	send_say(OTHER, OTHER_TARGET);
	pass(SECOND / 100);
	assert_int_equal(control()->counters.uploads_resumed, 1);
	assert_int_not_equal(heard[OTHER].number[BEGUN], 0);
}

/* Who vouched is answerable for all of it. */
static void wrong_whole_is_not_kept(void **state)
{
	(void)state;
	cut_off(BEGUN);
	takes_it_on(OTHER, OTHER_TARGET, OTHER);
	upload(OTHER, BEGUN, CHUNKS - 1);
	chunk_say(OTHER, CHUNKS - 1, 1);
	pass(SECOND / 10);
	assert_int_equal(heard[OTHER].refused, REFUSE_WRONG_IDENTIFIER);
	assert_int_equal(parked(), 0);
	assert_int_equal(store_usage(&control()->store, 0).bytes, 0);
}

/* It counts as what it is, and goes. */
static void time_passes(void **state)
{
	const uint64_t room = slab_room(&control()->relay->slab, CLASS_EXTENTS);

	(void)state;
	cut_off(BEGUN);
	assert_int_equal(store_usage(&control()->store, 0).bytes, BEGUN * CHUNK_SIZE);
	assert_true(slab_room(&control()->relay->slab, CLASS_EXTENTS) < room);
	for (unsigned int i = 0; i < 15; i++)
		pass(60 * SECOND);
	assert_int_equal(parked(), 0);
	assert_int_equal(control()->attempts->parked_bytes, 0);
	assert_int_equal(store_usage(&control()->store, 0).bytes, 0);
	pass(SECOND / 100);
	assert_int_equal(slab_room(&control()->relay->slab, CLASS_EXTENTS), room);
	send_say(OTHER, OTHER_TARGET);
	assert_begins_anew(OTHER);
}

static void assert_nothing_parked(void)
{
	assert_int_equal(parked(), 0);
	assert_int_equal(control()->attempts->parked_bytes, 0);
	assert_int_equal(store_usage(&control()->store, 0).bytes, 0);
	send_say(OTHER, OTHER_TARGET);
	assert_begins_anew(OTHER);
}

static void one_percent(struct config *c)
{
	c->parked_percent = 1; /* of 16 MiB */
}

static void more_than_its_share_is_not_kept(void **state)
{
	(void)state;
	teardown(NULL);
	setup_as(ROLE_CENTRAL, one_percent);
	cut_off(BEGUN);
	assert_nothing_parked();
}

static void kept_for_no_time(struct config *c)
{
	c->parked_seconds = 0;
}

static void it_can_be_turned_off(void **state)
{
	(void)state;
	teardown(NULL);
	setup_as(ROLE_CENTRAL, kept_for_no_time);
	cut_off(BEGUN);
	assert_nothing_parked();
}

/* Nothing came without a gap. */
static void nothing_is_not_kept(void **state)
{
	(void)state;
	cut_off(0);
	assert_nothing_parked();
}

static void one_a_host(struct config *c)
{
	c->max_uploads_per_source = 1;
}

/* What is parked has its host's place, and makes room. */
static void host_has_its_places(void **state)
{
	static const uint8_t other_bytes[3 * CHUNK_SIZE];
	const struct ident mine = id;
	struct ident_state *hash;

	(void)state;
	teardown(NULL);
	setup_as(ROLE_CENTRAL, one_a_host);
	cut_off(BEGUN);
	/* another blob of the same host */
	hash = ident_begin(RULE_SHA256);
	ident_update(hash, other_bytes, sizeof(other_bytes));
	ident_final(hash, &id);
	ident_free(hash);
	send_again(SOURCE, TARGET, AGAIN);
	assert_int_equal(heard[SOURCE].error, ERROR_BUSY);
	assert_int_equal(parked(), 0);
	send_again(SOURCE, TARGET, AGAIN);
	assert_int_equal(control()->attempts->active, 1);
	id = mine;
}

static void prove(struct config *c)
{
	c->possession = true;
}

/* To vouch takes an identifier; the chunks may be another's. */
static void possession_is_proved_of_the_whole(void **state)
{
	(void)state;
	teardown(NULL);
	setup_as(ROLE_CENTRAL, prove);
	cut_off(BEGUN);
	takes_it_on(OTHER, OTHER_TARGET, OTHER);
	upload(OTHER, BEGUN, BEGUN + 5);
	assert_int_equal(heard[OTHER_TARGET].offers, 0);
	upload(OTHER, BEGUN + 5, CHUNKS);
	pass(SECOND / 10);
	assert_int_equal(heard[OTHER].status, STATUS_CHALLENGE);
	assert_false(heard[OTHER].stored);
	assert_int_equal(heard[OTHER_TARGET].offers, 0);
}

static void hide(struct config *c)
{
	c->hide_hits = LENGTH;
}

/* That somebody began is not to be seen; the request that did may go on. */
static void hidden_uploads_are_their_own(void **state)
{
	(void)state;
	teardown(NULL);
	setup_as(ROLE_CENTRAL, hide);
	cut_off(BEGUN);
	assert_int_equal(parked(), 1);
	send_say(OTHER, OTHER_TARGET);
	assert_begins_anew(OTHER);
	send_again(SOURCE, TARGET, AGAIN);
	pass(SECOND / 100);
	assert_false(heard[SOURCE].asked);
	takes_it_on(SOURCE, TARGET, SOURCE);
}

/* More of one blob is worth more than less of it, unless a source's did not begin so. */
static void more_is_kept(void **state)
{
	struct proof p;

	(void)state;
	cut_off(BEGUN);
	send_say(OTHER, OTHER_TARGET);
	p = vouch_of(OTHER);
	p.mac.b[0] ^= 1;
	vouch = &p;
	send_say(OTHER, OTHER_TARGET);
	vouch = NULL;
	upload(OTHER, 0, 10);
	pass(121 * SECOND);
	pass(SECOND / 100);
	assert_int_equal(control()->attempts->parked_bytes, 10 * CHUNK_SIZE);
	send_again(SOURCE, TARGET, AGAIN);
	assert_int_equal(heard[SOURCE].kept, 10 * CHUNK_SIZE);
}

static int start(void **state)
{
	return sodium_init() < 0 ? -1 : unit_eal_start(state);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(other_goes_on),
		TEST(same_source_goes_on),
		TEST(wrong_vouch_begins_anew),
		TEST(vouch_is_for_its_own_challenge),
		TEST(who_does_not_vouch_begins_anew),
		TEST(dead_voucher_is_passed),
		TEST(slow_voucher_holds_up_nobody),
		TEST(wrong_whole_is_not_kept),
		TEST(time_passes),
		TEST(more_than_its_share_is_not_kept),
		TEST(it_can_be_turned_off),
		TEST(nothing_is_not_kept),
		TEST(host_has_its_places),
		TEST(possession_is_proved_of_the_whole),
		TEST(hidden_uploads_are_their_own),
		TEST(more_is_kept),
	};

	return cmocka_run_group_tests(tests, start, unit_eal_stop);
}
