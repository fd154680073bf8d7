/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/lib/member.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#define PATH_SHOWN 80 /* bytes of it in a message */

static int read_fault(struct fault *f, const char *path, int error)
{
	switch (error) {
	case -EPERM:
		return fault_set(f, OW_FAILED,
				 "domain key %s may be read by others; chmod 600 it, and replace "
				 "the key if they did",
				 path);
	case -EINVAL:
		return fault_set(f, OW_FAILED,
				 "%s is not a domain key; get the domain's from who runs the "
				 "relay, or make one: oncewire keygen domain FILE",
				 path);
	default:
		return fault_set(f, OW_FAILED, "cannot read domain key %s: %s", path,
				 strerror(-error));
	}
}

int member_read(struct member *m, const char *path, struct fault *f)
{
	struct key_set set;
	int ret;

	memset(m, 0, sizeof(*m));
	if (path == NULL)
		return OW_OK;
	if (snprintf(m->path, sizeof(m->path), "%s", path) >= (int)sizeof(m->path))
		return read_fault(f, path, -ENAMETOOLONG);
	ret = key_set_read(path, &set);
	if (ret < 0)
		return read_fault(f, path, ret);
	m->key = key_set_field(&set, 0);
	domain_keys_derive(&m->keys, set.key[0].key);
	sodium_memzero(&set, sizeof(set));
	return OW_OK;
}

const char *member_text(const struct member *m, char *buf)
{
	size_t len = strlen(m->path), skip = len > PATH_SHOWN ? len - PATH_SHOWN : 0;

	/* the end of a path tells more than its beginning */
	snprintf(buf, MEMBER_TEXT_MAX, "generation %u of domain %u (%s%.*s)", m->key & 0xff,
		 m->key >> 8, skip > 0 ? "..." : "", PATH_SHOWN, m->path + skip);
	return buf;
}
