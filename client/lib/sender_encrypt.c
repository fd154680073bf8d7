/* SPDX-License-Identifier: BSD-3-Clause
 * A sender's encryption: its options, and the content key once that is known.
 */
#include <errno.h>

#include <sodium.h>

#include "client/lib/sender.h"
#include "wire/keyfile.h"

#define SEALED_META_MAX (META_MAX - SEALED_META_EXTRA)

static int secret_take(struct ow_sender *s, const char *path)
{
	int ret;

	if (path == NULL)
		return fault_set(&s->fault, OW_INVALID,
				 "shared encryption needs the domain's content key; name its file, "
				 "or use random encryption");
	ret = key_file_read(path, s->content_secret, sizeof(s->content_secret));
	if (ret == -EPERM)
		return fault_set(&s->fault, OW_FAILED,
				 "content key %s can be read by others; chmod 600 it", path);
	if (ret == -EINVAL)
		return fault_set(&s->fault, OW_FAILED,
				 "%s is not a content key: 64 hex digits; copy it from another "
				 "member of the domain",
				 path);
	if (ret < 0)
		return fault_set(&s->fault, OW_FAILED, "cannot read content key %s: %s", path,
				 strerror(-ret));
	return OW_OK;
}

static int recipient_take(struct ow_sender *s, const char *text)
{
	if (text == NULL)
		return fault_set(&s->fault, OW_INVALID,
				 "encryption needs the public key of the recipient's identity");
	if (recipient_parse(text, &s->recipient) < 0)
		return fault_set(&s->fault, OW_INVALID,
				 "recipient \"%.70s\" is not a public key; give the 64 hex digits "
				 "that `oncewire keygen identity` printed there",
				 text);
	return OW_OK;
}

int sender_encrypt_take(struct ow_sender *s, const struct ow_send_options *o)
{
	int ret;

	if (o->encrypt == 0 && o->recipient == NULL)
		return OW_OK;
	if (o->encrypt != OW_ENCRYPT_SHARED && o->encrypt != OW_ENCRYPT_RANDOM)
		return fault_set(&s->fault, OW_INVALID,
				 "there is a recipient to encrypt for, but encrypt is neither "
				 "shared nor random; choose one");
	s->encrypt = (uint8_t)o->encrypt;
	ret = recipient_take(s, o->recipient);
	if (ret == OW_OK && s->encrypt == OW_ENCRYPT_SHARED)
		ret = secret_take(s, o->content_key_file);
	if (ret < 0)
		return ret;
	if (s->meta_len > SEALED_META_MAX)
		return fault_set(&s->fault, OW_INVALID,
				 "encrypted, file name and MIME type may have %d bytes together; "
				 "give a shorter name",
				 SEALED_META_MAX - 1);
	return OW_OK;
}

/* The content key is known: from now on the blob is the ciphertext. */
static int encrypt_begin(struct ow_sender *s, const uint8_t *key, const struct ident *digest)
{
	uint8_t sealed[META_MAX];
	struct content content;
	int ret;

	ret = input_encrypt(&s->blob, key, digest);
	if (ret == -EFBIG)
		return fault_set(&s->fault, OW_FAILED,
				 "encrypted, the file is larger than 64 GiB; split it");
	if (ret < 0)
		return fault_set(&s->fault, OW_FAILED, "out of memory");
	if (key_seal(key, &s->recipient, s->sealed_key) < 0)
		return fault_set(&s->fault, OW_INVALID,
				 "nothing can be encrypted for this recipient key; ask for the "
				 "right one");
	content_init(&content, key, s->blob.file_length);
	s->meta_len = (uint8_t)meta_seal(&content, s->meta, s->meta_len, sealed);
	memcpy(s->meta, sealed, s->meta_len);
	content_wipe(&content);
	s->has_sealed = true;
	return OW_OK;
}

int sender_encrypt_open(struct ow_sender *s)
{
	uint8_t key[CONTENT_KEY_SIZE];
	int ret;

	s->hash_total = s->blob.length;
	if (s->encrypt == OW_ENCRYPT_SHARED)
		s->hash_total += content_sealed_length(s->blob.file_length);
	if (s->encrypt != OW_ENCRYPT_RANDOM)
		return OW_OK;
	randombytes_buf(key, sizeof(key));
	ret = encrypt_begin(s, key, NULL);
	sodium_memzero(key, sizeof(key));
	s->hash_total = s->blob.length;
	return ret;
}

int sender_encrypt_shared(struct ow_sender *s, const struct ident *digest)
{
	uint8_t key[CONTENT_KEY_SIZE];
	int ret;

	content_key_shared(s->content_secret, digest, s->blob.file_length, key);
	ret = encrypt_begin(s, key, digest);
	sodium_memzero(key, sizeof(key));
	return ret;
}
