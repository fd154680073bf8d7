/* SPDX-License-Identifier: BSD-3-Clause */
#include "pktgen-scripts/catalogue.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/content.h"
#include "wire/frame.h"

static int catalogue_add(struct catalogue *c, size_t *room, const struct catalogue_entry *e)
{
	if (c->count == *room) {
		size_t more = *room ? 2 * *room : 1024;
		void *p = reallocarray(c->entries, more, sizeof(*e));

		if (p == NULL)
			return -ENOMEM;
		c->entries = p;
		*room = more;
	}
	c->entries[c->count++] = *e;
	return 0;
}

/* PULL needs a chunk to ask for, so a blob has at least one byte. */
static int line_parse(const char *line, struct catalogue_entry *e)
{
	char hex[IDENT_HEX_MAX];
	int end = 0;

	if (sscanf(line, "%64s %" SCNu64 " %n", hex, &e->length, &end) != 2 || line[end] != '\0' ||
	    ident_from_hex(hex, &e->id) < 0 || e->length < 1 || e->length > BLOB_MAX_LENGTH)
		return -EINVAL;
	return 0;
}

int catalogue_read(struct catalogue *c, const char *path)
{
	struct catalogue_entry e;
	char line[256];
	size_t room = 0;
	FILE *f = fopen(path, "re");
	int ret = 0;

	*c = (struct catalogue){0};
	if (f == NULL)
		return -errno;
	while (ret == 0 && fgets(line, sizeof(line), f) != NULL) {
		ret = line_parse(line, &e);
		if (ret < 0)
			fprintf(stderr, "%s:%zu: not an identifier and a length\n", path,
				c->count + 1);
		else
			ret = catalogue_add(c, &room, &e);
	}
	if (ret == 0 && ferror(f))
		ret = -EIO;
	fclose(f);
	return ret;
}

int catalogue_generate(struct catalogue *c, size_t count, uint64_t seed, uint8_t rule,
		       uint64_t length)
{
	int ret = 0;

	*c = (struct catalogue){.entries = calloc(count, sizeof(*c->entries)), .count = count};
	if (c->entries == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count && ret == 0; i++) {
		c->entries[i].length = length;
		ret = content_ident(seed, i, rule, length, &c->entries[i].id);
	}
	return ret;
}

int catalogue_weigh(struct catalogue *c, double theta)
{
	double sum = 0;

	if (theta == 0)
		return 0;
	c->cumulative = calloc(c->count, sizeof(*c->cumulative));
	if (c->cumulative == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < c->count; i++)
		c->cumulative[i] = sum += pow((double)(i + 1), -theta);
	for (size_t i = 0; i < c->count; i++)
		c->cumulative[i] /= sum;
	return 0;
}

void catalogue_free(struct catalogue *c)
{
	free(c->entries);
	free(c->cumulative);
}

const struct catalogue_entry *catalogue_pick(const struct catalogue *c, double x)
{
	size_t low = 0, high = c->count - 1;

	if (c->cumulative == NULL)
		return &c->entries[(size_t)(x * (double)c->count)];
	/* the first entry whose cumulative share is above x */
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (c->cumulative[middle] > x)
			high = middle;
		else
			low = middle + 1;
	}
	return &c->entries[low];
}
