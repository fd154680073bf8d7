// SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
/* Steers whole UDP packets for the relay's own address and port to its AF_XDP
 * sockets and passes everything else to the kernel. Of those, the frames of
 * flows that the workers know always go on; strangers' have a rate. Packets for the same port
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

/* Mapped by the daemon, which marks flows in it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, STEER_SETS);
	__type(key, __u32);
	__type(value, struct steer_set);
} steer_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct steer_state);
} steer_state SEC(".maps");

/* Network of a source -> when its next token is due. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, __u64);
} steer_sources SEC(".maps");

/* A queue is one CPU's at a time; each has a cache line of its own. */
struct queue_due {
	__u64 due;
	__u64 unused[7];
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, STEER_QUEUES);
	__type(key, __u32);
	__type(value, struct queue_due);
} steer_queues SEC(".maps");

/* A packet for the relay. */
struct arrival {
	struct steer_key to;
	struct steer_flow from; /* conn is not read yet */
	__u32 len;		/* bytes of UDP payload */
	void *payload;
};

static __always_inline void count(__u32 which)
{
	__u64 *n = bpf_map_lookup_elem(&steer_stats, &which);

	if (n)
		(*n)++;
}

static __always_inline int udp_read(struct udphdr *udp, void *end, struct arrival *a)
{
	__u32 len;

	if ((void *)(udp + 1) > end)
		return 0;
	len = bpf_ntohs(udp->len);
	a->to.port = udp->dest;
	a->from.port = udp->source;
	a->payload = udp + 1;
	a->len = len > sizeof(*udp) ? len - sizeof(*udp) : 0;
	return 1;
}

static __always_inline int ip4_read(struct iphdr *ip, void *end, struct arrival *a)
{
	if ((void *)(ip + 1) > end)
		return 0;
	if (ip->version != 4 || ip->ihl != 5 || ip->protocol != IPPROTO_UDP)
		return 0;
	if (ip->frag_off & bpf_htons(IP_MORE_FRAGMENTS | IP_FRAGMENT_OFFSET))
		return 0;
	a->to.family = 4;
	__builtin_memcpy(a->to.ip, &ip->daddr, sizeof(ip->daddr));
	a->from.ip[0] = ip->saddr;
	return udp_read((void *)(ip + 1), end, a);
}

static __always_inline int ip6_read(struct ipv6hdr *ip, void *end, struct arrival *a)
{
	if ((void *)(ip + 1) > end)
		return 0;
	if (ip->version != 6 || ip->nexthdr != IPPROTO_UDP)
		return 0;
	a->to.family = 6;
	__builtin_memcpy(a->to.ip, &ip->daddr, sizeof(ip->daddr));
	__builtin_memcpy(a->from.ip, &ip->saddr, sizeof(ip->saddr));
	return udp_read((void *)(ip + 1), end, a);
}

static __always_inline int is_ours(struct ethhdr *eth, void *end, struct arrival *a)
{
	int found = 0;

	if ((void *)(eth + 1) > end)
		return 0;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		found = ip4_read((void *)(eth + 1), end, a);
	else if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		found = ip6_read((void *)(eth + 1), end, a);
	return found && bpf_map_lookup_elem(&relay_ports, &a->to);
}

/* The head of a frame that the relay's decoder would not drop at once? Its flow
 * is then complete. */
static __always_inline int frame_read(struct arrival *a, void *end)
{
	__u8 *head = a->payload;

	if (a->len < STEER_HEADER || (void *)(head + STEER_HEADER) > end)
		return 0;
	/* what other versions have in common */
	if (head[0] != STEER_VERSION && head[1] != STEER_HELLO && head[1] != STEER_WELCOME)
		return 0;
	if (head[1] == 0 || head[1] > STEER_VERB_LAST)
		return 0;
	a->from.conn = bpf_be64_to_cpu(*(__be64 *)(head + 8));
	steer_flow_verb(&a->from, head[1]);
	return 1;
}

static __always_inline int flow_known(const struct steer_state *state, const struct steer_flow *f)
{
	__u64 hash = steer_flow_hash(state->seed, f), print = steer_flow_print(hash);
	__u32 set_no = steer_flow_set(hash);
	const struct steer_set *set = bpf_map_lookup_elem(&steer_flows, &set_no);
	__u64 now = print | state->tag, before = print | state->tag_before;
	int found = 0;

	if (!set)
		return 0;
#pragma unroll
	for (int i = 0; i < STEER_WAYS; i++)
		found |= set->slot[i] == now || set->slot[i] == before;
	return found;
}

/* Two CPUs that take a token at once take one: no harm, and no lock. */
static __always_inline int source_take(const struct steer_rate *rate, __u64 network, __u64 now)
{
	__u64 *due = bpf_map_lookup_elem(&steer_sources, &network), first;

	if (!due) {
		first = steer_rate_take(rate, 0, now);
		bpf_map_update_elem(&steer_sources, &network, &first, BPF_ANY);
		return 1;
	}
	if (!steer_rate_ready(rate, *due, now))
		return 0;
	*due = steer_rate_take(rate, *due, now);
	return 1;
}

/* The source first: its flood must not take the tokens of all. But once those
 * are gone, sources without number need not be written down. */
static __always_inline int stranger_admit(const struct steer_state *state, __u64 network,
					  __u32 queue_no, enum steer_counter *reason)
{
	struct queue_due *queue = bpf_map_lookup_elem(&steer_queues, &queue_no);
	__u64 now = bpf_ktime_get_ns();

	if (!queue)
		return 1;
	*reason = STEER_SHED_TOTAL;
	if (!steer_rate_ready(&state->queue, queue->due, now))
		return 0;
	*reason = STEER_SHED_SOURCE;
	if (state->source.interval && !source_take(&state->source, network, now))
		return 0;
	queue->due = steer_rate_take(&state->queue, queue->due, now);
	return 1;
}

static __always_inline int is_admitted(struct xdp_md *ctx, struct arrival *a, void *end,
				       enum steer_counter *reason)
{
	const __u32 first = 0;
	const struct steer_state *state = bpf_map_lookup_elem(&steer_state, &first);

	if (!state || (frame_read(a, end) && flow_known(state, &a->from)))
		return 1;
	/* an IPv4 address, or the /64 of an IPv6 one */
	return stranger_admit(state, a->from.ip[0], ctx->rx_queue_index, reason);
}

SEC("xdp")
int steer(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	enum steer_counter reason;
	struct arrival a = {};
	int action = XDP_PASS;

	if (is_ours((void *)(long)ctx->data, end, &a)) {
		if (!is_admitted(ctx, &a, end, &reason)) {
			count(reason);
			return XDP_DROP;
		}
		action = bpf_redirect_map(&xsks_map, ctx->rx_queue_index, XDP_PASS);
	}
	count(action == XDP_REDIRECT ? STEER_REDIRECTED : STEER_PASSED);
	return action;
}

char _license[] SEC("license") = "Dual BSD/GPL";
