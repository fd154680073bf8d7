/* SPDX-License-Identifier: BSD-3-Clause
 * What somebody sends who wants a relay to work in vain.
 */
#ifndef PKTGEN_ATTACK_H
#define PKTGEN_ATTACK_H

#include "pktgen-scripts/packet.h"
#include "wire/token.h"

struct attack_context {
	struct token_ring keys; /* of now: for replays */
	struct packet_path path;
	uint64_t random; /* the state of mix_next() */
};

struct attack {
	const char *name, *help;
	/* Writes the next packet; its length, 0: impossible. */
	size_t (*make)(struct attack_context *c, uint8_t packet[PACKET_MAX]);
};
/* The last one's name is NULL. */
extern const struct attack attacks[];

#endif
