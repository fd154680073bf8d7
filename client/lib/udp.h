/* SPDX-License-Identifier: BSD-3-Clause
 * One UDP socket, read and written in batches.
 */
#ifndef CLIENT_LIB_UDP_H
#define CLIENT_LIB_UDP_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

#include "wire/frame.h"

#define UDP_BATCH 64	/* messages of one system call */
#define UDP_SEGMENTS 64 /* datagrams that the kernel joins to one message, at most */
#define UDP_MESSAGE 65536
#define UDP_LONGEST 2048 /* a longer datagram is no frame of ours */
/* Messages do not begin at the same place of a page: caches would hold few of them. */
#define UDP_SLOT (UDP_MESSAGE + 21 * 64)
/* Time, overflow and the length of joined datagrams, as the kernel hands them over. */
#define UDP_CONTROL                                                           \
	(CMSG_SPACE(sizeof(struct timespec)) + CMSG_SPACE(sizeof(uint32_t)) + \
	 CMSG_SPACE(sizeof(int)))

struct udp {
	int fd;
	bool v6;		/* an IPv6 socket, which may carry IPv4 too */
	bool cut;		/* the kernel cuts a long message to datagrams (UDP_SEGMENT) */
	bool noted;		/* datagrams come with the kernel's notes */
	uint32_t zone;		/* interface of link-local addresses; 0: none was named */
	uint32_t receive_bytes; /* receive buffer granted, as the kernel counts it */
	uint32_t overflow;	/* datagrams that found the receive buffer full, as noted */
	uint64_t latest;	/* when the newest datagram came */
	int error;		/* errno of the newest failure to send; 0: none since */
};

struct udp_datagram {
	const uint8_t *bytes;
	uint32_t len;
	const struct addr *from;
	uint64_t came; /* when the kernel got it, or it was read; microseconds of clock_now() */
};

/* Large, but only what is used becomes memory. */
struct udp_rx {
	bool more;  /* there may be more to read */
	int filled; /* messages of the last call */
	struct addr from[UDP_BATCH];
	struct mmsghdr msgs[UDP_BATCH];
	struct iovec iov[UDP_BATCH];
	struct sockaddr_in6 raw[UDP_BATCH];
	uint8_t control[UDP_BATCH][UDP_CONTROL];
	struct udp_datagram datagram[UDP_BATCH * UDP_SEGMENTS];
	uint8_t data[UDP_BATCH][UDP_SLOT];
};

struct udp_tx {
	uint32_t count;
	struct mmsghdr msgs[UDP_BATCH];
	struct iovec iov[UDP_BATCH];
	struct sockaddr_in6 to[UDP_BATCH];
	uint8_t data[UDP_BATCH][WIRE_MAX_FRAME];
};

/* u->zone may be set before. local: type ADDR_NONE binds all addresses of both families (IPv4 alone
 * where there is no IPv6); port 0 picks one. receive_wish, in bytes, is what the receive buffer
 * should be. Returns 0 or -errno. */
int udp_open(struct udp *u, const struct addr *local, uint32_t receive_wish);
void udp_close(struct udp *u);

/* NULL: no memory. free() takes it. */
struct udp_rx *udp_rx_create(void);
/* From now on the kernel says when it got a datagram, and how many found no room. That costs
 * some percent of a local network's rate, where it tells little. */
void udp_notes(struct udp *u);
/* Returns the number of datagrams read into rx, 0 when none waits. Times never go back. What
 * the kernel has joined (UDP_GRO) is taken apart; what is too long is left out. */
uint32_t udp_receive(struct udp *u, struct udp_rx *rx);

/* Space for one frame of up to WIRE_MAX_FRAME bytes; never NULL. It becomes
 * part of the batch by udp_commit() with the frame's length (0: nothing to
 * send). Sent when the batch is full or flushed. What the kernel does not take
 * is lost, as on the wire: whoever sends it repeats it. */
uint8_t *udp_slot(struct udp *u, struct udp_tx *tx);
void udp_commit(struct udp *u, struct udp_tx *tx, const struct addr *to, size_t len);
void udp_flush(struct udp *u, struct udp_tx *tx);

/* Sends n datagrams, each of which is two pieces, to one address: as one message that the
 * kernel cuts up, if it can and all but the last have the same length, else as messages. iov
 * and msgs have room for n. Returns how many were taken, or -1 with errno set. */
int udp_burst(struct udp *u, const struct addr *to, struct iovec (*iov)[2], struct mmsghdr *msgs,
	      uint32_t n);

/* For sendmmsg() on this socket; returns the length of the address. */
socklen_t udp_sockaddr(const struct udp *u, const struct addr *a, struct sockaddr_in6 *out);

#endif
