/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/lib/possession.h"

#include <errno.h>

#include "wire/frame.h"

int possession_prove(struct input *b, const struct ident *id, const struct challenge *c,
		     struct proof *out)
{
	uint8_t bytes[PROOF_CHUNKS * CHUNK_SIZE];
	uint32_t chunk[PROOF_CHUNKS], count, len, i;
	const uint8_t *found;
	size_t size = 0;

	count = proof_pick(c, b->length, chunk);
	for (i = 0; i < count; i++) {
		len = chunk_length(b->length, chunk[i]);
		found = input_read(b, (uint64_t)chunk[i] * CHUNK_SIZE, len);
		if (found == NULL)
			return -errno;
		memcpy(bytes + size, found, len);
		size += len;
	}
	proof_make(c, id, bytes, size, out);
	return 0;
}
