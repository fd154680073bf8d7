/* SPDX-License-Identifier: BSD-3-Clause
 * What a handle gives an event loop: one descriptor that is readable when there is a
 * datagram or when a time has come, finer than the milliseconds that poll() takes.
 */
#ifndef CLIENT_WAIT_H
#define CLIENT_WAIT_H

#include <stdint.h>

struct wait {
	int epoll; /* -1: not open */
	int timer;
	uint64_t armed; /* microseconds; NEVER: not */
};

/* fd: the socket, which stays the caller's. Returns 0 or -errno. */
int wait_open(struct wait *w, int fd);
void wait_close(struct wait *w);
/* Readable from `due` on (NEVER: by the socket alone), microseconds of clock_now(). */
void wait_arm(struct wait *w, uint64_t due, uint64_t now);

#endif
