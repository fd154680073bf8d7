/* SPDX-License-Identifier: BSD-3-Clause
 * Control's hash tables: uthash with a hash that strangers, who choose many of
 * the keys, cannot aim at.
 */
#ifndef CONTROL_BASE_TABLE_H
#define CONTROL_BASE_TABLE_H

#include <stdint.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Random per process; set before the first table is used. */
extern uint64_t table_seed;

#define HASH_FUNCTION(key, len, hash) \
	((hash) = (unsigned int)XXH3_64bits_withSeed((key), (len), table_seed))
#include <uthash.h>

#endif
