/* SPDX-License-Identifier: BSD-3-Clause
 * Blobs: found, read, written.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/rocks.h"

#define APART_MOST (16u << 20) /* bytes of a segment that went by no log, and are in no file */

void put_be(uint8_t *to, uint64_t value, unsigned int size)
{
	for (unsigned int i = 0; i < size; i++)
		to[i] = (uint8_t)(value >> 8 * (size - 1 - i));
}

uint64_t get_be(const uint8_t *from, unsigned int size)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < size; i++)
		value = value << 8 | from[i];
	return value;
}

/* ---- errors ---- */

static int error_code(const char *text)
{
	if (strncmp(text, "Corruption", 10) == 0)
		return -EBADMSG;
	if (strstr(text, "No space left") != NULL)
		return -ENOSPC;
	if (strstr(text, "Resource temporarily unavailable") != NULL ||
	    strstr(text, "lock hold by") != NULL)
		return -EBUSY;
	if (strstr(text, "Permission denied") != NULL)
		return -EACCES;
	if (strstr(text, "Read-only file system") != NULL)
		return -EROFS;
	return -EIO;
}

int rocks_fail(struct rocks *r, char *text)
{
	int err = error_code(text);

	snprintf(r->engine.why, sizeof(r->engine.why), "%s", text);
	rocksdb_free(text);
	return err;
}

/* ---- keys ---- */

struct record_key record_key(const struct blob_name *name)
{
	struct record_key k = {.rule = name->rule};

	put_be(k.domain, name->domain, sizeof(k.domain));
	memcpy(k.id, name->id.b, sizeof(k.id));
	return k;
}

static struct time_key time_key(const struct record_key *record, uint64_t stored)
{
	struct time_key k = {.t = 't', .record = *record};

	put_be(k.stored, stored, sizeof(k.stored));
	return k;
}

static struct domain_key domain_key(const struct record_key *record, uint64_t stored)
{
	struct domain_key k = {.d = 'd', .record = *record};

	memcpy(k.domain, record->domain, sizeof(k.domain));
	put_be(k.stored, stored, sizeof(k.stored));
	return k;
}

static struct block_key block_key(uint64_t body, uint32_t block)
{
	struct block_key k = {0};

	put_be(k.body, body, sizeof(k.body));
	put_be(k.block, block, sizeof(k.block));
	return k;
}

struct body_key body_key(char what, uint64_t body)
{
	struct body_key k = {.what = what};

	put_be(k.body, body, sizeof(k.body));
	return k;
}

/* ---- reading ---- */

int rocks_get(struct rocks *r, rocksdb_column_family_handle_t *family, const void *key,
	      size_t key_size, rocksdb_pinnableslice_t **out)
{
	char *text = NULL;

	*out = rocksdb_get_pinned_cf(r->db, r->read, family, key, key_size, &text);
	if (text != NULL)
		return rocks_fail(r, text);
	return *out != NULL ? 0 : -ENOENT;
}

int record_get(struct rocks *r, const struct record_key *key, struct engine_record *out)
{
	rocksdb_pinnableslice_t *slice;
	const struct record_value *v;
	size_t size;
	int ret = rocks_get(r, r->family[FAMILY_RECORDS], key, sizeof(*key), &slice);

	if (ret < 0)
		return ret;
	v = (const struct record_value *)rocksdb_pinnableslice_value(slice, &size);
	if (size == sizeof(*v))
		*out = (struct engine_record){
			.body = get_be(v->body, sizeof(v->body)),
			.length = get_be(v->length, sizeof(v->length)),
			.stored = get_be(v->stored, sizeof(v->stored)),
			.attempt = get_be(v->attempt, sizeof(v->attempt)),
		};
	rocksdb_pinnableslice_destroy(slice);
	return size == sizeof(*v) ? 0 : -EBADMSG;
}

int rocks_find(struct engine *e, const struct blob_name *name, struct engine_record *out)
{
	const struct record_key key = record_key(name);
	int ret = record_get((struct rocks *)e, &key, out);

	/* one of another length is another blob */
	return ret == 0 && out->length != name->length ? -ENOENT : ret;
}

int rocks_stat(struct engine *e, struct engine_entry *entry)
{
	const struct record_key key = record_key(&entry->name);
	struct engine_record record;
	int ret = record_get((struct rocks *)e, &key, &record);

	if (ret == 0) {
		entry->name.length = record.length;
		entry->stored = record.stored;
	}
	return ret;
}

int block_read(struct rocks *r, const struct segment *s, uint64_t body, uint32_t block, void *to,
	       uint32_t len)
{
	const struct block_key key = block_key(body, block);
	rocksdb_pinnableslice_t *slice;
	const char *from;
	size_t size;
	int ret = rocks_get(r, s->family, &key, sizeof(key), &slice);

	if (ret < 0)
		return ret == -ENOENT ? -EBADMSG : ret;
	from = rocksdb_pinnableslice_value(slice, &size);
	if (size == len)
		memcpy(to, from, len);
	rocksdb_pinnableslice_destroy(slice);
	return size == len ? 0 : -EBADMSG;
}

int rocks_read(struct engine *e, const struct blob_name *name, struct engine_record *record,
	       uint32_t block, void *to, uint32_t len)
{
	struct rocks *r = (struct rocks *)e;
	const uint64_t body = record->body;
	const struct segment *s;
	int ret = 0;

	pthread_rwlock_rdlock(&r->lock);
	s = segment_find(r, body);
	if (s == NULL) { /* it went since the record was read */
		ret = rocks_find(e, name, record);
		s = ret == 0 ? segment_find(r, record->body) : NULL;
		if (ret == 0 && s == NULL)
			ret = -EBADMSG;
	}
	if (s != NULL)
		ret = block_read(r, s, record->body, block, to, len);
	pthread_rwlock_unlock(&r->lock);
	return ret;
}

/* ---- writing ---- */

/* Blocks of large blobs need not go by the log, or they would be written twice: they are in the
 * segment's files, flushed and synced, before their record is. As each such blob makes files
 * of its own, smaller ones are better off with the log. */
static bool blob_unlogged(const struct rocks *r, uint64_t length)
{
	return length >= r->unlogged_bytes;
}

void batch_put(rocksdb_writebatch_t *b, rocksdb_column_family_handle_t *family, const void *key,
	       size_t key_size, const void *value, size_t value_size)
{
	rocksdb_writebatch_put_cf(b, family, key, key_size, value, value_size);
}

void batch_delete(rocksdb_writebatch_t *b, rocksdb_column_family_handle_t *family, const void *key,
		  size_t key_size)
{
	rocksdb_writebatch_delete_cf(b, family, key, key_size);
}

void batch_add(rocksdb_writebatch_t *b, const struct rocks *r, char of, uint32_t number, char what,
	       uint64_t value)
{
	struct sum_key key = {.of = of, .what = what};
	const uint64_t sum = htole64(value); /* as the library's operator wants it */

	put_be(key.number, number, sizeof(key.number));
	rocksdb_writebatch_merge_cf(b, r->family[FAMILY_DEFAULT], (const char *)&key, sizeof(key),
				    (const char *)&sum, sizeof(sum));
}

/* Into the body's segment, which is there. */
static void batch_blocks(rocksdb_writebatch_t *b, const struct segment *s, uint64_t body,
			 uint32_t first, const struct iovec *blocks, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct block_key key = block_key(body, first + i);

		batch_put(b, s->family, &key, sizeof(key), blocks[i].iov_base, blocks[i].iov_len);
	}
}

/* So many blocks are written there. */
static void batch_count(rocksdb_writebatch_t *b, const struct rocks *r, struct segment *s,
			const struct iovec *blocks, uint32_t count)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < count; i++)
		bytes += blocks[i].iov_len;
	batch_add(b, r, 's', s->number, 'w', bytes);
	s->written += bytes;
}

static int batch_write_as(struct rocks *r, rocksdb_writebatch_t *b,
			  const rocksdb_writeoptions_t *how)
{
	char *text = NULL;

	rocksdb_write(r->db, how, b, &text);
	rocksdb_writebatch_destroy(b);
	return text != NULL ? rocks_fail(r, text) : 0;
}

int batch_write(struct rocks *r, rocksdb_writebatch_t *b, bool durable)
{
	return batch_write_as(r, b, durable ? r->write_durable : r->write);
}

/* What the log has of them, and they themselves. */
static int blocks_write(struct rocks *r, struct segment *s, rocksdb_writebatch_t *log,
			const struct engine_upload *u, bool apart, const struct iovec *blocks,
			uint32_t count)
{
	rocksdb_writebatch_t *b = apart ? rocksdb_writebatch_create() : log;
	int ret = 0;

	batch_count(log, r, s, blocks, count);
	batch_blocks(b, s, u->body, u->blocks, blocks, count);
	if (apart)
		ret = batch_write(r, log, false);
	if (ret < 0)
		rocksdb_writebatch_destroy(b);
	else
		ret = batch_write_as(r, b, apart ? r->write_unlogged : r->write);
	return ret;
}

/* What was written of a blob is durable where the log does not make it so, after that. */
static int blocks_settle(struct rocks *r, uint64_t length, uint64_t body)
{
	struct segment *s;

	if (!blob_unlogged(r, length))
		return 0;
	pthread_rwlock_rdlock(&r->lock);
	s = segment_find(r, body);
	pthread_rwlock_unlock(&r->lock);
	/* it stays: the body is an upload's under way */
	return segment_flush(r, s, true);
}

/* It will have so many blocks. */
static void batch_open(rocksdb_writebatch_t *b, const struct rocks *r,
		       const struct engine_upload *u, uint32_t blocks)
{
	const struct body_key open = body_key('o', u->body);
	struct open_value v = {.record = record_key(&u->name)};

	if (u->blocks > 0 && !u->kept) /* that it is open is known */
		return;
	put_be(v.length, u->name.length, sizeof(v.length));
	put_be(v.attempt, u->attempt, sizeof(v.attempt));
	put_be(v.seen, u->seen, sizeof(v.seen));
	put_be(v.blocks, blocks, sizeof(v.blocks));
	batch_put(b, r->family[FAMILY_DEFAULT], &open, sizeof(open), &v, u->kept ? sizeof(v) : 0);
}

/* Of the blocks that went by no log. A crash of the process must not take too many. */
static int apart_note(struct rocks *r, struct segment *s, const struct iovec *blocks,
		      uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		s->apart += blocks[i].iov_len;
	return s->apart < APART_MOST ? 0 : segment_flush(r, s, false);
}

int rocks_write(struct engine *e, struct engine_upload *u, const struct iovec *blocks,
		uint32_t count)
{
	const uint32_t end = u->blocks + count;
	const bool last = (uint64_t)end * ENGINE_BLOCK >= u->name.length;
	struct rocks *r = (struct rocks *)e;
	const bool apart = blob_unlogged(r, u->name.length) && !u->logged;
	rocksdb_writebatch_t *b;
	struct segment *s;
	int ret = segment_ready(r);

	if (ret < 0)
		return ret;
	b = rocksdb_writebatch_create();
	pthread_rwlock_rdlock(&r->lock);
	if (u->body == 0)
		u->body = body_take(r);
	batch_open(b, r, u, end);
	s = segment_find(r, u->body);
	ret = blocks_write(r, s, b, u, apart, blocks, count);
	pthread_rwlock_unlock(&r->lock);
	if (ret < 0)
		return ret;
	u->blocks = end;
	if (last) /* not in the commit, for which those of others wait */
		return blocks_settle(r, u->name.length, u->body);
	return apart && u->kept ? apart_note(r, s, blocks, count) : 0;
}

int rocks_abandon(struct engine *e, uint64_t body)
{
	struct rocks *r = (struct rocks *)e;
	rocksdb_writebatch_t *b = rocksdb_writebatch_create();
	const struct body_key open = body_key('o', body);

	batch_delete(b, r->family[FAMILY_DEFAULT], &open, sizeof(open));
	return batch_write(r, b, false);
}

void record_put(rocksdb_writebatch_t *b, const struct rocks *r, const struct record_key *key,
		const struct engine_record *record)
{
	const struct body_key of = body_key('b', record->body);
	struct record_value v;

	put_be(v.body, record->body, sizeof(v.body));
	put_be(v.length, record->length, sizeof(v.length));
	put_be(v.stored, record->stored, sizeof(v.stored));
	put_be(v.attempt, record->attempt, sizeof(v.attempt));
	batch_put(b, r->family[FAMILY_RECORDS], key, sizeof(*key), &v, sizeof(v));
	if (record->length == 0)
		return;
	batch_put(b, r->family[FAMILY_DEFAULT], &of, sizeof(of), key, sizeof(*key));
	batch_add(b, r, 's', body_segment(record->body), 'l', record->length);
}

/* Blocks of the blob that were not written before, and its body. */
static void batch_rest(rocksdb_writebatch_t *b, struct rocks *r, const struct engine_change *c,
		       uint64_t *body)
{
	const struct body_key open = body_key('o', c->body);
	struct segment *s;

	*body = c->body;
	if (c->written > 0)
		batch_delete(b, r->family[FAMILY_DEFAULT], &open, sizeof(open));
	else if (c->count > 0)
		*body = body_take(r);
	if (c->count > 0) {
		s = segment_find(r, *body);
		batch_count(b, r, s, c->blocks, c->count);
		batch_blocks(b, s, *body, c->written, c->blocks, c->count);
	}
}

static void batch_put_blob(rocksdb_writebatch_t *b, struct rocks *r, const struct engine_change *c,
			   const struct record_key *key)
{
	const struct time_key time = time_key(key, c->stored);
	const struct domain_key age = domain_key(key, c->stored);
	struct engine_record record = {
		.length = c->name.length, .stored = c->stored, .attempt = c->attempt};
	uint8_t length[8];

	put_be(length, c->name.length, sizeof(length));
	batch_rest(b, r, c, &record.body);
	record_put(b, r, key, &record);
	batch_put(b, r->family[FAMILY_DEFAULT], &time, sizeof(time), length, sizeof(length));
	batch_put(b, r->family[FAMILY_DEFAULT], &age, sizeof(age), length, sizeof(length));
	batch_add(b, r, 'u', c->name.domain, 'b', c->name.length);
	batch_add(b, r, 'u', c->name.domain, 'n', 1);
}

static void batch_remove_blob(rocksdb_writebatch_t *b, const struct rocks *r,
			      const struct engine_change *c, const struct record_key *key,
			      const struct engine_record *record)
{
	const struct time_key time = time_key(key, record->stored);
	const struct domain_key age = domain_key(key, record->stored);
	const struct body_key open = body_key('o', record->body), of = body_key('b', record->body);

	batch_delete(b, r->family[FAMILY_RECORDS], key, sizeof(*key));
	batch_delete(b, r->family[FAMILY_DEFAULT], &time, sizeof(time));
	batch_delete(b, r->family[FAMILY_DEFAULT], &age, sizeof(age));
	batch_add(b, r, 'u', c->name.domain, 'b', -record->length);
	batch_add(b, r, 'u', c->name.domain, 'n', -UINT64_C(1));
	if (record->length == 0)
		return;
	if (c->quarantine) /* what an upload has under way stays */
		batch_put(b, r->family[FAMILY_DEFAULT], &open, sizeof(open), "", 0);
	batch_delete(b, r->family[FAMILY_DEFAULT], &of, sizeof(of));
	batch_add(b, r, 's', body_segment(record->body), 'l', -record->length);
}

static int change_prepare(struct rocks *r, rocksdb_writebatch_t *b, struct engine_change *c)
{
	const struct record_key key = record_key(&c->name);
	struct engine_record record;
	int ret = record_get(r, &key, &record);

	if (ret < 0 && ret != -ENOENT)
		return ret;
	c->result = 0;
	if (c->remove && ret == 0 && record.length == c->name.length)
		batch_remove_blob(b, r, c, &key, &record);
	else if (c->remove)
		c->result = -ENOENT;
	else if (!c->remove && ret == -ENOENT)
		batch_put_blob(b, r, c, &key);
	else
		c->result = -EEXIST;
	return 0;
}

static int changes_write(struct rocks *r, struct engine_change *changes, uint32_t count,
			 bool durable)
{
	rocksdb_writebatch_t *b = rocksdb_writebatch_create();

	for (uint32_t i = 0; i < count; i++) {
		int ret = change_prepare(r, b, &changes[i]);

		if (ret < 0) {
			rocksdb_writebatch_destroy(b);
			return ret;
		}
	}
	return batch_write(r, b, durable);
}

int rocks_commit(struct engine *e, struct engine_change *changes, uint32_t count, bool durable)
{
	struct rocks *r = (struct rocks *)e;
	int ret = segment_ready(r);

	for (uint32_t i = 0; i < count && ret == 0; i++)
		if (changes[i].written > 0 && changes[i].count > 0)
			ret = blocks_settle(r, changes[i].name.length, changes[i].body);
	if (ret < 0)
		return ret;
	pthread_mutex_lock(&r->changing);
	pthread_rwlock_rdlock(&r->lock);
	ret = changes_write(r, changes, count, durable);
	pthread_rwlock_unlock(&r->lock);
	pthread_mutex_unlock(&r->changing);
	return ret;
}
