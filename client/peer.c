/* SPDX-License-Identifier: BSD-3-Clause */
#include <sodium.h>

#include "client/clock.h"
#include "client/peer.h"

#define HELLO_FIRST (250 * MILLISECOND)
#define HELLO_LONGEST (2 * SECOND)
#define DOUBT (1 * SECOND) /* three HELLOs */

void peer_init(struct peer *p, const struct addr *addr, const struct member *member)
{
	memset(p, 0, sizeof(*p));
	p->asked = *addr;
	p->addr = *addr;
	p->member = member;
	p->refused_at = NEVER;
	p->budget = PEER_UNLIMITED;
	randombytes_buf(&p->conn, sizeof(p->conn));
}

void peer_ask(struct peer *p, uint64_t now)
{
	if (p->asking)
		return;
	randombytes_buf(&p->nonce, sizeof(p->nonce));
	p->asking = true;
	p->hellos = 0;
	p->asked_since = now;
	p->hello_at = now;
	p->hello_wait = HELLO_FIRST;
}

void peer_tick(struct peer *p, struct udp *u, struct udp_tx *tx, uint64_t now)
{
	struct hello h = {.nonce = p->nonce};
	struct mac proof;
	uint8_t *buf;

	if (!p->asking || p->budget == 0 || now < p->hello_at)
		return;
	if (p->member != NULL) {
		hello_prove(&p->member->keys, p->conn, peer_key(p), p->nonce, &proof);
		h.proof = &proof;
	}
	buf = udp_slot(u, tx);
	udp_commit(u, tx, &p->asked, hello_encode(buf, WIRE_MAX_FRAME, peer_key(p), p->conn, &h));
	p->hellos++;
	if (p->budget != PEER_UNLIMITED)
		p->budget--;
	p->hello_at = now + p->hello_wait;
	p->hello_wait = earlier(p->hello_wait * 2, HELLO_LONGEST);
}

uint64_t peer_due(const struct peer *p)
{
	return p->asking ? earlier(p->hello_at, p->refused_at) : NEVER;
}

bool peer_silent(const struct peer *p, uint64_t now)
{
	return p->asking && p->budget == 0 && now >= p->hello_at;
}

bool peer_owns(const struct peer *p, const struct addr *from, uint64_t conn)
{
	return conn == p->conn && addr_equal(from, &p->addr);
}

uint32_t peer_key(const struct peer *p)
{
	return p->member != NULL ? p->member->key : 0;
}

void peer_commit(const struct peer *p, struct udp *u, struct udp_tx *tx, uint8_t *buf, size_t len)
{
	if (p->member != NULL)
		len = frame_sign(buf, WIRE_MAX_FRAME, len, &p->session);
	udp_commit(u, tx, &p->addr, len);
}

bool peer_verified(const struct peer *p, const struct frame *f)
{
	return p->member == NULL || frame_signed(f, &p->session);
}

void peer_doubt(struct peer *p, uint64_t now)
{
	if (p->refused_at != NEVER)
		return;
	p->refused_at = now + DOUBT;
	p->asking = false; /* HELLO from the first again */
	peer_ask(p, now);
}

bool peer_refused(const struct peer *p, uint64_t now)
{
	return p->asking && now >= p->refused_at;
}

/* The key of the conversation with us at the address the relay sees. */
static bool session_agree(struct peer *p, const struct frame *f, const struct welcome *w)
{
	struct session s;

	if (p->member == NULL)
		return true;
	session_derive(&p->member->keys, p->conn, w->seen, &s);
	if (!frame_signed(f, &s))
		return false;
	p->session = s;
	return true;
}

bool peer_welcome(struct peer *p, const struct frame *f, const struct addr *from, uint64_t now)
{
	struct welcome w;

	if (!p->asking || f->conn != p->conn || welcome_decode(f, &w) != DROP_NONE ||
	    w.nonce != p->nonce)
		return false;
	/* A group of relays may be asked at one address and answer from an
	 * instance's own. */
	if (!addr_equal(from, &p->asked) && !addr_equal(from, w.self))
		return false;
	if (!session_agree(p, f, &w))
		return false;
	p->addr = *w.self;
	p->cookie = *w.cookie;
	p->echo = *w.echo;
	p->known = true;
	p->asking = false;
	p->refused_at = NEVER;
	p->budget = PEER_UNLIMITED; /* it has proved that it wants our HELLOs */
	p->heard = now;
	p->refresh_at = now + (uint64_t)w.lifetime * SECOND / 2;
	return true;
}
