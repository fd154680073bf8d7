/* SPDX-License-Identifier: BSD-3-Clause
 * What following the kernel's routes costs: gives a network namespace of its own a table like
 * the Internet's, and says how long the router takes to read it, what memory that takes, what
 * a lookup costs, and how fast changes arrive. Needs root. Prints one line for each.
 */
#include <getopt.h>
#include <inttypes.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_rcu_qsbr.h>

#include "control/net/router.h"

#define GATEWAYS 16
#define HOT_HOSTS 64
#define ROUNDS 8

static unsigned int version = 4;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "routes: %s\n", what);
	exit(1);
}

static void run(const char *command)
{
	if (system(command) != 0)
		die(command);
}

static double seconds(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Kilobytes in memory, without what is mapped from files. */
static long resident(void)
{
	char line[128];
	long kb = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "RssAnon: %ld", &kb) == 1)
			break;
	if (f != NULL)
		fclose(f);
	return kb;
}

static uint64_t next_random(uint64_t *x)
{
	*x = *x * 6364136223846793005u + 1442695040888963407u;
	return *x >> 33;
}

/* The n-th prefix. Lengths are distributed about as in the tables of the Internet. */
static void prefix_text(unsigned int n, char *text, size_t size)
{
	uint64_t x = n * UINT64_C(0x9e3779b97f4a7c15);
	unsigned int pick = (unsigned int)(next_random(&x) % 100);

	if (version == 4) {
		unsigned int bits = pick < 62	? 24
				    : pick < 84 ? 21 + pick % 3
				    : pick < 98 ? 16 + pick % 5
						: 25 + pick % 8;
		uint32_t ip = (uint32_t)(1 + next_random(&x) % 222) << 24 |
			      (uint32_t)(next_random(&x) & 0xffffff);

		ip &= ~(uint32_t)0 << (32 - bits);
		if (ip >> 24 == 10 || ip >> 24 == 127)
			ip ^= 1u << 30;
		snprintf(text, size, "%u.%u.%u.%u/%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255,
			 ip & 255, bits);
	} else {
		unsigned int bits = pick < 48	? 48
				    : pick < 70 ? 44 - pick % 8
				    : pick < 90 ? 32
						: 40;
		uint64_t ip = UINT64_C(0x2a) << 40 | (next_random(&x) << 20 ^ next_random(&x) << 9);

		ip &= ~UINT64_C(0) << (48 - bits);
		snprintf(text, size, "2a%02x:%x:%x::/%u", (unsigned int)(ip >> 32 & 255),
			 (unsigned int)(ip >> 16 & 0xffff), (unsigned int)(ip & 0xffff), bits);
	}
}

static void batch(const char *verb, unsigned int from, unsigned int to, unsigned int shift)
{
	FILE *f = popen("ip -force -batch - 2>/dev/null", "w");
	char text[64];

	if (f == NULL)
		die("no ip");
	for (unsigned int n = from; n < to; n++) {
		prefix_text(n, text, sizeof(text));
		fprintf(f, "route %s %s via %s%x\n", verb, text,
			version == 4 ? "10.77.0." : "fd77::",
			2 + (n + shift) % (version == 4 ? 8 : GATEWAYS));
	}
	pclose(f); /* some prefixes come twice */
}

static struct addr host_random(uint64_t *x)
{
	struct addr a = {.type = version == 4 ? ADDR_IP4 : ADDR_IP6, .port = put16(4871)};

	for (unsigned int i = 0; i < (version == 4 ? 4 : 16); i++)
		a.ip[i] = (uint8_t)next_random(x);
	if (version == 4)
		a.ip[0] = (uint8_t)(1 + a.ip[0] % 222);
	else
		a.ip[0] = 0x2a;
	return a;
}

/* Nanoseconds a lookup, in bursts: the least of some rounds. */
static double lookups(struct nexthop_table *t, const struct addr *a, unsigned int n,
		      unsigned int total)
{
	double best = 1e9;

	for (unsigned int round = 0; round < ROUNDS; round++) {
		double began = seconds(CLOCK_MONOTONIC), took;
		uint32_t ready = 0;

		for (unsigned int i = 0; i < total; i += NEXTHOP_LOOKUP) {
			const struct addr *hosts[NEXTHOP_LOOKUP];
			struct nexthop nh[NEXTHOP_LOOKUP];

			for (unsigned int j = 0; j < NEXTHOP_LOOKUP; j++)
				hosts[j] = &a[(i + j) % n];
			nexthop_lookup(t, hosts, NEXTHOP_LOOKUP, nh);
			ready += nh[0].state == NEXTHOP_READY;
		}
		took = (seconds(CLOCK_MONOTONIC) - began) * 1e9 / total;
		if (ready > total)
			die("impossible");
		best = took < best ? took : best;
	}
	return best;
}

static void resolved(void *ctx, const struct addr *neighbour)
{
	(void)ctx;
	(void)neighbour;
}

static void namespace_make(unsigned int routes)
{
	if (unshare(CLONE_NEWNET) < 0)
		die("needs root, to make a network namespace");
	run("ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up;"
	    "ip address add 10.77.0.1/24 dev v0; ip address add fd77::1/64 dev v0 nodad;"
	    "for i in 2 3 4 5 6 7 8 9 a b c d e f 10 11; do "
	    "ip neigh add fd77::$i lladdr 02:00:00:00:00:$i dev v0; done;"
	    "for i in 2 3 4 5 6 7 8 9; do "
	    "ip neigh add 10.77.0.$i lladdr 02:00:00:00:00:0$i dev v0; done;"
	    "echo 4194304 >/proc/sys/net/ipv6/route/max_size");
	batch("add", 0, routes, 0);
}

static void eal_start(void)
{
	char prefix[64];
	char *argv[] = {"routes", "--no-huge",	    "-m", "256", "--no-pci",	     "--no-shconf",
			prefix,	  "--no-telemetry", "-l", "0",	 "--log-level=error"};

	snprintf(prefix, sizeof(prefix), "--file-prefix=routes-%d", (int)getpid());
	if (rte_eal_init((int)RTE_DIM(argv), argv) < 0)
		die("the EAL does not start");
}

static void turn(struct event_base *base, struct reclaim *reclaim)
{
	struct timeval tv = {.tv_usec = 2000};

	event_base_loopexit(base, &tv);
	event_base_dispatch(base);
	reclaim_poll(reclaim);
}

/* Another process changes routes; how long until all of that is in the table? */
static void updates(struct router *r, struct event_base *base, struct reclaim *reclaim,
		    unsigned int n)
{
	double began = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	uint64_t lists = router_stats(r)->syncs;
	pid_t child = fork();
	double took;

	if (child == 0) {
		batch("replace", 0, n, 1);
		_exit(0);
	}
	while (waitpid(child, NULL, WNOHANG) == 0)
		turn(base, reclaim);
	do {
		turn(base, reclaim);
	} while (router_size(r).busy);
	took = seconds(CLOCK_MONOTONIC) - began;
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	printf("updates: %u by ip(8) followed in %.2f s, %.0f a second; %.2f us of CPU each "
	       "(read anew %" PRIu64 " times)\n",
	       n, took, n / took, cpu * 1e6 / n, router_stats(r)->syncs - lists);
}

static void usage(FILE *to)
{
	fprintf(to, "usage: routes [-6] [ROUTES]    default 1000000\n");
}

int main(int argc, char **argv)
{
	size_t size = RTE_ALIGN(rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE);
	struct rte_rcu_qsbr *qsbr = aligned_alloc(RTE_CACHE_LINE_SIZE, size);
	struct router_config c = {.resolved = resolved};
	struct addr *hosts;
	struct reclaim *reclaim;
	struct router *r;
	unsigned int n = 1000000, spread = 1 << 20;
	uint64_t x = 5;
	double began;
	long before;
	int opt;

	while ((opt = getopt(argc, argv, "6h")) != -1) {
		if (opt != '6') {
			usage(opt == 'h' ? stdout : stderr);
			return opt == 'h' ? 0 : 2;
		}
		version = 6;
	}
	if (optind < argc)
		n = (unsigned int)atoi(argv[optind]);
	if (n == 0) {
		usage(stderr);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	began = seconds(CLOCK_MONOTONIC);
	namespace_make(n);
	printf("the kernel took %.1f s for them\n", seconds(CLOCK_MONOTONIC) - began);
	eal_start();
	rte_rcu_qsbr_init(qsbr, 1);
	reclaim = reclaim_create(qsbr, NULL);
	c.base = event_base_new();
	c.ifindex = if_nametoindex("v0");
	c.ip4 = version == 4;
	c.ip6 = version == 6;

	before = resident();
	began = seconds(CLOCK_MONOTONIC);
	c.table = nexthop_table_create(ROUTE_SLOTS, ROUTE_BLOCKS, reclaim);
	r = router_create(&c);
	if (r == NULL)
		die("the router does not start");
	printf("start: %u routes in %.2f s; %ld MiB, of which %u MiB is the workers' table; %u "
	       "left out\n",
	       router_size(r).routes, seconds(CLOCK_MONOTONIC) - began, (resident() - before) >> 10,
	       router_size(r).blocks >> 10, router_size(r).left_out);

	hosts = calloc(spread, sizeof(*hosts));
	for (unsigned int i = 0; i < spread; i++)
		hosts[i] = host_random(&x);
	printf("lookup: %.1f ns (%d hosts), %.1f ns (a million)\n",
	       lookups(c.table, hosts, HOT_HOSTS, 1 << 20), HOT_HOSTS,
	       lookups(c.table, hosts, spread, spread));
	updates(r, c.base, reclaim, n < 100000 ? n : 100000);
	router_destroy(r);
	reclaim_destroy(reclaim);
	nexthop_table_destroy(c.table);
	event_base_free(c.base);
	free(hosts);
	free(qsbr);
	rte_eal_cleanup();
	return 0;
}
