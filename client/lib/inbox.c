/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/lib/inbox.h"

/* A folder that is not there yet is made, but not those above it. A descriptor, or
 * -errno. */
static int folder_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT && mkdir(path, 0777) == 0)
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int inbox_open(struct inbox *in, const char *path, bool private_files)
{
	int ret;

	in->fd = -1;
	in->mode = private_files ? 0600 : 0666;
	if (snprintf(in->path, sizeof(in->path), "%s", path) >= (int)sizeof(in->path))
		return -ENAMETOOLONG;
	in->fd = folder_open(path);
	if (in->fd < 0)
		return in->fd;
	if (faccessat(in->fd, ".", W_OK | X_OK, AT_EACCESS) < 0) {
		ret = -errno;
		inbox_close(in);
		return ret;
	}
	return 0;
}

void inbox_close(struct inbox *in)
{
	if (in->fd >= 0)
		close(in->fd);
	in->fd = -1;
}

int inbox_follow(struct inbox *in, char *where)
{
	struct stat held, named;
	char self[32];
	ssize_t len;
	int fd;

	snprintf(where, PATH_MAX, "%s", in->path);
	if (fstat(in->fd, &held) < 0)
		return -errno;
	if (stat(in->path, &named) == 0 && named.st_dev == held.st_dev &&
	    named.st_ino == held.st_ino)
		return 0;
	if (held.st_nlink == 0) {
		fd = folder_open(in->path);
		if (fd < 0)
			return fd;
		inbox_close(in);
		in->fd = fd;
		return 0;
	}
	snprintf(self, sizeof(self), "/proc/self/fd/%d", in->fd);
	len = readlink(self, where, PATH_MAX - 1);
	if (len < 0)
		return -errno;
	where[len] = '\0';
	return 1;
}
