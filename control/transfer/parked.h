/* SPDX-License-Identifier: BSD-3-Clause
 * Parked attempts: what came of an upload whose source fell silent, for who vouches for it
 * (docs/protocol.md, chart 7). A blob, or under hidden hits a source's blob, has one at most.
 * They have a share of the store, a time, and their hosts' places among uploads; where there is
 * no room otherwise they go before anybody who waits.
 */
#ifndef CONTROL_TRANSFER_PARKED_H
#define CONTROL_TRANSFER_PARKED_H

#include "control/transfer/attempt.h"

/* False: another one of this blob has more. The attempt has left the open ones. */
bool parked_enter(struct attempt *a, const struct upload_key *key);
/* `hashed` of it stay. False: that is too much, or nothing, and it has left. */
bool parked_weigh(struct attempt *a);
void parked_leave(struct attempt *a);
/* NULL: there is none. It may not have rested yet. */
struct attempt *parked_find(const struct control *ctl, const struct upload_key *key);
/* The blob is there, or its beginning was wrong. */
void parked_forget(struct control *ctl, const struct upload_key *key);
/* Each second: those go whose time, or domain, is over. */
void parked_review(struct control *ctl);

#endif
