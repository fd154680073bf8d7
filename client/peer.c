/* SPDX-License-Identifier: BSD-3-Clause */
#include <sodium.h>

#include "client/clock.h"
#include "client/peer.h"

#define HELLO_FIRST (250 * MILLISECOND)
#define HELLO_LONGEST (2 * SECOND)

void peer_init(struct peer *p, const struct addr *addr)
{
	memset(p, 0, sizeof(*p));
	p->asked = *addr;
	p->addr = *addr;
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
	uint8_t *buf;

	if (!p->asking || p->budget == 0 || now < p->hello_at)
		return;
	buf = udp_slot(u, tx);
	udp_commit(u, tx, &p->asked, hello_encode(buf, WIRE_MAX_FRAME, 0, p->conn, &h));
	p->hellos++;
	if (p->budget != PEER_UNLIMITED)
		p->budget--;
	p->hello_at = now + p->hello_wait;
	p->hello_wait = earlier(p->hello_wait * 2, HELLO_LONGEST);
}

uint64_t peer_due(const struct peer *p)
{
	return p->asking ? p->hello_at : NEVER;
}

bool peer_silent(const struct peer *p, uint64_t now)
{
	return p->asking && p->budget == 0 && now >= p->hello_at;
}

bool peer_owns(const struct peer *p, const struct addr *from, uint64_t conn)
{
	return conn == p->conn && addr_equal(from, &p->addr);
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
	p->addr = *w.self;
	p->cookie = *w.cookie;
	p->echo = *w.echo;
	p->known = true;
	p->asking = false;
	p->budget = PEER_UNLIMITED; /* it has proved that it wants our HELLOs */
	p->heard = now;
	p->refresh_at = now + (uint64_t)w.lifetime * SECOND / 2;
	return true;
}
