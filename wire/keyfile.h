/* SPDX-License-Identifier: BSD-3-Clause
 * Key files. All are text, and refused if group or others may read them.
 */
#ifndef WIRE_KEYFILE_H
#define WIRE_KEYFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEY_SET_SIZE 32		/* bytes of each key */
#define KEY_SET_GENERATIONS 4	/* in one file */
#define KEY_SET_ID_MAX 0xffffff /* 24 bits: the header's key field is id << 8 | generation */

/* The keys of a domain or of a pair of relays: one line a generation,
 *
 *   ID.GENERATION 64HEXDIGITS
 *
 * the newest first; '#' begins a comment. Who sends uses the first, who checks
 * takes them all: that is the overlap of a rotation. */
struct key_set {
	uint32_t id; /* 1..KEY_SET_ID_MAX, the same in all lines */
	uint32_t count;
	struct {
		uint8_t generation; /* 0..255, no two alike */
		uint8_t key[KEY_SET_SIZE];
	} key[KEY_SET_GENERATIONS];
};

/* The header's key field for generation i of the set. */
static inline uint32_t key_set_field(const struct key_set *s, uint32_t i)
{
	return s->id << 8 | s->key[i].generation;
}

/* Reads a key file of exactly `size` bytes written as hex (white space at the
 * end allowed). Returns 0 or -errno: -EPERM group or others may read it,
 * -EINVAL not such a key. */
int key_file_read(const char *path, uint8_t *key, size_t size);
/* Likewise for a key set. */
int key_set_read(const char *path, struct key_set *s);
/* Writes `text` to a file of mode 0600, at once or not at all. replace: the file
 * may exist. Returns 0 or -errno: -EEXIST. */
int key_file_write(const char *path, const char *text, bool replace);
/* The set as the file has it, into buf (at least KEY_SET_TEXT bytes); returns buf. */
#define KEY_SET_TEXT 512
const char *key_set_text(const struct key_set *s, char *buf);

#endif
