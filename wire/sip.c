/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/sip.h"

#include <stdbool.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* Of plain words as of vectors of them. */
#define ROTATE(x, by) ((x) << (by) | (x) >> (64 - (by)))
#define SIP_ROUND(v0, v1, v2, v3)    \
	do {                         \
		v0 += v1;            \
		v2 += v3;            \
		v1 = ROTATE(v1, 13); \
		v3 = ROTATE(v3, 16); \
		v1 ^= v0;            \
		v3 ^= v2;            \
		v0 = ROTATE(v0, 32); \
		v2 += v1;            \
		v0 += v3;            \
		v1 = ROTATE(v1, 17); \
		v3 = ROTATE(v3, 21); \
		v1 ^= v2;            \
		v3 ^= v0;            \
		v2 = ROTATE(v2, 32); \
	} while (0)
#define SIP_COMPRESS(v0, v1, v2, v3, word) \
	do {                               \
		v3 ^= (word);              \
		SIP_ROUND(v0, v1, v2, v3); \
		SIP_ROUND(v0, v1, v2, v3); \
		v0 ^= (word);              \
	} while (0)
#define SIP_FINISH(v0, v1, v2, v3, out)    \
	do {                               \
		SIP_ROUND(v0, v1, v2, v3); \
		SIP_ROUND(v0, v1, v2, v3); \
		SIP_ROUND(v0, v1, v2, v3); \
		SIP_ROUND(v0, v1, v2, v3); \
		out = v0 ^ v1 ^ v2 ^ v3;   \
	} while (0)

/* From the keys to the first word, and from the last one to both halves of n results. */
#define SIP_BEGIN(v0, v1, v2, v3, k0, k1)   \
	do {                                \
		v0 = (k0) ^ INIT0;          \
		v1 = (k1) ^ (INIT1 ^ WIDE); \
		v2 = (k0) ^ INIT2;          \
		v3 = (k1) ^ INIT3;          \
	} while (0)
#define SIP_END(v0, v1, v2, v3, out, m, n)                \
	do {                                              \
		v2 ^= WIDE;                               \
		SIP_FINISH(v0, v1, v2, v3, out);          \
		for (unsigned int i_ = 0; i_ < (n); i_++) \
			store((m)[i_]->out, out[i_]);     \
		v1 ^= SECOND;                             \
		SIP_FINISH(v0, v1, v2, v3, out);          \
		for (unsigned int i_ = 0; i_ < (n); i_++) \
			store((m)[i_]->out + 8, out[i_]); \
	} while (0)

/* "somepseudorandomlygeneratedbytes" */
#define INIT0 UINT64_C(0x736f6d6570736575)
#define INIT1 UINT64_C(0x646f72616e646f6d)
#define INIT2 UINT64_C(0x6c7967656e657261)
#define INIT3 UINT64_C(0x7465646279746573)
/* what tells 128 bits of output from 64, and their second half from the first */
#define WIDE 0xee
#define SECOND 0xdd

#define BLOCK_WORDS (SIP_BLOCK / 8)

/* Words as they lie in memory, little-endian. */
static inline uint64_t load(const uint8_t *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? w : __builtin_bswap64(w);
}

static inline void store(uint8_t *p, uint64_t w)
{
	w = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? w : __builtin_bswap64(w);
	memcpy(p, &w, sizeof(w));
}

static void hash_one(struct sip *s)
{
	const uint64_t k0 = load(s->key), k1 = load(s->key + 8);
	uint64_t v0 = k0 ^ INIT0, v1 = k1 ^ INIT1 ^ WIDE, v2 = k0 ^ INIT2, v3 = k1 ^ INIT3, out;

	for (size_t i = 0; i < s->blocks * (size_t)SIP_BLOCK; i += 8)
		SIP_COMPRESS(v0, v1, v2, v3, load(s->message + i));
	for (size_t i = 0; i < s->words * (size_t)8; i += 8)
		SIP_COMPRESS(v0, v1, v2, v3, load(s->tail + i));
	v2 ^= WIDE;
	SIP_FINISH(v0, v1, v2, v3, out);
	store(s->out, out);
	v1 ^= SECOND;
	SIP_FINISH(v0, v1, v2, v3, out);
	store(s->out + 8, out);
}

static inline struct sip *sip_at(struct sip *first, size_t stride, unsigned int i)
{
	return (struct sip *)(void *)((uint8_t *)first + i * stride);
}

static void hash_scalar(struct sip *first, size_t stride, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		hash_one(sip_at(first, stride, i));
}

#if defined(__x86_64__)

/* Block i of a message; any memory behind its end. */
static inline const uint8_t *block(const struct sip *s, uint32_t i)
{
	return i < s->blocks ? s->message + i * (size_t)SIP_BLOCK : s->tail;
}

static inline uint32_t words_of(const struct sip *s)
{
	return s->blocks * BLOCK_WORDS + s->words;
}

static bool all_alike(struct sip *first, size_t stride, unsigned int n)
{
	const uint32_t words = words_of(first);

	for (unsigned int i = 1; i < n; i++)
		if (words_of(sip_at(first, stride, i)) != words)
			return false;
	return true;
}

/* ---- four lanes ---- */

typedef uint64_t lanes4 __attribute__((vector_size(32)));
#define AVX2 __attribute__((target("avx2")))
#define FEWEST4 2u /* that are worth it */

/* Row i of the result is word i of each of the four. */
AVX2 static inline void load4(const uint8_t *const p[4], size_t at, lanes4 row[4])
{
	const __m256i a = _mm256_loadu_si256((const __m256i *)(p[0] + at)),
		      b = _mm256_loadu_si256((const __m256i *)(p[1] + at)),
		      c = _mm256_loadu_si256((const __m256i *)(p[2] + at)),
		      d = _mm256_loadu_si256((const __m256i *)(p[3] + at));
	const __m256i ab0 = _mm256_unpacklo_epi64(a, b), ab1 = _mm256_unpackhi_epi64(a, b),
		      cd0 = _mm256_unpacklo_epi64(c, d), cd1 = _mm256_unpackhi_epi64(c, d);

	row[0] = (lanes4)_mm256_permute2x128_si256(ab0, cd0, 0x20);
	row[1] = (lanes4)_mm256_permute2x128_si256(ab1, cd1, 0x20);
	row[2] = (lanes4)_mm256_permute2x128_si256(ab0, cd0, 0x31);
	row[3] = (lanes4)_mm256_permute2x128_si256(ab1, cd1, 0x31);
}

/* Messages of one length; lanes without one repeat the first's. */
AVX2 static void hash_four(struct sip *s, size_t stride, unsigned int n)
{
	struct sip *m[4];
	const uint32_t words = words_of(s);
	lanes4 k0, k1, v0, v1, v2, v3, row[4], out;

	for (unsigned int i = 0; i < 4; i++) {
		m[i] = sip_at(s, stride, i < n ? i : 0);
		k0[i] = load(m[i]->key);
		k1[i] = load(m[i]->key + 8);
	}
	SIP_BEGIN(v0, v1, v2, v3, k0, k1);
	for (uint32_t i = 0; i < words; i += 4) {
		const uint32_t b = i / BLOCK_WORDS, left = words - i;
		const uint8_t *const p[4] = {block(m[0], b), block(m[1], b), block(m[2], b),
					     block(m[3], b)};

		load4(p, i % BLOCK_WORDS * 8, row);
		for (uint32_t w = 0; w < 4 && w < left; w++)
			SIP_COMPRESS(v0, v1, v2, v3, row[w]);
	}
	SIP_END(v0, v1, v2, v3, out, m, n);
}

static void hash_avx2(struct sip *first, size_t stride, unsigned int n)
{
	for (unsigned int i = 0; i < n; i += 4) {
		struct sip *s = sip_at(first, stride, i);
		const unsigned int count = n - i < 4 ? n - i : 4;

		if (count >= FEWEST4 && all_alike(s, stride, count))
			hash_four(s, stride, count);
		else
			hash_scalar(s, stride, count);
	}
}

/* ---- eight lanes ---- */

typedef uint64_t lanes8 __attribute__((vector_size(64)));
#define AVX512 __attribute__((target("avx512f")))
#define FEWEST8 3u

/* As load4(), with eight words. */
AVX512 static inline void load8(const uint8_t *const p[8], lanes8 row[8])
{
	__m512i a[8], b[8];

	for (unsigned int i = 0; i < 8; i++)
		a[i] = _mm512_loadu_si512(p[i]);
	/* pairs of words, of messages 2i and 2i + 1 */
	for (unsigned int i = 0; i < 8; i += 2) {
		b[i] = _mm512_unpacklo_epi64(a[i], a[i + 1]);	  /* words 0, 2, 4, 6 */
		b[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 1]); /* words 1, 3, 5, 7 */
	}
	/* a quarter each of four messages, then of eight */
	for (unsigned int odd = 0; odd < 2; odd++) {
		const __m512i low0 = _mm512_shuffle_i64x2(b[odd], b[2 + odd], 0x88),
			      low1 = _mm512_shuffle_i64x2(b[4 + odd], b[6 + odd], 0x88),
			      high0 = _mm512_shuffle_i64x2(b[odd], b[2 + odd], 0xdd),
			      high1 = _mm512_shuffle_i64x2(b[4 + odd], b[6 + odd], 0xdd);

		row[0 + odd] = (lanes8)_mm512_shuffle_i64x2(low0, low1, 0x88);
		row[4 + odd] = (lanes8)_mm512_shuffle_i64x2(low0, low1, 0xdd);
		row[2 + odd] = (lanes8)_mm512_shuffle_i64x2(high0, high1, 0x88);
		row[6 + odd] = (lanes8)_mm512_shuffle_i64x2(high0, high1, 0xdd);
	}
}

AVX512 static void hash_eight(struct sip *s, size_t stride, unsigned int n)
{
	const uint32_t words = words_of(s);
	const uint64_t key0 = load(s->key), key1 = load(s->key + 8);
	lanes8 k0 = (lanes8)_mm512_set1_epi64((long long)key0),
	       k1 = (lanes8)_mm512_set1_epi64((long long)key1);
	lanes8 v0, v1, v2, v3, row[8], out;
	struct sip *m[8];

	for (unsigned int i = 0; i < 8; i++) {
		m[i] = sip_at(s, stride, i < n ? i : 0);
		if (m[i]->key == s->key) /* a token's, of one epoch */
			continue;
		k0[i] = load(m[i]->key);
		k1[i] = load(m[i]->key + 8);
	}
	SIP_BEGIN(v0, v1, v2, v3, k0, k1);
	for (uint32_t i = 0; i < words; i += 8) {
		const uint32_t left = words - i;
		const uint8_t *p[8];

		for (unsigned int j = 0; j < 8; j++)
			p[j] = block(m[j], i / BLOCK_WORDS);
		load8(p, row);
		for (uint32_t w = 0; w < 8 && w < left; w++)
			SIP_COMPRESS(v0, v1, v2, v3, row[w]);
	}
	SIP_END(v0, v1, v2, v3, out, m, n);
}

static void hash_avx512(struct sip *first, size_t stride, unsigned int n)
{
	for (unsigned int i = 0; i < n; i += 8) {
		struct sip *s = sip_at(first, stride, i);
		const unsigned int count = n - i < 8 ? n - i : 8;

		if (count >= FEWEST8 && all_alike(s, stride, count))
			hash_eight(s, stride, count);
		else
			hash_avx2(s, stride, count);
	}
}
#endif

/* ---- which of them ---- */

static struct sip_way ways[3];
static unsigned int way_count;

__attribute__((constructor)) static void ways_find(void)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx512f"))
		ways[way_count++] = (struct sip_way){"AVX-512", hash_avx512};
	if (__builtin_cpu_supports("avx2"))
		ways[way_count++] = (struct sip_way){"AVX2", hash_avx2};
#endif
	ways[way_count++] = (struct sip_way){"scalar", hash_scalar};
}

const struct sip_way *sip_ways(unsigned int *count)
{
	*count = way_count;
	return ways;
}

void sip_hash(struct sip *first, size_t stride, unsigned int n)
{
	ways[0].hash(first, stride, n);
}
