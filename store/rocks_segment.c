/* SPDX-License-Identifier: BSD-3-Clause
 * Segments: where blocks go, and which are there.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/rocks.h"

/* What is written makes so many, or few more: each takes a while to open. */
#define SEGMENT_PART 32u
#define BODIES_MOST (UINT32_MAX / 2) /* in one */
#define NAME_SIZE 24

static void name_make(char name[NAME_SIZE], uint32_t number)
{
	snprintf(name, NAME_SIZE, "blocks-%08" PRIx32, number);
}

bool segment_named(const char *name, uint32_t *number)
{
	char again[NAME_SIZE];

	if (sscanf(name, "blocks-%8" SCNx32, number) != 1)
		return false;
	name_make(again, *number);
	return strcmp(name, again) == 0;
}

/* ---- sums ---- */

static int sum_get(struct rocks *r, uint32_t number, char what, uint64_t *sum)
{
	struct sum_key key = {.of = 's', .what = what};
	rocksdb_pinnableslice_t *slice;
	const char *value;
	size_t size;
	int ret;

	*sum = 0;
	put_be(key.number, number, sizeof(key.number));
	ret = rocks_get(r, r->family[FAMILY_DEFAULT], &key, sizeof(key), &slice);
	if (ret < 0)
		return ret == -ENOENT ? 0 : ret;
	value = rocksdb_pinnableslice_value(slice, &size);
	if (size == sizeof(*sum))
		memcpy(sum, value, sizeof(*sum));
	rocksdb_pinnableslice_destroy(slice);
	*sum = le64toh(*sum);
	return 0;
}

int segment_sums(struct rocks *r, uint32_t number, uint64_t *written, uint64_t *live)
{
	int ret = sum_get(r, number, 'l', live); /* first: it is never more than the other */

	return ret == 0 ? sum_get(r, number, 'w', written) : ret;
}

static bool key_found(void *ctx, const char *key, size_t key_size, const char *value,
		      size_t value_size)
{
	bool *found = ctx;

	(void)key;
	(void)key_size;
	(void)value;
	(void)value_size;
	*found = true;
	return false;
}

int segment_busy(struct rocks *r, uint32_t number)
{
	const struct body_key from = body_key('o', (uint64_t)number << 32);
	bool found = false;
	int ret = each_key(r, r->family[FAMILY_DEFAULT], &from, sizeof(from), 1 + sizeof(uint32_t),
			   key_found, &found);

	return ret < 0 ? ret : found;
}

/* ---- the table ---- */

struct segment *segment_find(const struct rocks *r, uint64_t body)
{
	const uint32_t number = body_segment(body);

	for (uint32_t i = r->segments; i-- > 0;)
		if (r->segment[i]->number == number)
			return r->segment[i];
	return NULL;
}

int segment_add(struct rocks *r, uint32_t number, rocksdb_column_family_handle_t *family)
{
	struct segment *s = calloc(1, sizeof(*s)), **grown;

	if (s == NULL)
		return -ENOMEM;
	if (r->segments == r->segment_room) {
		grown = realloc(r->segment, (r->segment_room + 64) * sizeof(*grown));
		if (grown == NULL) {
			free(s);
			return -ENOMEM;
		}
		r->segment = grown;
		r->segment_room += 64;
	}
	s->number = number;
	s->family = family;
	s->next = 1;
	r->segment[r->segments++] = s;
	return 0;
}

static void segment_free(struct segment *s)
{
	rocksdb_column_family_handle_destroy(s->family);
	free(s);
}

void segments_close(struct rocks *r)
{
	for (uint32_t i = 0; i < r->segments; i++)
		segment_free(r->segment[i]);
	free(r->segment);
}

/* ---- the current one ---- */

uint64_t body_take(struct rocks *r)
{
	return (uint64_t)r->current->number << 32 | r->current->next++;
}

static bool segment_full(const struct rocks *r)
{
	return r->current->written >= r->segment_bytes || r->current->next > BODIES_MOST;
}

static void segment_size(struct rocks *r)
{
	uint64_t written = 0;

	for (uint32_t i = 0; i < r->segments; i++)
		written += r->segment[i]->written;
	r->segment_bytes = written / SEGMENT_PART;
	if (r->segment_bytes < r->segment_least)
		r->segment_bytes = r->segment_least;
}

/* With `opening` held, or nobody else there. */
static int segment_create(struct rocks *r, uint32_t number)
{
	rocksdb_column_family_handle_t *family;
	char name[NAME_SIZE], *text = NULL;
	int ret;

	name_make(name, number);
	family = rocksdb_create_column_family(r->db, r->segment_options, name, &text);
	if (text != NULL)
		return rocks_fail(r, text);
	pthread_rwlock_wrlock(&r->lock);
	ret = segment_add(r, number, family);
	if (ret == 0) {
		r->current = r->segment[r->segments - 1];
		segment_size(r);
	} else {
		rocksdb_column_family_handle_destroy(family);
	}
	pthread_rwlock_unlock(&r->lock);
	return ret;
}

static int family_flush(struct rocks *r, rocksdb_column_family_handle_t *family, bool wait)
{
	rocksdb_flushoptions_t *o = rocksdb_flushoptions_create();
	char *text = NULL;

	rocksdb_flushoptions_set_wait(o, wait);
	rocksdb_flush_cf(r->db, o, family, &text);
	rocksdb_flushoptions_destroy(o);
	return text != NULL ? rocks_fail(r, text) : 0;
}

int segment_flush(struct rocks *r, struct segment *s, bool wait)
{
	s->apart = 0;
	return family_flush(r, s->family, wait);
}

/* With `opening` held. Nobody drops the current one, and it stays so until here. */
static int segment_follow(struct rocks *r)
{
	struct segment *last = r->current;
	int ret = segment_create(r, last->number + 1);

	if (ret < 0)
		return ret;
	/* all that the log has for them: so it can go. An error comes with the next write too. */
	family_flush(r, last->family, false);
	family_flush(r, r->family[FAMILY_DEFAULT], false);
	family_flush(r, r->family[FAMILY_RECORDS], false);
	return 0;
}

int segment_ready(struct rocks *r)
{
	bool full;
	int ret = 0;

	pthread_rwlock_rdlock(&r->lock);
	full = segment_full(r);
	pthread_rwlock_unlock(&r->lock);
	/* while one makes the next, others go on with what there is */
	if (!full || pthread_mutex_trylock(&r->opening) != 0)
		return 0;
	if (segment_full(r))
		ret = segment_follow(r);
	pthread_mutex_unlock(&r->opening);
	return ret;
}

int segment_next(struct rocks *r)
{
	int ret;

	pthread_mutex_lock(&r->opening);
	ret = segment_follow(r);
	pthread_mutex_unlock(&r->opening);
	return ret;
}

/* Behind the last body, whose blocks may be anybody's. */
static int body_first(struct rocks *r, struct segment *s)
{
	rocksdb_iterator_t *it = rocksdb_create_iterator_cf(r->db, r->read, s->family);
	char *text = NULL;
	size_t size;

	rocksdb_iter_seek_to_last(it);
	if (rocksdb_iter_valid(it)) {
		const struct block_key *k = (const void *)rocksdb_iter_key(it, &size);

		if (size == sizeof(*k))
			s->next = (uint32_t)get_be(k->body, sizeof(k->body)) + 1;
	}
	rocksdb_iter_get_error(it, &text);
	rocksdb_iter_destroy(it);
	return text != NULL ? rocks_fail(r, text) : 0;
}

int segments_begin(struct rocks *r)
{
	uint64_t live, written;
	int first;

	if (r->segments == 0)
		return segment_create(r, 1);
	for (uint32_t i = 0; i < r->segments; i++) {
		int ret = segment_sums(r, r->segment[i]->number, &written, &live);

		if (ret < 0)
			return ret;
		r->segment[i]->written = written;
		if (r->current == NULL || r->segment[i]->number > r->current->number)
			r->current = r->segment[i];
	}
	segment_size(r);
	first = body_first(r, r->current);
	/* its last block is damaged, and that is no reason not to open the others */
	return first == -EBADMSG ? segment_create(r, r->current->number + 1) : first;
}

/* ---- dropping ---- */

/* Takes it from the table, if nobody has anything there. */
static int segment_take(struct rocks *r, const struct segment *s)
{
	uint64_t written, live;
	uint32_t i = 0;
	int ret;

	if (s == r->current)
		return 0;
	ret = segment_busy(r, s->number);
	if (ret != 0)
		return ret < 0 ? ret : 0;
	ret = segment_sums(r, s->number, &written, &live);
	if (ret < 0 || live > 0)
		return ret;
	while (r->segment[i] != s)
		i++;
	memmove(&r->segment[i], &r->segment[i + 1], (--r->segments - i) * sizeof(*r->segment));
	return 1;
}

static void sums_delete(struct rocks *r, uint32_t number, rocksdb_writebatch_t *b)
{
	struct sum_key key = {.of = 's'};

	put_be(key.number, number, sizeof(key.number));
	for (unsigned int i = 0; i < 2; i++) {
		key.what = "wl"[i];
		batch_delete(b, r->family[FAMILY_DEFAULT], &key, sizeof(key));
	}
}

int segment_drop(struct rocks *r, struct segment *s)
{
	const uint32_t number = s->number;
	rocksdb_writebatch_t *b;
	char *text = NULL;
	int ret;

	pthread_rwlock_wrlock(&r->lock);
	ret = segment_take(r, s);
	pthread_rwlock_unlock(&r->lock);
	if (ret != 1)
		return ret;
	/* that its blobs went elsewhere must be durable before their bytes go */
	rocksdb_flush_wal(r->db, 1, &text);
	if (text == NULL)
		rocksdb_drop_column_family(r->db, s->family, &text);
	segment_free(s);
	if (text != NULL)
		return rocks_fail(r, text);
	b = rocksdb_writebatch_create();
	sums_delete(r, number, b);
	ret = batch_write(r, b, false);
	return ret < 0 ? ret : 1;
}
