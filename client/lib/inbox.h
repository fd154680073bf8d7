/* SPDX-License-Identifier: BSD-3-Clause
 * The directory files arrive in.
 */
#ifndef CLIENT_LIB_INBOX_H
#define CLIENT_LIB_INBOX_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct inbox {
	int fd;
	mode_t mode; /* of files, before the umask */
	char path[PATH_MAX];
};

/* All return 0 or -errno. */
/* Makes the folder if it is not there. private_files: theirs alone who runs this. */
int inbox_open(struct inbox *in, const char *path, bool private_files);
void inbox_close(struct inbox *in);
/* The folder may be moved, or replaced by another: it is gone along with. One that
 * was deleted is made again under its name. where: PATH_MAX bytes, its path now.
 * Returns 0, 1 if that is not the name it was opened by, or -errno. */
int inbox_follow(struct inbox *in, char *where);

#endif
