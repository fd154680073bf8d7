/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "tests/fuzz/check.h"
#include "tests/fuzz/ledger.h"
#include "tests/fuzz/program.h"

static const uint64_t sizes[BLOBS] = {0, 1, 700, 1152, 1153, 5000, 40 * 1152 + 7, BLOB_LONGEST};

static uint8_t blobs[BLOBS][BLOB_LONGEST];
static struct ident ids[BLOBS];

uint8_t byte_next(struct program *p)
{
	return p->next < p->end ? *p->next++ : 0;
}

uint64_t bytes_next(struct program *p, unsigned int n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | byte_next(p);
	return v;
}

/* ---- blobs ---- */

void blobs_make(void)
{
	for (unsigned int i = 0; i < BLOBS; i++) {
		struct ident_state *s = ident_begin(RULE_SHA256);

		for (uint64_t k = 0; k < sizes[i]; k++)
			blobs[i][k] = (uint8_t)(k * 31 + k / 251 + i);
		ident_update(s, blobs[i], sizes[i]);
		ident_final(s, &ids[i]);
		ident_free(s);
	}
}

const uint8_t *blob_bytes(unsigned int i)
{
	return blobs[i];
}

uint64_t blob_size(unsigned int i)
{
	return sizes[i];
}

const struct ident *blob_id(unsigned int i)
{
	return &ids[i];
}

int blob_find(const struct ident *id)
{
	for (int i = 0; i < BLOBS; i++)
		if (ident_equal(&ids[i], id))
			return i;
	return -1;
}

/* ---- hosts ---- */

static void host_join(struct host *h, uint32_t domain)
{
	struct domain_keys keys;

	h->domain = domain;
	h->field = box_field(domain);
	box_domain_keys(domain, &keys);
	session_derive(&keys, h->conn, &h->addr, &h->session);
}

size_t host_sign(const struct host *h, uint8_t *frame, size_t len)
{
	return h->field != 0 ? frame_sign(frame, WIRE_MAX_FRAME, len, &h->session) : len;
}

/* The first four are public; then one that may not be a target, the relay's
 * own address, its peer, and the first one behind another port. */
void hosts_make(struct program *p, bool ip6, bool members)
{
	static const uint8_t domains[HOSTS] = {1, 1, 2, 1, 0, 2, 0, 2};
	static const char *const ip4s[] = {"11.0.0.1", "11.0.0.2",  "11.0.1.1", "12.0.0.1",
					   "10.0.0.1", "192.0.2.1", NULL,	"11.0.0.1"};
	static const char *const ip6s[] = {"2a00::1", "2a00::2",     "2a00:1::1", "2b00::1",
					   "fe80::1", "2001:db8::1", NULL,	  "2a00::1"};

	for (unsigned int i = 0; i < HOSTS; i++) {
		const struct config *c = &p->box->config;
		const char *text = ip6 ? ip6s[i] : ip4s[i];
		struct host *h = &p->host[i];

		h->conn = UINT64_C(0x1000000000000001) * (i + 1);
		if (text)
			addr_parse(text, (uint16_t)(i == 7 ? 999 : WIRE_TARGET_PORT), &h->addr);
		else
			h->addr = c->role == ROLE_PRIVATE ? c->upstream.addr : c->peers[0].addr;
		if (members)
			host_join(h, domains[i]);
	}
	ledger_trust(&p->host[6].addr); /* the configuration names it */
}

static struct host *host_at(struct program *p, const struct addr *a)
{
	for (unsigned int i = 0; i < HOSTS; i++)
		if (addr_equal(&p->host[i].addr, a))
			return &p->host[i];
	return NULL;
}

static void history_add(struct history *h, unsigned int host, const uint8_t *frame, size_t len)
{
	unsigned int at = h->count++ % HISTORY;

	if (len > sizeof(h->frame[at].bytes))
		len = sizeof(h->frame[at].bytes);
	h->frame[at].host = (uint8_t)host;
	h->frame[at].len = (uint16_t)len;
	memcpy(h->frame[at].bytes, frame, len);
}

void host_send(struct program *p, unsigned int host, const uint8_t *frame, size_t len)
{
	const struct addr *from = &p->host[host].addr;

	ledger_received(p->box, from, frame, len, (uint32_t)(addr_overhead(from) + len));
	box_inject(p->box, from, frame, len);
	history_add(&p->sent, host, frame, len);
	p->gathered++;
}

void upload_serve(struct program *p, unsigned int host, unsigned int most, bool spoil)
{
	struct host *h = &p->host[host];
	struct pull w = h->wanted;
	int blob = blob_find(&h->wanted_id);

	if (blob < 0 || w.length != sizes[blob] || host == THIEF)
		return;
	p->has[h->domain][blob] = true;
	for (unsigned int i = 0; i < PULL_MAX_CHUNKS && most > 0; i++) {
		uint8_t buf[WIRE_MAX_FRAME];
		struct data d = {.upload = true, .stream = w.stream, .number = w.number};
		size_t len;

		d.first = w.first + i;
		if ((w.mask >> i & 1) == 0 || d.first >= chunk_count(w.length))
			continue;
		d.len = (uint16_t)chunk_length(w.length, d.first);
		d.bytes = blobs[blob] + (size_t)d.first * CHUNK_SIZE;
		len = data_encode(buf, sizeof(buf), h->field, h->wanted_conn, &d);
		if (spoil)
			buf[len - 1] ^= 1;
		host_send(p, host, buf, host_sign(h, buf, len));
		most--;
	}
}

/* ---- what the relay sends ---- */

/* Was this relay entitled to offer it? What central has is central's. */
static void check_offer(const struct program *p, const struct offer *o)
{
	int blob = blob_find(o->id);

	if (o->holder != NULL)
		return;
	/* what is still uploaded may be anything, of any length; it is pulled, not inline */
	if (o->attempt == 0) {
		check(blob >= 0 && o->length == sizes[blob]);
		check(o->length == 0 || p->has[get32(o->ticket->key) >> 8][blob]);
	} else {
		check(!o->has_inline);
	}
	if (p->box->config.possession && o->length > 0)
		check(!addr_equal(&o->ticket->source, &p->host[THIEF].addr));
	if (o->has_inline)
		check(memcmp(o->data, blobs[blob], o->length) == 0);
}

static void learn_offer(const struct program *p, struct host *h, const struct frame *f)
{
	struct offer o;

	check(offer_decode(f, &o) == DROP_NONE);
	check_offer(p, &o);
	h->echo = *o.echo;
	h->ticket = *o.ticket;
	h->id = *o.id;
	h->rule = o.rule;
	h->length = o.length;
	if (o.attempt != 0)
		h->attempt = o.attempt;
}

static void learn_pull(struct host *h, const struct frame *f)
{
	check(pull_decode(f, &h->wanted) == DROP_NONE && h->wanted.upload);
	h->wanted_id = *h->wanted.id;
	h->wanted_conn = f->conn;
}

static void learn_query(struct program *p, const struct frame *f)
{
	struct query q;

	check(query_decode(f, &q) == DROP_NONE);
	p->query_conn = f->conn;
	p->query_nonce = q.nonce;
	memcpy(p->query_transfer, q.transfer, TRANSFER_SIZE);
	p->query_leg = q.leg;
}

static void learn(struct program *p, struct host *h, const struct frame *f)
{
	struct welcome w;
	struct status s;
	struct data d;

	switch (f->verb) {
	case VERB_WELCOME:
		if (welcome_decode(f, &w) == DROP_NONE)
			h->echo = *w.echo;
		break;
	case VERB_DATA:
		if (data_decode(f, &d) == DROP_NONE)
			h->echo = *d.echo;
		break;
	case VERB_STATUS:
		if (status_decode(f, &s) != DROP_NONE || s.challenge == NULL)
			break;
		h->challenge = *s.challenge;
		h->kept = s.code == STATUS_UPLOAD ? s.bytes : 0;
		break;
	case VERB_OFFER:
		learn_offer(p, h, f);
		break;
	case VERB_PULL:
		learn_pull(h, f);
		break;
	case VERB_QUERY:
		learn_query(p, f);
		break;
	default:
		break;
	}
}

static void frame_take(struct program *p, const struct box_frame *out)
{
	struct host *h = host_at(p, &out->peer);
	struct frame f;

	ledger_sent(out);
	history_add(&p->received, 0, out->payload, out->len);
	if (h == NULL || frame_parse(out->payload, out->len, &f) != DROP_NONE)
		return;
	learn(p, h, &f);
	h->pulled |= f.verb == VERB_PULL;
}

static bool pulls_serve(struct program *p)
{
	bool any = false;

	for (unsigned int i = 0; i < HOSTS; i++) {
		any |= p->host[i].pulled;
		if (p->host[i].pulled)
			upload_serve(p, i, PULL_MAX_CHUNKS, false);
		p->host[i].pulled = false;
	}
	return any;
}

void frames_take(struct program *p)
{
	struct box_frame out;

	p->gathered = 0;
	do {
		box_settle(p->box);
		while (box_take(p->box, &out))
			frame_take(p, &out);
	} while (p->serve && pulls_serve(p));
}
