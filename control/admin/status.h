/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_ADMIN_STATUS_H
#define CONTROL_ADMIN_STATUS_H

#include "control/admin/socket.h"

/* The object that `oncewire status` prints. ctl: struct control. */
json_t *control_status(void *ctl, struct admin_client *client, int argc, char **argv);

#endif
