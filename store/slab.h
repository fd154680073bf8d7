/* SPDX-License-Identifier: BSD-3-Clause
 * Slabs: where blobs lie in RAM. One mapping (a memfd, of hugepages when there
 * are some) holds a header, an array of descriptors and the data area. Nothing
 * in it is a pointer, so that a restarted process can adopt it.
 *
 * The data area is a row of 64 KiB extents. A blob of more than 28 chunks takes
 * whole extents: 56 chunks in front, their sums in the KiB behind. A smaller one
 * takes one slot of a size class; an extent given to a class is cut into slots:
 * the chunks in front, their sums at the slot's end.
 *
 * Threads: control alone reserves, grows, commits and frees. A worker reads
 * blobs it found in the index, and writes only the chunks of an upload that
 * control made it the owner of. Who reads must be inside an RCU section that
 * started after the lookup; control frees after a grace period.
 */
#ifndef STORE_SLAB_H
#define STORE_SLAB_H

#include <stdatomic.h>

#include "wire/frame.h"

#define EXTENT_SIZE 65536u
#define EXTENT_CHUNKS 56u
#define EXTENT_SUMS (EXTENT_CHUNKS * CHUNK_SIZE) /* offset of the sums */
#define BLOB_DIRECT 12u				 /* extent numbers in the descriptor itself */
#define LIST_ENTRIES (EXTENT_SIZE / 4)		 /* extent numbers in a list extent */
#define BLOB_NONE UINT32_MAX
#define SLAB_MAX_BLOB ((uint64_t)BLOB_DIRECT * LIST_ENTRIES * EXTENT_SUMS) /* ~11.8 GiB */

enum blob_state {
	BLOB_FREE = 0,
	BLOB_FILLING, /* an upload writes it; not in the index */
	BLOB_READY,   /* verified; immutable until freed */
	BLOB_LEAVING, /* removed: read by who found it before, until it is freed */
};

/* Two cache lines; the worker's half first. */
struct blob {
	struct ident id;
	uint64_t length;
	_Atomic uint32_t state; /* enum blob_state; control: wo, workers: ro */
	uint32_t generation;	/* rises each time the descriptor is reused */
	uint8_t rule;
	uint8_t size_class; /* CLASS_EXTENTS, or index into the class table */
	uint16_t slot;	    /* within the extent, for size classes */
	uint32_t extents;   /* how many data extents are allocated so far */
	uint32_t domain;    /* 0 = open */
	/* size class: extent[0] holds the slot. Up to BLOB_DIRECT extents:
	 * their numbers. More: numbers of list extents. */
	uint32_t extent[BLOB_DIRECT];
	uint8_t pad[20];
};
_Static_assert(sizeof(struct blob) == 128, "two cache lines, and part of the file's layout");

#define CLASS_EXTENTS 255

struct slab_class {
	uint32_t slot;	   /* bytes, a multiple of 64 */
	uint32_t capacity; /* bytes of payload */
	uint32_t per_extent;
};
extern const struct slab_class slab_classes[];
extern const unsigned slab_class_count;

struct slab_config {
	uint64_t bytes;	   /* of the data area; rounded down to whole extents; >= 1 MiB */
	uint32_t blobs;	   /* descriptors */
	uint64_t max_blob; /* bytes, <= SLAB_MAX_BLOB */
	bool hugepages;	   /* fall back to ordinary pages when there are not enough */
};

struct slab {
	uint8_t *base; /* of the mapping */
	struct blob *blobs;
	uint8_t *data; /* extent 0 */
	size_t mapped; /* bytes */
	uint32_t blob_count;
	uint32_t extent_count;
	uint64_t max_blob;
	bool huge; /* what the mapping got */
	int fd;
	/* control's bookkeeping; not in the file, rebuilt from the descriptors */
	struct slab_alloc *alloc;
};

struct slab_usage {
	uint32_t blobs;		/* descriptors in use */
	uint32_t extents_total; /* 64 KiB each */
	uint32_t extents_free;
	uint64_t bytes; /* sum of the lengths of READY blobs */
};

/* Bytes that such a slab maps, before they are rounded up to pages. */
uint64_t slab_bytes(const struct slab_config *c);
/* Returns 0, or -errno: -EINVAL for a size out of range, -ENOMEM. */
int slab_open(struct slab *s, const struct slab_config *c);
void slab_close(struct slab *s);
void slab_usage(const struct slab *s, struct slab_usage *u);

/* A descriptor for a blob about to be filled. No data memory is taken yet
 * unless the blob fits a size class. Returns its number through `no`, or
 * -EFBIG: longer than max_blob or than the whole slab; -ENOSPC: no descriptor,
 * or no room now. */
int blob_reserve(struct slab *s, uint32_t domain, const struct ident *id, uint8_t rule,
		 uint64_t length, uint32_t *no);
/* Takes memory so that chunks 0..chunks-1 have a place. 0 or -ENOSPC (what was
 * taken before stays). */
int blob_grow(struct slab *s, uint32_t no, uint32_t chunks);
/* FILLING -> READY: every chunk is written and the identifier was verified. */
void blob_commit(struct slab *s, uint32_t no);
/* READY -> LEAVING: it counts no more. */
void blob_leave(struct slab *s, uint32_t no);
/* Gives everything back. No reader or writer may be left (RCU grace period). */
void blob_free(struct slab *s, uint32_t no);

static inline struct blob *slab_blob(const struct slab *s, uint32_t no)
{
	return &s->blobs[no];
}

/* Where chunk i of a blob lies. i is below what blob_grow() was asked for. */
static inline uint8_t *blob_chunk(const struct slab *s, const struct blob *b, uint32_t i)
{
	uint32_t e, n;

	if (b->size_class != CLASS_EXTENTS)
		return s->data + (uint64_t)b->extent[0] * EXTENT_SIZE +
		       (uint64_t)b->slot * slab_classes[b->size_class].slot +
		       (uint64_t)i * CHUNK_SIZE;
	e = i / EXTENT_CHUNKS;
	if (chunk_count(b->length) <= BLOB_DIRECT * EXTENT_CHUNKS)
		n = b->extent[e];
	else
		n = ((const uint32_t *)(s->data + (uint64_t)b->extent[e / LIST_ENTRIES] *
							  EXTENT_SIZE))[e % LIST_ENTRIES];
	return s->data + (uint64_t)n * EXTENT_SIZE + (uint64_t)(i % EXTENT_CHUNKS) * CHUNK_SIZE;
}

/* The one's-complement sum (RFC 1071, host order, folded, not inverted) of a
 * chunk's bytes, as chunk_store() left it. `chunk` is blob_chunk(s, b, i). */
static inline uint16_t *blob_sum(const struct slab *s, const struct blob *b, uint32_t i,
				 const uint8_t *chunk)
{
	const uint8_t *start;

	(void)s;
	if (b->size_class != CLASS_EXTENTS) {
		const struct slab_class *c = &slab_classes[b->size_class];

		start = chunk - (uint64_t)i * CHUNK_SIZE;
		return (uint16_t *)(start + c->slot) - 1 - i;
	}
	start = chunk - (uint64_t)(i % EXTENT_CHUNKS) * CHUNK_SIZE;
	return (uint16_t *)(start + EXTENT_SUMS) + i % EXTENT_CHUNKS;
}

/* Copies chunk i in and stores its sum. len is chunk_length(b->length, i). */
void chunk_store(const struct slab *s, struct blob *b, uint32_t i, const uint8_t *bytes,
		 uint32_t len);

/* RFC 1071 sum of len bytes, host order, folded to 16 bits, not inverted. An
 * odd last byte counts as if a zero followed it. */
uint16_t bytes_sum(const uint8_t *bytes, size_t len);

#endif
