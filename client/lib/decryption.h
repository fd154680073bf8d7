/* SPDX-License-Identifier: BSD-3-Clause
 * A ciphertext that has arrived, on its way back to the file. It is decrypted
 * where it lies: the file is shorter, so each segment is written over what has
 * been read already.
 */
#ifndef CLIENT_LIB_DECRYPTION_H
#define CLIENT_LIB_DECRYPTION_H

#include "client/lib/part.h"
#include "client/lib/seal.h"

struct decryption {
	struct content content;
	uint64_t done; /* segments */
	uint8_t meta_len;
	uint8_t meta[META_MAX];
};

/* For a ciphertext of `length` bytes and its metadata. Returns 0 or -errno:
 * -EBADMSG if they are not what a source makes with this key. */
int decryption_begin(struct decryption *d, const uint8_t key[CONTENT_KEY_SIZE], uint64_t length,
		     const uint8_t *meta, size_t meta_len);
/* Decrypts up to `segments` more. scratch: SEGMENT_SEALED bytes. Returns 1 if
 * there are more, 0 at the end, when the part is the file, or -errno: -EBADMSG
 * if the ciphertext is not what the key's owner made. */
int decryption_run(struct decryption *d, struct part *p, uint8_t *scratch, uint32_t segments);
/* NULL is allowed. */
void decryption_free(struct decryption *d);

#endif
