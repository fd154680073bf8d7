/* SPDX-License-Identifier: BSD-3-Clause
 * Twins: deliveries of one blob from one relay at a time. The first one pulls it; the others wait,
 * and get a copy of the file. A source that was ended and started again is one, too, but for it
 * the first goes on: that is told by the first's being offered no more.
 */
#ifndef CLIENT_LIB_TWIN_H
#define CLIENT_LIB_TWIN_H

#include "client/lib/receiver.h"

/* Is the blob of d, which may be pulled, pulled already? Then d waits (*out: d), or another one
 * goes on in its place, and d is no more (*out: that). */
bool twin_wait(struct ow_receiver *r, struct delivery *d, uint64_t now, struct delivery **out);
/* The file of d is complete, and about to get its name: who waits for it copies it. */
void twins_lend(struct ow_receiver *r, const struct delivery *d);
/* Likewise where no more files are wanted, and it got the name `taken`: it is theirs too, where
 * they would have had the same one. */
void twins_share(struct ow_receiver *r, const struct delivery *d, const char *taken);
/* Copies on, a few MiB at most. 1: there is more; 0: it is the file; -EBADMSG: it cannot be had by
 * copying; or -errno. */
int twin_copy(struct ow_receiver *r, struct delivery *d);
/* Then it is pulled after all. */
void twin_pull(struct ow_receiver *r, struct delivery *d, uint64_t now);

#endif
