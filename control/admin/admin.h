/* SPDX-License-Identifier: BSD-3-Clause
 * admin/: what an operator sees and says. socket takes commands and answers in JSON,
 * metrics is the registry of all numbers, status what `oncewire status` prints, reload
 * what SIGHUP does; task and look, verify, carry are the commands on the store.
 */
#ifndef CONTROL_ADMIN_ADMIN_H
#define CONTROL_ADMIN_ADMIN_H

#include "control/admin/metrics.h"
#include "control/admin/reload.h"
#include "control/admin/socket.h"
#include "control/admin/status.h"
#include "control/admin/task.h"

#endif
