/* SPDX-License-Identifier: BSD-3-Clause */
#include <sodium.h>

#include "client/lib/clock.h"
#include "client/lib/contact.h"

#define HELLO_FIRST (250 * MILLISECOND)
#define HELLO_LONGEST (2 * SECOND)
#define DOUBT (1 * SECOND) /* three HELLOs */
#define QUIET (2 * SECOND)
#define ASK_CALM (10 * SECOND) /* without asking: the next time at once again */

void contact_init(struct contact *p, const struct addr *addr, const struct member *member)
{
	memset(p, 0, sizeof(*p));
	p->asked = *addr;
	p->addr = *addr;
	p->member = member;
	p->refused_at = NEVER;
	p->budget = CONTACT_UNLIMITED;
	randombytes_buf(&p->conn, sizeof(p->conn));
}

void contact_ask(struct contact *p, uint64_t now)
{
	if (p->asking || p->budget == 0)
		return;
	randombytes_buf(&p->nonce, sizeof(p->nonce));
	p->asking = true;
	p->hellos = 0;
	p->asked_since = now;
	if (p->ask_gap == 0 || now >= p->ask_floor + ASK_CALM)
		p->ask_gap = HELLO_FIRST;
	p->hello_at = now > p->ask_floor ? now : p->ask_floor;
	p->hello_wait = HELLO_FIRST;
	p->ask_floor = p->hello_at + p->ask_gap;
	p->ask_gap = earlier(p->ask_gap * 2, HELLO_LONGEST);
}

uint64_t contact_quiet_at(const struct contact *p)
{
	return p->heard + QUIET;
}

static void hello_emit(struct contact *p, struct udp *u, struct udp_tx *tx, const struct addr *to,
		       uint64_t conn, uint64_t nonce)
{
	struct hello h = {.nonce = nonce};
	uint8_t *buf = udp_slot(u, tx);
	struct mac proof;

	if (p->member != NULL) {
		hello_prove(&p->member->keys, conn, contact_key(p), nonce, &proof);
		h.proof = &proof;
	}
	udp_commit(u, tx, to, hello_encode(buf, WIRE_MAX_FRAME, contact_key(p), conn, &h));
	p->hellos++;
	if (p->budget != CONTACT_UNLIMITED)
		p->budget--;
}

void contact_tick(struct contact *p, struct udp *u, struct udp_tx *tx, uint64_t now)
{
	if (!p->asking || p->budget == 0)
		return;
	if (p->named_due) {
		p->named_due = false;
		hello_emit(p, u, tx, &p->named, p->named_conn, p->named_nonce);
		/* its answer has the time that the asked one's had */
		p->hello_at = now + p->hello_wait;
		return;
	}
	if (now < p->hello_at)
		return;
	hello_emit(p, u, tx, &p->asked, p->conn, p->nonce);
	p->hello_at = now + p->hello_wait;
	p->hello_wait = earlier(p->hello_wait * 2, HELLO_LONGEST);
}

uint64_t contact_due(const struct contact *p)
{
	if (!p->asking)
		return NEVER;
	return p->named_due && p->budget > 0 ? 0 : earlier(p->hello_at, p->refused_at);
}

bool contact_silent(const struct contact *p, uint64_t now)
{
	return p->asking && p->budget == 0 && now >= p->hello_at;
}

bool contact_owns(const struct contact *p, const struct addr *from, uint64_t conn)
{
	return conn == p->conn && addr_equal(from, &p->addr);
}

uint32_t contact_key(const struct contact *p)
{
	return p->member != NULL ? p->member->key : 0;
}

void contact_commit(const struct contact *p, struct udp *u, struct udp_tx *tx, uint8_t *buf,
		    size_t len)
{
	if (p->member != NULL)
		len = frame_sign(buf, WIRE_MAX_FRAME, len, &p->session);
	udp_commit(u, tx, &p->addr, len);
}

bool contact_verified(const struct contact *p, const struct frame *f)
{
	return p->member == NULL || frame_signed(f, &p->session);
}

void contact_doubt(struct contact *p, uint64_t now)
{
	if (p->refused_at != NEVER)
		return;
	p->asking = false; /* HELLO from the first again */
	contact_ask(p, now);
	p->refused_at = p->hello_at + DOUBT;
}

bool contact_refused(const struct contact *p, uint64_t now)
{
	return p->asking && now >= p->refused_at;
}

bool contact_nameable(const struct addr *named, const struct addr *by)
{
	return addr_one_host(named) && (!addr_loopback(named) || addr_loopback(by));
}

/* The key of the conversation with us at the address the relay sees. */
static bool session_agree(const struct contact *p, const struct frame *f, const struct welcome *w,
			  struct session *out)
{
	if (p->member == NULL)
		return true;
	session_derive(&p->member->keys, f->conn, w->seen, out);
	return frame_signed(f, out);
}

/* The relay that was asked says that it is to be spoken to elsewhere. */
static void self_note(struct contact *p, const struct addr *self, const struct addr *from)
{
	if (!contact_nameable(self, from))
		return;
	if (!addr_equal(&p->named, self)) {
		p->named = *self;
		randombytes_buf(&p->named_conn, sizeof(p->named_conn));
		randombytes_buf(&p->named_nonce, sizeof(p->named_nonce));
	}
	p->named_due = true;
}

static void welcome_accept(struct contact *p, const struct frame *f, const struct welcome *w,
			   uint64_t now)
{
	p->conn = f->conn;
	p->addr = *w->self;
	/* a stranger's introduction ends here: its word counts for nothing more */
	if (p->budget != CONTACT_UNLIMITED)
		p->asked = p->addr;
	p->seen = *w->seen;
	p->cookie = *w->cookie;
	p->echo = *w->echo;
	p->proven = true;
	p->known = true;
	p->central = w->central;
	p->both_ip = w->both_ip;
	p->longest = w->longest;
	p->foreign = 0;
	p->asking = false;
	p->named_due = false;
	p->named = (struct addr){0};
	p->refused_at = NEVER;
	p->budget = CONTACT_UNLIMITED; /* it has proved that it wants our HELLOs */
	p->heard = now;
	p->refresh_at = now + (uint64_t)w->lifetime * SECOND / 2;
}

bool contact_welcome(struct contact *p, const struct frame *f, const struct addr *from,
		     uint64_t now)
{
	bool by_named = f->conn == p->named_conn && addr_equal(from, &p->named);
	struct session s = {0};
	struct welcome w;
	enum drop reason;

	if (!p->asking || (!by_named && f->conn != p->conn))
		return false;
	reason = welcome_decode(f, &w);
	if ((reason != DROP_NONE && reason != DROP_VERSION) ||
	    w.nonce != (by_named ? p->named_nonce : p->nonce))
		return false;
	/* A group of relays may be asked at one address and answer from an
	 * instance's own. */
	if (!by_named && !addr_equal(from, &p->asked) && !addr_equal(from, w.self))
		return false;
	if (reason == DROP_VERSION) {
		p->foreign = frame_newest_version(f);
		return false;
	}
	if (!session_agree(p, f, &w, &s))
		return false;
	if (!by_named && !(p->proven && addr_equal(w.self, &p->addr)) &&
	    !(addr_equal(from, &p->asked) && addr_equal(w.self, from))) {
		self_note(p, w.self, from);
		return false;
	}
	if (by_named && !addr_equal(w.self, from))
		return false;
	p->session = s;
	welcome_accept(p, f, &w, now);
	return true;
}
