/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/host/hugepages.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <mntent.h>
#include <paths.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <unistd.h>

#define SYSFS "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/%s"

/* Calls fn with the folder of every hugetlbfs mount. */
static void mounts_each(void (*fn)(const char *dir, void *ctx), void *ctx)
{
	struct mntent *m;
	FILE *f;

	f = setmntent("/proc/self/mounts", "r");
	if (!f)
		return;
	while ((m = getmntent(f)))
		if (!strcmp(m->mnt_type, "hugetlbfs"))
			fn(m->mnt_dir, ctx);
	endmntent(f);
}

static uint64_t sysfs_pages(uint64_t size, const char *file)
{
	char path[128];
	uint64_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), SYSFS, size >> 10, file);
	f = fopen(path, "r");
	if (!f)
		return 0;
	if (fscanf(f, "%" SCNu64, &n) != 1)
		n = 0;
	fclose(f);
	return n;
}

struct free_count {
	uint64_t most;
	bool mounted;
};

static void mount_count(const char *dir, void *ctx)
{
	struct free_count *count = ctx;
	uint64_t size, available, reserved;
	struct statfs fs;

	if (statfs(dir, &fs) < 0)
		return;
	count->mounted = true;
	size = fs.f_bsize;
	available = sysfs_pages(size, "free_hugepages");
	reserved = sysfs_pages(size, "resv_hugepages");
	available = available > reserved ? (available - reserved) * size : 0;
	if (available > count->most)
		count->most = available;
}

uint64_t hugepages_free(bool *mounted)
{
	struct free_count count = {0};

	mounts_each(mount_count, &count);
	*mounted = count.mounted;
	return count.most;
}

/* Bytes in a page of the size that /proc/sys/vm/nr_hugepages counts. */
static uint64_t default_size(void)
{
	uint64_t kib = 2048;
	char line[128];
	FILE *f;

	f = fopen("/proc/meminfo", "r");
	if (!f)
		return kib << 10;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "Hugepagesize: %" SCNu64 " kB", &kib) == 1)
			break;
	fclose(f);
	return kib << 10;
}

uint64_t hugepages_wanted(uint64_t need, uint64_t also)
{
	const uint64_t size = default_size();
	const uint64_t total = sysfs_pages(size, "nr_hugepages");
	const uint64_t spare = sysfs_pages(size, "free_hugepages");
	const uint64_t reserved = sysfs_pages(size, "resv_hugepages");

	need = (need + size - 1) / size + (also + size - 1) / size + reserved;
	return need > spare ? total + need - spare : total;
}

static bool file_is_page(const char *name, const char *prefix)
{
	const char *p = name;

	if (strncmp(p, prefix, strlen(prefix)))
		return false;
	p += strlen(prefix);
	if (strncmp(p, "map_", 4) || !p[4])
		return false;
	for (p += 4; isdigit((unsigned char)*p); p++)
		;
	return !*p;
}

/* A live process holds a shared lock on each of its pages' files. */
static bool file_is_unused(int dir, const char *name)
{
	bool unused;
	int fd;

	fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	unused = !flock(fd, LOCK_EX | LOCK_NB);
	close(fd);
	return unused;
}

struct removal {
	const char *prefix;
	bool force;
};

static void mount_clean(const char *path, void *ctx)
{
	const struct removal *r = ctx;
	struct dirent *entry;
	DIR *dir;

	dir = opendir(path);
	if (!dir)
		return;
	/* the EAL holds this lock between creating a file and locking it; if it
	 * is taken, a starting EAL removes unused files itself */
	if (r->force || !flock(dirfd(dir), LOCK_EX | LOCK_NB)) {
		while ((entry = readdir(dir)))
			if (file_is_page(entry->d_name, r->prefix) &&
			    (r->force || file_is_unused(dirfd(dir), entry->d_name)))
				unlinkat(dirfd(dir), entry->d_name, 0);
	}
	closedir(dir);
}

void hugepages_remove(const char *prefix, bool force)
{
	struct removal r = {.prefix = prefix, .force = force};

	mounts_each(mount_clean, &r);
}

struct gift {
	const char *prefix;
	uid_t uid;
	gid_t gid;
	int err;
};

static void mount_give(const char *path, void *ctx)
{
	struct gift *g = ctx;
	struct dirent *entry;
	DIR *dir;

	dir = opendir(path);
	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (file_is_page(entry->d_name, g->prefix) &&
		    fchownat(dirfd(dir), entry->d_name, g->uid, g->gid, AT_SYMLINK_NOFOLLOW) < 0)
			g->err = -errno;
	closedir(dir);
}

int hugepages_give(const char *prefix, uid_t uid, gid_t gid)
{
	struct gift g = {.prefix = prefix, .uid = uid, .gid = gid};

	mounts_each(mount_give, &g);
	return g.err;
}
