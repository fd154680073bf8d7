/* SPDX-License-Identifier: BSD-3-Clause
 * The kernel's hugepages as the EAL sees them: one hugetlbfs mount for each
 * page size, in which a process's pages are files named PREFIXmap_NUMBER.
 */
#ifndef CONTROL_HOST_HUGEPAGES_H
#define CONTROL_HOST_HUGEPAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The largest number of bytes that free pages of one size give; 0 without a
 * mount. *mounted: there is one at all. */
uint64_t hugepages_free(bool *mounted);
/* What /proc/sys/vm/nr_hugepages must be for two more pieces of so many bytes. */
uint64_t hugepages_wanted(uint64_t need, uint64_t also);
/* Removes a prefix's files. Those that a process still uses stay, unless
 * they are our own (`force`). */
void hugepages_remove(const char *prefix, bool force);
/* Gives a prefix's files to a user. 0 or -errno. */
int hugepages_give(const char *prefix, uid_t uid, gid_t gid);

#endif
