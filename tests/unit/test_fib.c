/* SPDX-License-Identifier: BSD-3-Clause
 * The longest-prefix match against a list that is searched from end to end.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <rte_rcu_qsbr.h>

#include "dataplane/fib.h"
#include "tests/unit/unit_eal.h"

#define PREFIXES 400
#define BLOCKS 4096

static struct rte_rcu_qsbr *qsbr;
static struct reclaim *reclaim;
static struct fib *fib;

static int setup(void **state)
{
	(void)state;
	rte_rcu_qsbr_init(qsbr, 1);
	reclaim = reclaim_create(qsbr, NULL);
	fib = fib_create(BLOCKS, reclaim);
	return fib ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	reclaim_destroy(reclaim);
	fib_destroy(fib);
	return 0;
}

static struct addr host(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, 1, &a), 0);
	return a;
}

static struct prefix prefix(const char *text, uint8_t bits)
{
	struct addr a = host(text);

	return prefix_make(a.type, a.ip, bits);
}

static uint32_t lookup(const char *text)
{
	struct addr a = host(text);

	return fib_lookup(fib_tables(fib), &a);
}

static void set(const char *text, uint8_t bits, uint32_t value)
{
	struct prefix p = prefix(text, bits);

	assert_int_equal(fib_set(fib, &p, value), 0);
}

static void test_prefix(void **state)
{
	struct prefix p = prefix("192.0.2.255", 25);

	(void)state;
	assert_int_equal(p.ip[3], 128);
	assert_int_equal(p.bits, 25);
	p = prefix("192.0.2.255", 0);
	assert_int_equal(p.ip[0], 0);
	p = prefix("2001:db8::ffff", 128);
	assert_int_equal(p.ip[15], 0xff);
	p = prefix("2001:db8::ffff", 113);
	assert_int_equal(p.ip[14], 0x80);
	assert_int_equal(p.ip[15], 0);
}

static void test_longest(void **state)
{
	struct prefix host32 = prefix("10.1.2.3", 32), net = prefix("10.1.0.0", 16);

	(void)state;
	assert_int_equal(lookup("10.1.2.3"), 0);
	set("0.0.0.0", 0, 1);
	set("10.1.0.0", 16, 2);
	set("10.1.2.3", 32, 3);
	set("10.1.2.0", 23, 4);
	assert_int_equal(lookup("10.1.2.3"), 3);
	assert_int_equal(lookup("10.1.2.4"), 4);
	assert_int_equal(lookup("10.1.3.255"), 4);
	assert_int_equal(lookup("10.1.4.0"), 2);
	assert_int_equal(lookup("10.2.0.0"), 1);
	assert_int_equal(lookup("255.255.255.255"), 1);
	assert_int_equal(lookup("::"), 0); /* the other version's is another tree */
	/* a shorter one changes: the longer ones stay */
	set("10.1.0.0", 16, 5);
	assert_int_equal(lookup("10.1.2.4"), 4);
	assert_int_equal(lookup("10.1.4.0"), 5);
	fib_unset(fib, &host32, &(struct prefix){.type = ADDR_IP4, .bits = 23}, 4);
	assert_int_equal(lookup("10.1.2.3"), 4);
	fib_unset(fib, &net, &(struct prefix){.type = ADDR_IP4}, 1);
	assert_int_equal(lookup("10.1.4.0"), 1);
	assert_int_equal(lookup("10.1.2.4"), 4);
}

/* What DPDK 22.11's rte_fib does not survive: see fib.c. */
static void test_same_value_as_its_cover(void **state)
{
	struct prefix one = prefix("10.0.0.1", 32), cover = prefix("0.0.0.0", 0);

	(void)state;
	set("0.0.0.0", 0, 1);
	for (unsigned int i = 0; i < 3 * BLOCKS; i++) {
		set("10.0.0.1", 32, 1);
		fib_unset(fib, &one, &cover, 1);
		reclaim_poll(reclaim);
	}
	assert_int_equal(fib_blocks(fib), 0);
	set("10.0.0.2", 32, 2);
	assert_int_equal(lookup("10.0.0.2"), 2);
	assert_int_equal(lookup("10.0.0.1"), 1);
}

/* One that does not fit changes nothing, and what is given back is used again. */
static void test_full(void **state)
{
	struct prefix deep, first = prefix("2001:db8::1", 128);
	struct addr a = host("2001:db8::1");
	unsigned int n = 0;

	(void)state;
	set("2001:db8::", 32, 7);
	for (;; n++) {
		a.ip[4] = (uint8_t)(n >> 8);
		a.ip[5] = (uint8_t)n;
		deep = prefix_make(a.type, a.ip, 128);
		if (fib_set(fib, &deep, 9) < 0)
			break;
	}
	assert_in_range(n, BLOCKS / 14, BLOCKS / 10);
	assert_int_equal(fib_lookup(fib_tables(fib), &a), 7);
	assert_int_equal(lookup("2001:db8::1"), 9);
	/* values change without a block */
	set("2001:db8::", 32, 8);
	assert_int_equal(fib_lookup(fib_tables(fib), &a), 8);
	fib_unset(fib, &first, &(struct prefix){.type = ADDR_IP6, .bits = 32}, 8);
	assert_int_equal(lookup("2001:db8::1"), 8);
	while (reclaim_poll(reclaim))
		;
	a.ip[4] = a.ip[5] = 0; /* its own path is shared but for the last */
	deep = prefix_make(a.type, a.ip, 128);
	assert_int_equal(fib_set(fib, &deep, 9), 0);
}

/* A worker stands still between two levels: what it holds leads to nobody else's values. */
static void test_grace_period(void **state)
{
	const struct fib_tables *t = fib_tables(fib);
	struct prefix one = prefix("10.0.0.1", 32);
	struct addr a = host("10.0.0.1");
	fib_entry *inner;
	uint32_t held;

	(void)state;
	assert_int_equal(rte_rcu_qsbr_thread_register(qsbr, 0), 0);
	rte_rcu_qsbr_thread_online(qsbr, 0);
	set("0.0.0.0", 0, 1);
	assert_int_equal(fib_set(fib, &one, 2), 0);
	held = t->root[0][a.ip[0] << 8 | a.ip[1]];
	assert_true(held & FIB_INNER);
	fib_unset(fib, &one, &(struct prefix){.type = ADDR_IP4}, 1);
	assert_int_equal(fib_blocks(fib), 0);
	set("10.99.0.1", 32, 3);
	assert_true(reclaim_poll(reclaim));
	set("10.98.0.1", 32, 3);
	inner = t->block[held & ~FIB_INNER];
	assert_false(inner[0] & FIB_INNER);
	assert_int_equal(inner[0] & (FIB_VALUES - 1), 1);
	assert_int_equal(lookup("10.99.0.1"), 3);
	rte_rcu_qsbr_thread_offline(qsbr, 0);
	rte_rcu_qsbr_thread_unregister(qsbr, 0);
}

/* ---- at random ---- */

struct known {
	struct prefix p;
	uint32_t value; /* 0: not set */
};

static struct known known[PREFIXES];

/* The longest one around these bits, shorter than `below`. */
static const struct known *search(uint8_t type, const uint8_t *ip, unsigned int below)
{
	const struct known *best = NULL;

	for (unsigned int i = 0; i < PREFIXES; i++) {
		const struct known *k = &known[i];

		if (k->value != 0 && k->p.bits < below && prefix_has(&k->p, type, ip) &&
		    (best == NULL || k->p.bits > best->p.bits))
			best = k;
	}
	return best;
}

/* Few values of each byte, so that prefixes lie in each other. */
static struct addr addr_random(uint8_t type)
{
	struct addr a = {.type = type};

	for (unsigned int i = 0; i < prefix_most(type) / 8u; i++)
		a.ip[i] = (uint8_t)(random() % 3 * 127);
	return a;
}

static bool same_prefix(const struct prefix *a, const struct prefix *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static void change_random(void)
{
	struct known *k = &known[random() % PREFIXES];
	uint8_t type = random() % 2 ? ADDR_IP4 : ADDR_IP6;

	if (k->value == 0) {
		struct addr a = addr_random(type);
		struct prefix p =
			prefix_make(type, a.ip, (uint8_t)(random() % (prefix_most(type) + 1)));

		for (unsigned int i = 0; i < PREFIXES; i++)
			if (known[i].value != 0 && same_prefix(&known[i].p, &p))
				return;
		k->p = p;
		k->value = 1 + (uint32_t)random() % (FIB_VALUES - 1);
		assert_int_equal(fib_set(fib, &k->p, k->value), 0);
	} else if (random() % 2) {
		k->value = 1 + (uint32_t)random() % (FIB_VALUES - 1);
		assert_int_equal(fib_set(fib, &k->p, k->value), 0);
	} else {
		const struct known *cover = search(k->p.type, k->p.ip, k->p.bits);

		fib_unset(fib, &k->p, cover ? &cover->p : NULL, cover ? cover->value : 0);
		k->value = 0;
	}
}

static void test_random(void **state)
{
	(void)state;
	memset(known, 0, sizeof(known));
	srandom(7);
	for (unsigned int round = 0; round < 20000; round++) {
		change_random();
		for (unsigned int i = 0; i < 8; i++) {
			struct addr a = addr_random(i % 2 ? ADDR_IP4 : ADDR_IP6);
			const struct known *k = search(a.type, a.ip, 129);

			assert_int_equal(fib_lookup(fib_tables(fib), &a), k ? k->value : 0);
		}
		reclaim_poll(reclaim);
	}
	for (unsigned int i = 0; i < PREFIXES; i++) {
		const struct known *cover;

		if (known[i].value == 0)
			continue;
		cover = search(known[i].p.type, known[i].p.ip, known[i].p.bits);
		fib_unset(fib, &known[i].p, cover ? &cover->p : NULL, cover ? cover->value : 0);
		known[i].value = 0;
	}
	assert_int_equal(fib_blocks(fib), 0);
}

/* ---- while workers look ---- */

static _Atomic bool stop;

/* The host's prefix comes and goes: it leads there or where its cover does, never elsewhere,
 * although its blocks are other prefixes' in between. */
static void *reader(void *arg)
{
	struct addr a = host("10.0.0.1");
	uintptr_t wrong = 0;

	(void)arg;
	rte_rcu_qsbr_thread_register(qsbr, 0);
	rte_rcu_qsbr_thread_online(qsbr, 0);
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		for (unsigned int i = 0; i < 64; i++) {
			uint32_t value = fib_lookup(fib_tables(fib), &a);

			wrong += value != 1 && value != 2;
		}
		rte_rcu_qsbr_quiescent(qsbr, 0);
	}
	rte_rcu_qsbr_thread_offline(qsbr, 0);
	rte_rcu_qsbr_thread_unregister(qsbr, 0);
	return (void *)wrong;
}

static void test_readers(void **state)
{
	struct prefix one = prefix("10.0.0.1", 32), other = prefix("10.99.0.1", 32);
	struct prefix cover = prefix("0.0.0.0", 0);
	pthread_t thread;
	void *wrong;

	(void)state;
	set("0.0.0.0", 0, 1);
	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&thread, NULL, reader, NULL), 0);
	for (unsigned int i = 0; i < 50000; i++) {
		if (fib_set(fib, &one, 2) == 0)
			fib_unset(fib, &one, &cover, 1);
		reclaim_poll(reclaim);
		if (fib_set(fib, &other, 3) == 0)
			fib_unset(fib, &other, &cover, 1);
		reclaim_poll(reclaim);
	}
	atomic_store(&stop, true);
	pthread_join(thread, &wrong);
	assert_null(wrong);
}

static int group_setup(void **state)
{
	size_t size = RTE_ALIGN(rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE);

	qsbr = aligned_alloc(RTE_CACHE_LINE_SIZE, size);
	return qsbr ? unit_eal_start(state) : -1;
}

static int group_teardown(void **state)
{
	free(qsbr);
	return unit_eal_stop(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_prefix),  TEST(test_longest),	     TEST(test_same_value_as_its_cover),
		TEST(test_full),    TEST(test_grace_period), TEST(test_random),
		TEST(test_readers),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
