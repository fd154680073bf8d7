/* SPDX-License-Identifier: BSD-3-Clause
 * Key files. What is taken is within bounds, and reads the same once written out.
 */
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fuzz/check.h"
#include "wire/keyfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct file {
	int fd;
	char path[32];
};

static struct file file_make(const void *bytes, size_t len)
{
	struct file f = {.fd = memfd_create("keys", MFD_CLOEXEC)};

	check(f.fd >= 0 && fchmod(f.fd, 0600) == 0);
	check(write(f.fd, bytes, len) == (ssize_t)len);
	snprintf(f.path, sizeof(f.path), "/proc/self/fd/%d", f.fd);
	return f;
}

static void check_set(const struct key_set *s)
{
	char text[KEY_SET_TEXT];
	struct key_set again;
	struct file f;

	check(s->id >= 1 && s->id <= KEY_SET_ID_MAX);
	check(s->count >= 1 && s->count <= KEY_SET_GENERATIONS);
	key_set_text(s, text);
	f = file_make(text, strlen(text));
	check(key_set_read(f.path, &again) == 0);
	check(again.id == s->id && again.count == s->count);
	check(memcmp(again.key, s->key, s->count * sizeof(s->key[0])) == 0);
	close(f.fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct file f = file_make(bytes, len);
	uint8_t key[32];
	struct key_set s;

	if (key_set_read(f.path, &s) == 0)
		check_set(&s);
	key_file_read(f.path, key, sizeof(key));
	close(f.fd);
	return 0;
}
