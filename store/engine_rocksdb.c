/* SPDX-License-Identifier: BSD-3-Clause
 * RocksDB, values in blob files. Column families and keys (numbers in network order):
 *
 *   default   "version"                       the format's version
 *             'u' domain 'b' | 'n'            bytes and number of its blobs (merged sums)
 *             'o' body                        an upload under way: blocks without a record
 *             't' stored record-key           blobs by age
 *   records   domain rule identifier          body, length, stored
 *   blocks    body block                      bytes
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <rocksdb/c.h>

#include "store/engine.h"

#define FORMAT_VERSION "1"
#define CACHE_BYTES (32u << 20)	   /* of index and record blocks; shared */
#define RECORDS_BUFFER (16u << 20) /* unflushed records */
#define BLOCKS_BUFFER (64u << 20)  /* unflushed blocks, twice at most */
#define WAL_BYTES (256u << 20)	   /* unflushed in all */
#define BLOB_FILE_BYTES (128u << 20)
#define BLOB_LEAST 2048 /* bytes: smaller blocks lie in the tree itself */
#define FILES_OPEN 256
#define FILTER_BITS 10.0      /* a key: one in a hundred that are absent is looked up */
#define DELETE_ONE_BY_ONE 64u /* blocks; above, a range */

enum family { FAMILY_DEFAULT, FAMILY_RECORDS, FAMILY_BLOCKS, FAMILIES };

struct record_key {
	uint8_t domain[4];
	uint8_t rule;
	uint8_t id[IDENT_SIZE];
};

struct record_value {
	uint8_t body[8];
	uint8_t length[8];
	uint8_t stored[8];
};

struct block_key {
	uint8_t body[8];
	uint8_t block[4];
};

struct time_key {
	char t;
	uint8_t stored[8];
	struct record_key record;
};

struct open_key {
	char o;
	uint8_t body[8];
};

struct usage_key {
	char u;
	uint8_t domain[4];
	char what; /* 'b': bytes, 'n': number */
};
_Static_assert(sizeof(struct record_key) == 37 && sizeof(struct time_key) == 46 &&
		       sizeof(struct usage_key) == 6,
	       "no padding: they are on disk");

struct rocks {
	struct engine engine; /* first */
	rocksdb_t *db;
	rocksdb_column_family_handle_t *family[FAMILIES];
	rocksdb_options_t *options[FAMILIES];
	rocksdb_cache_t *cache;
	rocksdb_block_based_table_options_t *table[FAMILIES];
	rocksdb_readoptions_t *read;
	rocksdb_writeoptions_t *write, *write_durable;
	uint64_t body; /* the next one */
};

static void put_be(uint8_t *to, uint64_t value, unsigned int size)
{
	for (unsigned int i = 0; i < size; i++)
		to[i] = (uint8_t)(value >> 8 * (size - 1 - i));
}

static uint64_t get_be(const uint8_t *from, unsigned int size)
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

/* Takes the library's text. */
static int fail(struct rocks *r, char *text)
{
	int err = error_code(text);

	snprintf(r->engine.why, sizeof(r->engine.why), "%s", text);
	rocksdb_free(text);
	return err;
}

/* ---- keys ---- */

static struct record_key record_key(const struct blob_name *name)
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

static struct block_key block_key(uint64_t body, uint32_t block)
{
	struct block_key k = {0};

	put_be(k.body, body, sizeof(k.body));
	put_be(k.block, block, sizeof(k.block));
	return k;
}

static struct open_key open_key(uint64_t body)
{
	struct open_key k = {.o = 'o'};

	put_be(k.body, body, sizeof(k.body));
	return k;
}

static uint32_t block_count(uint64_t length)
{
	return (uint32_t)((length + ENGINE_BLOCK - 1) / ENGINE_BLOCK);
}

/* ---- reading ---- */

static int get(struct rocks *r, enum family f, const void *key, size_t key_size,
	       rocksdb_pinnableslice_t **out)
{
	char *text = NULL;

	*out = rocksdb_get_pinned_cf(r->db, r->read, r->family[f], key, key_size, &text);
	if (text != NULL)
		return fail(r, text);
	return *out != NULL ? 0 : -ENOENT;
}

static int record_get(struct rocks *r, const struct record_key *key, struct engine_record *out)
{
	rocksdb_pinnableslice_t *slice;
	const struct record_value *v;
	size_t size;
	int ret = get(r, FAMILY_RECORDS, key, sizeof(*key), &slice);

	if (ret < 0)
		return ret;
	v = (const struct record_value *)rocksdb_pinnableslice_value(slice, &size);
	if (size == sizeof(*v))
		*out = (struct engine_record){
			.body = get_be(v->body, sizeof(v->body)),
			.length = get_be(v->length, sizeof(v->length)),
			.stored = get_be(v->stored, sizeof(v->stored)),
		};
	rocksdb_pinnableslice_destroy(slice);
	return size == sizeof(*v) ? 0 : -EBADMSG;
}

static int rocks_find(struct engine *e, const struct blob_name *name, struct engine_record *out)
{
	const struct record_key key = record_key(name);
	int ret = record_get((struct rocks *)e, &key, out);

	/* one of another length is another blob */
	return ret == 0 && out->length != name->length ? -ENOENT : ret;
}

static int rocks_read(struct engine *e, uint64_t body, uint32_t block, void *to, uint32_t len)
{
	struct rocks *r = (struct rocks *)e;
	const struct block_key key = block_key(body, block);
	rocksdb_pinnableslice_t *slice;
	const char *from;
	size_t size;
	int ret = get(r, FAMILY_BLOCKS, &key, sizeof(key), &slice);

	if (ret < 0)
		return ret == -ENOENT ? -EBADMSG : ret;
	from = rocksdb_pinnableslice_value(slice, &size);
	if (size == len)
		memcpy(to, from, len);
	rocksdb_pinnableslice_destroy(slice);
	return size == len ? 0 : -EBADMSG;
}

/* ---- writing ---- */

static void batch_put(rocksdb_writebatch_t *b, const struct rocks *r, enum family f,
		      const void *key, size_t key_size, const void *value, size_t value_size)
{
	rocksdb_writebatch_put_cf(b, r->family[f], key, key_size, value, value_size);
}

static void batch_delete(rocksdb_writebatch_t *b, const struct rocks *r, enum family f,
			 const void *key, size_t key_size)
{
	rocksdb_writebatch_delete_cf(b, r->family[f], key, key_size);
}

static void batch_blocks(rocksdb_writebatch_t *b, const struct rocks *r, uint64_t body,
			 uint32_t first, const struct iovec *blocks, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct block_key key = block_key(body, first + i);

		batch_put(b, r, FAMILY_BLOCKS, &key, sizeof(key), blocks[i].iov_base,
			  blocks[i].iov_len);
	}
}

static void batch_delete_blocks(rocksdb_writebatch_t *b, const struct rocks *r, uint64_t body,
				uint32_t count)
{
	const struct block_key first = block_key(body, 0), end = block_key(body, count);

	if (count > DELETE_ONE_BY_ONE) {
		rocksdb_writebatch_delete_range_cf(b, r->family[FAMILY_BLOCKS],
						   (const char *)&first, sizeof(first),
						   (const char *)&end, sizeof(end));
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		const struct block_key key = block_key(body, i);

		batch_delete(b, r, FAMILY_BLOCKS, &key, sizeof(key));
	}
}

/* Adds to a domain's sums, modulo 2^64; the library's counters are little-endian. */
static void batch_usage(rocksdb_writebatch_t *b, const struct rocks *r, uint32_t domain,
			uint64_t bytes, uint64_t blobs)
{
	struct usage_key key = {.u = 'u'};
	const uint64_t sums[2] = {htole64(bytes), htole64(blobs)};

	put_be(key.domain, domain, sizeof(key.domain));
	for (unsigned int i = 0; i < 2; i++) {
		key.what = "bn"[i];
		rocksdb_writebatch_merge_cf(b, r->family[FAMILY_DEFAULT], (const char *)&key,
					    sizeof(key), (const char *)&sums[i], sizeof(sums[i]));
	}
}

/* Takes the batch. */
static int batch_write(struct rocks *r, rocksdb_writebatch_t *b, bool durable)
{
	char *text = NULL;

	rocksdb_write(r->db, durable ? r->write_durable : r->write, b, &text);
	rocksdb_writebatch_destroy(b);
	return text != NULL ? fail(r, text) : 0;
}

static int rocks_write(struct engine *e, uint64_t body, uint32_t first, const struct iovec *blocks,
		       uint32_t count)
{
	struct rocks *r = (struct rocks *)e;
	rocksdb_writebatch_t *b = rocksdb_writebatch_create();
	const struct open_key open = open_key(body);

	if (first == 0)
		batch_put(b, r, FAMILY_DEFAULT, &open, sizeof(open), "", 0);
	batch_blocks(b, r, body, first, blocks, count);
	return batch_write(r, b, false);
}

static int rocks_abandon(struct engine *e, uint64_t body, uint32_t written)
{
	struct rocks *r = (struct rocks *)e;
	rocksdb_writebatch_t *b = rocksdb_writebatch_create();
	const struct open_key open = open_key(body);

	batch_delete_blocks(b, r, body, written);
	batch_delete(b, r, FAMILY_DEFAULT, &open, sizeof(open));
	return batch_write(r, b, false);
}

static void batch_put_blob(rocksdb_writebatch_t *b, const struct rocks *r,
			   const struct engine_change *c, const struct record_key *key)
{
	const struct open_key open = open_key(c->body);
	const struct time_key time = time_key(key, c->stored);
	struct record_value v;

	put_be(v.body, c->body, sizeof(v.body));
	put_be(v.length, c->name.length, sizeof(v.length));
	put_be(v.stored, c->stored, sizeof(v.stored));
	batch_blocks(b, r, c->body, c->written, c->blocks, c->count);
	batch_put(b, r, FAMILY_RECORDS, key, sizeof(*key), &v, sizeof(v));
	batch_put(b, r, FAMILY_DEFAULT, &time, sizeof(time), "", 0);
	batch_usage(b, r, c->name.domain, c->name.length, 1);
	if (c->written > 0)
		batch_delete(b, r, FAMILY_DEFAULT, &open, sizeof(open));
}

static void batch_remove_blob(rocksdb_writebatch_t *b, const struct rocks *r,
			      const struct engine_change *c, const struct record_key *key,
			      const struct engine_record *record)
{
	const struct time_key time = time_key(key, record->stored);
	const struct open_key open = open_key(record->body);

	if (c->quarantine)
		batch_put(b, r, FAMILY_DEFAULT, &open, sizeof(open), "", 0);
	else
		batch_delete_blocks(b, r, record->body, block_count(record->length));
	batch_delete(b, r, FAMILY_RECORDS, key, sizeof(*key));
	batch_delete(b, r, FAMILY_DEFAULT, &time, sizeof(time));
	batch_usage(b, r, c->name.domain, -record->length, -UINT64_C(1));
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

static int rocks_commit(struct engine *e, struct engine_change *changes, uint32_t count,
			bool durable)
{
	struct rocks *r = (struct rocks *)e;
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

/* ---- what there is ---- */

/* Calls fn for each key of a family from `from` on that begins with its first `same` bytes,
 * until fn says false. */
static int each_key(struct rocks *r, enum family f, const void *from, size_t from_size, size_t same,
		    bool (*fn)(void *ctx, const char *key, size_t key_size, const char *value,
			       size_t value_size),
		    void *ctx)
{
	rocksdb_iterator_t *it = rocksdb_create_iterator_cf(r->db, r->read, r->family[f]);
	char *text = NULL;

	for (rocksdb_iter_seek(it, from, from_size); rocksdb_iter_valid(it);
	     rocksdb_iter_next(it)) {
		size_t key_size, value_size;
		const char *key = rocksdb_iter_key(it, &key_size);
		const char *value = rocksdb_iter_value(it, &value_size);

		if (key_size < same || memcmp(key, from, same) != 0 ||
		    !fn(ctx, key, key_size, value, value_size))
			break;
	}
	rocksdb_iter_get_error(it, &text);
	rocksdb_iter_destroy(it);
	return text != NULL ? fail(r, text) : 0;
}

struct usage_reader {
	void (*fn)(void *ctx, uint32_t domain, uint64_t bytes, uint64_t blobs);
	void *ctx;
	uint64_t bytes; /* the key before */
};

static bool usage_take(void *ctx, const char *key, size_t key_size, const char *value,
		       size_t value_size)
{
	struct usage_reader *u = ctx;
	const struct usage_key *k = (const struct usage_key *)key;
	uint64_t sum;

	if (key_size != sizeof(*k) || value_size != sizeof(sum))
		return true;
	memcpy(&sum, value, sizeof(sum));
	sum = le64toh(sum);
	if (k->what == 'b')
		u->bytes = sum;
	else if (sum > 0)
		u->fn(u->ctx, (uint32_t)get_be(k->domain, sizeof(k->domain)), u->bytes, sum);
	return true;
}

static int rocks_usage(struct engine *e,
		       void (*fn)(void *ctx, uint32_t domain, uint64_t bytes, uint64_t blobs),
		       void *ctx)
{
	struct usage_reader u = {.fn = fn, .ctx = ctx};

	return each_key((struct rocks *)e, FAMILY_DEFAULT, "u", 1, 1, usage_take, &u);
}

struct lister {
	const struct record_key *after; /* NULL: none */
	struct blob_name *out;
	uint32_t count, max;
};

static bool name_take(void *ctx, const char *key, size_t key_size, const char *value,
		      size_t value_size)
{
	struct lister *l = ctx;
	const struct record_key *k = (const struct record_key *)key;
	const struct record_value *v = (const struct record_value *)value;
	struct blob_name *name = &l->out[l->count];

	if (key_size != sizeof(*k) || value_size != sizeof(*v) ||
	    (l->after != NULL && memcmp(k, l->after, sizeof(*k)) == 0))
		return true;
	name->domain = (uint32_t)get_be(k->domain, sizeof(k->domain));
	name->rule = k->rule;
	memcpy(name->id.b, k->id, sizeof(k->id));
	name->length = get_be(v->length, sizeof(v->length));
	return ++l->count < l->max;
}

static int rocks_list(struct engine *e, uint32_t domain, const struct blob_name *after,
		      struct blob_name *out, uint32_t max)
{
	const struct blob_name first = {.domain = domain};
	const struct record_key from = record_key(after != NULL ? after : &first);
	struct lister l = {.after = after != NULL ? &from : NULL, .out = out, .max = max};
	int ret = each_key((struct rocks *)e, FAMILY_RECORDS, &from, sizeof(from),
			   sizeof(from.domain), name_take, &l);

	return ret < 0 ? ret : (int)l.count;
}

static uint64_t rocks_body_next(struct engine *e)
{
	return ((struct rocks *)e)->body++;
}

/* ---- open and close ---- */

static void rocks_close(struct engine *e)
{
	struct rocks *r = (struct rocks *)e;

	for (unsigned int i = 0; i < FAMILIES; i++)
		if (r->family[i] != NULL)
			rocksdb_column_family_handle_destroy(r->family[i]);
	if (r->db != NULL)
		rocksdb_close(r->db);
	for (unsigned int i = 0; i < FAMILIES; i++) {
		if (r->options[i] != NULL)
			rocksdb_options_destroy(r->options[i]);
		if (r->table[i] != NULL)
			rocksdb_block_based_options_destroy(r->table[i]);
	}
	if (r->cache != NULL)
		rocksdb_cache_destroy(r->cache);
	if (r->read != NULL)
		rocksdb_readoptions_destroy(r->read);
	if (r->write != NULL)
		rocksdb_writeoptions_destroy(r->write);
	if (r->write_durable != NULL)
		rocksdb_writeoptions_destroy(r->write_durable);
	free(r);
}

static const struct engine_ops rocks_ops = {
	.close = rocks_close,
	.body_next = rocks_body_next,
	.find = rocks_find,
	.read = rocks_read,
	.write = rocks_write,
	.abandon = rocks_abandon,
	.commit = rocks_commit,
	.usage = rocks_usage,
	.list = rocks_list,
};

static void family_options(struct rocks *r, enum family f)
{
	rocksdb_options_t *o = rocksdb_options_create();
	rocksdb_block_based_table_options_t *t = rocksdb_block_based_options_create();

	r->options[f] = o;
	r->table[f] = t;
	rocksdb_options_set_compression(o, rocksdb_no_compression); /* it is encrypted, or media */
	rocksdb_block_based_options_set_block_cache(t, r->cache);
	if (f == FAMILY_RECORDS)
		rocksdb_block_based_options_set_filter_policy(
			t, rocksdb_filterpolicy_create_bloom_full(FILTER_BITS));
	rocksdb_options_set_block_based_table_factory(o, t);
	rocksdb_options_set_write_buffer_size(o,
					      f == FAMILY_BLOCKS ? BLOCKS_BUFFER : RECORDS_BUFFER);
	if (f == FAMILY_DEFAULT)
		rocksdb_options_set_uint64add_merge_operator(o);
	if (f != FAMILY_BLOCKS)
		return;
	rocksdb_options_set_enable_blob_files(o, 1);
	rocksdb_options_set_min_blob_size(o, BLOB_LEAST);
	rocksdb_options_set_blob_file_size(o, BLOB_FILE_BYTES);
	rocksdb_options_set_enable_blob_gc(o, 1);
	rocksdb_options_set_blob_gc_age_cutoff(o, 1.0);
}

static void database_options(struct rocks *r)
{
	rocksdb_options_t *o = r->options[FAMILY_DEFAULT];

	rocksdb_options_set_create_if_missing(o, 1);
	rocksdb_options_set_create_missing_column_families(o, 1);
	rocksdb_options_set_max_background_jobs(o, 2);
	rocksdb_options_set_max_open_files(o, FILES_OPEN);
	rocksdb_options_set_max_total_wal_size(o, WAL_BYTES);
	rocksdb_options_set_keep_log_file_num(o, 2);
	rocksdb_options_set_max_log_file_size(o, 1 << 20);
	rocksdb_options_set_stats_dump_period_sec(o, 0);
	rocksdb_options_set_bytes_per_sync(o, 1 << 20);
	r->read = rocksdb_readoptions_create();
	rocksdb_readoptions_set_verify_checksums(r->read, 1);
	r->write = rocksdb_writeoptions_create();
	r->write_durable = rocksdb_writeoptions_create();
	rocksdb_writeoptions_set_sync(r->write_durable, 1);
}

static int version_check(struct rocks *r)
{
	rocksdb_pinnableslice_t *slice;
	const char *version;
	rocksdb_writebatch_t *b;
	size_t size;
	int ret = get(r, FAMILY_DEFAULT, "version", 7, &slice);

	if (ret == -ENOENT) {
		b = rocksdb_writebatch_create();
		batch_put(b, r, FAMILY_DEFAULT, "version", 7, FORMAT_VERSION,
			  strlen(FORMAT_VERSION));
		return batch_write(r, b, true);
	}
	if (ret < 0)
		return ret;
	version = rocksdb_pinnableslice_value(slice, &size);
	if (size != strlen(FORMAT_VERSION) || memcmp(version, FORMAT_VERSION, size) != 0) {
		snprintf(r->engine.why, sizeof(r->engine.why), "format %.*s",
			 (int)(size < 16 ? size : 16), version);
		ret = -EPROTO;
	}
	rocksdb_pinnableslice_destroy(slice);
	return ret;
}

struct orphans {
	struct rocks *rocks;
	rocksdb_writebatch_t *batch;
};

static bool orphan_delete(void *ctx, const char *key, size_t key_size, const char *value,
			  size_t value_size)
{
	struct orphans *o = ctx;
	const struct open_key *k = (const struct open_key *)key;

	(void)value;
	(void)value_size;
	if (key_size != sizeof(*k))
		return true;
	batch_delete_blocks(o->batch, o->rocks, get_be(k->body, sizeof(k->body)), UINT32_MAX);
	batch_delete(o->batch, o->rocks, FAMILY_DEFAULT, k, sizeof(*k));
	return true;
}

/* Uploads that a crash ended. */
static int orphans_clear(struct rocks *r)
{
	struct orphans o = {.rocks = r, .batch = rocksdb_writebatch_create()};
	int ret = each_key(r, FAMILY_DEFAULT, "o", 1, 1, orphan_delete, &o);

	if (ret < 0 || rocksdb_writebatch_count(o.batch) == 0) {
		rocksdb_writebatch_destroy(o.batch);
		return ret;
	}
	return batch_write(r, o.batch, false);
}

/* Behind the last one, whose blocks may be anybody's. */
static int body_first(struct rocks *r)
{
	rocksdb_iterator_t *it =
		rocksdb_create_iterator_cf(r->db, r->read, r->family[FAMILY_BLOCKS]);
	char *text = NULL;
	size_t size;

	r->body = 1;
	rocksdb_iter_seek_to_last(it);
	if (rocksdb_iter_valid(it)) {
		const struct block_key *k = (const void *)rocksdb_iter_key(it, &size);

		if (size == sizeof(*k))
			r->body = get_be(k->body, sizeof(k->body)) + 1;
	}
	rocksdb_iter_get_error(it, &text);
	rocksdb_iter_destroy(it);
	return text != NULL ? fail(r, text) : 0;
}

static int database_open(struct rocks *r, const char *path)
{
	static const char *const names[FAMILIES] = {"default", "records", "blocks"};
	char *text = NULL;
	int ret;

	r->db = rocksdb_open_column_families(r->options[FAMILY_DEFAULT], path, FAMILIES, names,
					     (const rocksdb_options_t *const *)r->options,
					     r->family, &text);
	if (text != NULL)
		return fail(r, text);
	ret = version_check(r);
	if (ret == 0)
		ret = orphans_clear(r);
	return ret == 0 ? body_first(r) : ret;
}

static void open_explain(const struct rocks *r, int err, const char *path, char *why, size_t size)
{
	const char *remedy;

	switch (err) {
	case -EBUSY:
		remedy = "another process has it: stop that, or set another [store] path";
		break;
	case -EPROTO:
		remedy = "it is of a newer oncewire: run that one, or set another [store] path";
		break;
	case -ENOSPC:
		remedy = "the disk is full: free some space";
		break;
	case -EBADMSG:
		remedy = "it is damaged: see the manual, \"A damaged store\"";
		break;
	case -EACCES:
	case -EROFS:
		remedy = "the relay's user must be able to write there";
		break;
	default:
		remedy = "see to the disk";
		break;
	}
	snprintf(why, size, "store %s: %s; %s", path, r->engine.why, remedy);
}

int engine_rocksdb_open(struct engine **out, const char *path, char *why, size_t why_size)
{
	struct rocks *r = calloc(1, sizeof(*r));
	int ret;

	if (r == NULL) {
		snprintf(why, why_size, "store %s: no memory", path);
		return -ENOMEM;
	}
	r->engine.ops = &rocks_ops;
	r->cache = rocksdb_cache_create_lru(CACHE_BYTES);
	for (unsigned int f = 0; f < FAMILIES; f++)
		family_options(r, f);
	database_options(r);
	ret = database_open(r, path);
	if (ret < 0) {
		open_explain(r, ret, path, why, why_size);
		rocks_close(&r->engine);
		return ret;
	}
	*out = &r->engine;
	return 0;
}
