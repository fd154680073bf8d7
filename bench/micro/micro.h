/* SPDX-License-Identifier: BSD-3-Clause
 * Micro benchmarks: what one step costs, alone and with everything in the
 * cache. They explain the figure of a whole loop, they do not replace one.
 *
 * A group is a file that makes what it needs and hands in a list; main.c names
 * all groups. Google Benchmark, behind micro.cc, decides how often each runs.
 */
#ifndef BENCH_MICRO_H
#define BENCH_MICRO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct micro {
	const char *name; /* step, or step/what it is done to */
	/* Takes the step so often; false: a result was wrong, which fails the program. */
	bool (*run)(uint64_t times);
	size_t bytes; /* that one step goes through; 0: it is no matter of bytes */
};
/* The list must stay. */
void micro_add(const struct micro *list, size_t count);
/* Google Benchmark's command line. The program's exit status. */
int micro_main(int argc, char **argv);

/* The groups. */
void micro_token(void);
void micro_sign(void);
void micro_sip(void);
void micro_frame(void);
void micro_lookup(void);
void micro_packet(void);
void micro_shed(void);
void micro_proof(void);

/* What p leads to is looked at, as far as the compiler knows. */
static inline void micro_use(const void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}

#ifdef __cplusplus
}
#endif

#endif
