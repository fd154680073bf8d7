/* SPDX-License-Identifier: BSD-3-Clause
 * Longest-prefix match, for both IP versions: prefix -> a number, which workers look up
 * without locks, inside an RCU section. Control is the single writer. A change costs no
 * reader a thing: an entry is written at once, and a block that is left is used again only
 * after a grace period.
 */
#ifndef DATAPLANE_FIB_H
#define DATAPLANE_FIB_H

#include <stdatomic.h>
#include <string.h>

#include "store/reclaim.h"
#include "wire/addr.h"

#define FIB_VALUES 65536 /* values are below this; 0 is that of what has no prefix */

/* `bits` leading bits of an address, the other ones zero. */
struct prefix {
	uint8_t type; /* ADDR_IP4 or ADDR_IP6 */
	uint8_t bits; /* 0 to 32, or to 128 */
	uint8_t ip[16];
};

/* Bits of an address of this type. */
static inline uint8_t prefix_most(uint8_t type)
{
	return type == ADDR_IP4 ? 32 : 128;
}

/* The prefix of this length that the address lies in. */
struct prefix prefix_make(uint8_t type, const uint8_t ip[16], uint8_t bits);

/* Do these bits of an address begin with the prefix's? */
bool prefix_has(const struct prefix *p, uint8_t type, const uint8_t ip[16]);

struct fib;

/* blocks: at most, of 1 KiB; a prefix takes up to 2 (IPv4) or 14 (IPv6) that it shares with
 * its neighbours. They are address space until they are used. NULL: not even that. */
struct fib *fib_create(uint32_t blocks, struct reclaim *reclaim);
/* Workers must have stopped. NULL is allowed. */
void fib_destroy(struct fib *f);

/* Control: a prefix leads to this value from now on. 0, or -ENOSPC: no block is free; then
 * the table is as it was. */
int fib_set(struct fib *f, const struct prefix *p, uint32_t value);
/* Control: forgets a prefix, which was set; `cover`, the longest one around it that is set
 * (NULL: none), leads to `value`. */
void fib_unset(struct fib *f, const struct prefix *p, const struct prefix *cover, uint32_t value);
/* Control: blocks in use. */
uint32_t fib_blocks(const struct fib *f);

/* ---- for the lookup ---- */

#define FIB_ROOT_BITS 16
#define FIB_BLOCK 256

/* An entry: with FIB_INNER, the number of a block for the next 8 bits; else the value, and
 * above it the length of the prefix that it came from. */
#define FIB_INNER (UINT32_C(1) << 31)
#define FIB_LENGTH_SHIFT 16

typedef _Atomic uint32_t fib_entry;

struct fib_tables {
	fib_entry (*block)[FIB_BLOCK];
	fib_entry root[2][1 << FIB_ROOT_BITS]; /* of IPv4, of IPv6 */
};

const struct fib_tables *fib_tables(const struct fib *f);

static inline uint32_t fib_lookup(const struct fib_tables *t, const struct addr *a)
{
	fib_entry *e = &((struct fib_tables *)(uintptr_t)t)
				->root[a->type == ADDR_IP6][a->ip[0] << 8 | a->ip[1]];
	uint32_t v = atomic_load_explicit(e, memory_order_acquire);

	/* the writer never goes deeper than the address is long */
	for (unsigned int i = 2; v & FIB_INNER; i++)
		v = atomic_load_explicit(&t->block[v & ~FIB_INNER][a->ip[i]], memory_order_acquire);
	return v & (FIB_VALUES - 1);
}

#endif
