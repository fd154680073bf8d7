/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/lib/part.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "client/lib/name.h"
#include "wire/endian.h"

#define NAMES_TRIED 100000
#define SAME_MOST 16	     /* parts of one blob at once */
#define COPY_BYTES (1 << 20) /* at a time */
#define PARTS_LOOKED 1024    /* in a folder */
#define HAVE_SUFFIX ".have"
#define PREFIX ".oncewire-"
#define SUFFIX ".part"

/* In front of the bits. */
struct have_header {
	char magic[8];
	struct ident id;
	be64 length;
	be64 attempt;
	uint8_t rule;
	uint8_t zero[7];
};
_Static_assert(sizeof(struct have_header) == 64, "no padding");

static const char magic[8] = {'o', 'w', 'p', 'a', 'r', 't', '0', '1'};

/* ---- opening ---- */

static void part_init(struct part *p)
{
	*p = (struct part){.fd = -1, .have_fd = -1};
}

static int part_open_named(const struct inbox *in, struct part *p)
{
	int tries;

	for (tries = 0; tries < 100; tries++) {
		snprintf(p->name, sizeof(p->name), PREFIX "%08x" SUFFIX, randombytes_random());
		p->fd = openat(in->fd, p->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			       in->mode);
		if (p->fd >= 0) {
			flock(p->fd, LOCK_EX | LOCK_NB); /* parts_sweep() leaves it alone */
			return 0;
		}
		if (errno != EEXIST)
			break;
	}
	p->name[0] = '\0';
	return -errno;
}

int part_open(const struct inbox *in, struct part *p)
{
	part_init(p);
	p->fd = openat(in->fd, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, in->mode);
	if (p->fd >= 0)
		return 0;
	if (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL || errno == ENOENT)
		return part_open_named(in, p);
	return -errno;
}

/* Where it says what is here. */
static void have_name(const struct part *p, char name[PART_NAME + sizeof(HAVE_SUFFIX)])
{
	snprintf(name, PART_NAME + sizeof(HAVE_SUFFIX), "%s" HAVE_SUFFIX, p->name);
}

/* A file of ours under this name, and nobody else's, that no more may read than one that is made.
 * -1: there is none. */
static int ours_open(const struct inbox *in, const char *name, mode_t mode)
{
	struct stat st;
	int fd = openat(in->fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, mode);

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	    st.st_nlink == 1 && (st.st_mode & 0777 & ~mode) == 0)
		return fd;
	close(fd);
	return -1;
}

/* False: somebody else has it, it was unlinked meanwhile, or there are no locks here, where nothing
 * can be kept. */
static bool part_lock(const struct inbox *in, const struct part *p)
{
	struct stat held, named;

	if (flock(p->fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			unlinkat(in->fd, p->name, 0);
		return false;
	}
	return fstat(p->fd, &held) == 0 &&
	       fstatat(in->fd, p->name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

static bool part_take(const struct inbox *in, struct part *p)
{
	p->fd = ours_open(in, p->name, in->mode);
	if (p->fd < 0)
		return false;
	if (part_lock(in, p))
		return true;
	close(p->fd);
	p->fd = -1;
	return false;
}

/* ---- what is here ---- */

static int write_all(int fd, const void *bytes, size_t len, uint64_t offset)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n =
			pwrite(fd, (const char *)bytes + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int read_all(int fd, void *bytes, size_t len, uint64_t offset)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, (char *)bytes + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}

/* No more than the part has, if somebody cut that. */
static bool have_plausible(struct part *p)
{
	size_t i = p->have_size;
	uint64_t end;
	struct stat st;

	while (i > 0 && p->have[i - 1] == 0)
		i--;
	p->begun = i > 0;
	if (i == 0 || fstat(p->fd, &st) < 0)
		return i == 0;
	end = (uint64_t)(i * 8 - (size_t)__builtin_clz((uint32_t)p->have[i - 1] << 24)) *
	      CHUNK_SIZE;
	if (end >= p->of.length + CHUNK_SIZE)
		return false;
	return (uint64_t)st.st_size >= (end < p->of.length ? end : p->of.length);
}

/* False: it is of something else, or damaged. */
static bool have_read(struct part *p)
{
	struct have_header h;
	struct stat st;
	size_t len;

	if (read_all(p->have_fd, &h, sizeof(h), 0) < 0 || fstat(p->have_fd, &st) < 0 ||
	    memcmp(h.magic, magic, sizeof(magic)) != 0 || !ident_equal(&h.id, &p->of.id) ||
	    get64(h.length) != p->of.length || h.rule != p->of.rule)
		return false;
	len = (size_t)st.st_size - sizeof(h);
	p->attempt = get64(h.attempt);
	return len <= p->have_size && read_all(p->have_fd, p->have, len, sizeof(h)) == 0 &&
	       have_plausible(p);
}

static int have_begin(struct part *p)
{
	struct have_header h = {.id = p->of.id,
				.length = put64(p->of.length),
				.attempt = put64(p->attempt),
				.rule = p->of.rule};

	memcpy(h.magic, magic, sizeof(magic));
	if (ftruncate(p->have_fd, 0) < 0)
		return -errno;
	return write_all(p->have_fd, &h, sizeof(h), 0);
}

static void have_close(struct part *p)
{
	if (p->have_fd >= 0)
		close(p->have_fd);
	p->have_fd = -1;
	if (p->have != NULL)
		munmap(p->have, p->have_size);
	p->have = NULL;
}

static void part_close(struct part *p)
{
	have_close(p);
	close(p->fd);
	p->fd = -1;
}

/* A long blob's bits are memory as its chunks come. */
static int have_open(const struct inbox *in, struct part *p)
{
	char name[PART_NAME + sizeof(HAVE_SUFFIX)];

	have_name(p, name);
	p->have_size = (chunk_count(p->of.length) + 7) / 8;
	p->have = mmap(NULL, p->have_size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p->have == MAP_FAILED) {
		p->have = NULL;
		return -ENOMEM;
	}
	p->have_fd = ours_open(in, name, 0600);
	if (p->have_fd < 0)
		return errno == EMFILE || errno == ENFILE ? -errno : -EEXIST;
	return have_read(p) ? 0 : part_clear(p, 0);
}

int part_open_kept(const struct inbox *in, struct part *p, const struct part_of *of)
{
	char hex[IDENT_HEX_MAX];
	int ret;

	part_init(p);
	p->of = *of;
	ident_hex(&of->id, hex);
	for (int i = 0; i < SAME_MOST; i++) {
		snprintf(p->name, sizeof(p->name), PREFIX "%.24s-%d" SUFFIX, hex, i);
		if (!part_take(in, p))
			continue;
		ret = have_open(in, p);
		if (ret == 0)
			return 0;
		if ((ret == -EMFILE || ret == -ENFILE) && lseek(p->fd, 0, SEEK_END) > 0)
			part_close(p); /* what is here of an earlier one stays */
		else
			part_discard(in, p);
		if (ret != -EEXIST)
			return ret;
	}
	return part_open(in, p);
}

int part_note(struct part *p, uint32_t first, uint32_t count)
{
	const uint32_t from = first / 8, to = (first + count - 1) / 8;

	if (p->have_fd < 0 || count == 0)
		return 0;
	p->begun = true;
	for (uint32_t i = first; i < first + count; i++)
		p->have[i / 8] |= (uint8_t)(1 << i % 8);
	return write_all(p->have_fd, p->have + from, to - from + 1,
			 sizeof(struct have_header) + from);
}

int part_clear(struct part *p, uint64_t attempt)
{
	int ret = part_truncate(p, 0);

	p->attempt = attempt;
	p->begun = false;
	if (ret < 0 || p->have_fd < 0)
		return ret;
	/* zeros again, which locked memory is not by itself */
	if (madvise(p->have, p->have_size, MADV_DONTNEED) < 0)
		memset(p->have, 0, p->have_size);
	return have_begin(p);
}

static void have_unlink(const struct inbox *in, const struct part *p)
{
	char name[PART_NAME + sizeof(HAVE_SUFFIX)];

	have_name(p, name);
	unlinkat(in->fd, name, 0);
}

void part_unkeep(const struct inbox *in, struct part *p)
{
	if (p->have_fd < 0)
		return;
	have_unlink(in, p);
	have_close(p);
}

/* ---- bytes ---- */

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
	return read_all(p->fd, buf, len, offset);
}

int part_truncate(struct part *p, uint64_t length)
{
	return ftruncate(p->fd, (off_t)length) < 0 ? -errno : 0;
}

/* ---- the end ---- */

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

/* Its folder went with its name, and was made again: its bytes go into that. */
static int part_move(const struct inbox *in, struct part *p)
{
	struct part to;
	struct stat st;
	uint8_t *bytes;
	int ret = part_open(in, &to);

	if (ret < 0)
		return ret;
	bytes = malloc(COPY_BYTES);
	ret = bytes == NULL ? -ENOMEM : fstat(p->fd, &st) < 0 ? -errno : 0;
	for (uint64_t at = 0; ret == 0 && at < (uint64_t)st.st_size; at += COPY_BYTES) {
		const uint64_t left = (uint64_t)st.st_size - at;
		const size_t len = left < COPY_BYTES ? (size_t)left : COPY_BYTES;

		ret = part_read(p, bytes, len, at);
		if (ret == 0)
			ret = write_all(to.fd, bytes, len, at);
	}
	free(bytes);
	if (ret < 0) {
		part_discard(in, &to);
		return ret;
	}
	have_close(p);
	close(p->fd);
	*p = to;
	return 0;
}

static int part_name(const struct inbox *in, struct part *p, const char *name, char *taken)
{
	uint32_t number;
	int ret = -EEXIST;

	for (number = 0; number < NAMES_TRIED && ret == -EEXIST; number++) {
		name_number(name, number, taken);
		ret = part_link(in, p, taken);
	}
	return ret;
}

int part_publish(const struct inbox *in, struct part *p, const char *name, char *taken)
{
	int ret = part_name(in, p, name, taken);

	if (ret == -ENOENT && p->name[0] != '\0') {
		ret = part_move(in, p);
		if (ret == 0)
			ret = part_name(in, p, name, taken);
	}
	if (ret < 0)
		return ret;
	part_unkeep(in, p);
	close(p->fd);
	p->fd = -1;
	return 0;
}

void part_discard(const struct inbox *in, struct part *p)
{
	if (p->fd < 0)
		return;
	part_unkeep(in, p);
	if (p->name[0] != '\0')
		unlinkat(in->fd, p->name, 0);
	close(p->fd);
	p->fd = -1;
}

void part_leave(const struct inbox *in, struct part *p)
{
	if (p->fd < 0)
		return;
	if (p->have_fd < 0 || !p->begun) {
		part_discard(in, p);
		return;
	}
	part_close(p);
}

/* ---- those that nobody has open ---- */

struct left {
	char name[PART_NAME];
	time_t written;
	uint64_t bytes;
};

/* One that is kept, and its name is ours. */
static bool left_look(const struct inbox *in, const char *name, struct left *l)
{
	const size_t len = strlen(name), end = sizeof(SUFFIX) - 1;
	struct stat st;

	if (len >= sizeof(l->name) || len < end || strncmp(name, PREFIX, sizeof(PREFIX) - 1) != 0 ||
	    strcmp(name + len - end, SUFFIX) != 0 ||
	    fstatat(in->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
	    st.st_uid != geteuid())
		return false;
	strcpy(l->name, name);
	l->written = st.st_mtim.tv_sec;
	l->bytes = (uint64_t)st.st_blocks * 512;
	return true;
}

/* Not while somebody has it. */
static void left_remove(const struct inbox *in, const struct left *l)
{
	struct part p;

	part_init(&p);
	strcpy(p.name, l->name);
	if (!part_take(in, &p))
		return;
	have_unlink(in, &p);
	part_discard(in, &p);
}

/* What says what is here of a part that is not there any more: one that was published. */
static void orphan_remove(const struct inbox *in, const char *name)
{
	const size_t len = strlen(name), end = sizeof(HAVE_SUFFIX) - 1;
	char part[PART_NAME];

	if (len < end || len - end >= sizeof(part) ||
	    strncmp(name, PREFIX, sizeof(PREFIX) - 1) != 0 ||
	    strcmp(name + len - end, HAVE_SUFFIX) != 0)
		return;
	memcpy(part, name, len - end);
	part[len - end] = '\0';
	if (faccessat(in->fd, part, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		unlinkat(in->fd, name, 0);
}

static int left_newer(const void *a, const void *b)
{
	const struct left *l = a, *r = b;

	return l->written < r->written ? 1 : l->written > r->written ? -1 : 0;
}

/* How many there are: the newest first in `found`. */
static size_t left_list(const struct inbox *in, struct left found[PARTS_LOOKED])
{
	int fd = openat(in->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *e;
	size_t n = 0;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while (n < PARTS_LOOKED && (e = readdir(dir)) != NULL) {
		orphan_remove(in, e->d_name);
		n += left_look(in, e->d_name, &found[n]);
	}
	closedir(dir);
	qsort(found, n, sizeof(*found), left_newer);
	return n;
}

void parts_sweep(const struct inbox *in)
{
	struct left *found = calloc(PARTS_LOOKED, sizeof(*found));
	const time_t now = time(NULL);
	uint64_t bytes = 0, room = UINT64_MAX;
	struct statvfs fs;
	size_t n;

	if (found == NULL)
		return;
	if (fstatvfs(in->fd, &fs) == 0)
		room = (uint64_t)fs.f_bavail * fs.f_frsize;
	n = left_list(in, found);
	for (size_t i = 0; i < n; i++) {
		bytes += found[i].bytes;
		if (i >= PARTS_KEPT || bytes > room || now - found[i].written > PART_KEPT_SECONDS)
			left_remove(in, &found[i]);
	}
	free(found);
}
