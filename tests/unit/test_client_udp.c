/* SPDX-License-Identifier: BSD-3-Clause
 * Bursts that the kernel cuts up and joins, over loopback.
 */
#include <netinet/udp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/lib/clock.h"
#include "client/lib/udp.h"

#define BURST 32

static struct udp from, to;
static struct udp_rx *rx;
static struct addr address = {.type = ADDR_IP4, .ip = {127, 0, 0, 1}};
static uint8_t head[BURST][40], body[BURST][3000];
static struct iovec iov[BURST][2];
static struct mmsghdr msgs[BURST];

static int setup(void **state)
{
	struct sockaddr_in bound;
	socklen_t len = sizeof(bound);
	struct addr any = address;

	(void)state;
	rx = udp_rx_create();
	assert_non_null(rx);
	from.zone = to.zone = 0;
	assert_int_equal(udp_open(&from, &any, 1 << 20), 0);
	assert_int_equal(udp_open(&to, &any, 1 << 20), 0);
	assert_int_equal(getsockname(to.fd, (struct sockaddr *)&bound, &len), 0);
	memcpy(&address.port, &bound.sin_port, sizeof(address.port));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	udp_close(&from);
	udp_close(&to);
	free(rx);
	memset(&address.port, 0, sizeof(address.port));
	return 0;
}

static void frame(uint32_t i, size_t len)
{
	memset(head[i], (int)i, sizeof(head[i]));
	memset(body[i], (int)(i + 100), sizeof(body[i]));
	iov[i][0] = (struct iovec){head[i], sizeof(head[i])};
	iov[i][1] = (struct iovec){body[i], len};
}

static void one_check(const struct udp_datagram *d, uint32_t i, uint64_t begin)
{
	assert_int_equal(d->len, iov[i][0].iov_len + iov[i][1].iov_len);
	assert_memory_equal(d->bytes, head[i], iov[i][0].iov_len);
	assert_memory_equal(d->bytes + iov[i][0].iov_len, body[i], iov[i][1].iov_len);
	assert_memory_equal(d->from->ip, address.ip, 4);
	assert_true(d->came + 2 >= begin && d->came <= clock_now());
}

/* All of a burst of n comes. Returns how many messages it were. */
static uint32_t burst_check(uint32_t n)
{
	struct pollfd p = {.fd = to.fd, .events = POLLIN};
	uint64_t begin = clock_now(), last = 0;
	uint32_t got = 0, messages = 0, count;

	assert_int_equal(udp_burst(&from, &address, iov, msgs, n), n);
	while (got < n) {
		assert_int_equal(poll(&p, 1, 10000), 1);
		count = udp_receive(&to, rx);
		for (uint32_t i = 0; i < count; i++, got++) {
			one_check(&rx->datagram[i], got, begin);
			messages += i == 0 || rx->datagram[i].from != rx->datagram[i - 1].from;
			assert_true(rx->datagram[i].came >= last);
			last = rx->datagram[i].came;
		}
	}
	assert_int_equal(udp_receive(&to, rx), 0);
	return messages;
}

static void test_equal(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < BURST; i++)
		frame(i, 1152);
	burst_check(BURST);
	/* the blob's last chunk is short */
	frame(BURST - 1, 7);
	burst_check(BURST);
	burst_check(1);
	burst_check(2);
	assert_int_equal(burst_check(BURST - 1) == 1, from.cut);
}

/* Where the kernel cannot cut, or must not, each is a message. */
static void test_uneven(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < BURST; i++)
		frame(i, 1000 + i % 3);
	assert_int_equal(burst_check(BURST), BURST);
	for (uint32_t i = 0; i < BURST; i++)
		frame(i, 1152);
	from.cut = false;
	assert_int_equal(burst_check(BURST), BURST);
}

/* What is refused once is done without from then on: one message of so many datagrams is
 * over the kernel's limit, or over 64 KiB. */
static void test_refused(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < BURST; i++)
		frame(i, 3000);
	assert_int_equal(udp_burst(&from, &address, iov, msgs, BURST), BURST);
	assert_false(from.cut);
	/* they are too long for us, and leave room for those that are not */
	assert_int_equal(udp_receive(&to, rx), 0);
	frame(0, 100);
	assert_int_equal(burst_check(1), 1);
}

/* Times are of the kernel, not of the look. It begins to take them a little after it was
 * asked to. */
static void test_time(void **state)
{
	bool kernels = false;

	(void)state;
	frame(0, 100);
	udp_notes(&to);
	for (int i = 0; i < 50 && !kernels; i++) {
		assert_int_equal(udp_burst(&from, &address, iov, msgs, 1), 1);
		usleep(200000);
		assert_int_equal(udp_receive(&to, rx), 1);
		kernels = rx->datagram[0].came + 100000 <= clock_now();
	}
	assert_true(kernels);
}

/* What finds no room is counted. */
static void test_overflow(void **state)
{
	const int least = 4096;

	(void)state;
	udp_notes(&to);
	setsockopt(to.fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least));
	from.cut = false;
	for (uint32_t i = 0; i < BURST; i++)
		frame(i, 1152);
	assert_int_equal(udp_burst(&from, &address, iov, msgs, BURST), BURST);
	while (udp_receive(&to, rx) > 0)
		;
	frame(0, 10); /* the count comes with what is taken next */
	burst_check(1);
	assert_in_range(to.overflow, 1, BURST - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_equal, setup, teardown),
		cmocka_unit_test_setup_teardown(test_uneven, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_overflow, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
