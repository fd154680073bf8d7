/* SPDX-License-Identifier: BSD-3-Clause
 * The data to send: a regular file or memory, as it is or encrypted. A file is
 * read with pread, in pieces: mapped, it would end the process if somebody cut
 * it short.
 */
#ifndef CLIENT_BLOB_H
#define CLIENT_BLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "client/content.h"

#define BLOB_PIECE (1 << 20) /* bytes hashed at a time */

struct blob {
	const uint8_t *memory; /* NULL: a file */
	int fd;
	bool owned;		   /* fd is ours to close */
	uint64_t length;	   /* of what is sent */
	uint64_t file_length;	   /* of the file: less, if it is encrypted */
	struct stat opened;	   /* the file as it was */
	uint8_t *piece;		   /* BLOB_PIECE bytes */
	struct ciphertext *cipher; /* NULL: not encrypted */
};

/* Return 0 or -errno: -EINVAL not a regular file, -EFBIG longer than a blob can be. */
int blob_open_path(struct blob *b, const char *path);
int blob_open_fd(struct blob *b, int fd);
int blob_open_memory(struct blob *b, const void *data, size_t size);
/* From now on the blob is the ciphertext of the file under this key. It must be
 * read through from its beginning once, then any part of it. digest: the SHA-256
 * that the file had, or NULL. Returns 0, -ENOMEM, or -EFBIG as above. */
int blob_encrypt(struct blob *b, const uint8_t key[CONTENT_KEY_SIZE], const struct ident *digest);
/* Its keys; NULL: not encrypted. */
const struct content *blob_content(const struct blob *b);
void blob_close(struct blob *b);

/* 1 to BLOB_PIECE bytes at offset, all within the blob, valid until the next
 * call; NULL with errno set, to EIO also when the file has become shorter. */
const uint8_t *blob_read(struct blob *b, uint64_t offset, size_t len);
/* Was the file written to since it was opened? Of an encrypted one no two
 * versions are ever read under one key. */
bool blob_changed(const struct blob *b);

#endif
