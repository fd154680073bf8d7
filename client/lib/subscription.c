/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/lib/clock.h"
#include "client/lib/receiver.h"

#define ANSWER_FIRST (250 * MILLISECOND)
#define ANSWER_LONGEST (2 * SECOND)
#define DENIED_WAIT (5 * SECOND) /* before asking for a lease again */
#define SILENT (5 * SECOND)	 /* worth a warning */

void subscription_init(struct subscription *l, struct contact *peer, const struct hosts *hosts,
		       uint64_t now)
{
	*l = (struct subscription){.peer = peer,
				   .hosts = *hosts,
				   .due = now,
				   .wait = ANSWER_FIRST,
				   .busy = ANSWER_FIRST};
	contact_ask(peer, now);
}

static void silence_warn(struct ow_receiver *r, struct subscription *l)
{
	char relay[ADDR_TEXT_MAX], member[MEMBER_TEXT_MAX];
	const struct member *m = l->peer->member;

	l->warned = true;
	l->told = false;
	if (l->peer->foreign != 0) {
		receiver_warn(r,
			      "relay %s speaks version %u of the protocol and not %u, as we do; "
			      "upgrade the older of the two",
			      addr_text(&l->peer->asked, relay), l->peer->foreign, WIRE_VERSION);
		return;
	}
	receiver_warn(r, "relay %s does not answer%s%s; still trying",
		      addr_text(&l->peer->asked, relay),
		      m != NULL ? "; it is also silent if it does not know the key: " : "",
		      m != NULL ? member_text(m, member) : "");
}

/* Of several addresses of one relay the first that answers is the one; they are gone
 * through again and again. */
static void subscription_try_next(struct ow_receiver *r, struct subscription *l, uint64_t now)
{
	struct contact *p = l->peer;
	const struct addr *next;

	if (p->proven || !p->asking || l->stopping || l->hosts.count < 2 ||
	    now - p->asked_since < HOST_PATIENCE_US)
		return;
	if (!hosts_next(&l->hosts, ADDR_NONE)) {
		if (!l->warned)
			silence_warn(r, l);
		l->hosts.at = 0;
	}
	next = &l->hosts.host[l->hosts.at].addr;
	if (contacts_by_addr(r, next) != NULL) { /* in use, for another lease or a delivery */
		p->asked_since = now;
		return;
	}
	contact_init(p, next, p->member);
	contact_ask(p, now);
}

/* Numbers rise over restarts too, so that a replay cannot undo what is newer. */
static uint64_t number_next(struct ow_receiver *r)
{
	struct timespec t;
	uint64_t wall;

	clock_gettime(CLOCK_REALTIME, &t);
	wall = (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec / 1000;
	r->number = wall > r->number ? wall : r->number + 1;
	return r->number;
}

static void subscription_emit(struct ow_receiver *r, struct subscription *l)
{
	struct contact *p = l->peer;
	struct listen listen = {.cookie = &p->cookie, .seconds = SUBSCRIPTION_SECONDS};
	struct stop stop = {.cookie = &p->cookie};
	uint8_t *buf = udp_slot(&r->udp, r->tx);
	size_t len;

	l->number = number_next(r);
	if (l->unanswered == 0)
		l->first = l->number;
	listen.number = stop.number = l->number;
	if (l->stopping)
		len = stop_encode(buf, WIRE_MAX_FRAME, contact_key(p), p->conn, &stop);
	else
		len = listen_encode(buf, WIRE_MAX_FRAME, contact_key(p), p->conn, &listen);
	contact_commit(p, &r->udp, r->tx, buf, len);
}

/* The relay has our key no more. Data is pulled without it from now on, and
 * HELLO goes on: the key may come back. */
static void subscription_refuse(struct ow_receiver *r, struct subscription *l)
{
	char relay[ADDR_TEXT_MAX], member[MEMBER_TEXT_MAX];

	l->peer->known = false;
	l->peer->refused_at = NEVER;
	l->held = l->told = false;
	l->warned = true;
	receiver_warn(
		r,
		"relay %s does not accept %s any more, so it keeps no lease; get the domain's "
		"newer key file and start again",
		addr_text(&l->peer->addr, relay), member_text(l->peer->member, member));
}

void subscription_tick(struct ow_receiver *r, struct subscription *l, uint64_t now)
{
	if (contact_refused(l->peer, now))
		subscription_refuse(r, l);
	if (l->peer->asking && now - l->peer->asked_since >= SILENT && !l->warned)
		silence_warn(r, l);
	subscription_try_next(r, l, now);
	if (!l->peer->known || now < subscription_due(l))
		return;
	subscription_emit(r, l);
	l->unanswered++;
	l->due = now + l->wait;
	l->wait = earlier(l->wait * 2, ANSWER_LONGEST);
	if (!l->stopping && (l->unanswered > 2 || now >= l->peer->refresh_at)) /* two timeouts */
		contact_ask(l->peer, now);
}

uint64_t subscription_due(const struct subscription *l)
{
	if (!l->peer->proven && l->peer->asking && !l->stopping && l->hosts.count > 1)
		return l->peer->asked_since + HOST_PATIENCE_US;
	return l->peer->known && !subscription_ended(l) ? l->due : NEVER;
}

void subscription_answer(struct ow_receiver *r, struct subscription *l, const struct listening *a,
			 uint64_t now)
{
	char text[ADDR_TEXT_MAX];

	if (l->unanswered == 0 || a->number < l->first || a->number > l->number)
		return;
	l->unanswered = 0;
	l->wait = ANSWER_FIRST;
	l->busy = ANSWER_FIRST;
	l->warned = false;
	l->held = a->seconds > 0;
	l->due = now + (l->held ? a->seconds * SECOND / 3 : DENIED_WAIT);
	if (l->held && !l->told && !l->stopping)
		receiver_notice(r, "registered with relay %s", addr_text(&l->peer->addr, text));
	l->told = l->held;
}

void subscription_error(struct ow_receiver *r, struct subscription *l, const struct error *e,
			uint64_t now)
{
	uint64_t wait = DENIED_WAIT;
	char text[ADDR_TEXT_MAX];

	if (l->unanswered == 0 || l->stopping || (e->code != ERROR_BUSY && e->code != ERROR_KEY))
		return;
	if (e->code == ERROR_BUSY) {
		wait = e->retry_after * MILLISECOND;
		wait = wait > l->busy ? wait : l->busy;
		l->busy = earlier(l->busy * 2, DENIED_WAIT);
	}
	l->unanswered = 0;
	l->wait = ANSWER_FIRST;
	l->due = now + wait;
	if (e->code != ERROR_KEY || l->warned)
		return;
	l->warned = true;
	receiver_warn(r,
		      "relay %s keeps leases for its domains' members only; give the key of a "
		      "domain (--domain-key FILE) or leave the relay out",
		      addr_text(&l->peer->addr, text));
}

void subscription_stop(struct subscription *l, uint64_t now)
{
	/* A LISTEN without an answer may have been granted all the same. */
	l->held = l->held || l->unanswered > 0;
	l->stopping = true;
	l->unanswered = 0;
	l->due = now;
	l->wait = ANSWER_FIRST;
}

bool subscription_ended(const struct subscription *l)
{
	return l->stopping && (!l->held || !l->peer->known);
}
