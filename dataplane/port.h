/* SPDX-License-Identifier: BSD-3-Clause
 * A port: one ethdev with a queue pair and a packet pool for each worker, and
 * what the kernel knows of the same interface.
 *
 * Order of life: port_prepare (before rte_eal_init), port_start (after it),
 * port_stop (workers stopped, before rte_eal_cleanup), port_release (after it).
 */
#ifndef DATAPLANE_PORT_H
#define DATAPLANE_PORT_H

#include <limits.h>
#include <net/if.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <rte_ether.h>

#include "wire/addr.h"

#define PORT_WORKERS 16

struct flights;
struct rte_mempool;

enum port_kind {
	PORT_AF_XDP, /* our own XDP program steers the relay's UDP port to us */
	PORT_VDEV,   /* any DPDK virtual device */
};

struct port {
	enum port_kind kind;
	char ifname[IFNAMSIZ]; /* the kernel's interface, "" if there is none */
	unsigned int ifindex;  /* 0: no kernel interface: answers go back to the MAC that asked */
	char vdev[PATH_MAX + 128]; /* the EAL --vdev argument */
	struct addr_pair listen;
	uint16_t workers;
	uint16_t id; /* ethdev; valid from port_start */
	bool started;
	_Atomic uint64_t mac;	 /* control: wo, workers: ro, by port_mac() */
	uint16_t mtu;		 /* at the start */
	int rx_fd[PORT_WORKERS]; /* an idle worker sleeps on it; -1: none */
	struct rte_mempool *pool[PORT_WORKERS];
	/* zero-copy: mbufs without a buffer, whose bytes lie in a slab, and what is counted of
	 * them; NULL: the port takes no chains, or is not to be given any */
	struct rte_mempool *chain_pool[PORT_WORKERS];
	struct flights *flights;
	/* before EAL */
	int lock_fd; /* abstract socket: one relay per (network namespace, interface) */
	/* UDP sockets on the relay's port, by IP version (4, 6): no ICMP unreachable for
	 * strays. -1: none, as the kernel does not have the address */
	int kernel_fd[2];
	/* the XDP program and its maps; the descriptors are the driver's, -1: none */
	int program;
	uint32_t program_id;
	uint32_t program_mode; /* XDP_FLAGS_..._MODE */
	int ports_map;	       /* of {address, port} to steer */
	int stats_map;	       /* of the program's counters */
	int flows_map;	       /* of known flows, and of the rates for strangers */
	int state_map;	       /* (dataplane/shed.h) */
};

/* The address that frames leave with. */
static inline struct rte_ether_addr port_mac(const struct port *p)
{
	uint64_t word = atomic_load_explicit(&p->mac, memory_order_relaxed);
	struct rte_ether_addr mac;

	memcpy(&mac, &word, sizeof(mac));
	return mac;
}

static inline void port_mac_set(struct port *p, const struct rte_ether_addr *mac)
{
	uint64_t word = 0;

	memcpy(&word, mac, sizeof(*mac));
	atomic_store_explicit(&p->mac, word, memory_order_relaxed);
}

/* Reads `spec` ("af_xdp:IFNAME" or "vdev:ARGS"), takes the lock, binds the
 * kernel's UDP socket, and looks at the XDP program on the interface: a foreign
 * one refuses, one left by a killed oncewired is removed. force_copy: umem
 * cannot be hugepages. On failure writes one line (cause and remedy) to `why`
 * and returns -errno; nothing is left behind. */
int port_prepare(struct port *p, const char *spec, const struct addr_pair *listen, uint16_t workers,
		 const char *xdp_program, bool force_copy, char *why, size_t why_size);
/* Configures queues and pools (buffers: mbufs a worker) and starts the port;
 * steering starts with port_steer(). zero_copy: if the device can. */
int port_start(struct port *p, uint32_t buffers, bool zero_copy, char *why, size_t why_size);
/* Tells the XDP program to redirect this relay's addresses and ports (on) or to
 * pass everything (off). Nothing to do for other ports. 0 or -errno. */
int port_steer(struct port *p, bool on);
/* Does the kernel have the relay's addresses? */
static inline bool port_in_kernel(const struct port *p)
{
	return p->kernel_fd[0] >= 0 || p->kernel_fd[1] >= 0;
}
/* Are the interface's receive queues still one a worker? Otherwise writes cause and
 * remedy to `why` and returns -errno. 0 for ports without an interface's queues. */
int port_check_queues(const struct port *p, char *why, size_t why_size);
/* Attaches our program again, where none is. 0 or -errno: -EBUSY or -EEXIST: there
 * is one. */
int port_attach(const struct port *p);
/* Packets to the relay's addresses and ports that the kernel got and dropped: fragments,
 * or all when nothing is steered. 0 or -errno. */
int port_strays(const struct port *p, uint64_t *count);
void port_stop(struct port *p);
void port_release(struct port *p);

/* Bytes of EAL memory that port_start needs, for --no-huge's -m. */
uint64_t port_memory(uint16_t workers, uint32_t buffers);
/* Counters of the XDP program, summed over CPUs. 0, or -ENOTSUP. */
struct port_xdp_stats {
	uint64_t redirected;
	uint64_t passed;
	uint64_t shed_source; /* dropped */
	uint64_t shed_total;
};
int port_xdp_stats(const struct port *p, struct port_xdp_stats *s);

#endif
