/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/lib/clock.h"
#include "client/lib/udp.h"

socklen_t udp_sockaddr(const struct udp *u, const struct addr *a, struct sockaddr_in6 *out)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;

	memset(out, 0, sizeof(*out));
	if (!u->v6) {
		v4->sin_family = AF_INET;
		memcpy(&v4->sin_port, &a->port, 2);
		memcpy(&v4->sin_addr, a->ip, 4);
		return sizeof(*v4);
	}
	out->sin6_family = AF_INET6;
	memcpy(&out->sin6_port, &a->port, 2);
	if (a->type == ADDR_IP4) { /* ::ffff:a.b.c.d */
		memset(&out->sin6_addr.s6_addr[10], 0xff, 2);
		memcpy(&out->sin6_addr.s6_addr[12], a->ip, 4);
	} else {
		memcpy(&out->sin6_addr, a->ip, 16);
		if (IN6_IS_ADDR_LINKLOCAL(&out->sin6_addr))
			out->sin6_scope_id = u->zone;
	}
	return sizeof(*out);
}

static void addr_from_sockaddr(const struct sockaddr_in6 *raw, struct addr *out)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)raw;

	memset(out, 0, sizeof(*out));
	if (raw->sin6_family == AF_INET) {
		out->type = ADDR_IP4;
		memcpy(&out->port, &v4->sin_port, 2);
		memcpy(out->ip, &v4->sin_addr, 4);
	} else if (IN6_IS_ADDR_V4MAPPED(&raw->sin6_addr)) {
		out->type = ADDR_IP4;
		memcpy(&out->port, &raw->sin6_port, 2);
		memcpy(out->ip, &raw->sin6_addr.s6_addr[12], 4);
	} else {
		out->type = ADDR_IP6;
		memcpy(&out->port, &raw->sin6_port, 2);
		memcpy(out->ip, &raw->sin6_addr, 16);
	}
}

/* The forced variant needs CAP_NET_ADMIN and passes net.core.rmem_max. */
static void buffers_size(struct udp *u, uint32_t receive_wish)
{
	int wish = (int)receive_wish, got = 0;
	int out = 4 << 20;
	socklen_t len = sizeof(got);

	if (setsockopt(u->fd, SOL_SOCKET, SO_RCVBUFFORCE, &wish, sizeof(wish)) < 0)
		setsockopt(u->fd, SOL_SOCKET, SO_RCVBUF, &wish, sizeof(wish));
	if (getsockopt(u->fd, SOL_SOCKET, SO_RCVBUF, &got, &len) == 0 && got > 0)
		u->receive_bytes = (uint32_t)got;
	setsockopt(u->fd, SOL_SOCKET, SO_SNDBUF, &out, sizeof(out));
}

/* What the kernel does not have is done without. */
static void features_ask(struct udp *u)
{
	const int on = 1;
	int none = 0;
	socklen_t len = sizeof(none);

	setsockopt(u->fd, SOL_UDP, UDP_GRO, &on, sizeof(on));
	u->cut = getsockopt(u->fd, SOL_UDP, UDP_SEGMENT, &none, &len) == 0;
}

void udp_notes(struct udp *u)
{
	const int on = 1;

	if (u->noted)
		return;
	setsockopt(u->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
	setsockopt(u->fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on));
	u->noted = true;
}

static int socket_bind(struct udp *u, const struct addr *local, int v6only)
{
	struct sockaddr_in6 raw;
	socklen_t len;
	int ret;

	u->fd = socket(u->v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (u->fd < 0)
		return -errno;
	if (u->v6)
		setsockopt(u->fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only));
	len = udp_sockaddr(u, local, &raw);
	if (bind(u->fd, (struct sockaddr *)&raw, len) < 0) {
		ret = -errno;
		close(u->fd);
		u->fd = -1;
		return ret;
	}
	return 0;
}

int udp_open(struct udp *u, const struct addr *local, uint32_t receive_wish)
{
	struct addr any = {.type = ADDR_IP6, .port = local->port};
	int ret;

	*u = (struct udp){.zone = u->zone};
	u->v6 = local->type != ADDR_IP4;
	if (local->type != ADDR_NONE)
		any = *local;
	ret = socket_bind(u, &any, local->type != ADDR_NONE);
	if (ret < 0 && ret != -EADDRINUSE && local->type == ADDR_NONE) {
		any.type = ADDR_IP4;
		u->v6 = false;
		ret = socket_bind(u, &any, 0);
	}
	if (ret < 0)
		return ret;
	buffers_size(u, receive_wish);
	features_ask(u);
	return 0;
}

void udp_close(struct udp *u)
{
	if (u->fd >= 0)
		close(u->fd);
	u->fd = -1;
}

/* What came with a message. */
struct note {
	uint64_t came;
	uint32_t segment; /* bytes of each datagram but the last; 0: it is one */
};

/* Stamps are of the clock that can be set; ahead: what that is ahead of ours. */
static struct note note_take(struct udp *u, struct msghdr *m, uint64_t ahead, uint64_t now)
{
	struct note note = {.came = now};
	struct cmsghdr *c;
	struct timespec t;
	int segment;

	for (c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS) {
			memcpy(&t, CMSG_DATA(c), sizeof(t));
			note.came =
				(uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec / 1000 - ahead;
		} else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
			memcpy(&u->overflow, CMSG_DATA(c), sizeof(u->overflow));
		} else if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
			memcpy(&segment, CMSG_DATA(c), sizeof(segment));
			note.segment = segment > 0 ? (uint32_t)segment : 0;
		}
	}
	/* the clock may have been set in between */
	if (note.came > now || now - note.came > SECOND)
		note.came = now;
	if (note.came > u->latest)
		u->latest = note.came;
	note.came = u->latest;
	return note;
}

/* Takes one message apart; returns its datagrams. */
static uint32_t message_split(struct udp_rx *rx, int i, const struct note *note,
			      struct udp_datagram *out)
{
	uint32_t left = rx->msgs[i].msg_len, len, n = 0;
	const uint8_t *bytes = rx->data[i];

	if (rx->msgs[i].msg_hdr.msg_flags & MSG_TRUNC)
		return 0;
	for (; left > 0 && n < UDP_SEGMENTS; left -= len, bytes += len) {
		len = note->segment > 0 && note->segment < left ? note->segment : left;
		if (len > UDP_LONGEST)
			continue;
		out[n++] = (struct udp_datagram){bytes, len, &rx->from[i], note->came};
	}
	return n;
}

struct udp_rx *udp_rx_create(void)
{
	struct udp_rx *rx = malloc(sizeof(*rx));

	for (int i = 0; rx != NULL && i < UDP_BATCH; i++) {
		rx->iov[i] = (struct iovec){rx->data[i], UDP_MESSAGE};
		rx->msgs[i].msg_hdr = (struct msghdr){
			.msg_name = &rx->raw[i],
			.msg_namelen = sizeof(rx->raw[i]),
			.msg_iov = &rx->iov[i],
			.msg_iovlen = 1,
			.msg_control = rx->control[i],
			.msg_controllen = UDP_CONTROL,
		};
	}
	if (rx != NULL)
		rx->filled = 0;
	return rx;
}

uint32_t udp_receive(struct udp *u, struct udp_rx *rx)
{
	uint64_t now, ahead;
	uint32_t count = 0;
	struct note note;
	int n, i;

	/* what the last call has written over; it has left alone what it did not fill */
	for (i = 0; i < rx->filled; i++) {
		rx->msgs[i].msg_hdr.msg_namelen = sizeof(rx->raw[i]);
		rx->msgs[i].msg_hdr.msg_controllen = UDP_CONTROL;
	}
	n = recvmmsg(u->fd, rx->msgs, UDP_BATCH, MSG_DONTWAIT, NULL);
	rx->filled = n > 0 ? n : 0;
	rx->more = n == UDP_BATCH;
	if (n < 0)
		return 0;
	now = clock_now();
	ahead = clock_real() - now;
	for (i = 0; i < n; i++) {
		note = note_take(u, &rx->msgs[i].msg_hdr, ahead, now);
		addr_from_sockaddr(&rx->raw[i], &rx->from[i]);
		count += message_split(rx, i, &note, &rx->datagram[count]);
	}
	return count;
}

uint8_t *udp_slot(struct udp *u, struct udp_tx *tx)
{
	if (tx->count == UDP_BATCH)
		udp_flush(u, tx);
	return tx->data[tx->count];
}

void udp_commit(struct udp *u, struct udp_tx *tx, const struct addr *to, size_t len)
{
	uint32_t i = tx->count;

	if (len == 0)
		return;
	if (!u->v6 && to->type != ADDR_IP4) { /* an IPv4 socket reaches no IPv6 address */
		u->error = EAFNOSUPPORT;
		return;
	}
	tx->iov[i] = (struct iovec){tx->data[i], len};
	tx->msgs[i].msg_hdr = (struct msghdr){
		.msg_name = &tx->to[i],
		.msg_namelen = udp_sockaddr(u, to, &tx->to[i]),
		.msg_iov = &tx->iov[i],
		.msg_iovlen = 1,
	};
	tx->count++;
}

void udp_flush(struct udp *u, struct udp_tx *tx)
{
	uint32_t done = 0;
	int n;

	while (done < tx->count) {
		n = sendmmsg(u->fd, tx->msgs + done, tx->count - done, MSG_NOSIGNAL);
		if (n > 0) {
			done += (uint32_t)n;
			u->error = 0;
			continue;
		}
		if (errno == EINTR)
			continue;
		u->error = errno;
		if (errno == EAGAIN)
			break;
		done++; /* this one cannot be sent; the next may go elsewhere */
	}
	tx->count = 0;
}

/* Does the kernel find the datagrams' ends by one length? */
static bool cuttable(const struct udp *u, struct iovec (*iov)[2], uint32_t n)
{
	const size_t first = iov[0][0].iov_len + iov[0][1].iov_len;

	for (uint32_t i = 1; i < n; i++) {
		size_t len = iov[i][0].iov_len + iov[i][1].iov_len;

		if (len > first || (len < first && i + 1 < n))
			return false;
	}
	return u->cut && n > 1;
}

static int burst_cut(struct udp *u, const struct msghdr *to, struct iovec (*iov)[2], uint32_t n)
{
	const uint16_t segment = (uint16_t)(iov[0][0].iov_len + iov[0][1].iov_len);
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(segment))];
	} control = {0};
	struct msghdr m = *to;
	struct cmsghdr *c;

	m.msg_iov = iov[0];
	m.msg_iovlen = 2 * n;
	m.msg_control = control.bytes;
	m.msg_controllen = sizeof(control.bytes);
	c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(segment));
	memcpy(CMSG_DATA(c), &segment, sizeof(segment));
	return sendmsg(u->fd, &m, MSG_NOSIGNAL) < 0 ? -1 : (int)n;
}

int udp_burst(struct udp *u, const struct addr *to, struct iovec (*iov)[2], struct mmsghdr *msgs,
	      uint32_t n)
{
	struct sockaddr_in6 raw;
	const struct msghdr m = {.msg_name = &raw, .msg_namelen = udp_sockaddr(u, to, &raw)};
	int sent;

	if (cuttable(u, iov, n)) {
		do
			sent = burst_cut(u, &m, iov, n);
		while (sent < 0 && errno == EINTR);
		if (sent >= 0 || errno == EAGAIN)
			return sent;
		/* not through this interface, or over this path's MTU */
		if (errno == EINVAL || errno == EIO || errno == EMSGSIZE)
			u->cut = false;
	}
	for (uint32_t i = 0; i < n; i++) {
		msgs[i].msg_hdr = m;
		msgs[i].msg_hdr.msg_iov = iov[i];
		msgs[i].msg_hdr.msg_iovlen = 2;
	}
	do
		sent = sendmmsg(u->fd, msgs, n, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent;
}
