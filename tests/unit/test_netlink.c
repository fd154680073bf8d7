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
#include <linux/if_link.h>
#include <linux/neighbour.h>
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
	const struct rtmsg rtm = {.rtm_family = family, .rtm_type = RTN_UNICAST};

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
	struct nlattr *metrics;
	struct nlmsghdr *h;

	(void)state;
	h = route(AF_INET);
	mnl_attr_put_u32(h, RTA_OIF, 3);
	assert_int_equal(netlink_route_parse(h, &r), 0);
	assert_int_equal(r.type, RTN_UNICAST);
	assert_int_equal(r.ifindex, 3);
	assert_int_equal(r.via.type, ADDR_NONE);
	assert_int_equal(r.mtu, 0);

	mnl_attr_put(h, RTA_GATEWAY, 4, ip4);
	metrics = mnl_attr_nest_start(h, RTA_METRICS);
	mnl_attr_put_u32(h, RTAX_HOPLIMIT, 9);
	mnl_attr_put_u32(h, RTAX_MTU, 1400);
	mnl_attr_nest_end(h, metrics);
	mnl_attr_put_u32(h, 200, 1); /* one that we never heard of */
	assert_int_equal(netlink_route_parse(h, &r), 0);
	assert_int_equal(r.via.type, ADDR_IP4);
	assert_memory_equal(r.via.ip, ip4, 4);
	for (int i = 4; i < 16; i++)
		assert_int_equal(r.via.ip[i], 0);
	assert_int_equal(r.mtu, 1400);
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
	mnl_attr_put(h, RTA_VIA, sizeof(via), via);
	assert_int_equal(netlink_route_parse(h, &r), 0);
	assert_int_equal(r.via.type, ADDR_IP6);
	assert_memory_equal(r.via.ip, ip6, 16);

	for (size_t len = 0; len < sizeof(via); len++) {
		h = route(AF_INET);
		mnl_attr_put(h, RTA_VIA, len, via);
		assert_int_equal(netlink_route_parse(h, &r), -EBADMSG);
	}
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
	} routes[] = {{RTA_OIF, 0},	{RTA_OIF, 2},	  {RTA_OIF, 8},
		      {RTA_GATEWAY, 0}, {RTA_GATEWAY, 3}, {RTA_GATEWAY, 16}};
	static const uint16_t lengths[] = {0, 3, 5, 16};
	struct netlink_neighbour n;
	struct netlink_route r;
	struct nlattr *metrics;
	struct nlmsghdr *h;

	(void)state;
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		h = route(AF_INET);
		mnl_attr_put(h, routes[i].attr, routes[i].len, ip6);
		assert_int_equal(netlink_route_parse(h, &r), -EBADMSG);
	}
	h = route(AF_INET);
	metrics = mnl_attr_nest_start(h, RTA_METRICS);
	mnl_attr_put_u16(h, RTAX_MTU, 1400);
	mnl_attr_nest_end(h, metrics);
	assert_int_equal(netlink_route_parse(h, &r), -EBADMSG);

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
	struct netlink_link l;
	struct nlattr *metrics;
	struct nlmsghdr *h;

	(void)state;
	h = route(AF_INET);
	mnl_attr_put(h, RTA_GATEWAY, 4, ip4);
	metrics = mnl_attr_nest_start(h, RTA_METRICS);
	mnl_attr_put_u32(h, RTAX_MTU, 1400);
	mnl_attr_nest_end(h, metrics);
	mnl_attr_put_u32(h, RTA_OIF, 3);
	for (uint32_t len = sizeof(*h); len < h->nlmsg_len; len += NLMSG_ALIGNTO) {
		struct nlmsghdr *cut = malloc(len);

		memcpy(cut, h, len);
		cut->nlmsg_len = len;
		if (netlink_route_parse(cut, &r) == 0)
			assert_int_equal(r.ifindex, 0); /* it came last */
		cut->nlmsg_type = RTM_NEWNEIGH;
		netlink_neighbour_parse(cut, &n);
		cut->nlmsg_type = RTM_NEWLINK;
		netlink_link_parse(cut, &l);
		free(cut);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_route),	       cmocka_unit_test(test_route_via_ip6),
		cmocka_unit_test(test_neighbour),      cmocka_unit_test(test_link),
		cmocka_unit_test(test_link_of_a_port), cmocka_unit_test(test_misshapen),
		cmocka_unit_test(test_truncated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
