/* SPDX-License-Identifier: BSD-3-Clause
 * What rtnetlink's messages say. Nothing in them is believed to be as long as it should be.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>

#include "control/net/netlink.h"

/* ---- attributes ---- */

static uint8_t type_of(uint8_t family)
{
	return family == AF_INET ? ADDR_IP4 : family == AF_INET6 ? ADDR_IP6 : ADDR_NONE;
}

static size_t bytes_of(uint8_t type)
{
	return type == ADDR_IP4 ? 4 : 16;
}

static int addr_read(uint8_t family, const void *bytes, size_t len, struct addr *out)
{
	memset(out, 0, sizeof(*out));
	if (type_of(family) == ADDR_NONE)
		return -EAFNOSUPPORT;
	if (len != bytes_of(type_of(family)))
		return -EBADMSG;
	out->type = type_of(family);
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

static int attr_u8(const struct nlattr *a, uint8_t *out)
{
	if (mnl_attr_validate(a, MNL_TYPE_U8) < 0)
		return -EBADMSG;
	*out = mnl_attr_get_u8(a);
	return 0;
}

/* The bits of a prefix come in the header, its address in an attribute, or not at all. */
static int prefix_read(const struct nlattr *a, uint8_t type, uint8_t bits, struct prefix *out)
{
	struct prefix p;

	if (mnl_attr_get_payload_len(a) != bytes_of(type) || bits > prefix_most(type))
		return -EBADMSG;
	p = prefix_make(type, mnl_attr_get_payload(a), bits);
	*out = p;
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

static uint8_t change_of(const struct nlmsghdr *h, uint16_t gone)
{
	if (h->nlmsg_type == gone)
		return NETLINK_GONE;
	if (h->nlmsg_flags & NLM_F_MULTI)
		return NETLINK_LISTED;
	if (h->nlmsg_flags & NLM_F_REPLACE)
		return NETLINK_REPLACED;
	return h->nlmsg_flags & NLM_F_APPEND ? NETLINK_APPENDED : NETLINK_ADDED;
}

/* ---- routes ---- */

/* A path while its attributes are read. */
struct reading {
	struct netlink_path path;
	bool wrapped; /* into a tunnel that we cannot make */
};

static int path_attr(const struct nlattr *a, uint8_t family, struct reading *p)
{
	switch (mnl_attr_get_type(a)) {
	case RTA_OIF:
		return attr_u32(a, &p->path.ifindex);
	case RTA_GATEWAY:
		return attr_addr(a, family, &p->path.via);
	case RTA_VIA:
		return attr_via(a, &p->path.via);
	case RTA_ENCAP:
		p->wrapped = true;
		return 0;
	default:
		return 0;
	}
}

/* What is wrapped up goes by no interface that we could send from. */
static void path_add(struct netlink_route *out, struct reading *p)
{
	if (p->wrapped)
		p->path.ifindex = 0;
	if (out->n < NETLINK_PATHS)
		out->path[out->n++] = p->path;
}

static int attr_path(const struct rtnexthop *nh, uint8_t family, struct netlink_route *out)
{
	struct reading p = {.path.dead = nh->rtnh_flags & RTNH_F_DEAD};
	const struct nlattr *attr;
	int rc;

	p.path.ifindex = (unsigned int)nh->rtnh_ifindex;
	p.path.weight = (uint16_t)(nh->rtnh_hops + 1);
	for (attr = (const struct nlattr *)(nh + 1);
	     mnl_attr_ok(attr, (int)((const char *)nh + nh->rtnh_len - (const char *)attr));
	     attr = mnl_attr_next(attr)) {
		rc = path_attr(attr, family, &p);
		if (rc < 0)
			return rc;
	}
	path_add(out, &p);
	return 0;
}

static int attr_multipath(const struct nlattr *a, uint8_t family, struct netlink_route *out)
{
	const uint8_t *at = mnl_attr_get_payload(a);
	size_t left = mnl_attr_get_payload_len(a);

	while (left > 0) {
		const struct rtnexthop *nh = (const struct rtnexthop *)at;
		size_t step;
		int rc;

		if (left < sizeof(*nh) || nh->rtnh_len < sizeof(*nh) || nh->rtnh_len > left)
			return -EBADMSG;
		rc = attr_path(nh, family, out);
		if (rc < 0)
			return rc;
		step = RTNH_ALIGN((size_t)nh->rtnh_len);
		step = step < left ? step : left;
		at += step;
		left -= step;
	}
	return 0;
}

/* Is it for other packets than ours, which have no TOS and any source? */
static bool route_special(const struct rtmsg *rtm)
{
	return rtm->rtm_tos != 0 || rtm->rtm_src_len != 0 || rtm->rtm_flags & RTM_F_CLONED;
}

static int route_attr(const struct nlattr *a, const struct rtmsg *rtm, struct netlink_route *out)
{
	switch (mnl_attr_get_type(a)) {
	case RTA_DST:
		return prefix_read(a, out->to.type, rtm->rtm_dst_len, &out->to);
	case RTA_TABLE:
		return attr_u32(a, &out->table);
	case RTA_PRIORITY:
		return attr_u32(a, &out->metric);
	case RTA_NH_ID:
		return attr_u32(a, &out->nexthop);
	case RTA_MULTIPATH:
		return attr_multipath(a, rtm->rtm_family, out);
	default:
		return 0;
	}
}

int netlink_route_parse(const struct nlmsghdr *h, struct netlink_route *out)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(h);
	struct reading p = {.path.weight = 1};
	const struct nlattr *a;

	memset(out, 0, sizeof(*out));
	if ((h->nlmsg_type != RTM_NEWROUTE && h->nlmsg_type != RTM_DELROUTE) ||
	    mnl_nlmsg_get_payload_len(h) < sizeof(*rtm))
		return -EBADMSG;
	out->to.type = type_of(rtm->rtm_family);
	if (out->to.type == ADDR_NONE)
		return -EAFNOSUPPORT; /* of multicast, for one */
	out->change = change_of(h, RTM_DELROUTE);
	out->type = rtm->rtm_type;
	out->table = rtm->rtm_table;
	out->special = route_special(rtm);
	p.path.dead = rtm->rtm_flags & RTNH_F_DEAD;
	mnl_attr_for_each(a, h, sizeof(*rtm))
	{
		int rc = route_attr(a, rtm, out);

		if (rc == 0)
			rc = path_attr(a, rtm->rtm_family, &p);
		if (rc < 0)
			return rc;
	}
	/* a prefix with bits has an address */
	if (out->to.bits != rtm->rtm_dst_len)
		return -EBADMSG;
	if (p.path.ifindex != 0)
		path_add(out, &p);
	return 0;
}

/* ---- next hops ---- */

static int attr_group(const struct nlattr *a, struct netlink_nexthop *out)
{
	const struct nexthop_grp *member = mnl_attr_get_payload(a);
	size_t n = mnl_attr_get_payload_len(a) / sizeof(*member);

	if (mnl_attr_get_payload_len(a) % sizeof(*member) != 0)
		return -EBADMSG;
	for (size_t i = 0; i < n && out->n < NETLINK_PATHS; i++) {
		out->member[out->n].id = member[i].id;
		out->member[out->n++].weight = (uint16_t)(member[i].weight + 1);
	}
	return 0;
}

static int nexthop_attr(const struct nlattr *a, uint8_t family, struct netlink_nexthop *out,
			bool *usable)
{
	switch (mnl_attr_get_type(a)) {
	case NHA_ID:
		return attr_u32(a, &out->id);
	case NHA_GROUP:
		return attr_group(a, out);
	case NHA_OIF:
		return attr_u32(a, &out->path.ifindex);
	case NHA_GATEWAY:
		return attr_addr(a, family, &out->path.via);
	case NHA_ENCAP:
	case NHA_FDB:
	case NHA_BLACKHOLE:
		*usable = false;
		return 0;
	default:
		return 0;
	}
}

int netlink_nexthop_parse(const struct nlmsghdr *h, struct netlink_nexthop *out)
{
	const struct nhmsg *nhm = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;
	bool usable;

	memset(out, 0, sizeof(*out));
	if ((h->nlmsg_type != RTM_NEWNEXTHOP && h->nlmsg_type != RTM_DELNEXTHOP) ||
	    mnl_nlmsg_get_payload_len(h) < sizeof(*nhm))
		return -EBADMSG;
	out->change = change_of(h, RTM_DELNEXTHOP);
	out->path.weight = 1;
	usable = !(nhm->nh_flags & RTNH_F_DEAD);
	mnl_attr_for_each(a, h, sizeof(*nhm))
	{
		int rc = nexthop_attr(a, nhm->nh_family, out, &usable);

		if (rc < 0)
			return rc;
	}
	out->has_path = usable && out->path.ifindex != 0;
	return out->id == 0 ? -EBADMSG : 0;
}

/* ---- rules ---- */

static bool attr_name_is(const struct nlattr *a, const char *name)
{
	size_t len = strlen(name) + 1;

	return mnl_attr_get_payload_len(a) == len &&
	       memcmp(mnl_attr_get_payload(a), name, len) == 0;
}

static int attr_ports(const struct nlattr *a, struct netlink_rule *out)
{
	struct fib_rule_port_range range;

	if (mnl_attr_get_payload_len(a) != sizeof(range))
		return -EBADMSG;
	memcpy(&range, mnl_attr_get_payload(a), sizeof(range));
	out->port_low = range.start;
	out->port_high = range.end;
	return 0;
}

/* 0, 1: it is not one of them; or -EBADMSG. */
static int rule_attr_value(const struct nlattr *a, struct netlink_rule *out)
{
	switch (mnl_attr_get_type(a)) {
	case FRA_GOTO:
		return attr_u32(a, &out->go_to);
	case FRA_PRIORITY:
		return attr_u32(a, &out->priority);
	case FRA_FWMARK:
		return attr_u32(a, &out->mark);
	case FRA_FWMASK:
		return attr_u32(a, &out->mark_mask);
	case FRA_SUPPRESS_PREFIXLEN:
		return attr_u32(a, (uint32_t *)&out->suppress);
	case FRA_TABLE:
		return attr_u32(a, &out->table);
	case FRA_IP_PROTO:
		return attr_u8(a, &out->protocol);
	case FRA_SPORT_RANGE:
		return attr_ports(a, out);
	default:
		return 1;
	}
}

/* Newer than some headers: with a port alone it has all bits, with a range none. */
#define SPORT_MASK 28

/* What says nothing of the packets that a rule is for, or does not if it is zero. */
static bool rule_attr_idle(const struct nlattr *a)
{
	switch (mnl_attr_get_type(a)) {
	case SPORT_MASK:
		return mnl_attr_get_payload_len(a) == 2 &&
		       (mnl_attr_get_u16(a) == 0 || mnl_attr_get_u16(a) == UINT16_MAX);
	case FRA_PAD:
	case FRA_PROTOCOL:
	case FRA_FLOW:
		return true;
	case FRA_L3MDEV:
		return mnl_attr_get_payload_len(a) == 1 && mnl_attr_get_u8(a) == 0;
	case FRA_SUPPRESS_IFGROUP:
		return mnl_attr_get_payload_len(a) == 4 && mnl_attr_get_u32(a) == UINT32_MAX;
	default:
		return false;
	}
}

static const char *selector_name(uint16_t attr)
{
	switch (attr) {
	case FRA_TUN_ID:
		return "tun_id";
	case FRA_SUPPRESS_IFGROUP:
		return "suppress_ifgroup";
	case FRA_L3MDEV:
		return "l3mdev";
	case FRA_UID_RANGE:
		return "uidrange";
	case FRA_DPORT_RANGE:
		return "dport";
	default:
		return "of a kind unknown here";
	}
}

static int rule_attr(const struct nlattr *a, const struct fib_rule_hdr *frh,
		     struct netlink_rule *out)
{
	int rc = rule_attr_value(a, out);

	if (rc <= 0)
		return rc;
	switch (mnl_attr_get_type(a)) {
	case FRA_DST:
		return prefix_read(a, out->type, frh->dst_len, &out->to);
	case FRA_SRC:
		return prefix_read(a, out->type, frh->src_len, &out->from);
	case FRA_IIFNAME:
		out->has_iif = true;
		out->iif_lo = attr_name_is(a, "lo");
		return 0;
	case FRA_OIFNAME:
		out->has_oif = true;
		return 0;
	default:
		if (!rule_attr_idle(a) && out->unknown == NULL)
			out->unknown = selector_name(mnl_attr_get_type(a));
		return 0;
	}
}

int netlink_rule_parse(const struct nlmsghdr *h, struct netlink_rule *out)
{
	const struct fib_rule_hdr *frh = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;

	memset(out, 0, sizeof(*out));
	if ((h->nlmsg_type != RTM_NEWRULE && h->nlmsg_type != RTM_DELRULE) ||
	    mnl_nlmsg_get_payload_len(h) < sizeof(*frh))
		return -EBADMSG;
	out->type = type_of(frh->family);
	if (out->type == ADDR_NONE)
		return -EAFNOSUPPORT;
	out->change = change_of(h, RTM_DELRULE);
	out->action = frh->action;
	out->table = frh->table;
	out->tos = frh->tos;
	out->invert = frh->flags & FIB_RULE_INVERT;
	out->suppress = -1;
	out->from.type = out->to.type = out->type;
	mnl_attr_for_each(a, h, sizeof(*frh))
	{
		int rc = rule_attr(a, frh, out);

		if (rc < 0)
			return rc;
	}
	return out->to.bits != frh->dst_len || out->from.bits != frh->src_len ? -EBADMSG : 0;
}

/* ---- neighbours and links ---- */

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
	if (type_of(ndm->ndm_family) == ADDR_NONE)
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
	out->gone = h->nlmsg_type == RTM_DELLINK;
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
