// SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
/* Steers whole UDP packets for the relay's own address and port to its AF_XDP
 * sockets and passes everything else to the kernel. Packets for the same port
 * of another address pass as well: a gateway forwards other people's. IPv4
 * options, IPv6 extension headers, fragments and VLAN tags pass: the kernel's
 * socket on the port swallows those that are for this host.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "steer.h"

#define IP_MORE_FRAGMENTS 0x2000
#define IP_FRAGMENT_OFFSET 0x1fff

/* Filled by the af_xdp driver: queue number -> socket. */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, STEER_QUEUES);
	__type(key, __u32);
	__type(value, __u32);
} xsks_map SEC(".maps");

/* Filled by the daemon; empty, everything passes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, STEER_PORTS_MAX);
	__type(key, struct steer_key);
	__type(value, __u8);
} relay_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, STEER_COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} steer_stats SEC(".maps");

static __always_inline void count(__u32 which)
{
	__u64 *n = bpf_map_lookup_elem(&steer_stats, &which);

	if (n)
		(*n)++;
}

static __always_inline int key_ip4(void *data, void *end, struct steer_key *key)
{
	struct iphdr *ip = data;
	struct udphdr *udp = (void *)(ip + 1);

	if ((void *)(udp + 1) > end)
		return 0;
	if (ip->version != 4 || ip->ihl != 5 || ip->protocol != IPPROTO_UDP)
		return 0;
	if (ip->frag_off & bpf_htons(IP_MORE_FRAGMENTS | IP_FRAGMENT_OFFSET))
		return 0;
	key->family = 4;
	__builtin_memcpy(key->ip, &ip->daddr, sizeof(ip->daddr));
	key->port = udp->dest;
	return 1;
}

static __always_inline int key_ip6(void *data, void *end, struct steer_key *key)
{
	struct ipv6hdr *ip = data;
	struct udphdr *udp = (void *)(ip + 1);

	if ((void *)(udp + 1) > end)
		return 0;
	if (ip->version != 6 || ip->nexthdr != IPPROTO_UDP)
		return 0;
	key->family = 6;
	__builtin_memcpy(key->ip, &ip->daddr, sizeof(ip->daddr));
	key->port = udp->dest;
	return 1;
}

static __always_inline int is_ours(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct steer_key key = {};
	int found = 0;

	if ((void *)(eth + 1) > end)
		return 0;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		found = key_ip4(eth + 1, end, &key);
	else if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		found = key_ip6(eth + 1, end, &key);
	return found && bpf_map_lookup_elem(&relay_ports, &key);
}

SEC("xdp")
int steer(struct xdp_md *ctx)
{
	int action = XDP_PASS;

	if (is_ours(ctx))
		action = bpf_redirect_map(&xsks_map, ctx->rx_queue_index, XDP_PASS);
	count(action == XDP_REDIRECT ? STEER_REDIRECTED : STEER_PASSED);
	return action;
}

char _license[] SEC("license") = "Dual BSD/GPL";
