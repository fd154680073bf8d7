/* SPDX-License-Identifier: BSD-3-Clause
 * What an earlier process had of uploads, as the engine kept it: parked from the start on, and
 * read only when somebody wants to go on with it.
 */
#ifndef CONTROL_TRANSFER_ADOPT_H
#define CONTROL_TRANSFER_ADOPT_H

#include "control/transfer/attempt.h"

/* Once, when the engine is open. What may not be parked is given up. */
void adopt_all(struct control *ctl);
/* It is cold, and somebody wants it: it is read and hashed, as far as it is there, and rests then;
 * or it is gone, here and now even. */
void adopt_warm(struct attempt *a);

#endif
