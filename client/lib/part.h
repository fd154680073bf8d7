/* SPDX-License-Identifier: BSD-3-Clause
 * A file that is still arriving. A short one has no name (O_TMPFILE), or, where the file system
 * has no such thing, a hidden one; nothing of it stays if we end. A longer one has a hidden name
 * that follows from its blob, and another file beside it, which has what of it is here: who asks
 * for the same blob next goes on with it.
 *
 * It is locked while it is open, so that two of us never write to one. What is here is written
 * before it is said to be; after a loss of power that may not hold, and the blob's identifier
 * then finds it wrong.
 */
#ifndef CLIENT_LIB_PART_H
#define CLIENT_LIB_PART_H

#include <sys/uio.h>

#include "client/lib/inbox.h"
#include "wire/frame.h"

#define PART_NAME 64
#define PART_KEPT_LEAST (64 << 10) /* bytes: shorter ones begin anew */
#define PARTS_KEPT 16		   /* in a folder, that nobody has open */
#define PART_KEPT_SECONDS 86400	   /* since something was written to it */

/* Which blob it is of. */
struct part_of {
	struct ident id;
	uint64_t length;
	uint8_t rule;
};

struct part {
	int fd;
	char name[PART_NAME]; /* "" : it has none */
	int have_fd;	      /* the other file; -1: it is not kept */
	struct part_of of;
	uint64_t attempt; /* whose bytes they are: of an OFFER */
	bool begun;	  /* kept, and something is here */
	uint8_t *have;	  /* a bit for each chunk that is here, from the lowest one; a mapping */
	size_t have_size;
};

/* All return 0 or -errno. */
/* One that is not kept. */
int part_open(const struct inbox *in, struct part *p);
/* One that is kept, of a blob of PART_KEPT_LEAST bytes at least: what is here of it, of
 * p->attempt, or a new one. Where that is impossible (all are in use, the file system has no
 * locks) one that is not. */
int part_open_kept(const struct inbox *in, struct part *p, const struct part_of *of);
/* Writes all of iov (which it uses up). */
int part_write(struct part *p, struct iovec *iov, int count, uint64_t offset);
int part_read(struct part *p, void *buf, size_t len, uint64_t offset);
/* Forgets what was written from `length` on. */
int part_truncate(struct part *p, uint64_t length);
/* These chunks have been written. */
int part_note(struct part *p, uint32_t first, uint32_t count);
/* Forgets all that was written; what comes now is of this attempt. */
int part_clear(struct part *p, uint64_t attempt);
/* Its bytes are about to change: nobody will go on with it. What part_note() says is void. */
void part_unkeep(const struct inbox *in, struct part *p);
/* Gives it the first free name made from `name`, which is safe, and closes it.
 * taken: NAME_BYTES + 1 bytes, that name. */
int part_publish(const struct inbox *in, struct part *p, const char *name, char *taken);
/* Closes it; it is gone. */
void part_discard(const struct inbox *in, struct part *p);
/* Closes it; if it is kept it stays for who goes on with it, until parts_sweep(). */
void part_leave(const struct inbox *in, struct part *p);
/* Removes what is too old or too much of what stays in the folder. */
void parts_sweep(const struct inbox *in);

#endif
