/* SPDX-License-Identifier: BSD-3-Clause
 * A store of 8 MiB for the tests of one thread, with RocksDB behind it that does wrong what
 * the test wants.
 */
#ifndef TESTS_UNIT_STORE_BOX_H
#define TESTS_UNIT_STORE_BOX_H

#include "store/store_part.h"

#define SHORT 50000 /* bytes */
#define LONG (3 * (uint64_t)PIECE_SIZE + 5)

extern struct slab slab;
extern struct store store;
extern char folder[64];
extern uint64_t seconds;  /* the time */
extern bool memory_alone; /* for start(): there is no engine */

/* What the engine says instead of doing it; 0: it does. */
extern int fail_open, fail_find, fail_read, fail_write, fail_commit;
/* It has no notes: nothing is read back into RAM after a start. At first that is so. */
extern bool forgets;
/* How often it was asked. */
extern unsigned int opens, finds, reads, commits;

/* Of a test. */
int set_up(void **state);
int tear_down(void **state);
int group_set_up(void **state);
int group_tear_down(void **state);

void start(void);
/* Until nothing is under way. */
void settle(void);
void stop(void);
void restart(void);
/* So many seconds on, with whatever was to be done then. */
void later(uint64_t by);

/* In domain 0 or 1. */
struct blob_name name_of(uint64_t seed, uint64_t length);

extern int result; /* of put_stored() */
void put_stored(struct store_put *put, int ret);
/* As an upload does it: memory, bytes, and ready, piece by piece. */
int put_fill(struct store_put *put, uint64_t seed);
void put_end(struct store_put *put);
/* From the beginning to the end. */
int put(uint64_t seed, uint64_t length);

extern unsigned int answers[3]; /* of got() */
void got(struct store_get *g, enum store_answer answer);
enum store_answer ask(uint64_t seed, uint64_t length, uint32_t number, enum store_want want);
/* All of it is there, and right. */
void check(uint64_t seed, uint64_t length);

#endif
