/* SPDX-License-Identifier: BSD-3-Clause
 * The folder of a relay's state: made if it is not there, and looked at if it is.
 */
#ifndef CONTROL_HOST_FOLDER_H
#define CONTROL_HOST_FOLDER_H

#include <stddef.h>
#include <sys/types.h>

/* `path` is a folder that belongs to this user, and that nobody else can look into; those
 * above it are made as well, for everybody to pass. 0, or -errno with a line in `why` that
 * says what to do. */
int folder_prepare(const char *path, uid_t uid, gid_t gid, char *why, size_t why_size);

#endif
