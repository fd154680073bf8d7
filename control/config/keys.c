/* SPDX-License-Identifier: BSD-3-Clause
 * The key files that a configuration names.
 */
#include <errno.h>

#include "control/config/reader.h"

/* What one of the readers of wire/keyfile.h returned. kind: keygen's word. */
static void key_file_report(struct problems *p, int line, const char *header, const char *key,
			    const char *path, const char *kind, int rc)
{
	if (rc == -EPERM)
		problem(p, line, header, key, "%s may be read by others; run: chmod 0600 %s", path,
			path);
	else if (rc == -EINVAL)
		problem(p, line, header, key,
			"%s does not hold a %s key; make one with: oncewire keygen %s FILE", path,
			kind, kind);
	else if (rc == -ENOENT)
		problem(p, line, header, key,
			"%s does not exist; make it with: oncewire keygen %s %s", path, kind, path);
	else if (rc < 0)
		problem(p, line, header, key,
			"%s cannot be read: %s; check the path, its owner and its mode", path,
			strerror(-rc));
}

static void set_load(struct problems *p, int line, const char *header, const char *path,
		     const char *kind, struct key_set *keys)
{
	key_file_report(p, line, header, "key_file", path, kind, key_set_read(path, keys));
}

static void peers_load(struct problems *p, struct config *c)
{
	char header[CONFIG_HEADER];

	for (uint32_t i = 0; i < c->peer_count; i++) {
		struct peer_config *peer = &c->peers[i];

		snprintf(header, sizeof(header), "peer %s", peer->name);
		set_load(p, peer->key_line, header, peer->key_file, "pair", &peer->keys);
		for (uint32_t j = 0; j < i && peer->keys.id; j++)
			if (c->peers[j].keys.id == peer->keys.id)
				problem(p, peer->key_line, header, "key_file",
					"%s has the number %u, as has [peer %s]; give each pair a "
					"number of its own: oncewire keygen pair FILE",
					peer->key_file, peer->keys.id, c->peers[j].name);
	}
}

static void domains_load(struct problems *p, struct config *c)
{
	char header[CONFIG_HEADER];

	for (uint32_t i = 0; i < c->domain_count; i++) {
		struct domain_config *d = &c->domains[i];

		snprintf(header, sizeof(header), "domain %s", d->name);
		set_load(p, d->key_line, header, d->key_file, "domain", &d->keys);
		for (uint32_t j = 0; j < i && d->keys.id; j++)
			if (c->domains[j].keys.id == d->keys.id)
				problem(p, d->key_line, header, "key_file",
					"%s has the number %u, as has [domain %s]; give each "
					"domain a number of its own: oncewire keygen domain FILE",
					d->key_file, d->keys.id, c->domains[j].name);
	}
}

int config_load_keys(const char *path, struct config *c, FILE *err)
{
	struct problems p = {.path = path, .err = err};

	key_file_report(&p, c->master_key_line, "relay", "master_key_file", c->master_key_file,
			"master",
			key_file_read(c->master_key_file, c->master_key, sizeof(c->master_key)));
	if (c->upstream.addr.type != ADDR_NONE)
		set_load(&p, c->upstream.key_line, "upstream", c->upstream.key_file, "pair",
			 &c->upstream.keys);
	peers_load(&p, c);
	domains_load(&p, c);
	return p.count ? -EINVAL : 0;
}
