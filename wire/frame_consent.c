/* SPDX-License-Identifier: BSD-3-Clause
 * LISTEN, LISTENING, STOP: a target's consent. Every value of their fields is
 * in range.
 */
#include "wire/build.h"

size_t listen_encode(uint8_t *buf, size_t cap, uint32_t key, uint64_t conn, const struct listen *l)
{
	struct build b;
	struct wire_listen *w = build_begin(&b, buf, cap, VERB_LISTEN, 0, key, conn);

	if (!w)
		return 0;
	w->cookie = *l->cookie;
	w->number = put64(l->number);
	w->seconds = put32(l->seconds);
	return build_end(&b);
}

enum drop listen_decode(const struct frame *f, struct listen *l)
{
	const struct wire_listen *w = (const struct wire_listen *)f->body;

	l->cookie = &w->cookie;
	l->number = get64(w->number);
	l->seconds = get32(w->seconds);
	return DROP_NONE;
}

size_t listening_encode(uint8_t *buf, size_t cap, uint32_t key, uint64_t conn,
			const struct listening *l)
{
	struct build b;
	struct wire_listening *w = build_begin(&b, buf, cap, VERB_LISTENING, 0, key, conn);

	if (!w)
		return 0;
	w->number = put64(l->number);
	w->seconds = put32(l->seconds);
	return build_end(&b);
}

enum drop listening_decode(const struct frame *f, struct listening *l)
{
	const struct wire_listening *w = (const struct wire_listening *)f->body;

	l->number = get64(w->number);
	l->seconds = get32(w->seconds);
	return DROP_NONE;
}

size_t stop_encode(uint8_t *buf, size_t cap, uint32_t key, uint64_t conn, const struct stop *s)
{
	struct build b;
	struct wire_stop *w = build_begin(&b, buf, cap, VERB_STOP, 0, key, conn);

	if (!w)
		return 0;
	w->cookie = *s->cookie;
	w->number = put64(s->number);
	return build_end(&b);
}

enum drop stop_decode(const struct frame *f, struct stop *s)
{
	const struct wire_stop *w = (const struct wire_stop *)f->body;

	s->cookie = &w->cookie;
	s->number = get64(w->number);
	return DROP_NONE;
}
