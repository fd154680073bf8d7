/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "client/lib/input.h"
#include "wire/frame.h"

#define WINDOW (INPUT_PIECE / SEGMENT_SEALED + 2) /* segments that a piece may touch */

/* A few neighbouring segments, sealed, and the tags of all: one nonce may see
 * one plaintext only, so what is sealed again must come out as it did before. */
struct ciphertext {
	struct content content;
	uint64_t first, count; /* segments in the buffer */
	uint64_t tagged;       /* segments sealed before */
	uint8_t (*tags)[SEGMENT_TAG];
	struct ident digest;
	struct ident_state *hash; /* of the file, while it is read through; may be NULL */
	bool changed;
	uint8_t buffer[CONTENT_HEADER + WINDOW * SEGMENT_SEALED];
};

int input_open_fd(struct input *b, int fd)
{
	memset(b, 0, sizeof(*b));
	b->fd = -1;
	if (fstat(fd, &b->opened) < 0)
		return -errno;
	if (S_ISDIR(b->opened.st_mode))
		return -EISDIR;
	if (!S_ISREG(b->opened.st_mode))
		return -EINVAL;
	if ((uint64_t)b->opened.st_size > BLOB_MAX_LENGTH)
		return -EFBIG;
	b->piece = malloc(INPUT_PIECE);
	if (b->piece == NULL)
		return -ENOMEM;
	b->fd = fd;
	b->length = b->file_length = (uint64_t)b->opened.st_size;
	return 0;
}

int input_open_path(struct input *b, const char *path)
{
	int fd, ret;

	/* O_NONBLOCK: opening a pipe must not wait for its writer. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0) {
		ret = -errno;
		memset(b, 0, sizeof(*b));
		b->fd = -1;
		return ret;
	}
	ret = input_open_fd(b, fd);
	if (ret < 0)
		close(fd);
	else
		b->owned = true;
	return ret;
}

int input_open_memory(struct input *b, const void *data, size_t size)
{
	memset(b, 0, sizeof(*b));
	b->fd = -1;
	if (size > BLOB_MAX_LENGTH)
		return -EFBIG;
	b->memory = data;
	b->length = b->file_length = size;
	return 0;
}

static void ciphertext_free(struct ciphertext *c)
{
	if (c == NULL)
		return;
	content_wipe(&c->content);
	ident_free(c->hash);
	free(c->tags);
	free(c);
}

int input_encrypt(struct input *b, const uint8_t key[CONTENT_KEY_SIZE], const struct ident *digest)
{
	struct ciphertext *c;

	if (content_sealed_length(b->file_length) > BLOB_MAX_LENGTH)
		return -EFBIG;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	content_init(&c->content, key, b->file_length);
	c->tags = calloc(content_segments(&c->content), sizeof(*c->tags));
	if (digest != NULL) {
		c->digest = *digest;
		c->hash = ident_begin(RULE_SHA256);
	}
	if (c->tags == NULL || (digest != NULL && c->hash == NULL)) {
		ciphertext_free(c);
		return -ENOMEM;
	}
	memcpy(c->buffer, c->content.header, CONTENT_HEADER);
	b->cipher = c;
	b->length = content_sealed_length(b->file_length);
	return 0;
}

const struct content *input_content(const struct input *b)
{
	return b->cipher != NULL ? &b->cipher->content : NULL;
}

void input_close(struct input *b)
{
	if (b->owned)
		close(b->fd);
	free(b->piece);
	ciphertext_free(b->cipher);
	memset(b, 0, sizeof(*b));
	b->fd = -1;
}

static const uint8_t *file_read(struct input *b, uint64_t offset, size_t len)
{
	size_t done = 0;
	ssize_t n;

	if (b->memory != NULL)
		return b->memory + offset;
	while (done < len) {
		n = pread(b->fd, b->piece + done, len - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == 0)
				errno = EIO;
			return NULL;
		}
		done += (size_t)n;
	}
	return b->piece;
}

/* Does the file still have what was sealed before? */
static bool segment_same(struct ciphertext *c, uint64_t number, const uint8_t *plain,
			 const uint8_t *tag)
{
	struct ident digest;

	if (number < c->tagged)
		return sodium_memcmp(c->tags[number], tag, SEGMENT_TAG) == 0;
	memcpy(c->tags[c->tagged++], tag, SEGMENT_TAG);
	if (c->hash == NULL)
		return true;
	ident_update(c->hash, plain, segment_length(&c->content, number));
	if (c->tagged < content_segments(&c->content))
		return true;
	ident_final(c->hash, &digest);
	ident_free(c->hash);
	c->hash = NULL;
	return ident_equal(&digest, &c->digest);
}

/* Puts the segment behind those in the buffer. Returns 0, or -1 with errno set. */
static int segment_add(struct input *b, uint64_t number)
{
	struct ciphertext *c = b->cipher;
	uint8_t *sealed = c->buffer + CONTENT_HEADER + (number - c->first) * SEGMENT_SEALED;
	size_t len = segment_length(&c->content, number);
	const uint8_t *plain = file_read(b, number * SEGMENT_SIZE, len);

	if (plain == NULL)
		return -1;
	segment_seal(&c->content, number, plain, sealed);
	if (!segment_same(c, number, plain, sealed + len)) {
		c->changed = true;
		errno = EIO;
		return -1;
	}
	c->count++;
	return 0;
}

/* Lets the buffer begin at segment `first`, or before if `last` has room too. */
static void buffer_move(struct ciphertext *c, uint64_t first, uint64_t last)
{
	uint64_t gone = first - c->first;

	if (first < c->first || gone >= c->count) {
		c->first = first;
		c->count = 0;
	} else if (last - c->first >= WINDOW) {
		c->first = first;
		c->count -= gone;
		memmove(c->buffer + CONTENT_HEADER,
			c->buffer + CONTENT_HEADER + gone * SEGMENT_SEALED,
			c->count * SEGMENT_SEALED);
	}
}

static uint64_t segment_at(uint64_t offset)
{
	return offset < CONTENT_HEADER ? 0 : (offset - CONTENT_HEADER) / SEGMENT_SEALED;
}

static const uint8_t *ciphertext_read(struct input *b, uint64_t offset, size_t len)
{
	struct ciphertext *c = b->cipher;
	uint64_t first = segment_at(offset), last = segment_at(offset + len - 1);

	if (c->changed || first > c->tagged) {
		errno = c->changed ? EIO : EINVAL;
		return NULL;
	}
	buffer_move(c, first, last);
	while (c->first + c->count <= last)
		if (segment_add(b, c->first + c->count) < 0)
			return NULL;
	return c->buffer + (offset - c->first * SEGMENT_SEALED);
}

const uint8_t *input_read(struct input *b, uint64_t offset, size_t len)
{
	return b->cipher != NULL ? ciphertext_read(b, offset, len) : file_read(b, offset, len);
}

bool input_changed(const struct input *b)
{
	struct stat now;

	if (b->cipher != NULL && b->cipher->changed)
		return true;
	if (b->memory != NULL)
		return false;
	return fstat(b->fd, &now) < 0 || now.st_size != b->opened.st_size ||
	       now.st_mtim.tv_sec != b->opened.st_mtim.tv_sec ||
	       now.st_mtim.tv_nsec != b->opened.st_mtim.tv_nsec;
}
