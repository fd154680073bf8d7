/* SPDX-License-Identifier: BSD-3-Clause
 * The end of a program that used the EAL without sharing anything.
 */
#ifndef BENCH_EAL_END_H
#define BENCH_EAL_END_H

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include <rte_eal.h>

static inline void bench_eal_end(void)
{
	char folder[PATH_MAX];

	snprintf(folder, sizeof(folder), "%s", rte_eal_get_runtime_dir());
	rte_eal_cleanup();
	rmdir(folder); /* the EAL leaves it; with files in it, it stays */
}

#endif
