/* SPDX-License-Identifier: BSD-3-Clause
 * Which share of requests finds its blob in memory: store/cache.h beside LRU and FIFO, on
 * the same requests.
 *
 *   zipf     identifiers of skew 0.99 (YCSB's)
 *   scan     the same, while every tenth request is of a row that is read once through
 *   wonders  the same, while every other request is of an identifier that comes only once
 *
 *     evict [IDENTIFIERS [REQUESTS]]
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/cache.h"

#define SKEW 0.99
#define NONE UINT32_MAX

static uint32_t identifiers = 1000000, requests = 10000000;
static uint64_t seed;

/* splitmix64 */
static uint64_t random_next(void)
{
	uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static double *below; /* below[i]: the share of requests of the identifiers 0..i */

static void zipf_prepare(void)
{
	double sum = 0;

	below = malloc(identifiers * sizeof(*below));
	if (below == NULL)
		abort();
	for (uint32_t i = 0; i < identifiers; i++)
		below[i] = sum += pow(i + 1, -SKEW);
	for (uint32_t i = 0; i < identifiers; i++)
		below[i] /= sum;
}

static uint32_t zipf_next(void)
{
	const double at = (double)(random_next() >> 11) / (double)(UINT64_C(1) << 53);
	uint32_t low = 0, high = identifiers - 1;

	while (low < high) {
		const uint32_t mid = (low + high) / 2;

		if (below[mid] < at)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* ---- what is asked for: identifiers, and above them those of rows and wonders ---- */

enum mix { MIX_ZIPF, MIX_SCAN, MIX_WONDERS, MIXES };
static const char *const mix_name[MIXES] = {"zipf", "scan", "wonders"};

static uint32_t request_of(enum mix mix, uint32_t i)
{
	if (mix == MIX_SCAN && i % 10 == 0)
		return identifiers + i / 10 % identifiers;
	if (mix == MIX_WONDERS && i % 2 == 0)
		return identifiers + i / 2;
	return zipf_next();
}

static uint32_t request_range(enum mix mix)
{
	return mix == MIX_WONDERS ? identifiers + requests / 2 + 1 : 2 * identifiers;
}

/* ---- who stays: `size` places ---- */

struct places {
	uint32_t size, used;
	uint32_t *place; /* by identifier, or NONE */
	uint32_t *of;	 /* by place: the identifier */
};

static void places_open(struct places *p, uint32_t size, uint32_t range)
{
	p->size = size;
	p->used = 0;
	p->place = malloc(range * sizeof(*p->place));
	p->of = malloc(size * sizeof(*p->of));
	if (p->place == NULL || p->of == NULL)
		abort();
	memset(p->place, 0xff, range * sizeof(*p->place));
}

static void places_close(struct places *p)
{
	free(p->place);
	free(p->of);
}

static void place_take(struct places *p, uint32_t at, uint32_t id)
{
	p->of[at] = id;
	p->place[id] = at;
}

static uint32_t run_fifo(struct places *p, enum mix mix)
{
	uint32_t hits = 0, next = 0;

	for (uint32_t i = 0; i < requests; i++) {
		const uint32_t id = request_of(mix, i);

		if (p->place[id] != NONE) {
			hits++;
			continue;
		}
		if (p->used == p->size)
			p->place[p->of[next]] = NONE;
		else
			p->used++;
		place_take(p, next, id);
		next = (next + 1) % p->size;
	}
	return hits;
}

struct link {
	uint32_t newer, older;
};

static void lru_take(struct link *l, uint32_t at)
{
	l[l[at].newer].older = l[at].older;
	l[l[at].older].newer = l[at].newer;
}

static void lru_push(struct link *l, uint32_t at, uint32_t end)
{
	l[at].newer = end;
	l[at].older = l[end].older;
	l[l[end].older].newer = at;
	l[end].older = at;
}

/* A ring through `end`, which is nobody's place: behind it the newest, before it the oldest. */
static uint32_t run_lru(struct places *p, enum mix mix)
{
	const uint32_t end = p->size;
	struct link *l = calloc(p->size + 1, sizeof(*l));
	uint32_t hits = 0;

	if (l == NULL)
		abort();
	l[end].newer = l[end].older = end;
	for (uint32_t i = 0; i < requests; i++) {
		const uint32_t id = request_of(mix, i);
		uint32_t at = p->place[id];

		if (at != NONE) {
			hits++;
			lru_take(l, at);
		} else if (p->used < p->size) {
			at = p->used++;
		} else {
			at = l[end].newer;
			lru_take(l, at);
			p->place[p->of[at]] = NONE;
		}
		place_take(p, at, id);
		lru_push(l, at, end);
	}
	free(l);
	return hits;
}

static uint64_t hash_of(uint64_t id)
{
	id = (id ^ id >> 31) * UINT64_C(0x94d049bb133111eb);
	return (id ^ id >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
}

static uint32_t run_cache(struct places *p, enum mix mix)
{
	struct cache *c;
	uint32_t hits = 0;
	cache_map *map;

	if (cache_create(&c, p->size, 1) < 0)
		abort();
	map = cache_reader(c, 0);
	for (uint32_t i = 0; i < requests; i++) {
		const uint32_t id = request_of(mix, i);
		uint32_t at = p->place[id];

		if (at != NONE) {
			hits++;
			cache_touch(map, at);
			continue;
		}
		if (p->used < p->size) {
			at = p->used++;
		} else {
			at = cache_evict(c);
			p->place[p->of[at]] = NONE;
		}
		place_take(p, at, id);
		cache_add(c, at, hash_of(id), 1, false);
	}
	cache_destroy(c);
	return hits;
}

static double ratio(uint32_t (*run)(struct places *p, enum mix mix), enum mix mix, uint32_t size)
{
	struct places p;
	uint32_t hits;

	seed = 1; /* the same requests for all */
	places_open(&p, size, request_range(mix));
	hits = run(&p, mix);
	places_close(&p);
	return 100.0 * hits / requests;
}

int main(int argc, char **argv)
{
	static const double shares[] = {0.001, 0.01, 0.1};

	if (argc > 1)
		identifiers = (uint32_t)strtoul(argv[1], NULL, 10);
	if (argc > 2)
		requests = (uint32_t)strtoul(argv[2], NULL, 10);
	if (identifiers < 1000 || requests < 1000 || argc > 3) {
		fputs("usage: evict [IDENTIFIERS [REQUESTS]], both at least 1000\n", stderr);
		return 2;
	}
	zipf_prepare();
	printf("%u identifiers, %u requests; hits in percent\n", identifiers, requests);
	printf("%-8s %8s %8s %8s %8s\n", "requests", "memory", "oncewire", "LRU", "FIFO");
	for (unsigned int mix = 0; mix < MIXES; mix++)
		for (unsigned int i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
			const uint32_t size = (uint32_t)(identifiers * shares[i]);

			printf("%-8s %7.1f%% %8.2f %8.2f %8.2f\n", mix_name[mix], 100 * shares[i],
			       ratio(run_cache, mix, size), ratio(run_lru, mix, size),
			       ratio(run_fifo, mix, size));
		}
	free(below);
	return 0;
}
