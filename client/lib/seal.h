/* SPDX-License-Identifier: BSD-3-Clause
 * Who may read an encrypted file: the content key, sealed to the X25519 public
 * key of one recipient. Nobody learns from it who sealed it.
 */
#ifndef CLIENT_LIB_SEAL_H
#define CLIENT_LIB_SEAL_H

#include <stdbool.h>

#include "client/lib/content.h"
#include "wire/frame.h"

#define RECIPIENT_SIZE 32
#define RECIPIENT_TEXT (2 * RECIPIENT_SIZE + 1) /* as hex, and a NUL */

struct recipient {
	uint8_t key[RECIPIENT_SIZE];
};
struct identity {
	uint8_t secret[32];
	struct recipient recipient;
};

/* 0, or -EINVAL unless text is 64 hex digits. */
int recipient_parse(const char *text, struct recipient *r);
/* Lower-case hex into buf (at least RECIPIENT_TEXT bytes); returns buf. */
const char *recipient_text(const struct recipient *r, char *buf);

/* Reads the secret key of an identity from its key file. Returns 0 or -errno as
 * key_file_read() does. */
int identity_read(const char *path, struct identity *id);
void identity_wipe(struct identity *id);

/* 0, or -EINVAL: no such key can be sealed to. */
int key_seal(const uint8_t key[CONTENT_KEY_SIZE], const struct recipient *r,
	     uint8_t sealed[SEALED_KEY_SIZE]);
/* false: it was not sealed to this identity. */
bool key_open(const struct identity *id, const uint8_t sealed[SEALED_KEY_SIZE],
	      uint8_t key[CONTENT_KEY_SIZE]);

#endif
