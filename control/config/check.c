/* SPDX-License-Identifier: BSD-3-Clause
 * What only the whole configuration can tell: keys that are missing, and
 * values that do not go together.
 */
#include <sys/un.h>

#include <rte_common.h>

#include "control/config/reader.h"
#include "control/base/memory.h"
#include "store/index.h"
#include "store/slab.h"

#define MIB_MASK ((UINT64_C(1) << 20) - 1)
#define SLAB_LEAST (UINT64_C(16) << 20)
#define SLAB_MOST (UINT64_C(1) << 46)
#define BLOB_SHARE 8192 /* bytes of slab for each descriptor */
#define BLOBS_LEAST UINT64_C(65536)

/* Keys that must be there, in a section that must be or is. */
static void required_check(struct reader *r)
{
	char header[CONFIG_HEADER];

	for (unsigned int i = 0; i < CONFIG_KEYS; i++) {
		const struct config_key *k = &config_keys[i];

		for (uint32_t n = 0; k->required && n < section_count(r, k->section); n++) {
			const struct section_seen *seen = section_seen(r, k->section, n);

			if (seen->key[i])
				continue;
			problem(&r->problems, seen->last ? seen->last : r->line,
				section_header(r, k->section, n, header), k->name,
				"is missing; add a line such as '%s = %s'", k->name, k->example);
		}
	}
}

static void relay_check(struct reader *r)
{
	const struct section_seen *seen = &r->section[SECTION_RELAY];
	struct config *c = r->config;
	unsigned int cpus = 0;

	if (c->instance[0] == '\0')
		strcpy(c->instance, role_name(c->role));
	if (c->admin_socket[0] == '\0')
		snprintf(c->admin_socket, sizeof(c->admin_socket), "/run/oncewire/%s.sock",
			 c->instance);
	if (c->store_path[0] == '\0')
		snprintf(c->store_path, sizeof(c->store_path), "/var/lib/oncewire/%s", c->instance);
	if (strlen(c->admin_socket) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		problem(&r->problems, section_line(seen, SECTION_RELAY, "admin_socket"), "relay",
			"admin_socket", "is too long for a socket; use a path below %zu characters",
			sizeof(((struct sockaddr_un *)0)->sun_path));
	while (cpus < CONFIG_WORKERS && c->worker_cpus[cpus] >= 0)
		cpus++;
	if (cpus && cpus != c->workers)
		problem(&r->problems, section_line(seen, SECTION_RELAY, "worker_cpus"), "relay",
			"worker_cpus",
			"names %u CPUs for %u workers; name one a worker, or set workers = %u",
			cpus, c->workers, cpus);
}

/* Bytes of the longest blob that can be kept. In RAM alone: whole extents, less their sums,
 * and so many pieces. */
static uint64_t longest_blob(const struct config *c)
{
	const uint64_t room = c->slab_size / EXTENT_SIZE * EXTENT_SUMS;
	const uint64_t longest = RTE_MIN((uint64_t)c->slab_blobs * PIECE_SIZE, BLOB_MAX_LENGTH);

	/* with an engine it passes through the slab, by the piece */
	return c->engine == ENGINE_MEMORY ? RTE_MIN(room, longest) : BLOB_MAX_LENGTH;
}

/* In whole MiB; without an answer from the kernel 1 GiB. */
static uint64_t slab_choose(void)
{
	uint64_t usable = memory_usable();

	if (usable == 0)
		return UINT64_C(1) << 30;
	return RTE_MIN(RTE_MAX(usable / 4 & ~MIB_MASK, SLAB_LEAST), SLAB_MOST);
}

static void store_choose(struct config *c)
{
	c->slab_chosen = c->slab_size == 0;
	if (c->slab_chosen)
		c->slab_size = slab_choose();
	if (c->slab_blobs == 0)
		c->slab_blobs = (uint32_t)RTE_MIN(RTE_MAX(c->slab_size / BLOB_SHARE, BLOBS_LEAST),
						  (uint64_t)INDEX_MAX_ENTRIES);
	if (c->max_blob == 0)
		c->max_blob = longest_blob(c);
}

static void store_check(struct reader *r)
{
	int line = section_line(&r->section[SECTION_STORE], SECTION_STORE, "max_blob");
	struct config *c = r->config;
	uint64_t longest;
	char max[24], slab[24];

	store_choose(c);
	longest = longest_blob(c);
	if (line && c->engine == ENGINE_MEMORY && c->max_blob > c->slab_size)
		problem(&r->problems, line, "store", "max_blob",
			"%s does not fit in slab_size, %s; lower it or raise slab_size",
			config_bytes_text(c->max_blob, max), config_bytes_text(c->slab_size, slab));
	if (c->max_blob > longest)
		c->max_blob = longest;
}

/* One end's address against this relay's own. */
static void remote_check(struct reader *r, int line, const char *section, const struct addr *a)
{
	const struct addr_pair *all = &r->config->listen;
	const struct addr *own = addr_pair_of(all, a->type);

	if (a->type == ADDR_NONE || addr_pair_any(all)->type == ADDR_NONE)
		return;
	if (own->type == ADDR_NONE)
		problem(&r->problems, line, section, "address",
			"is not of an IP version of listen; use the same one for both");
	else if (addr_equal(a, own))
		problem(&r->problems, line, section, "address",
			"is this relay's own; write the other relay's");
}

static void upstream_check(struct reader *r)
{
	const struct section_seen *seen = &r->section[SECTION_UPSTREAM];
	const struct config *c = r->config;

	if (!seen->last)
		return;
	if (c->role == ROLE_CENTRAL)
		problem(&r->problems, seen->last, "upstream", NULL,
			"a central relay asks nobody; remove the section, or set role = private");
	remote_check(r, section_line(seen, SECTION_UPSTREAM, "address"), "upstream",
		     &c->upstream.addr);
}

static void peers_check(struct reader *r)
{
	const struct config *c = r->config;
	char header[CONFIG_HEADER];

	if (c->peer_count && c->role == ROLE_PRIVATE)
		problem(&r->problems, r->peer[c->peer_count - 1].last, "peer", NULL,
			"a private relay is asked by nobody; remove the section, or set role = "
			"central");
	for (uint32_t i = 0; i < c->peer_count; i++)
		remote_check(r, section_line(&r->peer[i], SECTION_PEER, "address"),
			     section_header(r, SECTION_PEER, i, header), &c->peers[i].addr);
}

/* For the messages about key files, which are read later. */
static void key_lines_keep(struct reader *r)
{
	struct config *c = r->config;

	c->master_key_line =
		section_line(&r->section[SECTION_RELAY], SECTION_RELAY, "master_key_file");
	c->upstream.key_line =
		section_line(&r->section[SECTION_UPSTREAM], SECTION_UPSTREAM, "key_file");
	for (uint32_t i = 0; i < c->peer_count; i++)
		c->peers[i].key_line = section_line(&r->peer[i], SECTION_PEER, "key_file");
	for (uint32_t i = 0; i < c->domain_count; i++)
		c->domains[i].key_line = section_line(&r->domain[i], SECTION_DOMAIN, "key_file");
}

void config_check(struct reader *r)
{
	key_lines_keep(r);
	required_check(r);
	/* Cross checks need sound values: for one that is not, one problem is enough. */
	if (!r->bad[SECTION_STORE])
		store_check(r);
	if (r->config->role == 0 || r->bad[SECTION_RELAY])
		return;
	relay_check(r);
	upstream_check(r);
	peers_check(r);
}
