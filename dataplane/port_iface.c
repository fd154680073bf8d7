/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/filter.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/port_part.h"

#define LOCK_WAIT_MS 5000u
#define LOCK_RETRY_MS 20u

static int iface_ioctl(const struct port *p, unsigned long request, struct ifreq *ifr)
{
	int fd, err = 0;

	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	memcpy(ifr->ifr_name, p->ifname, IFNAMSIZ);
	if (ioctl(fd, request, ifr) < 0)
		err = -errno;
	close(fd);
	return err;
}

void iface_canonical(struct port *p)
{
	unsigned int index = if_nametoindex(p->ifname);

	if (index)
		if_indextoname(index, p->ifname);
}

int iface_check(struct port *p, char *why, size_t size)
{
	struct ifreq flags = {0}, mtu = {0};
	int err;

	p->ifindex = if_nametoindex(p->ifname);
	if (!p->ifindex)
		return port_fail(why, size, -ENODEV,
				 "%s: there is no such interface; `ip link` lists them", p->ifname);
	err = iface_ioctl(p, SIOCGIFFLAGS, &flags);
	if (!err)
		err = iface_ioctl(p, SIOCGIFMTU, &mtu);
	if (err)
		return port_fail(why, size, err, "%s: cannot be asked for its state: %s", p->ifname,
				 strerror(-err));
	if (!(flags.ifr_flags & IFF_UP))
		return port_fail(why, size, -ENETDOWN,
				 "%s: the interface is down; `ip link set %s up`", p->ifname,
				 p->ifname);
	p->mtu = mtu.ifr_mtu > UINT16_MAX ? UINT16_MAX : mtu.ifr_mtu;
	return 0;
}

/* Receive queues in use, and how many of them af_xdp can have: it counts
 * combined ones only, and takes an interface without any for a single queue. */
static int iface_queues(const struct port *p, uint32_t *used, uint32_t *usable, bool *combined)
{
	struct ethtool_channels ch = {.cmd = ETHTOOL_GCHANNELS};
	struct ifreq ifr = {.ifr_data = (char *)&ch};
	int err;

	*used = *usable = 1;
	*combined = false;
	err = iface_ioctl(p, SIOCETHTOOL, &ifr);
	if (err == -EOPNOTSUPP)
		return 0;
	if (err)
		return err;
	*combined = ch.max_combined > 0;
	if (*combined)
		*usable = ch.combined_count;
	if (ch.combined_count + ch.rx_count > 0)
		*used = ch.combined_count + ch.rx_count;
	return 0;
}

int iface_check_queues(const struct port *p, char *why, size_t size)
{
	uint32_t used, usable;
	bool combined;
	int err;

	err = iface_queues(p, &used, &usable, &combined);
	if (err)
		return port_fail(why, size, err, "%s: cannot be asked for its queues: %s",
				 p->ifname, strerror(-err));
	if (usable < p->workers)
		return port_fail(why, size, -EINVAL,
				 "%s: has %u queues for %u workers; set workers = %u, or "
				 "`ethtool -L %s combined %u` where the interface can",
				 p->ifname, usable, p->workers, usable, p->ifname, p->workers);
	if (used > p->workers)
		return port_fail(why, size, -EINVAL,
				 "%s: spreads packets over %u queues, workers would see those of "
				 "%u; `ethtool -L %s %s %u`%s",
				 p->ifname, used, p->workers, p->ifname,
				 combined ? "combined" : "rx", p->workers,
				 combined ? ", or set workers to the number of queues" : "");
	return 0;
}

/* A killed relay's lock outlives it for as long as the kernel takes to free its
 * memory, so a lock that is held is tried again for a while. */
static int lock_bind(const struct port *p, const struct sockaddr_un *sun, socklen_t len)
{
	const struct timespec pause = {.tv_nsec = LOCK_RETRY_MS * 1000000};

	for (unsigned int waited = 0;; waited += LOCK_RETRY_MS) {
		if (!bind(p->lock_fd, (const struct sockaddr *)sun, len))
			return 0;
		if (errno != EADDRINUSE || waited >= LOCK_WAIT_MS)
			return -errno;
		if (waited == 0)
			fprintf(stderr,
				"oncewired: %s: its lock is held; waiting up to %u s, in case "
				"that is a relay which is ending\n",
				p->ifname, LOCK_WAIT_MS / 1000);
		nanosleep(&pause, NULL);
	}
}

int iface_lock(struct port *p, char *why, size_t size)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	socklen_t len;
	int n, err;

	/* abstract: a name of the network namespace that dies with its owner. By
	 * index: an interface can have several names. */
	n = snprintf(sun.sun_path + 1, sizeof(sun.sun_path) - 1, "oncewire-port-%u", p->ifindex);
	len = offsetof(struct sockaddr_un, sun_path) + 1 + n;
	p->lock_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (p->lock_fd < 0)
		return port_fail(why, size, -errno, "%s: no socket for its lock: %s", p->ifname,
				 strerror(errno));
	err = lock_bind(p, &sun, len);
	if (!err)
		return 0;
	close(p->lock_fd);
	p->lock_fd = -1;
	if (err == -EADDRINUSE)
		return port_fail(why, size, err,
				 "%s: another oncewired runs on this interface; stop it, or use "
				 "another interface",
				 p->ifname);
	return port_fail(why, size, err, "%s: cannot be locked: %s", p->ifname, strerror(-err));
}

static socklen_t iface_sockaddr(const struct port *p, const struct addr *listen,
				struct sockaddr_storage *ss)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	if (listen->type == ADDR_IP4) {
		in->sin_family = AF_INET;
		in->sin_port = htons(get16(listen->port));
		memcpy(&in->sin_addr, listen->ip, sizeof(in->sin_addr));
		return sizeof(*in);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(get16(listen->port));
	memcpy(&in6->sin6_addr, listen->ip, sizeof(in6->sin6_addr));
	if (IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr))
		in6->sin6_scope_id = p->ifindex;
	return sizeof(*in6);
}

static int iface_bind_failed(const struct port *p, const struct addr *listen, int err, char *why,
			     size_t size)
{
	char text[ADDR_TEXT_MAX];

	addr_text(listen, text);
	if (err == -EADDRINUSE)
		return port_fail(
			why, size, err,
			"UDP address %s is in use on this host; end the program that has it "
			"(`ss -ulpn`), or listen on another port",
			text);
	if (err == -EADDRNOTAVAIL)
		return port_fail(
			why, size, err,
			"listen address %s is not on this host (or not yet: IPv6 addresses "
			"are checked for a second); `ip addr show dev %s`",
			text, p->ifname);
	return port_fail(why, size, err, "UDP socket on %s: %s", text, strerror(-err));
}

int port_strays(const struct port *p, uint64_t *count)
{
	*count = 0;
	if (!port_in_kernel(p))
		return -ENOTSUP;
	for (unsigned int i = 0; i < RTE_DIM(p->kernel_fd); i++) {
		uint32_t info[SK_MEMINFO_VARS];
		socklen_t len = sizeof(info);

		if (p->kernel_fd[i] < 0)
			continue;
		if (getsockopt(p->kernel_fd[i], SOL_SOCKET, SO_MEMINFO, info, &len) < 0)
			return -errno;
		if (len <= SK_MEMINFO_DROPS * sizeof(info[0]))
			return -ENOTSUP;
		*count += info[SK_MEMINFO_DROPS];
	}
	return 0;
}

static int iface_bind_one(struct port *p, const struct addr *listen, bool shared, int *out,
			  char *why, size_t size)
{
	/* strays are dropped before they take memory; nobody reads the socket */
	struct sock_filter drop[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	const struct sock_fprog filter = {.len = 1, .filter = drop};
	const int one = 1;
	struct sockaddr_storage ss;
	socklen_t len;
	int fd, err;

	len = iface_sockaddr(p, listen, &ss);
	fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return iface_bind_failed(p, listen, -errno, why, size);
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) < 0 ||
	    (ss.ss_family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0) ||
	    bind(fd, (struct sockaddr *)&ss, len) < 0) {
		err = -errno;
		close(fd);
		/* an address that the kernel does not have draws no ICMP from it */
		if (err == -EADDRNOTAVAIL && !shared)
			return 0;
		return iface_bind_failed(p, listen, err, why, size);
	}
	*out = fd;
	return 0;
}

int iface_bind(struct port *p, bool shared, char *why, size_t size)
{
	const struct addr *listen[] = {&p->listen.ip4, &p->listen.ip6};

	for (unsigned int i = 0; i < RTE_DIM(listen); i++) {
		int err = 0;

		if (listen[i]->type != ADDR_NONE)
			err = iface_bind_one(p, listen[i], shared, &p->kernel_fd[i], why, size);
		if (err)
			return err;
	}
	return 0;
}
