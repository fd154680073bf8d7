/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include <sodium.h>

#include "bench/eal_end.h"
#include "bench/micro/micro.h"

/* In ordinary pages: what it holds is few megabytes, over and over. */
static int eal_start(void)
{
	char prefix[48];
	char *argv[] = {"micro", "--no-huge",	   "-m",
			"256",	 "--no-pci",	   "--no-shconf",
			prefix,	 "--no-telemetry", "--log-level=error"};

	snprintf(prefix, sizeof(prefix), "--file-prefix=micro-%d", (int)getpid());
	return rte_eal_init((int)(sizeof(argv) / sizeof(argv[0])), argv);
}

int main(int argc, char **argv)
{
	int ret;

	if (sodium_init() < 0 || eal_start() < 0)
		return EXIT_FAILURE;
	micro_token();
	micro_sign();
	micro_sip();
	micro_frame();
	micro_shed();
	micro_lookup();
	micro_packet();
	micro_proof();
	ret = micro_main(argc, argv);
	bench_eal_end();
	return ret;
}
