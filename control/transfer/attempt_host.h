/* SPDX-License-Identifier: BSD-3-Clause
 * Places among uploads: which hosts have them, and who gives one up where a limit is reached.
 */
#ifndef CONTROL_TRANSFER_ATTEMPT_HOST_H
#define CONTROL_TRANSFER_ATTEMPT_HOST_H

#include "control/transfer/attempt.h"

/* The host of a source; NULL: it has no attempt. */
struct attempt_host *host_find(struct control *ctl, const struct addr *source);
/* -ENOMEM, or 0: the attempt counts for its source's host. */
int host_enter(struct attempt *a);
/* It does so no more, if it did. */
void host_leave(struct attempt *a);
/* Something may have come of an open one: the lists are by progress. */
void progress_note(struct attempt *a);

/* A limit of the relay's, or of a source's host (else NULL), is reached: a parked attempt, or
 * that host's, goes; else the one that has been without progress for longest will at the next
 * pump; and its memory a little later. False: there is none that others may go before. */
bool attempts_reclaim(struct control *ctl, const struct addr *source);

#endif
