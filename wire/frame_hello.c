/* SPDX-License-Identifier: BSD-3-Clause
 * HELLO, WELCOME. Their layout never changes.
 */
#include "wire/build.h"

static const uint8_t versions[] = {WIRE_VERSION};

/* A spoofed HELLO must not draw more than it cost, signed or not. */
_Static_assert(sizeof(struct wire_header) + sizeof(struct wire_welcome) +
			       EXT_BYTES(sizeof(versions)) + TRAILER_SIZE ==
		       HELLO_SIZE,
	       "a WELCOME is as large as a HELLO");

size_t hello_encode(uint8_t *buf, size_t cap, uint32_t key, uint64_t conn, const struct hello *h)
{
	struct build b;
	struct wire_hello *w = build_begin(&b, buf, cap, VERB_HELLO, 0, key, conn);

	if (!w)
		return 0;
	w->nonce = put64(h->nonce);
	build_ext(&b, EXT_VERSIONS, versions, sizeof(versions));
	if (h->proof)
		build_ext(&b, EXT_DOMAIN_PROOF, h->proof, sizeof(*h->proof));
	build_pad(&b, HELLO_SIZE - b.len);
	return build_end(&b);
}

enum drop hello_decode(const struct frame *f, struct hello *h)
{
	const struct wire_hello *w = (const struct wire_hello *)f->body;

	if (f->len < HELLO_SIZE)
		return DROP_SHORT;
	h->nonce = get64(w->nonce);
	h->proof = f->domain_proof;
	return DROP_NONE;
}

uint8_t frame_newest_version(const struct frame *f)
{
	uint8_t newest = f->versions_len == 0 ? f->version : 0;

	for (uint8_t i = 0; i < f->versions_len; i++)
		newest = f->versions[i] > newest ? f->versions[i] : newest;
	return newest;
}

static bool version_shared(const struct frame *f)
{
	if (f->versions_len == 0)
		return f->version == WIRE_VERSION;
	return memchr(f->versions, WIRE_VERSION, f->versions_len) != NULL;
}

static enum drop welcome_check(const struct welcome *w)
{
	return addr_valid(w->seen) && addr_valid(w->self) ? DROP_NONE : DROP_FIELD;
}

size_t welcome_encode(uint8_t *buf, size_t cap, uint32_t key, uint64_t conn,
		      const struct welcome *w)
{
	uint8_t flags = (w->central ? WIRE_CENTRAL : 0) | (w->both_ip ? WIRE_BOTH_IP : 0);
	struct build b;
	struct wire_welcome *o = build_begin(&b, buf, cap, VERB_WELCOME, flags, key, conn);

	if (!o || welcome_check(w) != DROP_NONE)
		return 0;
	o->nonce = put64(w->nonce);
	o->cookie = *w->cookie;
	o->echo = *w->echo;
	o->seen = *w->seen;
	o->self = *w->self;
	o->longest = put16(w->longest);
	o->lifetime = put16(w->lifetime);
	build_ext(&b, EXT_VERSIONS, versions, sizeof(versions));
	return build_end(&b);
}

enum drop welcome_decode(const struct frame *f, struct welcome *w)
{
	const struct wire_welcome *i = (const struct wire_welcome *)f->body;

	*w = (struct welcome){
		.nonce = get64(i->nonce),
		.cookie = &i->cookie,
		.echo = &i->echo,
		.seen = &i->seen,
		.self = &i->self,
		.longest = get16(i->longest),
		.lifetime = get16(i->lifetime),
		.central = f->flags & WIRE_CENTRAL,
		.both_ip = f->flags & WIRE_BOTH_IP,
	};
	if (welcome_check(w) != DROP_NONE)
		return DROP_FIELD;
	return version_shared(f) ? DROP_NONE : DROP_VERSION;
}
