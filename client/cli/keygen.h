/* SPDX-License-Identifier: BSD-3-Clause
 * Making keys: what `oncewire keygen` writes into its files.
 */
#ifndef CLIENT_CLI_KEYGEN_H
#define CLIENT_CLI_KEYGEN_H

#include "wire/keyfile.h"

#define KEYGEN_SIZE 32
#define KEYGEN_TEXT (2 * KEYGEN_SIZE + 2) /* hex digits, a line end and a NUL */

/* A set of one key, generation 1. id: 1..KEY_SET_ID_MAX, or 0 for a random one. */
void keygen_set(struct key_set *s, uint32_t id);
/* Puts a new generation on top; of the others only the newest stays. */
void keygen_rotate(struct key_set *s);
/* Drops all generations but the newest. */
void keygen_retire(struct key_set *s);

/* KEYGEN_SIZE random bytes as the text of a key file. Returns buf. */
const char *keygen_secret(char buf[KEYGEN_TEXT]);
/* Likewise an X25519 secret key. */
const char *keygen_identity(char buf[KEYGEN_TEXT]);
/* The public key of one, in hex. Returns 0, or -EINVAL for a key that has none. */
int keygen_public(const uint8_t secret[KEYGEN_SIZE], char buf[KEYGEN_TEXT]);

#endif
