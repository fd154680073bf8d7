/* SPDX-License-Identifier: BSD-3-Clause
 * The descriptor that an event loop waits for.
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <arpa/inet.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/lib/clock.h"
#include "client/lib/receiver.h"
#include "client/lib/sender.h"

static int readable(int fd, int milliseconds)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, milliseconds);
}

static void test_wait(void **state)
{
	uint64_t begin = clock_now();
	struct wait w;
	int pair[2];
	char byte;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	wait_init(&w);
	wait_arm(&w, begin + 60 * SECOND, begin); /* nobody waits by it yet */
	assert_int_not_equal(wait_fd(&w, pair[0]), -1);
	assert_int_not_equal(wait_fd(&w, pair[0]), pair[0]);
	assert_int_equal(wait_fd(&w, pair[0]), w.epoll);
	assert_int_equal(readable(w.epoll, 0), 0);
	/* one that was never armed is due */
	wait_close(&w);
	assert_int_equal(readable(wait_fd(&w, pair[0]), 10000), 1);
	wait_arm(&w, begin + 60 * SECOND, begin);
	/* by time, and not before it */
	wait_arm(&w, begin + 2500, begin);
	assert_int_equal(readable(w.epoll, 10000), 1);
	assert_true(clock_now() >= begin + 2500);
	/* it stays so until it is armed anew */
	assert_int_equal(readable(w.epoll, 0), 1);
	wait_arm(&w, clock_now() + 60 * SECOND, clock_now());
	assert_int_equal(readable(w.epoll, 0), 0);
	wait_arm(&w, 0, clock_now());
	assert_int_equal(readable(w.epoll, 10000), 1);
	wait_arm(&w, NEVER, clock_now());
	assert_int_equal(readable(w.epoll, 0), 0);
	/* by a datagram */
	assert_int_equal(write(pair[1], "x", 1), 1);
	assert_int_equal(readable(w.epoll, 10000), 1);
	assert_int_equal(read(pair[0], &byte, 1), 1);
	assert_int_equal(readable(w.epoll, 0), 0);
	/* one that has passed already fires again, when it is armed again */
	begin = clock_now();
	wait_arm(&w, begin - 5, begin);
	assert_int_equal(readable(w.epoll, 10000), 1);
	wait_arm(&w, begin - 5, begin);
	assert_int_equal(readable(w.epoll, 10000), 1);
	wait_close(&w);
	wait_close(&w);
	/* what was armed before it was made counts */
	wait_arm(&w, 0, 0);
	assert_int_equal(readable(wait_fd(&w, pair[0]), 10000), 1);
	wait_close(&w);
	close(pair[0]);
	close(pair[1]);
}

/* A loop that looks at the descriptor alone sends what is due. */
static void test_handle(void **state)
{
	struct ow_send_options o = {.relay = "127.0.0.1:9",
				    .via = OW_VIA_PRIVATE,
				    .target = "127.0.0.1",
				    .data = "x",
				    .size = 1,
				    .timeout_ms = 1200};
	uint64_t begin = clock_now();
	struct ow_sender *s;
	int ret, turns = 0;

	(void)state;
	assert_int_equal(ow_sender_open(&o, &s), OW_OK);
	do {
		assert_int_equal(readable(ow_sender_fd(s), 30000), 1);
		ret = ow_sender_process(s);
		turns++;
	} while (ret == OW_AGAIN);
	assert_true(ret == OW_UNREACHABLE || ret == OW_UNCONFIRMED);
	assert_true(clock_now() >= begin + 1200 * MILLISECOND);
	assert_in_range(turns, 4, 100);
	ow_sender_close(s);
}

/* Time without a call that was due is our own stop, and none of the timeout's. */
static void test_stopped(void **state)
{
	struct ow_send_options o = {.relay = "127.0.0.1:9",
				    .via = OW_VIA_PRIVATE,
				    .target = "127.0.0.1",
				    .data = "x",
				    .size = 1,
				    .timeout_ms = 5000};
	struct ow_sender *s;
	uint64_t moved;

	(void)state;
	assert_int_equal(ow_sender_open(&o, &s), OW_OK);
	s->begun = true;
	while (s->hash != NULL)
		assert_int_equal(ow_sender_process(s), OW_AGAIN);
	assert_int_equal(ow_sender_process(s), OW_AGAIN);
	moved = s->moved;
	s->moved -= 30 * SECOND;
	s->wanted -= 35 * SECOND; /* it may have been some away */
	assert_int_equal(ow_sender_process(s), OW_AGAIN);
	assert_true(s->moved >= moved);
	/* thirty seconds of being called in time are */
	s->moved -= 30 * SECOND;
	assert_int_not_equal(ow_sender_process(s), OW_AGAIN);
	ow_sender_close(s);
	assert_int_equal(clock_stopped(NEVER, 100 * SECOND), 0);
	assert_int_equal(clock_stopped(5 * SECOND, 6 * SECOND), 0);
	assert_int_equal(clock_stopped(5 * SECOND, 6 * SECOND + 1), SECOND + 1);
}

/* Datagrams that find no room halve what is kept in flight, not more often than a little
 * apart, and each second without makes room again. */
static void test_overflow(void **state)
{
	const struct addr any = {.type = ADDR_IP4, .ip = {127, 0, 0, 1}};
	struct ow_receive_options o = {.directory = "/var/tmp"};
	struct sockaddr_in bound;
	socklen_t len = sizeof(bound);
	struct udp probe = {0};
	struct ow_receiver *r;
	char text[32];

	(void)state;
	assert_int_equal(udp_open(&probe, &any, 4096), 0); /* for a port that is free */
	assert_int_equal(getsockname(probe.fd, (struct sockaddr *)&bound, &len), 0);
	udp_close(&probe);
	snprintf(text, sizeof(text), "127.0.0.1:%u", ntohs(bound.sin_port));
	o.listen = text;
	assert_int_equal(ow_receiver_open(&o, &r), OW_OK);
	assert_int_equal(r->usable, USABLE_ALL);
	r->udp.overflow = 5;
	receiver_run(r);
	assert_int_equal(r->usable, USABLE_ALL / 2);
	r->udp.overflow = 6;
	receiver_run(r);
	assert_in_range(r->usable, USABLE_ALL / 4, USABLE_ALL / 2); /* a slow machine */
	r->usable = 1;
	r->usable_at = 0;
	r->udp.overflow = 7;
	receiver_run(r);
	assert_int_equal(r->usable, 1);
	for (uint32_t all = 2; all <= USABLE_ALL; all++) {
		r->usable_at = 0;
		receiver_run(r);
		assert_int_equal(r->usable, all);
	}
	r->usable_at = 0;
	receiver_run(r);
	assert_int_equal(r->usable, USABLE_ALL);
	ow_receiver_close(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wait),
		cmocka_unit_test(test_handle),
		cmocka_unit_test(test_stopped),
		cmocka_unit_test(test_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
