/* SPDX-License-Identifier: BSD-3-Clause
 * The store as control sees it: blobs come, are found, and go. Where they lie in RAM, and
 * how workers read them, is in slab.h and index.h; where else, in engine.h.
 *
 * With an engine, that is the truth, and RAM has some pieces of some blobs: what is not
 * there is loaded when it is asked for, and may leave at any time. Without one RAM is all
 * there is, and a blob is there whole or not at all.
 *
 * Durability: a put whose callback says 0 is there after a crash of the process, and after a
 * loss of power unless `sync` is STORE_SYNC_OS. Nothing else is promised of a put.
 *
 * Errors of the engine: it is closed and opened again, each second until that works;
 * meanwhile what RAM has is found, and all else answers STORE_FAILED.
 *
 * Threads: control's alone. Callbacks are called by store_poll(). A piece that is found is there
 * until control returns to its loop; what is removed can be read by workers that found it until a
 * grace period is over.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <sys/queue.h>

#include "store/cache.h"
#include "store/engine.h"
#include "store/index.h"
#include "store/jobs.h"
#include "store/reclaim.h"

struct load;
struct loads;
struct dropping;
struct hot;
struct age;
struct found;
struct usage_of;
struct store_put;

/* When a blob counts as stored. */
enum store_sync {
	STORE_SYNC_GROUP = 0, /* on disk; those that come together share one flush */
	STORE_SYNC_ALWAYS,    /* on disk; each with a flush of its own */
	STORE_SYNC_OS,	      /* with the kernel, which writes when it likes: a loss of power may
			       * take the last half minute */
};

/* What a domain has here. */
struct store_usage {
	uint64_t bytes; /* of its blobs, and of what is being uploaded */
	uint64_t blobs; /* likewise */
};

/* What the store or a domain may keep; 0: no limit. */
struct store_limits {
	uint64_t bytes;	       /* of blobs. The store's: with an engine; memory is the slab's */
	uint64_t blobs;	       /* likewise */
	uint32_t keep_seconds; /* then it goes */
};

struct store_policy {
	struct store_limits all;
	uint64_t free_least; /* bytes of the disk that stay free of blobs, half of them for what
			      * is under way */
	bool refuse;	     /* at a limit new ones are; else the oldest go */
	/* What a domain may keep, into zeros; NULL: as much as there is room for. */
	void (*of)(void *ctx, uint32_t domain, struct store_limits *out);
	void *ctx;
};

/* What the engine is to change, with others at a time. The store's own. */
struct change {
	struct engine_change c;
	void (*done)(struct change *ch, int err);
	TAILQ_ENTRY(change) link;
};

struct store_counters {
	uint64_t evicted;	/* without an engine: blobs, with one: pieces that made room */
	uint64_t evicted_bytes; /* of these */
	uint64_t loads;		/* pieces read from the engine */
	uint64_t load_bytes;	/* of these */
	uint64_t load_failures; /* pieces that could not be read */
	uint64_t read_back;	/* pieces that were wanted in RAM after the start */
	uint64_t corrupt;	/* blobs found damaged */
	uint64_t commits;	/* flushes of the engine for blobs that came or went */
	uint64_t failures;	/* times that the engine failed */
	uint64_t trimmed;	/* blobs that went at a limit */
	uint64_t expired;	/* blobs that were too old */
	uint64_t removed;	/* blobs of domains that are gone */
	uint64_t removed_bytes;
};

/* How to get an engine. */
struct store_engine {
	int (*open)(struct engine **out, const struct engine_config *c, char *why, size_t why_size);
	const char *path;     /* as in struct engine_config */
	const char *log_path; /* likewise */
	uint64_t keep_since;  /* likewise */
	enum store_sync sync;
	struct jobs *jobs; /* threads for it, whose CPUs and rights its own threads inherit;
			    * they stop before store_fini() */
};

struct folder_id {
	uint64_t dev, ino;
};

/* The opening of the engine; the store's own. */
struct life {
	struct store *store;
	struct job job;
	bool opening;
	uint64_t retry; /* Unix seconds */
	/* the thread's, until it is done: */
	int result;
	char why[ENGINE_WHY];
	struct folder_id folder;
	struct found *found; /* what the domains have */
	uint32_t found_count, found_room;
	struct engine_upload *uploads; /* of an earlier process */
	uint32_t upload_count, upload_room;
};

#define TRIM_BURST 64u /* blobs at once */

/* Who goes at a limit; the store's own. */
struct trim {
	struct store *store;
	struct job job; /* lists the oldest, */
	bool all;	/* of all, or */
	uint32_t domain;
	bool listing;
	bool due;  /* there may be something to do, */
	bool anew; /* by other limits than before */
	int listed;
	uint32_t removing;
	uint64_t second; /* when it was last looked at */
	struct engine_entry aged[TRIM_BURST];
};

/* Room that comes back, and what the disk has; the store's own. */
struct clearing {
	struct store *store;
	struct job job;
	bool wanted, under_way, pressed;
	int result;
	struct engine_space found;
	struct job look;
	bool looking;
	bool fresh, will_be_fresh; /* nothing came back since it was looked at */
	uint64_t looked;	   /* Unix seconds */
	int look_result;
	uint64_t disk_free, disk_size;
};

struct store {
	struct slab *slab;
	struct index *index;
	struct reclaim *reclaim;
	struct cache *cache;
	struct usage_of *all;
	struct usage_of *usage;			  /* by domain */
	struct age *ages;			  /* by descriptor; NULL with an engine */
	struct leaving *leaving;		  /* by descriptor */
	uint32_t leaving_first;			  /* of those that reclaim had no memory for */
	uint64_t leaving_room[CLASS_EXTENTS + 1]; /* by size class, until it is free */
	uint32_t leaving_pieces;
	uint32_t held; /* pieces of blobs on their way in */
	struct store_counters counters;
	struct store_policy policy;
	struct trim trim;
	struct engine_space space; /* of the engine's blocks */
	struct clearing clearing;
	uint64_t disk_free, disk_size; /* bytes of where it is */
	uint64_t unix_us;	       /* of the last store_poll(); */
	uint64_t unix_seconds;	       /* the same */
	uint64_t stamp;		       /* of the newest blob */
	/* the engine */
	bool kept;   /* there is one, or will be again */
	bool failed; /* it is not to be used: `why` */
	char why[ENGINE_WHY];
	struct store_engine config;
	struct engine *engine; /* NULL: there is none (now) */
	uint32_t opened;       /* how often it was */
	struct jobs *jobs;
	uint32_t under_way; /* jobs that use it */
	bool draining;
	bool closing;
	uint64_t slow_second; /* Unix: in it were written, of slow uploads, */
	uint64_t slow_bytes;
	struct life life;
	struct commits *commits;
	struct loads *loads;
	struct dropping *drop; /* under way */
	struct hot *hot;       /* NULL: without an engine */
};

/* readers: threads that read beside control (cache_reader()). 0 or -ENOMEM; in both cases
 * store_fini() ends it. */
int store_init(struct store *s, struct slab *slab, struct index *index, struct reclaim *reclaim,
	       unsigned int readers);
/* What may be kept, from now on. Before that: all there is room for. */
void store_limit(struct store *s, const struct store_policy *p);
/* Has the disk so little room that nothing is taken? */
bool store_disk_full(const struct store *s);
/* Opens the engine, and waits for that. 0, or -errno with a line in `why`. */
int store_attach(struct store *s, const struct store_engine *c, char *why, size_t why_size);
/* Waits until nothing is under way any more; callbacks are called. */
void store_drain(struct store *s);
/* What ends from now on does so with the process: the next one may go on with it. */
void store_closing(struct store *s);
/* The uploads that an earlier process left, *count of them. For store_put_adopt() or
 * store_put_refuse(), each of them once, after store_attach(). */
const struct engine_upload *store_uploads(const struct store *s, uint32_t *count);
/* Closes the engine. Nothing is under way, no put or get is left; workers have stopped, and
 * reclaim has run. */
void store_fini(struct store *s);
/* Readable when store_poll() has something to do; -1: never. */
int store_fd(const struct store *s);
/* Does what there is to do, and calls what is to be called. */
void store_poll(struct store *s, uint64_t unix_us);
/* Has it something to do already, whatever store_fd() says? */
bool store_waits(const struct store *s);

bool blob_name_equal(const struct blob_name *a, const struct blob_name *b);
/* The head of the blob if it is in RAM (without an engine: whole); NULL if it is not. */
const struct piece *store_find(const struct store *s, const struct blob_name *name);
/* One of its pieces, likewise. */
const struct piece *store_find_piece(const struct store *s, const struct blob_name *name,
				     uint32_t number);
struct store_usage store_usage(const struct store *s, uint32_t domain);
/* What is stored, of all domains, and what has come of uploads. */
struct store_usage store_here(const struct store *s);
/* Removes all blobs of the domains that `gone` says true for, in the background; counted in
 * `removed`. 0; -ENOMEM; -EAGAIN: the one before has something under way. */
int store_drop(struct store *s, bool (*gone)(void *ctx, uint32_t domain), void *ctx);

/* Is that under way? */
bool store_drops(const struct store *s);

/* ---- a blob that is wanted ---- */

enum store_answer {
	STORE_HERE, /* in RAM; where only its presence is wanted, there */
	STORE_ABSENT,
	STORE_FAILED, /* it may be there, and cannot be had now */
};

enum store_want {
	STORE_PRESENCE, /* is it there at all? */
	STORE_PIECE,	/* piece `number`, in RAM */
};

struct store_get {
	struct blob_name name;
	uint32_t number;
	enum store_want want;
	void (*fn)(struct store_get *g, enum store_answer answer);
	/* the store's */
	struct store_gets *queue; /* that it waits in, or NULL */
	enum store_answer answer;
	TAILQ_ENTRY(store_get) link;
};

TAILQ_HEAD(store_gets, store_get);

/* Calls fn with the answer; brings the piece into RAM where that is wanted. One load,
 * however many ask for the piece. */
void store_get(struct store *s, struct store_get *g);
/* It is not wanted any more; nothing happens if it does not wait. */
void store_get_cancel(struct store_get *g);
/* Loads a piece for nobody in particular, if it is not here and there is time. */
void store_get_ahead(struct store *s, const struct blob_name *name, uint32_t number);

/* ---- what there is ---- */

/* The blob of a domain, a rule and an identifier. */
struct store_stat {
	struct engine_entry entry; /* its length and time are filled in */
	/* Without an engine here and now. 0; -ENOENT; -EIO: that cannot be told now */
	void (*fn)(struct store_stat *st, int result);
	/* the store's */
	struct job job;
	struct store *store;
	int result;
};
void store_stat(struct store *s, struct store_stat *st);

#define STORE_PAGE 256u

/* All blobs, or a domain's, a page at a time. */
struct store_list {
	const uint32_t *domain; /* NULL: all */
	uint32_t most;		/* on a page: 1 to STORE_PAGE */
	/* Behind which it goes on; of zeros for the first page, set for the next one: */
	bool behind;
	struct blob_name after;
	uint32_t cursor; /* without an engine: descriptors, in whose order they are */
	/* as in store_stat; `more`: there may be, even where `count` is 0 */
	void (*fn)(struct store_list *l, int result);
	bool more;
	uint32_t count;
	struct engine_entry entry[STORE_PAGE];
	/* the store's */
	struct job job;
	struct store *store;
	int result;
};
void store_list(struct store *s, struct store_list *l);

/* Chunks of a blob, wherever they are, copied one behind the other. */
struct store_read {
	struct blob_name name;
	const uint32_t *chunk; /* their numbers */
	uint32_t count;
	uint8_t *to;
	bool stored; /* as the engine has them, even where RAM has them, too */
	/* Called here and now where they are in RAM. 0; -ENOENT: there is no such blob;
	 * -EBADMSG: it was damaged, and is put aside; -EIO: they cannot be had now */
	void (*fn)(struct store_read *r, int result);
	/* the store's */
	struct job job;
	struct store *store;
	int result;
};
void store_read(struct store *s, struct store_read *r);

/* ---- what is to be known the next time ---- */

struct store_note {
	const char *name;
	void *bytes; /* read: for free() */
	size_t size; /* 0: there is none (any more) */
	/* 0; -EIO: it cannot be written or read now. Without an engine here and now: 0, and there
	 * never is one. */
	void (*fn)(struct store_note *n, int result);
	/* the store's */
	struct job job;
	struct store *store;
	int result;
};
/* Not durable: a loss of power may bring back the one before. */
void store_note_write(struct store *s, struct store_note *n);
void store_note_read(struct store *s, struct store_note *n);

/* ---- a blob that goes ---- */

struct store_removal {
	struct blob_name name;
	bool damaged; /* it is put aside, and counted */
	/* 0: it is there no more, as durable as a put; -ENOENT: it was not there; -EIO */
	void (*fn)(struct store_removal *r, int result);
};
/* What is being served of it ends. 0: fn is called later; -ENOENT; -ENOMEM. */
int store_remove(struct store *s, struct store_removal *r);

/* ---- a blob on its way in ---- */

#define STORE_BACK 16u /* pieces */

/* Written pieces of a blob on its way in that are wanted in RAM again; its own. */
struct store_back {
	struct job job;
	uint32_t number; /* of the piece that the job reads, */
	uint32_t no;	 /* into this descriptor, */
	uint64_t body;	 /* from here */
	uint32_t wanted; /* the one that was asked for, */
	uint32_t until;	 /* and it goes on to those before this one */
	bool under_way;
	int error;
	uint32_t had[STORE_BACK]; /* those that are back, in the order in which they came */
	uint32_t count, oldest;
};

struct store_put {
	struct store *store;
	struct blob_name name;
	uint32_t begun;	 /* pieces that have had a descriptor: the first ones */
	uint32_t *piece; /* their numbers; a worker may write to those below a limit it is given,
			  * and not below what store_put_ready() was told. PIECE_NONE: one that was
			  * written, and has left RAM; control stores that with an atomic write, and
			  * gives memory back after a grace period */
	/* The caller's, after store_put_begin(): */
	uint64_t attempt; /* what its pieces are known by: struct piece */
	bool newest_stay; /* others read it meanwhile: of what leaves RAM when it was written, the
			   * newest pieces stay longer */
	bool keep;	  /* the next process may go on with it */
	/* the store's */
	bool committed;	  /* it is there */
	uint32_t ready;	  /* chunks that will not change any more */
	uint32_t written; /* blocks that the engine has */
	uint32_t gone;	/* of the pieces of these, the first ones, that leave RAM no more for it, or
			   have left */
	uint32_t holds; /* pieces in RAM that are its own */
	uint64_t counted; /* bytes of it that count as being here */
	bool parked;
	struct engine_upload upload; /* as the newest write left it */
	uint64_t paused; /* Unix microseconds: nothing was written since, or before it began */
	uint32_t opened; /* s->opened, when it began */
	struct store_back back;
	bool writing;	 /* the job is under way, for the blocks behind `written` */
	bool committing; /* the change is queued, or under way */
	int error;	 /* the engine's */
	struct job job;
	struct iovec blocks[PIECE_EXTENTS];
	uint32_t block_count;
	struct change change;
	bool recalling;	   /* the job is under way, to read what is `claimed` to be there */
	uint32_t claimed;  /* blocks */
	uint8_t *recalled; /* those of the piece of which not all were written; or NULL */
	void (*read)(struct store_put *put, const void *bytes, uint32_t len);
	void (*recall_done)(struct store_put *put);
	void (*stored)(struct store_put *put, int result); /* a commit is wanted */
	void (*ended)(struct store_put *put);
};

/* Its length counts for its domain from now on. 0; -EFBIG: it could never be here; -EDQUOT: its
 * domain has as much as it may; -ENOSPC; -ENOMEM; -EIO: the engine does not work; of an empty one
 * also what store_put_grow() says, which it does not need any more. */
int store_put_begin(struct store *s, const struct blob_name *name, struct store_put *put);
/* Takes memory so that chunks 0..chunks-1 of the blob have a place, for which others may
 * have to go. 0; -EAGAIN: memory is on its way back, or the engine has much to write, so try
 * again soon; -ENOSPC: nobody can go. What was taken before stays. */
int store_put_grow(struct store_put *put, uint32_t chunks);
/* Chunks 0..chunks-1 are written, read by whoever had to, and will not change any more:
 * they may go to the engine, and from RAM. */
void store_put_ready(struct store_put *put, uint32_t chunks);
/* No worker uses it, and nobody will bring more of it for now: it takes memory for what is ready
 * alone, none for what the engine has, and counts as so much for its domain. */
void store_put_park(struct store_put *put);
/* It goes on. 0, or what store_put_begin() says of its limits; then it stays parked. */
int store_put_unpark(struct store_put *put);
/* An upload of an earlier process goes on, parked, as store_uploads() has it. What it has
 * written counts as ready; before it is unparked it must be recalled. 0; -EINVAL: there is nothing
 * of use; -ENOMEM; or what store_put_begin() says of its limits. */
int store_put_adopt(struct store *s, const struct engine_upload *u, struct store_put *put);
/* It does not. */
void store_put_refuse(struct store *s, const struct engine_upload *u);
/* Calls read() with its bytes, from the first on, in a thread of the store's, and at the end
 * done(): `ready` is how many chunks there are, without a gap. */
void store_put_recall(struct store_put *put,
		      void (*read)(struct store_put *put, const void *bytes, uint32_t len),
		      void (*done)(struct store_put *put));
/* A piece below `ready` that left RAM is wanted there again, and those that follow: they come,
 * one after the other, and the oldest that came so go for them. 0: it is there; -EAGAIN: soon. */
int store_put_back(struct store_put *put, uint32_t number);
/* All chunks are ready, and were verified. Calls stored(): 0: the blob is there; -EEXIST:
 * one of its name is, and stays; -ENOSPC: no room in the index, or on disk; -EIO. */
void store_put_commit(struct store_put *put, void (*stored)(struct store_put *put, int result));
/* No worker uses it any more. Gives back what was not committed. Calls ended(), here and now
 * or when the engine is done with it; until then the put must stay. */
void store_put_end(struct store_put *put, void (*ended)(struct store_put *put));

#endif
