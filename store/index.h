/* SPDX-License-Identifier: BSD-3-Clause
 * The index: identifier and piece -> descriptor number. An rte_hash with lock-free
 * readers. Key: the first 16 bytes of the identifier under a secret pad of its
 * (domain, rule), so that domains and rules never meet and no stranger can aim
 * at a bucket, and a secret step for each piece; hash: XXH3 with a 64-bit seed that is
 * random per process.
 *
 * The head of an identifier is not the identifier: a reader compares the whole
 * of it in the descriptor (piece_match()).
 *
 * Threads: control inserts and removes; workers look up inside an RCU section.
 */
#ifndef STORE_INDEX_H
#define STORE_INDEX_H

#include "store/slab.h"

#define INDEX_BURST 32 /* lookups at once, at most: 64 misbehaves under LF in 22.11 */
#define INDEX_MAX_ENTRIES (UINT32_C(64) << 20) /* below where 22.11 aliases keys */

struct index;

struct index_key {
	uint64_t w[2];
};

/* What makes keys of a domain's identifiers. */
struct index_pad {
	uint64_t w[2];
	uint64_t step; /* odd: no two pieces of a blob have one key */
};

/* entries: 1..INDEX_MAX_ENTRIES. name must be unique in the process. 0 or -errno. */
int index_create(struct index **out, const char *name, uint32_t entries, int socket);
void index_destroy(struct index *ix);

/* The secret pad of a domain's identifiers: derived from the index's own key, so
 * it is the same for as long as the index lives. */
void index_pad(const struct index *ix, uint32_t domain, uint8_t rule, struct index_pad *pad);

static inline struct index_key index_key_make(const struct index_pad *pad, const struct ident *id,
					      uint32_t piece)
{
	struct index_key key;

	memcpy(&key, id->b, sizeof(key));
	key.w[0] ^= pad->w[0];
	key.w[1] = (key.w[1] ^ pad->w[1]) + piece * pad->step;
	return key;
}

/* Of a key; nobody outside can foresee it. */
uint64_t index_hash(const struct index_key *key);
/* n <= INDEX_BURST. Bit i of the result: key i was found and no[i] is set. */
uint64_t index_lookup_bulk(const struct index *ix, const struct index_key *keys, unsigned n,
			   uint32_t *no);
/* PIECE_NONE if it is not there. */
uint32_t index_lookup(const struct index *ix, const struct index_key *key);

/* 0, -ENOSPC, or -EEXIST (the first one stays). */
int index_insert(struct index *ix, const struct index_key *key, uint32_t no);
/* Returns the position to hand to index_release() after a grace period, or -ENOENT. */
int index_remove(struct index *ix, const struct index_key *key);
void index_release(struct index *ix, int position);
uint32_t index_count(const struct index *ix);

/* Is this descriptor of the piece that is asked for, in whatever state? */
static inline bool piece_is(const struct piece *p, uint32_t domain, const struct ident *id,
			    uint8_t rule, uint64_t length, uint32_t number)
{
	return p->length == length && p->domain == domain && p->rule == rule &&
	       p->number == number && ident_equal(&p->id, id);
}

/* Is it, and READY? */
static inline bool piece_match(const struct piece *p, uint32_t domain, const struct ident *id,
			       uint8_t rule, uint64_t length, uint32_t number)
{
	return atomic_load_explicit(&((struct piece *)(uintptr_t)p)->state, memory_order_acquire) ==
		       PIECE_READY &&
	       piece_is(p, domain, id, rule, length, number);
}

#endif
