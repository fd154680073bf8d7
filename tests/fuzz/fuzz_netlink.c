/* SPDX-License-Identifier: BSD-3-Clause
 * The router against a kernel that says anything. The input is a program:
 * hosts to resolve, news, time that passes, workers that look hosts up; what
 * the kernel answers to the router's questions is taken from it too, as it is,
 * under the question's own number, or as an answer of the right kind.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <rte_rcu_qsbr.h>

#include "control/net/route_part.h"
#include "tests/fuzz/check.h"
#include "tests/unit/unit_clock.h"
#include "tests/unit/unit_eal.h"

#define IFINDEX 7
#define PORT 4242
#define HOSTS 16
#define TICK_US 100000
#define STEPS 512

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* ---- the kernel ---- */

struct mnl_socket {
	int fd;
	bool news;
};

static struct {
	const uint8_t *next, *end;	   /* of the program */
	unsigned int news;		   /* datagrams that wait */
	bool answered;			   /* the question has had all its answers */
	_Alignas(8) uint8_t question[256]; /* the last one */
} kernel;

static uint8_t byte_next(void)
{
	return kernel.next < kernel.end ? *kernel.next++ : 0;
}

static size_t bytes_next(void *out, size_t room)
{
	size_t len = RTE_MIN((size_t)byte_next() * 4, room);

	len = RTE_MIN(len, (size_t)(kernel.end - kernel.next));
	memcpy(out, kernel.next, len);
	kernel.next += len;
	return len;
}

/* 16 hosts of both versions, link-local ones among them. */
static struct addr host_make(uint8_t choice)
{
	struct addr a = {.type = choice & 1 ? ADDR_IP6 : ADDR_IP4};

	if (a.type == ADDR_IP4) {
		a.ip[0] = 192;
		a.ip[2] = 2;
		a.ip[3] = choice & (HOSTS - 1);
		return a;
	}
	a.ip[0] = choice & 2 ? 0xfe : 0x20;
	a.ip[1] = choice & 2 ? 0x80 : 0x01;
	a.ip[15] = choice & (HOSTS - 1);
	return a;
}

static void put_addr(struct nlmsghdr *h, uint16_t attr, const struct addr *a)
{
	mnl_attr_put(h, attr, a->type == ADDR_IP4 ? 4 : 16, a->ip);
}

static void route_answer(struct nlmsghdr *h, const struct rtmsg *asked)
{
	struct rtmsg *rtm;
	uint8_t how = byte_next();
	struct addr via = host_make(asked->rtm_family == AF_INET ? how & ~1 : how | 1);

	h->nlmsg_type = RTM_NEWROUTE;
	rtm = mnl_nlmsg_put_extra_header(h, sizeof(*rtm));
	rtm->rtm_family = asked->rtm_family;
	rtm->rtm_type = how & 0x10 ? RTN_BLACKHOLE : RTN_UNICAST;
	if (how & 0x80)
		put_addr(h, RTA_GATEWAY, &via);
	if (how & 0x40) {
		struct nlattr *metrics = mnl_attr_nest_start(h, RTA_METRICS);

		mnl_attr_put_u32(h, RTAX_MTU, (uint32_t)byte_next() << 5);
		mnl_attr_nest_end(h, metrics);
	}
	mnl_attr_put_u32(h, RTA_OIF, how & 0x20 ? IFINDEX + 1 : IFINDEX);
}

static void neighbour_put(struct nlmsghdr *h, const struct addr *a, uint8_t how)
{
	static const uint16_t states[] = {NUD_REACHABLE,  NUD_STALE, NUD_FAILED,    NUD_NONE,
					  NUD_INCOMPLETE, NUD_PROBE, NUD_PERMANENT, NUD_DELAY};
	const uint8_t mac[6] = {2, [5] = how};
	struct ndmsg *ndm;

	h->nlmsg_type = RTM_NEWNEIGH;
	ndm = mnl_nlmsg_put_extra_header(h, sizeof(*ndm));
	ndm->ndm_family = a->type == ADDR_IP4 ? AF_INET : AF_INET6;
	ndm->ndm_ifindex = IFINDEX;
	ndm->ndm_state = states[how & 7];
	put_addr(h, NDA_DST, a);
	if (how & 8)
		mnl_attr_put(h, NDA_LLADDR, sizeof(mac), mac);
}

static void link_answer(struct nlmsghdr *h)
{
	struct ifinfomsg *ifi;

	h->nlmsg_type = RTM_NEWLINK;
	ifi = mnl_nlmsg_put_extra_header(h, sizeof(*ifi));
	ifi->ifi_index = IFINDEX;
	mnl_attr_put_u32(h, IFLA_MTU, (uint32_t)byte_next() << 6);
}

static void error_answer(struct nlmsghdr *h, int error)
{
	struct nlmsgerr *e;

	h->nlmsg_type = NLMSG_ERROR;
	e = mnl_nlmsg_put_extra_header(h, sizeof(*e));
	e->error = error;
}

/* Of the kind that the question wants. */
static size_t proper_answer(void *out)
{
	const struct nlmsghdr *q = (const struct nlmsghdr *)kernel.question;
	struct nlmsghdr *h = mnl_nlmsg_put_header(out);
	struct addr a = host_make(byte_next());

	switch (q->nlmsg_type) {
	case RTM_GETROUTE:
		route_answer(h, mnl_nlmsg_get_payload(q));
		break;
	case RTM_GETNEIGH:
		neighbour_put(h, &a, byte_next());
		break;
	case RTM_GETLINK:
		link_answer(h);
		break;
	default:
		error_answer(h, 0);
		break;
	}
	return h->nlmsg_len;
}

static ssize_t answer_make(void *out, size_t room)
{
	const struct nlmsghdr *q = (const struct nlmsghdr *)kernel.question;
	struct nlmsghdr *h = out;
	uint8_t how = byte_next();
	size_t len;

	if (kernel.answered || kernel.next == kernel.end || (how & 7) == 0) {
		kernel.answered = true;
		errno = EAGAIN;
		return -1;
	}
	memset(h, 0, sizeof(*h));
	if ((how & 7) == 1) {
		error_answer(mnl_nlmsg_put_header(out), -(int)(how >> 3));
		len = h->nlmsg_len;
	} else {
		len = (how & 7) < 4 ? bytes_next(out, room) : proper_answer(out);
	}
	if ((how & 7) != 2 && len >= sizeof(*h)) {
		h->nlmsg_seq = q->nlmsg_seq;
		h->nlmsg_pid = PORT;
	}
	return (ssize_t)len;
}

static ssize_t news_make(void *out, size_t room)
{
	struct nlmsghdr *h = out;
	struct addr a;

	if (kernel.news == 0) {
		errno = EAGAIN;
		return -1;
	}
	kernel.news--;
	if (byte_next() & 1)
		return (ssize_t)bytes_next(out, room);
	a = host_make(byte_next());
	mnl_nlmsg_put_header(out);
	neighbour_put(h, &a, byte_next());
	return h->nlmsg_len;
}

/* ---- libmnl's sockets: the linker takes these ---- */

struct mnl_socket *mnl_socket_open2(int bus, int flags)
{
	struct mnl_socket *s = calloc(1, sizeof(*s));

	check(s != NULL && bus == NETLINK_ROUTE);
	s->news = (flags & SOCK_NONBLOCK) != 0;
	s->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	check(s->fd >= 0);
	return s;
}

int mnl_socket_bind(struct mnl_socket *s, unsigned int groups, pid_t pid)
{
	(void)s;
	(void)groups;
	(void)pid;
	return 0;
}

int mnl_socket_get_fd(const struct mnl_socket *s)
{
	return s->fd;
}

unsigned int mnl_socket_get_portid(const struct mnl_socket *s)
{
	(void)s;
	return PORT;
}

int mnl_socket_setsockopt(const struct mnl_socket *s, int type, void *buf, socklen_t len)
{
	(void)s;
	(void)type;
	(void)buf;
	(void)len;
	return 0;
}

int mnl_socket_close(struct mnl_socket *s)
{
	close(s->fd);
	free(s);
	return 0;
}

ssize_t mnl_socket_sendto(const struct mnl_socket *s, const void *buf, size_t len)
{
	check(!s->news && len <= sizeof(kernel.question));
	memcpy(kernel.question, buf, len);
	kernel.answered = false;
	return (ssize_t)len;
}

ssize_t mnl_socket_recvfrom(const struct mnl_socket *s, void *buf, size_t room)
{
	return s->news ? news_make(buf, room) : answer_make(buf, room);
}

/* ---- the program ---- */

static struct rte_rcu_qsbr *qsbr;
static bool waiting[HOSTS]; /* per host: asked for and not yet answered */

static void ask(struct router *r, uint8_t choice)
{
	struct addr a = host_make(choice);

	waiting[choice & (HOSTS - 1)] = true; /* the call back may come before the return */
	check(router_resolve(r, &a) == 0);
}

static void resolved(void *ctx, const struct addr *a)
{
	uint8_t host = a->type == ADDR_IP4 ? a->ip[3] : a->ip[15];

	check(host < HOSTS && waiting[host]);
	waiting[host] = false;
	if (byte_next() & 0x80)
		ask(*(struct router **)ctx, byte_next());
}

static void turn(struct event_base *base, struct reclaim *reclaim)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
	reclaim_poll(reclaim);
}

static void step(struct router *r, uint8_t what)
{
	struct addr a = host_make(what >> 4);

	switch (what & 3) {
	case 0:
		ask(r, what >> 4);
		break;
	case 1:
		kernel.news = 1 + (what >> 6);
		event_active(r->news, EV_READ, 0);
		break;
	case 2:
		unit_clock_advance((uint64_t)(1 + (what >> 2)) * TICK_US);
		break;
	default:
		nexthop_lookup(r->table, &a);
		break;
	}
}

static void program_run(struct router *r, struct event_base *base, struct reclaim *reclaim)
{
	for (unsigned int i = 0; i < STEPS && kernel.next < kernel.end; i++) {
		step(r, byte_next());
		turn(base, reclaim);
	}
	/* whoever asked is answered within 3 s, whatever the kernel does */
	kernel.news = 0;
	kernel.next = kernel.end;
	for (unsigned int i = 0; i < 30; i++) {
		unit_clock_advance(TICK_US);
		turn(base, reclaim);
	}
	for (unsigned int i = 0; i < HOSTS; i++)
		check(!waiting[i]);
	check(r->waiting == 0 && r->host_count <= HOSTS && nexthop_count(r->table) <= HOSTS);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	check(unit_eal_start(NULL) == 0);
	qsbr = aligned_alloc(64, RTE_ALIGN(rte_rcu_qsbr_get_memsize(1), 64));
	check(qsbr != NULL && rte_rcu_qsbr_init(qsbr, 1) == 0);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct event_base *base;
	static const struct addr_pair from = {.ip4 = {.type = ADDR_IP4, .ip = {10, 77, 0, 1}}};
	struct reclaim *reclaim;
	struct nexthop_table *table;
	struct router *r;

	unit_clock_reset();
	memset(&kernel, 0, sizeof(kernel));
	memset(waiting, 0, sizeof(waiting));
	kernel.next = bytes;
	kernel.end = bytes + len;
	base = event_base_new();
	reclaim = reclaim_create(qsbr);
	table = nexthop_table_create(HOSTS, reclaim);
	check(base && reclaim && table);
	r = router_create(base, table, IFINDEX, &from, resolved, &r);
	if (r)
		program_run(r, base, reclaim);
	router_destroy(r);
	reclaim_destroy(reclaim);
	nexthop_table_destroy(table);
	event_base_free(base);
	return 0;
}
