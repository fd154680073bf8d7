/* SPDX-License-Identifier: BSD-3-Clause
 * The database: how it is set up, opened and closed.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/rocks.h"

#define FORMAT_VERSION "3"
#define CACHE_BYTES (32u << 20)	   /* of the files' blocks, half of it for their indices; shared */
#define RECORDS_BUFFER (16u << 20) /* unflushed records */
#define BLOCKS_BUFFER (64u << 20)  /* unflushed blocks of a segment, */
#define BUFFERS_BYTES (160u << 20) /* and whatever of all */
#define WAL_BYTES (256u << 20)	   /* unflushed in all */
#define SEGMENT_BYTES (UINT64_C(256) << 20)
#define UNLOGGED_BYTES (UINT64_C(16) << 20)
#define FILES_OPEN 256
#define FILTER_BITS 10.0 /* a key: one in a hundred that are absent is looked up */
#define CHECKSUM_XXH3 4	 /* rocksdb/table.h, ChecksumType; CRC-32C is without instructions here */

/* ---- close ---- */

static void rocks_close(struct engine *e)
{
	struct rocks *r = (struct rocks *)e;

	if (r->moving != NULL)
		free(r->moving->blocks);
	free(r->moving);
	segments_close(r);
	for (unsigned int f = 0; f < FAMILIES; f++)
		if (r->family[f] != NULL)
			rocksdb_column_family_handle_destroy(r->family[f]);
	if (r->db != NULL)
		rocksdb_close(r->db);
	for (unsigned int f = 0; f < FAMILIES; f++)
		rocksdb_options_destroy(r->options[f]);
	rocksdb_options_destroy(r->segment_options);
	rocksdb_cache_destroy(r->cache);
	rocksdb_readoptions_destroy(r->read);
	rocksdb_writeoptions_destroy(r->write);
	rocksdb_writeoptions_destroy(r->write_durable);
	rocksdb_writeoptions_destroy(r->write_unlogged);
	pthread_mutex_destroy(&r->changing);
	pthread_mutex_destroy(&r->opening);
	pthread_rwlock_destroy(&r->lock);
	free(r);
}

static const struct engine_ops rocks_ops = {
	.close = rocks_close,
	.find = rocks_find,
	.stat = rocks_stat,
	.read = rocks_read,
	.write = rocks_write,
	.uploads = rocks_uploads,
	.abandon = rocks_abandon,
	.commit = rocks_commit,
	.clear = rocks_clear,
	.usage = rocks_usage,
	.list = rocks_list,
	.oldest = rocks_oldest,
	.note = rocks_note,
	.recall = rocks_recall,
};

/* ---- options ---- */

static rocksdb_block_based_table_options_t *table_options(const struct rocks *r)
{
	rocksdb_block_based_table_options_t *t = rocksdb_block_based_options_create();

	rocksdb_block_based_options_set_block_cache(t, r->cache);
	rocksdb_block_based_options_set_checksum(t, CHECKSUM_XXH3);
	return t;
}

/* For keys that are asked for, and are not there or not in most files. */
static void table_filter(rocksdb_block_based_table_options_t *t)
{
	rocksdb_block_based_options_set_filter_policy(
		t, rocksdb_filterpolicy_create_bloom_full(FILTER_BITS));
}

/* Takes the table's. */
static rocksdb_options_t *family_options(rocksdb_block_based_table_options_t *t, size_t buffer)
{
	rocksdb_options_t *o = rocksdb_options_create();

	rocksdb_options_set_compression(o, rocksdb_no_compression); /* it is encrypted, or media */
	rocksdb_options_set_block_based_table_factory(o, t);
	rocksdb_block_based_options_destroy(t);
	rocksdb_options_set_write_buffer_size(o, buffer);
	return o;
}

/* A segment's files stay as they were written, beside one another, until it is dropped. Of
 * their indices, which have as many entries as there are small blobs, the cache has what is
 * in use. */
static rocksdb_options_t *segment_options(const struct rocks *r)
{
	rocksdb_block_based_table_options_t *t = table_options(r);
	rocksdb_options_t *o;

	table_filter(t);
	/* what shares a table's block is damaged together: a large value begins one of its own */
	rocksdb_block_based_options_set_block_size_deviation(t, 99);
	rocksdb_block_based_options_set_index_type(
		t, rocksdb_block_based_table_index_type_two_level_index_search);
	rocksdb_block_based_options_set_partition_filters(t, 1);
	rocksdb_block_based_options_set_cache_index_and_filter_blocks(t, 1);
	o = family_options(t, BLOCKS_BUFFER);
	rocksdb_options_set_disable_auto_compactions(o, 1);
	return o;
}

static void database_options(rocksdb_options_t *o, const struct engine_config *c)
{
	rocksdb_options_set_create_if_missing(o, c->create);
	rocksdb_options_set_create_missing_column_families(o, 1);
	rocksdb_options_set_max_background_jobs(o, 2);
	rocksdb_options_set_max_open_files(o, FILES_OPEN);
	rocksdb_options_set_max_total_wal_size(o, WAL_BYTES);
	rocksdb_options_set_db_write_buffer_size(o, BUFFERS_BYTES);
	/* Where a line of its log cannot be written, as on a full disk, the next one ends the
	 * process: an assertion that Debian's 7.8 has on. */
	if (c->log_path != NULL)
		rocksdb_options_set_db_log_dir(o, c->log_path);
	rocksdb_options_set_keep_log_file_num(o, 2);
	rocksdb_options_set_max_log_file_size(o, 1 << 20);
	rocksdb_options_set_stats_dump_period_sec(o, 0);
	rocksdb_options_set_bytes_per_sync(o, 1 << 20);
}

static void options_make(struct rocks *r, const struct engine_config *c)
{
	rocksdb_options_t *o = family_options(table_options(r), RECORDS_BUFFER);
	rocksdb_block_based_table_options_t *t = table_options(r);

	database_options(o, c);
	rocksdb_options_set_uint64add_merge_operator(o);
	r->options[FAMILY_DEFAULT] = o;
	table_filter(t);
	r->options[FAMILY_RECORDS] = family_options(t, RECORDS_BUFFER);
	r->segment_options = segment_options(r);
	r->read = rocksdb_readoptions_create();
	rocksdb_readoptions_set_verify_checksums(r->read, 1);
	r->write = rocksdb_writeoptions_create();
	r->write_durable = rocksdb_writeoptions_create();
	rocksdb_writeoptions_set_sync(r->write_durable, 1);
	r->write_unlogged = rocksdb_writeoptions_create();
	rocksdb_writeoptions_disable_WAL(r->write_unlogged, 1);
}

/* ---- open ---- */

static int version_check(struct rocks *r)
{
	rocksdb_pinnableslice_t *slice;
	const char *version;
	rocksdb_writebatch_t *b;
	size_t size;
	int ret = rocks_get(r, r->family[FAMILY_DEFAULT], "version", 7, &slice);

	if (ret == -ENOENT) {
		b = rocksdb_writebatch_create();
		batch_put(b, r->family[FAMILY_DEFAULT], "version", 7, FORMAT_VERSION,
			  strlen(FORMAT_VERSION));
		return batch_write(r, b, true);
	}
	if (ret < 0)
		return ret;
	version = rocksdb_pinnableslice_value(slice, &size);
	if (size != strlen(FORMAT_VERSION) || memcmp(version, FORMAT_VERSION, size) != 0) {
		snprintf(r->engine.why, sizeof(r->engine.why),
			 "format %.*s, and this is for " FORMAT_VERSION,
			 (int)(size < 16 ? size : 16), version);
		ret = -EPROTO;
	}
	rocksdb_pinnableslice_destroy(slice);
	return ret;
}

struct clearing {
	struct rocks *rocks;
	rocksdb_writebatch_t *batch;
	uint64_t keep_since;
};

/* May it go on? Its blocks may all be gone: no other body may have its number. */
static bool upload_stays(const struct clearing *c, const struct engine_upload *u)
{
	struct segment *s = segment_find(c->rocks, u->body);
	const uint32_t number = (uint32_t)u->body;

	if (s == NULL || u->seen < c->keep_since)
		return false;
	if (s->next <= number)
		s->next = number + 1;
	return true;
}

static bool orphan_clear(void *ctx, const char *key, size_t key_size, const char *value,
			 size_t value_size)
{
	struct clearing *c = ctx;
	struct engine_upload u;

	if (!upload_of(key, key_size, value, value_size, &u) || !upload_stays(c, &u))
		batch_delete(c->batch, c->rocks->family[FAMILY_DEFAULT], key, key_size);
	return true;
}

/* Of segments that were dropped. */
static bool sum_clear(void *ctx, const char *key, size_t key_size, const char *value,
		      size_t value_size)
{
	struct clearing *c = ctx;
	const struct sum_key *k = (const struct sum_key *)key;

	(void)value;
	(void)value_size;
	if (key_size == sizeof(*k) &&
	    segment_find(c->rocks, get_be(k->number, sizeof(k->number)) << 32) == NULL)
		batch_delete(c->batch, c->rocks->family[FAMILY_DEFAULT], key, key_size);
	return true;
}

/* What a crash left: blocks without a record, which are dead but for uploads that may go on. */
static int remains_clear(struct rocks *r, uint64_t keep_since)
{
	struct clearing c = {
		.rocks = r, .batch = rocksdb_writebatch_create(), .keep_since = keep_since};
	int ret = each_key(r, r->family[FAMILY_DEFAULT], "o", 1, 1, orphan_clear, &c);

	if (ret == 0)
		ret = each_key(r, r->family[FAMILY_DEFAULT], "s", 1, 1, sum_clear, &c);
	if (ret < 0 || rocksdb_writebatch_count(c.batch) == 0) {
		rocksdb_writebatch_destroy(c.batch);
		return ret;
	}
	return batch_write(r, c.batch, false);
}

/* The column families that are there, and what is to be used of them. */
struct families {
	size_t count;
	char **names;
	const rocksdb_options_t **options;
	rocksdb_column_family_handle_t **handles;
};

static const char *const family_names[FAMILIES] = {"default", "records"};

/* Which of those is it? FAMILIES: a segment, or unknown. */
static unsigned int family_of(const char *name)
{
	unsigned int f = 0;

	while (f < FAMILIES && strcmp(name, family_names[f]) != 0)
		f++;
	return f;
}

static void families_free(struct families *f)
{
	for (size_t i = 0; f->handles != NULL && i < f->count; i++)
		if (f->handles[i] != NULL)
			rocksdb_column_family_handle_destroy(f->handles[i]);
	for (size_t i = 0; f->names != NULL && i < f->count; i++)
		free(f->names[i]);
	free(f->names);
	free(f->options);
	free(f->handles);
}

static int family_name(const struct rocks *r, struct families *f, const char *name)
{
	const unsigned int family = family_of(name);

	f->names[f->count] = strdup(name);
	if (f->names[f->count] == NULL)
		return -ENOMEM;
	f->options[f->count++] = family < FAMILIES ? r->options[family] : r->segment_options;
	return 0;
}

/* Those that must be there, and those that are. */
static int families_make(const struct rocks *r, struct families *f, char *const *listed,
			 size_t count)
{
	int ret = 0;

	f->names = calloc(FAMILIES + count, sizeof(*f->names));
	f->options = calloc(FAMILIES + count, sizeof(*f->options));
	f->handles = calloc(FAMILIES + count, sizeof(*f->handles));
	if (f->names == NULL || f->options == NULL || f->handles == NULL)
		return -ENOMEM;
	for (unsigned int i = 0; i < FAMILIES && ret == 0; i++)
		ret = family_name(r, f, family_names[i]);
	for (size_t i = 0; i < count && ret == 0; i++)
		if (family_of(listed[i]) == FAMILIES)
			ret = family_name(r, f, listed[i]);
	return ret;
}

static int families_list(const struct rocks *r, const char *path, struct families *f)
{
	size_t count = 0;
	char *text = NULL;
	char **listed =
		rocksdb_list_column_families(r->options[FAMILY_DEFAULT], path, &count, &text);
	int ret;

	/* there is none, or opening it says what is wrong */
	ret = families_make(r, f, listed, text == NULL ? count : 0);
	rocksdb_list_column_families_destroy(listed, count);
	rocksdb_free(text);
	return ret;
}

/* The handles go to where they are used. */
static int families_take(struct rocks *r, struct families *f)
{
	for (size_t i = 0; i < f->count; i++) {
		const unsigned int family = family_of(f->names[i]);
		uint32_t number;
		int ret = 0;

		if (family < FAMILIES)
			r->family[family] = f->handles[i];
		else if (segment_named(f->names[i], &number))
			ret = segment_add(r, number, f->handles[i]);
		else
			continue; /* of another format: the version tells */
		if (ret < 0)
			return ret;
		f->handles[i] = NULL;
	}
	return 0;
}

static int families_open(struct rocks *r, const char *path, struct families *f)
{
	char *text = NULL;
	int ret = families_list(r, path, f);

	if (ret < 0)
		return ret;
	r->db = rocksdb_open_column_families(r->options[FAMILY_DEFAULT], path, (int)f->count,
					     (const char *const *)f->names, f->options, f->handles,
					     &text);
	return text != NULL ? rocks_fail(r, text) : families_take(r, f);
}

/* The library would make the folder anew, where it may. */
static int database_check(struct rocks *r, const char *path)
{
	char current[PATH_MAX + 16];

	snprintf(current, sizeof(current), "%s/CURRENT", path);
	if (access(current, F_OK) == 0 || errno != ENOENT)
		return 0;
	snprintf(r->engine.why, sizeof(r->engine.why), "what was there is gone");
	return -ENOENT;
}

static int database_open(struct rocks *r, const struct engine_config *c)
{
	struct families f = {0};
	int ret = c->create ? 0 : database_check(r, c->path);

	if (ret == 0)
		ret = families_open(r, c->path, &f);
	families_free(&f);
	if (ret == 0)
		ret = version_check(r);
	if (ret == 0)
		ret = segments_begin(r);
	return ret == 0 ? remains_clear(r, c->keep_since) : ret;
}

static void open_explain(const struct rocks *r, int err, const char *path, char *why, size_t size)
{
	const char *remedy;

	switch (err) {
	case -EBUSY:
		remedy = "another process has it: stop that, or set another [store] path";
		break;
	case -EPROTO:
		remedy = "it is of another oncewire: run that one, or set another [store] path";
		break;
	case -ENOENT:
		remedy = "put it back, or restart the relay to begin with an empty one";
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

static void locks_init(struct rocks *r)
{
	pthread_rwlockattr_t a;

	pthread_rwlockattr_init(&a);
	/* else readers, of whom there is always one, would keep a writer out for ever */
	pthread_rwlockattr_setkind_np(&a, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&r->lock, &a);
	pthread_rwlockattr_destroy(&a);
	pthread_mutex_init(&r->opening, NULL);
	pthread_mutex_init(&r->changing, NULL);
}

int engine_rocksdb_open(struct engine **out, const struct engine_config *c, char *why,
			size_t why_size)
{
	struct rocks *r = calloc(1, sizeof(*r));
	int ret;

	if (r == NULL) {
		snprintf(why, why_size, "store %s: no memory", c->path);
		return -ENOMEM;
	}
	r->engine.ops = &rocks_ops;
	r->segment_least = c->segment_bytes > 0 ? c->segment_bytes : SEGMENT_BYTES;
	r->unlogged_bytes = c->unlogged_bytes > 0 ? c->unlogged_bytes : UNLOGGED_BYTES;
	locks_init(r);
	r->cache = rocksdb_cache_create_lru(CACHE_BYTES);
	options_make(r, c);
	ret = database_open(r, c);
	if (ret < 0) {
		open_explain(r, ret, c->path, why, why_size);
		rocks_close(&r->engine);
		return ret;
	}
	*out = &r->engine;
	return 0;
}
