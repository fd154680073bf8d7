/* SPDX-License-Identifier: BSD-3-Clause
 * The parsers of what the kernel sends, with messages of our own making.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>

#include "control/net/netlink.h"

static const uint8_t ip4[4] = {192, 0, 2, 1};
static const uint8_t ip6[16] = {0xfe, 0x80, [15] = 1};
static const uint8_t mac[8] = {2, 0, 0, 0, 0, 7, 8, 9};

static uint8_t buf[4096];

static struct nlmsghdr *message(uint16_t type, const void *header, size_t len)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	h->nlmsg_type = type;
	memcpy(mnl_nlmsg_put_extra_header(h, len), header, len);
	return h;
}

static struct nlmsghdr *route(uint8_t family)
{
	const struct rtmsg rtm = {
		.rtm_family = family, .rtm_type = RTN_UNICAST, .rtm_table = RT_TABLE_MAIN};

	return message(RTM_NEWROUTE, &rtm, sizeof(rtm));
}

static struct nlmsghdr *neighbour(uint16_t type, uint8_t family)
{
	const struct ndmsg ndm = {
		.ndm_family = family, .ndm_ifindex = 7, .ndm_state = NUD_REACHABLE};

	return message(type, &ndm, sizeof(ndm));
}

static void test_route(void **state)
{
	struct netlink_route r;
	struct nlmsghdr *h;

	(void)state;
	h = route(AF_INET);
	mnl_attr_put_u32(h, RTA_OIF, 3);
	assert_int_equal(netlink_route_parse(h, &r), 0);
	assert_int_equal(r.type, RTN_UNICAST);
	assert_int_equal(r.to.type, ADDR_IP4);
	assert_int_equal(r.to.bits, 0);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.path[0].ifindex, 3);
	assert_int_equal(r.path[0].weight, 1);
	assert_int_equal(r.path[0].via.type, ADDR_NONE);
	assert_int_equal(r.table, RT_TABLE_MAIN);
	assert_int_equal(r.metric, 0);
	assert_int_equal(r.change, NETLINK_ADDED);

	mnl_attr_put(h, RTA_GATEWAY, 4, ip4);
	mnl_attr_put_u32(h, RTA_TABLE, 1000);
	mnl_attr_put_u32(h, RTA_PRIORITY, 77);
	mnl_attr_put_u32(h, RTA_NH_ID, 5);
	mnl_attr_put_u32(h, 200, 1); /* one that we never heard of */
	assert_int_equal(netlink_route_parse(h, &r), 0);
	assert_int_equal(r.path[0].via.type, ADDR_IP4);
	assert_memory_equal(r.path[0].via.ip, ip4, 4);
	for (int i = 4; i < 16; i++)
		assert_int_equal(r.path[0].via.ip[i], 0);
	assert_int_equal(r.table, 1000);
	assert_int_equal(r.metric, 77);
	assert_int_equal(r.nexthop, 5);
}

static struct rtmsg *header(struct nlmsghdr *h)
{
	return mnl_nlmsg_get_payload(h);
}

static void test_route_to(void **state)
{
	struct netlink_route r;
	struct nlmsghdr *h;

	(void)state;
	h = route(AF_INET6);
	header(h)->rtm_dst_len = 10;
	assert_int_equal(netlink_route_parse(h, &r), -EBADMSG); /* and no address */
	mnl_attr_put(h, RTA_DST, 16, ip6);
	assert_int_equal(netlink_route_parse(h, &r), 0);
	assert_int_equal(r.to.bits, 10);
	assert_int_equal(r.to.ip[1], 0x80);
	assert_int_equal(r.to.ip[15], 0); /* beyond the bits */
	header(h)->rtm_dst_len = 129;
	assert_int_equal(netlink_route_parse(h, &r), -EBADMSG);
	header(h)->rtm_dst_len = 32;
	header(h)->rtm_family = AF_INET;
	assert_int_equal(netlink_route_parse(h, &r), -EBADMSG);
	header(h)->rtm_family = RTNL_FAMILY_IPMR;
	assert_int_equal(netlink_route_parse(h, &r), -EAFNOSUPPORT);
	/* for others' packets */
	h = route(AF_INET);
	assert_int_equal(netlink_route_parse(h, &r), 0);
	assert_false(r.special);
	header(h)->rtm_tos = 8;
	assert_int_equal(netlink_route_parse(h, &r), 0);
	assert_true(r.special);
	header(h)->rtm_tos = 0;
	header(h)->rtm_src_len = 8;
	assert_int_equal(netlink_route_parse(h, &r), 0);
	assert_true(r.special);
}

static void test_route_change(void **state)
{
	static const struct {
		uint16_t type, flags;
		enum netlink_change change;
	} row[] = {
		{RTM_NEWROUTE, NLM_F_MULTI, NETLINK_LISTED},
		{RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, NETLINK_ADDED},
		{RTM_NEWROUTE, NLM_F_APPEND, NETLINK_APPENDED},
		{RTM_NEWROUTE, NLM_F_REPLACE, NETLINK_REPLACED},
		{RTM_DELROUTE, 0, NETLINK_GONE},
	};
	struct netlink_route r;

	(void)state;
	for (unsigned int i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct nlmsghdr *h = route(AF_INET);

		h->nlmsg_type = row[i].type;
		h->nlmsg_flags = row[i].flags;
		assert_int_equal(netlink_route_parse(h, &r), 0);
		assert_int_equal(r.change, row[i].change);
	}
}

/* A path is dead, or into a tunnel, or as good as any. */
static void test_route_unusable(void **state)
{
	struct netlink_route r;
	struct nlmsghdr *h;

	(void)state;
	h = route(AF_INET);
	header(h)->rtm_flags = RTNH_F_DEAD;
	mnl_attr_put_u32(h, RTA_OIF, 3);
	assert_int_equal(netlink_route_parse(h, &r), 0);
	assert_int_equal(r.n, 1);
	assert_true(r.path[0].dead);
	h = route(AF_INET);
	mnl_attr_put(h, RTA_ENCAP, 4, ip4);
	mnl_attr_put_u32(h, RTA_OIF, 3);
	assert_int_equal(netlink_route_parse(h, &r), 0);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.path[0].ifindex, 0);
}

/* Three paths: by weight, dead, and through an IPv6 neighbour; cut off anywhere. */
static void test_route_several(void **state)
{
	uint8_t paths[128] = {0};
	struct rtnexthop *nh = (struct rtnexthop *)paths;
	struct netlink_route r;
	struct nlmsghdr *h;
	size_t len;

	(void)state;
	nh->rtnh_len = sizeof(*nh);
	nh->rtnh_ifindex = 3;
	nh->rtnh_hops = 255;
	nh = RTNH_NEXT(nh);
	nh->rtnh_len = sizeof(*nh);
	nh->rtnh_flags = RTNH_F_DEAD;
	nh = RTNH_NEXT(nh);
	nh->rtnh_len = sizeof(*nh) + 4 + 18 + 2;
	nh->rtnh_ifindex = 4;
	memcpy(RTNH_DATA(nh), (uint16_t[]){4 + 18, RTA_VIA, AF_INET6}, 6);
	memcpy((uint8_t *)RTNH_DATA(nh) + 6, ip6, 16);
	len = (size_t)((uint8_t *)RTNH_NEXT(nh) - paths);
	h = route(AF_INET);
	mnl_attr_put(h, RTA_MULTIPATH, len, paths);
	assert_int_equal(netlink_route_parse(h, &r), 0);
	assert_int_equal(r.n, 3);
	assert_int_equal(r.path[0].ifindex, 3);
	assert_int_equal(r.path[0].weight, 256);
	assert_false(r.path[0].dead);
	assert_true(r.path[1].dead);
	assert_int_equal(r.path[2].ifindex, 4);
	assert_int_equal(r.path[2].via.type, ADDR_IP6);
	for (size_t cut = 1; cut < len; cut++) {
		h = route(AF_INET);
		mnl_attr_put(h, RTA_MULTIPATH, cut, paths);
		/* whole paths are a route, too */
		assert_int_equal(netlink_route_parse(h, &r),
				 cut == sizeof(*nh) || cut == 2 * sizeof(*nh) ? 0 : -EBADMSG);
	}
	/* more than are kept */
	h = route(AF_INET);
	nh = (struct rtnexthop *)paths;
	memset(paths, 0, sizeof(paths));
	{
		static uint8_t many[(NETLINK_PATHS + 5) * sizeof(*nh)];

		for (unsigned int i = 0; i < NETLINK_PATHS + 5; i++) {
			nh = (struct rtnexthop *)(many + i * sizeof(*nh));
			nh->rtnh_len = sizeof(*nh);
		}
		mnl_attr_put(h, RTA_MULTIPATH, sizeof(many), many);
	}
	assert_int_equal(netlink_route_parse(h, &r), 0);
	assert_int_equal(r.n, NETLINK_PATHS);
}

static void test_route_via_ip6(void **state)
{
	uint8_t via[2 + 16] = {0};
	struct netlink_route r;
	struct nlmsghdr *h;
	uint16_t family = AF_INET6;

	(void)state;
	memcpy(via, &family, 2);
	memcpy(via + 2, ip6, 16);
	h = route(AF_INET);
	mnl_attr_put_u32(h, RTA_OIF, 3);
	mnl_attr_put(h, RTA_VIA, sizeof(via), via);
	assert_int_equal(netlink_route_parse(h, &r), 0);
	assert_int_equal(r.path[0].via.type, ADDR_IP6);
	assert_memory_equal(r.path[0].via.ip, ip6, 16);

	for (size_t len = 0; len < sizeof(via); len++) {
		h = route(AF_INET);
		mnl_attr_put(h, RTA_VIA, len, via);
		assert_int_equal(netlink_route_parse(h, &r), -EBADMSG);
	}
}

static void test_nexthop(void **state)
{
	const struct nhmsg nhm = {.nh_family = AF_INET};
	const struct nexthop_grp group[2] = {{.id = 3}, {.id = 4, .weight = 9}};
	struct netlink_nexthop n;
	struct nlmsghdr *h;

	(void)state;
	h = message(RTM_NEWNEXTHOP, &nhm, sizeof(nhm));
	assert_int_equal(netlink_nexthop_parse(h, &n), -EBADMSG); /* nameless */
	mnl_attr_put_u32(h, NHA_ID, 7);
	assert_int_equal(netlink_nexthop_parse(h, &n), 0);
	assert_int_equal(n.id, 7);
	assert_false(n.has_path);
	mnl_attr_put_u32(h, NHA_OIF, 3);
	mnl_attr_put(h, NHA_GATEWAY, 4, ip4);
	assert_int_equal(netlink_nexthop_parse(h, &n), 0);
	assert_true(n.has_path);
	assert_int_equal(n.path.ifindex, 3);
	assert_int_equal(n.path.via.type, ADDR_IP4);
	mnl_attr_put(h, NHA_BLACKHOLE, 0, NULL);
	assert_int_equal(netlink_nexthop_parse(h, &n), 0);
	assert_false(n.has_path);

	h = message(RTM_DELNEXTHOP, &nhm, sizeof(nhm));
	mnl_attr_put_u32(h, NHA_ID, 7);
	mnl_attr_put(h, NHA_GROUP, sizeof(group), group);
	assert_int_equal(netlink_nexthop_parse(h, &n), 0);
	assert_int_equal(n.change, NETLINK_GONE);
	assert_int_equal(n.n, 2);
	assert_int_equal(n.member[1].id, 4);
	assert_int_equal(n.member[1].weight, 10);
	mnl_attr_put(h, NHA_GROUP, sizeof(group) - 1, group);
	assert_int_equal(netlink_nexthop_parse(h, &n), -EBADMSG);
}

static void test_rule(void **state)
{
	struct fib_rule_hdr frh = {
		.family = AF_INET, .action = FR_ACT_TO_TBL, .table = RT_TABLE_MAIN, .src_len = 24};
	struct netlink_rule r;
	struct nlmsghdr *h;

	(void)state;
	h = message(RTM_NEWRULE, &frh, sizeof(frh));
	assert_int_equal(netlink_rule_parse(h, &r), -EBADMSG); /* from where? */
	mnl_attr_put(h, FRA_SRC, 4, ip4);
	assert_int_equal(netlink_rule_parse(h, &r), 0);
	assert_int_equal(r.from.bits, 24);
	assert_int_equal(r.from.ip[3], 0);
	assert_int_equal(r.to.bits, 0);
	assert_int_equal(r.suppress, -1);
	assert_int_equal(r.table, RT_TABLE_MAIN);
	assert_null(r.unknown);
	mnl_attr_put_u32(h, FRA_TABLE, 1000);
	mnl_attr_put_u32(h, FRA_SUPPRESS_PREFIXLEN, 0);
	mnl_attr_put_u32(h, FRA_PRIORITY, 9);
	mnl_attr_put_strz(h, FRA_IIFNAME, "lo");
	assert_int_equal(netlink_rule_parse(h, &r), 0);
	assert_int_equal(r.table, 1000);
	assert_int_equal(r.suppress, 0);
	assert_int_equal(r.priority, 9);
	assert_true(r.has_iif && r.iif_lo);
	mnl_attr_put(h, FRA_DPORT_RANGE, 4, ip4);
	mnl_attr_put_u32(h, 200, 1);
	assert_int_equal(netlink_rule_parse(h, &r), 0);
	assert_string_equal(r.unknown, "dport"); /* the first of them */
	mnl_attr_put(h, FRA_SPORT_RANGE, 3, ip4);
	assert_int_equal(netlink_rule_parse(h, &r), -EBADMSG);
	frh.family = AF_BRIDGE;
	h = message(RTM_NEWRULE, &frh, sizeof(frh));
	assert_int_equal(netlink_rule_parse(h, &r), -EAFNOSUPPORT);
}

static void test_neighbour(void **state)
{
	struct netlink_neighbour n;
	struct nlmsghdr *h;

	(void)state;
	h = neighbour(RTM_NEWNEIGH, AF_INET6);
	mnl_attr_put(h, NDA_DST, 16, ip6);
	assert_int_equal(netlink_neighbour_parse(h, &n), 0);
	assert_int_equal(n.ifindex, 7);
	assert_int_equal(n.state, NUD_REACHABLE);
	assert_int_equal(n.addr.type, ADDR_IP6);
	assert_false(n.has_mac);
	mnl_attr_put(h, NDA_LLADDR, 6, mac);
	assert_int_equal(netlink_neighbour_parse(h, &n), 0);
	assert_true(n.has_mac);
	assert_memory_equal(&n.mac, mac, 6);

	/* deleted: whatever state it was in, it is gone */
	h->nlmsg_type = RTM_DELNEIGH;
	assert_int_equal(netlink_neighbour_parse(h, &n), 0);
	assert_int_equal(n.state, NUD_NONE);

	/* a link address of another kind of link is none of ours */
	h = neighbour(RTM_NEWNEIGH, AF_INET);
	mnl_attr_put(h, NDA_LLADDR, 8, mac);
	mnl_attr_put(h, NDA_DST, 4, ip4);
	assert_int_equal(netlink_neighbour_parse(h, &n), 0);
	assert_false(n.has_mac);
}

static void test_link(void **state)
{
	const struct ifinfomsg ifi = {.ifi_index = 5};
	struct netlink_link l;
	struct nlmsghdr *h;

	(void)state;
	h = message(RTM_NEWLINK, &ifi, sizeof(ifi));
	assert_int_equal(netlink_link_parse(h, &l), 0);
	assert_int_equal(l.ifindex, 5);
	assert_int_equal(l.mtu, 0);
	mnl_attr_put_u32(h, IFLA_MTU, 9000);
	assert_int_equal(netlink_link_parse(h, &l), 0);
	assert_int_equal(l.mtu, 9000);
	h = message(RTM_NEWLINK, &ifi, sizeof(ifi));
	mnl_attr_put_u16(h, IFLA_MTU, 9000);
	assert_int_equal(netlink_link_parse(h, &l), -EBADMSG);
}

static void test_link_of_a_port(void **state)
{
	const struct ifinfomsg ifi = {.ifi_index = 5, .ifi_flags = IFF_UP | IFF_RUNNING};
	struct nlattr *xdp;
	struct netlink_link l;
	struct nlmsghdr *h;

	(void)state;
	h = message(RTM_NEWLINK, &ifi, sizeof(ifi));
	mnl_attr_put_strz(h, IFLA_IFNAME, "fifteen-letters");
	mnl_attr_put(h, IFLA_ADDRESS, 6, mac);
	xdp = mnl_attr_nest_start(h, IFLA_XDP);
	mnl_attr_put_u8(h, IFLA_XDP_ATTACHED, XDP_ATTACHED_MULTI);
	mnl_attr_put_u32(h, IFLA_XDP_DRV_PROG_ID, 11);
	mnl_attr_put_u32(h, IFLA_XDP_SKB_PROG_ID, 12);
	mnl_attr_put_u32(h, IFLA_XDP_HW_PROG_ID, 13);
	mnl_attr_nest_end(h, xdp);
	assert_int_equal(netlink_link_parse(h, &l), 0);
	assert_int_equal(l.flags, IFF_UP | IFF_RUNNING);
	assert_string_equal(l.name, "fifteen-letters");
	assert_true(l.has_mac);
	assert_memory_equal(&l.mac, mac, 6);
	assert_int_equal(l.xdp[XDP_ATTACHED_DRV], 11);
	assert_int_equal(l.xdp[XDP_ATTACHED_SKB], 12);
	assert_int_equal(l.xdp[XDP_ATTACHED_HW], 13);

	h = message(RTM_NEWLINK, &ifi, sizeof(ifi));
	mnl_attr_put(h, IFLA_ADDRESS, 20, "an InfiniBand address");
	assert_int_equal(netlink_link_parse(h, &l), 0);
	assert_false(l.has_mac);
	h = message(RTM_NEWLINK, &ifi, sizeof(ifi));
	mnl_attr_put_strz(h, IFLA_IFNAME, "sixteen--letters");
	assert_int_equal(netlink_link_parse(h, &l), -EBADMSG);
	h = message(RTM_NEWLINK, &ifi, sizeof(ifi));
	mnl_attr_put(h, IFLA_IFNAME, 0, "");
	assert_int_equal(netlink_link_parse(h, &l), -EBADMSG);
	h = message(RTM_NEWLINK, &ifi, sizeof(ifi));
	xdp = mnl_attr_nest_start(h, IFLA_XDP);
	mnl_attr_put_u16(h, IFLA_XDP_SKB_PROG_ID, 1);
	mnl_attr_nest_end(h, xdp);
	assert_int_equal(netlink_link_parse(h, &l), -EBADMSG);
}

/* Attributes whose length does not fit what they are. */
static void test_misshapen(void **state)
{
	static const struct {
		uint16_t attr, len;
	} routes[] = {{RTA_OIF, 0},	{RTA_OIF, 2},	   {RTA_OIF, 8},      {RTA_GATEWAY, 0},
		      {RTA_GATEWAY, 3}, {RTA_GATEWAY, 16}, {RTA_TABLE, 2},    {RTA_PRIORITY, 1},
		      {RTA_DST, 16},	{RTA_NH_ID, 0},	   {RTA_MULTIPATH, 7}};
	static const uint16_t lengths[] = {0, 3, 5, 16};
	struct netlink_neighbour n;
	struct netlink_route r;
	struct nlmsghdr *h;

	(void)state;
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		h = route(AF_INET);
		mnl_attr_put(h, routes[i].attr, routes[i].len, ip6);
		assert_int_equal(netlink_route_parse(h, &r), -EBADMSG);
	}
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		h = neighbour(RTM_NEWNEIGH, AF_INET);
		mnl_attr_put(h, NDA_DST, lengths[i], ip6);
		assert_int_equal(netlink_neighbour_parse(h, &n), -EBADMSG);
	}
	/* no address at all */
	assert_int_equal(netlink_neighbour_parse(neighbour(RTM_NEWNEIGH, AF_INET), &n), -EBADMSG);
	/* of other families, and other messages */
	assert_int_equal(netlink_neighbour_parse(neighbour(RTM_NEWNEIGH, AF_BRIDGE), &n),
			 -EAFNOSUPPORT);
	assert_int_equal(netlink_route_parse(route(AF_BRIDGE), &r), -EAFNOSUPPORT);
	assert_int_equal(netlink_neighbour_parse(route(AF_INET), &n), -EBADMSG);
	assert_int_equal(netlink_route_parse(neighbour(RTM_NEWNEIGH, AF_INET), &r), -EBADMSG);
}

/* Every shorter length (the kernel pads them to 4), in memory of that size: none
 * is read past. */
static void test_truncated(void **state)
{
	struct netlink_neighbour n;
	struct netlink_route r;
	struct netlink_nexthop o;
	struct netlink_rule rule;
	struct netlink_link l;
	struct rtnexthop nh = {.rtnh_len = sizeof(nh)};
	struct nlmsghdr *h;

	(void)state;
	h = route(AF_INET);
	mnl_attr_put(h, RTA_GATEWAY, 4, ip4);
	mnl_attr_put(h, RTA_MULTIPATH, sizeof(nh), &nh);
	mnl_attr_put_u32(h, RTA_OIF, 3);
	for (uint32_t len = sizeof(*h); len < h->nlmsg_len; len += NLMSG_ALIGNTO) {
		struct nlmsghdr *cut = malloc(len);

		memcpy(cut, h, len);
		cut->nlmsg_len = len;
		if (netlink_route_parse(cut, &r) == 0)
			assert_true(r.n <= 1); /* RTA_OIF came last */
		cut->nlmsg_type = RTM_NEWNEIGH;
		netlink_neighbour_parse(cut, &n);
		cut->nlmsg_type = RTM_NEWLINK;
		netlink_link_parse(cut, &l);
		cut->nlmsg_type = RTM_NEWNEXTHOP;
		netlink_nexthop_parse(cut, &o);
		cut->nlmsg_type = RTM_NEWRULE;
		netlink_rule_parse(cut, &rule);
		free(cut);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_route),	       cmocka_unit_test(test_route_via_ip6),
		cmocka_unit_test(test_route_to),       cmocka_unit_test(test_route_change),
		cmocka_unit_test(test_route_unusable), cmocka_unit_test(test_route_several),
		cmocka_unit_test(test_nexthop),	       cmocka_unit_test(test_rule),
		cmocka_unit_test(test_neighbour),      cmocka_unit_test(test_link),
		cmocka_unit_test(test_link_of_a_port), cmocka_unit_test(test_misshapen),
		cmocka_unit_test(test_truncated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
