/* SPDX-License-Identifier: BSD-3-Clause
 * Identifiers: what a blob is called, computed from its bytes by a rule.
 */
#ifndef WIRE_IDENT_H
#define WIRE_IDENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IDENT_SIZE 32
#define IDENT_HEX_MAX (2 * IDENT_SIZE + 1)

enum rule {
	RULE_SHA256 = 1, /* the SHA-256 digest */
	RULE_XXH3 = 2,	 /* XXH3-128, canonical, then 16 zero bytes: closed networks only */
	RULE_COUNT
};

struct ident {
	uint8_t b[IDENT_SIZE];
};

bool ident_equal(const struct ident *a, const struct ident *b);
/* Lower-case hex into buf (at least IDENT_HEX_MAX bytes); returns buf. */
const char *ident_hex(const struct ident *id, char *buf);
/* Returns 0, or -EINVAL unless text is exactly 64 hex digits. */
int ident_from_hex(const char *text, struct ident *id);

/* NULL for a rule that does not exist. */
const char *rule_name(uint8_t rule);
/* 0 for a name that does not exist. */
uint8_t rule_from_name(const char *name);

/* Streaming computation. */
struct ident_state;
/* NULL: unknown rule or no memory. */
struct ident_state *ident_begin(uint8_t rule);
void ident_update(struct ident_state *s, const void *data, size_t len);
/* Another one that has had the same; or NULL: no memory. */
struct ident_state *ident_copy(const struct ident_state *s);
/* The identifier of what has come so far; it goes on after that. False: no memory. */
bool ident_peek(const struct ident_state *s, struct ident *out);
/* May be called once; the state must still be freed. */
void ident_final(struct ident_state *s, struct ident *out);
void ident_free(struct ident_state *s);

#endif
