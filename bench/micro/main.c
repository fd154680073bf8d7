/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include <sodium.h>

#include "bench/micro/micro.h"

int main(int argc, char **argv)
{
	if (sodium_init() < 0)
		return EXIT_FAILURE;
	micro_token();
	micro_sign();
	micro_sip();
	micro_frame();
	micro_shed();
	micro_proof();
	return micro_main(argc, argv);
}
