/* SPDX-License-Identifier: BSD-3-Clause
 * Fills a store's folder, for bench/store: BLOBS blobs of BYTES each of the open domain,
 * whose identifiers are right. Prints how long that took.
 *
 *     store_fill FOLDER BLOBS BYTES [SEED]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/engine.h"
#include "wire/ident.h"

#define GROUP_BYTES (4u << 20) /* in one commit */
#define GROUP_MOST 512u

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(const char *what)
{
	fprintf(stderr, "store_fill: %s\n", what);
	exit(1);
}

/* A blob of the seed and its number: enough that no two are alike. */
static void blob_make(uint64_t seed, uint64_t number, uint8_t *bytes, uint64_t len,
		      struct ident *id)
{
	struct ident_state *hash = ident_begin(RULE_SHA256);

	if (hash == NULL)
		fail("no memory");
	for (uint64_t i = 0; i + 8 <= len; i += 8) {
		const uint64_t v = (seed + i + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ number;

		memcpy(bytes + i, &v, 8);
	}
	ident_update(hash, bytes, len);
	ident_final(hash, id);
	ident_free(hash);
}

static void commit(struct engine *e, struct engine_change *c, uint32_t count)
{
	if (count > 0 && e->ops->commit(e, c, count, false) < 0)
		fail(e->why);
}

int main(int argc, char **argv)
{
	struct engine_config config = {.create = true};
	const uint64_t blobs = argc > 3 ? strtoull(argv[2], NULL, 10) : 0;
	const uint64_t len = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
	const uint64_t seed = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
	struct engine_change change[GROUP_MOST] = {0};
	struct iovec block[GROUP_MOST];
	char why[ENGINE_WHY];
	struct engine *e;
	uint32_t group = 0, most;
	uint8_t *bytes;
	double begun;

	if (blobs == 0 || len < 16 || len > ENGINE_BLOCK)
		fail("FOLDER BLOBS BYTES [SEED]; BYTES: 16 to 64512");
	config.path = argv[1];
	if (engine_rocksdb_open(&e, &config, why, sizeof(why)) < 0)
		fail(why);
	most = (uint32_t)(GROUP_BYTES / len < GROUP_MOST ? GROUP_BYTES / len : GROUP_MOST);
	bytes = calloc(most, len);
	if (bytes == NULL)
		fail("no memory");
	begun = now();
	for (uint64_t i = 0; i < blobs; i++) {
		uint8_t *to = bytes + group * len;

		block[group] = (struct iovec){.iov_base = to, .iov_len = len};
		change[group] = (struct engine_change){
			.name = {.length = len, .rule = RULE_SHA256},
			.stored = 1000000 * UINT64_C(1700000000) + i,
			.blocks = &block[group],
			.count = 1,
		};
		blob_make(seed, i, to, len, &change[group].name.id);
		if (++group == most) {
			commit(e, change, group);
			group = 0;
		}
	}
	commit(e, change, group);
	e->ops->close(e);
	printf("%llu blobs of %llu bytes in %.1f s\n", (unsigned long long)blobs,
	       (unsigned long long)len, now() - begun);
	free(bytes);
	return 0;
}
