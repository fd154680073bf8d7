/* SPDX-License-Identifier: BSD-3-Clause
 * The EAL's files: a run-time folder for each instance, and hugepages.
 */
#ifndef CONTROL_HOST_EAL_FILES_H
#define CONTROL_HOST_EAL_FILES_H

#include <stddef.h>
#include <sys/types.h>

/* Where a daemon that root starts has its run-time folders; as root's own
 * folders, both. DPDK's tools look there with RUNTIME_DIRECTORY set to it. */
#define EAL_RUNTIME "/run/oncewire"

/* As root, before the EAL starts: sets RUNTIME_DIRECTORY, and removes what a
 * killed run left. That one's user owned its folder and may have laid links
 * there. 0; -EBUSY: the instance runs; or another -errno. A line in `why`. */
int eal_files_prepare(const char *prefix, char *why, size_t why_size);
/* Gives the running EAL's files to a user, so that DPDK's tools, run as that
 * user, can talk to it and the end can remove them. 0 or -errno. */
int eal_files_give(const char *prefix, uid_t uid, gid_t gid);
/* Removes them, as far as the caller's user may. */
void eal_files_remove(const char *prefix, const char *runtime);

#endif
