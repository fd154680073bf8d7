/* SPDX-License-Identifier: BSD-3-Clause
 * The index on rte_hash, and the pads that keep its keys secret.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <rte_errno.h>
#include <rte_hash.h>
#include <sodium.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "store/index.h"

#define TABLE_MIN 8 /* entries: one bucket of rte_hash */
#define PAD_CONTEXT "indexpad"

struct index {
	struct rte_hash *table;
	uint32_t entries; /* limit */
	uint32_t count;	  /* control's */
	uint8_t key[crypto_kdf_KEYBYTES];
};
_Static_assert(sizeof(struct index_pad) >= crypto_kdf_BYTES_MIN, "a pad is one subkey");
_Static_assert(sizeof(hash_sig_t) == sizeof(uint32_t), "the low half of XXH3");

/* Of the process, because rte_hash passes its hash function nothing wider than
 * 32 bits. Written before the first index exists. */
static uint64_t hash_seed;
static bool hash_seeded;

uint64_t index_hash(const struct index_key *key)
{
	return XXH3_64bits_withSeed(key, sizeof(*key), hash_seed);
}

static inline hash_sig_t key_hash(const void *key)
{
	return (hash_sig_t)XXH3_64bits_withSeed(key, sizeof(struct index_key), hash_seed);
}

/* What the table would use by itself, so that it never hashes unseeded. */
static uint32_t table_hash(const void *key, uint32_t len, uint32_t init)
{
	(void)len;
	(void)init;
	return key_hash(key);
}

static int random_fill(void *buf, size_t len)
{
	ssize_t n;

	do {
		n = getrandom(buf, len, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

/* Cuckoo buckets of 8 place every key up to some 95 percent of the slots. The
 * slots are the next power of two: above 7/8 of it, ask for the one after. */
static uint32_t table_entries(uint32_t entries)
{
	uint32_t slots = 1;

	while (slots < entries)
		slots <<= 1;
	if (entries > slots / 8 * 7)
		entries = slots + 1;
	return entries < TABLE_MIN ? TABLE_MIN : entries;
}

void index_pad(const struct index *ix, uint32_t domain, uint8_t rule, struct index_pad *pad)
{
	crypto_kdf_derive_from_key((uint8_t *)pad, sizeof(*pad), (uint64_t)domain << 8 | rule,
				   PAD_CONTEXT, ix->key);
	pad->step |= 1;
}

int index_create(struct index **out, const char *name, uint32_t entries, int socket)
{
	struct rte_hash_parameters params = {
		.name = name,
		.key_len = sizeof(struct index_key),
		.hash_func = table_hash,
		.socket_id = socket,
		.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF,
	};
	struct index *ix;
	int rc;

	if (entries == 0 || entries > INDEX_MAX_ENTRIES || strlen(name) >= RTE_HASH_NAMESIZE)
		return -EINVAL;
	ix = calloc(1, sizeof(*ix));
	if (!ix)
		return -ENOMEM;
	rc = random_fill(ix->key, sizeof(ix->key));
	if (rc == 0 && !hash_seeded)
		rc = random_fill(&hash_seed, sizeof(hash_seed));
	if (rc < 0)
		goto fail;
	hash_seeded = true;
	ix->entries = entries;
	params.entries = table_entries(entries);
	rte_errno = 0; /* it does not set it each time it fails */
	ix->table = rte_hash_create(&params);
	if (!ix->table) {
		rc = rte_errno ? -rte_errno : -ENOMEM;
		goto fail;
	}
	*out = ix;
	return 0;
fail:
	index_destroy(ix);
	return rc;
}

void index_destroy(struct index *ix)
{
	if (!ix)
		return;
	rte_hash_free(ix->table);
	sodium_memzero(ix, sizeof(*ix));
	free(ix);
}

uint64_t index_lookup_bulk(const struct index *ix, const struct index_key *keys, unsigned n,
			   uint32_t *no)
{
	const void *key[INDEX_BURST];
	hash_sig_t hash[INDEX_BURST];
	void *value[INDEX_BURST];
	uint64_t hits = 0;

	for (unsigned i = 0; i < n; i++) {
		key[i] = &keys[i];
		hash[i] = key_hash(&keys[i]);
	}
	if (rte_hash_lookup_with_hash_bulk_data(ix->table, key, hash, n, &hits, value) <= 0)
		return 0;
	for (uint64_t left = hits; left; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctzll(left);

		no[i] = (uint32_t)(uintptr_t)value[i];
	}
	return hits;
}

uint32_t index_lookup(const struct index *ix, const struct index_key *key)
{
	void *value;

	if (rte_hash_lookup_with_hash_data(ix->table, key, key_hash(key), &value) < 0)
		return PIECE_NONE;
	return (uint32_t)(uintptr_t)value;
}

int index_insert(struct index *ix, const struct index_key *key, uint32_t no)
{
	hash_sig_t hash = key_hash(key);
	int rc;

	if (rte_hash_lookup_with_hash(ix->table, key, hash) >= 0)
		return -EEXIST;
	/* rte_hash_count() includes what is removed but not released. */
	if ((uint32_t)rte_hash_count(ix->table) >= ix->entries)
		return -ENOSPC;
	rc = rte_hash_add_key_with_hash_data(ix->table, key, hash, (void *)(uintptr_t)no);
	if (rc < 0)
		return rc;
	ix->count++;
	return 0;
}

int index_remove(struct index *ix, const struct index_key *key)
{
	int position = rte_hash_del_key_with_hash(ix->table, key, key_hash(key));

	if (position >= 0)
		ix->count--;
	return position;
}

void index_release(struct index *ix, int position)
{
	rte_hash_free_key_with_position(ix->table, position);
}

uint32_t index_count(const struct index *ix)
{
	return ix->count;
}
