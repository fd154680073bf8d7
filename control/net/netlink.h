/* SPDX-License-Identifier: BSD-3-Clause
 * rtnetlink, as far as next hops and the port's interface need it. Two sockets: one for questions,
 * which the kernel answers before the send returns, so that asking is a plain call; one for news.
 */
#ifndef CONTROL_NET_NETLINK_H
#define CONTROL_NET_NETLINK_H

#include <linux/netlink.h>
#include <net/if.h>

#include <rte_ether.h>

#include "wire/addr.h"

struct netlink_route {
	uint8_t type; /* RTN_UNICAST, RTN_LOCAL, RTN_BLACKHOLE, ... */
	unsigned int ifindex;
	struct addr via; /* ADDR_NONE: the host is on the link */
	uint32_t mtu;	 /* 0: the route names none */
};

struct netlink_neighbour {
	unsigned int ifindex;
	struct addr addr;
	uint16_t state; /* NUD_...; NUD_NONE when the kernel forgot it */
	bool has_mac;
	struct rte_ether_addr mac;
};

/* The modes in which an interface can carry an XDP program, as IFLA_XDP_ATTACHED
 * numbers them: driver, generic, hardware. */
#define NETLINK_XDP_MODES 4

struct netlink_link {
	unsigned int ifindex;
	uint32_t flags; /* IFF_... */
	uint32_t mtu;	/* 0: not said */
	char name[IFNAMSIZ];
	bool has_mac;
	struct rte_ether_addr mac;
	uint32_t xdp[NETLINK_XDP_MODES]; /* ids of the programs, by mode; 0: none */
};

/* What has no handler is not subscribed to. */
struct netlink_news {
	void (*neighbour)(void *ctx, const struct netlink_neighbour *n);
	void (*link)(void *ctx, const struct netlink_link *l);
	void (*addresses)(void *ctx); /* of this host changed */
	void (*routes)(void *ctx);    /* a route or rule changed */
	void (*lost)(void *ctx);      /* some news did not reach us */
};

struct netlink;

/* 0 or -errno. The handlers are used until the end. */
int netlink_open(struct netlink **out, const struct netlink_news *news, void *ctx);
void netlink_close(struct netlink *nl);
/* Readable when there is news. */
int netlink_fd(const struct netlink *nl);
/* Calls the handlers for what has come, at most 64 messages' buffers at once. */
void netlink_read(struct netlink *nl);

/* Questions. 0, or -errno: the kernel's, -ETIMEDOUT or -EBADMSG. A link-local
 * IPv6 host is looked for on ifindex. from: an address of this host that the packets
 * come from, as rules may depend on it; NULL: none. */
int netlink_route_get(struct netlink *nl, const struct addr *host, const struct addr *from,
		      unsigned int ifindex, struct netlink_route *out);
/* -ENOENT: the kernel does not know it. */
int netlink_neighbour_get(struct netlink *nl, const struct addr *addr, unsigned int ifindex,
			  struct netlink_neighbour *out);
/* -ENODEV: there is none of that index (any more). */
int netlink_link_get(struct netlink *nl, unsigned int ifindex, struct netlink_link *out);
/* Tells the kernel that the neighbour is in use: it probes it if it has to.
 * -EPERM without CAP_NET_ADMIN. */
int netlink_neighbour_use(struct netlink *nl, const struct addr *addr, unsigned int ifindex);

/* One message each, as long in memory as its header says. -EBADMSG: it is not such a message, or
 * misshapen; -EAFNOSUPPORT: well-formed, but not of IPv4 or IPv6. */
int netlink_route_parse(const struct nlmsghdr *h, struct netlink_route *out);
int netlink_neighbour_parse(const struct nlmsghdr *h, struct netlink_neighbour *out);
int netlink_link_parse(const struct nlmsghdr *h, struct netlink_link *out);

#endif
