/* SPDX-License-Identifier: BSD-3-Clause
 * The engine of RocksDB: rocks.c (blobs), rocks_list.c (what there is), rocks_segment.c (where
 * blocks lie), rocks_clear.c (room that comes back), rocks_open.c. Private to these.
 *
 * Column families and keys (numbers in network order):
 *
 *   default   "version"                       the format's version
 *             'u' domain 'b' | 'n'            bytes and number of its blobs (merged sums)
 *             's' segment 'w' | 'l'           bytes written to it, and of blobs (likewise)
 *             'o' body                        blocks without a record. Of an upload that the
 *                                             next start may go on with: record-key, length,
 *                                             attempt, seen, blocks
 *             'b' body record-key             whose it is
 *             't' stored record-key           length; blobs by age
 *             'd' domain stored record-key    length; a domain's blobs by age
 *             'n' name                        what the relay noted
 *   records   domain rule identifier          body, length, stored, attempt
 *   blocks-N  body block                      bytes; N is the segment, hexadecimal
 *
 * Blocks go to one segment after the other and are not deleted: what is no blob's any more is
 * dead. A segment that is all dead is dropped, one that is so in good part after its blobs
 * were moved to the newest. A database that deletes them one by one would have to rewrite its
 * files from end to end for the room to come back.
 */
#ifndef STORE_ROCKS_H
#define STORE_ROCKS_H

#include <pthread.h>
#include <stdatomic.h>

#include <rocksdb/c.h>

#include "store/engine.h"

struct record_key {
	uint8_t domain[4];
	uint8_t rule;
	uint8_t id[IDENT_SIZE];
};

struct record_value {
	uint8_t body[8];
	uint8_t length[8];
	uint8_t stored[8];
	uint8_t attempt[8];
};

struct block_key {
	uint8_t body[8];
	uint8_t block[4];
};

struct time_key {
	char t;
	uint8_t stored[8];
	struct record_key record;
};

struct domain_key {
	char d;
	uint8_t domain[4];
	uint8_t stored[8];
	struct record_key record;
};

struct body_key {
	char what; /* 'o' | 'b' */
	uint8_t body[8];
};

struct open_value {
	struct record_key record;
	uint8_t length[8];
	uint8_t attempt[8];
	uint8_t seen[8];
	uint8_t blocks[4];
};

/* Of a domain 'u' or of a segment 's'. */
struct sum_key {
	char of;
	uint8_t number[4];
	char what;
};
_Static_assert(sizeof(struct record_key) == 37 && sizeof(struct record_value) == 32 &&
		       sizeof(struct block_key) == 12 && sizeof(struct time_key) == 46 &&
		       sizeof(struct domain_key) == 50 && sizeof(struct body_key) == 9 &&
		       sizeof(struct open_value) == 65 && sizeof(struct sum_key) == 6,
	       "no padding: they are on disk");

struct segment {
	uint32_t number;
	rocksdb_column_family_handle_t *family;
	_Atomic uint64_t written;
	_Atomic uint32_t next;	/* body */
	_Atomic uint64_t apart; /* bytes that went by no log since a flush was asked for */
	uint32_t misses;	/* of a blob to move; clearing's */
};

/* A blob on its way to another segment. */
struct moving {
	struct record_key key;
	struct engine_record from;
	struct engine_upload to;
	uint8_t *blocks;
};

enum rocks_family { FAMILY_DEFAULT, FAMILY_RECORDS, FAMILIES };

struct rocks {
	struct engine engine; /* first */
	rocksdb_t *db;
	rocksdb_column_family_handle_t *family[FAMILIES];
	rocksdb_options_t *options[FAMILIES];
	rocksdb_options_t *segment_options;
	rocksdb_cache_t *cache;
	rocksdb_readoptions_t *read;
	rocksdb_writeoptions_t *write, *write_durable, *write_unlogged;
	/* Held for reading by whoever uses a segment; who holds it for writing may take one
	 * away. */
	pthread_rwlock_t lock;
	struct segment **segment;
	uint32_t segments;
	uint32_t segment_room;
	struct segment *current;  /* where new bodies go */
	uint64_t segment_least;	  /* bytes */
	uint64_t segment_bytes;	  /* what the current one may have */
	uint64_t unlogged_bytes;  /* a blob as large does not go by the log */
	pthread_mutex_t opening;  /* of the next one */
	pthread_mutex_t changing; /* records: commit and move, one at a time */
	struct segment *emptied;  /* NULL: none. Clearing's, as is: */
	struct moving *moving;
};

/* ---- rocks.c ---- */

/* Takes the library's text. */
int rocks_fail(struct rocks *r, char *text);
void put_be(uint8_t *to, uint64_t value, unsigned int size);
uint64_t get_be(const uint8_t *from, unsigned int size);
struct record_key record_key(const struct blob_name *name);
struct body_key body_key(char what, uint64_t body);
/* 0 with the value, for rocksdb_pinnableslice_destroy(); -ENOENT; or an error. */
int rocks_get(struct rocks *r, rocksdb_column_family_handle_t *family, const void *key,
	      size_t key_size, rocksdb_pinnableslice_t **out);
int record_get(struct rocks *r, const struct record_key *key, struct engine_record *out);
void record_put(rocksdb_writebatch_t *b, const struct rocks *r, const struct record_key *key,
		const struct engine_record *record);
void batch_put(rocksdb_writebatch_t *b, rocksdb_column_family_handle_t *family, const void *key,
	       size_t key_size, const void *value, size_t value_size);
void batch_delete(rocksdb_writebatch_t *b, rocksdb_column_family_handle_t *family, const void *key,
		  size_t key_size);
/* Adds to a sum, modulo 2^64. */
void batch_add(rocksdb_writebatch_t *b, const struct rocks *r, char of, uint32_t number, char what,
	       uint64_t value);
/* Takes the batch. */
int batch_write(struct rocks *r, rocksdb_writebatch_t *b, bool durable);
int rocks_find(struct engine *e, const struct blob_name *name, struct engine_record *out);
int rocks_stat(struct engine *e, struct engine_entry *entry);
int rocks_read(struct engine *e, const struct blob_name *name, struct engine_record *record,
	       uint32_t block, void *to, uint32_t len);
int rocks_write(struct engine *e, struct engine_upload *u, const struct iovec *blocks,
		uint32_t count);
int rocks_abandon(struct engine *e, uint64_t body);
int rocks_commit(struct engine *e, struct engine_change *changes, uint32_t count, bool durable);
/* A block of a segment that is there, with the lock held. */
int block_read(struct rocks *r, const struct segment *s, uint64_t body, uint32_t block, void *to,
	       uint32_t len);

/* ---- rocks_list.c ---- */

void record_name(const struct record_key *k, const uint8_t length[8], struct blob_name *name);
int rocks_uploads(struct engine *e, void (*fn)(void *ctx, const struct engine_upload *u),
		  void *ctx);
/* Of an upload that is to be kept; false: of none. */
bool upload_of(const char *key, size_t key_size, const char *value, size_t value_size,
	       struct engine_upload *out);

/* Calls fn for each key of a family from `from` on that begins with its first `same` bytes,
 * until fn says false. */
int each_key(struct rocks *r, rocksdb_column_family_handle_t *family, const void *from,
	     size_t from_size, size_t same,
	     bool (*fn)(void *ctx, const char *key, size_t key_size, const char *value,
			size_t value_size),
	     void *ctx);
int rocks_usage(struct engine *e,
		void (*fn)(void *ctx, uint32_t domain, uint64_t bytes, uint64_t blobs), void *ctx);
int rocks_list(struct engine *e, const uint32_t *domain, const struct blob_name *after,
	       struct engine_entry *out, uint32_t max);
int rocks_oldest(struct engine *e, const uint32_t *domain, struct engine_entry *out, uint32_t max);

int rocks_note(struct engine *e, const char *name, const void *bytes, size_t size);
int rocks_recall(struct engine *e, const char *name, void **bytes, size_t *size);

/* ---- rocks_segment.c ---- */

static inline uint32_t body_segment(uint64_t body)
{
	return (uint32_t)(body >> 32);
}
/* Is that the name of a segment's column family? */
bool segment_named(const char *name, uint32_t *number);
/* Takes over one that the database has. */
int segment_add(struct rocks *r, uint32_t number, rocksdb_column_family_handle_t *family);
/* All were added: where the next body goes. */
int segments_begin(struct rocks *r);
void segments_close(struct rocks *r);
/* Sees to it that the current one has room. */
int segment_ready(struct rocks *r);
/* Has the next one be the current one. */
int segment_next(struct rocks *r);
/* With the lock held: a new body in the current one, which is there. */
uint64_t body_take(struct rocks *r);
/* With the lock held; NULL: it is not there (any more). */
struct segment *segment_find(const struct rocks *r, uint64_t body);
/* Bytes written to it, and of these a blob's. */
int segment_sums(struct rocks *r, uint32_t number, uint64_t *written, uint64_t *live);
/* Is any of it an upload's that is under way? 1, 0, or an error. */
int segment_busy(struct rocks *r, uint32_t number);
/* What was written to it is in its files, durably, after that; or, unless `wait`, soon. */
int segment_flush(struct rocks *r, struct segment *s, bool wait);
/* Drops it if nothing of it is used. 1: that was so; 0; or an error. */
int segment_drop(struct rocks *r, struct segment *s);

/* ---- rocks_clear.c ---- */

int rocks_clear(struct engine *e, bool pressed, struct engine_space *space);

#endif
