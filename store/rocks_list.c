/* SPDX-License-Identifier: BSD-3-Clause
 * What there is, by domain, by name and by age; and notes.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/rocks.h"

int each_key(struct rocks *r, rocksdb_column_family_handle_t *family, const void *from,
	     size_t from_size, size_t same,
	     bool (*fn)(void *ctx, const char *key, size_t key_size, const char *value,
			size_t value_size),
	     void *ctx)
{
	rocksdb_iterator_t *it = rocksdb_create_iterator_cf(r->db, r->read, family);
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
	return text != NULL ? rocks_fail(r, text) : 0;
}

/* ---- sums ---- */

struct usage_reader {
	void (*fn)(void *ctx, uint32_t domain, uint64_t bytes, uint64_t blobs);
	void *ctx;
	uint64_t bytes; /* the key before */
};

static bool usage_take(void *ctx, const char *key, size_t key_size, const char *value,
		       size_t value_size)
{
	struct usage_reader *u = ctx;
	const struct sum_key *k = (const struct sum_key *)key;
	uint64_t sum;

	if (key_size != sizeof(*k) || value_size != sizeof(sum))
		return true;
	memcpy(&sum, value, sizeof(sum));
	sum = le64toh(sum);
	if (k->what == 'b')
		u->bytes = sum;
	else if (sum > 0)
		u->fn(u->ctx, (uint32_t)get_be(k->number, sizeof(k->number)), u->bytes, sum);
	return true;
}

int rocks_usage(struct engine *e,
		void (*fn)(void *ctx, uint32_t domain, uint64_t bytes, uint64_t blobs), void *ctx)
{
	struct rocks *r = (struct rocks *)e;
	struct usage_reader u = {.fn = fn, .ctx = ctx};

	return each_key(r, r->family[FAMILY_DEFAULT], "u", 1, 1, usage_take, &u);
}

/* ---- names ---- */

void record_name(const struct record_key *k, const uint8_t length[8], struct blob_name *name)
{
	name->domain = (uint32_t)get_be(k->domain, sizeof(k->domain));
	name->rule = k->rule;
	memcpy(name->id.b, k->id, sizeof(k->id));
	name->length = get_be(length, 8);
}

struct lister {
	const struct record_key *after; /* NULL: none */
	struct engine_entry *out;
	uint32_t count, max;
};

static bool name_take(void *ctx, const char *key, size_t key_size, const char *value,
		      size_t value_size)
{
	struct lister *l = ctx;
	const struct record_key *k = (const struct record_key *)key;
	const struct record_value *v = (const struct record_value *)value;

	if (key_size != sizeof(*k) || value_size != sizeof(*v) ||
	    (l->after != NULL && memcmp(k, l->after, sizeof(*k)) == 0))
		return true;
	record_name(k, v->length, &l->out[l->count].name);
	l->out[l->count].stored = get_be(v->stored, sizeof(v->stored));
	return ++l->count < l->max;
}

int rocks_list(struct engine *e, const uint32_t *domain, const struct blob_name *after,
	       struct engine_entry *out, uint32_t max)
{
	struct rocks *r = (struct rocks *)e;
	const struct blob_name first = {.domain = domain != NULL ? *domain : 0};
	const struct record_key from = record_key(after != NULL ? after : &first);
	struct lister l = {.after = after != NULL ? &from : NULL, .out = out, .max = max};
	int ret = each_key(r, r->family[FAMILY_RECORDS], &from, sizeof(from),
			   domain != NULL ? sizeof(from.domain) : 0, name_take, &l);

	return ret < 0 ? ret : (int)l.count;
}

/* ---- ages ---- */

struct ager {
	struct engine_entry *out;
	uint32_t count, max;
};

/* Keys that differ in what stands before the time. */
static bool age_take(void *ctx, const char *key, size_t key_size, const char *value,
		     size_t value_size)
{
	struct ager *a = ctx;
	struct engine_entry *out = &a->out[a->count];
	const size_t before = key[0] == 't' ? offsetof(struct time_key, stored)
					    : offsetof(struct domain_key, stored);

	if (key_size != before + 8 + sizeof(struct record_key) || value_size != 8)
		return true;
	out->stored = get_be((const uint8_t *)key + before, 8);
	record_name((const struct record_key *)(key + before + 8), (const uint8_t *)value,
		    &out->name);
	return ++a->count < a->max;
}

int rocks_oldest(struct engine *e, const uint32_t *domain, struct engine_entry *out, uint32_t max)
{
	struct rocks *r = (struct rocks *)e;
	struct ager a = {.out = out, .max = max};
	struct domain_key from = {.d = domain != NULL ? 'd' : 't'};
	size_t same = 1;
	int ret;

	if (domain != NULL) {
		put_be(from.domain, *domain, sizeof(from.domain));
		same += sizeof(from.domain);
	}
	ret = each_key(r, r->family[FAMILY_DEFAULT], &from, same, same, age_take, &a);
	return ret < 0 ? ret : (int)a.count;
}

/* ---- uploads ---- */

bool upload_of(const char *key, size_t key_size, const char *value, size_t value_size,
	       struct engine_upload *out)
{
	const struct body_key *k = (const struct body_key *)key;
	const struct open_value *v = (const struct open_value *)value;

	if (key_size != sizeof(*k) || value_size != sizeof(*v))
		return false;
	*out = (struct engine_upload){
		.body = get_be(k->body, sizeof(k->body)),
		.attempt = get_be(v->attempt, sizeof(v->attempt)),
		.seen = get_be(v->seen, sizeof(v->seen)),
		.blocks = (uint32_t)get_be(v->blocks, sizeof(v->blocks)),
		.kept = true,
	};
	record_name(&v->record, v->length, &out->name);
	return true;
}

struct upload_reader {
	void (*fn)(void *ctx, const struct engine_upload *u);
	void *ctx;
};

static bool upload_take(void *ctx, const char *key, size_t key_size, const char *value,
			size_t value_size)
{
	const struct upload_reader *reader = ctx;
	struct engine_upload u;

	if (upload_of(key, key_size, value, value_size, &u))
		reader->fn(reader->ctx, &u);
	return true;
}

int rocks_uploads(struct engine *e, void (*fn)(void *ctx, const struct engine_upload *u), void *ctx)
{
	struct rocks *r = (struct rocks *)e;
	struct upload_reader reader = {.fn = fn, .ctx = ctx};

	return each_key(r, r->family[FAMILY_DEFAULT], "o", 1, 1, upload_take, &reader);
}

/* ---- notes ---- */

static int note_key(const char *name, char key[64])
{
	return snprintf(key, 64, "n%s", name);
}

int rocks_note(struct engine *e, const char *name, const void *bytes, size_t size)
{
	struct rocks *r = (struct rocks *)e;
	rocksdb_writebatch_t *b = rocksdb_writebatch_create();
	char key[64];
	const size_t key_size = (size_t)note_key(name, key);

	if (size > 0)
		batch_put(b, r->family[FAMILY_DEFAULT], key, key_size, bytes, size);
	else
		batch_delete(b, r->family[FAMILY_DEFAULT], key, key_size);
	return batch_write(r, b, false);
}

int rocks_recall(struct engine *e, const char *name, void **bytes, size_t *size)
{
	struct rocks *r = (struct rocks *)e;
	rocksdb_pinnableslice_t *slice;
	char key[64];
	const size_t key_size = (size_t)note_key(name, key);
	const char *value;
	int ret = rocks_get(r, r->family[FAMILY_DEFAULT], key, key_size, &slice);

	if (ret < 0)
		return ret;
	value = rocksdb_pinnableslice_value(slice, size);
	*bytes = malloc(*size > 0 ? *size : 1);
	if (*bytes != NULL)
		memcpy(*bytes, value, *size);
	rocksdb_pinnableslice_destroy(slice);
	return *bytes != NULL ? 0 : -ENOMEM;
}
