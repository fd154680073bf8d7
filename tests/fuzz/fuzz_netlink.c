/* SPDX-License-Identifier: BSD-3-Clause
 * The router against a kernel that says anything. The input is a program:
 * hosts to resolve, news, time that passes, workers that look hosts up; what
 * the kernel answers to the router's questions, and what is in its lists, is
 * taken from it too, as it is, under the question's own number, or as an answer
 * of the right kind.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <rte_rcu_qsbr.h>

#include "control/net/router_part.h"
#include "tests/fuzz/check.h"
#include "tests/unit/unit_clock.h"
#include "tests/unit/unit_eal.h"

#define IFINDEX 7
#define PORT 4242
#define HOSTS 16
#define TICK_US 100000
#define STEPS 512

void __wrap_log_line(int priority, const char *format, ...);
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* ---- the kernel ---- */

enum kind { QUESTIONS, LISTS, NEWS, KINDS }; /* as the router opens them */

struct mnl_socket {
	int fd;
	enum kind kind;
};

static struct {
	const uint8_t *next, *end; /* of the program */
	enum kind opened;	   /* the next socket to be */
	unsigned int news;	   /* datagrams that wait */
	bool answered;		   /* the question has had all its answers */
	int list_fd;		   /* readable while a list is under way: */
	bool listing;
	bool honest;			   /* lists are what a kernel could say */
	_Alignas(8) uint8_t question[256]; /* the last one */
	_Alignas(8) uint8_t list[256];	   /* the same, for a list */
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

/* Routes to some hosts, or all, by some ways; tables 254 and 77. */
static void route_put(struct nlmsghdr *h, uint8_t family)
{
	static const uint8_t types[] = {RTN_UNICAST, RTN_UNICAST,   RTN_UNICAST, RTN_UNICAST,
					RTN_UNICAST, RTN_BLACKHOLE, RTN_THROW,	 RTN_LOCAL};
	static const uint8_t bits[] = {0, 8, 25, 27, 29, 30, 31, 32};
	uint8_t to = byte_next(), how = byte_next(), by = byte_next();
	uint8_t version = family == AF_INET6;
	struct addr dst = host_make((uint8_t)((to & ~1) | version));
	struct addr via = host_make((uint8_t)((by & ~1) | version));
	struct rtmsg *rtm;

	h->nlmsg_type = how & 0x80 ? RTM_DELROUTE : RTM_NEWROUTE;
	rtm = mnl_nlmsg_put_extra_header(h, sizeof(*rtm));
	rtm->rtm_family = family;
	rtm->rtm_type = types[how & 7];
	rtm->rtm_table = how & 8 ? 77 : RT_TABLE_MAIN;
	rtm->rtm_dst_len = (uint8_t)(bits[to >> 5] * (version ? 4 : 1));
	put_addr(h, RTA_DST, &dst);
	mnl_attr_put_u32(h, RTA_PRIORITY, how >> 4 & 1);
	if (by & 0x80)
		mnl_attr_put_u32(h, RTA_NH_ID, 1 + (by & 3));
	else if (by & 0x40) {
		struct nlattr *paths = mnl_attr_nest_start(h, RTA_MULTIPATH);

		for (unsigned int i = 0; i < 2; i++) {
			struct rtnexthop *nh = mnl_nlmsg_get_payload_tail(h);

			memset(nh, 0, sizeof(*nh));
			nh->rtnh_len = sizeof(*nh);
			nh->rtnh_ifindex = i && how & 0x20 ? IFINDEX + 1 : IFINDEX;
			nh->rtnh_hops = i ? by & 15 : 0;
			h->nlmsg_len += sizeof(*nh);
			if (i == 0) {
				put_addr(h, RTA_GATEWAY, &via);
				nh->rtnh_len = (uint16_t)((uint8_t *)mnl_nlmsg_get_payload_tail(h) -
							  (uint8_t *)nh);
			}
		}
		mnl_attr_nest_end(h, paths);
	} else {
		if (by & 0x20)
			put_addr(h, RTA_GATEWAY, &via);
		mnl_attr_put_u32(h, RTA_OIF, how & 0x20 ? IFINDEX + 1 : IFINDEX);
	}
}

static void nexthop_put(struct nlmsghdr *h)
{
	uint8_t how = byte_next();
	struct addr via = host_make(byte_next());
	struct nhmsg *nhm;

	h->nlmsg_type = how & 0x80 ? RTM_DELNEXTHOP : RTM_NEWNEXTHOP;
	nhm = mnl_nlmsg_put_extra_header(h, sizeof(*nhm));
	nhm->nh_family = via.type == ADDR_IP4 ? AF_INET : AF_INET6;
	mnl_attr_put_u32(h, NHA_ID, 1 + (how & 3));
	if (how & 4) {
		const struct nexthop_grp group[2] = {{.id = 1 + (how >> 3 & 3)},
						     {.id = 1 + (how >> 5 & 3), .weight = how}};

		mnl_attr_put(h, NHA_GROUP, sizeof(group), group);
		return;
	}
	mnl_attr_put_u32(h, NHA_OIF, how & 8 ? IFINDEX + 1 : IFINDEX);
	put_addr(h, NHA_GATEWAY, &via);
}

static void rule_put(struct nlmsghdr *h, uint8_t family)
{
	uint8_t how = byte_next(), version = family == AF_INET6;
	struct addr to = host_make((uint8_t)((byte_next() & ~1) | version));
	struct fib_rule_hdr *frh;

	h->nlmsg_type = how & 0x80 ? RTM_DELRULE : RTM_NEWRULE;
	frh = mnl_nlmsg_put_extra_header(h, sizeof(*frh));
	frh->family = family;
	frh->action = how & 1 ? FR_ACT_TO_TBL : how & 7;
	frh->table = how & 8 ? 77 : RT_TABLE_MAIN;
	if (how & 0x10) {
		frh->dst_len = version ? 124 : 28;
		put_addr(h, FRA_DST, &to);
	}
	if (how & 0x20)
		mnl_attr_put_u32(h, FRA_SUPPRESS_PREFIXLEN, how & 0x40 ? 31 : 0);
	frh->flags = how & 0x40 ? FIB_RULE_INVERT : 0;
	mnl_attr_put_u32(h, FRA_GOTO, 2);
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

/* What a list begins with for all programs: the usual rule, and all hosts on the link. */
static void honest_put(struct nlmsghdr *h, const struct nlmsghdr *q, uint8_t family)
{
	if (q->nlmsg_type == RTM_GETRULE) {
		struct fib_rule_hdr *frh = mnl_nlmsg_put_extra_header(h, sizeof(*frh));

		h->nlmsg_type = RTM_NEWRULE;
		frh->family = family;
		frh->action = FR_ACT_TO_TBL;
		frh->table = RT_TABLE_MAIN;
	} else if (q->nlmsg_type == RTM_GETROUTE) {
		struct rtmsg *rtm = mnl_nlmsg_put_extra_header(h, sizeof(*rtm));

		h->nlmsg_type = RTM_NEWROUTE;
		rtm->rtm_family = family;
		rtm->rtm_type = RTN_UNICAST;
		rtm->rtm_table = RT_TABLE_MAIN;
		mnl_attr_put_u32(h, RTA_OIF, IFINDEX);
	} else {
		h->nlmsg_type = NLMSG_NOOP;
	}
}

static void list_item(struct nlmsghdr *h, const struct nlmsghdr *q, uint8_t family)
{
	switch (q->nlmsg_type) {
	case RTM_GETRULE:
		rule_put(h, family);
		break;
	case RTM_GETNEXTHOP:
		nexthop_put(h);
		break;
	default:
		route_put(h, family);
		break;
	}
}

static void list_end(void)
{
	eventfd_t n;

	kernel.listing = false;
	eventfd_read(kernel.list_fd, &n);
}

/* One message each. */
static ssize_t list_make(void *out, size_t room)
{
	const struct nlmsghdr *q = (const struct nlmsghdr *)kernel.list;
	uint8_t family = *(const uint8_t *)mnl_nlmsg_get_payload(q), how;
	struct nlmsghdr *h = out;
	size_t len;

	if (!kernel.listing) {
		errno = EAGAIN;
		return -1;
	}
	memset(h, 0, sizeof(*h));
	how = kernel.honest ? 5 : byte_next();
	if (kernel.honest) {
		honest_put(mnl_nlmsg_put_header(out), q, family);
		kernel.honest = false;
		len = h->nlmsg_len;
	} else if (kernel.next == kernel.end || (how & 7) == 0) {
		h = mnl_nlmsg_put_header(out);
		h->nlmsg_type = NLMSG_DONE;
		len = h->nlmsg_len;
		list_end();
	} else if ((how & 31) == 1) {
		error_answer(mnl_nlmsg_put_header(out), -(int)(how >> 3));
		len = h->nlmsg_len;
		list_end();
	} else if ((how & 31) == 2) {
		len = bytes_next(out, room);
	} else {
		list_item(mnl_nlmsg_put_header(out), q, family);
		len = h->nlmsg_len;
	}
	if (len >= sizeof(*h)) {
		h->nlmsg_seq = q->nlmsg_seq;
		h->nlmsg_pid = PORT;
		h->nlmsg_flags = NLM_F_MULTI;
		if (how == 0xf8)
			h->nlmsg_flags |= NLM_F_DUMP_INTR;
	}
	return (ssize_t)len;
}

static void link_news(struct nlmsghdr *h, uint8_t how)
{
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(h, sizeof(*ifi));

	h->nlmsg_type = how & 1 ? RTM_NEWLINK : RTM_DELLINK;
	ifi->ifi_index = IFINDEX + (how >> 1 & 1);
	ifi->ifi_flags = how >> 2 & 1;
}

static ssize_t news_make(void *out, size_t room)
{
	static const uint16_t flags[] = {NLM_F_CREATE, NLM_F_APPEND, NLM_F_REPLACE, NLM_F_CREATE};
	struct nlmsghdr *h = out;
	uint8_t how;
	struct addr a;

	if (kernel.news == 0) {
		errno = EAGAIN;
		return -1;
	}
	kernel.news--;
	how = byte_next();
	if ((how & 7) == 0)
		return (ssize_t)bytes_next(out, room);
	if (how == 255) {
		errno = ENOBUFS;
		return -1;
	}
	mnl_nlmsg_put_header(out);
	switch (how & 7) {
	case 1:
	case 2:
		a = host_make(byte_next());
		neighbour_put(h, &a, byte_next());
		break;
	case 3:
	case 4:
		route_put(h, how & 0x40 ? AF_INET6 : AF_INET);
		break;
	case 5:
		nexthop_put(h);
		break;
	case 6:
		rule_put(h, how & 0x40 ? AF_INET6 : AF_INET);
		break;
	default:
		link_news(h, how >> 3);
		break;
	}
	h->nlmsg_flags = flags[how >> 4 & 3];
	return h->nlmsg_len;
}

/* ---- libmnl's sockets: the linker takes these ---- */

struct mnl_socket *mnl_socket_open2(int bus, int flags)
{
	struct mnl_socket *s = calloc(1, sizeof(*s));

	check(s != NULL && bus == NETLINK_ROUTE && kernel.opened < KINDS);
	s->kind = kernel.opened++;
	check((s->kind == QUESTIONS) == !(flags & SOCK_NONBLOCK));
	s->fd = s->kind == LISTS ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
				 : socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	check(s->fd >= 0);
	if (s->kind == LISTS)
		kernel.list_fd = s->fd;
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
	check(s->kind != NEWS && len <= sizeof(kernel.question));
	if (s->kind == LISTS) {
		memcpy(kernel.list, buf, len);
		kernel.listing = kernel.honest = true;
		eventfd_write(kernel.list_fd, 1);
	} else {
		memcpy(kernel.question, buf, len);
		kernel.answered = false;
	}
	return (ssize_t)len;
}

ssize_t mnl_socket_recvfrom(const struct mnl_socket *s, void *buf, size_t room)
{
	switch (s->kind) {
	case QUESTIONS:
		return answer_make(buf, room);
	case LISTS:
		return list_make(buf, room);
	default:
		return news_make(buf, room);
	}
}

void __wrap_log_line(int priority, const char *format, ...)
{
	(void)priority;
	(void)format;
}

/* ---- the program ---- */

static struct rte_rcu_qsbr *qsbr;
static bool waiting[3 * HOSTS]; /* per neighbour: waited for and not yet answered */
static bool over;		/* nobody asks any more */

static unsigned int number_of(const struct addr *a)
{
	if (a->type == ADDR_IP4)
		return a->ip[3] & (HOSTS - 1);
	return (a->ip[0] == 0xfe ? HOSTS : 2 * HOSTS) + (a->ip[15] & (HOSTS - 1));
}

static void ask(struct router *r, uint8_t choice)
{
	struct addr a = host_make(choice), source = host_make(choice >> 1), neighbour;

	if (router_resolve(r, &a, &source, &neighbour) == -EINPROGRESS)
		waiting[number_of(&neighbour)] = true;
}

static void resolved(void *ctx, const struct addr *a)
{
	check(waiting[number_of(a)]);
	waiting[number_of(a)] = false;
	if (byte_next() & 0x80 && !over)
		ask(*(struct router **)ctx, byte_next());
}

static void turn(struct event_base *base, struct reclaim *reclaim)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
	reclaim_poll(reclaim);
}

static void look(struct router *r, const struct addr *a)
{
	struct nexthop nh;

	nexthop_lookup(r->config.table, &a, 1, &nh);
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
		look(r, &a);
		break;
	}
}

/* Every host is where the longest prefix around it leads. */
static void tables_agree(const struct router *r)
{
	for (unsigned int i = 0; i < HOSTS; i++) {
		struct addr a = host_make((uint8_t)i);
		const struct prefix_node *n, *next, *best = NULL;

		HASH_ITER(hh, r->mirror.nodes, n, next)
		{
			if (n->shown != NULL && prefix_has(&n->key, a.type, a.ip) &&
			    (best == NULL || n->key.bits > best->key.bits))
				best = n;
		}
		check(fib_lookup(fib_tables(nexthop_fib(r->config.table)), &a) ==
		      (best ? best->shown->hop : NEXTHOP_NONE));
	}
}

static void program_run(struct router *r, struct event_base *base, struct reclaim *reclaim)
{
	over = false;
	for (unsigned int i = 0; i < STEPS && kernel.next < kernel.end; i++) {
		step(r, byte_next());
		turn(base, reclaim);
	}
	/* whoever asked is answered within 3 s, whatever the kernel does */
	kernel.news = 0;
	kernel.next = kernel.end;
	over = true;
	for (unsigned int i = 0; i < 60; i++) {
		unit_clock_advance(TICK_US);
		turn(base, reclaim);
	}
	for (unsigned int i = 0; i < RTE_DIM(waiting); i++)
		check(!waiting[i]);
	check(r->neighbours.waiting == 0 && r->neighbours.n <= HOSTS);
	check(r->stage == SYNC_IDLE && r->mirror.cursor == NULL);
	tables_agree(r);
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
	struct reclaim *reclaim = reclaim_create(qsbr, NULL);
	struct router *r;
	struct router_config config = {
		.base = event_base_new(),
		.table = nexthop_table_create(2 * HOSTS, 256, reclaim),
		.ifindex = IFINDEX,
		.ip4 = true,
		.ip6 = true,
		.neighbours = HOSTS,
		.from.ip4 = {.type = ADDR_IP4, .ip = {10, 77, 0, 1}},
		.resolved = resolved,
		.ctx = &r,
	};

	unit_clock_reset();
	memset(&kernel, 0, sizeof(kernel));
	memset(waiting, 0, sizeof(waiting));
	kernel.next = bytes;
	kernel.end = bytes + len;
	check(config.base && config.table && reclaim);
	r = router_create(&config);
	if (r)
		program_run(r, config.base, reclaim);
	router_destroy(r);
	reclaim_destroy(reclaim);
	nexthop_table_destroy(config.table);
	event_base_free(config.base);
	return 0;
}
