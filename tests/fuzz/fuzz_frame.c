/* SPDX-License-Identifier: BSD-3-Clause
 * The decoder against anything. What it accepts must encode, and encode to
 * the same: the header, the body and the payload byte by byte, the extensions
 * once more after a second turn.
 */
#include "tests/fuzz/check.h"
#include "tests/unit/wire_frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* Every pointer leads into the frame. */
static void inside(const struct frame *f, const void *p, size_t len)
{
	const uint8_t *b = p;

	if (b)
		check(b >= f->start && len <= f->len && b <= f->start + f->len - len);
}

static void check_pointers(const struct frame *f)
{
	inside(f, f->body, verb_body_size(f->verb));
	inside(f, f->payload, f->payload_len);
	inside(f, f->trailer, TRAILER_SIZE);
	inside(f, f->meta, f->meta_len);
	inside(f, f->versions, f->versions_len);
	inside(f, f->holder, sizeof(*f->holder));
}

static void check_recoded(const struct frame *f)
{
	uint8_t once[WIRE_MAX_FRAME], twice[WIRE_MAX_FRAME];
	size_t len = frame_recode(f, once, sizeof(once));
	struct frame g;

	check(len > 0);
	check(frame_parse(once, len, &g) == DROP_NONE);
	check(g.verb == f->verb && g.key == f->key && g.conn == f->conn);
	check((g.flags & ~WIRE_AUTH) == (f->flags & ~WIRE_AUTH));
	check(memcmp(g.body, f->body, verb_body_size(f->verb)) == 0);
	if (f->verb == VERB_DATA || f->verb == VERB_OFFER) {
		check(g.payload_len == f->payload_len);
		check(memcmp(g.payload, f->payload, f->payload_len) == 0);
	}
	check(frame_recode(&g, twice, sizeof(twice)) == len);
	check(memcmp(once, twice, len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct frame f;
	enum drop d = frame_parse(bytes, len, &f);

	check(d < DROP_COUNT && f.start == bytes && f.len == len);
	if (d != DROP_NONE)
		return 0;
	check_pointers(&f);
	if (frame_decode(&f) == DROP_NONE)
		check_recoded(&f);
	return 0;
}
