/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/host/folder.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(char *why, size_t size, int err, const char *path, const char *what,
		const char *remedy)
{
	snprintf(why, size, "store %s: %s; %s", path, what, remedy);
	return err;
}

/* Those above it. */
static int parents_make(const char *path)
{
	char part[PATH_MAX];

	for (const char *end = strchr(path + 1, '/'); end != NULL; end = strchr(end + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(end - path), path);
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

static int folder_check(const char *path, uid_t uid, char *why, size_t size)
{
	char remedy[PATH_MAX + 64];
	struct stat st;

	if (stat(path, &st) < 0)
		return fail(why, size, -errno, path, strerror(errno), "set [store] path");
	if (!S_ISDIR(st.st_mode))
		return fail(why, size, -ENOTDIR, path, "is no folder", "set [store] path");
	snprintf(remedy, sizeof(remedy), "run: chown -R %u %s", uid, path);
	if (st.st_uid != uid)
		return fail(why, size, -EPERM, path, "belongs to another user", remedy);
	snprintf(remedy, sizeof(remedy), "run: chmod 0700 %s", path);
	if ((st.st_mode & 077) != 0 || (st.st_mode & 0700) != 0700)
		return fail(why, size, -EPERM, path, "is open to others, or closed to its owner",
			    remedy);
	return 0;
}

int folder_prepare(const char *path, uid_t uid, gid_t gid, char *why, size_t why_size)
{
	int err = parents_make(path);

	if (err == 0 && mkdir(path, 0700) == 0)
		err = geteuid() == 0 && chown(path, uid, gid) < 0 ? -errno : 0;
	else if (err == 0 && errno != EEXIST)
		err = -errno;
	if (err < 0)
		return fail(why, why_size, err, path, strerror(-err),
			    "make it, for the relay's user, or set [store] path");
	return folder_check(path, uid, why, why_size);
}
