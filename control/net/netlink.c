/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "control/net/netlink.h"

#define NEWS_BUFFER (1 << 20) /* bytes the kernel may queue before news is lost */
#define NEWS_BURST 64
#define MESSAGE_MAX 32768 /* the kernel never makes a longer one */

struct netlink {
	struct mnl_socket *questions;
	struct mnl_socket *news;
	unsigned int port; /* of the socket for questions */
	uint32_t seq;
	const struct netlink_news *handlers;
	void *ctx;
	/* apart: who gets news may ask questions */
	uint8_t buf[MESSAGE_MAX];
	uint8_t news_buf[MESSAGE_MAX];
};

static uint8_t family_of(const struct addr *a)
{
	return a->type == ADDR_IP4 ? AF_INET : AF_INET6;
}

static uint8_t family_length(uint8_t family)
{
	return family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0;
}

/* ---- what the kernel sends ---- */

/* Not mnl_nlmsg_ok(): it compares as int, so a length from 2^31 on passes it. */
static bool message_ok(const struct nlmsghdr *h, size_t len)
{
	return len >= sizeof(*h) && h->nlmsg_len >= sizeof(*h) && h->nlmsg_len <= len;
}

static int addr_read(uint8_t family, const void *bytes, size_t len, struct addr *out)
{
	memset(out, 0, sizeof(*out));
	if (family_length(family) == 0)
		return -EAFNOSUPPORT;
	if (len != family_length(family))
		return -EBADMSG;
	out->type = family == AF_INET ? ADDR_IP4 : ADDR_IP6;
	memcpy(out->ip, bytes, len);
	return 0;
}

static int attr_addr(const struct nlattr *a, uint8_t family, struct addr *out)
{
	return addr_read(family, mnl_attr_get_payload(a), mnl_attr_get_payload_len(a), out);
}

static int attr_u32(const struct nlattr *a, uint32_t *out)
{
	if (mnl_attr_validate(a, MNL_TYPE_U32) < 0)
		return -EBADMSG;
	*out = mnl_attr_get_u32(a);
	return 0;
}

/* An IPv4 route by way of an IPv6 neighbour (RFC 5549). */
static int attr_via(const struct nlattr *a, struct addr *out)
{
	const struct rtvia *via = mnl_attr_get_payload(a);
	size_t len = mnl_attr_get_payload_len(a);

	if (len < sizeof(*via))
		return -EBADMSG;
	return addr_read((uint8_t)via->rtvia_family, via->rtvia_addr, len - sizeof(*via), out);
}

static int attr_metrics(const struct nlattr *metrics, uint32_t *mtu)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, metrics) if (mnl_attr_get_type(a) ==
						 RTAX_MTU) return attr_u32(a, mtu);
	return 0;
}

int netlink_route_parse(const struct nlmsghdr *h, struct netlink_route *out)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;
	int rc = 0;

	memset(out, 0, sizeof(*out));
	if (h->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(h) < sizeof(*rtm))
		return -EBADMSG;
	if (family_length(rtm->rtm_family) == 0)
		return -EAFNOSUPPORT;
	out->type = rtm->rtm_type;
	mnl_attr_for_each(a, h, sizeof(*rtm))
	{
		switch (mnl_attr_get_type(a)) {
		case RTA_OIF:
			rc = attr_u32(a, &out->ifindex);
			break;
		case RTA_GATEWAY:
			rc = attr_addr(a, rtm->rtm_family, &out->via);
			break;
		case RTA_VIA:
			rc = attr_via(a, &out->via);
			break;
		case RTA_METRICS:
			rc = attr_metrics(a, &out->mtu);
			break;
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

static void attr_mac(const struct nlattr *a, bool *has, struct rte_ether_addr *mac)
{
	*has = mnl_attr_get_payload_len(a) == sizeof(*mac); /* else it is not Ethernet's */
	if (*has)
		memcpy(mac, mnl_attr_get_payload(a), sizeof(*mac));
}

int netlink_neighbour_parse(const struct nlmsghdr *h, struct netlink_neighbour *out)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;
	int rc;

	memset(out, 0, sizeof(*out));
	if ((h->nlmsg_type != RTM_NEWNEIGH && h->nlmsg_type != RTM_DELNEIGH) ||
	    mnl_nlmsg_get_payload_len(h) < sizeof(*ndm))
		return -EBADMSG;
	if (family_length(ndm->ndm_family) == 0)
		return -EAFNOSUPPORT; /* a bridge's table, for one */
	out->ifindex = (unsigned int)ndm->ndm_ifindex;
	out->state = h->nlmsg_type == RTM_DELNEIGH ? NUD_NONE : ndm->ndm_state;
	mnl_attr_for_each(a, h, sizeof(*ndm))
	{
		switch (mnl_attr_get_type(a)) {
		case NDA_DST:
			rc = attr_addr(a, ndm->ndm_family, &out->addr);
			if (rc < 0)
				return rc;
			break;
		case NDA_LLADDR:
			attr_mac(a, &out->has_mac, &out->mac);
			break;
		}
	}
	return out->addr.type == ADDR_NONE ? -EBADMSG : 0;
}

/* Each mode has an attribute of its own, beside one for the usual case of one mode. */
static int attr_xdp(const struct nlattr *xdp, uint32_t id[NETLINK_XDP_MODES])
{
	const struct nlattr *a;
	int rc = 0;

	mnl_attr_for_each_nested(a, xdp)
	{
		switch (mnl_attr_get_type(a)) {
		case IFLA_XDP_DRV_PROG_ID:
			rc = attr_u32(a, &id[XDP_ATTACHED_DRV]);
			break;
		case IFLA_XDP_SKB_PROG_ID:
			rc = attr_u32(a, &id[XDP_ATTACHED_SKB]);
			break;
		case IFLA_XDP_HW_PROG_ID:
			rc = attr_u32(a, &id[XDP_ATTACHED_HW]);
			break;
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int attr_name(const struct nlattr *a, char name[IFNAMSIZ])
{
	const char *text = mnl_attr_get_payload(a);
	size_t len = strnlen(text, mnl_attr_get_payload_len(a));

	if (len == 0 || len >= IFNAMSIZ)
		return -EBADMSG;
	memcpy(name, text, len);
	name[len] = '\0';
	return 0;
}

int netlink_link_parse(const struct nlmsghdr *h, struct netlink_link *out)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;
	int rc = 0;

	memset(out, 0, sizeof(*out));
	if ((h->nlmsg_type != RTM_NEWLINK && h->nlmsg_type != RTM_DELLINK) ||
	    mnl_nlmsg_get_payload_len(h) < sizeof(*ifi))
		return -EBADMSG;
	out->ifindex = (unsigned int)ifi->ifi_index;
	out->flags = ifi->ifi_flags;
	mnl_attr_for_each(a, h, sizeof(*ifi))
	{
		switch (mnl_attr_get_type(a)) {
		case IFLA_MTU:
			rc = attr_u32(a, &out->mtu);
			break;
		case IFLA_IFNAME:
			rc = attr_name(a, out->name);
			break;
		case IFLA_ADDRESS:
			attr_mac(a, &out->has_mac, &out->mac);
			break;
		case IFLA_XDP:
			rc = attr_xdp(a, out->xdp);
			break;
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* ---- news ---- */

/* What has no handler was not subscribed to, but who knows what comes with the rest. */
static void news_take(struct netlink *nl, const struct nlmsghdr *h)
{
	const struct netlink_news *handlers = nl->handlers;
	struct netlink_neighbour n;
	struct netlink_link l;

	switch (h->nlmsg_type) {
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		if (handlers->neighbour && netlink_neighbour_parse(h, &n) == 0)
			handlers->neighbour(nl->ctx, &n);
		break;
	case RTM_NEWLINK:
	case RTM_DELLINK:
		if (handlers->link && netlink_link_parse(h, &l) == 0)
			handlers->link(nl->ctx, &l);
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		if (handlers->addresses)
			handlers->addresses(nl->ctx);
		break;
	default:
		if (handlers->routes)
			handlers->routes(nl->ctx);
	}
}

/* False: some of it cannot be read, or the kernel says that it left some out. */
static bool news_walk(struct netlink *nl, size_t len)
{
	size_t at = 0;

	while (at < len) {
		const struct nlmsghdr *h = (const struct nlmsghdr *)(nl->news_buf + at);

		if (!message_ok(h, len - at) || h->nlmsg_type == NLMSG_OVERRUN)
			return false;
		if (h->nlmsg_type >= NLMSG_MIN_TYPE)
			news_take(nl, h);
		at += NLMSG_ALIGN(h->nlmsg_len);
	}
	return true;
}

void netlink_read(struct netlink *nl)
{
	for (unsigned int i = 0; i < NEWS_BURST; i++) {
		ssize_t len = mnl_socket_recvfrom(nl->news, nl->news_buf, sizeof(nl->news_buf));

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
	mnl_attr_put(h, attr, family_length(family_of(a)), a->ip);
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

int netlink_route_get(struct netlink *nl, const struct addr *host, const struct addr *from,
		      unsigned int ifindex, struct netlink_route *out)
{
	const uint8_t bits = (uint8_t)(8 * family_length(family_of(host)));
	const struct rtmsg rtm = {
		.rtm_family = family_of(host),
		.rtm_dst_len = bits,
		.rtm_src_len = from ? bits : 0,
	};
	struct nlmsghdr *h = question_begin(nl, RTM_GETROUTE, 0, &rtm, sizeof(rtm));
	const struct nlmsghdr *answer;
	int rc;

	question_addr(h, RTA_DST, host);
	if (from)
		question_addr(h, RTA_SRC, from);
	/* Not for other hosts: with an interface given, IPv4 takes a host
	 * without a route to be on that link. */
	if (link_local(host))
		mnl_attr_put_u32(h, RTA_OIF, ifindex);
	rc = question_ask(nl, h, &answer);
	return rc < 0 ? rc : netlink_route_parse(answer, out);
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
		{RTNLGRP_LINK, n->link},
		{RTNLGRP_NEIGH, n->neighbour},
		{RTNLGRP_IPV4_IFADDR, n->addresses},
		{RTNLGRP_IPV6_IFADDR, n->addresses},
		{RTNLGRP_IPV4_ROUTE, n->routes},
		{RTNLGRP_IPV6_ROUTE, n->routes},
		{RTNLGRP_IPV4_RULE, n->routes},
		{RTNLGRP_IPV6_RULE, n->routes},
		{RTNLGRP_NEXTHOP, n->routes},
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
	nl->news = socket_open(SOCK_NONBLOCK);
	if (!nl->news) {
		rc = -errno;
		goto fail_questions;
	}
	rc = news_subscribe(nl->news, news);
	if (rc < 0)
		goto fail_news;
	*out = nl;
	return 0;

fail_news:
	mnl_socket_close(nl->news);
fail_questions:
	mnl_socket_close(nl->questions);
fail:
	free(nl);
	return rc;
}

void netlink_close(struct netlink *nl)
{
	mnl_socket_close(nl->news);
	mnl_socket_close(nl->questions);
	free(nl);
}
