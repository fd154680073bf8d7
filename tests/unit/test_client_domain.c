/* SPDX-License-Identifier: BSD-3-Clause
 * Members of a domain: what is signed, what is believed, possession, and relays
 * that put clients off.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/lib/clock.h"
#include "client_world.h"
#include "wire/keyfile.h"

#define DOMAIN_ID 77

static struct domain_keys keys;
static char old_file[64], new_file[64]; /* generations 3, and 4 with 3 below it */

static void key_file_make(char path[64], uint32_t newest)
{
	struct key_set s = {.id = DOMAIN_ID, .count = newest - 2};
	char text[KEY_SET_TEXT];
	int fd;

	for (uint32_t i = 0; i < s.count; i++) {
		s.key[i].generation = (uint8_t)(newest - i);
		memset(s.key[i].key, 7, KEY_SET_SIZE);
	}
	strcpy(path, "/var/tmp/oncewire-key-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(key_file_write(path, key_set_text(&s, text), true), 0);
}

static int files_make(void **state)
{
	uint8_t key[KEY_SET_SIZE];

	(void)state;
	memset(key, 7, sizeof(key));
	domain_keys_derive(&keys, key);
	key_file_make(old_file, 3);
	key_file_make(new_file, 4);
	return 0;
}

static int files_remove(void **state)
{
	(void)state;
	unlink(old_file);
	unlink(new_file);
	return 0;
}

/* A world whose first relay has the domain, in generation 3. */
static int setup(void **state)
{
	struct world *w;

	world_setup(state);
	w = *state;
	w->relay->domain = &keys;
	w->relay->key = DOMAIN_ID << 8 | 3;
	w->domain_key = old_file;
	return 0;
}

/* Runs until the relay has heard a frame of this verb. */
static void run_until(struct world *w, uint8_t verb)
{
	uint64_t end = clock_now() + 5 * SECOND;

	while (w->relay->frames[verb] == 0 && clock_now() < end) {
		if (w->sender != NULL)
			ow_sender_process(w->sender);
		if (w->receiver != NULL)
			ow_receiver_process(w->receiver);
		relay_run(w->relay);
	}
	assert_int_not_equal(w->relay->frames[verb], 0);
}

/* ---- what is signed ---- */

static void test_member(void **state)
{
	static const uint8_t verbs[] = {VERB_LISTEN, VERB_SEND,	   VERB_DATA,
					VERB_PULL,   VERB_RECEIPT, VERB_STOP};
	struct world *w = *state;
	size_t i;

	w->relay->loss = 30;
	world_receive(w, 1, true);
	world_send(w, MEGABYTES_3, 20000);
	run_until(w, VERB_LISTEN);
	assert_int_equal(world_run(w, false), OW_OK);
	assert_int_equal(world_result(w).outcome, OW_UPLOADED_PRIVATE);
	file_check(w->path, w->data, MEGABYTES_3);
	assert_int_equal(world_run(w, true), OW_OK);
	for (i = 0; i < sizeof(verbs); i++) {
		assert_int_not_equal(w->relay->signed_by[verbs[i]], 0);
		assert_int_equal(w->relay->unsigned_by[verbs[i]], 0);
	}
	assert_int_equal(w->warnings, 0);
}

/* The NAT gives the source another address in the middle of it. */
static void test_seen_changes(void **state)
{
	struct addr before = {.type = ADDR_IP4, .port = put16(1), .ip = {192, 0, 2, 1}};
	struct addr after = {.type = ADDR_IP4, .port = put16(2), .ip = {192, 0, 2, 1}};
	struct world *w = *state;

	w->relay->seen = &before;
	world_receive(w, 1, true);
	run_until(w, VERB_LISTEN);
	world_send(w, MEGABYTES_3, 10000);
	run_until(w, VERB_DATA);
	w->relay->seen = &after;
	assert_int_equal(world_run(w, false), OW_OK);
	assert_int_not_equal(w->relay->unsigned_by[VERB_DATA], 0);
	file_check(w->path, w->data, MEGABYTES_3);
}

/* ---- what is believed ---- */

static void test_forged(void **state)
{
	struct world *w = *state;
	int wrongly;

	w->relay->mute_offers = true;
	w->relay->forged = 1;
	relay_store(w->relay, w->data, 1000);
	for (wrongly = 0; wrongly < 2; wrongly++) {
		w->relay->forged_signed = wrongly;
		world_send(w, 1000, 800);
		assert_int_equal(world_run(w, false), OW_UNCONFIRMED);
		assert_false(world_result(w).delivered);
		ow_sender_close(w->sender);
	}
	/* who is of no domain has nothing to tell it by */
	w->relay->domain = NULL;
	w->relay->forged_signed = false;
	w->domain_key = NULL;
	world_send(w, 1000, 800);
	assert_int_equal(world_run(w, false), OW_OK);
}

static void test_unsigned_welcome(void **state)
{
	struct world *w = *state;

	w->relay->careless = true;
	world_send(w, 1000, 900);
	assert_int_equal(world_run(w, false), OW_UNREACHABLE);
	assert_int_equal(w->relay->frames[VERB_SEND], 0);
	assert_non_null(strstr(ow_sender_message(w->sender), "generation 3 of domain 77"));
	assert_non_null(strstr(ow_sender_message(w->sender), old_file));
}

/* ---- keys that are not accepted ---- */

static void test_retired(void **state)
{
	struct world *w = *state;

	w->relay->mute_offers = true;
	relay_store(w->relay, w->data, 1000);
	world_send(w, 1000, 10000);
	run_until(w, VERB_SEND);
	w->relay->key++;
	assert_int_equal(world_run(w, false), OW_REFUSED);
	assert_true(world_result(w).seconds < 3);
	assert_non_null(strstr(ow_sender_message(w->sender), "generation 3 of domain 77"));
	assert_non_null(strstr(ow_sender_message(w->sender), old_file));
	assert_non_null(strstr(ow_sender_message(w->sender), "newer key"));
}

/* The refusal is somebody else's. */
static void test_retired_forged(void **state)
{
	struct world *w = *state;

	w->relay->lies = UINT32_MAX;
	world_send(w, MEGABYTES_3, 2000);
	assert_int_equal(world_run(w, false), OW_UNCONFIRMED);
	assert_true(w->relay->stored);
}

/* A target pulls without its key once that is not accepted. */
static void test_retired_target(void **state)
{
	struct world *w = *state;

	relay_store(w->relay, w->data, MEGABYTES_3);
	world_receive(w, 1, true);
	run_until(w, VERB_LISTEN);
	w->relay->key++;
	w->domain_key = new_file;
	world_send(w, MEGABYTES_3, 10000);
	assert_int_equal(world_run(w, false), OW_OK);
	file_check(w->path, w->data, MEGABYTES_3);
	assert_int_equal(w->warnings, 1);
	assert_non_null(strstr(w->warning, "generation 3 of domain 77"));
	assert_non_null(strstr(w->warning, "newer key"));
}

static void test_members_only(void **state)
{
	struct world *w = *state;

	w->domain_key = NULL;
	world_send(w, 1000, 5000);
	assert_int_equal(world_run(w, false), OW_REFUSED);
	assert_non_null(strstr(ow_sender_message(w->sender), refuse_text(REFUSE_MEMBERS_ONLY)));
	assert_non_null(strstr(ow_sender_message(w->sender), "--domain-key"));
}

/* Targets need not be members, but get no lease then. */
static void test_open_target(void **state)
{
	struct world *w = *state;

	w->domain_key = NULL;
	world_receive(w, 1, true);
	run_until(w, VERB_LISTEN);
	w->domain_key = old_file;
	world_send(w, 100000, 10000);
	assert_int_equal(world_run(w, false), OW_OK);
	file_check(w->path, w->data, 100000);
	assert_int_equal(w->warnings, 1);
	assert_non_null(strstr(w->warning, "--domain-key"));
	assert_int_equal(w->relay->lease.type, ADDR_NONE);
}

static void file_problem(const char *path, const char *words)
{
	struct ow_send_options s = {.relay = "127.0.0.1",
				    .via = OW_VIA_PRIVATE,
				    .target = "127.0.0.1",
				    .data = "x",
				    .size = 1,
				    .domain_key_file = path};
	struct ow_receive_options r = {
		.directory = "/var/tmp", .listen = "127.0.0.1:0", .domain_key_file = path};
	char message[OW_MESSAGE_MAX];

	assert_int_equal(ow_send(&s, NULL, message), OW_FAILED);
	assert_non_null(strstr(message, path));
	assert_non_null(strstr(message, words));
	assert_int_equal(ow_receive(&r, message), OW_FAILED);
	assert_non_null(strstr(message, path));
	assert_non_null(strstr(message, words));
}

static void test_file_problems(void **state)
{
	char path[64];
	int fd;

	(void)state;
	key_file_make(path, 3);
	chmod(path, 0640);
	file_problem(path, "chmod 600");
	chmod(path, 0600);
	fd = open(path, O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, "abc\n", 4), 4);
	close(fd);
	file_problem(path, "oncewire keygen domain");
	unlink(path);
	file_problem(path, "No such file");
}

/* ---- possession ---- */

static void test_possession(void **state)
{
	static const size_t sizes[] = {0, 1, (size_t)PROOF_CHUNKS * CHUNK_SIZE,
				       (size_t)PROOF_CHUNKS * CHUNK_SIZE + 1, MEGABYTES_3};
	struct world *w;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		setup((void **)&w);
		w->relay->possession = true;
		relay_store(w->relay, w->data, sizes[i]);
		world_receive(w, 0, false);
		world_send(w, sizes[i], 5000);
		assert_int_equal(world_run(w, false), OW_OK);
		assert_int_equal(world_result(w).outcome, OW_PRIVATE_HIT);
		assert_int_equal(w->relay->challenges, 1);
		file_check(w->path, w->data, sizes[i]);
		world_teardown((void **)&w);
	}
}

/* From a file, with loss, and with another challenge in the middle of it. */
static void test_possession_again(void **state)
{
	struct world *w = *state;
	struct ow_send_options o = {.relay = w->relay_text,
				    .via = OW_VIA_PRIVATE,
				    .target = w->target_text,
				    .domain_key_file = w->domain_key,
				    .timeout_ms = 20000};
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/source", w->directory);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, w->data, MEGABYTES_3), MEGABYTES_3);
	close(fd);
	o.path = path;
	w->relay->possession = true;
	w->relay->mute_offers = true;
	w->relay->loss = 50;
	relay_store(w->relay, w->data, MEGABYTES_3);
	assert_int_equal(ow_sender_open(&o, &w->sender), OW_OK);
	while (w->relay->challenges == 0) {
		assert_int_equal(ow_sender_process(w->sender), OW_AGAIN);
		relay_run(w->relay);
	}
	memset(w->relay->keys.keys[1].challenge, 9, 16);
	w->relay->mute_offers = false;
	world_receive(w, 0, false);
	assert_int_equal(world_run(w, false), OW_OK);
	assert_true(w->relay->challenges >= 2 && w->relay->challenges < 10);
}

/* Other bytes than those the relay holds. */
static void test_possession_wrong(void **state)
{
	struct world *w = *state;

	w->relay->possession = true;
	relay_store(w->relay, w->data, 5000);
	w->relay->bytes[4000] ^= 1;
	world_send(w, 5000, 5000);
	assert_int_equal(world_run(w, false), OW_REFUSED);
	assert_non_null(strstr(ow_sender_message(w->sender), refuse_text(REFUSE_PROOF)));
}

/* ---- put off ---- */

static void test_busy(void **state)
{
	struct world *w = *state;

	w->relay->busy = 2;
	w->relay->retry_after = 600;
	relay_store(w->relay, w->data, 1000);
	world_receive(w, 0, false);
	world_send(w, 1000, 10000);
	assert_int_equal(world_run(w, false), OW_OK);
	assert_int_equal(w->relay->hasty, 0);
	assert_true(world_result(w).seconds > 1.2);
}

static void test_busy_lease(void **state)
{
	struct world *w = *state;
	uint64_t end = clock_now() + 5 * SECOND;

	w->relay->busy = 2;
	w->relay->retry_after = 600;
	world_receive(w, 0, true);
	while (w->relay->lease.type == ADDR_NONE && clock_now() < end) {
		ow_receiver_process(w->receiver);
		relay_run(w->relay);
	}
	assert_int_equal(w->relay->lease.type, ADDR_IP4);
	assert_int_equal(w->relay->frames[VERB_LISTEN], 3);
	assert_int_equal(w->relay->hasty, 0);
}

static void test_busy_always(void **state)
{
	struct world *w = *state;

	w->relay->busy = UINT32_MAX;
	world_send(w, 1000, 1000);
	assert_int_equal(world_run(w, false), OW_REFUSED);
	assert_non_null(strstr(ow_sender_message(w->sender), "busy"));
	assert_true(w->relay->frames[VERB_SEND] < 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_member, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_seen_changes, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_forged, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_unsigned_welcome, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_retired, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_retired_forged, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_retired_target, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_members_only, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_open_target, setup, world_teardown),
		cmocka_unit_test(test_file_problems),
		cmocka_unit_test(test_possession),
		cmocka_unit_test_setup_teardown(test_possession_again, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_possession_wrong, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_busy, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_busy_lease, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_busy_always, setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, files_make, files_remove);
}
