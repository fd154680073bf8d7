/* SPDX-License-Identifier: BSD-3-Clause
 * Encrypted transfers through a small relay.
 */
#include "client_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "client/lib/sender.h"
#include "wire/keyfile.h"

static struct identity ours, stranger;
static char recipient[RECIPIENT_TEXT];
static char folder[] = "/var/tmp/oncewire-test-XXXXXX";
static char identity_file[64], stranger_file[64], secret_file[64], other_secret_file[64];

static void secret_write(char *path, const char *name, const uint8_t secret[32])
{
	char text[66];

	snprintf(path, 64, "%s/%s", folder, name);
	sodium_bin2hex(text, sizeof(text), secret, 32);
	assert_int_equal(key_file_write(path, text, false), 0);
}

static int group_setup(void **state)
{
	const uint8_t secret[32] = {1}, other[32] = {2};

	(void)state;
	if (sodium_init() < 0 || mkdtemp(folder) == NULL)
		return -1;
	crypto_box_keypair(ours.recipient.key, ours.secret);
	crypto_box_keypair(stranger.recipient.key, stranger.secret);
	recipient_text(&ours.recipient, recipient);
	secret_write(identity_file, "identity", ours.secret);
	secret_write(stranger_file, "stranger", stranger.secret);
	secret_write(secret_file, "content", secret);
	secret_write(other_secret_file, "other", other);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	directory_count(folder, true);
	return rmdir(folder);
}

static int setup(void **state)
{
	struct world *w;

	if (world_setup(state) != 0)
		return -1;
	w = *state;
	w->identity = identity_file;
	w->recipient = recipient;
	w->encrypt = OW_ENCRYPT_RANDOM;
	w->content_key = secret_file;
	return 0;
}

static void send_again(struct world *w, size_t size)
{
	ow_sender_close(w->sender);
	world_send(w, size, 10000);
}

/* The file arrived, and the relay had neither it nor its name. */
static void arrived_check(struct world *w, size_t size)
{
	struct ow_send_result r = world_result(w);
	char expected[128];

	snprintf(expected, sizeof(expected), "%s/report.pdf", w->directory);
	assert_string_equal(w->path, expected);
	assert_true(w->encrypted);
	assert_int_equal(w->bytes, size);
	assert_int_equal(r.bytes, size);
	assert_string_equal(w->id, r.id);
	assert_false(r.renamed);
	file_check(w->path, w->data, size);
	assert_int_equal(w->relay->length, content_sealed_length(size));
	assert_null(memmem(w->relay->meta, w->relay->meta_len, "report", 6));
	assert_null(memmem(w->relay->meta, w->relay->meta_len, "application", 11));
	if (size >= 16)
		assert_null(memmem(w->relay->bytes, w->relay->length, w->data, 16));
}

static void test_sizes(void **state)
{
	static const size_t sizes[] = {
		0, 1, 1000, SEGMENT_SIZE - 1, SEGMENT_SIZE, SEGMENT_SIZE + 1, MEGABYTES_3};
	struct world *w;
	size_t i;
	int mode;

	(void)state;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (mode = OW_ENCRYPT_SHARED; mode <= OW_ENCRYPT_RANDOM; mode++) {
			assert_int_equal(setup((void **)&w), 0);
			w->encrypt = mode;
			w->relay->loss = i == 6 ? 20 : 0;
			world_receive(w, 0, false);
			world_send(w, sizes[i], 20000);
			assert_int_equal(world_run(w, false), OW_OK);
			assert_int_equal(world_result(w).outcome, OW_UPLOADED_PRIVATE);
			assert_int_equal(world_result(w).uploaded_bytes,
					 content_sealed_length(sizes[i]));
			arrived_check(w, sizes[i]);
			assert_int_equal(directory_count(w->directory, false), 1);
			world_teardown((void **)&w);
		}
}

/* What the relay is asked for, by identifier. */
static void id_sent(struct world *w, struct ident *id)
{
	send_again(w, 5000);
	assert_int_equal(world_run(w, false), OW_OK);
	assert_int_equal(ident_from_hex(world_result(w).id, id), 0);
}

static void test_identifiers(void **state)
{
	struct world *w = *state;
	struct ident first, again;

	world_receive(w, 0, false);
	w->encrypt = OW_ENCRYPT_SHARED;
	id_sent(w, &first);
	id_sent(w, &again);
	assert_true(ident_equal(&first, &again));
	assert_int_equal(world_result(w).outcome, OW_PRIVATE_HIT);
	assert_int_equal(world_result(w).uploaded_bytes, 0);
	assert_int_equal(w->files, 2);
	file_check(w->path, w->data, 5000);
	assert_string_equal(world_result(w).target_name, "report (1).pdf");
	/* This relay answers "hit" to any identifier: look only at what is asked. */
	w->content_key = other_secret_file;
	w->relay->refuse = REFUSE_STORE_FULL;
	send_again(w, 5000);
	assert_int_equal(world_run(w, false), OW_REFUSED);
	assert_int_equal(ident_from_hex(world_result(w).id, &again), 0);
	assert_false(ident_equal(&first, &again));
	w->encrypt = OW_ENCRYPT_RANDOM;
	send_again(w, 5000);
	assert_int_equal(world_run(w, false), OW_REFUSED);
	assert_int_equal(ident_from_hex(world_result(w).id, &first), 0);
	send_again(w, 5000);
	assert_int_equal(world_run(w, false), OW_REFUSED);
	assert_int_equal(ident_from_hex(world_result(w).id, &again), 0);
	assert_false(ident_equal(&first, &again));
}

/* A name that is not sealed with the content key is nobody's that could read it. */
static void test_unsealed_name(void **state)
{
	struct world *w = *state;

	w->relay->lie = "somebody's name for it, long enough to be a sealed one";
	world_receive(w, 0, false);
	world_send(w, 5000, 20000);
	assert_int_equal(world_run(w, false), OW_OK);
	assert_true(world_result(w).delivered);
	assert_string_equal(world_result(w).target_name, "");
}

/* The rule of the identifier has no part in the key. */
static void test_rule(void **state)
{
	struct world *w = *state;
	struct ow_send_options o = {.relay = w->relay_text,
				    .via = OW_VIA_PRIVATE,
				    .target = w->target_text,
				    .data = w->data,
				    .size = 70000,
				    .name = "report.pdf",
				    .rule = OW_XXH3,
				    .encrypt = OW_ENCRYPT_SHARED,
				    .recipient = recipient,
				    .content_key_file = secret_file};

	world_receive(w, 0, false);
	assert_int_equal(ow_sender_open(&o, &w->sender), OW_OK);
	assert_int_equal(world_run(w, false), OW_OK);
	arrived_check(w, 70000);
}

static void declined_check(struct world *w, const char *why)
{
	uint32_t offers;

	world_receive(w, 1, false);
	world_send(w, 5000, 10000);
	assert_int_equal(world_run(w, false), OW_REFUSED);
	assert_non_null(strstr(ow_sender_message(w->sender), refuse_text(REFUSE_TARGET_DECLINED)));
	assert_int_equal(w->relay->receipt, RECEIPT_REFUSED);
	assert_int_equal(w->relay->reason, REFUSE_TARGET_DECLINED);
	assert_int_equal(w->relay->frames[VERB_PULL], 0);
	assert_non_null(strstr(w->warning, why));
	/* Repeated, it is answered likewise, without another warning. */
	w->relay->receipt = 0;
	for (offers = 0; offers < 3; offers++)
		relay_offer(w->relay);
	relay_run(w->relay);
	usleep(20000);
	ow_receiver_process(w->receiver);
	usleep(20000);
	relay_run(w->relay);
	assert_int_equal(w->relay->receipt, RECEIPT_REFUSED);
	assert_int_equal(w->warnings, 1);
	assert_int_equal(w->files, 0);
	assert_int_equal(directory_count(w->directory, false), 0);
}

static void test_no_identity(void **state)
{
	struct world *w = *state;

	w->identity = NULL;
	declined_check(w, "--identity");
}

static void test_wrong_identity(void **state)
{
	struct world *w = *state;
	char text[RECIPIENT_TEXT];

	w->identity = stranger_file;
	declined_check(w, recipient_text(&stranger.recipient, text));
}

/* An identity does not keep plain files out. */
static void test_plain(void **state)
{
	struct world *w = *state;

	w->encrypt = 0;
	w->recipient = NULL;
	world_receive(w, 0, false);
	world_send(w, 5000, 10000);
	assert_int_equal(world_run(w, false), OW_OK);
	file_check(w->path, w->data, 5000);
	assert_false(w->encrypted);
}

/* A source whose blob has its identifier, but is not what its key made: `at` is
 * the byte of the ciphertext that it got wrong, in the metadata if behind it. */
static void wrong_send(struct world *w, size_t at)
{
	const uint8_t key[CONTENT_KEY_SIZE] = {3};
	size_t size = 2 * SEGMENT_SIZE + 50, sealed_size = content_sealed_length(size), i;
	uint8_t *sealed = malloc(sealed_size);
	struct ow_sender *s;
	struct content c;

	content_init(&c, key, size);
	memcpy(sealed, c.header, CONTENT_HEADER);
	for (i = 0; i < content_segments(&c); i++)
		segment_seal(&c, i, w->data + i * SEGMENT_SIZE,
			     sealed + CONTENT_HEADER + i * SEGMENT_SEALED);
	if (at < sealed_size)
		sealed[at] ^= 1;
	free(w->data);
	w->data = sealed;
	w->encrypt = 0;
	w->recipient = NULL;
	world_send(w, sealed_size, 10000);
	s = w->sender;
	assert_int_equal(key_seal(key, &ours.recipient, s->sealed_key), 0);
	s->has_sealed = true;
	s->meta_len = (uint8_t)meta_seal(&c, (const uint8_t *)"x", 1, s->meta);
	if (at >= sealed_size)
		s->meta[at - sealed_size] ^= 1;
}

static void test_wrong(void **state)
{
	static const size_t at[] = {
		0,
		CONTENT_HEADER - 1,
		CONTENT_HEADER,
		CONTENT_HEADER + SEGMENT_SIZE,
		CONTENT_HEADER + 2 * SEGMENT_SEALED + 49,
		CONTENT_HEADER + 2 * SEGMENT_SEALED + 50 + SEGMENT_TAG - 1,
		CONTENT_HEADER + 2 * SEGMENT_SEALED + 50 + SEGMENT_TAG,
	};
	struct world *w;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		assert_int_equal(setup((void **)&w), 0);
		world_receive(w, 1, false);
		wrong_send(w, at[i]);
		assert_int_equal(world_run(w, false), OW_REFUSED);
		assert_int_equal(w->relay->reason, REFUSE_TARGET_FAILED);
		assert_int_equal(w->warnings, 1);
		assert_non_null(strstr(w->warning, "decrypted"));
		assert_int_equal(w->files, 0);
		assert_int_equal(directory_count(w->directory, false), 0);
		world_teardown((void **)&w);
	}
}

static int open_with(struct world *w, struct ow_send_options *o)
{
	int ret;

	o->relay = "127.0.0.1";
	o->via = OW_VIA_PRIVATE;
	o->target = "127.0.0.1";
	o->data = "x";
	o->size = 1;
	ow_sender_close(w->sender);
	ret = ow_sender_open(o, &w->sender);
	assert_true(ret == OW_OK || strlen(ow_sender_message(w->sender)) > 20);
	return ret;
}

static void test_options(void **state)
{
	struct world *w = *state;
	char name[256];
	struct ow_send_options o = {.encrypt = OW_ENCRYPT_SHARED, .recipient = recipient};
	struct ow_receive_options r = {.directory = w->directory, .identity_file = "/nonexistent"};

	/* a recipient alone must not send plain text */
	assert_int_equal(open_with(w, &(struct ow_send_options){.recipient = recipient}),
			 OW_INVALID);
	assert_int_equal(open_with(w, &(struct ow_send_options){.encrypt = OW_ENCRYPT_RANDOM}),
			 OW_INVALID);
	assert_int_equal(
		open_with(w, &(struct ow_send_options){.encrypt = 3, .recipient = recipient}),
		OW_INVALID);
	assert_int_equal(open_with(w, &o), OW_INVALID); /* no content key */
	o.content_key_file = "/nonexistent";
	assert_int_equal(open_with(w, &o), OW_FAILED);
	o.content_key_file = secret_file;
	assert_int_equal(open_with(w, &o), OW_OK);
	o.recipient = "12";
	assert_int_equal(open_with(w, &o), OW_INVALID);
	o.recipient = recipient;
	memset(name, 'n', sizeof(name));
	name[215] = '\0';
	o.name = name;
	assert_int_equal(open_with(w, &o), OW_OK);
	name[215] = 'n';
	name[216] = '\0';
	assert_int_equal(open_with(w, &o), OW_INVALID);
	assert_non_null(strstr(ow_sender_message(w->sender), "214"));

	assert_int_equal(ow_receiver_open(&r, &w->receiver), OW_FAILED);
	assert_non_null(strstr(ow_receiver_message(w->receiver), "/nonexistent"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test_setup_teardown(test_identifiers, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_unsealed_name, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_rule, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_no_identity, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_wrong_identity, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_plain, setup, world_teardown),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test_setup_teardown(test_options, setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
