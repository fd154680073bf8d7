/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

#include "tests/unit/unit_eal.h"

int unit_eal_start(void **state)
{
	char prefix[64];
	char *argv[] = {"unit", "--no-huge",	  "-m",
			"256",	"--no-pci",	  "--no-shconf",
			prefix, "--no-telemetry", "--log-level=error"};

	(void)state;
	snprintf(prefix, sizeof(prefix), "--file-prefix=unit-%d", (int)getpid());
	return rte_eal_init((int)RTE_DIM(argv), argv) < 0 ? -1 : 0;
}

int unit_eal_stop(void **state)
{
	char folder[256];

	(void)state;
	snprintf(folder, sizeof(folder), "%s", rte_eal_get_runtime_dir());
	rte_eal_cleanup();
	rmdir(folder); /* the EAL leaves it; with files in it, it stays */
	return 0;
}

struct rte_mempool *unit_pool(const char *name)
{
	return rte_pktmbuf_pool_create(name, 127, 0, 64, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
}
