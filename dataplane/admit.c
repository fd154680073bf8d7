/* SPDX-License-Identifier: BSD-3-Clause
 * Who sent the frames of a burst, and what may they have? Cookies, echoes, tickets,
 * members' sessions and trailers, each kind hashed together for the whole burst.
 */
#include "dataplane/worker.h"

/* Every verb that a client sends after HELLO starts its body with the cookie,
 * which is how even an unknown verb can prove that its sender may be answered. */
_Static_assert(offsetof(struct wire_listen, cookie) == 0 &&
		       offsetof(struct wire_stop, cookie) == 0 &&
		       offsetof(struct wire_send, cookie) == 0 &&
		       offsetof(struct wire_pull, cookie) == 0 &&
		       offsetof(struct wire_receipt, cookie) == 0,
	       "cookie first");

static const struct cookie *item_cookie(const struct item *it)
{
	return (const struct cookie *)(it->frame.start + sizeof(struct wire_header));
}

/* ---- what is to be hashed ---- */

static void cookie_want(struct worker *w, struct item *it)
{
	struct macs *m = &w->macs;

	it->proof = cookie_begin(w->keys, item_cookie(it), &it->packet->peer, it->frame.conn,
				 it->frame.key, &m->cookie[m->cookies]);
	if (it->proof == DROP_NONE)
		m->cookie_of[m->cookies++] = it;
}

/* A member's key, whatever else is right. */
static void member_want(struct worker *w, struct item *it)
{
	struct macs *m = &w->macs;
	const struct domain_keys *keys;

	it->domain = keyring_find(w->keyring, it->frame.key, &keys);
	it->trailer = DROP_NONE;
	if (it->frame.key == 0 || it->domain == NULL)
		return;
	session_begin(keys, it->frame.conn, &it->packet->peer, &m->member[m->members]);
	m->member_of[m->members++] = it;
}

/* Where the flow's cookie was right in this epoch, the echo proves as much; on the terms
 * of docs/protocol.md, section 4. */
static bool echo_suffices(const struct item *it)
{
	return it->flow.known && it->flow.marked;
}

static void pull_want(struct worker *w, struct item *it)
{
	const struct addr *peer = &it->packet->peer;
	const uint64_t now = worker_seconds(w);
	struct pull *p = &it->pull;
	struct macs *m = &w->macs;

	it->decoded = pull_decode(&it->frame, p);
	it->by_echo = false;
	if (it->decoded == DROP_NONE && p->upload)
		it->decoded = DROP_ROLE;
	if (it->decoded != DROP_NONE) {
		cookie_want(w, it);
		return;
	}
	it->echo = echo_begin(w->keys, p->echo, peer, it->frame.conn, it->frame.key, now,
			      &m->echo[m->echoes]);
	if (it->echo == DROP_NONE) {
		m->echo_of[m->echoes++] = it;
		it->by_echo = echo_suffices(it);
	}
	if (!it->by_echo)
		cookie_want(w, it);
	it->ticket =
		ticket_begin(w->keys, p->ticket, p->id, p->rule, p->length, &m->ticket[m->tickets]);
	if (it->ticket == DROP_NONE)
		m->ticket_of[m->tickets++] = it;
	/* the one that DATA brings; an echo that was minted in this second will do */
	if (it->echo == DROP_NONE && !echo_now(p->echo, now)) {
		echo_mint_begin(w->keys, peer, it->frame.conn, it->frame.key, now,
				&m->mint[m->mints]);
		m->mint_of[m->mints++] = it;
	}
}

/* Is there a cookie at all, where an unknown verb would have one? */
static bool unknown_has_cookie(const struct frame *f)
{
	const size_t least = sizeof(struct wire_header) + sizeof(struct cookie);

	return f->len >= least + (f->trailer != NULL ? TRAILER_SIZE : 0);
}

static void item_want(struct worker *w, struct item *it)
{
	if (it->unknown != DROP_NONE && !unknown_has_cookie(&it->frame)) {
		it->proof = DROP_COOKIE_BAD;
		it->domain = NULL;
		return;
	}
	if (it->unknown == DROP_NONE && it->frame.verb == VERB_PULL)
		pull_want(w, it);
	else
		cookie_want(w, it);
	member_want(w, it);
}

/* ---- what came of it ---- */

static void proofs_take(struct worker *w)
{
	const uint64_t now = worker_seconds(w);
	const struct macs *m = &w->macs;

	for (unsigned int i = 0; i < m->cookies; i++)
		m->cookie_of[i]->proof =
			cookie_end(w->keys, item_cookie(m->cookie_of[i]), &m->cookie[i]);
	for (unsigned int i = 0; i < m->echoes; i++)
		m->echo_of[i]->echo = echo_end(m->echo_of[i]->pull.echo, &m->echo[i]);
	for (unsigned int i = 0; i < m->mints; i++)
		echo_mint_end(&m->mint[i], now, &m->mint_of[i]->minted);
	for (unsigned int i = 0; i < m->tickets; i++)
		m->ticket_of[i]->ticket =
			ticket_end(m->ticket_of[i]->pull.ticket, &m->ticket[i], now);
}

/* The sessions are derived: now the trailers under them. */
static void trailers_take(struct worker *w)
{
	struct macs *m = &w->macs;
	unsigned int n = 0;

	for (unsigned int i = 0; i < m->members; i++) {
		struct item *it = m->member_of[i];

		session_end(&m->member[i], &it->session);
		it->trailer = DROP_AUTH;
		if (frame_signed_begin(&it->frame, &it->session, &m->member[n]))
			m->member_of[n++] = it;
	}
	sip_hash(m->member, sizeof(m->member[0]), n);
	for (unsigned int i = 0; i < n; i++)
		if (frame_signed_end(&m->member_of[i]->frame, &m->member[i]))
			m->member_of[i]->trailer = DROP_NONE;
}

static void burst_hash(struct worker *w)
{
	struct macs *m = &w->macs;

	sip_hash(m->cookie, sizeof(m->cookie[0]), m->cookies);
	sip_hash(m->echo, sizeof(m->echo[0]), m->echoes);
	sip_hash(m->mint, sizeof(m->mint[0]), m->mints);
	sip_hash(&m->ticket[0].sip, sizeof(m->ticket[0]), m->tickets);
	proofs_take(w);
	if (m->members > 0) {
		sip_hash(m->member, sizeof(m->member[0]), m->members);
		trailers_take(w);
	}
}

/* ---- verdicts ---- */

/* Has it proved its address? DROP_NONE, or DROP_COOKIE_STALE, which may be told so. */
static enum drop address_proven(struct worker *w, struct item *it)
{
	if (!it->by_echo)
		return it->proof;
	if (it->echo == DROP_NONE)
		return DROP_NONE;
	/* nobody is answered for an echo that is wrong */
	it->by_echo = false;
	return cookie_check(w->keys, item_cookie(it), &it->packet->peer, it->frame.conn,
			    it->frame.key);
}

static enum drop sender_admit(struct worker *w, struct item *it)
{
	enum drop reason = address_proven(w, it);

	it->member = false;
	if ((reason != DROP_NONE && reason != DROP_COOKIE_STALE) || it->frame.key == 0)
		return reason;
	if (it->domain == NULL) {
		reply_error(w, it, &(struct error){.code = ERROR_KEY});
		return DROP_KEY_UNKNOWN;
	}
	it->member = true;
	return it->trailer != DROP_NONE ? it->trailer : reason;
}

/* Without the kernel's routes, where it came from is the way back. */
static void sender_learn(struct worker *w, const struct item *it)
{
	if (w->relay->port.ifindex == 0)
		mac_learn(&w->relay->macs, &it->packet->peer, &it->packet->mac);
}

static void sender_proven(struct worker *w, const struct item *it)
{
	if (it->by_echo) /* 56 bits are enough for data, and for nothing that lasts */
		return;
	w->stats.flow_evictions += flow_mark(&it->flow);
	sender_learn(w, it);
}

static enum drop listen_admit(struct worker *w, struct item *it)
{
	if (it->domain != NULL)
		return DROP_NONE;
	reply_error(w, it, &(struct error){.code = ERROR_KEY});
	return DROP_KEY_UNKNOWN;
}

static enum drop item_verdict(struct worker *w, struct item *it)
{
	enum drop reason = sender_admit(w, it);

	if (it->unknown != DROP_NONE) { /* answered to a valid cookie only */
		if (reason == DROP_NONE)
			reply_error(w, it, &(struct error){.code = ERROR_UNSUPPORTED});
		return it->unknown;
	}
	if (reason == DROP_NONE)
		sender_proven(w, it);
	else
		flow_forget(&it->flow);
	if (reason == DROP_COOKIE_STALE)
		reply_error(w, it, &(struct error){.code = ERROR_STALE});
	if (reason != DROP_NONE)
		return reason;
	if (it->frame.verb == VERB_SEND)
		return send_decode(&it->frame, &it->send);
	if (it->frame.verb == VERB_PULL)
		return it->decoded;
	if (it->frame.verb == VERB_LISTEN)
		return listen_admit(w, it);
	return DROP_NONE;
}

/* Relay to relay: the pair's key. Nothing else of the frame is looked at before. */
static enum drop pair_admit(struct worker *w, const struct item *it)
{
	const struct frame *f = &it->frame;
	const struct pair *p = keyring_pair(w->keyring, f->key);

	if (p == NULL)
		return DROP_KEY_UNKNOWN;
	if (f->trailer == NULL ||
	    !trailer_check(p->key, f->start, f->len - TRAILER_SIZE, f->trailer))
		return DROP_AUTH;
	sender_learn(w, it);
	return DROP_NONE;
}

enum proof_kind {
	PROOF_NONE,   /* what it is good for is another's to say */
	PROOF_PAIR,   /* of a relay */
	PROOF_COOKIE, /* of a client */
};

static enum proof_kind proof_kind(const struct item *it)
{
	if (it->unknown != DROP_NONE)
		return PROOF_COOKIE;
	switch (it->frame.verb) {
	case VERB_HELLO:
	case VERB_DATA:
		return PROOF_NONE;
	case VERB_QUERY:
	case VERB_ANSWER:
	case VERB_NOTICE:
		return PROOF_PAIR;
	default:
		return PROOF_COOKIE;
	}
}

uint16_t burst_admit(struct worker *w, struct item **items, uint16_t n)
{
	struct macs *m = &w->macs;
	uint16_t kept = 0;

	m->cookies = m->echoes = m->mints = m->tickets = m->members = 0;
	for (uint16_t i = 0; i < n; i++)
		if (proof_kind(items[i]) == PROOF_COOKIE)
			item_want(w, items[i]);
	burst_hash(w);
	for (uint16_t i = 0; i < n; i++) {
		struct item *it = items[i];
		enum drop reason = DROP_NONE;

		switch (proof_kind(it)) {
		case PROOF_NONE:
			break;
		case PROOF_PAIR:
			reason = pair_admit(w, it);
			break;
		case PROOF_COOKIE:
			reason = item_verdict(w, it);
			break;
		}
		if (reason == DROP_NONE)
			items[kept++] = it;
		else
			worker_drop(w, it->mbuf, reason);
	}
	return kept;
}
