/* SPDX-License-Identifier: BSD-3-Clause
 * Sender and receiver against a small relay, over loopback, with loss.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "client/lib/clock.h"
#include "client/lib/receiver.h"
#include "client_world.h"

/* One transfer through a relay that loses `loss` frames in a thousand. */
static void transfer(struct world *w, size_t size, bool stored, bool lease, uint32_t loss,
		     int outcome)
{
	struct ow_send_result r;
	char expected[128];

	w->relay->loss = loss;
	if (stored)
		relay_store(w->relay, w->data, size);
	world_receive(w, loss > 0, lease);
	world_send(w, size, 25000);
	assert_int_equal(world_run(w, false), OW_OK);
	r = world_result(w);
	assert_true(r.delivered);
	assert_false(r.renamed);
	assert_int_equal(r.outcome, outcome);
	assert_int_equal(r.bytes, size);
	assert_int_equal(r.uploaded_bytes, stored ? 0 : size);
	assert_int_equal(w->files, 1);
	assert_int_equal(w->bytes, size);
	assert_string_equal(w->id, r.id);
	assert_string_equal(w->from, w->relay_text);
	snprintf(expected, sizeof(expected), "%s/report.pdf", w->directory);
	assert_string_equal(w->path, expected);
	file_check(w->path, w->data, size);
	/* It lingers, and whatever is still offered meanwhile is no second delivery. */
	if (loss > 0)
		assert_int_equal(world_run(w, true), OW_OK);
	assert_int_equal(directory_count(w->directory, false), 1);
	assert_int_equal(w->files, 1);
}

static void test_hit(void **state)
{
	transfer(*state, MEGABYTES_3, true, false, 0, OW_PRIVATE_HIT);
}

static void test_hit_loss(void **state)
{
	transfer(*state, MEGABYTES_3, true, false, 50, OW_PRIVATE_HIT);
}

/* The relay has the beginning of an earlier upload, which is `prefix`. */
static struct ow_send_result go_on(struct world *w, const uint8_t *prefix)
{
	w->relay->prefix = prefix;
	w->relay->prefix_chunks = 1000;
	world_receive(w, 0, false);
	world_send(w, MEGABYTES_3, 25000);
	assert_int_equal(world_run(w, false), OW_OK);
	file_check(w->path, w->data, MEGABYTES_3);
	return world_result(w);
}

static void test_prefix(void **state)
{
	struct world *w = *state;
	struct ow_send_result r = go_on(w, w->data);

	assert_int_equal(w->relay->vouched, 1);
	assert_int_equal(w->relay->below, 0);
	assert_int_equal(r.kept_bytes, 1000 * CHUNK_SIZE);
	assert_int_equal(r.uploaded_bytes, MEGABYTES_3 - 1000 * CHUNK_SIZE);
	assert_int_equal(r.outcome, OW_UPLOADED_PRIVATE);
	assert_true(w->phases & 1U << OW_UPLOADING);
}

/* What it has is of another blob, or a lie. */
static void test_prefix_of_another(void **state)
{
	uint8_t *other = calloc(1000, CHUNK_SIZE);
	struct ow_send_result r = go_on(*state, other);
	struct world *w = *state;

	free(other);
	assert_int_equal(w->relay->unvouched, 1);
	assert_int_equal(r.kept_bytes, 0);
	assert_int_equal(r.uploaded_bytes, MEGABYTES_3);
}

static void test_hit_leased_loss(void **state)
{
	transfer(*state, 100000, true, true, 50, OW_PRIVATE_HIT);
}

static void test_upload(void **state)
{
	struct world *w = *state;

	transfer(w, MEGABYTES_3, false, false, 0, OW_UPLOADED_PRIVATE);
	assert_true(w->phases & 1U << OW_HASHING);
	assert_true(w->phases & 1U << OW_UPLOADING);
	assert_true(w->phases & 1U << OW_DELIVERING);
}

static void test_upload_loss(void **state)
{
	struct world *w = *state;

	transfer(w, MEGABYTES_3, false, true, 50, OW_UPLOADED_PRIVATE);
	assert_true(world_result(w).repeated_bytes > 0);
}

static void test_sizes(void **state)
{
	static const size_t sizes[] = {1,     1151,  1152,	1153,  36863,
				       36864, 36865, 65536 - 1, 65536, 65536 + 1};
	struct world *w;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		world_setup((void **)&w);
		relay_store(w->relay, w->data, sizes[i]);
		world_receive(w, 0, false);
		world_send(w, sizes[i], 10000);
		assert_int_equal(world_run(w, false), OW_OK);
		file_check(w->path, w->data, sizes[i]);
		world_teardown((void **)&w);
	}
}

/* Nothing to pull: the OFFER completes it, and the RECEIPT needs a cookie. */
static void test_empty(void **state)
{
	transfer(*state, 0, true, false, 0, OW_PRIVATE_HIT);
}

static void test_empty_upload(void **state)
{
	transfer(*state, 0, false, false, 0, OW_UPLOADED_PRIVATE);
}

/* The blob rides in the OFFER: no PULL at all. */
static void test_inline(void **state)
{
	struct world *w = *state;
	uint64_t end = clock_now() + 5 * SECOND;

	relay_store(w->relay, w->data, 700);
	world_receive(w, 1, true);
	while (w->relay->lease.type == ADDR_NONE && clock_now() < end) {
		ow_receiver_process(w->receiver);
		relay_run(w->relay);
	}
	assert_int_equal(w->relay->lease.type, ADDR_IP4);
	world_send(w, 700, 5000);
	assert_int_equal(world_run(w, false), OW_OK);
	assert_int_equal(w->relay->inlined, w->relay->offers);
	assert_int_equal(w->relay->frames[VERB_PULL], 0);
	file_check(w->path, w->data, 700);
	/* and consent ends with the receiver */
	assert_int_equal(world_run(w, true), OW_OK);
	assert_int_equal(w->relay->lease.type, ADDR_NONE);
}

/* Flow 2 with the lease at the private relay: the OFFER names the holder. */
static void test_holder(void **state)
{
	struct world *w = *state;
	char central[ADDR_TEXT_MAX];

	relay_store(w->relay, w->data, MEGABYTES_3);
	relay_store(w->central, w->data, MEGABYTES_3);
	w->relay->holder = w->central;
	w->relay->serving = STATUS_SERVING_CENTRAL;
	w->central->loss = 20;
	world_receive(w, 1, true);
	world_send(w, MEGABYTES_3, 2500);
	/* This central relay has no NOTICE to tell the private one with. */
	assert_int_equal(world_run(w, false), OW_UNCONFIRMED);
	assert_int_equal(w->files, 1);
	assert_string_equal(w->from, relay_text(w->central, central));
	file_check(w->path, w->data, MEGABYTES_3);
	assert_int_equal(w->central->receipt, RECEIPT_COMPLETE);
	assert_int_equal(w->relay->frames[VERB_PULL], 0);
}

/* Each of these frames is lost once; everything arrives all the same. */
static void test_lost_once(void **state)
{
	static const uint8_t verbs[] = {VERB_HELLO, VERB_WELCOME, VERB_LISTEN, VERB_LISTENING,
					VERB_SEND,  VERB_STATUS,  VERB_OFFER,  VERB_PULL,
					VERB_DATA,  VERB_RECEIPT, VERB_STOP};
	struct world *w;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(verbs); i++) {
		world_setup((void **)&w);
		w->relay->lose_verb = verbs[i];
		w->relay->hide_inline = true;
		world_receive(w, 0, true);
		world_send(w, 100, 5000);
		assert_int_equal(world_run(w, false), OW_OK);
		assert_int_equal(w->files, 1);
		ow_receiver_stop(w->receiver);
		assert_int_equal(world_run(w, true), OW_OK);
		assert_int_equal(w->relay->lose_verb, 0);
		assert_int_equal(w->relay->lease.type, ADDR_NONE);
		world_teardown((void **)&w);
	}
}

/* A cookie goes stale under each party. */
static void test_stale(void **state)
{
	struct world *w = *state;

	w->relay->stale = 3;
	world_receive(w, 1, true);
	world_send(w, 200000, 10000);
	assert_int_equal(world_run(w, false), OW_OK);
	assert_int_equal(w->relay->stale, 0);
	w->relay->stale = 0;
	file_check(w->path, w->data, 200000);
}

/* Data that does not match is pulled again once, and then refused. */
static void test_wrong_once(void **state)
{
	struct world *w = *state;

	w->relay->corrupt = 1;
	transfer(w, 50000, true, false, 0, OW_PRIVATE_HIT);
	assert_int_equal(w->warnings, 0);
}

static void test_wrong_always(void **state)
{
	struct world *w = *state;

	w->relay->corrupt = UINT32_MAX;
	relay_store(w->relay, w->data, 50000);
	world_receive(w, 1, false);
	world_send(w, 50000, 10000);
	assert_int_equal(world_run(w, false), OW_REFUSED);
	assert_non_null(strstr(ow_sender_message(w->sender), refuse_text(REFUSE_TARGET_FAILED)));
	assert_int_equal(w->relay->receipt, RECEIPT_REFUSED);
	assert_int_equal(w->files, 0);
	assert_int_equal(w->warnings, 1);
	assert_int_equal(directory_count(w->directory, false), 0);
}

static void test_target_gone(void **state)
{
	struct world *w = *state;

	relay_store(w->relay, w->data, 1000);
	world_send(w, 1000, 1200);
	assert_int_equal(world_run(w, false), OW_UNCONFIRMED);
	assert_non_null(strstr(ow_sender_message(w->sender), w->target_text));
	assert_true(w->relay->frames[VERB_SEND] >= 3);
	assert_false(world_result(w).delivered);
	assert_int_equal(world_result(w).outcome, OW_NONE);
}

static void test_refused(void **state)
{
	struct world *w = *state;

	w->relay->refuse = REFUSE_TOO_LARGE;
	world_send(w, 1000, 5000);
	assert_int_equal(world_run(w, false), OW_REFUSED);
	assert_non_null(strstr(ow_sender_message(w->sender), refuse_text(REFUSE_TOO_LARGE)));
}

/* A reason that came with a newer version is still a refusal. */
/* What the relay would never take is not even hashed: a sparse file of 8 GiB. */
static void test_too_long_for_the_relay(void **state)
{
	struct world *w = *state;
	char path[256];
	struct ow_send_options o = {.relay = w->relay_text,
				    .via = OW_VIA_PRIVATE,
				    .target = w->target_text,
				    .path = path};
	struct ow_send_result result;

	snprintf(path, sizeof(path), "%s/source", w->directory);
	assert_int_equal(creat(path, 0600) < 0, 0);
	assert_int_equal(truncate(path, (off_t)8 << 30), 0);
	w->relay->longest = 8191;
	assert_int_equal(ow_sender_open(&o, &w->sender), OW_OK);
	assert_int_equal(world_run(w, false), OW_REFUSED);
	assert_non_null(strstr(ow_sender_message(w->sender), "8191 MiB; split it"));
	ow_sender_result(w->sender, &result);
	assert_string_equal(result.id, "");
	assert_int_equal(w->relay->frames[VERB_SEND], 0);
	ow_sender_close(w->sender);

	/* as long as it says, to the byte */
	assert_int_equal(truncate(path, 1 << 20), 0);
	w->relay->longest = 1;
	assert_int_equal(ow_sender_open(&o, &w->sender), OW_OK);
	world_receive(w, 1, false);
	assert_int_equal(world_run(w, true), OW_OK);
}

/* In the middle, what may pass is waited out. */
static void test_refused_later(void **state)
{
	static const struct {
		uint8_t reason;
		bool final;
	} cases[] = {
		{REFUSE_TARGET_UNREACHABLE, false},
		{REFUSE_INTERNAL, false},
		{REFUSE_MEMBERS_ONLY, true},
	};
	struct world *w;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		world_setup((void **)&w);
		w->relay->refuse_later = cases[i].reason;
		w->relay->mute_offers = cases[i].final;
		relay_store(w->relay, w->data, 5000);
		world_send(w, 5000, 20000); /* nobody listens yet */
		while (w->relay->sends < (cases[i].final ? 2 : 4)) {
			ow_sender_process(w->sender);
			relay_run(w->relay);
			usleep(1000);
		}
		world_receive(w, 0, false);
		assert_int_equal(world_run(w, false), cases[i].final ? OW_REFUSED : OW_OK);
		world_teardown((void **)&w);
	}
}

static void test_refused_for_an_unknown_reason(void **state)
{
	struct world *w = *state;

	w->relay->refuse = 200;
	world_send(w, 1000, 5000);
	assert_int_equal(world_run(w, false), OW_REFUSED);
	assert_non_null(strstr(ow_sender_message(w->sender), "reason 200"));
}

static void test_no_common_version(void **state)
{
	struct world *w = *state;

	w->relay->speaks = 9;
	world_send(w, 1000, 5000);
	assert_int_equal(world_run(w, false), OW_UNREACHABLE);
	assert_non_null(strstr(ow_sender_message(w->sender), "version 9"));
	assert_int_equal(w->relay->frames[VERB_SEND], 0);
}

/* The two icons are two servers: one given as the other is a mistake to be told. */
static void test_relay_of_the_other_role(void **state)
{
	struct world *w = *state;

	w->relay->central = true;
	world_send(w, 1000, 5000); /* via private */
	assert_int_equal(world_run(w, false), OW_INVALID);
	assert_non_null(strstr(ow_sender_message(w->sender), "is a central relay"));
	assert_int_equal(w->relay->frames[VERB_SEND], 0);
}

static void test_unreachable(void **state)
{
	struct world *w = *state;

	w->relay->deaf = true;
	world_send(w, 1000, 900);
	assert_int_equal(world_run(w, false), OW_UNREACHABLE);
	assert_non_null(strstr(ow_sender_message(w->sender), w->relay_text));
	assert_int_equal(w->relay->frames[VERB_HELLO], 3); /* at 0, 250 and 750 ms */
	assert_int_equal(w->relay->frames[VERB_SEND], 0);
}

/* An OFFER nobody asked for draws three HELLOs at most, and no more bytes. */
static void test_offer_unproven(void **state)
{
	struct world *w = *state;
	uint64_t end;

	relay_store(w->relay, w->data, 1000);
	world_receive(w, 1, false);
	world_send(w, 1000, 1000);
	w->central->deaf = true;
	w->relay->holder = w->central;
	while (w->relay->offers == 0) {
		ow_sender_process(w->sender);
		relay_run(w->relay);
	}
	ow_sender_close(w->sender);
	w->sender = NULL;
	end = clock_now() + 2500 * MILLISECOND;
	while (clock_now() < end) {
		ow_receiver_process(w->receiver);
		relay_run(w->relay);
		relay_run(w->central);
		usleep(5000);
	}
	assert_int_equal(w->central->frames[VERB_HELLO], 3);
	assert_int_equal(w->central->frames[VERB_PULL], 0);
}

/* A second transfer of the same file is a new file beside the first. */
static void test_same_name(void **state)
{
	struct world *w = *state;
	char first[sizeof(w->path)], expected[128];

	relay_store(w->relay, w->data, 5000);
	world_receive(w, 2, false);
	world_send(w, 5000, 5000);
	assert_int_equal(world_run(w, false), OW_OK);
	assert_string_equal(world_result(w).target_name, "");
	strcpy(first, w->path);
	ow_sender_close(w->sender);
	world_send(w, 5000, 5000);
	assert_int_equal(world_run(w, false), OW_OK);
	assert_int_equal(w->files, 2);
	snprintf(expected, sizeof(expected), "%s/report (1).pdf", w->directory);
	assert_string_equal(w->path, expected);
	assert_string_equal(world_result(w).target_name, "report (1).pdf");
	file_check(first, w->data, 5000);
	file_check(w->path, w->data, 5000);
}

/* The receiver's first delivery, or NULL. */
static struct delivery *first_delivery(const struct world *w)
{
	const struct deliveries *ds = &w->receiver->deliveries;

	return ds->room > 0 ? ds->slot[0] : NULL;
}

/* A target that was stopped for longer than the delivery's time has not lost it. */
static void test_stopped_target(void **state)
{
	const uint64_t gone = 30 * SECOND; /* the delivery's time is ten */
	struct world *w = *state;
	struct delivery *d;

	relay_store(w->relay, w->data, MEGABYTES_3);
	world_receive(w, 0, false);
	world_send(w, MEGABYTES_3, 10000);
	while ((d = first_delivery(w)) == NULL || d->window == NULL) {
		ow_sender_process(w->sender);
		relay_run(w->relay);
		ow_receiver_process(w->receiver);
	}
	w->relay->deaf = true;
	d->offered -= gone;
	d->window->progress -= gone;
	w->receiver->wanted -= gone + 5 * SECOND; /* it may have been some away */
	ow_receiver_process(w->receiver);
	assert_ptr_equal(first_delivery(w), d);
	assert_int_equal(w->warnings, 0);
	/* one that was called in time has waited */
	d->offered -= gone + 5 * SECOND;
	d->window->progress -= gone;
	deliveries_touch(&w->receiver->deliveries, d);
	ow_receiver_process(w->receiver);
	assert_null(first_delivery(w));
	assert_int_equal(w->warnings, 1);
}

static bool warned(const struct world *w)
{
	return w->warnings > 0;
}

/* A file for which no descriptor is left comes when one is. */
static void test_crowded(void **state)
{
	struct world *w = *state;
	struct rlimit before, none;
	int next;

	relay_store(w->relay, w->data, 200000);
	world_receive(w, 1, false);
	world_send(w, 200000, 30000);
	next = open("/dev/null", O_RDONLY);
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	for (int left = 0; left < 2; left++) { /* for neither of its files, for one of them */
		none = (struct rlimit){(rlim_t)(next + left), before.rlim_max};
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
		w->warnings = 0;
		w->receiver->warned_at = 0;
		world_until(w, warned);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
		assert_non_null(strstr(w->warning, "more open files"));
		assert_true(first_delivery(w)->waits);
		assert_int_equal(directory_count(w->directory, false), 0);
	}
	assert_int_equal(world_run(w, true), OW_OK);
	assert_int_equal(w->warnings, 1);
	file_check(w->path, w->data, 200000);
}

/* Whatever name a target says, it is printed. */
static void test_hostile_target_name(void **state)
{
	struct world *w = *state;

	relay_store(w->relay, w->data, 5000);
	w->relay->lie = "../\x1b]0;owned\a\xff.pdf";
	world_receive(w, 0, false);
	world_send(w, 5000, 5000);
	assert_int_equal(world_run(w, false), OW_OK);
	assert_string_equal(world_result(w).target_name, "_]0;owned__.pdf");
}

/* How what the relay said, or did not get to say, is named. */
static void test_outcomes(void **state)
{
	static const struct {
		int via;
		uint8_t first, serving;
		int outcome;
	} cases[] = {
		{OW_VIA_PRIVATE, 0, STATUS_SERVING_PRIVATE, OW_PRIVATE_HIT},
		{OW_VIA_PRIVATE, 0, STATUS_SERVING_CENTRAL, OW_CENTRAL_HIT},
		/* "serving" was lost, and came again after "delivered" */
		{OW_VIA_PRIVATE, STATUS_WORKING, STATUS_SERVING_CENTRAL, OW_CENTRAL_HIT},
		/* another source uploaded */
		{OW_VIA_PRIVATE, STATUS_WAITING, STATUS_SERVING_PRIVATE, OW_PRIVATE_HIT},
		{OW_VIA_CENTRAL, 0, STATUS_SERVING_CENTRAL, OW_DIRECT_HIT},
		{OW_VIA_CENTRAL, STATUS_WAITING, STATUS_SERVING_CENTRAL, OW_DIRECT_HIT},
	};
	struct world *w = *state;
	struct ow_send_options o = {
		.relay = w->relay_text, .target = w->target_text, .data = w->data, .size = 10};
	size_t i;

	relay_store(w->relay, w->data, 10);
	world_receive(w, 0, false);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ow_sender_close(w->sender);
		o.via = cases[i].via;
		w->relay->first = cases[i].first;
		w->relay->serving = cases[i].serving;
		w->relay->central = o.via == OW_VIA_CENTRAL;
		assert_int_equal(ow_sender_open(&o, &w->sender), OW_OK);
		assert_int_equal(world_run(w, false), OW_OK);
		assert_int_equal(world_result(w).outcome, cases[i].outcome);
	}
	ow_sender_close(w->sender);
	relay_close(w->relay);
	relay_open(w->relay, 1);
	w->relay->central = true;
	relay_text(w->relay, w->relay_text);
	o.via = OW_VIA_CENTRAL;
	assert_int_equal(ow_sender_open(&o, &w->sender), OW_OK);
	assert_int_equal(world_run(w, false), OW_OK);
	assert_int_equal(world_result(w).outcome, OW_UPLOADED_CENTRAL);
	assert_string_equal(ow_outcome_name(OW_UPLOADED_CENTRAL), "uploaded-central");
	assert_null(ow_outcome_name(OW_NONE));
}

static void test_stop(void **state)
{
	struct world *w = *state;
	const volatile sig_atomic_t stop = 1;
	char message[OW_MESSAGE_MAX];
	struct ow_send_options s = {.relay = w->relay_text,
				    .via = OW_VIA_PRIVATE,
				    .target = w->target_text,
				    .data = w->data,
				    .size = 10,
				    .stop = &stop};
	struct ow_receive_options r = {
		.directory = w->directory, .listen = w->target_text, .stop = &stop};

	assert_int_equal(ow_send(&s, NULL, message), OW_STOPPED);
	assert_int_equal(ow_receive(&r, message), OW_STOPPED);
	r.stop = NULL;
	r.count = 1;
	r.timeout_ms = 50;
	assert_int_equal(ow_receive(&r, message), OW_TIMEOUT);
	assert_non_null(strstr(message, "0 files"));
	r.listen = "192.0.2.1:4871";
	assert_int_equal(ow_receive(&r, message), OW_FAILED);
	assert_non_null(strstr(message, "192.0.2.1:4871"));
}

/* The file is written to while it is uploaded. */
static void test_changed(void **state)
{
	struct world *w = *state;
	char path[128];
	struct ow_send_options o = {.relay = w->relay_text,
				    .via = OW_VIA_CENTRAL,
				    .target = w->target_text,
				    .path = path,
				    .timeout_ms = 5000};
	int fd;

	snprintf(path, sizeof(path), "%s/source", w->directory);
	w->relay->central = true;
	fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_int_equal(write(fd, w->data, MEGABYTES_3), MEGABYTES_3);
	assert_int_equal(ow_sender_open(&o, &w->sender), OW_OK);
	while (!w->relay->uploading) {
		assert_int_equal(ow_sender_process(w->sender), OW_AGAIN);
		relay_run(w->relay);
	}
	assert_int_equal(pwrite(fd, "x", 1, 100), 1);
	assert_int_equal(ftruncate(fd, 1000), 0);
	close(fd);
	assert_int_equal(world_run(w, false), OW_CHANGED);
	assert_false(w->relay->stored);
}

static void test_options(void **state)
{
	struct world *w = *state;
	struct ow_send_options good = {.relay = "127.0.0.1",
				       .via = OW_VIA_PRIVATE,
				       .target = "127.0.0.1",
				       .data = "x",
				       .size = 1};
	struct ow_send_options bad[6];
	size_t i;

	for (i = 0; i < 6; i++)
		bad[i] = good;
	bad[0].relay = "nowhere";
	bad[1].target = NULL;
	bad[2].via = 3;
	bad[3].rule = 9;
	bad[4].rate = 1;
	bad[5].relay = "127.0.0.1:0";
	for (i = 0; i < 6; i++) {
		assert_int_equal(ow_sender_open(&bad[i], &w->sender), OW_INVALID);
		assert_true(strlen(ow_sender_message(w->sender)) > 10);
		assert_int_equal(ow_sender_process(w->sender), OW_INVALID);
		ow_sender_close(w->sender);
		w->sender = NULL;
	}
	good.data = NULL;
	good.path = "/";
	assert_int_equal(ow_sender_open(&good, &w->sender), OW_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_hit, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_hit_loss, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_prefix, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_prefix_of_another, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(test_hit_leased_loss, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_upload, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_upload_loss, world_setup, world_teardown),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test_setup_teardown(test_empty, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_empty_upload, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_inline, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_holder, world_setup, world_teardown),
		cmocka_unit_test(test_lost_once),
		cmocka_unit_test_setup_teardown(test_stale, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_wrong_once, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_wrong_always, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_target_gone, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_refused, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_too_long_for_the_relay, world_setup,
						world_teardown),
		cmocka_unit_test(test_refused_later),
		cmocka_unit_test_setup_teardown(test_refused_for_an_unknown_reason, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(test_no_common_version, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(test_relay_of_the_other_role, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(test_unreachable, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_offer_unproven, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_same_name, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_stopped_target, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_crowded, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_hostile_target_name, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(test_outcomes, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_stop, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_changed, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_options, world_setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
