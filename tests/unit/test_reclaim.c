/* SPDX-License-Identifier: BSD-3-Clause
 * Reclaim: in order, never before every worker was quiescent, never later than
 * the first poll after that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <rte_rcu_qsbr.h>

#include "store/reclaim.h"

#define READERS 4

struct fixture {
	struct rte_rcu_qsbr *qsbr;
	struct reclaim *r;
	uint64_t ran;  /* how many */
	uint64_t last; /* argument of the last one */
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	size_t size = rte_rcu_qsbr_get_memsize(READERS);

	f->qsbr = aligned_alloc(RTE_CACHE_LINE_SIZE, size);
	rte_rcu_qsbr_init(f->qsbr, READERS);
	f->r = reclaim_create(f->qsbr, NULL);
	*state = f;
	return f->r ? 0 : -1;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	reclaim_destroy(f->r);
	free(f->qsbr);
	free(f);
	return 0;
}

static void reader_start(struct fixture *f, unsigned id)
{
	rte_rcu_qsbr_thread_register(f->qsbr, id);
	rte_rcu_qsbr_thread_online(f->qsbr, id);
}

static void note(void *ctx, uint64_t arg)
{
	struct fixture *f = ctx;

	assert_int_equal(arg, f->last + 1);
	f->last = arg;
	f->ran++;
}

static void again(void *ctx, uint64_t arg)
{
	struct fixture *f = ctx;

	f->ran++;
	if (arg > 1)
		assert_int_equal(reclaim_defer(f->r, again, f, arg - 1), 0);
}

static void test_nobody_to_wait_for(void **state)
{
	struct fixture *f = *state;

	assert_false(reclaim_poll(f->r));
	assert_int_equal(reclaim_defer(f->r, note, f, 1), 0);
	assert_int_equal(f->ran, 0);
	assert_false(reclaim_poll(f->r));
	assert_int_equal(f->ran, 1);
}

static void test_waits_for_every_reader(void **state)
{
	struct fixture *f = *state;

	reader_start(f, 0);
	reader_start(f, 3);
	assert_int_equal(reclaim_defer(f->r, note, f, 1), 0);
	assert_true(reclaim_poll(f->r));
	rte_rcu_qsbr_quiescent(f->qsbr, 0);
	rte_rcu_qsbr_quiescent(f->qsbr, 0);
	assert_true(reclaim_poll(f->r));
	assert_int_equal(f->ran, 0);
	rte_rcu_qsbr_quiescent(f->qsbr, 3);
	assert_false(reclaim_poll(f->r));
	assert_int_equal(f->ran, 1);
}

static void test_what_was_deferred_later_waits_longer(void **state)
{
	struct fixture *f = *state;

	reader_start(f, 0);
	assert_int_equal(reclaim_defer(f->r, note, f, 1), 0);
	assert_int_equal(reclaim_defer(f->r, note, f, 2), 0);
	rte_rcu_qsbr_quiescent(f->qsbr, 0);
	assert_int_equal(reclaim_defer(f->r, note, f, 3), 0);
	assert_true(reclaim_poll(f->r));
	assert_int_equal(f->ran, 2);
	rte_rcu_qsbr_quiescent(f->qsbr, 0);
	assert_false(reclaim_poll(f->r));
	assert_int_equal(f->ran, 3);
}

static void test_offline_reader_holds_nothing(void **state)
{
	struct fixture *f = *state;

	reader_start(f, 0);
	reader_start(f, 1);
	rte_rcu_qsbr_thread_offline(f->qsbr, 1);
	assert_int_equal(reclaim_defer(f->r, note, f, 1), 0);
	assert_true(reclaim_poll(f->r));
	rte_rcu_qsbr_quiescent(f->qsbr, 0);
	assert_false(reclaim_poll(f->r));
	assert_int_equal(f->ran, 1);
}

static void test_order_of_many(void **state)
{
	struct fixture *f = *state;

	reader_start(f, 2);
	for (uint64_t i = 1; i <= 50000; i++) {
		assert_int_equal(reclaim_defer(f->r, note, f, i), 0);
		if (i % 97 == 0)
			rte_rcu_qsbr_quiescent(f->qsbr, 2);
		if (i % 31 == 0)
			reclaim_poll(f->r);
	}
	rte_rcu_qsbr_quiescent(f->qsbr, 2);
	assert_false(reclaim_poll(f->r));
	assert_int_equal(f->ran, 50000);
}

/* One round a poll, or a poll could last for ever. */
static void test_deferring_again(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(reclaim_defer(f->r, again, f, 3), 0);
	assert_true(reclaim_poll(f->r));
	assert_int_equal(f->ran, 1);
	assert_true(reclaim_poll(f->r));
	assert_false(reclaim_poll(f->r));
	assert_int_equal(f->ran, 3);
}

static void test_destroy_runs_the_rest(void **state)
{
	struct fixture *f = *state;

	reader_start(f, 0);
	for (uint64_t i = 1; i <= 5; i++)
		assert_int_equal(reclaim_defer(f->r, note, f, i), 0);
	assert_int_equal(reclaim_defer(f->r, again, f, 4), 0);
	assert_true(reclaim_poll(f->r));
	assert_int_equal(f->ran, 0);
	reclaim_destroy(f->r);
	f->r = NULL;
	assert_int_equal(f->ran, 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nobody_to_wait_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_waits_for_every_reader, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_was_deferred_later_waits_longer, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_offline_reader_holds_nothing, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_order_of_many, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_deferring_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_destroy_runs_the_rest, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("reclaim", tests, NULL, NULL);
}
