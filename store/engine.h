/* SPDX-License-Identifier: BSD-3-Clause
 * An engine: where blobs are kept, of which RAM has some. It knows blobs by their names, and
 * their bytes in blocks of ENGINE_BLOCK under a number of its own, the body. A blob is
 * there when its record is, which is written last; blocks without a record are nobody's.
 *
 * Threads: what is here may block, and is called by the store's threads, by several at a
 * time; commit and clear each by one at a time.
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
	uint64_t length;  /* bytes */
	uint64_t stored;  /* Unix microseconds */
	uint64_t attempt; /* the upload that brought it, as targets name it */
};

/* A blob that is there. */
struct engine_entry {
	struct blob_name name;
	uint64_t stored; /* Unix microseconds */
};

/* An upload: blocks that have no record yet. */
struct engine_upload {
	struct blob_name name;
	uint64_t body;	  /* 0: none is written yet */
	uint64_t attempt; /* as in struct engine_record */
	uint64_t seen;	  /* Unix seconds, when the newest block came */
	uint32_t blocks;  /* the first ones, which were written; after a crash the last of them may
			   * be gone */
	bool kept;	  /* the next start is to know of it */
	bool logged;	  /* what is written now is there after a crash of the process, though that
			   * may write it twice; else what was written lately may be gone */
};

/* Bytes of blocks on disk. */
struct engine_space {
	uint64_t written;
	uint64_t dead; /* of these: nobody's, and their room can come back */
};

/* One of those that become durable together: a blob is put, or removed. */
struct engine_change {
	struct blob_name name;
	bool remove;
	bool quarantine; /* of one that is removed: its blocks stay until the next start */
	/* of a put: */
	uint64_t body;		    /* of the blocks that were written before; or 0 */
	uint64_t stored;	    /* Unix microseconds */
	uint64_t attempt;	    /* as in struct engine_record */
	uint32_t written;	    /* blocks that were written before, the first ones */
	const struct iovec *blocks; /* the others */
	uint32_t count;
	/* 0; put: -EEXIST, one of its name is there; remove: -ENOENT */
	int result;
};

struct engine_ops {
	void (*close)(struct engine *e);
	/* 0, -ENOENT, or an error. */
	int (*find)(struct engine *e, const struct blob_name *name, struct engine_record *r);
	/* Whatever its length, which is filled in as is the time. Likewise. */
	int (*stat)(struct engine *e, struct engine_entry *entry);
	/* All `len` bytes of a block, whose length that must be, of the blob of which find()
	 * said `r`, which changes where its body did. -ENOENT: it was removed; -EBADMSG also
	 * where only the block is not there. */
	int (*read)(struct engine *e, const struct blob_name *name, struct engine_record *r,
		    uint32_t block, void *to, uint32_t len);
	/* The next blocks of an upload, behind u->blocks, to which they are added. u->body is set
	 * where it is 0: for the first ones. Not durable by itself: the commit makes it so. */
	int (*write)(struct engine *e, struct engine_upload *u, const struct iovec *blocks,
		     uint32_t count);
	/* Calls fn for each upload that an earlier process left and wanted kept. It goes on, or
	 * is abandoned. */
	int (*uploads)(struct engine *e, void (*fn)(void *ctx, const struct engine_upload *u),
		       void *ctx);
	/* Of what was written, and is not committed, nothing will be needed. */
	int (*abandon)(struct engine *e, uint64_t body);
	/* All of them, or none; no two are about one blob. durable: it survives a loss of power,
	 * not only of the process. */
	int (*commit)(struct engine *e, struct engine_change *changes, uint32_t count,
		      bool durable);
	/* A step, of a few MiB at most, towards giving back the room of what was removed or
	 * abandoned; pressed: also where there is little to gain. Says what there is. 1: there is
	 * more to do; 0; or an error. */
	int (*clear)(struct engine *e, bool pressed, struct engine_space *space);
	/* Calls fn for each domain that has blobs. */
	int (*usage)(struct engine *e,
		     void (*fn)(void *ctx, uint32_t domain, uint64_t bytes, uint64_t blobs),
		     void *ctx);
	/* The first `max` blobs, of all or (not NULL) of a domain, behind `after` (NULL: from the
	 * first), in the order of domain, rule and identifier. How many, or an error. */
	int (*list)(struct engine *e, const uint32_t *domain, const struct blob_name *after,
		    struct engine_entry *out, uint32_t max);
	/* Something that the relay wants to know the next time, under a name; size 0: no more.
	 * It may be lost in a loss of power. */
	int (*note)(struct engine *e, const char *name, const void *bytes, size_t size);
	/* 0 with *bytes for free(); -ENOENT; -ENOMEM; or an error. */
	int (*recall)(struct engine *e, const char *name, void **bytes, size_t *size);
	/* The `max` oldest blobs, of all or (not NULL) of a domain. How many, or an error. */
	int (*oldest)(struct engine *e, const uint32_t *domain, struct engine_entry *out,
		      uint32_t max);
};

struct engine {
	const struct engine_ops *ops;
	char why[ENGINE_WHY];
};

struct engine_config {
	const char *path;     /* a folder, which is there and ours */
	const char *log_path; /* another, for a log of the library's own, which must not fill up
			       * as `path` may; NULL: the same */
	bool create;	      /* also where there is no store in it */
	uint64_t keep_since; /* Unix seconds: uploads that were not seen since then are cleared away
			      */
	uint64_t segment_bytes;	 /* the least in which room comes back; 0: as is good */
	uint64_t unlogged_bytes; /* the least blob of which not all is written twice; likewise */
};

/* The engine of RocksDB. What a crash left half written is cleared away, but for uploads that are
 * to be kept. 0, or with a line in
 * `why` that says what to do: -EBUSY: another process has it; -EPROTO: it is of a version that
 * is not known here; -ENOENT: there is none; or -errno. */
int engine_rocksdb_open(struct engine **out, const struct engine_config *c, char *why,
			size_t why_size);

#endif
