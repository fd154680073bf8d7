/* SPDX-License-Identifier: BSD-3-Clause
 * Proof of possession: whoever holds a blob can hash the chunks that a
 * challenge picks; who only knows its identifier cannot. (Halevi, Harnik,
 * Pinkas, Shulman-Peleg: Proofs of Ownership in Remote Storage Systems, 2011.)
 *
 * The mac is BLAKE2b-128, keyed with the challenge, over the identifier and the
 * picked chunks in ascending order. Somebody who has half of a blob passes with
 * a chance of 2^-20.
 */
#ifndef WIRE_PROOF_H
#define WIRE_PROOF_H

#include "wire/ident.h"
#include "wire/token.h"

#define PROOF_CHUNKS 20

struct proof {
	struct challenge challenge; /* the one that it answers */
	struct mac mac;
};
_Static_assert(sizeof(struct proof) == 32, "wire layout");

/* The chunks that the challenge picks of a blob of `length` bytes: distinct,
 * ascending; all of them if there are no more than PROOF_CHUNKS. Returns how many. */
uint32_t proof_pick(const struct challenge *c, uint64_t length, uint32_t chunk[PROOF_CHUNKS]);

/* `bytes`: the picked chunks, one after the other, `size` bytes in all. */
void proof_make(const struct challenge *c, const struct ident *id, const uint8_t *bytes,
		size_t size, struct proof *out);
/* Constant-time. Whether the challenge is one of ours is challenge_check()'s. */
bool proof_check(const struct proof *p, const struct ident *id, const uint8_t *bytes, size_t size);

/* A source vouches for the first `chunks` chunks of its blob, of which `prefix` is the identifier:
 * the mac, likewise keyed, is over that and their number. Constant-time, as proof_check(). */
void vouch_make(const struct challenge *c, const struct ident *prefix, uint32_t chunks,
		struct proof *out);
bool vouch_check(const struct proof *p, const struct ident *prefix, uint32_t chunks);

#endif
