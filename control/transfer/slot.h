/* SPDX-License-Identifier: BSD-3-Clause
 * The upload slots, as control fills them for the workers: where an attempt's DATA goes, and
 * what targets may pull of it. A slot that workers may have found is not filled anew before a
 * grace period has passed, which is the caller's to wait for.
 */
#ifndef CONTROL_TRANSFER_SLOT_H
#define CONTROL_TRANSFER_SLOT_H

#include "control/transfer/attempt.h"

void slots_init(struct attempts *as);
/* as->free_count > 0. */
uint16_t slot_reserve(struct attempts *as);
/* The one that this number leads to. False: it is taken. */
bool slot_reserve_of(struct attempts *as, uint64_t number, uint16_t *slot);
void slot_release(struct attempts *as, uint16_t slot);

/* A number that leads to this slot: random, not 0. */
uint64_t slot_number(uint16_t slot);
/* What does not change when its source moves, as workers that serve its chunks read it. */
void slot_fill(struct attempt *a);
/* Workers take DATA from the attempt's source. keys: of a member, NULL of nobody in particular. */
void slot_open(struct attempt *a, const struct domain_keys *keys);
/* They take none any more. */
void slot_close(struct attempt *a);
/* Targets may pull what has come without a gap. True: from now on. */
bool slot_show(struct attempt *a);
/* They find it no more. */
void slot_hide(struct attempt *a);

#endif
