/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#define KEY_MAX 64
#define TEXT_MAX 4096

/* Reads the whole file into text and ends it with a NUL. Returns its length or
 * -errno. */
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
	if (len == TEXT_MAX)
		return -EINVAL;
	text[len] = '\0';
	return (ssize_t)len;
}

/* The text of a file that only its owner may read. Returns its length or -errno. */
static ssize_t secret_read(const char *path, char text[TEXT_MAX])
{
	struct stat st;
	ssize_t ret;
	int fd;

	/* O_NONBLOCK: a FIFO must not hang the start. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		ret = -errno;
	else if (!S_ISREG(st.st_mode))
		ret = -EINVAL;
	else if (st.st_mode & (S_IRWXG | S_IRWXO))
		ret = -EPERM;
	else
		ret = text_read(fd, text);
	close(fd);
	return ret;
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
	ssize_t len;
	int ret;

	if (size > KEY_MAX)
		return -EINVAL;
	len = secret_read(path, text);
	ret = len < 0 ? (int)len : key_parse(text, (size_t)len, key, size);
	sodium_memzero(text, sizeof(text));
	return ret;
}

/* A decimal number up to max, and the character that must end it. */
static int number_parse(char **p, char end, uint32_t max, uint32_t *out)
{
	unsigned long n;
	char *after;

	if (**p < '0' || **p > '9')
		return -EINVAL;
	n = strtoul(*p, &after, 10);
	if (*after != end || n > max)
		return -EINVAL;
	*out = (uint32_t)n;
	*p = after + 1;
	return 0;
}

static int set_line_parse(char *line, struct key_set *s)
{
	uint32_t id, generation;

	if (s->count == KEY_SET_GENERATIONS || number_parse(&line, '.', KEY_SET_ID_MAX, &id) < 0 ||
	    number_parse(&line, ' ', UINT8_MAX, &generation) < 0)
		return -EINVAL;
	if (id == 0 || (s->count > 0 && id != s->id))
		return -EINVAL;
	for (uint32_t i = 0; i < s->count; i++)
		if (s->key[i].generation == generation)
			return -EINVAL;
	if (key_parse(line, strlen(line), s->key[s->count].key, KEY_SET_SIZE) < 0)
		return -EINVAL;
	s->id = id;
	s->key[s->count++].generation = (uint8_t)generation;
	return 0;
}

int key_set_read(const char *path, struct key_set *s)
{
	char text[TEXT_MAX], *line, *rest = text;
	ssize_t len = secret_read(path, text);
	int ret = len < 0 ? (int)len : 0;

	memset(s, 0, sizeof(*s));
	while (ret == 0 && (line = strsep(&rest, "\n")) != NULL) {
		line += strspn(line, " \t\r");
		if (*line != '\0' && *line != '#')
			ret = set_line_parse(line, s);
	}
	if (ret == 0 && s->count == 0)
		ret = -EINVAL;
	sodium_memzero(text, sizeof(text));
	if (ret < 0)
		sodium_memzero(s, sizeof(*s));
	return ret;
}

const char *key_set_text(const struct key_set *s, char *buf)
{
	char hex[2 * KEY_SET_SIZE + 1];
	size_t len = 0;

	buf[0] = '\0';
	for (uint32_t i = 0; i < s->count; i++) {
		sodium_bin2hex(hex, sizeof(hex), s->key[i].key, KEY_SET_SIZE);
		len += (size_t)snprintf(buf + len, KEY_SET_TEXT - len, "%u.%u %s\n", s->id,
					s->key[i].generation, hex);
	}
	sodium_memzero(hex, sizeof(hex));
	return buf;
}

/* Writes all of it, through to the disk. */
static int text_write(int fd, const char *text)
{
	size_t len = strlen(text);

	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return fsync(fd) < 0 ? -errno : 0;
}

/* A file that is replaced stays with its owner: a relay's user, if root rotates. */
static int owner_keep(int fd, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (st.st_uid == geteuid())
		return 0;
	return fchown(fd, st.st_uid, st.st_gid) < 0 ? -errno : 0;
}

int key_file_write(const char *path, const char *text, bool replace)
{
	char name[4096];
	int fd, ret;

	if (snprintf(name, sizeof(name), "%s.XXXXXX", path) >= (int)sizeof(name))
		return -ENAMETOOLONG;
	fd = mkostemp(name, O_CLOEXEC); /* mode 0600 */
	if (fd < 0)
		return -errno;
	ret = text_write(fd, text);
	if (ret == 0 && replace)
		ret = owner_keep(fd, path);
	close(fd);
	/* link() fails if the name is taken, rename() replaces */
	if (ret == 0 && replace && rename(name, path) == 0)
		return 0;
	if (ret == 0 && (replace || link(name, path) < 0))
		ret = -errno;
	unlink(name);
	return ret;
}
