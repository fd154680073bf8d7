/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/session.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "bench/content.h"
#include "wire/keyfile.h"

#define CONTENT_SEED 1
#define SOCKET_BUFFER (8 << 20)
#define REPEAT_MS 200
#define PATIENCE_MS 10000
#define LEASE_SECONDS 60
#define TRANSFER_SECONDS 600

/* Looks at one frame: is this exchange over? */
typedef bool (*frame_handler)(struct conversation *s, const struct frame *f);

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int socket_connect(int fd, const struct addr *a)
{
	struct sockaddr_in in4 = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

	if (a->type == ADDR_IP4) {
		memcpy(&in4.sin_addr, a->ip, 4);
		memcpy(&in4.sin_port, &a->port, 2);
		return connect(fd, (const struct sockaddr *)&in4, sizeof(in4));
	}
	memcpy(&in6.sin6_addr, a->ip, 16);
	memcpy(&in6.sin6_port, &a->port, 2);
	return connect(fd, (const struct sockaddr *)&in6, sizeof(in6));
}

int session_connect(struct conversation *s, const struct addr *server, uint64_t number,
		    uint16_t length)
{
	int domain = server->type == ADDR_IP4 ? AF_INET : AF_INET6;
	int size = SOCKET_BUFFER, ret;

	s->length = length;
	content_fill(CONTENT_SEED, number, s->blob, length);
	ret = content_ident(CONTENT_SEED, number, RULE_SHA256, length, &s->id);
	if (ret < 0)
		return ret;
	s->fd = socket(domain, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		return -errno;
	/* beyond rmem_max, which root may exceed */
	if (setsockopt(s->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (socket_connect(s->fd, server) == 0)
		return 0;
	ret = -errno;
	close(s->fd);
	return ret;
}

int session_join(struct conversation *s, const char *path)
{
	struct key_set set;
	int ret = key_set_read(path, &set);

	if (ret == 0) {
		s->key = key_set_field(&set, 0);
		domain_keys_derive(&s->domain, set.key[0].key);
	}
	sodium_memzero(&set, sizeof(set));
	return ret;
}

size_t session_sign(const struct conversation *s, uint8_t *buf, size_t len)
{
	return s->key != 0 ? frame_sign(buf, WIRE_MAX_FRAME, len, &s->session) : len;
}

bool session_signed(const struct conversation *s, const struct frame *f)
{
	return s->key == 0 || frame_signed(f, &s->session);
}

/* Hands what arrives within `ms` to the handler. */
static bool session_listen_for(struct conversation *s, frame_handler handler, int ms)
{
	uint64_t end = now_ms() + (uint64_t)ms, now;
	struct pollfd p = {.fd = s->fd, .events = POLLIN};
	uint8_t buf[2048];
	struct frame f;

	while ((now = now_ms()) < end) {
		ssize_t len;

		if (poll(&p, 1, (int)(end - now)) <= 0)
			continue;
		len = recv(s->fd, buf, sizeof(buf), 0);
		if (len > 0 && frame_parse(buf, (size_t)len, &f) == DROP_NONE &&
		    f.conn == s->conn && handler(s, &f))
			return true;
	}
	return false;
}

/* Says a frame until the handler has what it waits for. */
static int session_ask(struct conversation *s, const uint8_t *frame, size_t len,
		       frame_handler handler)
{
	for (int waited = 0; waited < PATIENCE_MS; waited += REPEAT_MS) {
		if (send(s->fd, frame, len, 0) < 0 && errno != ECONNREFUSED)
			return -errno;
		if (session_listen_for(s, handler, REPEAT_MS))
			return 0;
	}
	return -ETIMEDOUT;
}

static bool on_welcome(struct conversation *s, const struct frame *f)
{
	struct welcome w;

	if (f->verb != VERB_WELCOME || welcome_decode(f, &w) != DROP_NONE)
		return false;
	s->cookie = *w.cookie;
	s->echo = *w.echo;
	s->self = *w.seen;
	if (s->key != 0)
		session_derive(&s->domain, s->conn, &s->self, &s->session);
	return session_signed(s, f);
}

static int session_hello(struct conversation *s)
{
	uint8_t buf[WIRE_MAX_FRAME];
	struct mac proof = {0};
	struct hello h = {.proof = s->key != 0 ? &proof : NULL};

	randombytes_buf(&s->conn, sizeof(s->conn));
	randombytes_buf(&h.nonce, sizeof(h.nonce));
	if (s->key != 0)
		hello_prove(&s->domain, s->conn, s->key, h.nonce, &proof);
	return session_ask(s, buf, hello_encode(buf, sizeof(buf), s->key, s->conn, &h), on_welcome);
}

static bool on_listening(struct conversation *s, const struct frame *f)
{
	struct listening l;

	return f->verb == VERB_LISTENING && session_signed(s, f) &&
	       listening_decode(f, &l) == DROP_NONE && l.seconds > 0;
}

static int session_lease(struct conversation *s)
{
	const struct listen l = {.cookie = &s->cookie, .number = 1, .seconds = LEASE_SECONDS};
	uint8_t buf[WIRE_MAX_FRAME];
	size_t len = listen_encode(buf, sizeof(buf), s->key, s->conn, &l);

	return session_ask(s, buf, session_sign(s, buf, len), on_listening);
}

/* The relay takes the upload: it has one chunk. */
static void upload_serve(struct conversation *s, const struct frame *f)
{
	uint8_t buf[WIRE_MAX_FRAME];
	struct data d = {.upload = true, .bytes = s->blob, .len = s->length};
	struct pull p;
	size_t len;

	if (!session_signed(s, f) || pull_decode(f, &p) != DROP_NONE || !p.upload ||
	    !ident_equal(p.id, &s->id))
		return;
	d.stream = p.stream;
	d.number = p.number;
	len = data_encode(buf, sizeof(buf), s->key, s->conn, &d);
	(void)send(s->fd, buf, session_sign(s, buf, len), 0); /* lost: the relay pulls again */
}

static bool on_offer(struct conversation *s, const struct frame *f)
{
	struct offer o;

	if (f->verb == VERB_PULL)
		upload_serve(s, f);
	if (f->verb != VERB_OFFER || offer_decode(f, &o) != DROP_NONE ||
	    !ident_equal(o.id, &s->id) || o.length != s->length || o.holder != NULL)
		return false;
	s->echo = *o.echo;
	s->ticket = *o.ticket;
	return true;
}

static int session_offer(struct conversation *s)
{
	uint8_t buf[WIRE_MAX_FRAME], transfer[TRANSFER_SIZE];
	const struct send w = {
		.cookie = &s->cookie,
		.transfer = transfer,
		.id = &s->id,
		.target = &s->self,
		.rule = RULE_SHA256,
		.deadline = TRANSFER_SECONDS,
		.length = s->length,
	};
	size_t len;

	randombytes_buf(transfer, sizeof(transfer));
	len = send_encode(buf, sizeof(buf), s->key, s->conn, &w);
	return session_ask(s, buf, session_sign(s, buf, len), on_offer);
}

int session_open(struct conversation *s)
{
	static const struct {
		const char *what;
		int (*step)(struct conversation *s);
	} steps[] = {
		{"HELLO", session_hello},
		{"LISTEN", session_lease},
		{"SEND to ourselves", session_offer},
	};
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < sizeof(steps) / sizeof(steps[0]); i++) {
		ret = steps[i].step(s);
		if (ret < 0)
			fprintf(stderr, "pull_load: %s: %s\n", steps[i].what, strerror(-ret));
	}
	return ret;
}
