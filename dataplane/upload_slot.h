/* SPDX-License-Identifier: BSD-3-Clause
 * Uploads as workers see them: where the DATA of a stream goes. Control opens
 * and closes slots; the one worker that owns a slot writes its chunks.
 */
#ifndef DATAPLANE_UPLOAD_SLOT_H
#define DATAPLANE_UPLOAD_SLOT_H

#include <stdatomic.h>

#include <rte_common.h>

#include "wire/token.h"

/* A stream number is random bits above the slot's number. */
#define UPLOAD_SLOT_BITS 12
#define UPLOAD_SLOTS (1u << UPLOAD_SLOT_BITS)

struct attempt;

struct upload_slot {
	/* 0: closed. Published last when a slot opens; cleared first when it
	 * closes, and the rest is not reused before a grace period has passed. */
	_Atomic uint64_t stream;
	struct addr source;
	uint64_t conn;
	bool member; /* its frames are signed: */
	struct session session;
	uint64_t length;
	uint64_t *filled;	/* owner worker: rw; a bit a chunk */
	_Atomic uint32_t limit; /* chunks below it have memory; control raises it */
	/* Their descriptors, of chunks below `limit`; PIECE_NONE: one that left RAM when it was
	 * written; it may come back. Read with upload_piece() by who does not own the slot. */
	const uint32_t *piece;
	uint16_t worker;	 /* the owner */
	struct attempt *attempt; /* control's alone */
	/* What targets name it by, while they may pull what it has brought so far; 0: they may not
	 * (any more). Its low bits are the slot's number, too, and it is not followed by another
	 * one before a grace period has passed. */
	_Atomic uint64_t number;
	_Atomic uint32_t available; /* so many chunks, the first ones; control raises it */
} __rte_cache_aligned;

static inline uint32_t upload_piece(const struct upload_slot *s, uint32_t number)
{
	return __atomic_load_n(&s->piece[number], __ATOMIC_ACQUIRE);
}

#endif
