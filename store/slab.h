/* SPDX-License-Identifier: BSD-3-Clause
 * Slabs: where pieces of blobs lie in RAM. One mapping (a memfd, of hugepages when there
 * are some) holds a header, an array of descriptors and the data area. Nothing in it is a
 * pointer, so that a restarted process can adopt it.
 *
 * A blob is a row of pieces of PIECE_CHUNKS chunks, the last one with what is left; each
 * has a descriptor of its own, comes and goes by itself, and knows which of them it is.
 * The first is the blob's head.
 *
 * The data area is a row of 64 KiB extents. A piece of more than 28 chunks takes whole
 * extents: 56 chunks in front, their sums in the KiB behind. A smaller one takes one slot
 * of a size class; an extent given to a class is cut into slots: the chunks in front,
 * their sums at the slot's end.
 *
 * Threads: control alone reserves, grows, commits and frees. A worker reads pieces it
 * found in the index, and writes only the chunks of an upload that control made it the
 * owner of. Who reads must be inside an RCU section that started before the lookup;
 * control frees after a grace period.
 */
#ifndef STORE_SLAB_H
#define STORE_SLAB_H

#include <stdatomic.h>

#include "wire/frame.h"

#define EXTENT_SIZE 65536u
#define EXTENT_CHUNKS 56u
#define EXTENT_SUMS (EXTENT_CHUNKS * CHUNK_SIZE) /* offset of the sums */
#define PIECE_EXTENTS 12u
#define PIECE_CHUNKS (PIECE_EXTENTS * EXTENT_CHUNKS)
#define PIECE_SIZE (PIECE_CHUNKS * CHUNK_SIZE) /* bytes of data: 756 KiB */
#define PIECE_NONE UINT32_MAX

/* What a blob is found by: one of these, one blob. */
struct blob_name {
	struct ident id;
	uint64_t length; /* bytes */
	uint32_t domain; /* whose members may ask for it; 0: the open one */
	uint8_t rule;	 /* enum rule: what the identifier is */
};

enum piece_state {
	PIECE_FREE = 0,
	PIECE_FILLING, /* an upload writes it; not in the index */
	PIECE_READY,   /* verified; immutable until freed */
	PIECE_LEAVING, /* removed: read by who found it before, until it is freed */
};

/* Two cache lines; the worker's half first. */
struct piece {
	struct ident id;
	uint64_t length;	/* of the whole blob */
	_Atomic uint32_t state; /* enum piece_state; control: wo, workers: ro */
	uint32_t generation;	/* rises each time the descriptor is reused */
	uint8_t rule;
	uint8_t size_class; /* CLASS_EXTENTS, or index into the class table */
	uint16_t slot;	    /* within the extent, for size classes */
	uint32_t domain;    /* 0 = open */
	uint32_t number;    /* which of its blob's pieces */
	/* size class: extent[0] holds the slot */
	uint32_t extent[PIECE_EXTENTS];
	uint32_t extents; /* how many are allocated so far */
	uint64_t attempt; /* the upload that brought it, as targets name it; 0: not known */
	uint8_t pad[8];
};
_Static_assert(sizeof(struct piece) == 128, "two cache lines, and part of the file's layout");

#define CLASS_EXTENTS 255

struct slab_class {
	uint32_t slot;	   /* bytes, a multiple of 64 */
	uint32_t capacity; /* bytes of payload */
	uint32_t per_extent;
};
extern const struct slab_class slab_classes[];
extern const unsigned slab_class_count;

struct slab_config {
	uint64_t bytes;	 /* of the data area; rounded down to whole extents; >= 1 MiB */
	uint32_t pieces; /* descriptors */
	bool hugepages;	 /* fall back to ordinary pages when there are not enough */
};

struct slab {
	uint8_t *base; /* of the mapping */
	struct piece *pieces;
	uint8_t *data; /* extent 0 */
	size_t mapped; /* bytes */
	uint32_t piece_count;
	uint32_t extent_count;
	bool huge; /* what the mapping got */
	int fd;
	/* control's bookkeeping; not in the file, rebuilt from the descriptors */
	struct slab_alloc *alloc;
};

struct slab_usage {
	uint32_t pieces;	/* descriptors in use */
	uint32_t extents_total; /* 64 KiB each */
	uint32_t extents_free;
	uint64_t bytes; /* in READY pieces */
};

/* Bytes that such a slab maps, before they are rounded up to pages. */
uint64_t slab_bytes(const struct slab_config *c);
/* Returns 0, or -errno: -EINVAL for a size out of range, -ENOMEM. */
int slab_open(struct slab *s, const struct slab_config *c);
void slab_close(struct slab *s);
void slab_usage(const struct slab *s, struct slab_usage *u);

/* How many pieces a blob has; an empty one has its head, too. */
static inline uint32_t piece_count(uint64_t length)
{
	return length == 0 ? 1 : (uint32_t)((length + PIECE_SIZE - 1) / PIECE_SIZE);
}

/* Bytes in a piece of a blob; number < piece_count(length). */
static inline uint32_t piece_length(uint64_t length, uint32_t number)
{
	const uint64_t rest = length - (uint64_t)number * PIECE_SIZE;

	return rest < PIECE_SIZE ? (uint32_t)rest : PIECE_SIZE;
}

/* The piece of a PULL's last chunk: that of its first, or the one behind. */
static inline uint32_t pull_last_piece(const struct pull *p)
{
	return (p->first + 31u - (uint32_t)__builtin_clz(p->mask)) / PIECE_CHUNKS;
}

/* A descriptor for a piece about to be filled. No data memory is taken yet unless it fits
 * a size class. Returns its number through `no`, or -ENOSPC: no descriptor, or no slot now. */
int piece_reserve(struct slab *s, const struct blob_name *name, uint32_t number, uint32_t *no);
/* Takes memory so that the piece's chunks 0..chunks-1 have a place. 0 or -ENOSPC (what was
 * taken before stays). */
int piece_grow(struct slab *s, uint32_t no, uint32_t chunks);
/* FILLING -> READY: every chunk is written and the identifier was verified. */
void piece_commit(struct slab *s, uint32_t no);
/* READY -> LEAVING: it counts no more. */
void piece_leave(struct slab *s, uint32_t no);
/* Gives everything back. No reader or writer may be left (RCU grace period). */
void piece_free(struct slab *s, uint32_t no);

/* The size class of a piece of so many bytes; CLASS_EXTENTS: longer ones, and 0. */
uint8_t piece_class(uint32_t length);
/* How many pieces of a size class, or (CLASS_EXTENTS) extents, could be had now. */
uint64_t slab_room(const struct slab *s, uint8_t size_class);
/* Descriptors that are free. */
uint32_t slab_descriptors(const struct slab *s);

static inline struct piece *slab_piece(const struct slab *s, uint32_t no)
{
	return &s->pieces[no];
}

/* The blob that it is a piece of. */
static inline struct blob_name piece_name(const struct piece *p)
{
	return (struct blob_name){
		.id = p->id, .length = p->length, .domain = p->domain, .rule = p->rule};
}

/* Where chunk i of a piece lies, counted from the piece's first. i is below what
 * piece_grow() was asked for. */
static inline uint8_t *piece_chunk(const struct slab *s, const struct piece *p, uint32_t i)
{
	if (p->size_class != CLASS_EXTENTS)
		return s->data + (uint64_t)p->extent[0] * EXTENT_SIZE +
		       (uint64_t)p->slot * slab_classes[p->size_class].slot +
		       (uint64_t)i * CHUNK_SIZE;
	return s->data + (uint64_t)p->extent[i / EXTENT_CHUNKS] * EXTENT_SIZE +
	       (uint64_t)(i % EXTENT_CHUNKS) * CHUNK_SIZE;
}

/* The one's-complement sum (RFC 1071, host order, folded, not inverted) of a
 * chunk's bytes, as chunk_store() left it. `chunk` is piece_chunk(s, p, i). */
static inline uint16_t *piece_sum(const struct piece *p, uint32_t i, const uint8_t *chunk)
{
	const uint8_t *start;

	if (p->size_class != CLASS_EXTENTS) {
		const struct slab_class *c = &slab_classes[p->size_class];

		start = chunk - (uint64_t)i * CHUNK_SIZE;
		return (uint16_t *)(start + c->slot) - 1 - i;
	}
	start = chunk - (uint64_t)(i % EXTENT_CHUNKS) * CHUNK_SIZE;
	return (uint16_t *)(start + EXTENT_SUMS) + i % EXTENT_CHUNKS;
}

/* Copies the piece's chunk i in and stores its sum. */
void chunk_store(const struct slab *s, struct piece *p, uint32_t i, const uint8_t *bytes,
		 uint32_t len);

/* Stores the sum of the piece's chunk i, which is there. */
void chunk_sum(const struct slab *s, const struct piece *p, uint32_t i);

/* RFC 1071 sum of len bytes, host order, folded to 16 bits, not inverted. An
 * odd last byte counts as if a zero followed it. */
uint16_t bytes_sum(const uint8_t *bytes, size_t len);

/* The same, not folded, of a fixed number of bytes, a multiple of 4 and at most 128. */
static inline uint32_t words_sum(const void *bytes, size_t len)
{
	uint64_t sum = 0;
	uint32_t word;

	for (size_t i = 0; i < len; i += sizeof(word)) {
		memcpy(&word, (const uint8_t *)bytes + i, sizeof(word));
		sum += word;
	}
	/* 32 words make no more than 37 bits */
	sum = (sum & UINT32_MAX) + (sum >> 32);
	return (uint32_t)((sum & UINT16_MAX) + (sum >> 16));
}

#endif
