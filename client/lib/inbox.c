/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "client/lib/inbox.h"
#include "client/lib/name.h"

#define NAMES_TRIED 100000

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

static int part_open_named(const struct inbox *in, struct part *p)
{
	int tries;

	for (tries = 0; tries < 100; tries++) {
		snprintf(p->name, sizeof(p->name), ".oncewire-%08x.part", randombytes_random());
		p->fd = openat(in->fd, p->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			       in->mode);
		if (p->fd >= 0)
			return 0;
		if (errno != EEXIST)
			break;
	}
	p->name[0] = '\0';
	return -errno;
}

int part_open(const struct inbox *in, struct part *p)
{
	p->name[0] = '\0';
	p->fd = openat(in->fd, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, in->mode);
	if (p->fd >= 0)
		return 0;
	if (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL || errno == ENOENT)
		return part_open_named(in, p);
	return -errno;
}

int part_write(struct part *p, struct iovec *iov, int count, uint64_t offset)
{
	ssize_t n;

	while (count > 0) {
		n = pwritev(p->fd, iov, count, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		offset += (uint64_t)n;
		while (count > 0 && (size_t)n >= iov->iov_len) {
			n -= (ssize_t)iov->iov_len;
			iov++;
			count--;
		}
		if (n > 0) {
			iov->iov_base = (char *)iov->iov_base + n;
			iov->iov_len -= (size_t)n;
		}
	}
	return 0;
}

int part_read(struct part *p, void *buf, size_t len, uint64_t offset)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = pread(p->fd, (char *)buf + done, len - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}

int part_truncate(struct part *p, uint64_t length)
{
	return ftruncate(p->fd, (off_t)length) < 0 ? -errno : 0;
}

/* One attempt; -EEXIST if the name is taken. Links never replace a file. */
static int part_link(const struct inbox *in, struct part *p, const char *name)
{
	char self[32];

	if (p->name[0] == '\0') {
		snprintf(self, sizeof(self), "/proc/self/fd/%d", p->fd);
		return linkat(AT_FDCWD, self, in->fd, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
	}
	if (renameat2(in->fd, p->name, in->fd, name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	if (linkat(in->fd, p->name, in->fd, name, 0) < 0)
		return -errno;
	unlinkat(in->fd, p->name, 0);
	return 0;
}

int part_publish(const struct inbox *in, struct part *p, const char *name, char *taken)
{
	uint32_t number;
	int ret = -EEXIST;

	for (number = 0; number < NAMES_TRIED && ret == -EEXIST; number++) {
		name_number(name, number, taken);
		ret = part_link(in, p, taken);
	}
	if (ret < 0)
		return ret;
	close(p->fd);
	p->fd = -1;
	return 0;
}

void part_discard(const struct inbox *in, struct part *p)
{
	if (p->fd < 0)
		return;
	if (p->name[0] != '\0')
		unlinkat(in->fd, p->name, 0);
	close(p->fd);
	p->fd = -1;
}
