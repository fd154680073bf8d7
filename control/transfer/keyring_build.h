/* SPDX-License-Identifier: BSD-3-Clause
 * Builds the keyring that the workers look into from the configuration, and
 * puts it in the place of the one before.
 */
#ifndef CONTROL_TRANSFER_KEYRING_BUILD_H
#define CONTROL_TRANSFER_KEYRING_BUILD_H

#include "control/config/config.h"
#include "dataplane/keyring.h"

struct control;

/* Of a configuration with its keys. 0, -ENOMEM, or -ENOSPC: blobs of domains
 * that are no longer configured hold the slots. */
int keyring_build(struct control *ctl, const struct config *c, struct keyring **out);
/* Workers see it from their next burst on; the one before is freed when none
 * of them looks at it any more. */
void keyring_publish(struct control *ctl, struct keyring *k);

#endif
