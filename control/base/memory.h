/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_BASE_MEMORY_H
#define CONTROL_BASE_MEMORY_H

#include <stdint.h>

/* Bytes of ordinary pages that this process may use in all: the host's memory less
 * what is set aside as hugepages, or less than that, if its cgroup (v2) or one above
 * has a limit. 0: unknown. */
uint64_t memory_usable(void);

#endif
