/* SPDX-License-Identifier: BSD-3-Clause
 * Folders that a test makes, and leaves nothing of. For cmocka tests.
 */
#ifndef TESTS_UNIT_UNIT_FOLDER_H
#define TESTS_UNIT_UNIT_FOLDER_H

#include <ftw.h>
#include <stdio.h>

static inline int folder_entry_remove(const char *path, const struct stat *st, int what,
				      struct FTW *f)
{
	(void)st;
	(void)what;
	(void)f;
	return remove(path);
}

/* With all that is in it. 0, or -1 with errno set. */
static inline int folder_remove(const char *path)
{
	return nftw(path, folder_entry_remove, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
