/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/token.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#define KEY_MAX 64
#define TEXT_MAX (2 * KEY_MAX + 64) /* hex digits and white space */

/* Reads the whole file into text. Returns its length or -errno. */
static ssize_t text_read(int fd, char text[TEXT_MAX])
{
	size_t len = 0;
	ssize_t n;

	do {
		n = read(fd, text + len, TEXT_MAX - len);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			len += (size_t)n;
	} while (n != 0 && len < TEXT_MAX);
	return len < TEXT_MAX ? (ssize_t)len : -EINVAL;
}

static int key_parse(const char *text, size_t len, uint8_t *key, size_t size)
{
	while (len > 0 && strchr(" \t\r\n", text[len - 1]) && text[len - 1] != '\0')
		len--;
	if (len != 2 * size || sodium_hex2bin(key, size, text, len, NULL, NULL, NULL) != 0)
		return -EINVAL;
	return 0;
}

int key_file_read(const char *path, uint8_t *key, size_t size)
{
	char text[TEXT_MAX];
	struct stat st;
	ssize_t len;
	int fd, rc;

	if (size > KEY_MAX)
		return -EINVAL;
	/* O_NONBLOCK: a FIFO must not hang the start. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0) {
		rc = -errno;
		goto close;
	}
	rc = -EINVAL;
	if (!S_ISREG(st.st_mode))
		goto close;
	rc = -EPERM;
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		goto close;
	len = text_read(fd, text);
	rc = len < 0 ? (int)len : key_parse(text, (size_t)len, key, size);
	sodium_memzero(text, sizeof(text));
close:
	close(fd);
	return rc;
}
