/* SPDX-License-Identifier: BSD-3-Clause
 * base/: what any room may use, and what knows none of them: lines to the log, health
 * items (what is wrong, said once), hash tables that strangers cannot aim at, and how
 * much memory there is.
 */
#ifndef CONTROL_BASE_BASE_H
#define CONTROL_BASE_BASE_H

#include "control/base/health.h"
#include "control/base/log.h"
#include "control/base/memory.h"
#include "control/base/table.h"

#endif
