/* SPDX-License-Identifier: BSD-3-Clause
 * DPDK's environment: its memory, its lcores, its files. One per process.
 *
 * Order of life: eal_hugepages, port_prepare, eal_start, port_start, ...,
 * port_stop, eal_stop, port_release.
 */
#ifndef CONTROL_HOST_EAL_H
#define CONTROL_HOST_EAL_H

#include <sched.h>

#include "control/config/config.h"
#include "dataplane/port.h"

#define EAL_PREFIX 64

/* The instance's --file-prefix, with which names of the EAL's files begin. */
void eal_prefix(const struct config *c, char prefix[EAL_PREFIX]);

/* Can `need` bytes of EAL memory be hugepages? Removes a killed run's pages
 * first, then looks at what is free. The answer holds for eal_start. If not,
 * `why` is one line with the remedy, for the slab's bytes too, or "" when the
 * configuration says so. */
bool eal_hugepages(const struct config *c, uint64_t need, uint64_t slab, char *why,
		   size_t why_size);

/* Writes the EAL's arguments and starts it: the caller becomes the main lcore
 * (control), lcores 1..workers wait for rte_eal_remote_launch(). Takes all of
 * eal_memory (bytes) now. 0, or -errno and a line in `why`. */
int eal_start(const struct config *c, struct port *p, const char *progname, uint64_t eal_memory,
	      char *why, size_t why_size);
/* Ends the EAL and removes its files: hugepages and the run-time folder.
 * Nothing to do if eal_start did not succeed. */
void eal_stop(const struct config *c);

/* The CPUs this process was given, for threads that are no lcores: the EAL
 * pins the one that starts it. Valid from eal_start. */
const cpu_set_t *eal_saved_affinity(void);

#endif
