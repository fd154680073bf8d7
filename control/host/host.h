/* SPDX-License-Identifier: BSD-3-Clause
 * host/: what the daemon takes of its host, and gives back. eal starts DPDK and
 * eal_files knows what it leaves behind; hugepages finds memory; privilege, capability
 * and syscalls give up what is not needed; cleaner is the process that stays root to
 * remove at the end what only root may.
 */
#ifndef CONTROL_HOST_HOST_H
#define CONTROL_HOST_HOST_H

#include "control/host/cleaner.h"
#include "control/host/eal.h"
#include "control/host/hugepages.h"
#include "control/host/privilege.h"

#endif
