/* SPDX-License-Identifier: BSD-3-Clause
 * File names that come from the network.
 */
#ifndef CLIENT_LIB_NAME_H
#define CLIENT_LIB_NAME_H

#include "wire/frame.h"

#define NAME_BYTES 255 /* what Linux's file systems take */

/* Bytes of the file name at the head of metadata. */
size_t name_given(const uint8_t *meta, size_t len);
/* From metadata (file name, NUL, MIME type) a name that is safe in any
 * directory: the last path component, without leading dots, control characters
 * or invalid UTF-8. One is made from the identifier if nothing is left.
 * out: NAME_BYTES + 1 bytes. */
void name_sanitise(const uint8_t *meta, size_t len, const struct ident *id, char *out);
/* The MIME type in metadata, "" if absent or not printable ASCII.
 * out: META_MAX + 1 bytes. */
void name_mime(const uint8_t *meta, size_t len, char *out);
/* The name to try when number - 1 others are taken: number 0 is the name
 * itself, else " (number)" goes before the extension, and what is in front of it is
 * shortened, by whole characters, as far as it must be. out: NAME_BYTES + 1 bytes. */
void name_number(const char *name, uint32_t number, char *out);

#endif
