/* SPDX-License-Identifier: BSD-3-Clause
 * The calls that wait: ow_identify, ow_send, ow_receive.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include "client/lib/clock.h"
#include "client/lib/receiver.h"
#include "client/lib/sender.h"

#define STOP_EVERY (250 * MILLISECOND)

/* Waits for fd or until `due`; microseconds, because pacing counts them. */
static void wait_until(int fd, uint64_t due, const volatile sig_atomic_t *stop)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t now = clock_now(), wait = due > now ? due - now : 0;
	struct timespec t;

	/* A signal between the look at *stop and ppoll() wakes nobody. */
	wait = earlier(wait, stop != NULL ? STOP_EVERY : 60 * SECOND);
	t = (struct timespec){(time_t)(wait / SECOND), (long)(wait % SECOND * 1000)};
	ppoll(&p, 1, &t, NULL);
}

static bool stop_set(const volatile sig_atomic_t *stop)
{
	return stop != NULL && *stop != 0;
}

static void message_copy(char *to, const char *from)
{
	if (to != NULL)
		snprintf(to, OW_MESSAGE_MAX, "%s", from);
}

int ow_send(const struct ow_send_options *options, struct ow_send_result *result, char *message)
{
	struct ow_sender *s;
	int ret = ow_sender_open(options, &s);

	if (s == NULL) {
		message_copy(message, "out of memory");
		if (result != NULL)
			*result = (struct ow_send_result){0};
		return ret;
	}
	if (ret == OW_OK) {
		while ((ret = sender_run(s)) == OW_AGAIN) {
			if (stop_set(options->stop)) {
				ret = fault_set(&s->fault, OW_STOPPED, "stopped");
				break;
			}
			wait_until(s->udp.fd, sender_due(s), options->stop);
		}
	}
	if (result != NULL)
		ow_sender_result(s, result);
	message_copy(message, ow_sender_message(s));
	ow_sender_close(s);
	return ret;
}

/* Without `count` only a stop or the timeout ends it, and neither is a failure
 * of what has arrived. */
static int receive_loop(struct ow_receiver *r, const struct ow_receive_options *o)
{
	uint64_t end = o->timeout_ms != 0 ? clock_now() + o->timeout_ms * MILLISECOND : NEVER;
	int why = OW_OK, ret;

	while ((ret = receiver_run(r)) == OW_AGAIN) {
		if (why == OW_OK && !receiver_finished(r)) {
			if (stop_set(o->stop))
				why = OW_STOPPED;
			else if (clock_now() >= end)
				why = OW_TIMEOUT;
			if (why != OW_OK)
				ow_receiver_stop(r);
		}
		wait_until(r->udp.fd, earlier(receiver_due(r), why == OW_OK ? end : NEVER),
			   o->stop);
	}
	if (ret != OW_OK || why == OW_OK)
		return ret;
	if (ow_receiver_dropped(r) > 0)
		return fault_set(&r->fault, OW_FAILED,
				 "ended in the middle of %u files, which were thrown away; have "
				 "them sent again",
				 ow_receiver_dropped(r));
	if (why == OW_TIMEOUT)
		return fault_set(&r->fault, why, "%u files arrived within %g s, %u were asked for",
				 ow_receiver_files(r), o->timeout_ms / 1000.0, o->count);
	return fault_set(&r->fault, why, "stopped");
}

int ow_receive(const struct ow_receive_options *options, char *message)
{
	struct ow_receiver *r;
	int ret = ow_receiver_open(options, &r);

	if (r == NULL) {
		message_copy(message, "out of memory");
		return ret;
	}
	if (ret == OW_OK)
		ret = receive_loop(r, options);
	message_copy(message, ow_receiver_message(r));
	ow_receiver_close(r);
	return ret;
}

int ow_identify(const char *path, int rule, char *id, uint64_t *bytes)
{
	struct input b;
	struct ident_state *hash;
	struct ident value;
	const uint8_t *piece;
	uint64_t offset, len;
	bool changed = false;
	int ret;

	hash = ident_begin(rule != 0 ? (uint8_t)rule : RULE_SHA256);
	if (hash == NULL)
		return OW_INVALID;
	ret = input_open_path(&b, path);
	if (ret < 0)
		goto free_hash;
	for (offset = 0; offset < b.length; offset += len) {
		len = earlier(b.length - offset, INPUT_PIECE);
		piece = input_read(&b, offset, len);
		if (piece == NULL) {
			ret = -errno;
			goto close_blob;
		}
		ident_update(hash, piece, len);
	}
	ident_final(hash, &value);
	ident_hex(&value, id);
	*bytes = b.length;
close_blob:
	changed = input_changed(&b);
	input_close(&b);
free_hash:
	ident_free(hash);
	if (changed)
		return OW_CHANGED;
	errno = -ret;
	return ret < 0 ? OW_FAILED : OW_OK;
}
