/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/blob.h"
#include "wire/frame.h"

int blob_open_fd(struct blob *b, int fd)
{
	memset(b, 0, sizeof(*b));
	b->fd = -1;
	if (fstat(fd, &b->opened) < 0)
		return -errno;
	if (!S_ISREG(b->opened.st_mode))
		return -EINVAL;
	if ((uint64_t)b->opened.st_size > BLOB_MAX_LENGTH)
		return -EFBIG;
	b->piece = malloc(BLOB_PIECE);
	if (b->piece == NULL)
		return -ENOMEM;
	b->fd = fd;
	b->length = (uint64_t)b->opened.st_size;
	return 0;
}

int blob_open_path(struct blob *b, const char *path)
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
	ret = blob_open_fd(b, fd);
	if (ret < 0)
		close(fd);
	else
		b->owned = true;
	return ret;
}

int blob_open_memory(struct blob *b, const void *data, size_t size)
{
	memset(b, 0, sizeof(*b));
	b->fd = -1;
	if (size > BLOB_MAX_LENGTH)
		return -EFBIG;
	b->memory = data;
	b->length = size;
	return 0;
}

void blob_close(struct blob *b)
{
	if (b->owned)
		close(b->fd);
	free(b->piece);
	memset(b, 0, sizeof(*b));
	b->fd = -1;
}

const uint8_t *blob_read(struct blob *b, uint64_t offset, size_t len)
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

bool blob_changed(const struct blob *b)
{
	struct stat now;

	if (b->memory != NULL)
		return false;
	return fstat(b->fd, &now) < 0 || now.st_size != b->opened.st_size ||
	       now.st_mtim.tv_sec != b->opened.st_mtim.tv_sec ||
	       now.st_mtim.tv_nsec != b->opened.st_mtim.tv_nsec;
}
