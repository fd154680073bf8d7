/* SPDX-License-Identifier: BSD-3-Clause
 * The ends of a delivery: whether it can be taken, hashing, decryption, and the
 * file put under its name.
 */
#include <errno.h>
#include <stdlib.h>

#include <sodium.h>

#include "client/lib/name.h"
#include "client/lib/twin.h"

#define DECRYPT_SEGMENTS 64 /* in one call */
#define WRONG_MOST 2	    /* times that what is stored may be wrong */

/* The metadata as the source gave it. */
static const uint8_t *meta_plain(const struct delivery *d, size_t *len)
{
	*len = d->decryption != NULL ? d->decryption->meta_len : d->meta_len;
	return d->decryption != NULL ? d->decryption->meta : d->meta;
}

void delivery_fail(struct ow_receiver *r, struct delivery *d, const char *doing, int error)
{
	char name[NAME_BYTES + 1];
	size_t meta_len;
	const uint8_t *meta = meta_plain(d, &meta_len);

	name_sanitise(meta, meta_len, &d->id, name);
	receiver_warn(r, "cannot %s \"%s\" in %s: %s; make that possible and have it sent again",
		      doing, name, r->inbox.path, strerror(-error));
	delivery_end(r, d, REFUSE_TARGET_FAILED);
}

/* Ended, because it cannot be decrypted. */
static void delivery_decline(struct ow_receiver *r, struct delivery *d)
{
	char relay[ADDR_TEXT_MAX], ours[RECIPIENT_TEXT];

	addr_text(&d->peer->addr, relay);
	if (r->has_identity)
		receiver_warn(r,
			      "declined a file from relay %s: it is encrypted for another "
			      "identity; have it sent to recipient %s",
			      relay, recipient_text(&r->identity.recipient, ours));
	else
		receiver_warn(r,
			      "declined a file from relay %s: it is encrypted; to receive such "
			      "files name an identity (--identity FILE, made by `oncewire keygen "
			      "identity FILE`)",
			      relay);
	delivery_end(r, d, REFUSE_TARGET_DECLINED);
}

static void delivery_garbled(struct ow_receiver *r, struct delivery *d)
{
	char relay[ADDR_TEXT_MAX];

	receiver_warn(r,
		      "a file from relay %s cannot be decrypted with the key that came with it; "
		      "thrown away, have it sent again",
		      addr_text(&d->peer->addr, relay));
	delivery_end(r, d, REFUSE_TARGET_FAILED);
}

bool delivery_unseal(struct ow_receiver *r, struct delivery *d)
{
	uint8_t key[CONTENT_KEY_SIZE];
	int ret;

	if (!r->has_identity || !key_open(&r->identity, d->sealed_key, key)) {
		delivery_decline(r, d);
		return false;
	}
	d->decryption = malloc(sizeof(*d->decryption));
	ret = d->decryption == NULL
		      ? -ENOMEM
		      : decryption_begin(d->decryption, key, d->length, d->meta, d->meta_len);
	sodium_memzero(key, sizeof(key));
	if (ret == -EBADMSG)
		delivery_garbled(r, d);
	else if (ret < 0)
		delivery_fail(r, d, "take", ret);
	return ret == 0;
}

/* The contiguous bytes that are not hashed, up to SETTLE_BYTES. */
static size_t backlog(const struct delivery *d)
{
	uint32_t chunk = (uint32_t)(d->hashed / CHUNK_SIZE);
	size_t bytes = 0;

	while (pullwin_has(d->window, chunk) && bytes + CHUNK_SIZE <= SETTLE_BYTES)
		bytes += chunk_length(d->length, chunk++);
	return bytes;
}

static int backlog_hash(struct ow_receiver *r, struct delivery *d)
{
	size_t i, bytes;
	int ret;

	for (i = 0; i < SETTLE_PIECES && d->hashed < d->length; i++) {
		bytes = backlog(d);
		if (bytes == 0)
			break;
		ret = part_read(&d->part, r->scratch, bytes, d->hashed);
		if (ret < 0)
			return ret;
		ident_update(d->hash, r->scratch, bytes);
		d->hashed += bytes;
	}
	r->settled += i;
	return 0;
}

/* Where files go now: 0, or -errno. */
static int inbox_find(struct ow_receiver *r, char *where)
{
	int ret = inbox_follow(&r->inbox, where);

	if (ret < 0)
		return ret;
	if (ret > 0 && !r->inbox_moved)
		receiver_warn(r, "%s was moved: files go on into it, at %s", r->inbox.path, where);
	r->inbox_moved = ret > 0;
	return 0;
}

void delivery_name_tell(struct delivery *d, const char *taken)
{
	size_t len = strlen(taken), meta_len;
	const uint8_t *meta = meta_plain(d, &meta_len);

	if (name_given(meta, meta_len) == len && (len == 0 || memcmp(meta, taken, len) == 0))
		return;
	if (d->decryption == NULL) {
		d->name_len = (uint8_t)len;
		memcpy(d->name, taken, len);
	} else if (len + SEALED_META_EXTRA <= META_MAX) {
		d->name_len = (uint8_t)meta_seal(&d->decryption->content, (const uint8_t *)taken,
						 len, d->name);
	}
}

static void delivery_publish(struct ow_receiver *r, struct delivery *d)
{
	char name[NAME_BYTES + 1], taken[NAME_BYTES + 1], mime[META_MAX + 1];
	char path[PATH_MAX + NAME_BYTES + 1];
	char id[IDENT_HEX_MAX], relay[ADDR_TEXT_MAX], where[PATH_MAX];
	size_t meta_len;
	const uint8_t *meta = meta_plain(d, &meta_len);
	uint64_t bytes = d->decryption != NULL ? d->decryption->content.length : d->length;
	const bool last = r->count != 0 && r->files + 1 >= r->count;
	int ret;

	name_sanitise(meta, meta_len, &d->id, name);
	ret = inbox_find(r, where);
	if (!last)
		twins_lend(r, d);
	if (ret == 0)
		ret = part_publish(&r->inbox, &d->part, name, taken);
	if (ret < 0) {
		delivery_fail(r, d, "store", ret);
		return;
	}
	snprintf(path, sizeof(path), "%s/%s", where, taken);
	name_mime(meta, meta_len, mime);
	delivery_name_tell(d, taken);
	addr_text(&d->peer->addr, relay);
	if (last)
		twins_share(r, d, taken);
	r->pulled += d->window != NULL ? d->length : 0;
	delivery_end(r, d, REFUSE_NONE);
	r->files++;
	if (r->file != NULL)
		r->file(r->ctx, &(struct ow_file){.id = ident_hex(&d->id, id),
						  .bytes = bytes,
						  .kept_bytes = d->kept,
						  .encrypted = d->encrypted,
						  .path = path,
						  .relay = relay,
						  .mime = mime});
}

/* All bytes are here, but they are not what the OFFER named. What a source was still uploading
 * the relay finds out, too: another attempt may follow. */
static void delivery_retry(struct ow_receiver *r, struct delivery *d, uint64_t now)
{
	char text[ADDR_TEXT_MAX];

	addr_text(&d->peer->addr, text);
	if (d->attempt != 0) {
		receiver_warn(r,
			      "what a source uploads to relay %s does not match its identifier; "
			      "thrown away",
			      text);
		d->spent = d->attempt;
		d->gone = d->newest == d->spent; /* there is no other one yet */
		d->attempt = d->gone ? 0 : d->newest;
		d->available = d->newest_available;
		d->state = d->gone ? DELIVERY_PAUSED : DELIVERY_PULLING;
		d->resume_at = NEVER;
	} else if (++d->wrong >= WRONG_MOST) {
		receiver_warn(r,
			      "relay %s delivered data that does not match its identifier; thrown "
			      "away",
			      text);
		delivery_end(r, d, REFUSE_TARGET_FAILED);
		return;
	}
	delivery_restart(r, d, now);
}

static void delivery_decrypt(struct ow_receiver *r, struct delivery *d)
{
	int ret = decryption_run(d->decryption, &d->part, r->scratch, DECRYPT_SEGMENTS);

	r->settled += DECRYPT_SEGMENTS * SEGMENT_SIZE / SETTLE_BYTES;
	if (ret == -EBADMSG)
		delivery_garbled(r, d);
	else if (ret < 0)
		delivery_fail(r, d, "decrypt", ret);
	else if (ret == 0)
		delivery_publish(r, d);
}

static void delivery_copy(struct ow_receiver *r, struct delivery *d, uint64_t now)
{
	const int ret = twin_copy(r, d);

	if (ret == -EBADMSG)
		twin_pull(r, d, now);
	else if (ret < 0)
		delivery_fail(r, d, "copy", ret);
	else if (ret == 0)
		delivery_publish(r, d);
}

void delivery_settle(struct ow_receiver *r, struct delivery *d, uint64_t now)
{
	struct ident id;

	if (d->copy_fd >= 0 && !receiver_finished(r)) {
		delivery_copy(r, d, now);
		return;
	}
	if (d->window == NULL || receiver_finished(r))
		return;
	if (d->verified) {
		delivery_decrypt(r, d);
		return;
	}
	if (d->error == 0)
		d->error = backlog_hash(r, d);
	if (d->error < 0) {
		delivery_fail(r, d, "write", d->error);
		return;
	}
	if (d->hashed < d->length)
		return;
	ident_final(d->hash, &id);
	d->verified = ident_equal(&id, &d->id);
	if (!d->verified)
		delivery_retry(r, d, now);
	else if (d->decryption == NULL)
		delivery_publish(r, d);
	else /* in its place */
		part_unkeep(&r->inbox, &d->part);
}
