/* SPDX-License-Identifier: BSD-3-Clause
 * What the port's files know of each other: port.c (its life), port_iface.c
 * (the kernel's interface), port_pool.c (packet memory), port_chain.c (zero-copy),
 * port_xdp.c (the XDP program and its sockets).
 */
#ifndef DATAPLANE_PORT_PART_H
#define DATAPLANE_PORT_PART_H

#include "dataplane/port.h"

/* An mbuf of an AF_XDP port is one page: the driver gives the kernel frames of
 * an object's whole size, headers included, and they must not cross pages. */
#define PORT_OBJECT_SIZE 4096u
#define PORT_PRIVATE_SIZE 64u /* bytes of our own in each mbuf */
#define PORT_CACHE 256u	      /* mbufs cached by each lcore */
#define PORT_XDP_RING 2048u   /* descriptors of RX and TX; the driver's own size for completion */
#define PORT_XDP_FILL (2 * PORT_XDP_RING) /* what the driver sets up */
#define PORT_VDEV_RING 1024u

/* Writes one line to `why` and returns err. */
__attribute__((format(printf, 4, 5))) int port_fail(char *why, size_t size, int err,
						    const char *format, ...);

/* ---- port_iface.c ---- */

/* ifname becomes the interface's own name if it is an alternative one. */
void iface_canonical(struct port *p);
/* The interface exists and is up; fills ifindex and mtu. */
int iface_check(struct port *p, char *why, size_t size);
/* Are there as many receive queues as workers? More would leave traffic with
 * the kernel, fewer would leave workers without any. */
int iface_check_queues(const struct port *p, char *why, size_t size);
/* One relay per interface and network namespace; fills lock_fd. Waits some
 * seconds for a killed relay's lock, and says so on stderr. */
int iface_lock(struct port *p, char *why, size_t size);
/* Binds the kernel's socket on the relay's port; fills kernel_fd. With
 * `shared` the address must be this host's. */
int iface_bind(struct port *p, bool shared, char *why, size_t size);

/* ---- port_pool.c ---- */

/* Largest IP packet that an AF_XDP port's buffers hold. */
uint16_t pool_xdp_mtu(void);
/* Buffers a worker below which a port's rings could run dry. */
uint32_t pool_minimum(enum port_kind kind);
/* The pool of one worker. 0 or -errno. */
int pool_create(struct port *p, uint16_t worker, uint32_t buffers, int socket, char *why,
		size_t size);

/* ---- port_chain.c ---- */

/* What zero-copy needs, if the device `id`, by which the port's frames leave, takes frames
 * whose bytes lie anywhere. 0 or -errno. */
int chain_open(struct port *p, uint16_t id, char *why, size_t size);
/* Bytes of EAL memory that it takes for a worker. */
uint64_t chain_memory(void);

/* ---- port_xdp.c ---- */

/* Looks at what is attached: removes what a killed relay left, refuses a
 * foreign program. Only with the interface's lock held. */
int xdp_clear(const struct port *p, char *why, size_t size);
/* AF_XDP sockets of this process; at most `max`, returns how many. */
unsigned int xdp_sockets(int *fds, unsigned int max);
/* The driver has attached the program: finds it and its maps among our own
 * descriptors, which stay the driver's. */
int xdp_adopt(struct port *p, char *why, size_t size);
/* Is the interface without a program, or with ours? Then the driver, which
 * detaches whatever it finds, may close the port. */
bool xdp_closable(const struct port *p);
/* Detaches our program, and only ours, if it is still attached. */
void xdp_detach(struct port *p);

#endif
