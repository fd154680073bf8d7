/* SPDX-License-Identifier: BSD-3-Clause
 * From the configuration's domains and pairs to what workers look into.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "control/control.h"
#include "tests/unit/unit_eal.h"

static struct control ctl; /* large, as are the next two */
static struct config config;
static struct relay relay;

static int set_up(void **state)
{
	size_t size = rte_rcu_qsbr_get_memsize(1);

	(void)state;
	memset(&ctl, 0, sizeof(ctl));
	memset(&config, 0, sizeof(config));
	memset(&relay, 0, sizeof(relay));
	config.domains = calloc(CONFIG_DOMAINS, sizeof(*config.domains));
	ctl.config = &config;
	ctl.relay = &relay;
	relay.qsbr = aligned_alloc(RTE_CACHE_LINE_SIZE, size);
	rte_rcu_qsbr_init(relay.qsbr, 1);
	ctl.reclaim = reclaim_create(relay.qsbr, NULL);
	return index_create(&relay.index, "keyring", 64, SOCKET_ID_ANY);
}

static int tear_down(void **state)
{
	(void)state;
	reclaim_destroy(ctl.reclaim);
	keyring_free(relay.keyring);
	index_destroy(relay.index);
	free(relay.qsbr);
	config_free(&config);
	return 0;
}

/* Keys of an id: generation g's first byte is g. */
static struct key_set key_set(uint32_t id, unsigned int count, const uint8_t *generations)
{
	struct key_set s = {.id = id, .count = count};

	for (unsigned int i = 0; i < count; i++) {
		s.key[i].generation = generations[i];
		memset(s.key[i].key, (int)(id & 0xff), sizeof(s.key[i].key));
		s.key[i].key[0] = generations[i];
	}
	return s;
}

static struct domain_config *domain_add(uint32_t id)
{
	struct domain_config *d = &config.domains[config.domain_count++];

	memset(d, 0, sizeof(*d));
	d->keys = key_set(id, 1, (const uint8_t[]){1});
	return d;
}

static struct keyring *build(void)
{
	struct keyring *k = NULL;

	assert_int_equal(keyring_build(&ctl, &config, &k), 0);
	return k;
}

static void test_open(void **state)
{
	const struct domain_keys *keys;
	const struct domain *d;
	struct keyring *k = build();

	(void)state;
	assert_true(k->open);
	d = keyring_find(k, 0, &keys);
	assert_non_null(d);
	assert_null(keys);
	assert_int_equal(d->id, DOMAIN_OPEN);
	assert_true(d->sends.unit_ns == 0);
	assert_null(keyring_find(k, 1 << 8 | 1, &keys));
	assert_null(keyring_find(k, 1, &keys)); /* domain 0 has no generations */
	assert_null(keyring_pair(k, 1 << 8));
	keyring_free(k);
}

static void test_domains(void **state)
{
	const struct domain_keys *keys;
	struct domain_keys derived;
	struct index_pad pad;
	struct keyring *k;
	const struct domain *d;

	(void)state;
	domain_add(0xffffff);
	domain_add(5)->keys = key_set(5, 2, (const uint8_t[]){9, 8});
	domain_add(1);
	k = build();
	assert_false(k->open);
	assert_int_equal(k->domain_count, 3);
	assert_null(keyring_find(k, 0, &keys));
	assert_null(keyring_find(k, 5 << 8 | 7, &keys));
	assert_null(keyring_find(k, 6 << 8 | 9, &keys));
	assert_null(keys);
	assert_non_null(keyring_find(k, 1 << 8 | 1, &keys));
	assert_non_null(keyring_find(k, 0xffffff01, &keys));
	d = keyring_find(k, 5 << 8 | 8, &keys);
	assert_non_null(d);
	assert_ptr_equal(d, keyring_domain(k, 5));
	domain_keys_derive(&derived, config.domains[1].keys.key[1].key);
	assert_memory_equal(&derived, keys, sizeof(derived));
	assert_ptr_equal(keyring_find(k, 5 << 8 | 9, &keys), d);
	assert_memory_not_equal(&derived, keys, sizeof(derived));

	for (uint8_t rule = 1; rule < RULE_COUNT; rule++) {
		index_pad(relay.index, 5, rule, &pad);
		assert_memory_equal(&pad, &d->pad[rule], sizeof(pad));
		assert_memory_not_equal(&pad, &keyring_domain(k, 1)->pad[rule], sizeof(pad));
	}
	keyring_free(k);
}

static bool allowed(const struct keyring *k, uint32_t id, const char *target)
{
	struct addr a;

	assert_int_equal(addr_parse(target, 4871, &a), 0);
	return keyring_allows(k, keyring_domain(k, id), &a);
}

static void test_limits_and_targets(void **state)
{
	struct domain_config *limited;
	const struct domain *d;
	struct keyring *k;

	(void)state;
	config.targets.count = 1;
	config.targets.allow[0] = (struct policy_range){.type = ADDR_IP4, .bits = 8, .ip = {10}};
	domain_add(1);
	limited = domain_add(2);
	limited->targets.count = 1;
	limited->targets.allow[0] =
		(struct policy_range){.type = ADDR_IP4, .bits = 16, .ip = {192, 168}};
	limited->max_bytes = UINT64_C(1) << 40;
	limited->max_blobs = 3;
	limited->max_uploads = 4;
	limited->max_requests = 5;
	limited->requests_per_second = 6;
	k = build();
	assert_true(allowed(k, 1, "10.1.1.1"));
	assert_true(allowed(k, 1, "8.8.8.8"));
	assert_false(allowed(k, 1, "192.168.0.1"));
	assert_true(allowed(k, 2, "192.168.0.1"));
	assert_false(allowed(k, 2, "10.1.1.1"));
	assert_false(allowed(k, 2, "8.8.8.8"));
	d = keyring_domain(k, 2);
	assert_int_equal(d->max_bytes, UINT64_C(1) << 40);
	assert_int_equal(d->max_blobs, 3);
	assert_int_equal(d->max_uploads, 4);
	assert_int_equal(d->max_requests, 5);
	assert_int_equal(d->sends.unit_ns, 1000000000 / 6);
	keyring_free(k);
}

static void test_pairs(void **state)
{
	const struct pair *p;
	struct keyring *k;

	(void)state;
	config.upstream.keys = key_set(3, 2, (const uint8_t[]){2, 1});
	config.peer_count = 1;
	config.peers[0].keys = key_set(4, 1, (const uint8_t[]){0});
	k = build();
	assert_int_equal(k->pair_count, 3);
	p = keyring_pair(k, 3 << 8 | 1);
	assert_non_null(p);
	assert_memory_equal(p->key, config.upstream.keys.key[1].key, sizeof(p->key));
	assert_non_null(keyring_pair(k, 3 << 8 | 2));
	assert_non_null(keyring_pair(k, 4 << 8));
	assert_null(keyring_pair(k, 3 << 8));
	assert_null(keyring_pair(k, 4 << 8 | 1));
	keyring_free(k);
}

static uint16_t slot_of(const struct keyring *k, uint32_t id)
{
	return keyring_domain(k, id)->slot;
}

/* Also of one that was away for a while. */
static void test_slots_stay(void **state)
{
	uint16_t one, three;
	struct keyring *k;

	(void)state;
	domain_add(1);
	domain_add(3);
	k = build();
	one = slot_of(k, 1);
	three = slot_of(k, 3);
	assert_int_not_equal(one, three);
	keyring_free(k);

	config.domain_count = 0;
	domain_add(2);
	domain_add(3);
	k = build();
	assert_int_equal(slot_of(k, 3), three);
	assert_int_not_equal(slot_of(k, 2), one);
	assert_int_not_equal(slot_of(k, 2), three);
	keyring_free(k);

	domain_add(1);
	k = build();
	assert_int_equal(slot_of(k, 1), one);
	keyring_free(k);
}

static void test_slots_run_out(void **state)
{
	struct keyring *k;

	(void)state;
	for (uint32_t id = 1; id <= CONFIG_DOMAINS; id++)
		domain_add(id);
	k = build();
	for (uint32_t i = 0; i < KEYRING_DOMAINS; i++)
		ctl.usage[i].requests = 1;
	ctl.usage[slot_of(k, 77)].requests = 0;
	keyring_free(k);

	/* 77 is gone and left nothing; 78 is gone and one waits */
	config.domain_count = 0;
	domain_add(5000);
	k = build();
	assert_int_equal(slot_of(k, 5000), 76);
	keyring_free(k);
	domain_add(5001);
	assert_int_equal(keyring_build(&ctl, &config, &k), -ENOSPC);
	ctl.usage[10].requests = 0;
	ctl.usage[10].uploads = 1;
	assert_int_equal(keyring_build(&ctl, &config, &k), -ENOSPC);
	ctl.usage[10].uploads = 0;
	k = build();
	assert_int_equal(slot_of(k, 5001), 10);
	keyring_free(k);
}

/* A worker may look at the old one until it is quiescent. */
static void test_publish(void **state)
{
	struct keyring *first, *second;

	(void)state;
	rte_rcu_qsbr_thread_register(relay.qsbr, 0);
	rte_rcu_qsbr_thread_online(relay.qsbr, 0);
	first = build();
	keyring_publish(&ctl, first);
	assert_ptr_equal(relay_keyring(&relay), first);
	assert_false(reclaim_poll(ctl.reclaim));
	domain_add(1);
	second = build();
	keyring_publish(&ctl, second);
	assert_ptr_equal(relay_keyring(&relay), second);
	assert_true(reclaim_poll(ctl.reclaim));
	assert_true(first->open);
	rte_rcu_qsbr_quiescent(relay.qsbr, 0);
	assert_false(reclaim_poll(ctl.reclaim));
	assert_ptr_equal(relay_keyring(&relay), second);
	rte_rcu_qsbr_thread_offline(relay.qsbr, 0);
	rte_rcu_qsbr_thread_unregister(relay.qsbr, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_open, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_domains, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_limits_and_targets, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_pairs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_slots_stay, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_slots_run_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_publish, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, unit_eal_start, unit_eal_stop);
}
