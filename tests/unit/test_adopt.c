/* SPDX-License-Identifier: BSD-3-Clause
 * Uploads that a relay has under way when it ends, and what the next one on its store does with
 * them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/unit_eal.h"
#include "tests/unit/unit_folder.h"
#include "tests/unit/upload_scene.h"

#define BEGUN 500u				     /* chunks that came before the relay ended, */
#define KEPT (BEGUN / EXTENT_CHUNKS * EXTENT_CHUNKS) /* of these, in whole blocks */

static char folder[64];
static void (*adjust)(struct config *);

static void on_disk(struct config *c)
{
	c->engine = ENGINE_ROCKSDB;
	c->io_threads = 1;
	strcpy(c->store_path, folder);
	if (adjust != NULL)
		adjust(c);
}

static int start(void **state)
{
	(void)state;
	adjust = NULL;
	strcpy(folder, "/tmp/oncewire-adopt-XXXXXX");
	assert_non_null(mkdtemp(folder));
	setup_as(ROLE_CENTRAL, on_disk);
	return 0;
}

static int end(void **state)
{
	teardown(state);
	return folder_remove(folder);
}

/* The same relay, by another configuration perhaps. */
static void restart_as(void (*by)(struct config *))
{
	adjust = by;
	teardown(NULL);
	setup_as(ROLE_CENTRAL, on_disk);
}

static void begin(uint32_t chunks)
{
	send_say(SOURCE, TARGET);
	upload(SOURCE, 0, chunks);
}

static struct attempt *cold(void)
{
	struct attempt *a = TAILQ_FIRST(&control()->attempts->parked);

	assert_int_equal(parked(), 1);
	assert_true(a->cold);
	return a;
}

static void vouch_say(unsigned int who, unsigned int target, uint8_t lie)
{
	struct proof p;

	send_say(who, target);
	pass(SECOND / 100);
	assert_true(heard[who].asked);
	assert_int_equal(asked_below(who, CHUNKS), 0);
	p = vouch_of(who);
	p.mac.b[0] ^= lie;
	vouch = &p;
	send_say(who, target);
	vouch = NULL;
	pass(SECOND / 100);
}

/* The attempt is the same one, for targets too; of what was not read the memory is not taken. */
static void goes_on(void **state)
{
	struct heard *t = &heard[TARGET], *o = &heard[OTHER_TARGET];
	uint64_t attempt;

	(void)state;
	begin(BEGUN);
	attempt = t->attempt;
	assert_true(attempt != 0);
	restart_as(NULL);
	assert_true(cold()->number == attempt);
	assert_int_equal(control()->attempts->parked_bytes, KEPT * CHUNK_SIZE);
	assert_int_equal(control()->store.held, 0);
	vouch_say(OTHER, OTHER_TARGET, 0);
	assert_int_equal(heard[OTHER].kept, KEPT * CHUNK_SIZE);
	assert_int_equal(control()->counters.uploads_resumed, 1);
	assert_int_equal(control()->attempts->parked_bytes, 0);
	assert_int_equal(asked_below(OTHER, KEPT), 0);
	upload(OTHER, KEPT, KEPT + 2);
	assert_true(o->attempt == attempt);
	/* what it had written of a piece that is not whole is here, too */
	pull(OTHER_TARGET, attempt, 0, 1);
	pull(OTHER_TARGET, attempt, KEPT, 1);
	assert_true(o->chunks[0] == 1 && o->chunks[KEPT] == 1);
	upload(OTHER, KEPT + 2, CHUNKS);
	pass(SECOND / 10);
	assert_true(heard[OTHER].stored);
	pull(OTHER_TARGET, attempt, CHUNKS - 1, 1);
	assert_int_equal(o->chunks[CHUNKS - 1], 1);
	restart_as(NULL);
	assert_int_equal(parked(), 0);
	send_say(SOURCE, TARGET);
	assert_int_equal(t->offers, 1); /* a hit */
	assert_true(t->attempt == 0 || t->attempt == attempt);
	pull(TARGET, t->attempt, 0, 1);
	assert_int_equal(t->chunks[0] + (t->error == ERROR_BUSY), 1);
}

/* A whole piece of it is not in RAM, and comes back for a target that has nothing yet; for who
 * names this attempt, and no other. */
static void its_beginning_comes_back(void **state)
{
	struct heard *o = &heard[OTHER_TARGET];

	(void)state;
	begin(PIECE_CHUNKS + 8);
	restart_as(NULL);
	vouch_say(OTHER, OTHER_TARGET, 0);
	assert_int_equal(heard[OTHER].kept, PIECE_CHUNKS * CHUNK_SIZE);
	upload(OTHER, PIECE_CHUNKS, PIECE_CHUNKS + 2);
	pull(OTHER_TARGET, o->attempt ^ 1 << 20, 5, 1);
	assert_int_equal(control()->store.held, 1);
	pull(OTHER_TARGET, o->attempt, 5, 1);
	assert_int_equal(o->error, ERROR_BUSY);
	pass(SECOND / 100);
	assert_int_equal(control()->store.held, 2);
	pull(OTHER_TARGET, o->attempt, 5, 1);
	/* from the one into the other */
	pull(OTHER_TARGET, o->attempt, PIECE_CHUNKS - 1, 3);
	assert_true(o->chunks[5] == 1 && o->chunks[PIECE_CHUNKS - 1] == 1 &&
		    o->chunks[PIECE_CHUNKS] == 1);
	upload(OTHER, PIECE_CHUNKS + 2, CHUNKS);
	pass(SECOND / 10);
	assert_true(heard[OTHER].stored);
	assert_int_equal(control()->store.held, 0);
	pull(OTHER_TARGET, o->attempt, 6, 1);
	assert_int_equal(o->chunks[6], 1);
}

/* Of one blob there is one, the longest; the other one's room comes back. */
static void longest_is_kept(void **state)
{
	uint64_t attempt;
	uint32_t count;

	(void)state;
	begin(BEGUN);
	restart_as(NULL);
	attempt = cold()->number;
	vouch_say(OTHER, OTHER_TARGET, 1);
	upload(OTHER, 0, 2 * EXTENT_CHUNKS);
	for (unsigned int i = 0; i < 3; i++) {
		restart_as(NULL);
		store_uploads(&control()->store, &count);
		assert_int_equal(count, i == 0 ? 2 : 1);
		assert_true(cold()->number == attempt);
	}
}

static void one_percent(struct config *c)
{
	c->max_bytes = 100 * (KEPT * CHUNK_SIZE - 1);
	c->parked_percent = 1;
}

static void for_no_time(struct config *c)
{
	c->parked_seconds = 0;
}

static void hiding(struct config *c)
{
	c->hide_hits = 1 << 20;
}

static void assert_nothing_left(void)
{
	uint32_t count;

	assert_int_equal(parked(), 0);
	assert_int_equal(store_usage(&control()->store, 0).blobs, 0);
	restart_as(NULL);
	store_uploads(&control()->store, &count);
	assert_int_equal(count, 0);
	send_say(SOURCE, TARGET);
	pass(SECOND / 100);
	assert_false(heard[SOURCE].asked);
	assert_int_not_equal(heard[SOURCE].number[0], 0);
}

static void more_than_its_share_is_not_kept(void **state)
{
	(void)state;
	begin(BEGUN);
	restart_as(one_percent);
	assert_nothing_left();
}

static void it_can_be_turned_off(void **state)
{
	(void)state;
	begin(BEGUN);
	restart_as(for_no_time);
	assert_nothing_left();
}

/* Only the same request might go on, and nothing is known of that. */
static void hidden_uploads_are_not_kept(void **state)
{
	(void)state;
	restart_as(hiding);
	begin(BEGUN);
	restart_as(NULL);
	assert_nothing_left();
}

static void less_than_a_block_is_not_kept(void **state)
{
	(void)state;
	begin(EXTENT_CHUNKS - 1);
	restart_as(NULL);
	assert_nothing_left();
}

static void prove(struct config *c)
{
	c->possession = true;
}

/* To vouch takes an identifier: what came before the restart may be another's. */
static void possession_is_proved_of_the_whole(void **state)
{
	(void)state;
	restart_as(prove);
	begin(BEGUN);
	restart_as(prove);
	vouch_say(OTHER, OTHER_TARGET, 0);
	upload(OTHER, KEPT, KEPT + 10);
	assert_int_equal(heard[OTHER_TARGET].offers, 0);
	upload(OTHER, KEPT + 10, CHUNKS);
	pass(SECOND / 10);
	assert_int_equal(heard[OTHER_TARGET].offers, 0);
	assert_true(heard[OTHER].stored || heard[OTHER].status == STATUS_CHALLENGE);
}

/* What is here of it does not begin as who wants to go on says. */
static void wrong_beginning_is_not_kept(void **state)
{
	(void)state;
	send_say(SOURCE, TARGET);
	upload(SOURCE, 0, 5);
	chunk_say(SOURCE, 5, 1);
	upload(SOURCE, 6, BEGUN);
	restart_as(NULL);
	vouch_say(OTHER, OTHER_TARGET, 0);
	assert_int_equal(control()->counters.vouch_failures, 1);
	upload(OTHER, 0, CHUNKS);
	pass(SECOND / 10);
	assert_true(heard[OTHER].stored);
	assert_int_equal(parked(), 0);
	restart_as(NULL);
	assert_int_equal(parked(), 0);
	assert_int_equal(store_usage(&control()->store, 0).blobs, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(goes_on),
		TEST(its_beginning_comes_back),
		TEST(longest_is_kept),
		TEST(more_than_its_share_is_not_kept),
		TEST(it_can_be_turned_off),
		TEST(hidden_uploads_are_not_kept),
		TEST(less_than_a_block_is_not_kept),
		TEST(possession_is_proved_of_the_whole),
		TEST(wrong_beginning_is_not_kept),
	};

	return cmocka_run_group_tests(tests, unit_eal_start, unit_eal_stop);
}
