/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_ADMIN_STATUS_H
#define CONTROL_ADMIN_STATUS_H

#include <jansson.h>

/* The object that `oncewire status` prints. ctl: struct control. */
json_t *control_status(void *ctl, int argc, char **argv);

#endif
