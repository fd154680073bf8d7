/* SPDX-License-Identifier: BSD-3-Clause
 * The directory files arrive in, and a file that is still arriving.
 */
#ifndef CLIENT_LIB_INBOX_H
#define CLIENT_LIB_INBOX_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define PART_NAME 32

struct inbox {
	int fd;
	mode_t mode; /* of files, before the umask */
	char path[PATH_MAX];
};

/* A file without a name (O_TMPFILE), or, where the file system has no such
 * thing, with a hidden one. */
struct part {
	int fd;
	char name[PART_NAME]; /* "" : it has none */
};

/* All return 0 or -errno. */
/* Makes the folder if it is not there. private_files: theirs alone who runs this. */
int inbox_open(struct inbox *in, const char *path, bool private_files);
void inbox_close(struct inbox *in);
/* The folder may be moved, or replaced by another: it is gone along with. One that
 * was deleted is made again under its name. where: PATH_MAX bytes, its path now.
 * Returns 0, 1 if that is not the name it was opened by, or -errno. */
int inbox_follow(struct inbox *in, char *where);

int part_open(const struct inbox *in, struct part *p);
/* Writes all of iov (which it uses up). */
int part_write(struct part *p, struct iovec *iov, int count, uint64_t offset);
int part_read(struct part *p, void *buf, size_t len, uint64_t offset);
/* Forgets what was written from `length` on. */
int part_truncate(struct part *p, uint64_t length);
/* Gives it the first free name made from `name`, which is safe, and closes it.
 * taken: NAME_BYTES + 1 bytes, that name. */
int part_publish(const struct inbox *in, struct part *p, const char *name, char *taken);
void part_discard(const struct inbox *in, struct part *p);

#endif
