/* SPDX-License-Identifier: BSD-3-Clause
 * rtnetlink, as far as next hops and the port's interface need it. Three sockets: one for
 * questions, which the kernel answers before the send returns, so that asking is a plain
 * call; one for lists, which are long; one for news.
 */
#ifndef CONTROL_NET_NETLINK_H
#define CONTROL_NET_NETLINK_H

#include <linux/netlink.h>
#include <net/if.h>

#include <rte_ether.h>

#include "dataplane/fib.h"

/* What a message says of what it names. */
enum netlink_change {
	NETLINK_LISTED,	  /* there it is: an answer to netlink_list() */
	NETLINK_ADDED,	  /* before others of its kind */
	NETLINK_APPENDED, /* behind them */
	NETLINK_REPLACED, /* in the place of the first of them */
	NETLINK_GONE,
};

#define NETLINK_PATHS 64 /* of one route; what is beyond is left out */

struct netlink_path {
	unsigned int ifindex;
	struct addr via; /* ADDR_NONE: the host is on the link */
	uint16_t weight; /* 1 to 256 */
	bool dead;	 /* its interface is down */
};

struct netlink_route {
	uint8_t change; /* enum netlink_change */
	uint8_t type;	/* RTN_UNICAST, RTN_LOCAL, RTN_BLACKHOLE, ... */
	bool special;	/* not for packets like ours: of some sources, with a TOS, of the cache */
	struct prefix to;
	uint32_t table;
	uint32_t metric;
	uint32_t nexthop; /* the object that it goes by; 0: by paths of its own */
	unsigned int n;	  /* paths; those into a tunnel have ifindex 0 */
	struct netlink_path path[NETLINK_PATHS];
};

/* A next hop that routes share: a path, a group of others, or (neither) a blackhole. */
struct netlink_nexthop {
	uint8_t change;
	uint32_t id;
	bool has_path;
	struct netlink_path path;
	unsigned int n;
	struct {
		uint32_t id;
		uint16_t weight;
	} member[NETLINK_PATHS];
};

/* A policy rule: which packets look into which table. */
struct netlink_rule {
	uint8_t change;
	uint8_t type;	/* ADDR_IP4 or ADDR_IP6 */
	uint8_t action; /* FR_ACT_... */
	bool invert;	/* it is for packets to which the selectors do not apply */
	bool has_iif, iif_lo, has_oif;
	uint8_t tos, protocol;	      /* 0: any */
	uint16_t port_low, port_high; /* of the source; 0: any */
	uint32_t priority;
	uint32_t table;
	uint32_t go_to; /* the priority that FR_ACT_GOTO leads to */
	uint32_t mark, mark_mask;
	int suppress; /* results of up to so many bits do not count; -1: all do */
	struct prefix from, to;
	const char *unknown; /* a selector that depends on what we do not know; NULL: none */
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
	bool gone;
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
	/* this host has an address of this type (ADDR_IP4, ADDR_IP6), or no longer has */
	void (*address)(void *ctx, uint8_t type, bool gone);
	/* these three get what is listed, too */
	void (*route)(void *ctx, const struct netlink_route *r);
	void (*nexthop)(void *ctx, const struct netlink_nexthop *n);
	void (*rule)(void *ctx, const struct netlink_rule *r);
	void (*lost)(void *ctx); /* some news did not reach us */
};

struct netlink;

/* 0 or -errno. The handlers are used until the end. */
int netlink_open(struct netlink **out, const struct netlink_news *news, void *ctx);
void netlink_close(struct netlink *nl);
/* Readable when there is news. */
int netlink_fd(const struct netlink *nl);
/* Calls the handlers for what has come, at most 64 messages' buffers at once. */
void netlink_read(struct netlink *nl);

/* Lists. They come in many messages, which are read when there is time. */
enum netlink_list { NETLINK_RULES, NETLINK_NEXTHOPS, NETLINK_ROUTES };

/* Asks for a list, when the one before has come to its end. type: ADDR_IP4 or ADDR_IP6;
 * NEXTHOPS are of both. 0 or -errno. */
int netlink_list(struct netlink *nl, enum netlink_list what, uint8_t type);
/* Readable when there is more of it. */
int netlink_list_fd(const struct netlink *nl);
/* Calls the handlers for what has come, at most two messages' buffers. 0: that was all;
 * -EAGAIN: there will be more; -EINTR: it changed meanwhile, ask again; else -errno. */
int netlink_list_read(struct netlink *nl);

/* Questions. 0, or -errno: the kernel's, -ETIMEDOUT or -EBADMSG. */
/* Is it an address of this host? 1 or 0. ifindex: where, if it is a link-local one. */
int netlink_local(struct netlink *nl, const struct addr *addr, unsigned int ifindex);
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
int netlink_nexthop_parse(const struct nlmsghdr *h, struct netlink_nexthop *out);
int netlink_rule_parse(const struct nlmsghdr *h, struct netlink_rule *out);
int netlink_neighbour_parse(const struct nlmsghdr *h, struct netlink_neighbour *out);
int netlink_link_parse(const struct nlmsghdr *h, struct netlink_link *out);

#endif
