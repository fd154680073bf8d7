/* SPDX-License-Identifier: BSD-3-Clause
 * What the engine alone takes, for bench/store: with nobody who sends, hashes or asks.
 *
 *     store_raw write FOLDER BYTES   a blob is written by the piece and committed, durably;
 *                                    prints seconds
 *     store_raw open FOLDER          prints seconds
 *     store_raw read FOLDER COUNT    the first COUNT blobs, of one block each, are found and
 *                                    read; prints milliseconds, of each a line
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

static struct engine *open_engine(const char *path, bool create)
{
	struct engine_config config = {.path = path, .create = create};
	char why[ENGINE_WHY];
	struct engine *e;

	if (engine_rocksdb_open(&e, &config, why, sizeof(why)) < 0)
		fail(why);
	return e;
}

static void time_open(const char *path)
{
	const double begun = now();
	struct engine *e = open_engine(path, false);

	printf("%.6f\n", now() - begun);
	e->ops->close(e);
}

static void time_write(const char *path, uint64_t length)
{
	struct engine_change change = {.name = {.length = length, .rule = 1}, .stored = 1};
	struct engine_upload upload = {.name = change.name, .kept = true};
	struct iovec block[PIECE_EXTENTS];
	uint8_t *bytes = malloc(PIECE_SIZE);
	struct engine *e;
	double begun;

	if (length <= PIECE_SIZE || bytes == NULL)
		fail("it must be more than one piece");
	for (uint32_t i = 0; i < PIECE_SIZE; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 24);
	e = open_engine(path, true);
	begun = now();
	for (uint32_t i = 0; i < piece_count(length); i++) {
		const uint32_t n = blocks_of(bytes, piece_length(length, i), block);

		if (e->ops->write(e, &upload, block, n) < 0)
			fail(e->why);
	}
	change.body = upload.body;
	change.written = upload.blocks;
	if (e->ops->commit(e, &change, 1, true) < 0)
		fail(e->why);
	printf("%.6f\n", now() - begun);
	e->ops->close(e);
	free(bytes);
}

static void time_one(struct engine *e, const struct blob_name *name)
{
	static uint8_t to[ENGINE_BLOCK];
	struct engine_record record;
	const double begun = now();

	if (name->length > ENGINE_BLOCK || e->ops->find(e, name, &record) < 0 ||
	    e->ops->read(e, name, &record, 0, to, (uint32_t)name->length) < 0)
		fail("a blob cannot be read");
	printf("%.4f\n", (now() - begun) * 1e3);
}

static void time_read(const char *path, uint32_t count)
{
	struct engine_entry *entry = calloc(count, sizeof(*entry));
	struct engine *list = open_engine(path, false), *e;

	if (entry == NULL || list->ops->list(list, NULL, NULL, entry, count) != (int)count)
		fail("there are fewer");
	list->ops->close(list);
	e = open_engine(path, false); /* which knows nothing of them */
	for (uint32_t i = 0; i < count; i++)
		time_one(e, &entry[i].name);
	e->ops->close(e);
	free(entry);
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";

	if (strcmp(what, "open") == 0 && argc == 3)
		time_open(argv[2]);
	else if (strcmp(what, "write") == 0 && argc == 4)
		time_write(argv[2], strtoull(argv[3], NULL, 10));
	else if (strcmp(what, "read") == 0 && argc == 4)
		time_read(argv[2], (uint32_t)strtoul(argv[3], NULL, 10));
	else
		fail("write FOLDER BYTES | open FOLDER | read FOLDER COUNT");
	return 0;
}
