/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>

#include "client/lib/name.h"

#define EXTENSION_BYTES 32 /* the longest that stays whole, with its dot */

/* Bytes of the well-formed UTF-8 character at s (RFC 3629: no overlong forms,
 * no surrogates, nothing above U+10FFFF), its value in *value; 0 if there is
 * none. */
static size_t utf8_length(const uint8_t *s, size_t len, uint32_t *value)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n, i;

	if (s[0] < 0x80) {
		*value = s[0];
		return 1;
	}
	n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc2 || s[0] > 0xf4 || n > len)
		return 0;
	*value = s[0] & (0x7fU >> n);
	for (i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*value = *value << 6 | (s[i] & 0x3fU);
	}
	if (*value < least[n] || *value > 0x10ffff || (*value >= 0xd800 && *value < 0xe000))
		return 0;
	return n;
}

/* Control characters (C0, DEL, C1) and marks that turn the direction of
 * writing, which can make a name look like another. */
static bool character_hostile(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f ||
	       (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

size_t name_given(const uint8_t *meta, size_t len)
{
	const uint8_t *nul = len > 0 ? memchr(meta, 0, len) : NULL;

	return nul != NULL ? (size_t)(nul - meta) : len;
}

void name_sanitise(const uint8_t *meta, size_t len, const struct ident *id, char *out)
{
	char hex[IDENT_HEX_MAX];
	size_t i, n, out_len = 0;
	uint32_t c;

	len = name_given(meta, len);
	for (i = len; i > 0 && meta[i - 1] != '/'; i--)
		;
	while (i < len && meta[i] == '.')
		i++;
	for (; i < len; i += n) {
		n = utf8_length(meta + i, len - i, &c);
		if (n == 0 || character_hostile(c)) {
			n = n == 0 ? 1 : n;
			if (out_len + 1 > NAME_BYTES)
				break;
			out[out_len++] = '_';
			continue;
		}
		if (out_len + n > NAME_BYTES)
			break;
		memcpy(out + out_len, meta + i, n);
		out_len += n;
	}
	out[out_len] = '\0';
	if (out_len == 0)
		snprintf(out, NAME_BYTES + 1, "%.16s", ident_hex(id, hex));
}

void name_mime(const uint8_t *meta, size_t len, char *out)
{
	size_t i, n, name = name_given(meta, len);

	out[0] = '\0';
	if (name == len)
		return;
	meta += name + 1;
	n = len - name - 1;
	for (i = 0; i < n; i++)
		if (meta[i] <= ' ' || meta[i] >= 0x7f)
			return;
	memcpy(out, meta, n);
	out[n] = '\0';
}

void name_number(const char *name, uint32_t number, char *out)
{
	const char *dot = strrchr(name, '.');
	char mark[16];
	size_t stem, room;

	if (number == 0) {
		snprintf(out, NAME_BYTES + 1, "%s", name);
		return;
	}
	snprintf(mark, sizeof(mark), " (%u)", number);
	/* a long "extension" is just a name with a dot in it */
	if (dot == NULL || dot == name || strlen(dot) > EXTENSION_BYTES)
		dot = name + strlen(name);
	room = NAME_BYTES - strlen(mark) - strlen(dot);
	stem = (size_t)(dot - name);
	if (stem > room)
		for (stem = room; stem > 0 && ((uint8_t)name[stem] & 0xc0) == 0x80;)
			stem--;
	snprintf(out, NAME_BYTES + 1, "%.*s%s%s", (int)stem, name, mark, dot);
}
