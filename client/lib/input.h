/* SPDX-License-Identifier: BSD-3-Clause
 * The data to send: a regular file or memory, as it is or encrypted. A file is
 * read with pread, in pieces: mapped, it would end the process if somebody cut
 * it short.
 */
#ifndef CLIENT_LIB_INPUT_H
#define CLIENT_LIB_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "client/lib/content.h"

#define INPUT_PIECE (1 << 20) /* bytes hashed at a time */

struct input {
	const uint8_t *memory; /* NULL: a file */
	int fd;
	bool owned;		   /* fd is ours to close */
	uint64_t length;	   /* of what is sent */
	uint64_t file_length;	   /* of the file: less, if it is encrypted */
	struct stat opened;	   /* the file as it was */
	uint8_t *piece;		   /* INPUT_PIECE bytes */
	struct ciphertext *cipher; /* NULL: not encrypted */
};

/* Return 0 or -errno: -EINVAL not a regular file, -EFBIG longer than a blob can be. */
int input_open_path(struct input *b, const char *path);
int input_open_fd(struct input *b, int fd);
int input_open_memory(struct input *b, const void *data, size_t size);
/* From now on the blob is the ciphertext of the file under this key. It must be
 * read through from its beginning once, then any part of it. digest: the SHA-256
 * that the file had, or NULL. Returns 0, -ENOMEM, or -EFBIG as above. */
int input_encrypt(struct input *b, const uint8_t key[CONTENT_KEY_SIZE], const struct ident *digest);
/* Its keys; NULL: not encrypted. */
const struct content *input_content(const struct input *b);
void input_close(struct input *b);

/* 1 to INPUT_PIECE bytes at offset, all within the blob, valid until the next
 * call; NULL with errno set, to EIO also when the file has become shorter. */
const uint8_t *input_read(struct input *b, uint64_t offset, size_t len);
/* Was the file written to since it was opened? Of an encrypted one no two
 * versions are ever read under one key. */
bool input_changed(const struct input *b);

#endif
