/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/content.h"

#include <errno.h>
#include <string.h>

static uint64_t stream_begin(uint64_t seed, uint64_t number)
{
	uint64_t state = seed;

	/* mixed, so that the streams of neighbouring numbers do not overlap */
	state = mix_next(&state) + number;
	return mix_next(&state);
}

static void stream_fill(uint64_t *state, uint8_t *out, size_t len)
{
	for (size_t at = 0; at < len; at += sizeof(uint64_t)) {
		uint64_t word = mix_next(state);

		memcpy(out + at, &word, len - at < sizeof(word) ? len - at : sizeof(word));
	}
}

void content_fill_from(uint64_t seed, uint64_t number, uint64_t at, uint8_t *out, size_t len)
{
	uint64_t state = stream_begin(seed, number) + at / sizeof(uint64_t) * MIX_STEP;

	stream_fill(&state, out, len);
}

void content_fill(uint64_t seed, uint64_t number, uint8_t *out, size_t len)
{
	content_fill_from(seed, number, 0, out, len);
}

int content_ident(uint64_t seed, uint64_t number, uint8_t rule, uint64_t length, struct ident *out)
{
	uint64_t state = stream_begin(seed, number);
	struct ident_state *s = ident_begin(rule);
	uint8_t piece[4096]; /* a whole number of words, so pieces join without a seam */

	if (s == NULL)
		return -ENOMEM;
	while (length > 0) {
		size_t len = length < sizeof(piece) ? (size_t)length : sizeof(piece);

		stream_fill(&state, piece, len);
		ident_update(s, piece, len);
		length -= len;
	}
	ident_final(s, out);
	ident_free(s);
	return 0;
}
