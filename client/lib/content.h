/* SPDX-License-Identifier: BSD-3-Clause
 * An encrypted file as the relays store it, and its encrypted metadata. The
 * relays see bytes; only who has the content key can read them.
 *
 *   header (48) | segments: 65536 bytes of the file and a tag (16) each
 *
 * The last segment may be shorter, an empty file has one empty segment. Segments
 * are the STREAM construction over XChaCha20-Poly1305: the nonce is the segment's
 * number and whether it is the last, so none can be left out, swapped or added.
 * The header commits to the key, so one ciphertext never has two meanings. All
 * of it follows from key and file: equal keys and files, equal ciphertexts.
 */
#ifndef CLIENT_LIB_CONTENT_H
#define CLIENT_LIB_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/ident.h"

#define CONTENT_KEY_SIZE 32
#define CONTENT_HEADER 48
#define SEGMENT_SIZE 65536 /* bytes of the file in all segments but the last */
#define SEGMENT_TAG 16
#define SEGMENT_SEALED (SEGMENT_SIZE + SEGMENT_TAG)
#define SEALED_META_EXTRA 40 /* nonce and tag */

struct content {
	uint8_t header[CONTENT_HEADER];
	uint8_t payload_key[32];
	uint8_t meta_key[32];
	uint64_t length; /* of the file */
};

/* The content key of mode "shared": whoever has the domain's content secret gets
 * the same one for the same file. digest: SHA-256 of the file. */
void content_key_shared(const uint8_t secret[CONTENT_KEY_SIZE], const struct ident *digest,
			uint64_t length, uint8_t key[CONTENT_KEY_SIZE]);

/* length: of the file, at most BLOB_MAX_LENGTH. */
void content_init(struct content *c, const uint8_t key[CONTENT_KEY_SIZE], uint64_t length);
void content_wipe(struct content *c);

/* Length of the ciphertext of a file; may be more than BLOB_MAX_LENGTH. */
uint64_t content_sealed_length(uint64_t length);
/* The inverse. false: no file has a ciphertext of this length. */
bool content_length(uint64_t sealed, uint64_t *length);
/* At least 1. */
uint64_t content_segments(const struct content *c);
/* Bytes of the file in segment `number`. */
size_t segment_length(const struct content *c, uint64_t number);

/* sealed: segment_length() + SEGMENT_TAG bytes. */
void segment_seal(const struct content *c, uint64_t number, const uint8_t *plain, uint8_t *sealed);
/* The inverse, plain and sealed may be the same. false: not what was sealed. */
bool segment_open(const struct content *c, uint64_t number, const uint8_t *sealed, uint8_t *plain);

/* sealed: len + SEALED_META_EXTRA bytes; it differs each time. Returns its length. */
size_t meta_seal(const struct content *c, const uint8_t *meta, size_t len, uint8_t *sealed);
/* meta: len - SEALED_META_EXTRA bytes. Returns their number, or -EBADMSG. */
int meta_open(const struct content *c, const uint8_t *sealed, size_t len, uint8_t *meta);

#endif
