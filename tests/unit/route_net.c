/* SPDX-License-Identifier: BSD-3-Clause */
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <rte_rcu_qsbr.h>

#include "tests/unit/unit_eal.h"
#include "tests/unit/route_net.h"

#define SKIPPED 77 /* meson's */

struct route_net net;
static pid_t other; /* holds the other namespace */
static struct rte_rcu_qsbr *qsbr;
static struct reclaim *reclaim;

void run(const char *fmt, ...)
{
	char command[256];
	va_list ap;
	int rc;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	rc = system(command);
	if (rc != 0)
		fail_msg("'%s' failed: %d", command, rc);
}

void run_other(const char *command)
{
	run("nsenter -t %d -n %s", (int)other, command);
}

struct addr host(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, 4871, &a), 0);
	return a;
}

void net_resolved(void *ctx, const struct addr *a)
{
	assert_ptr_equal(ctx, &net.calls);
	net.called = *a;
	net.calls++;
}

uint64_t clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void turn(void)
{
	struct timeval tv = {.tv_usec = 5000};

	event_base_loopexit(net.base, &tv);
	event_base_dispatch(net.base);
	reclaim_poll(reclaim);
}

void turn_for(unsigned int ms)
{
	for (uint64_t end = clock_ms() + ms; clock_ms() < end;)
		turn();
}

uint64_t wait_calls(unsigned int n, unsigned int ms)
{
	uint64_t start = clock_ms();

	while (net.calls < n && clock_ms() < start + ms)
		turn();
	assert_int_equal(net.calls, n);
	return clock_ms() - start;
}

static struct nexthop lookup(const char *text)
{
	const struct addr a = host(text), *hosts = &a;
	struct nexthop nh;

	nexthop_lookup(net.table, &hosts, 1, &nh);
	return nh;
}

bool is(const char *text, enum nexthop_state state, uint8_t mac)
{
	struct nexthop nh = lookup(text);

	return nh.state == state && (state != NEXTHOP_READY || nh.mac.addr_bytes[5] == mac);
}

int resolve(const char *text)
{
	struct addr a = host(text), source = host("192.0.2.1"), neighbour;

	return router_resolve(net.router, &a, &source, &neighbour);
}

void wait_is(const char *text, enum nexthop_state state, uint8_t mac, unsigned int ms)
{
	for (uint64_t end = clock_ms() + ms; clock_ms() < end && !is(text, state, mac); turn())
		if (state != NEXTHOP_UNKNOWN && is(text, NEXTHOP_UNKNOWN, 0))
			resolve(text);
	if (!is(text, state, mac)) {
		struct nexthop nh = lookup(text);

		fail_msg("%s: expected state %d, mac %d; got %d, %d", text, state, mac, nh.state,
			 nh.mac.addr_bytes[5]);
	}
}

void must_resolve(const char *text, enum nexthop_state state, uint8_t mac)
{
	resolve(text);
	wait_is(text, state, mac, 10000);
	net.calls = 0;
}

void settle(void)
{
	uint64_t end = clock_ms() + 30000;

	do {
		turn();
	} while (router_size(net.router).busy && clock_ms() < end);
	assert_false(router_size(net.router).busy);
}

static int router_start(void)
{
	net.table = nexthop_table_create(ROUTE_SLOTS, 1 << 16, reclaim);
	net.config.table = net.table;
	net.calls = 0;
	net.router = router_create(&net.config);
	return net.router ? 0 : -1;
}

void router_restart(void)
{
	router_destroy(net.router);
	nexthop_table_destroy(net.table);
	assert_int_equal(router_start(), 0);
}

int net_make(void **state)
{
	size_t size = rte_rcu_qsbr_get_memsize(1);
	int ready[2];

	(void)state;
	/* a fresh namespace for each test; the last one goes with its last process */
	if (unshare(CLONE_NEWNET) < 0 || pipe(ready) < 0)
		return -1;
	other = fork();
	if (other == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	if (read(ready[0], &(char){0}, 1) != 1)
		return -1;
	close(ready[0]);
	close(ready[1]);
	run("ip link add v0 address " MAC1 " type veth peer name v1 address " MAC2);
	run("ip link set v1 netns %d", (int)other);
	run("ip link set lo up");
	run("ip link set v0 up");
	run("ip address add 10.77.0.1/24 dev v0");
	run_other("ip link set v1 up");
	run_other("ip address add 10.77.0.2/24 dev v1");
	run("ip address add fd77::1/64 dev v0 nodad");
	run_other("ip address add fd77::2/64 dev v1 nodad");
	run_other("ip address add fe80::2/64 dev v1 nodad");

	net.base = event_base_new();
	qsbr = aligned_alloc(64, (size + 63) / 64 * 64);
	rte_rcu_qsbr_init(qsbr, 1);
	reclaim = reclaim_create(qsbr, NULL);
	net.config = (struct router_config){
		.base = net.base,
		.ifindex = if_nametoindex("v0"),
		.ip4 = true,
		.ip6 = true,
		.from.ip4 = host("10.77.0.1"),
		.resolved = net_resolved,
		.ctx = &net.calls,
	};
	return router_start();
}

int net_free(void **state)
{
	(void)state;
	router_destroy(net.router);
	nexthop_table_destroy(net.table);
	reclaim_destroy(reclaim);
	event_base_free(net.base);
	free(qsbr);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	return 0;
}

int net_main(const struct CMUnitTest *tests, size_t count)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0) {
		printf("skipped: needs root, to make network namespaces\n");
		return SKIPPED;
	}
	return _cmocka_run_group_tests("route", tests, count, unit_eal_start, unit_eal_stop);
}
