/* SPDX-License-Identifier: BSD-3-Clause
 * What a handle gives an event loop: one descriptor that is readable when there is a
 * datagram or when a time has come, finer than the milliseconds that poll() takes.
 */
#ifndef CLIENT_LIB_WAIT_H
#define CLIENT_LIB_WAIT_H

#include <stdbool.h>
#include <stdint.h>

struct wait {
	int epoll; /* -1: not open */
	int timer;
	uint64_t armed; /* microseconds; 0: due at once, as all is at first; NEVER: not */
};

void wait_init(struct wait *w);
void wait_close(struct wait *w);
/* The descriptor, made when it is first asked for: the kernel minds it with every
 * datagram. fd: the socket, which stays the caller's; it is what is returned if there are
 * no descriptors left. */
int wait_fd(struct wait *w, int fd);
/* It is readable from `due` on (NEVER: by the socket alone), microseconds of clock_now(). */
void wait_arm(struct wait *w, uint64_t due, uint64_t now);

#endif
