/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_ethdev.h>

#include "dataplane/port_part.h"

#define SPEC_XDP "af_xdp:"
#define SPEC_VDEV "vdev:"
#define VDEV_IFACE ",iface="
#define DRIVER_XDP "net_af_xdp"
#define DRIVER_TAP "net_tap"

int port_fail(char *why, size_t size, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, size, format, args);
	va_end(args);
	return err;
}

/* For messages. */
static const char *port_name(const struct port *p)
{
	return p->ifname[0] ? p->ifname : p->vdev;
}

static bool text_starts(const char *text, const char *start)
{
	return !strncmp(text, start, strlen(start));
}

static int prepare_xdp(struct port *p, const char *ifname, const char *program, bool force_copy,
		       char *why, size_t size)
{
	int n;

	p->kind = PORT_AF_XDP;
	n = snprintf(p->ifname, sizeof(p->ifname), "%s", ifname);
	if (n < 1 || (size_t)n >= sizeof(p->ifname) || strchr(ifname, ','))
		return port_fail(why, size, -EINVAL, "\"%s\" is not an interface's name", ifname);
	if (access(program, R_OK) < 0)
		return port_fail(why, size, -errno,
				 "XDP program %s: %s; set xdp_program to where steer.bpf.o is",
				 program, strerror(errno));
	iface_canonical(p);
	n = snprintf(p->vdev, sizeof(p->vdev),
		     DRIVER_XDP
		     "0,iface=%s,start_queue=0,queue_count=%u,busy_budget=0,xdp_prog=%s%s",
		     p->ifname, p->workers, program, force_copy ? ",force_copy=1" : "");
	if ((size_t)n >= sizeof(p->vdev) || strchr(program, ','))
		return port_fail(why, size, -EINVAL,
				 "XDP program %s: DPDK takes no path so long or with a comma",
				 program);
	return 0;
}

/* The kernel's interface that a virtual device shares with the kernel, if its
 * arguments name one. A tap is no such interface: the kernel is its far end. */
static void vdev_iface(struct port *p, const char *args)
{
	const char *name = strstr(args, VDEV_IFACE);
	size_t n;

	if (!name || text_starts(args, DRIVER_TAP))
		return;
	name += strlen(VDEV_IFACE);
	n = strcspn(name, ",");
	if (n >= sizeof(p->ifname))
		return;
	memcpy(p->ifname, name, n);
	if (!if_nametoindex(p->ifname))
		memset(p->ifname, 0, sizeof(p->ifname));
}

static int prepare_vdev(struct port *p, const char *args, char *why, size_t size)
{
	int n;

	p->kind = PORT_VDEV;
	/* its close removes whatever XDP program is there: only with the guards above */
	if (text_starts(args, DRIVER_XDP))
		return port_fail(why, size, -EINVAL,
				 "port = vdev:%s: write af_xdp:INTERFACE instead", args);
	n = snprintf(p->vdev, sizeof(p->vdev), "%s", args);
	if (n < 1 || (size_t)n >= sizeof(p->vdev) || args[0] == ',')
		return port_fail(why, size, -EINVAL,
				 "port = vdev: needs a DPDK device, for example vdev:net_tap0");
	vdev_iface(p, args);
	return 0;
}

/* They are the driver's descriptors, closed with its port. */
static void port_forget_program(struct port *p)
{
	p->program = p->ports_map = p->stats_map = p->flows_map = p->state_map = -1;
}

static void port_clear(struct port *p, const struct addr_pair *listen, uint16_t workers)
{
	unsigned int i;

	memset(p, 0, sizeof(*p));
	p->listen = *listen;
	p->workers = workers;
	p->lock_fd = p->kernel_fd[0] = p->kernel_fd[1] = -1;
	port_forget_program(p);
	for (i = 0; i < PORT_WORKERS; i++)
		p->rx_fd[i] = -1;
}

int port_prepare(struct port *p, const char *spec, const struct addr_pair *listen, uint16_t workers,
		 const char *xdp_program, bool force_copy, char *why, size_t why_size)
{
	int err;

	port_clear(p, listen, workers);
	if (!workers || workers > PORT_WORKERS)
		return port_fail(why, why_size, -EINVAL, "workers = %u: 1 to %u are possible",
				 workers, PORT_WORKERS);
	if (text_starts(spec, SPEC_XDP))
		err = prepare_xdp(p, spec + strlen(SPEC_XDP), xdp_program, force_copy, why,
				  why_size);
	else if (text_starts(spec, SPEC_VDEV))
		err = prepare_vdev(p, spec + strlen(SPEC_VDEV), why, why_size);
	else
		err = port_fail(why, why_size, -EINVAL,
				"port = %s: write af_xdp:INTERFACE or vdev:DEVICE", spec);
	if (!err && p->ifname[0])
		err = iface_check(p, why, why_size);
	if (!err && p->ifname[0])
		err = iface_lock(p, why, why_size);
	if (!err && p->kind == PORT_AF_XDP)
		err = iface_check_queues(p, why, why_size);
	if (!err && p->kind == PORT_AF_XDP)
		err = xdp_clear(p, why, why_size);
	if (!err && p->ifname[0])
		err = iface_bind(p, p->kind == PORT_AF_XDP, why, why_size);
	if (err)
		port_release(p);
	return err;
}

/* Receive-side scaling by what the device says it can hash. */
static void port_rss(const struct port *p, const struct rte_eth_dev_info *info,
		     struct rte_eth_conf *conf)
{
	if (p->workers > 1 && info->flow_type_rss_offloads) {
		conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf->rx_adv_conf.rss_conf.rss_hf =
			info->flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP);
	}
}

static int port_configure(struct port *p, char *why, size_t size)
{
	const bool xdp = p->kind == PORT_AF_XDP;
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf = {0};
	int err;

	err = rte_eth_dev_info_get(p->id, &info);
	if (err)
		return port_fail(why, size, err, "%s: no device information", port_name(p));
	if (info.max_rx_queues < p->workers || info.max_tx_queues < p->workers)
		return port_fail(
			why, size, -EINVAL,
			"%s: has %u receive and %u transmit queues for %u workers; give the "
			"device more queues or set workers lower",
			port_name(p), info.max_rx_queues, info.max_tx_queues, p->workers);
	if (xdp && p->mtu > pool_xdp_mtu())
		return port_fail(why, size, -EINVAL,
				 "%s: MTU %u is more than AF_XDP's buffers hold; "
				 "`ip link set %s mtu %u` or less",
				 p->ifname, p->mtu, p->ifname, pool_xdp_mtu());
	/* recorded only: this does not change the interface */
	conf.rxmode.mtu = xdp ? p->mtu : 0;
	port_rss(p, &info, &conf);
	err = rte_eth_dev_configure(p->id, p->workers, p->workers, &conf);
	if (err)
		return port_fail(why, size, err, "%s: the device refuses %u queues: %s",
				 port_name(p), p->workers, strerror(-err));
	return 0;
}

/* The descriptor an idle worker can sleep on is the one AF_XDP socket that
 * setting the queue up has added. */
static int port_new_socket(const int *before, unsigned int count)
{
	int after[PORT_WORKERS + 1];
	unsigned int i, j, n;

	n = xdp_sockets(after, PORT_WORKERS + 1);
	for (i = 0; i < n; i++) {
		for (j = 0; j < count && before[j] != after[i]; j++)
			;
		if (j == count)
			return after[i];
	}
	return -1;
}

static int port_queue(struct port *p, uint16_t worker, uint32_t buffers, char *why, size_t size)
{
	const bool xdp = p->kind == PORT_AF_XDP;
	uint16_t rx = xdp ? PORT_XDP_RING : PORT_VDEV_RING, tx = rx;
	int socket = rte_eth_dev_socket_id(p->id);
	int before[PORT_WORKERS + 1];
	unsigned int count;
	int err;

	err = pool_create(p, worker, buffers, socket, why, size);
	if (err)
		return err;
	err = rte_eth_dev_adjust_nb_rx_tx_desc(p->id, &rx, &tx);
	if (err)
		return port_fail(why, size, err, "%s: no queue size suits the device",
				 port_name(p));
	count = xdp ? xdp_sockets(before, PORT_WORKERS + 1) : 0;
	err = rte_eth_rx_queue_setup(p->id, worker, rx, socket, NULL, p->pool[worker]);
	/* a foreign program that came in between deserves its own message */
	if (err && xdp && xdp_clear(p, why, size))
		return err;
	if (err)
		return port_fail(
			why, size, err,
			"%s: receive queue %u cannot be set up: %s; see the messages above",
			port_name(p), worker, strerror(-err));
	if (xdp)
		p->rx_fd[worker] = port_new_socket(before, count);
	err = rte_eth_tx_queue_setup(p->id, worker, tx, socket, NULL);
	if (err)
		return port_fail(why, size, err, "%s: transmit queue %u cannot be set up: %s",
				 port_name(p), worker, strerror(-err));
	return 0;
}

static int port_find(struct port *p, char *why, size_t size)
{
	char name[RTE_ETH_NAME_MAX_LEN];
	int err;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(p->vdev, ","), p->vdev);
	err = rte_eth_dev_get_port_by_name(name, &p->id);
	if (err)
		return port_fail(why, size, err,
				 "%s: DPDK has no such device; see the messages above",
				 port_name(p));
	return 0;
}

/* What the device says of itself once it runs. */
static int port_describe(struct port *p)
{
	struct rte_ether_addr mac;
	uint16_t mtu;
	int err;

	err = rte_eth_macaddr_get(p->id, &mac);
	if (err)
		return err;
	port_mac_set(p, &mac);
	err = rte_eth_dev_get_mtu(p->id, &mtu);
	if (!err && (!p->mtu || mtu < p->mtu))
		p->mtu = mtu;
	return err;
}

static int port_open(struct port *p, uint32_t buffers, bool zero_copy, char *why, size_t size)
{
	uint16_t i;
	int err;

	err = port_configure(p, why, size);
	for (i = 0; i < p->workers && !err; i++)
		err = port_queue(p, i, buffers, why, size);
	if (!err && p->kind == PORT_AF_XDP)
		err = xdp_adopt(p, why, size);
	if (!err && zero_copy)
		err = chain_open(p, p->id, why, size);
	if (err)
		return err;
	err = rte_eth_dev_start(p->id);
	if (!err)
		err = port_describe(p);
	if (err)
		return port_fail(why, size, err, "%s: does not start: %s", port_name(p),
				 strerror(-err));
	return 0;
}

/* The af_xdp driver's close detaches whatever program it finds, and is not
 * made for half-opened ports. One of those stays as it is: eal_stop() leaves
 * the EAL alone while a device exists, and the kernel frees the rest at exit. */
static void port_abandon(struct port *p)
{
	if (p->kind == PORT_AF_XDP)
		xdp_detach(p);
	else
		rte_eth_dev_close(p->id);
	port_forget_program(p);
}

int port_start(struct port *p, uint32_t buffers, bool zero_copy, char *why, size_t why_size)
{
	int err;

	err = port_find(p, why, why_size);
	if (err)
		return err;
	err = port_open(p, buffers, zero_copy, why, why_size);
	if (err) {
		port_abandon(p);
		return err;
	}
	p->started = true;
	return 0;
}

int port_check_queues(const struct port *p, char *why, size_t why_size)
{
	return p->kind == PORT_AF_XDP ? iface_check_queues(p, why, why_size) : 0;
}

void port_stop(struct port *p)
{
	if (!p->started)
		return;
	p->started = false;
	port_steer(p, false);
	rte_eth_dev_stop(p->id);
	/* pools live until EAL's end: frames may still lie in rings */
	if (p->kind == PORT_VDEV || xdp_closable(p))
		rte_eth_dev_close(p->id);
	if (p->kind == PORT_AF_XDP)
		xdp_detach(p);
	port_forget_program(p);
}

void port_release(struct port *p)
{
	for (unsigned int i = 0; i < RTE_DIM(p->kernel_fd); i++) {
		if (p->kernel_fd[i] >= 0)
			close(p->kernel_fd[i]);
		p->kernel_fd[i] = -1;
	}
	if (p->lock_fd >= 0)
		close(p->lock_fd);
	p->lock_fd = -1;
}
