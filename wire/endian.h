/* SPDX-License-Identifier: BSD-3-Clause
 * Big-endian integers as byte arrays: alignment 1, so a wire struct may lie
 * anywhere in a packet without undefined behaviour.
 */
#ifndef WIRE_ENDIAN_H
#define WIRE_ENDIAN_H

#include <stdint.h>
#include <string.h>

typedef struct {
	uint8_t b[2];
} be16;
typedef struct {
	uint8_t b[4];
} be32;
typedef struct {
	uint8_t b[8];
} be64;

static inline uint16_t get16(be16 v)
{
	uint16_t x;

	memcpy(&x, v.b, sizeof(x));
	return __builtin_bswap16(x);
}

static inline uint32_t get32(be32 v)
{
	uint32_t x;

	memcpy(&x, v.b, sizeof(x));
	return __builtin_bswap32(x);
}

static inline uint64_t get64(be64 v)
{
	uint64_t x;

	memcpy(&x, v.b, sizeof(x));
	return __builtin_bswap64(x);
}

static inline be16 put16(uint16_t x)
{
	be16 v;

	x = __builtin_bswap16(x);
	memcpy(v.b, &x, sizeof(x));
	return v;
}

static inline be32 put32(uint32_t x)
{
	be32 v;

	x = __builtin_bswap32(x);
	memcpy(v.b, &x, sizeof(x));
	return v;
}

static inline be64 put64(uint64_t x)
{
	be64 v;

	x = __builtin_bswap64(x);
	memcpy(v.b, &x, sizeof(x));
	return v;
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "byte swaps above assume a little-endian host");

#endif
