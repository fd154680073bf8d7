/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "tests/unit/unit_net.h"

struct datagram {
	struct sockaddr_in from, to;
	size_t len;
	TAILQ_ENTRY(datagram) link;
	unsigned char bytes[];
};

static TAILQ_HEAD(, datagram) under_way = TAILQ_HEAD_INITIALIZER(under_way);

int __wrap_sendmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags);
int __wrap_recvmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags,
		    struct timespec *timeout);

void unit_net_reset(void)
{
	struct datagram *d;

	while ((d = TAILQ_FIRST(&under_way)) != NULL) {
		TAILQ_REMOVE(&under_way, d, link);
		free(d);
	}
}

static struct sockaddr_in local_of(int fd)
{
	struct sockaddr_in local;
	socklen_t len = sizeof(local);

	if (getsockname(fd, (struct sockaddr *)&local, &len) < 0 || local.sin_family != AF_INET)
		abort();
	if (local.sin_addr.s_addr == htonl(INADDR_ANY))
		local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return local;
}

int __wrap_sendmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags)
{
	struct sockaddr_in from = local_of(fd);

	(void)flags;
	for (unsigned int i = 0; i < n; i++) {
		const struct msghdr *h = &msgs[i].msg_hdr;
		struct datagram *d;
		size_t len = 0;

		for (size_t k = 0; k < h->msg_iovlen; k++)
			len += h->msg_iov[k].iov_len;
		d = malloc(sizeof(*d) + len);
		if (d == NULL)
			abort();
		d->from = from;
		memcpy(&d->to, h->msg_name, sizeof(d->to));
		d->len = 0;
		for (size_t k = 0; k < h->msg_iovlen; k++) {
			memcpy(d->bytes + d->len, h->msg_iov[k].iov_base, h->msg_iov[k].iov_len);
			d->len += h->msg_iov[k].iov_len;
		}
		TAILQ_INSERT_TAIL(&under_way, d, link);
	}
	return (int)n;
}

int __wrap_recvmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags,
		    struct timespec *timeout)
{
	struct sockaddr_in to = local_of(fd);
	struct datagram *d, *next;
	unsigned int count = 0;

	(void)flags;
	(void)timeout;
	for (d = TAILQ_FIRST(&under_way); d != NULL && count < n; d = next) {
		struct msghdr *h = &msgs[count].msg_hdr;

		next = TAILQ_NEXT(d, link);
		if (d->to.sin_port != to.sin_port || d->to.sin_addr.s_addr != to.sin_addr.s_addr)
			continue;
		if (d->len > h->msg_iov[0].iov_len)
			abort();
		memcpy(h->msg_iov[0].iov_base, d->bytes, d->len);
		memcpy(h->msg_name, &d->from, sizeof(d->from));
		h->msg_namelen = sizeof(d->from);
		h->msg_flags = 0;
		msgs[count++].msg_len = (unsigned int)d->len;
		TAILQ_REMOVE(&under_way, d, link);
		free(d);
	}
	if (count > 0)
		return (int)count;
	errno = EAGAIN;
	return -1;
}
