/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <rte_rcu_qsbr.h>

#include "dataplane/nexthop.h"
#include "tests/unit/unit_eal.h"

#define ENTRIES 256

static struct rte_rcu_qsbr *qsbr;
static struct reclaim *reclaim;
static struct nexthop_table *table;

static struct addr host(uint32_t n)
{
	struct addr a = {.type = ADDR_IP4, .port = put16((uint16_t)n)};
	be32 ip = put32(0x0a000000 + n);

	memcpy(a.ip, &ip, sizeof(ip));
	return a;
}

static void set(uint32_t n, uint8_t mac, uint8_t state)
{
	const struct nexthop nh = {.mac = {{2, 0, 0, 0, 0, mac}}, .state = state, .mtu = 1400};
	struct addr a = host(n);

	assert_int_equal(nexthop_set(table, &a, &nh), 0);
}

static const struct nexthop *lookup(uint32_t n)
{
	struct addr a = host(n);

	return nexthop_lookup(table, &a);
}

static bool take_used(uint32_t n)
{
	struct addr a = host(n);

	return nexthop_take_used(table, &a);
}

static void drop(uint32_t n)
{
	struct addr a = host(n);

	nexthop_remove(table, &a);
}

static void test_set(void **state)
{
	const struct nexthop *nh;
	struct addr a = host(1);

	(void)state;
	assert_null(lookup(1));
	set(1, 9, NEXTHOP_READY);
	nh = lookup(1);
	assert_non_null(nh);
	assert_int_equal(nh->mac.addr_bytes[5], 9);
	assert_int_equal(nh->state, NEXTHOP_READY);
	assert_int_equal(nh->mtu, 1400);
	assert_int_equal(nexthop_count(table), 1);

	/* the port does not count, the type does */
	a.port = put16(4870);
	assert_ptr_equal(nexthop_lookup(table, &a), nh);
	a.type = ADDR_IP6;
	assert_null(nexthop_lookup(table, &a));

	set(1, 8, NEXTHOP_NO_NEIGHBOUR);
	assert_int_equal(lookup(1)->mac.addr_bytes[5], 8);
	assert_int_equal(lookup(1)->state, NEXTHOP_NO_NEIGHBOUR);
	assert_int_equal(nexthop_count(table), 1);

	drop(1);
	assert_null(lookup(1));
	assert_int_equal(nexthop_count(table), 0);
	drop(1);
	assert_int_equal(nexthop_count(table), 0);
}

static void test_used(void **state)
{
	(void)state;
	assert_false(take_used(1));
	set(1, 1, NEXTHOP_READY);
	assert_false(take_used(1));
	lookup(1);
	lookup(1);
	/* it outlives a replacement */
	set(1, 2, NEXTHOP_READY);
	assert_true(take_used(1));
	assert_false(take_used(1));
}

/* Filled to the last entry, emptied and filled again, many times over: no key's
 * slot is lost, and what is full says so. */
static void test_full(void **state)
{
	const struct nexthop nh = {.state = NEXTHOP_READY};
	struct addr more = host(99999);

	(void)state;
	for (uint32_t round = 0; round < 20; round++) {
		for (uint32_t n = 0; n < ENTRIES; n++)
			set(round * 1000 + n, (uint8_t)n, NEXTHOP_READY);
		assert_int_equal(nexthop_set(table, &more, &nh), -ENOSPC);
		set(round * 1000, 77, NEXTHOP_READY); /* replacing needs no room */
		assert_int_equal(nexthop_count(table), ENTRIES);
		for (uint32_t n = 1; n < ENTRIES; n++)
			assert_int_equal(lookup(round * 1000 + n)->mac.addr_bytes[5], (uint8_t)n);
		for (uint32_t n = 0; n < ENTRIES; n++)
			drop(round * 1000 + n);
		reclaim_poll(reclaim);
	}
}

/* An entry that a worker still reads stays as it was. */
static void test_grace_period(void **state)
{
	const struct nexthop *nh;

	(void)state;
	assert_int_equal(rte_rcu_qsbr_thread_register(qsbr, 0), 0);
	rte_rcu_qsbr_thread_online(qsbr, 0);
	set(5, 1, NEXTHOP_READY);
	nh = lookup(5);
	set(5, 2, NEXTHOP_READY);
	assert_true(reclaim_poll(reclaim));
	assert_int_equal(nh->mac.addr_bytes[5], 1);
	nh = lookup(5);
	drop(5);
	assert_true(reclaim_poll(reclaim));
	assert_int_equal(nh->mac.addr_bytes[5], 2);
	rte_rcu_qsbr_quiescent(qsbr, 0);
	assert_false(reclaim_poll(reclaim));
	rte_rcu_qsbr_thread_offline(qsbr, 0);
	rte_rcu_qsbr_thread_unregister(qsbr, 0);
}

/* The table goes first, with entries still in the queue. */
static void test_destroy_first(void **state)
{
	(void)state;
	assert_int_equal(rte_rcu_qsbr_thread_register(qsbr, 0), 0);
	rte_rcu_qsbr_thread_online(qsbr, 0);
	set(1, 1, NEXTHOP_READY);
	set(1, 2, NEXTHOP_READY);
	set(2, 1, NEXTHOP_READY);
	drop(2);
	assert_true(reclaim_poll(reclaim));
	nexthop_table_destroy(table);
	rte_rcu_qsbr_thread_offline(qsbr, 0);
	rte_rcu_qsbr_thread_unregister(qsbr, 0);
	assert_false(reclaim_poll(reclaim));
	table = nexthop_table_create(ENTRIES, reclaim);
	assert_non_null(table);
}

static _Atomic bool stop;

/* Reads while the writer replaces: each entry is one that was set, whole. */
static void *reader_run(void *arg)
{
	uintptr_t wrong = 0;

	(void)arg;
	rte_rcu_qsbr_thread_register(qsbr, 1);
	rte_rcu_qsbr_thread_online(qsbr, 1);
	while (!atomic_load(&stop)) {
		for (uint32_t n = 0; n < 8; n++) {
			const struct nexthop *nh = lookup(n);

			/* 0..3 are always there; mac and mtu go together */
			if (n < 4 ? !nh : false)
				wrong++;
			if (nh && nh->mtu != nh->mac.addr_bytes[5] * 10)
				wrong++;
		}
		rte_rcu_qsbr_quiescent(qsbr, 1);
	}
	rte_rcu_qsbr_thread_offline(qsbr, 1);
	rte_rcu_qsbr_thread_unregister(qsbr, 1);
	return (void *)wrong;
}

static void test_concurrent(void **state)
{
	pthread_t thread;
	void *wrong;

	(void)state;
	for (uint32_t round = 0; round < 2000; round++) {
		const uint8_t mac = (uint8_t)(round % 100);
		const struct nexthop nh = {.mac = {{2, 0, 0, 0, 0, mac}}, .mtu = mac * 10};

		for (uint32_t n = 0; n < 8; n++) {
			struct addr a = host(n);

			if (n >= 4 && round % 3 == 0)
				nexthop_remove(table, &a);
			else
				assert_int_equal(nexthop_set(table, &a, &nh), 0);
		}
		if (round == 0)
			assert_int_equal(pthread_create(&thread, NULL, reader_run, NULL), 0);
		/* with a reader that is not running for a while, keys' slots run low */
		while (reclaim_poll(reclaim) && round % 16 == 0)
			;
	}
	atomic_store(&stop, true);
	pthread_join(thread, &wrong);
	assert_int_equal((uintptr_t)wrong, 0);
}

static int table_make(void **state)
{
	size_t size = rte_rcu_qsbr_get_memsize(2);

	(void)state;
	qsbr = aligned_alloc(64, (size + 63) / 64 * 64);
	if (!qsbr || rte_rcu_qsbr_init(qsbr, 2) < 0)
		return -1;
	reclaim = reclaim_create(qsbr);
	table = nexthop_table_create(ENTRIES, reclaim);
	return table ? 0 : -1;
}

static int table_free(void **state)
{
	(void)state;
	nexthop_table_destroy(table);
	reclaim_destroy(reclaim);
	free(qsbr);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, table_make, table_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_set),		 TEST(test_used),	   TEST(test_full),
		TEST(test_grace_period), TEST(test_destroy_first), TEST(test_concurrent),
	};

	return cmocka_run_group_tests(tests, unit_eal_start, unit_eal_stop);
}
