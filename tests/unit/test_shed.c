/* SPDX-License-Identifier: BSD-3-Clause
 * Known flows and strangers' rates, as a worker sees them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dataplane/shed.h"
#include "dataplane/xdp/steer.h"
#include "wire/frame.h"

#define EPOCH 5660000
#define NOW UINT64_C(1700000000000000)

static const struct port no_xdp = {.workers = 1, .flows_map = -1, .state_map = -1};
static struct flow_table table;
static struct shed shed;
static struct budget sources;

static int open_table(void **state)
{
	const struct shed_limits limits = {.source = 500, .total = 50000};

	(void)state;
	return flow_table_open(&table, &no_xdp, &limits, EPOCH);
}

static int close_table(void **state)
{
	(void)state;
	flow_table_close(&table);
	return 0;
}

static struct addr addr_of(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, 0, &a), 0);
	return a;
}

static struct flow flow_of(const char *peer, uint64_t conn)
{
	struct addr a = addr_of(peer);

	return flow_find(&table, &a, VERB_SEND, conn);
}

static bool known(const char *peer, uint64_t conn)
{
	return flow_of(peer, conn).known;
}

static void mark(const char *peer, uint64_t conn)
{
	struct flow f = flow_of(peer, conn);

	flow_mark(&f);
}

static void forget(const char *peer, uint64_t conn)
{
	struct flow f = flow_of(peer, conn);

	flow_forget(&f);
}

static void test_flow_is_address_port_and_conn(void **state)
{
	(void)state;
	assert_false(known("192.0.2.1:1000", 7));
	mark("192.0.2.1:1000", 7);
	assert_true(known("192.0.2.1:1000", 7));
	assert_false(known("192.0.2.1:1000", 8));
	assert_false(known("192.0.2.1:1001", 7));
	assert_false(known("192.0.2.2:1000", 7));
	mark("[2001:db8::1]:1000", 7);
	assert_true(known("[2001:db8::1]:1000", 7));
	assert_false(known("[2001:db8::2]:1000", 7));
	assert_false(known("[2001:db8:1::1]:1000", 7));
	forget("192.0.2.1:1000", 8);
	assert_true(known("192.0.2.1:1000", 7));
	forget("192.0.2.1:1000", 7);
	assert_false(known("192.0.2.1:1000", 7));
}

static void test_flow_lives_for_two_epochs(void **state)
{
	(void)state;
	mark("192.0.2.1:1000", 7);
	mark("192.0.2.1:1000", 8);
	flow_table_epoch(&table, EPOCH + 1);
	assert_true(known("192.0.2.1:1000", 7));
	mark("192.0.2.1:1000", 8);
	flow_table_epoch(&table, EPOCH + 2);
	assert_false(known("192.0.2.1:1000", 7));
	assert_true(known("192.0.2.1:1000", 8));
	flow_table_epoch(&table, EPOCH + 3);
	assert_false(known("192.0.2.1:1000", 8));
}

/* A clock that jumps back, and one that has just begun. */
static void test_any_epoch(void **state)
{
	const uint64_t epochs[] = {0, 1, 254, 255, 256, EPOCH, UINT64_MAX};

	(void)state;
	for (unsigned int i = 0; i < sizeof(epochs) / sizeof(epochs[0]); i++) {
		flow_table_epoch(&table, epochs[i]);
		assert_false(known("192.0.2.9:1", i));
		mark("192.0.2.9:1", i);
		assert_true(known("192.0.2.9:1", i));
	}
}

/* A relay's frames are one flow; a client's from its address are not of it. */
static void test_peer_is_one_flow(void **state)
{
	struct addr a = addr_of("192.0.2.1:4870"), b = addr_of("192.0.2.1:4871");

	(void)state;
	flow_mark_peer(&table, &a);
	assert_true(flow_find(&table, &a, VERB_QUERY, 1).known);
	assert_true(flow_find(&table, &a, VERB_ANSWER, 2).known);
	assert_true(flow_find(&table, &a, VERB_NOTICE, 3).known);
	assert_false(flow_find(&table, &a, VERB_SEND, 0).known);
	assert_false(flow_find(&table, &a, VERB_HELLO, 1).known);
	assert_false(flow_find(&table, &b, VERB_QUERY, 1).known);
	forget("192.0.2.1:4870", 0);
	assert_true(flow_find(&table, &a, VERB_QUERY, 1).known);
}

static unsigned int known_count(uint64_t first, unsigned int n)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < n; i++)
		count += known("192.0.2.1:1000", first + i);
	return count;
}

/* How many others that cost. */
static unsigned int mark_many(uint64_t first, unsigned int n)
{
	struct addr a = addr_of("192.0.2.1:1000");
	unsigned int evicted = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct flow f = flow_find(&table, &a, VERB_SEND, first + i);

		evicted += flow_mark(&f);
	}
	return evicted;
}

/* 200,000 flows at once have room; too many cost each other, which is counted. */
static void test_full_table(void **state)
{
	unsigned int evicted;

	(void)state;
	evicted = mark_many(1, 200000);
	assert_true(evicted < 2000);
	assert_int_equal(known_count(1, 200000), 200000 - evicted);
	assert_int_equal(mark_many(200000, 1), 0); /* it is there already */
	evicted += mark_many(200001, 800000);
	assert_true(known("192.0.2.1:1000", 1000000));
	assert_int_equal(known_count(1, 1000000), 1000000 - evicted);
	assert_in_range(1000000 - evicted, STEER_SETS * STEER_WAYS / 2, STEER_SETS * STEER_WAYS);
	/* flows that have ended make room again */
	flow_table_epoch(&table, EPOCH + 2);
	assert_true(mark_many(3000001, 200000) < 2000);
}

/* Two tables do not put the same flow in the same place. */
static void test_places_are_secret(void **state)
{
	const struct shed_limits limits = {0};
	struct flow_table other = {0};
	unsigned int same = 0;

	(void)state;
	assert_int_equal(flow_table_open(&other, &no_xdp, &limits, EPOCH), 0);
	for (uint64_t conn = 1; conn <= 100; conn++) {
		struct addr a = addr_of("192.0.2.1:1000");
		struct flow f = flow_find(&other, &a, VERB_SEND, conn);

		mark("192.0.2.1:1000", conn);
		flow_mark(&f);
	}
	for (unsigned int i = 0; i < STEER_SETS; i++)
		for (unsigned int k = 0; k < STEER_WAYS; k++)
			same += table.sets[i].slot[k] != 0 &&
				table.sets[i].slot[k] == other.sets[i].slot[k];
	assert_int_equal(same, 0);
	flow_table_close(&other);
}

static unsigned int admitted(const char *peer, unsigned int tries, uint64_t now, enum drop *last)
{
	struct addr a = addr_of(peer);
	unsigned int n = 0;

	for (unsigned int i = 0; i < tries; i++) {
		*last = shed_admit(&shed, &a, now);
		n += *last == DROP_NONE;
	}
	return n;
}

static void limit(uint32_t source, uint32_t total, uint16_t workers)
{
	const struct shed_limits limits = {.source = source, .total = total};

	budget_init(&sources, source, 2 * (uint64_t)source, 1);
	shed_init(&shed, &limits, workers, &sources);
}

static void test_source_has_a_rate(void **state)
{
	enum drop last;

	(void)state;
	limit(10, 0, 1);
	assert_int_equal(admitted("192.0.2.1:1000", 100, NOW, &last), 20);
	assert_int_equal(last, DROP_SHED_SOURCE);
	assert_int_equal(admitted("192.0.2.1:1001", 100, NOW, &last), 0);
	assert_int_equal(admitted("192.0.2.2:1000", 100, NOW, &last), 20);
	assert_int_equal(admitted("192.0.2.1:1000", 100, NOW + 100000, &last), 1);
	/* the hosts of a /64 share one, others do not */
	assert_int_equal(admitted("[2001:db8::1]:1", 100, NOW, &last), 20);
	assert_int_equal(admitted("[2001:db8::ffff:0:0:2]:1", 100, NOW, &last), 0);
	assert_int_equal(admitted("[2001:db8:0:1::1]:1", 100, NOW, &last), 20);
}

static void test_total_has_a_rate(void **state)
{
	enum drop last;

	(void)state;
	/* two workers: 500 each, a burst of a tenth */
	limit(0, 1000, 2);
	assert_int_equal(admitted("192.0.2.1:1", 100, NOW, &last), 51);
	assert_int_equal(last, DROP_SHED_TOTAL);
	assert_int_equal(admitted("192.0.2.2:1", 100, NOW, &last), 0);
	assert_int_equal(admitted("192.0.2.2:1", 100, NOW + 10000, &last), 5);
	/* a share is never nothing, which would be no limit */
	limit(0, 1, 16);
	assert_int_equal(admitted("192.0.2.1:1", 100, NOW, &last), 1);
}

/* One source's flood takes nothing from the rest. */
static void test_source_before_total(void **state)
{
	enum drop last;

	(void)state;
	limit(10, 1000, 1);
	assert_int_equal(admitted("192.0.2.1:1", 10000, NOW, &last), 20);
	assert_int_equal(last, DROP_SHED_SOURCE);
	assert_int_equal(admitted("192.0.2.2:1", 20, NOW, &last), 20);
}

static void test_zero_is_no_limit(void **state)
{
	enum drop last;

	(void)state;
	limit(0, 0, 4);
	assert_int_equal(admitted("192.0.2.1:1", 100000, NOW, &last), 100000);
}

#define WITH_TABLE(test) cmocka_unit_test_setup_teardown(test, open_table, close_table)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_TABLE(test_flow_is_address_port_and_conn),
		WITH_TABLE(test_flow_lives_for_two_epochs),
		WITH_TABLE(test_any_epoch),
		WITH_TABLE(test_peer_is_one_flow),
		WITH_TABLE(test_full_table),
		WITH_TABLE(test_places_are_secret),
		cmocka_unit_test(test_source_has_a_rate),
		cmocka_unit_test(test_total_has_a_rate),
		cmocka_unit_test(test_source_before_total),
		cmocka_unit_test(test_zero_is_no_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
