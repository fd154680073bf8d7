/* SPDX-License-Identifier: BSD-3-Clause
 * What must hold, in fuzzers.
 */
#ifndef TESTS_FUZZ_CHECK_H
#define TESTS_FUZZ_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define check(good) ((good) ? (void)0 : check_failed(#good, __FILE__, __LINE__))

__attribute__((noreturn)) static inline void check_failed(const char *what, const char *file,
							  int line)
{
	fprintf(stderr, "%s:%d: not true: %s\n", file, line, what);
	abort();
}

#endif
