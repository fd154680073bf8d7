/* SPDX-License-Identifier: BSD-3-Clause
 * SIGHUP: whole or not at all; and what the peers keep over it.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/control.h"
#include "tests/unit/unit_eal.h"

#define HEX "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define NOW UINT64_C(1700000000)
#define NOW_US (NOW * 1000000)

static struct control ctl; /* large, as are the next two */
static struct peers peers;
static struct reload reload;
static struct sweep sweep;
static struct config config;
static struct relay relay;
static char folder[] = "test_reload.XXXXXX";
static char path[64];

static void file_write(const char *name, const char *text)
{
	char file[96];
	FILE *f;

	snprintf(file, sizeof(file), "%s/%s", folder, name);
	f = fopen(file, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(file, 0600), 0);
}

static void file_remove(const char *name)
{
	char file[96];

	snprintf(file, sizeof(file), "%s/%s", folder, name);
	unlink(file);
}

/* A central relay's configuration; $ in the text stands for the folder. */
static void config_write(const char *text)
{
	static const char head[] = "[relay]\nrole = central\nlisten = 192.0.2.1\nport = vdev:x\n"
				   "master_key_file = $/master\n";
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	for (const char *part = head; part; part = part == head ? text : NULL)
		for (const char *p = part; *p; p++) {
			if (*p == '$')
				fputs(folder, f);
			else
				fputc(*p, f);
		}
	fclose(f);
}

static int set_up(void **state)
{
	struct keyring *k;

	(void)state;
	memset(&ctl, 0, sizeof(ctl));
	memset(&relay, 0, sizeof(relay));
	memset(&peers, 0, sizeof(peers));
	memset(&reload, 0, sizeof(reload));
	memset(&sweep, 0, sizeof(sweep));
	ctl.peers = &peers;
	ctl.reload = &reload;
	ctl.sweep = &sweep;
	file_write("master", HEX);
	file_write("d1", "1.1 " HEX "\n");
	file_write("p1", "1.1 " HEX "\n");
	file_write("p2", "2.1 " HEX "\n");
	config_write("[domain a]\nkey_file = $/d1\n[peer x]\nkey_file = $/p1\n"
		     "[peer y]\nkey_file = $/p2\naddress = 192.0.2.9\n");
	assert_int_equal(config_load(path, &config, stderr), 0);
	assert_int_equal(config_load_keys(path, &config, stderr), 0);
	relay.central = true;
	relay.qsbr = aligned_alloc(RTE_CACHE_LINE_SIZE, rte_rcu_qsbr_get_memsize(1));
	rte_rcu_qsbr_init(relay.qsbr, 1);
	assert_int_equal(index_create(&relay.index, "reload", 64, SOCKET_ID_ANY), 0);
	ctl.config = &config;
	ctl.relay = &relay;
	ctl.reclaim = reclaim_create(relay.qsbr, NULL);
	ctl.unix_us = ctl.wall_us = NOW_US;
	ctl.now_us = 1;
	ctl.base = event_base_new();
	assert_int_equal(keyring_build(&ctl, &config, &k), 0);
	keyring_publish(&ctl, k);
	peers_update(&ctl, &config);
	assert_int_equal(reload_open(&ctl, path, &config), 0);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const files[] = {"master", "d1", "p1", "p2", "conf"};

	(void)state;
	reload_close(&ctl);
	free(ctl.store.drop);
	event_base_free(ctl.base);
	reclaim_destroy(ctl.reclaim);
	keyring_free(relay.keyring);
	index_destroy(relay.index);
	free(relay.qsbr);
	config_free(&config);
	for (size_t i = 0; i < RTE_DIM(files); i++)
		file_remove(files[i]);
	return 0;
}

static bool key_known(uint32_t id, uint8_t generation)
{
	const struct domain_keys *keys;

	return keyring_find(relay_keyring(&relay), id << 8 | generation, &keys) != NULL;
}

/* New key on top, then the old one goes. */
static void test_rotation(void **state)
{
	(void)state;
	assert_true(key_known(1, 1));
	file_write("d1", "1.2 " HEX "\n1.1 " HEX "\n");
	assert_false(key_known(1, 2));
	assert_true(reload_run(&ctl));
	assert_true(key_known(1, 1) && key_known(1, 2));
	file_write("d1", "1.2 " HEX "\n");
	assert_true(reload_run(&ctl));
	assert_true(!key_known(1, 1) && key_known(1, 2));
	assert_false(reclaim_poll(ctl.reclaim)); /* the old keyrings are gone */
	assert_int_equal(ctl.reload->count, 2);
	assert_int_equal(ctl.reload->time, NOW);
}

static void must_stay(const char *why)
{
	const struct keyring *before = relay_keyring(&relay);
	json_t *status;

	assert_false(reload_run(&ctl));
	if (!strstr(ctl.reload->messages, why))
		fail_msg("expected '%s', got: %s", why, ctl.reload->messages);
	assert_ptr_equal(relay_keyring(&relay), before);
	assert_string_equal(config.domains[0].name, "a");
	assert_int_equal(config.peer_count, 2);
	status = reload_status(&ctl);
	assert_true(json_is_false(json_object_get(status, "ok")));
	assert_string_equal(json_string_value(json_object_get(status, "messages")),
			    ctl.reload->messages);
	json_decref(status);
}

static void test_broken(void **state)
{
	(void)state;
	config_write("[domain b]\nkey_file = $/d1\nmax_blobs = lots\n");
	must_stay("[domain b] max_blobs: ");
	config_write("[domain b]\nkey_file = $/none\n");
	must_stay("none does not exist; ");
	config_write("[domain b]\nkey_file = $/d1\n[peer x]\nkey_file = $/p1\n[peer y]\n"
		     "key_file = $/p1\n");
	must_stay("as has [peer x]");
	config_write("[domain b]\nkey_file = $/d1\n[nonsense]\n");
	file_write("d1", "1.1 \n");
	must_stay("d1 does not hold a domain key; ");
	file_remove("conf");
	must_stay("cannot be read");
	/* all is well again */
	file_write("d1", "1.1 " HEX "\n");
	config_write("[domain b]\nkey_file = $/d1\n");
	assert_true(reload_run(&ctl));
	assert_string_equal(config.domains[0].name, "b");
	assert_int_equal(config.peer_count, 0);
}

static void test_another_role(void **state)
{
	char text[256];

	(void)state;
	snprintf(text, sizeof(text),
		 "[relay]\nrole = private\nlisten = 192.0.2.1\nport = vdev:x\n"
		 "master_key_file = %s/master\n",
		 folder);
	file_write("conf", text);
	must_stay("[relay] role cannot change");
}

/* What needs a restart is named and stays; the rest takes effect. */
static void test_restart_needed(void **state)
{
	json_t *status;

	(void)state;
	config_write("workers = 3\n[targets]\nallow = 10.0.0.0/8\n"
		     "[domain b]\nkey_file = $/d1\nmax_uploads = 7\n");
	assert_true(reload_run(&ctl));
	assert_non_null(strstr(ctl.reload->messages, "warning: [relay] workers needs a restart"));
	assert_int_equal(config.workers, 1);
	assert_int_equal(relay_keyring(&relay)->policy.count, 1);
	assert_int_equal(keyring_domain(relay_keyring(&relay), 1)->max_uploads, 7);
	status = reload_status(&ctl);
	assert_true(json_is_true(json_object_get(status, "ok")));
	assert_non_null(json_object_get(status, "messages"));
	json_decref(status);
	/* nothing to say, so nothing is said of it any more */
	config_write("[domain b]\nkey_file = $/d1\n");
	assert_true(reload_run(&ctl));
	assert_string_equal(ctl.reload->messages, "");
}

/* time_us: of the sender's clock. */
static struct peer *authenticate_at(uint32_t field, uint64_t nonce, uint64_t time_us)
{
	return peer_authenticate(&ctl, field, nonce, time_us / 1000);
}

static struct peer *authenticate(uint32_t field, uint64_t nonce)
{
	return authenticate_at(field, nonce, NOW_US);
}

static void test_nonces(void **state)
{
	const uint32_t x = 1 << 8 | 1;

	(void)state;
	assert_null(authenticate(0, NOW_US));
	assert_null(authenticate(9 << 8, NOW_US));
	assert_int_equal(ctl.stats.drops[DROP_KEY_UNKNOWN], 2);
	assert_non_null(authenticate(x, NOW_US));
	assert_null(authenticate(x, NOW_US));
	/* further ahead than the clocks may be apart: it must not move the window */
	assert_null(authenticate(x, NOW_US + 31000000));
	assert_null(authenticate(x, UINT64_MAX));
	assert_non_null(authenticate(x, NOW_US + 1));
	assert_int_equal(ctl.stats.drops[DROP_REPLAY], 3);
}

static void clock_set(uint64_t us)
{
	ctl.wall_us = us;
	peers_clock_set(&ctl);
}

/* Both relays' clocks were an hour ahead, and are set right: the numbers that the
 * peer uses from then on are good, those it used before never again, also when the
 * hour is over. */
static void test_clock_set_back(void **state)
{
	const uint64_t hour = UINT64_C(3600000000);
	const uint32_t x = 1 << 8 | 1;
	struct peer *p;

	(void)state;
	clock_set(NOW_US + hour);
	p = authenticate_at(x, NOW_US + hour + 5, NOW_US + hour);
	assert_non_null(p);
	assert_non_null(authenticate_at(x, NOW_US + hour + 7, NOW_US + hour));
	assert_true(p->nonce >= NOW_US + hour); /* ours were of that time, too */
	clock_set(NOW_US);
	assert_true(p->nonce == NOW_US);
	assert_non_null(authenticate_at(x, NOW_US + 1, NOW_US));
	assert_null(authenticate_at(x, NOW_US + 1, NOW_US));
	ctl.wall_us = NOW_US + hour;
	assert_null(authenticate_at(x, NOW_US + hour + 5, NOW_US + hour));
	assert_null(authenticate_at(x, NOW_US + hour + 7, NOW_US + hour));
	assert_non_null(authenticate_at(x, NOW_US + 2, NOW_US + hour));
	assert_non_null(authenticate_at(x, NOW_US + hour + 8, NOW_US + hour));
}

/* The clocks were right, then an hour ahead for a while: back again, what was seen
 * before that is still a replay. */
static void test_clock_set_there_and_back(void **state)
{
	const uint64_t hour = UINT64_C(3600000000);
	const uint32_t x = 1 << 8 | 1;

	(void)state;
	assert_non_null(authenticate_at(x, NOW_US + 1, NOW_US));
	clock_set(NOW_US + hour);
	assert_non_null(authenticate_at(x, NOW_US + hour, NOW_US + hour));
	clock_set(NOW_US + 10);
	assert_null(authenticate_at(x, NOW_US + 1, NOW_US));
	assert_null(authenticate_at(x, NOW_US, NOW_US));
	assert_non_null(authenticate_at(x, NOW_US + 10, NOW_US + 10));
	assert_null(authenticate_at(x, NOW_US + 10, NOW_US + 10));
}

/* Started in 1970, as a board without a battery does: once the clock is right, our
 * numbers are above those of the run before. */
static void test_clock_set_forward(void **state)
{
	struct peer *p = peer_find(&ctl, 1);

	(void)state;
	p->nonce = 5;
	clock_set(NOW_US + 1);
	assert_true(p->nonce == NOW_US + 1);
	/* a small step back changes nothing: all was taken, and all will be */
	p->nonce = NOW_US + 1000;
	clock_set(NOW_US - 20000000);
	assert_true(p->nonce == NOW_US + 1000);
}

/* A peer whose clock is wrong is a problem in words; what an eavesdropper repeats is
 * none. */
static void test_peer_clock(void **state)
{
	const uint32_t x = 1 << 8 | 1;
	json_t *problems = json_array(), *o;

	(void)state;
	assert_non_null(authenticate_at(x, NOW_US + 10, NOW_US));
	ctl.wall_us = NOW_US + 100000000;
	assert_null(authenticate_at(x, NOW_US + 10, NOW_US));
	json_decref(peers_status(&ctl, problems));
	assert_int_equal(json_array_size(problems), 0);
	ctl.wall_us = NOW_US;
	assert_null(authenticate_at(x, NOW_US + 11, NOW_US + 3600000000));
	json_decref(peers_status(&ctl, problems));
	assert_int_equal(json_array_size(problems), 1);
	assert_non_null(strstr(json_string_value(json_array_get(problems, 0)),
			       "relay x is 3600 s ahead of"));
	assert_null(authenticate_at(x, NOW_US + 11, UINT64_MAX));
	json_array_clear(problems);
	assert_non_null(authenticate_at(x, NOW_US + 11, NOW_US + 1500000));
	o = peers_status(&ctl, problems);
	assert_int_equal(json_array_size(problems), 0);
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(o, "x"), "clock_ahead_ms")),
		1500);
	json_decref(o);
	json_decref(problems);
}

/* Central goes on with the generation that it was asked with. */
static void test_pair_rotation(void **state)
{
	struct peer *p = authenticate(1 << 8 | 1, NOW_US);
	struct addr from, other;

	(void)state;
	assert_int_equal(addr_parse("192.0.2.7:4870", 0, &from), 0);
	assert_int_equal(addr_parse("192.0.2.8:4870", 0, &other), 0);
	assert_non_null(p);
	peer_heard(&ctl, p, &from, 1 << 8 | 1);
	p->nonce = 4711;
	file_write("p1", "1.2 " HEX "\n1.1 " HEX "\n");
	config_write("[peer new]\nkey_file = $/p2\n[peer x]\nkey_file = $/p1\n");
	assert_true(reload_run(&ctl));
	assert_null(authenticate(1 << 8 | 1, NOW_US)); /* the window was kept */
	assert_ptr_equal(authenticate(1 << 8 | 2, NOW_US + 1), p);
	assert_int_equal(p->nonce, 4711);
	assert_int_equal(peer_field(p), 1 << 8 | 1);
	assert_true(addr_equal(&p->addr, &from));
	assert_true(peer_hosts_have(&relay.peers, &from));
	peer_heard(&ctl, p, &other, 1 << 8 | 2);
	assert_int_equal(peer_field(p), 1 << 8 | 2);
	assert_true(peer_hosts_have(&relay.peers, &other));
	assert_false(peer_hosts_have(&relay.peers, &from));
}

static void test_peer_comes_and_goes(void **state)
{
	struct addr y;

	(void)state;
	assert_int_equal(addr_parse("192.0.2.9", 4870, &y), 0);
	assert_true(peer_hosts_have(&relay.peers, &y));
	assert_non_null(authenticate(2 << 8 | 1, NOW_US));
	config_write("[peer x]\nkey_file = $/p1\n");
	assert_true(reload_run(&ctl));
	assert_null(authenticate(2 << 8 | 1, NOW_US + 1));
	assert_false(peer_hosts_have(&relay.peers, &y));
	assert_non_null(authenticate(1 << 8 | 1, NOW_US));
	config_write("[peer y]\nkey_file = $/p2\naddress = 192.0.2.9\n[peer x]\nkey_file = $/p1\n");
	assert_true(reload_run(&ctl));
	assert_non_null(authenticate(2 << 8 | 1, NOW_US + 1));
	assert_true(peer_hosts_have(&relay.peers, &y));
	assert_null(authenticate(1 << 8 | 1, NOW_US));
}

/* A signal does the same. */
static void test_signal(void **state)
{
	(void)state;
	config_write("[domain b]\nkey_file = $/d1\n");
	assert_int_equal(raise(SIGHUP), 0);
	event_base_loop(ctl.base, EVLOOP_ONCE);
	assert_int_equal(ctl.reload->count, 1);
	assert_string_equal(config.domains[0].name, "b");
}

static int group_set_up(void **state)
{
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/conf", folder);
	return unit_eal_start(state);
}

static int group_tear_down(void **state)
{
	rmdir(folder);
	return unit_eal_stop(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rotation, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_broken, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_another_role, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_restart_needed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nonces, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_clock_set_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_clock_set_there_and_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_clock_set_forward, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_peer_clock, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_pair_rotation, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_peer_comes_and_goes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_signal, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
