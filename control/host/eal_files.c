/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/host/eal_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_eal.h>

#include "control/host/hugepages.h"

#define FOLDERS EAL_RUNTIME "/dpdk"

/* Makes the folder. One that is there must be root's alone. */
static int folder_own(const char *path, mode_t mode, char *why, size_t size)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		chmod(path, mode); /* whatever the umask */
	if (lstat(path, &st) < 0) {
		snprintf(why, size, "folder %s: %s", path, strerror(errno));
		return -errno;
	}
	if (S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & (S_IWGRP | S_IWOTH)))
		return 0;
	snprintf(why, size, "folder %s is not root's alone; run: chown root:root %s && chmod %o %s",
		 path, path, mode, path);
	return -EPERM;
}

/* A primary process locks a part of this file until it exits. */
static bool runtime_in_use(const char *path)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char config[PATH_MAX + 8];
	bool used;
	int fd;

	snprintf(config, sizeof(config), "%s/config", path);
	fd = open(config, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return false;
	used = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
	close(fd);
	return used;
}

/* The primary process owns its run-time folder as long as it holds the lock
 * on `config` in it, which it does until it exits: so that file goes last. */
static void runtime_remove(const char *path)
{
	struct dirent *entry;
	DIR *dir;

	dir = opendir(path);
	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.' && strcmp(entry->d_name, "config"))
			unlinkat(dirfd(dir), entry->d_name, 0);
	unlinkat(dirfd(dir), "config", 0);
	closedir(dir);
	rmdir(path);
}

int eal_files_prepare(const char *prefix, char *why, size_t why_size)
{
	char path[PATH_MAX];
	int err;

	err = folder_own(EAL_RUNTIME, 0755, why, why_size);
	if (!err)
		err = folder_own(FOLDERS, 0711, why, why_size);
	if (err)
		return err;
	snprintf(path, sizeof(path), FOLDERS "/%s", prefix);
	if (runtime_in_use(path))
		return -EBUSY;
	runtime_remove(path);
	if (access(path, F_OK) == 0) {
		snprintf(why, why_size, "folder %s cannot be removed; run: rm -rf %s", path, path);
		return -ENOTEMPTY;
	}
	return setenv("RUNTIME_DIRECTORY", EAL_RUNTIME, 1) < 0 ? -errno : 0;
}

static int runtime_give(const char *path, uid_t uid, gid_t gid)
{
	struct dirent *entry;
	int err = 0;
	DIR *dir;

	dir = opendir(path);
	if (!dir)
		return -errno;
	while (!err && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
		    fchownat(dirfd(dir), entry->d_name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
			err = -errno;
	if (!err && fchown(dirfd(dir), uid, gid) < 0)
		err = -errno;
	closedir(dir);
	return err;
}

int eal_files_give(const char *prefix, uid_t uid, gid_t gid)
{
	int err = runtime_give(rte_eal_get_runtime_dir(), uid, gid);

	return err ? err : hugepages_give(prefix, uid, gid);
}

void eal_files_remove(const char *prefix, const char *runtime)
{
	hugepages_remove(prefix, true);
	runtime_remove(runtime);
}
