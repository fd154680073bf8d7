/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/lib/clock.h"
#include "client/lib/receiver.h"
#include "client_world.h"

static void file_note(void *ctx, const struct ow_file *f)
{
	struct world *w = ctx;

	w->files++;
	w->bytes = f->bytes;
	w->kept_bytes = f->kept_bytes;
	w->encrypted = f->encrypted;
	snprintf(w->path, sizeof(w->path), "%s", f->path);
	snprintf(w->id, sizeof(w->id), "%s", f->id);
	snprintf(w->from, sizeof(w->from), "%s", f->relay);
}

static void warning_note(void *ctx, const char *text)
{
	struct world *w = ctx;

	print_message("warning: %s\n", text);
	assert_true(strlen(text) > 10);
	snprintf(w->warning, sizeof(w->warning), "%s", text);
	w->warnings++;
}

static void progress_note(void *ctx, enum ow_phase phase, uint64_t done, uint64_t total)
{
	struct world *w = ctx;

	assert_true(done <= total);
	w->phases |= 1U << phase;
}

static void fill(uint8_t *data, size_t size, uint32_t seed)
{
	size_t i;

	for (i = 0; i < size; i++) {
		seed = seed * 1664525u + 1013904223u;
		data[i] = (uint8_t)(seed >> 24);
	}
}

int world_setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct addr local = {.type = ADDR_IP4, .ip = {127, 0, 0, 1}}, bound;
	struct udp probe = {0};

	w->relay = malloc(sizeof(*w->relay));
	w->central = malloc(sizeof(*w->central));
	relay_open(w->relay, 1);
	relay_open(w->central, 2);
	relay_text(w->relay, w->relay_text);
	strcpy(w->directory, "/var/tmp/oncewire-test-XXXXXX");
	assert_non_null(mkdtemp(w->directory));
	w->data = malloc(MEGABYTES_3);
	fill(w->data, MEGABYTES_3, 7);
	/* A free port for the target. */
	assert_int_equal(udp_open(&probe, &local, 0), 0);
	assert_int_equal(socket_local(&probe, &bound), 0);
	udp_close(&probe);
	addr_text(&bound, w->target_text);
	*state = w;
	return 0;
}

uint32_t directory_count(const char *path, bool clear)
{
	DIR *d = opendir(path);
	struct dirent *e;
	uint32_t n = 0;

	while ((e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		n++;
		if (clear)
			unlinkat(dirfd(d), e->d_name, 0);
	}
	closedir(d);
	return n;
}

int world_teardown(void **state)
{
	struct world *w = *state;

	ow_sender_close(w->sender);
	ow_receiver_close(w->receiver);
	relay_close(w->relay);
	relay_close(w->central);
	directory_count(w->directory, true);
	rmdir(w->directory);
	free(w->relay);
	free(w->central);
	free(w->data);
	free(w);
	return 0;
}

void world_receive(struct world *w, uint32_t count, bool lease)
{
	const char *relays[] = {w->relay_text};
	struct ow_receive_options o = {.directory = w->directory,
				       .listen = w->target_text,
				       .relays = relays,
				       .relay_count = lease,
				       .domain_key_file = w->domain_key,
				       .identity_file = w->identity,
				       .count = count,
				       .file = file_note,
				       .warning = warning_note,
				       .progress = progress_note,
				       .ctx = w};

	assert_int_equal(ow_receiver_open(&o, &w->receiver), OW_OK);
	assert_string_equal(ow_receiver_message(w->receiver), "");
}

void world_send(struct world *w, size_t size, uint32_t timeout_ms)
{
	struct ow_send_options o = {.relay = w->relay_text,
				    .via = OW_VIA_PRIVATE,
				    .target = w->target_text,
				    .data = w->data,
				    .size = size,
				    .name = "report.pdf",
				    .mime = "application/pdf",
				    .timeout_ms = timeout_ms,
				    .domain_key_file = w->domain_key,
				    .encrypt = w->encrypt,
				    .recipient = w->recipient,
				    .content_key_file = w->content_key,
				    .progress = progress_note,
				    .ctx = w};

	assert_int_equal(ow_sender_open(&o, &w->sender), OW_OK);
}

/* Found by its OFFER, and due no sooner than it is looked at: it would go on only when something
 * else comes. */
static void delivery_check(struct deliveries *ds, const struct delivery *d)
{
	const struct offer o = {.rule = d->rule,
				.transfer = d->transfer,
				.leg = d->leg,
				.id = &d->id,
				.length = d->length};

	assert_ptr_equal(deliveries_of_offer(ds, &o), d);
	assert_true(d->due <= later(delivery_due(d), clock_now()));
}

static int receiver_process(struct ow_receiver *r)
{
	const int ret = ow_receiver_process(r);
	struct deliveries *ds = &r->deliveries;

	assert_null(TAILQ_FIRST(&ds->touched));
	for (uint32_t i = 0; i < ds->room; i++)
		if (ds->slot[i] != NULL)
			delivery_check(ds, ds->slot[i]);
	return ret;
}

int world_run(struct world *w, bool receiver)
{
	uint64_t end = clock_now() + 30 * SECOND;
	int sent = OW_AGAIN, received = OW_AGAIN, wait;
	struct pollfd p[4] = {{.fd = w->relay->udp.fd, .events = POLLIN},
			      {.fd = w->central->udp.fd, .events = POLLIN},
			      {.fd = -1, .events = POLLIN},
			      {.fd = -1, .events = POLLIN}};

	while (clock_now() < end) {
		if (w->sender != NULL && sent == OW_AGAIN)
			sent = ow_sender_process(w->sender);
		relay_run(w->relay);
		relay_run(w->central);
		if (w->receiver != NULL && received == OW_AGAIN)
			received = receiver_process(w->receiver);
		relay_run(w->relay);
		relay_run(w->central);
		if (!receiver && sent != OW_AGAIN)
			return sent;
		if (receiver && received != OW_AGAIN)
			return received;
		wait = 20;
		if (w->relay->uploading)
			wait = clock_milliseconds(pullwin_deadline(&w->relay->window), clock_now());
		if (w->sender != NULL && sent == OW_AGAIN) {
			p[2].fd = ow_sender_fd(w->sender);
			if (ow_sender_timeout(w->sender) < wait)
				wait = ow_sender_timeout(w->sender);
		}
		if (w->receiver != NULL && received == OW_AGAIN) {
			p[3].fd = ow_receiver_fd(w->receiver);
			if (ow_receiver_timeout(w->receiver) < wait)
				wait = ow_receiver_timeout(w->receiver);
		}
		poll(p, 4, wait);
		p[2].fd = p[3].fd = -1;
	}
	fail_msg("neither ended in time");
	return OW_FAILED;
}

void world_until(struct world *w, bool (*reached)(const struct world *w))
{
	uint64_t end = clock_now() + 30 * SECOND;

	while (!reached(w)) {
		if (clock_now() >= end)
			fail_msg("not reached in time");
		if (w->sender != NULL)
			ow_sender_process(w->sender);
		relay_run(w->relay);
		if (w->receiver != NULL)
			receiver_process(w->receiver);
	}
}

void file_check(const char *path, const uint8_t *data, size_t size)
{
	uint8_t *found = malloc(size + 1);
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, found, size + 1), size);
	assert_memory_equal(found, data, size);
	close(fd);
	free(found);
}

struct ow_send_result world_result(struct world *w)
{
	struct ow_send_result r;

	ow_sender_result(w->sender, &r);
	return r;
}
