/* SPDX-License-Identifier: BSD-3-Clause
 * What the engine alone takes, for bench/store: a blob of BYTES is written by the piece and
 * committed, durably, with nobody who sends, hashes or reads it. Prints seconds.
 *
 *     store_raw FOLDER BYTES
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/engine.h"

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(const char *what)
{
	fprintf(stderr, "store_raw: %s\n", what);
	exit(1);
}

/* A piece's blocks, in `bytes`. */
static uint32_t blocks_of(uint8_t *bytes, uint32_t len, struct iovec block[PIECE_EXTENTS])
{
	uint32_t n = 0;

	for (uint32_t at = 0; at < len; at += ENGINE_BLOCK, n++) {
		block[n].iov_base = bytes + at;
		block[n].iov_len = len - at < ENGINE_BLOCK ? len - at : ENGINE_BLOCK;
	}
	return n;
}

int main(int argc, char **argv)
{
	const uint64_t length = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	struct engine_change change = {.name = {.length = length, .rule = 1}, .stored = 1};
	struct engine_config config = {.path = argv[1], .create = true};
	struct iovec block[PIECE_EXTENTS];
	uint8_t *bytes = malloc(PIECE_SIZE);
	char why[ENGINE_WHY];
	struct engine *e;
	double begun;

	if (length <= PIECE_SIZE || bytes == NULL)
		fail("FOLDER BYTES; more than one piece");
	for (uint32_t i = 0; i < PIECE_SIZE; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 24);
	if (engine_rocksdb_open(&e, &config, why, sizeof(why)) < 0)
		fail(why);
	begun = now();
	for (uint32_t i = 0; i < piece_count(length); i++) {
		const uint32_t n = blocks_of(bytes, piece_length(length, i), block);

		if (e->ops->write(e, length, &change.body, change.written, block, n) < 0)
			fail(e->why);
		change.written += n;
	}
	if (e->ops->commit(e, &change, 1, true) < 0)
		fail(e->why);
	printf("%.6f\n", now() - begun);
	e->ops->close(e);
	free(bytes);
	return 0;
}
