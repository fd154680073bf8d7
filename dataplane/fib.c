/* SPDX-License-Identifier: BSD-3-Clause
 * A trie of 16 bits, then 8 a level, with the value of every address in its leaf. Each
 * leaf remembers the length of its prefix: a shorter one does not overwrite it, and what is
 * forgotten is found again, so that no second structure is walked.
 *
 * Not rte_fib: in DPDK 22.11 its count of reserved tables wraps when a prefix longer than
 * /24 that leads where its cover does is deleted, and rte_fib6's never falls; after one
 * such deletion, or as many changes as there are tables, no longer prefix is taken.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dataplane/fib.h"

#define NO_BLOCK UINT32_MAX

struct fib {
	struct fib_tables tables;
	struct reclaim *reclaim;
	uint32_t limit;
	uint32_t fresh;	   /* blocks from here on were never used */
	uint32_t used;	   /* blocks that the trie has */
	uint32_t free;	   /* list through `next` */
	uint32_t retired;  /* likewise: left, and not yet taken by reclaim: no memory */
	uint32_t *next;	   /* by block */
	uint16_t *longer;  /* by block: entries that are no leaf of a prefix around it */
	uint32_t deferred; /* blocks with reclaim */
	bool destroyed;	   /* the last of them frees the rest */
};

/* Overwrites the leaves below a prefix whose length is `least` to the prefix's own. */
struct change {
	struct fib *f;
	const uint8_t *ip;
	unsigned int bits, least;
	uint32_t leaf;
};

struct prefix prefix_make(uint8_t type, const uint8_t ip[16], uint8_t bits)
{
	struct prefix p = {.type = type, .bits = bits};

	memcpy(p.ip, ip, bits / 8);
	if (bits % 8)
		p.ip[bits / 8] = ip[bits / 8] & (uint8_t)(0xff00 >> bits % 8);
	return p;
}

bool prefix_has(const struct prefix *p, uint8_t type, const uint8_t ip[16])
{
	const struct prefix own = prefix_make(type, ip, p->bits);

	return type == p->type && memcmp(own.ip, p->ip, sizeof(own.ip)) == 0;
}

static uint32_t leaf_make(unsigned int bits, uint32_t value)
{
	return (uint32_t)bits << FIB_LENGTH_SHIFT | value;
}

static unsigned int leaf_bits(uint32_t leaf)
{
	return leaf >> FIB_LENGTH_SHIFT;
}

/* ---- blocks ---- */

static uint32_t block_take(struct fib *f, uint32_t leaf)
{
	uint32_t b = f->free;

	if (b != NO_BLOCK)
		f->free = f->next[b];
	else if (f->fresh < f->limit)
		b = f->fresh++;
	else
		return NO_BLOCK;
	f->used++;
	f->longer[b] = 0;
	for (unsigned int i = 0; i < FIB_BLOCK; i++)
		atomic_store_explicit(&f->tables.block[b][i], leaf, memory_order_relaxed);
	return b;
}

static void tables_free(struct fib *f)
{
	munmap(f->tables.block, (size_t)f->limit * sizeof(f->tables.block[0]));
	free(f->next);
	free(f->longer);
	free(f);
}

/* Reclaim's callback: no worker is in the block any more. */
static void block_free(void *ctx, uint64_t b)
{
	struct fib *f = ctx;

	f->next[b] = f->free;
	f->free = (uint32_t)b;
	if (--f->deferred == 0 && f->destroyed)
		tables_free(f);
}

/* The block was unlinked. What reclaim has no memory for is tried again with the next one. */
static void block_retire(struct fib *f, uint32_t b)
{
	f->used--;
	f->next[b] = f->retired;
	f->retired = b;
	while ((b = f->retired) != NO_BLOCK) {
		uint32_t next = f->next[b];

		if (reclaim_defer(f->reclaim, block_free, f, b) < 0)
			return;
		f->deferred++;
		f->retired = next;
	}
}

/* ---- the trie ---- */

/* Is this more than the leaf of a prefix of up to `above` bits? */
static bool entry_longer(uint32_t e, unsigned int above)
{
	return e & FIB_INNER || leaf_bits(e) > above;
}

/* b: the block that the entry is in, NO_BLOCK for the root's; above: bits that lead to it.
 * Release: who sees a block's number sees what is in it. */
static void entry_put(struct fib *f, uint32_t b, unsigned int above, fib_entry *e, uint32_t value)
{
	if (b != NO_BLOCK)
		f->longer[b] = (uint16_t)(f->longer[b] + entry_longer(value, above) -
					  entry_longer(*e, above));
	atomic_store_explicit(e, value, memory_order_release);
}

static int level_write(const struct change *c, uint32_t b, fib_entry *entries, unsigned int above,
		       unsigned int bits);

/* Into the block below an entry, which comes and goes as it is needed. */
static int below_write(const struct change *c, uint32_t b, fib_entry *e, unsigned int above,
		       unsigned int decided)
{
	struct fib *f = c->f;
	uint32_t inner = *e & ~FIB_INNER;
	int rc;

	if (!(*e & FIB_INNER)) {
		inner = block_take(f, *e);
		if (inner == NO_BLOCK)
			return -ENOSPC;
		entry_put(f, b, above, e, inner | FIB_INNER);
	}
	rc = level_write(c, inner, f->tables.block[inner], decided, 8);
	if (f->longer[inner] == 0) { /* all its entries are one prefix's */
		entry_put(f, b, above, e, f->tables.block[inner][0]);
		block_retire(f, inner);
	}
	return rc;
}

/* Writes to the entries of one table, which decide on the `bits` bits after `above`. */
static int level_write(const struct change *c, uint32_t b, fib_entry *entries, unsigned int above,
		       unsigned int bits)
{
	unsigned int decided = above + bits, first = 0, count = 1u << bits;
	int rc = 0;

	if (c->bits > above) {
		first = bits == 8 ? c->ip[above / 8] : (unsigned int)c->ip[0] << 8 | c->ip[1];
		count = c->bits < decided ? 1u << (decided - c->bits) : 1;
	}
	for (unsigned int i = first; i < first + count && rc == 0; i++) {
		fib_entry *e = &entries[i];

		if (*e & FIB_INNER || c->bits > decided)
			rc = below_write(c, b, e, above, decided);
		else if (leaf_bits(*e) >= c->least && leaf_bits(*e) <= c->bits)
			entry_put(c->f, b, above, e, c->leaf);
	}
	return rc;
}

static int prefix_write(struct fib *f, const struct prefix *p, unsigned int least, uint32_t leaf)
{
	const struct change c = {
		.f = f, .ip = p->ip, .bits = p->bits, .least = least, .leaf = leaf};

	return level_write(&c, NO_BLOCK, f->tables.root[p->type == ADDR_IP6], 0, FIB_ROOT_BITS);
}

int fib_set(struct fib *f, const struct prefix *p, uint32_t value)
{
	return prefix_write(f, p, 0, leaf_make(p->bits, value));
}

void fib_unset(struct fib *f, const struct prefix *p, const struct prefix *cover, uint32_t value)
{
	/* its leaves are there, and so is the way to them: no block is needed */
	(void)prefix_write(f, p, p->bits, leaf_make(cover ? cover->bits : 0, value));
}

uint32_t fib_blocks(const struct fib *f)
{
	return f->used;
}

const struct fib_tables *fib_tables(const struct fib *f)
{
	return &f->tables;
}

struct fib *fib_create(uint32_t blocks, struct reclaim *reclaim)
{
	struct fib *f = calloc(1, sizeof(*f));
	size_t size = (size_t)blocks * sizeof(f->tables.block[0]);

	if (f == NULL)
		return NULL;
	f->reclaim = reclaim;
	f->limit = blocks;
	f->free = f->retired = NO_BLOCK;
	f->next = calloc(blocks, sizeof(*f->next));
	f->longer = calloc(blocks, sizeof(*f->longer));
	f->tables.block = mmap(NULL, size, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (f->tables.block == MAP_FAILED || f->next == NULL || f->longer == NULL) {
		if (f->tables.block != MAP_FAILED)
			munmap(f->tables.block, size);
		free(f->next);
		free(f->longer);
		free(f);
		return NULL;
	}
	/* a table of the whole Internet is tens of megabytes: fewer TLB misses, where there are
	 * huge pages to be had */
	(void)madvise(f->tables.block, size, MADV_HUGEPAGE);
	return f;
}

void fib_destroy(struct fib *f)
{
	if (f == NULL)
		return;
	f->destroyed = true;
	if (f->deferred == 0)
		tables_free(f);
}
