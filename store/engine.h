/* SPDX-License-Identifier: BSD-3-Clause
 * An engine: where blobs are kept, of which RAM has some. It knows blobs by their names, and
 * their bytes in blocks of ENGINE_BLOCK under a number of its own, the body. A blob is
 * there when its record is, which is written last; blocks without a record are nobody's.
 *
 * Threads: what is here may block, and is called by the store's threads, by several at a
 * time; engine_commit() by one at a time. body_next() is the control thread's.
 *
 * Errors, unless said otherwise: -EBADMSG: what is there is damaged; -ENOSPC: the disk is
 * full; -EIO and others: it does not work. After any but -EBADMSG the engine may be of no
 * use until it is closed and opened again, by which nothing that was acknowledged is lost.
 * `why` has the words of the last error, which other threads may overwrite.
 */
#ifndef STORE_ENGINE_H
#define STORE_ENGINE_H

#include <sys/uio.h>

#include "store/slab.h"

#define ENGINE_BLOCK EXTENT_SUMS /* bytes; a blob's last block has what is left */
#define ENGINE_WHY 256

struct engine;

/* What is known of a blob without its bytes. */
struct engine_record {
	uint64_t body;
	uint64_t length; /* bytes */
	uint64_t stored; /* Unix seconds */
};

/* One of those that become durable together: a blob is put, or removed. */
struct engine_change {
	struct blob_name name;
	bool remove;
	bool quarantine; /* of one that is removed: its blocks stay until the next start */
	/* of a put: */
	uint64_t body;
	uint64_t stored;	    /* Unix seconds */
	uint32_t written;	    /* blocks that were written before, the first ones */
	const struct iovec *blocks; /* the others */
	uint32_t count;
	/* 0; put: -EEXIST, one of its name is there; remove: -ENOENT */
	int result;
};

struct engine_ops {
	void (*close)(struct engine *e);
	/* A number that no body has. */
	uint64_t (*body_next)(struct engine *e);
	/* 0, -ENOENT, or an error. */
	int (*find)(struct engine *e, const struct blob_name *name, struct engine_record *r);
	/* All `len` bytes of a block, whose length that must be; -EBADMSG also where it is
	 * not there. */
	int (*read)(struct engine *e, uint64_t body, uint32_t block, void *to, uint32_t len);
	/* Not durable by itself: the commit makes it so. */
	int (*write)(struct engine *e, uint64_t body, uint32_t first, const struct iovec *blocks,
		     uint32_t count);
	/* Of what was written, and is not committed, nothing will be needed. */
	int (*abandon)(struct engine *e, uint64_t body, uint32_t written);
	/* All of them, or none; no two are about one blob. durable: it survives a loss of power,
	 * not only of the process. */
	int (*commit)(struct engine *e, struct engine_change *changes, uint32_t count,
		      bool durable);
	/* Calls fn for each domain that has blobs. */
	int (*usage)(struct engine *e,
		     void (*fn)(void *ctx, uint32_t domain, uint64_t bytes, uint64_t blobs),
		     void *ctx);
	/* The first `max` blobs of a domain behind `after` (NULL: from the first), in the order
	 * of rule and identifier. How many, or an error. */
	int (*list)(struct engine *e, uint32_t domain, const struct blob_name *after,
		    struct blob_name *out, uint32_t max);
};

struct engine {
	const struct engine_ops *ops;
	char why[ENGINE_WHY];
};

/* The engine of RocksDB in the folder `path`, which is there and ours. What a crash left
 * half written is cleared away. 0, or with a line in `why` that says what to do: -EBUSY:
 * another process has it; -EPROTO: it is of a version that is not known here; or -errno. */
int engine_rocksdb_open(struct engine **out, const char *path, char *why, size_t why_size);

#endif
