/* SPDX-License-Identifier: BSD-3-Clause
 * One UDP socket, read and written in batches.
 */
#ifndef CLIENT_UDP_H
#define CLIENT_UDP_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

#include "wire/frame.h"

#define UDP_BATCH 64
#define UDP_SLOT 2048 /* a longer datagram is no frame of ours */
/* Time and overflow, as the kernel hands them over. */
#define UDP_CONTROL (CMSG_SPACE(sizeof(struct timespec)) + CMSG_SPACE(sizeof(uint32_t)))

struct udp {
	int fd;
	bool v6;		/* an IPv6 socket, which may carry IPv4 too */
	uint32_t zone;		/* interface of link-local addresses; 0: none was named */
	uint32_t receive_bytes; /* receive buffer granted, as the kernel counts it */
	uint32_t overflow;	/* datagrams that found the receive buffer full, so far */
	uint64_t latest;	/* when the newest datagram came */
	int error;		/* errno of the newest failure to send; 0: none since */
};

struct udp_rx {
	struct addr from[UDP_BATCH];
	uint32_t len[UDP_BATCH];  /* 0 for a datagram that did not fit */
	uint64_t came[UDP_BATCH]; /* when the kernel got it, microseconds of clock_now() */
	struct mmsghdr msgs[UDP_BATCH];
	struct iovec iov[UDP_BATCH];
	struct sockaddr_in6 raw[UDP_BATCH];
	uint8_t control[UDP_BATCH][UDP_CONTROL];
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

/* Returns the number of datagrams read into rx, 0 when none waits. Times never go
 * back. */
uint32_t udp_receive(struct udp *u, struct udp_rx *rx);

/* Space for one frame of up to WIRE_MAX_FRAME bytes; never NULL. It becomes
 * part of the batch by udp_commit() with the frame's length (0: nothing to
 * send). Sent when the batch is full or flushed. What the kernel does not take
 * is lost, as on the wire: whoever sends it repeats it. */
uint8_t *udp_slot(struct udp *u, struct udp_tx *tx);
void udp_commit(struct udp *u, struct udp_tx *tx, const struct addr *to, size_t len);
void udp_flush(struct udp *u, struct udp_tx *tx);

/* For sendmmsg() on this socket; returns the length of the address. */
socklen_t udp_sockaddr(const struct udp *u, const struct addr *a, struct sockaddr_in6 *out);

#endif
