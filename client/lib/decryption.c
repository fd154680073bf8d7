/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/lib/decryption.h"

int decryption_begin(struct decryption *d, const uint8_t key[CONTENT_KEY_SIZE], uint64_t length,
		     const uint8_t *meta, size_t meta_len)
{
	uint64_t plain;
	int ret;

	memset(d, 0, sizeof(*d));
	if (!content_length(length, &plain))
		return -EBADMSG;
	content_init(&d->content, key, plain);
	ret = meta_open(&d->content, meta, meta_len, d->meta);
	if (ret < 0)
		return ret;
	d->meta_len = (uint8_t)ret;
	return 0;
}

static int header_check(struct decryption *d, struct part *p)
{
	uint8_t header[CONTENT_HEADER];
	int ret = part_read(p, header, sizeof(header), 0);

	if (ret < 0)
		return ret;
	return memcmp(header, d->content.header, sizeof(header)) == 0 ? 0 : -EBADMSG;
}

static int segment_run(struct decryption *d, struct part *p, uint8_t *scratch)
{
	size_t len = segment_length(&d->content, d->done);
	struct iovec iov = {scratch, len};
	int ret;

	ret = part_read(p, scratch, len + SEGMENT_TAG, CONTENT_HEADER + d->done * SEGMENT_SEALED);
	if (ret < 0)
		return ret;
	if (!segment_open(&d->content, d->done, scratch, scratch))
		return -EBADMSG;
	ret = part_write(p, &iov, 1, d->done * SEGMENT_SIZE);
	if (ret == 0)
		d->done++;
	return ret;
}

int decryption_run(struct decryption *d, struct part *p, uint8_t *scratch, uint32_t segments)
{
	int ret = d->done == 0 ? header_check(d, p) : 0;
	uint32_t i;

	for (i = 0; ret == 0 && i < segments && d->done < content_segments(&d->content); i++)
		ret = segment_run(d, p, scratch);
	if (ret < 0)
		return ret;
	if (d->done < content_segments(&d->content))
		return 1;
	return part_truncate(p, d->content.length);
}

void decryption_free(struct decryption *d)
{
	if (d == NULL)
		return;
	content_wipe(&d->content);
	free(d);
}
