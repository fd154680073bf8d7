/* SPDX-License-Identifier: BSD-3-Clause
 * Least privilege: root starts the daemon; once it serves it is a user of its
 * own, with the capabilities its port needs and a filter of system calls. One
 * per process.
 *
 * Order of life: privilege_prepare, everything else, privilege_drop,
 * port_steer; and cleaner_finish when all else has ended.
 */
#ifndef CONTROL_HOST_PRIVILEGE_H
#define CONTROL_HOST_PRIVILEGE_H

#include "control/config/config.h"
#include "dataplane/port.h"

/* While there is one thread. Looks up [relay] user and admin_group, and starts
 * the cleaner if the user will change. 0, or -errno and a line in `why`. */
int privilege_prepare(const struct config *c, char *why, size_t why_size);
/* Gives the admin socket, which `socket` is, to its owner: 0 or -errno. */
typedef int privilege_give(void *socket, uid_t uid, gid_t gid);
/* When all threads, files and sockets are there: gives files to the user, and
 * drops what is not needed in all threads. Warns of files that a reload could
 * not read again, the configuration's own `path` included. 0, or -errno and a
 * line in `why`. */
int privilege_drop(const struct config *c, const char *path, const struct port *p,
		   privilege_give *give, void *socket, char *why, size_t why_size);
/* After a failed start: names the capabilities that were missing, on stderr. */
void privilege_explain(const struct port *p);
/* The name of the user; valid from privilege_prepare. */
const char *privilege_user(void);

#endif
