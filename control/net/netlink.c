/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>

#include "control/net/netlink.h"

#define NEWS_BUFFER (1 << 20) /* bytes the kernel may queue before news is lost */
#define NEWS_BURST 64
#define LIST_BURST 2
#define MESSAGE_MAX 32768 /* the kernel never makes a longer one */

struct netlink {
	struct mnl_socket *questions;
	struct mnl_socket *lists;
	struct mnl_socket *news;
	unsigned int port, list_port; /* of the sockets for questions and lists */
	uint32_t seq;
	uint32_t list_seq;
	bool list_torn; /* it changed while it was read */
	const struct netlink_news *handlers;
	void *ctx;
	/* apart: who gets news may ask questions */
	uint8_t buf[MESSAGE_MAX];
	uint8_t read_buf[MESSAGE_MAX];
};

/* Not mnl_nlmsg_ok(): it compares as int, so a length from 2^31 on passes it. */
static bool message_ok(const struct nlmsghdr *h, size_t len)
{
	return len >= sizeof(*h) && h->nlmsg_len >= sizeof(*h) && h->nlmsg_len <= len;
}

static uint8_t family_of_type(uint8_t type)
{
	return type == ADDR_IP4 ? AF_INET : AF_INET6;
}

static uint8_t family_of(const struct addr *a)
{
	return family_of_type(a->type);
}

/* ---- news ---- */

static void neighbour_take(const struct netlink *nl, const struct nlmsghdr *h)
{
	struct netlink_neighbour n;

	if (nl->handlers->neighbour && netlink_neighbour_parse(h, &n) == 0)
		nl->handlers->neighbour(nl->ctx, &n);
}

static void link_take(const struct netlink *nl, const struct nlmsghdr *h)
{
	struct netlink_link l;

	if (nl->handlers->link && netlink_link_parse(h, &l) == 0)
		nl->handlers->link(nl->ctx, &l);
}

static void route_take(const struct netlink *nl, const struct nlmsghdr *h)
{
	struct netlink_route r;

	if (nl->handlers->route && netlink_route_parse(h, &r) == 0)
		nl->handlers->route(nl->ctx, &r);
}

static void nexthop_take(const struct netlink *nl, const struct nlmsghdr *h)
{
	struct netlink_nexthop n;

	if (nl->handlers->nexthop && netlink_nexthop_parse(h, &n) == 0)
		nl->handlers->nexthop(nl->ctx, &n);
}

static void rule_take(const struct netlink *nl, const struct nlmsghdr *h)
{
	struct netlink_rule r;

	if (nl->handlers->rule && netlink_rule_parse(h, &r) == 0)
		nl->handlers->rule(nl->ctx, &r);
}

static void address_take(const struct netlink *nl, const struct nlmsghdr *h)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(h);

	if (nl->handlers->address && mnl_nlmsg_get_payload_len(h) >= sizeof(*ifa))
		nl->handlers->address(nl->ctx, ifa->ifa_family == AF_INET ? ADDR_IP4 : ADDR_IP6,
				      h->nlmsg_type == RTM_DELADDR);
}

/* What has no handler was not subscribed to, but who knows what comes with the rest. */
static void message_take(const struct netlink *nl, const struct nlmsghdr *h)
{
	switch (h->nlmsg_type) {
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		neighbour_take(nl, h);
		break;
	case RTM_NEWLINK:
	case RTM_DELLINK:
		link_take(nl, h);
		break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		route_take(nl, h);
		break;
	case RTM_NEWNEXTHOP:
	case RTM_DELNEXTHOP:
		nexthop_take(nl, h);
		break;
	case RTM_NEWRULE:
	case RTM_DELRULE:
		rule_take(nl, h);
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		address_take(nl, h);
		break;
	}
}

/* False: some of it cannot be read, or the kernel says that it left some out. */
static bool news_walk(const struct netlink *nl, size_t len)
{
	size_t at = 0;

	while (at < len) {
		const struct nlmsghdr *h = (const struct nlmsghdr *)(nl->read_buf + at);

		if (!message_ok(h, len - at) || h->nlmsg_type == NLMSG_OVERRUN)
			return false;
		if (h->nlmsg_type >= NLMSG_MIN_TYPE)
			message_take(nl, h);
		at += NLMSG_ALIGN(h->nlmsg_len);
	}
	return true;
}

void netlink_read(struct netlink *nl)
{
	for (unsigned int i = 0; i < NEWS_BURST; i++) {
		ssize_t len = mnl_socket_recvfrom(nl->news, nl->read_buf, sizeof(nl->read_buf));

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		/* ENOBUFS: the kernel dropped some. Whatever else: as bad. */
		if (len < 0 || !news_walk(nl, (size_t)len))
			nl->handlers->lost(nl->ctx);
	}
}

int netlink_fd(const struct netlink *nl)
{
	return mnl_socket_get_fd(nl->news);
}

/* ---- questions ---- */

static struct nlmsghdr *question_begin(struct netlink *nl, uint16_t type, uint16_t flags,
				       const void *header, size_t len)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(nl->buf);

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	h->nlmsg_seq = ++nl->seq;
	memcpy(mnl_nlmsg_put_extra_header(h, len), header, len);
	return h;
}

static void question_addr(struct nlmsghdr *h, uint16_t attr, const struct addr *a)
{
	mnl_attr_put(h, attr, a->type == ADDR_IP4 ? 4 : 16, a->ip);
}

static int error_of(const struct nlmsghdr *h)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*e) || e->error > 0)
		return -EBADMSG;
	return e->error;
}

/* Sends and reads until the answer. With no `answer`, an acknowledgement is
 * what is waited for; else it points into the buffer. */
static int question_ask(struct netlink *nl, const struct nlmsghdr *question,
			const struct nlmsghdr **answer)
{
	uint32_t seq = question->nlmsg_seq;

	if (mnl_socket_sendto(nl->questions, question, question->nlmsg_len) < 0)
		return -errno;
	for (;;) {
		ssize_t len = mnl_socket_recvfrom(nl->questions, nl->buf, sizeof(nl->buf));
		const struct nlmsghdr *h = (const struct nlmsghdr *)nl->buf;

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (!message_ok(h, (size_t)len))
			return -EBADMSG;
		/* late answers to what timed out, and strangers' */
		if (h->nlmsg_seq != seq || !mnl_nlmsg_portid_ok(h, nl->port))
			continue;
		if (h->nlmsg_type == NLMSG_ERROR) {
			int rc = error_of(h);

			return rc == 0 && answer ? -EBADMSG : rc;
		}
		if (!answer)
			return -EBADMSG;
		*answer = h;
		return 0;
	}
}

static bool link_local(const struct addr *a)
{
	return a->type == ADDR_IP6 && a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
}

int netlink_local(struct netlink *nl, const struct addr *addr, unsigned int ifindex)
{
	const struct rtmsg rtm = {
		.rtm_family = family_of(addr),
		.rtm_dst_len = (uint8_t)(addr->type == ADDR_IP4 ? 32 : 128),
	};
	struct nlmsghdr *h = question_begin(nl, RTM_GETROUTE, 0, &rtm, sizeof(rtm));
	const struct nlmsghdr *answer;
	struct netlink_route route;
	int rc;

	question_addr(h, RTA_DST, addr);
	/* Not for other hosts: with an interface given, IPv4 takes a host
	 * without a route to be on that link. */
	if (link_local(addr))
		mnl_attr_put_u32(h, RTA_OIF, ifindex);
	rc = question_ask(nl, h, &answer);
	if (rc == 0)
		rc = netlink_route_parse(answer, &route);
	return rc < 0 ? rc : route.type == RTN_LOCAL;
}

int netlink_neighbour_get(struct netlink *nl, const struct addr *addr, unsigned int ifindex,
			  struct netlink_neighbour *out)
{
	const struct ndmsg ndm = {.ndm_family = family_of(addr), .ndm_ifindex = (int)ifindex};
	struct nlmsghdr *h = question_begin(nl, RTM_GETNEIGH, 0, &ndm, sizeof(ndm));
	const struct nlmsghdr *answer;
	int rc;

	question_addr(h, NDA_DST, addr);
	rc = question_ask(nl, h, &answer);
	return rc < 0 ? rc : netlink_neighbour_parse(answer, out);
}

int netlink_link_get(struct netlink *nl, unsigned int ifindex, struct netlink_link *out)
{
	const struct ifinfomsg ifi = {.ifi_index = (int)ifindex};
	struct nlmsghdr *h = question_begin(nl, RTM_GETLINK, 0, &ifi, sizeof(ifi));
	const struct nlmsghdr *answer;
	int rc;

	rc = question_ask(nl, h, &answer);
	return rc < 0 ? rc : netlink_link_parse(answer, out);
}

int netlink_neighbour_use(struct netlink *nl, const struct addr *addr, unsigned int ifindex)
{
	const struct ndmsg ndm = {
		.ndm_family = family_of(addr),
		.ndm_ifindex = (int)ifindex,
		.ndm_flags = NTF_USE,
	};
	struct nlmsghdr *h =
		question_begin(nl, RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE, &ndm, sizeof(ndm));

	question_addr(h, NDA_DST, addr);
	return question_ask(nl, h, NULL);
}

/* ---- lists ---- */

int netlink_list(struct netlink *nl, enum netlink_list what, uint8_t type)
{
	static const struct {
		uint16_t type;
		uint16_t header;
	} of[] = {
		[NETLINK_RULES] = {RTM_GETRULE, sizeof(struct fib_rule_hdr)},
		[NETLINK_NEXTHOPS] = {RTM_GETNEXTHOP, sizeof(struct nhmsg)},
		[NETLINK_ROUTES] = {RTM_GETROUTE, sizeof(struct rtmsg)},
	};
	union {
		uint8_t family; /* they all begin with it */
		struct fib_rule_hdr rule;
		struct nhmsg nexthop;
		struct rtmsg route;
	} header = {0};
	struct nlmsghdr *h;

	/* next hops are of both versions */
	if (what != NETLINK_NEXTHOPS)
		header.family = family_of_type(type);
	h = question_begin(nl, of[what].type, NLM_F_DUMP, &header, of[what].header);
	nl->list_seq = h->nlmsg_seq;
	nl->list_torn = false;
	return mnl_socket_sendto(nl->lists, h, h->nlmsg_len) < 0 ? -errno : 0;
}

int netlink_list_fd(const struct netlink *nl)
{
	return mnl_socket_get_fd(nl->lists);
}

/* -EAGAIN: it goes on. */
static int list_walk(struct netlink *nl, size_t len)
{
	size_t at = 0;

	while (at < len) {
		const struct nlmsghdr *h = (const struct nlmsghdr *)(nl->read_buf + at);

		if (!message_ok(h, len - at))
			return -EBADMSG;
		at += NLMSG_ALIGN(h->nlmsg_len);
		if (h->nlmsg_seq != nl->list_seq || !mnl_nlmsg_portid_ok(h, nl->list_port))
			continue; /* of an earlier list, that was given up */
		nl->list_torn |= (h->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
		if (h->nlmsg_type == NLMSG_DONE)
			return nl->list_torn ? -EINTR : 0;
		if (h->nlmsg_type == NLMSG_ERROR)
			return error_of(h) < 0 ? error_of(h) : -EBADMSG;
		if (h->nlmsg_type >= NLMSG_MIN_TYPE)
			message_take(nl, h);
	}
	return -EAGAIN;
}

int netlink_list_read(struct netlink *nl)
{
	int rc = -EAGAIN;

	for (unsigned int i = 0; i < LIST_BURST && rc == -EAGAIN; i++) {
		ssize_t len = mnl_socket_recvfrom(nl->lists, nl->read_buf, sizeof(nl->read_buf));

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return errno == EWOULDBLOCK ? -EAGAIN : -errno;
		rc = list_walk(nl, (size_t)len);
	}
	return rc;
}

/* ---- sockets ---- */

static struct mnl_socket *socket_open(int flags)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | flags);
	int saved;

	if (s && mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0) {
		saved = errno;
		mnl_socket_close(s);
		errno = saved;
		return NULL;
	}
	return s;
}

/* A group that nobody handles is left out: news of routes alone can be many. */
static int group_join(const struct mnl_socket *s, int group, bool handled)
{
	if (handled && mnl_socket_setsockopt(s, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return -errno;
	return 0;
}

static int news_subscribe(const struct mnl_socket *s, const struct netlink_news *n)
{
	const struct {
		int group;
		bool handled;
	} list[] = {
		{RTNLGRP_LINK, n->link},	   {RTNLGRP_NEIGH, n->neighbour},
		{RTNLGRP_IPV4_IFADDR, n->address}, {RTNLGRP_IPV6_IFADDR, n->address},
		{RTNLGRP_IPV4_ROUTE, n->route},	   {RTNLGRP_IPV6_ROUTE, n->route},
		{RTNLGRP_IPV4_RULE, n->rule},	   {RTNLGRP_IPV6_RULE, n->rule},
		{RTNLGRP_NEXTHOP, n->nexthop},
	};
	int size = NEWS_BUFFER, rc = 0;

	/* beyond net.core.rmem_max where we may; what it is left at is enough to work */
	if (setsockopt(mnl_socket_get_fd(s), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(mnl_socket_get_fd(s), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	for (unsigned int i = 0; i < sizeof(list) / sizeof(list[0]) && rc == 0; i++)
		rc = group_join(s, list[i].group, list[i].handled);
	return rc;
}

int netlink_open(struct netlink **out, const struct netlink_news *news, void *ctx)
{
	/* The kernel has answered when a send returns; this is for the day it has not. */
	const struct timeval patience = {.tv_usec = 200000};
	struct netlink *nl = calloc(1, sizeof(*nl));
	int rc;

	if (!nl)
		return -ENOMEM;
	nl->handlers = news;
	nl->ctx = ctx;
	nl->seq = (uint32_t)time(NULL);
	nl->questions = socket_open(0);
	if (!nl->questions) {
		rc = -errno;
		goto fail;
	}
	nl->port = mnl_socket_get_portid(nl->questions);
	if (setsockopt(mnl_socket_get_fd(nl->questions), SOL_SOCKET, SO_RCVTIMEO, &patience,
		       sizeof(patience)) < 0) {
		rc = -errno;
		goto fail_questions;
	}
	nl->lists = socket_open(SOCK_NONBLOCK);
	if (!nl->lists) {
		rc = -errno;
		goto fail_questions;
	}
	nl->list_port = mnl_socket_get_portid(nl->lists);
	nl->news = socket_open(SOCK_NONBLOCK);
	if (!nl->news) {
		rc = -errno;
		goto fail_lists;
	}
	rc = news_subscribe(nl->news, news);
	if (rc < 0)
		goto fail_news;
	*out = nl;
	return 0;

fail_news:
	mnl_socket_close(nl->news);
fail_lists:
	mnl_socket_close(nl->lists);
fail_questions:
	mnl_socket_close(nl->questions);
fail:
	free(nl);
	return rc;
}

void netlink_close(struct netlink *nl)
{
	mnl_socket_close(nl->news);
	mnl_socket_close(nl->lists);
	mnl_socket_close(nl->questions);
	free(nl);
}
