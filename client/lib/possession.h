/* SPDX-License-Identifier: BSD-3-Clause
 * The source's answer to a relay that wants to see that it holds the blob.
 */
#ifndef CLIENT_LIB_POSSESSION_H
#define CLIENT_LIB_POSSESSION_H

#include "client/lib/input.h"
#include "wire/proof.h"

/* Reads what the challenge picks, PROOF_CHUNKS chunks at most. Returns 0, or
 * -errno if the blob cannot be read. */
int possession_prove(struct input *b, const struct ident *id, const struct challenge *c,
		     struct proof *out);

#endif
