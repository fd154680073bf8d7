/* SPDX-License-Identifier: BSD-3-Clause
 * LISTEN and STOP: leases are granted and withdrawn here, workers only read them.
 */
#ifndef CONTROL_TRANSFER_CONSENT_H
#define CONTROL_TRANSFER_CONSENT_H

#include "dataplane/packet.h"

struct control;

void handle_listen(struct control *ctl, const struct packet *p, const struct frame *f);
void handle_stop(struct control *ctl, const struct packet *p, const struct frame *f);

#endif
