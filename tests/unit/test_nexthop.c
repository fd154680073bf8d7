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

#define NEIGHBOURS 256

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

static struct nexthop lookup_addr(const struct addr *a)
{
	struct nexthop nh;

	nexthop_lookup(table, &a, 1, &nh);
	return nh;
}

static struct nexthop lookup(uint32_t n)
{
	struct addr a = host(n);

	return lookup_addr(&a);
}

/* A route for these bits of host n, to the hop. */
static void route(uint32_t n, uint8_t bits, uint32_t hop)
{
	struct addr a = host(n);
	struct prefix p = prefix_make(a.type, a.ip, bits);

	assert_int_equal(fib_set(nexthop_fib(table), &p, hop), 0);
}

static uint32_t hop(const struct path *paths, unsigned int n)
{
	uint32_t number;

	assert_int_equal(nexthop_hop_add(table, &number), 0);
	assert_int_equal(nexthop_hop_set(table, number, paths, n), 0);
	return number;
}

static void on_link(void)
{
	const struct path link = {.up_to = UINT32_MAX, .neighbour = NEXTHOP_ON_LINK};

	route(0, 0, hop(&link, 1));
}

static void neighbour_set(uint32_t slot, uint8_t mac, enum nexthop_state state)
{
	const struct nexthop nh = {
		.mac = {{2, 0, 0, 0, 0, mac}}, .state = (uint8_t)state, .port = 3};

	nexthop_neighbour_set(table, slot, &nh);
}

static uint32_t neighbour(uint8_t mac, enum nexthop_state state)
{
	uint32_t slot;

	assert_int_equal(nexthop_neighbour_add(table, &slot), 0);
	neighbour_set(slot, mac, state);
	return slot;
}

static uint32_t listed(uint32_t n, uint8_t mac)
{
	uint32_t slot = neighbour(mac, NEXTHOP_READY);
	struct addr a = host(n);

	assert_int_equal(nexthop_neighbour_list(table, slot, &a), 0);
	return slot;
}

static void drop(uint32_t n, uint32_t slot)
{
	struct addr a = host(n);

	nexthop_neighbour_remove(table, slot, &a);
}

static void test_on_link(void **state)
{
	struct addr a = host(1);
	uint32_t slot, found;

	(void)state;
	assert_int_equal(lookup(1).state, NEXTHOP_NO_ROUTE);
	assert_false(nexthop_reaches(table, &a));
	assert_false(nexthop_path(table, &a, &found));
	on_link();
	assert_int_equal(lookup(1).state, NEXTHOP_UNKNOWN);
	assert_true(nexthop_reaches(table, &a));
	assert_true(nexthop_path(table, &a, &found));
	assert_int_equal(found, NEXTHOP_ON_LINK);
	slot = listed(1, 9);
	assert_int_equal(lookup(1).state, NEXTHOP_READY);
	assert_int_equal(lookup(1).mac.addr_bytes[5], 9);
	assert_int_equal(lookup(1).port, 3);
	assert_int_equal(lookup(2).state, NEXTHOP_UNKNOWN);

	/* the port does not count, the type does */
	a.port = put16(4870);
	assert_int_equal(lookup_addr(&a).state, NEXTHOP_READY);
	a.type = ADDR_IP6;
	assert_int_equal(lookup_addr(&a).state, NEXTHOP_NO_ROUTE);

	neighbour_set(slot, 0, NEXTHOP_NO_NEIGHBOUR);
	assert_int_equal(lookup(1).state, NEXTHOP_NO_NEIGHBOUR);
	drop(1, slot);
	assert_int_equal(lookup(1).state, NEXTHOP_UNKNOWN);
}

static void test_gateway(void **state)
{
	struct path way = {.up_to = UINT32_MAX, .neighbour = neighbour(7, NEXTHOP_READY)};
	uint32_t number = hop(&way, 1);

	(void)state;
	on_link();
	route(0x10000, 16, number);
	assert_int_equal(lookup(0x10001).mac.addr_bytes[5], 7);
	assert_int_equal(lookup(0x1ffff).mac.addr_bytes[5], 7);
	assert_int_equal(lookup(0x20000).state, NEXTHOP_UNKNOWN);
	/* another gateway: all its routes at once */
	way.neighbour = neighbour(8, NEXTHOP_READY);
	assert_int_equal(nexthop_hop_set(table, number, &way, 1), 0);
	assert_int_equal(lookup(0x10001).mac.addr_bytes[5], 8);
	assert_int_equal(nexthop_hop_set(table, number, NULL, 0), 0);
	assert_int_equal(lookup(0x10001).state, NEXTHOP_NO_ROUTE);
}

/* Flows share the paths by weight, each keeps to its own, and goes by another one while that
 * is not ready. */
static void test_several_paths(void **state)
{
	struct path way[2] = {
		{.up_to = UINT32_MAX / 4, .neighbour = neighbour(1, NEXTHOP_READY)},
		{.up_to = UINT32_MAX, .neighbour = neighbour(2, NEXTHOP_READY)},
	};
	unsigned int first = 0;
	uint8_t own[4000];

	(void)state;
	route(0, 0, hop(way, 2));
	for (uint32_t n = 0; n < 4000; n++) {
		own[n] = lookup(n).mac.addr_bytes[5];
		first += own[n] == 1;
	}
	assert_in_range(first, 850, 1150);
	neighbour_set(way[0].neighbour, 1, NEXTHOP_NO_NEIGHBOUR);
	for (uint32_t n = 0; n < 4000; n++)
		assert_int_equal(lookup(n).mac.addr_bytes[5], 2);
	neighbour_set(way[1].neighbour, 2, NEXTHOP_UNKNOWN);
	for (uint32_t n = 0; n < 4000; n++)
		assert_int_equal(lookup(n).state,
				 own[n] == 1 ? NEXTHOP_NO_NEIGHBOUR : NEXTHOP_UNKNOWN);
	neighbour_set(way[0].neighbour, 1, NEXTHOP_READY);
	neighbour_set(way[1].neighbour, 2, NEXTHOP_READY);
	for (uint32_t n = 0; n < 4000; n++)
		assert_int_equal(lookup(n).mac.addr_bytes[5], own[n]);
}

/* A burst finds what its frames would have found one by one. */
static void test_together(void **state)
{
	struct path way = {.up_to = UINT32_MAX, .neighbour = neighbour(7, NEXTHOP_READY)};
	struct addr a[NEXTHOP_LOOKUP];
	const struct addr *hosts[NEXTHOP_LOOKUP];
	struct nexthop nh[NEXTHOP_LOOKUP];

	(void)state;
	on_link();
	route(0x10000, 16, hop(&way, 1));
	route(0x20000, 16, NEXTHOP_NONE);
	for (uint32_t i = 0; i < 8; i++)
		listed(i, (uint8_t)(100 + i));
	srandom(3);
	for (unsigned int round = 0; round < 2000; round++) {
		unsigned int n = 1 + (unsigned int)random() % NEXTHOP_LOOKUP;

		for (unsigned int i = 0; i < n; i++) {
			a[i] = host((uint32_t)(random() % 3 << 16 | random() % 12));
			if (i > 0 && random() % 2)
				a[i] = a[i - 1];
			hosts[i] = &a[i];
		}
		nexthop_lookup(table, hosts, n, nh);
		for (unsigned int i = 0; i < n; i++) {
			struct nexthop one = lookup_addr(&a[i]);

			assert_memory_equal(&nh[i], &one, sizeof(one));
		}
	}
}

static void test_used(void **state)
{
	uint32_t slot;

	(void)state;
	on_link();
	slot = listed(1, 1);
	assert_false(nexthop_take_used(table, slot));
	lookup(1);
	lookup(1);
	neighbour_set(slot, 2, NEXTHOP_READY);
	assert_true(nexthop_take_used(table, slot));
	assert_false(nexthop_take_used(table, slot));
}

/* Filled to the last slot, emptied and filled again, many times over: none is lost, and what
 * is full says so. Likewise hops. */
static void test_full(void **state)
{
	static uint32_t slot[NEIGHBOURS], hops[FIB_VALUES];
	uint32_t more;

	(void)state;
	on_link();
	for (uint32_t round = 0; round < 20; round++) {
		for (uint32_t n = 0; n < NEIGHBOURS; n++)
			slot[n] = listed(round * 1000 + n, (uint8_t)n);
		assert_int_equal(nexthop_neighbour_add(table, &more), -ENOSPC);
		for (uint32_t n = 0; n < NEIGHBOURS; n++)
			assert_int_equal(lookup(round * 1000 + n).mac.addr_bytes[5], (uint8_t)n);
		for (uint32_t n = 0; n < NEIGHBOURS; n++)
			drop(round * 1000 + n, slot[n]);
		reclaim_poll(reclaim);
	}
	for (uint32_t round = 0; round < 3; round++) {
		uint32_t n = 0;

		while (n < FIB_VALUES && nexthop_hop_add(table, &hops[n]) == 0)
			n++;
		assert_int_equal(n, FIB_VALUES - 2); /* 0, and that of on_link() */
		while (n > 0)
			nexthop_hop_remove(table, hops[--n]);
		reclaim_poll(reclaim);
	}
}

/* What a worker has just read the number of stays what it was. */
static void test_grace_period(void **state)
{
	struct path way = {.up_to = UINT32_MAX, .neighbour = neighbour(7, NEXTHOP_READY)};
	uint32_t number, other, slot;

	(void)state;
	assert_int_equal(rte_rcu_qsbr_thread_register(qsbr, 0), 0);
	rte_rcu_qsbr_thread_online(qsbr, 0);
	number = hop(&way, 1);
	route(0, 0, number);
	nexthop_hop_remove(table, number); /* as its route goes */
	nexthop_neighbour_remove(table, way.neighbour, NULL);
	assert_true(reclaim_poll(reclaim));
	assert_int_equal(lookup(1).mac.addr_bytes[5], 7);
	assert_int_equal(nexthop_hop_add(table, &other), 0);
	assert_int_not_equal(other, number);
	assert_int_equal(nexthop_neighbour_add(table, &slot), 0);
	assert_int_not_equal(slot, way.neighbour);
	route(0, 0, NEXTHOP_NONE);
	rte_rcu_qsbr_quiescent(qsbr, 0);
	assert_false(reclaim_poll(reclaim));
	assert_int_equal(nexthop_hop_add(table, &other), 0);
	assert_int_equal(other, number);
	rte_rcu_qsbr_thread_offline(qsbr, 0);
	rte_rcu_qsbr_thread_unregister(qsbr, 0);
}

/* The table goes first, with things still in the queue. */
static void test_destroy_first(void **state)
{
	struct path way = {.up_to = UINT32_MAX, .neighbour = NEXTHOP_ON_LINK};
	uint32_t number;

	(void)state;
	assert_int_equal(rte_rcu_qsbr_thread_register(qsbr, 0), 0);
	rte_rcu_qsbr_thread_online(qsbr, 0);
	number = hop(&way, 1);
	route(1, 32, number);
	route(1, 32, NEXTHOP_NONE);
	nexthop_hop_remove(table, number);
	drop(2, listed(2, 1));
	assert_true(reclaim_poll(reclaim));
	nexthop_table_destroy(table);
	rte_rcu_qsbr_thread_offline(qsbr, 0);
	rte_rcu_qsbr_thread_unregister(qsbr, 0);
	assert_false(reclaim_poll(reclaim));
	table = nexthop_table_create(NEIGHBOURS, 64, reclaim);
	assert_non_null(table);
}

static _Atomic bool stop;

/* While the writer replaces, each answer is one that was true: the route leads by a gateway
 * whose address ends in 1 to 100, and port and address go together. */
static void *reader_run(void *arg)
{
	uintptr_t wrong = 0;

	(void)arg;
	rte_rcu_qsbr_thread_register(qsbr, 1);
	rte_rcu_qsbr_thread_online(qsbr, 1);
	while (!atomic_load(&stop)) {
		for (uint32_t n = 0; n < 8; n++) {
			struct nexthop nh = lookup(n);

			wrong += nh.state != NEXTHOP_READY;
			wrong += nh.port != nh.mac.addr_bytes[5] || nh.port == 0;
		}
		rte_rcu_qsbr_quiescent(qsbr, 1);
	}
	rte_rcu_qsbr_thread_offline(qsbr, 1);
	rte_rcu_qsbr_thread_unregister(qsbr, 1);
	return (void *)wrong;
}

static void test_concurrent(void **state)
{
	uint32_t slot = 0, number = NEXTHOP_NONE;
	pthread_t thread;
	void *wrong;

	(void)state;
	for (uint32_t round = 0; round < 4000; round++) {
		const uint8_t mac = (uint8_t)(1 + round % 100);
		const struct nexthop nh = {
			.mac = {{2, 0, 0, 0, 0, mac}}, .state = NEXTHOP_READY, .port = mac};
		struct path way = {.up_to = UINT32_MAX};
		uint32_t old_slot = slot, old = number;

		if (nexthop_neighbour_add(table, &way.neighbour) < 0 ||
		    nexthop_hop_add(table, &number) < 0) {
			fail_msg("round %u: a number was lost", round);
			break;
		}
		slot = way.neighbour;
		nexthop_neighbour_set(table, slot, &nh);
		assert_int_equal(nexthop_hop_set(table, number, &way, 1), 0);
		route(0, 0, number);
		if (round > 0) {
			nexthop_hop_remove(table, old);
			nexthop_neighbour_remove(table, old_slot, NULL);
		} else {
			assert_int_equal(pthread_create(&thread, NULL, reader_run, NULL), 0);
		}
		/* with a reader that is not running for a while, numbers run low */
		while (reclaim_poll(reclaim) && round % 64 == 0)
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
	reclaim = reclaim_create(qsbr, NULL);
	table = nexthop_table_create(NEIGHBOURS, 64, reclaim);
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
		TEST(test_on_link),	 TEST(test_gateway),	   TEST(test_several_paths),
		TEST(test_together),	 TEST(test_used),	   TEST(test_full),
		TEST(test_grace_period), TEST(test_destroy_first), TEST(test_concurrent),
	};

	return cmocka_run_group_tests(tests, unit_eal_start, unit_eal_stop);
}
