/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/lib/twin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* No source repeats its SEND any more, each of which would have it offered. */
static bool abandoned(const struct delivery *d, uint64_t now)
{
	return now - d->offered >= STALLED;
}

static bool waits_for(const struct delivery *d, const struct delivery *lead)
{
	return d != lead && d->waits && d->peer == lead->peer;
}

/* Would the file be the same one, under the same name? What is encrypted is encrypted anew each
 * time it is offered, but for the content. */
static bool same_file(const struct delivery *a, const struct delivery *b)
{
	const struct decryption *x = a->decryption, *y = b->decryption;

	if (x == NULL || y == NULL)
		return x == y && a->meta_len == b->meta_len &&
		       memcmp(a->meta, b->meta, a->meta_len) == 0;
	return memcmp(x->content.header, y->content.header, CONTENT_HEADER) == 0 &&
	       x->meta_len == y->meta_len && memcmp(x->meta, y->meta, x->meta_len) == 0;
}

/* Nobody has it offered any more, but whoever has d offered wants the same. */
static bool inherits(const struct delivery *lead, const struct delivery *d, uint64_t now)
{
	return abandoned(lead, now) && same_file(lead, d);
}

static bool moves(const struct delivery *d, uint64_t now)
{
	return pullwin_complete(d->window) || now - d->window->progress < STALLED;
}

static struct delivery *lead_find(struct ow_receiver *r, const struct delivery *d, uint64_t now)
{
	struct delivery *l = deliveries_of_blob(&r->deliveries, d);

	for (; l != NULL; l = deliveries_next_of_blob(l))
		if (l != d && l->window != NULL && l->peer == d->peer &&
		    (moves(l, now) || inherits(l, d, now)))
			return l;
	return NULL;
}

/* The lead goes on for d's source, as d; d itself is gone. */
static void lead_inherit(struct ow_receiver *r, struct delivery *lead, struct delivery *d)
{
	const struct delivery from = *d;

	delivery_forget(r, d);
	deliveries_rename(&r->deliveries, lead, from.transfer, from.leg);
	lead->ticket = from.ticket;
	lead->meta_len = from.meta_len;
	memcpy(lead->meta, from.meta, sizeof(lead->meta));
	memcpy(lead->sealed_key, from.sealed_key, sizeof(lead->sealed_key));
	lead->lifetime = from.lifetime;
	lead->offered = from.offered;
}

/* Each byte that came is copied once at most; with what the lead will have brought. */
static bool copy_allowed(const struct ow_receiver *r, const struct delivery *d,
			 const struct delivery *lead)
{
	return r->copied + d->length <= r->pulled + lead->length;
}

bool twin_wait(struct ow_receiver *r, struct delivery *d, uint64_t now, struct delivery **out)
{
	struct delivery *lead = lead_find(r, d, now);
	const struct offer newest = {.attempt = d->newest, .available = d->newest_available};

	*out = d;
	if (lead == NULL || d->spoilt)
		return false;
	d->lent = delivery_bytes(lead);
	if (!inherits(lead, d, now))
		return copy_allowed(r, d, lead);
	lead_inherit(r, lead, d);
	deliveries_touch(&r->deliveries, lead);
	delivery_offered(r, lead, &newest, now);
	delivery_unpause(lead, &newest);
	*out = lead;
	return true;
}

/* ---- the copy ---- */

/* Without a descriptor it goes on waiting, for another one's file or its own. */
static void twin_begin(struct ow_receiver *r, struct delivery *t, const struct part *lead)
{
	const int fd = fcntl(lead->fd, F_DUPFD_CLOEXEC, 0);
	int ret = fd < 0 ? -errno : part_open(&r->inbox, &t->part);

	if (delivery_crowded(r, ret)) {
		if (fd >= 0)
			close(fd);
		return;
	}
	deliveries_begun(&r->deliveries, t);
	deliveries_touch(&r->deliveries, t);
	t->copy_fd = fd;
	r->copied += t->length;
	t->hashed = 0;
	t->kept = t->length;
	t->hash = ident_begin(t->rule);
	if (ret == 0 && t->hash == NULL)
		ret = -ENOMEM;
	if (ret < 0)
		delivery_fail(r, t, "copy", ret);
}

void twins_lend(struct ow_receiver *r, const struct delivery *d)
{
	struct delivery *t = deliveries_of_blob(&r->deliveries, d), *next;

	for (; t != NULL; t = next) {
		next = deliveries_next_of_blob(t); /* it may end */
		if (waits_for(t, d) && copy_allowed(r, t, d))
			twin_begin(r, t, &d->part);
	}
}

void twins_share(struct ow_receiver *r, const struct delivery *d, const char *taken)
{
	struct delivery *t = deliveries_of_blob(&r->deliveries, d), *next;

	for (; t != NULL; t = next) {
		next = deliveries_next_of_blob(t);
		if (!waits_for(t, d) || !same_file(t, d))
			continue;
		delivery_name_tell(t, taken);
		delivery_end(r, t, REFUSE_NONE);
	}
}

static ssize_t copy_read(int fd, void *bytes, size_t len, uint64_t offset)
{
	ssize_t n;

	do
		n = pread(fd, bytes, len, (off_t)offset);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n == 0 ? -EBADMSG : n;
}

/* The file has a name since, and who found it may have written to it. What was encrypted has its
 * identifier of other bytes. */
static int copy_check(struct delivery *d)
{
	struct ident id;

	close(d->copy_fd);
	d->copy_fd = -1;
	ident_final(d->hash, &id);
	return d->decryption != NULL || ident_equal(&id, &d->id) ? 0 : -EBADMSG;
}

int twin_copy(struct ow_receiver *r, struct delivery *d)
{
	const uint64_t length = d->decryption != NULL ? d->decryption->content.length : d->length;

	for (uint32_t i = 0; i < SETTLE_PIECES && d->hashed < length; i++) {
		const uint64_t rest = length - d->hashed;
		ssize_t n = copy_read(d->copy_fd, r->scratch,
				      rest < SETTLE_BYTES ? (size_t)rest : SETTLE_BYTES, d->hashed);
		struct iovec iov = {r->scratch, (size_t)n};
		int ret = n < 0 ? (int)n : part_write(&d->part, &iov, 1, d->hashed);

		if (ret < 0)
			return ret;
		ident_update(d->hash, r->scratch, (size_t)n);
		d->hashed += (uint64_t)n;
		r->settled++;
	}
	return d->hashed < length ? 1 : copy_check(d);
}

void twin_pull(struct ow_receiver *r, struct delivery *d, uint64_t now)
{
	if (d->copy_fd >= 0)
		close(d->copy_fd);
	d->copy_fd = -1;
	d->spoilt = true;
	r->copied -= d->length;
	d->kept = 0;
	ident_free(d->hash);
	d->hash = NULL;
	part_discard(&r->inbox, &d->part);
	delivery_begin(r, d, now);
}
