/* SPDX-License-Identifier: BSD-3-Clause
 * What a relay may send to whom: budgets, target policy, leases.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include <rte_malloc.h>
#include <rte_rcu_qsbr.h>

#include "dataplane/lease.h"
#include "dataplane/offer.h"
#include "tests/unit/unit_eal.h"

static struct addr addr(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, 4871, &a), 0);
	return a;
}

static void test_budget_refills(void **state)
{
	struct budget *b = malloc(sizeof(*b));
	uint64_t now = 1000000;

	(void)state;
	budget_init(b, 10, 10, 1);
	for (int i = 0; i < 10; i++)
		assert_true(budget_take(b, "k", 1, 1, now));
	assert_false(budget_take(b, "k", 1, 1, now));
	now += 99999; /* a tenth of a second, less one microsecond */
	assert_false(budget_take(b, "k", 1, 1, now));
	now += 1;
	assert_true(budget_take(b, "k", 1, 1, now));
	assert_false(budget_take(b, "k", 1, 1, now));
	/* never more than a full bucket, however long the pause; no overflow */
	now += UINT64_C(1) << 53;
	for (int i = 0; i < 10; i++)
		assert_true(budget_take(b, "k", 1, 1, now));
	assert_false(budget_take(b, "k", 1, 1, now));
	/* a clock that steps back gives nothing away */
	assert_false(budget_take(b, "k", 1, 1, now - 5000000));
	free(b);
}

struct taker {
	struct budget *budget;
	unsigned int taken;
};

static void *taker_run(void *arg)
{
	struct taker *t = arg;

	for (int i = 0; i < 200000; i++)
		t->taken += budget_take(t->budget, "k", 1, 1, 1000000);
	return NULL;
}

/* A limit is the relay's: workers that take at once get no more than one would. */
static void test_budget_is_one_for_all_threads(void **state)
{
	struct budget *b = malloc(sizeof(*b));
	struct taker takers[4];
	pthread_t threads[4];
	unsigned int taken = 0;

	(void)state;
	budget_init(b, 100000, 100000, 1);
	for (int i = 0; i < 4; i++) {
		takers[i] = (struct taker){.budget = b};
		assert_int_equal(pthread_create(&threads[i], NULL, taker_run, &takers[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		taken += takers[i].taken;
	}
	assert_int_equal(taken, 100000);
	free(b);
}

static void test_budget_zero_is_no_limit(void **state)
{
	struct budget *b = malloc(sizeof(*b));

	(void)state;
	budget_init(b, 0, 0, 1);
	for (int i = 0; i < 1000; i++)
		assert_true(budget_take(b, "k", 1, UINT32_MAX, 0));
	free(b);
}

/* One source cannot use up what others may send to the same target. */
static void test_offer_budget_is_shared_fairly(void **state)
{
	struct offer_budget *b = malloc(sizeof(*b));
	struct addr victim = addr("203.0.113.5"), greedy = addr("198.51.100.1");
	struct addr neighbour = addr("198.51.100.99"), other = addr("192.0.2.1");
	int passed = 0;

	(void)state;
	offer_budget_init(b, 10, 7);
	for (int i = 0; i < 100; i++)
		passed += offer_allowed(b, &greedy, &victim, 1);
	assert_int_equal(passed, 5);
	assert_false(offer_allowed(b, &neighbour, &victim, 1)); /* same /24 */
	assert_true(offer_allowed(b, &other, &victim, 1));
	passed = 0;
	for (int i = 0; i < 100; i++)
		passed += offer_allowed(b, &other, &victim, 1);
	assert_int_equal(passed, 4); /* the target's ten are gone */
	free(b);
}

static void test_policy(void **state)
{
	struct policy p = {0};
	struct addr lan = addr("10.1.2.3"), other = addr("10.128.0.1"), open = addr("8.8.8.8");
	struct addr ula = addr("[fd00:1::5]:9");

	(void)state;
	assert_true(policy_allows(&p, &open));
	assert_false(policy_allows(&p, &lan));
	assert_false(policy_allows(&p, &ula));
	p.allow[0] = (struct policy_range){.type = ADDR_IP4, .bits = 9, .ip = {10}};
	p.allow[1] = (struct policy_range){.type = ADDR_IP6, .bits = 32, .ip = {0xfd, 0, 0, 1}};
	p.count = 2;
	assert_true(policy_allows(&p, &lan));
	assert_false(policy_allows(&p, &other)); /* bit 9 differs */
	assert_true(policy_allows(&p, &ula));
	p.count = 0;
	p.allow_special = true;
	assert_true(policy_allows(&p, &other));
}

struct lease_fixture {
	struct rte_rcu_qsbr *qsbr;
	struct reclaim *reclaim;
	struct lease_table *table;
};

static void lease_setup(struct lease_fixture *f, uint32_t entries, uint32_t per_host)
{
	f->qsbr = rte_zmalloc(NULL, rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE);
	rte_rcu_qsbr_init(f->qsbr, 1);
	f->reclaim = reclaim_create(f->qsbr, NULL);
	f->table = lease_table_create(entries, per_host, f->reclaim);
	assert_non_null(f->table);
}

static void lease_teardown(struct lease_fixture *f)
{
	reclaim_destroy(f->reclaim);
	lease_table_destroy(f->table);
	rte_free(f->qsbr);
}

static void test_lease_lives_and_expires(void **state)
{
	struct lease_fixture f;
	struct lease l = {.conn = 7, .number = 1, .expiry = 160, .forget = 760};
	const struct lease *got;

	(void)state;
	lease_setup(&f, 16, 2);
	l.target = addr("203.0.113.5");
	assert_null(lease_lookup(f.table, &l.target, 100));
	assert_int_equal(lease_set(f.table, &l), 0);
	got = lease_lookup(f.table, &l.target, 159);
	assert_non_null(got);
	assert_int_equal(got->conn, 7);
	assert_null(lease_lookup(f.table, &l.target, 160));
	lease_expire(f.table, 759);
	assert_int_equal(lease_count(f.table), 1);
	lease_expire(f.table, 760);
	reclaim_poll(f.reclaim); /* no worker is online: the grace period is over */
	assert_int_equal(lease_count(f.table), 0);
	lease_teardown(&f);
}

static void test_lease_number_rises(void **state)
{
	struct lease_fixture f;
	struct lease l = {.conn = 7, .number = 5, .expiry = 200, .forget = 800};

	(void)state;
	lease_setup(&f, 16, 2);
	l.target = addr("203.0.113.5");
	assert_int_equal(lease_set(f.table, &l), 0);
	l.number = 6; /* STOP */
	l.expiry = 0;
	assert_int_equal(lease_set(f.table, &l), 0);
	assert_null(lease_lookup(f.table, &l.target, 100));
	l.number = 5; /* a replayed LISTEN does not undo it */
	l.expiry = 200;
	assert_int_equal(lease_set(f.table, &l), -EALREADY);
	assert_null(lease_lookup(f.table, &l.target, 100));
	l.number = 7;
	assert_int_equal(lease_set(f.table, &l), 0);
	l.expiry = 900; /* the same LISTEN again does not lengthen it */
	assert_int_equal(lease_set(f.table, &l), -EEXIST);
	assert_int_equal(lease_lookup(f.table, &l.target, 100)->expiry, 200);
	lease_teardown(&f);
}

static void test_lease_revoked_at_once(void **state)
{
	struct lease_fixture f;
	struct lease l = {.conn = 7, .number = 5, .expiry = 200, .forget = 800};

	(void)state;
	lease_setup(&f, 16, 2);
	l.target = addr("203.0.113.5");
	lease_revoke(f.table, &l.target, 9); /* of nobody: nothing happens */
	assert_int_equal(lease_set(f.table, &l), 0);
	lease_revoke(f.table, &l.target, 5); /* an old STOP */
	assert_non_null(lease_lookup(f.table, &l.target, 100));
	lease_revoke(f.table, &l.target, 6);
	assert_null(lease_lookup(f.table, &l.target, 100));
	l.number = 7; /* consent anew */
	assert_int_equal(lease_set(f.table, &l), 0);
	assert_non_null(lease_lookup(f.table, &l.target, 100));
	lease_teardown(&f);
}

/* A host cannot take the table for itself, not even by withdrawing. */
static void test_lease_host_share(void **state)
{
	struct lease_fixture f;
	struct lease l = {.number = 1, .expiry = 200, .forget = 300};

	(void)state;
	lease_setup(&f, 16, 2);
	for (uint16_t port = 1; port <= 3; port++) {
		l.target = addr("203.0.113.5");
		l.target.port = put16(port);
		assert_int_equal(lease_set(f.table, &l), port <= 2 ? 0 : -EDQUOT);
	}
	l.target.port = put16(2); /* a renewal takes nothing more */
	l.number = 2;
	l.expiry = 0;
	assert_int_equal(lease_set(f.table, &l), 0);
	l.target.port = put16(3);
	assert_int_equal(lease_set(f.table, &l), -EDQUOT);
	l.target = addr("203.0.113.6");
	assert_int_equal(lease_set(f.table, &l), 0);
	lease_expire(f.table, 300);
	reclaim_poll(f.reclaim);
	l.target = addr("203.0.113.5");
	assert_int_equal(lease_set(f.table, &l), 0);
	lease_teardown(&f);
}

static void test_lease_many(void **state)
{
	struct lease_fixture f;
	struct lease l = {.number = 1, .expiry = 200, .forget = 300};
	struct addr base = addr("203.0.113.5");

	(void)state;
	lease_setup(&f, 10000, 10000);
	for (uint32_t i = 0; i < 10000; i++) {
		l.target = base;
		l.target.port = put16((uint16_t)(i + 1));
		l.conn = i;
		assert_int_equal(lease_set(f.table, &l), 0);
	}
	for (uint32_t i = 0; i < 10000; i++) {
		l.target.port = put16((uint16_t)(i + 1));
		assert_int_equal(lease_lookup(f.table, &l.target, 100)->conn, i);
	}
	/* a bounded part each time, but all of it in the end */
	for (int i = 0; i < 20; i++)
		lease_expire(f.table, 300);
	reclaim_poll(f.reclaim);
	assert_int_equal(lease_count(f.table), 0);
	lease_teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_budget_refills),
		cmocka_unit_test(test_budget_is_one_for_all_threads),
		cmocka_unit_test(test_budget_zero_is_no_limit),
		cmocka_unit_test(test_offer_budget_is_shared_fairly),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_lease_lives_and_expires),
		cmocka_unit_test(test_lease_number_rises),
		cmocka_unit_test(test_lease_revoked_at_once),
		cmocka_unit_test(test_lease_host_share),
		cmocka_unit_test(test_lease_many),
	};

	return cmocka_run_group_tests(tests, unit_eal_start, unit_eal_stop);
}
