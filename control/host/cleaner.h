/* SPDX-License-Identifier: BSD-3-Clause
 * The cleaner: a child process that stays root, to remove at the daemon's end
 * what lies in root's folders, hugepages above all. Folders of the daemon's user
 * would do without it, but the next start, which is root, would open files
 * there: whoever took over the daemon could have laid links.
 *
 * It has no capability and few system calls, learns its files while the daemon
 * is root, and takes one order afterwards: go. If the daemon is killed it just
 * ends; the next start removes what was left.
 */
#ifndef CONTROL_HOST_CLEANER_H
#define CONTROL_HOST_CLEANER_H

#include <limits.h>
#include <sys/stat.h>

#include "control/host/eal.h"

struct cleaner_files {
	char prefix[EAL_PREFIX]; /* of hugepages */
	char runtime[PATH_MAX];	 /* folder, empty by then */
	char socket[PATH_MAX];	 /* removed only if it is still the one with these numbers */
	dev_t dev;
	ino_t ino;
};

/* Forks, so while there is one thread. 0 or -errno. */
int cleaner_start(void);
/* As root. 0 or -errno. */
int cleaner_tell(const struct cleaner_files *files);
/* Has everything removed and waits for it. Nothing to do without cleaner_start;
 * without cleaner_tell the child only ends. */
void cleaner_finish(void);

#endif
