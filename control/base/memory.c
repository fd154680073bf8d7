/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/base/memory.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define CGROUPS "/sys/fs/cgroup"

/* The number behind the first `word` of a file; `none` if it is not there, or is not
 * a number ("max"). */
static uint64_t number_read(const char *path, const char *word, uint64_t none)
{
	uint64_t n = none;
	size_t len = strlen(word);
	char line[256];
	FILE *f = fopen(path, "r");

	if (!f)
		return none;
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, word, len) == 0 && sscanf(line + len, "%" SCNu64, &n) == 1)
			break;
	fclose(f);
	return n;
}

/* This process's cgroup, as a path below CGROUPS; "" if there is none. */
static void cgroup_find(char path[PATH_MAX])
{
	char line[PATH_MAX];
	FILE *f = fopen("/proc/self/cgroup", "r");

	path[0] = '\0';
	if (!f)
		return;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "0::%4095[^\n]", path) == 1)
			break;
	fclose(f);
}

/* The least limit from the cgroup up to the root. */
static uint64_t cgroup_limit(void)
{
	char path[PATH_MAX], file[PATH_MAX + 64];
	uint64_t least = UINT64_MAX, limit;
	char *slash;

	cgroup_find(path);
	for (;;) {
		snprintf(file, sizeof(file), CGROUPS "%s/memory.max", path);
		limit = number_read(file, "", UINT64_MAX);
		least = limit < least ? limit : least;
		slash = strrchr(path, '/');
		if (!slash)
			return least;
		*slash = '\0';
	}
}

uint64_t memory_usable(void)
{
	uint64_t kib = number_read("/proc/meminfo", "MemTotal:", 0);
	uint64_t huge = number_read("/proc/meminfo", "Hugetlb:", 0);
	uint64_t host = kib > huge ? (kib - huge) << 10 : 0, limit = cgroup_limit();

	return limit < host ? limit : host;
}
