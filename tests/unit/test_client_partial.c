/* SPDX-License-Identifier: BSD-3-Clause
 * A client whose relay offers what is still uploaded: both ends, over loopback.
 */
#include "client/lib/clock.h"
#include "client_world.h"
#include "wire/frame.h"

/* What a miss comes to. */
static void streamed(struct world *w, int result)
{
	struct ow_send_result r;

	w->relay->streams = true;
	world_receive(w, 0, false);
	world_send(w, MEGABYTES_3, 25000);
	assert_int_equal(world_run(w, false), result);
	r = world_result(w);
	assert_true(r.delivered);
	assert_int_equal(r.outcome, OW_UPLOADED_PRIVATE);
	assert_int_equal(r.uploaded_bytes, MEGABYTES_3);
	assert_int_equal(w->files, 1);
	file_check(w->path, w->data, MEGABYTES_3);
	assert_int_equal(directory_count(w->directory, false), 1);
}

static void test_miss(void **state)
{
	struct world *w = *state;

	streamed(w, OW_OK);
	assert_true(world_result(w).stored);
	assert_true(w->relay->partial > 0);
	assert_int_equal(w->relay->gone, 0);
	assert_int_equal(w->warnings, 0);
}

static void test_miss_loss(void **state)
{
	struct world *w = *state;

	w->relay->loss = 20;
	streamed(w, OW_OK);
	assert_true(w->relay->partial > 0);
}

/* A target that has all there is asks for more ever more seldom: at first after 5 ms. */
static void test_waiting(void **state)
{
	const uint64_t began = clock_now();
	struct world *w = *state;

	w->relay->stops_at = 100;
	streamed(w, OW_OK);
	assert_true(w->relay->laters >= LATERS_MOST); /* more, if the source is slow */
	/* 5, 10, 20, 40, 80, 160, and three times 250 ms */
	assert_true(clock_now() - began >= 1000 * MILLISECOND);
}

/* The attempt ends, and another one begins: nothing of the first is in the file. */
static void test_another_attempt(void **state)
{
	struct world *w = *state;

	w->relay->wrong_until = 1000;
	streamed(w, OW_OK);
	assert_true(w->relay->gone > 0);
	assert_int_equal(w->warnings, 0);
	assert_int_equal(w->relay->mixed, 0);
}

/* All of it came, and is wrong: it waits for what the relay says next, and tells nobody that it
 * has failed. */
static void test_wrong_whole(void **state)
{
	struct world *w = *state;

	w->relay->corrupt = 1;
	streamed(w, OW_OK);
	assert_int_equal(w->relay->receipt, RECEIPT_COMPLETE);
	assert_int_equal(w->warnings, 1);
	assert_non_null(strstr(w->warning, "does not match its identifier"));
}

/* The target has it, and the relay says that it has not: a result of its own. */
static void test_unkept(void **state)
{
	struct world *w = *state;

	w->relay->unkept = REFUSE_STORE_FULL;
	streamed(w, OW_UNKEPT);
	assert_false(world_result(w).stored);
	assert_non_null(strstr(ow_sender_message(w->sender), "delivered, but"));
	assert_non_null(strstr(ow_sender_message(w->sender), refuse_text(REFUSE_STORE_FULL)));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_miss),	TEST(test_miss_loss),
		TEST(test_waiting),	TEST(test_another_attempt),
		TEST(test_wrong_whole), TEST(test_unkept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
