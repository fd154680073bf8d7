/* SPDX-License-Identifier: BSD-3-Clause
 * A world for the tests of the client: a sender, a receiver with a directory,
 * and two small relays, all on loopback and in the test's own thread.
 */
#ifndef TESTS_CLIENT_WORLD_H
#define TESTS_CLIENT_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/lib/oncewire.h"
#include "client_relay.h"

#define MEGABYTES_3 3000001 /* many chunks, the last one short */

struct world {
	struct relay *relay, *central;
	char relay_text[ADDR_TEXT_MAX], target_text[ADDR_TEXT_MAX];
	char directory[64];
	uint8_t *data;
	/* options of those opened from now on */
	const char *domain_key, *content_key, *identity; /* files, or NULL */
	const char *recipient;
	int encrypt; /* enum ow_encrypt */
	struct ow_sender *sender;
	struct ow_receiver *receiver;
	/* arrived */
	uint32_t files;
	char path[4096], id[OW_ID_MAX], from[OW_ADDRESS_MAX];
	uint64_t bytes, kept_bytes;
	bool encrypted;
	uint32_t warnings;
	char warning[OW_MESSAGE_MAX]; /* the newest */
	uint32_t phases;	      /* bit (1 << enum ow_phase) */
};

/* For cmocka; *state: struct world. */
int world_setup(void **state);
int world_teardown(void **state);

/* Opens the receiver; lease: with the first relay. */
void world_receive(struct world *w, uint32_t count, bool lease);
/* Opens a sender of the first `size` bytes of data, by the first relay. */
void world_send(struct world *w, size_t size, uint32_t timeout_ms);
/* Runs everybody until the sender has ended, or the receiver if `receiver`.
 * Returns the result. */
int world_run(struct world *w, bool receiver);
/* Runs everybody until then. */
void world_until(struct world *w, bool (*reached)(const struct world *w));
struct ow_send_result world_result(struct world *w);
/* The file holds exactly this. */
void file_check(const char *path, const uint8_t *data, size_t size);
/* Files in it; clear: removes them. */
uint32_t directory_count(const char *path, bool clear);

#endif
