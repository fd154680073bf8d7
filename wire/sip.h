/* SPDX-License-Identifier: BSD-3-Clause
 * SipHash-2-4 with 128 bits of output (Aumasson and Bernstein, 2012), for many messages
 * at once: a worker checks the tokens of a whole burst in the lanes of its vector
 * registers. The results are those of libsodium's crypto_shorthash_siphashx24().
 */
#ifndef WIRE_SIP_H
#define WIRE_SIP_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SIP_BLOCK 64u /* bytes that are loaded at once */

struct sip {
	const uint8_t *key;	/* 16 bytes */
	const uint8_t *message; /* its whole blocks */
	uint32_t blocks;	/* how many */
	uint32_t words;		/* of 8 bytes, in `tail`: what is left, and the length */
	uint8_t tail[SIP_BLOCK] __attribute__((aligned(8)));
	uint8_t out[16];
};

/* key and message must stay until sip_hash(). */
static inline void sip_set(struct sip *s, const uint8_t key[16], const void *message, size_t len)
{
	const size_t left = len % SIP_BLOCK;

	s->key = key;
	s->message = message;
	s->blocks = (uint32_t)(len / SIP_BLOCK);
	s->words = (uint32_t)(left / 8) + 1;
	memset(s->tail, 0, sizeof(s->tail));
	memcpy(s->tail, s->message + len - left, left);
	s->tail[s->words * 8 - 1] = (uint8_t)len;
}

/* Of a short message, below SIP_BLOCK bytes, which is to be written where it says: there it
 * need not be copied, nor wait for the bytes to come back from memory. */
static inline void *sip_short(struct sip *s, const uint8_t key[16], size_t len)
{
	const size_t words = len / 8 + 1;

	s->key = key;
	s->message = s->tail;
	s->blocks = 0;
	s->words = (uint32_t)words;
	memset(s->tail + len, 0, words * 8 - len);
	s->tail[words * 8 - 1] = (uint8_t)len;
	return s->tail;
}

/* Fills `out` of each of n, the next one `stride` bytes behind the one before. It is fastest
 * where all are of one length. */
void sip_hash(struct sip *first, size_t stride, unsigned int n);

/* The ways in which that can be done. */
struct sip_way {
	const char *name;
	void (*hash)(struct sip *first, size_t stride, unsigned int n);
};
/* Those that this CPU can go, best first: that is sip_hash()'s. */
const struct sip_way *sip_ways(unsigned int *count);

#endif
