/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "tests/fuzz/check.h"
#include "tests/fuzz/ledger.h"
#include "tests/unit/wire_frames.h"

#define ACCOUNTS 1024

struct account {
	struct addr addr;
	bool trusted;
	uint64_t received, sent; /* IP bytes */
	uint64_t named;		 /* by SENDs, their IP bytes */
	uint64_t sends, offers, offered;
};

static struct account accounts[ACCOUNTS];
static unsigned int account_count;

void ledger_reset(void)
{
	account_count = 0;
}

static struct account *account_of(const struct addr *a)
{
	for (unsigned int i = 0; i < account_count; i++)
		if (addr_equal(&accounts[i].addr, a))
			return &accounts[i];
	check(account_count < ACCOUNTS); /* a program cannot name as many */
	accounts[account_count] = (struct account){.addr = *a};
	return &accounts[account_count++];
}

void ledger_trust(const struct addr *a)
{
	account_of(a)->trusted = true;
}

/* Relays trust whom their peers name. */
static void peer_frame(const struct addr *from, const struct frame *f)
{
	struct account *a;
	struct notice n;
	struct query q;

	ledger_trust(from);
	if (f->verb == VERB_QUERY && query_decode(f, &q) == DROP_NONE) {
		ledger_trust(q.source);
		a = account_of(q.target);
		a->named += q.send_size;
		a->sends++;
	} else if (f->verb == VERB_NOTICE && notice_decode(f, &n) == DROP_NONE) {
		ledger_trust(n.source);
	}
}

void ledger_received(const struct box *b, const struct addr *from, const void *payload, size_t len,
		     uint32_t ip_bytes)
{
	struct account *a = account_of(from);
	const struct pair *pair;
	struct frame f;
	struct send s;

	a->received += ip_bytes;
	if (frame_parse(payload, len, &f) != DROP_NONE)
		return;
	pair = keyring_pair(relay_keyring(&b->relay), f.key);
	if (f.trailer && pair && trailer_check(pair->key, f.start, f.len - TRAILER_SIZE, f.trailer))
		peer_frame(from, &f);
	if (verb_body_size(f.verb) < sizeof(struct cookie) ||
	    cookie_check(relay_keys(&b->relay), (const struct cookie *)f.body, from, f.conn,
			 f.key) != DROP_NONE)
		return;
	a->trusted = true;
	if (f.verb == VERB_SEND && send_decode(&f, &s) == DROP_NONE) {
		a = account_of(s.target);
		a->named += ip_bytes;
		a->sends++;
	}
}

void ledger_sent(const struct box_frame *out)
{
	struct account *a = account_of(&out->peer);
	struct frame f;

	if (frame_parse(out->payload, out->len, &f) != DROP_NONE || frame_decode(&f) != DROP_NONE)
		abort(); /* not what a client would take */
	if (f.verb == VERB_OFFER) {
		a->offers++;
		a->offered += out->ip_bytes;
	} else {
		a->sent += out->ip_bytes;
	}
	if (a->trusted)
		return;
	check(a->sent <= a->received);
	check(a->offers <= a->sends && a->offered <= a->named);
}
