/* SPDX-License-Identifier: BSD-3-Clause
 * The configuration file. What is refused is said line by line; what is taken
 * lies within the table's limits.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "control/config/options.h"
#include "tests/fuzz/check.h"

#define FIELD(c, k, type) ((const type *)((const uint8_t *)(c) + (k)->offset))

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct config config; /* large */

/* Each line: FILE:LINE: what is wrong; what to do. */
static void check_messages(const char *path, const char *messages)
{
	size_t head = strlen(path);

	check(*messages != '\0');
	while (*messages) {
		const char *end = strchr(messages, '\n');

		check(end && strncmp(messages, path, head) == 0 && messages[head] == ':');
		check(messages[head + 1] >= '1' && messages[head + 1] <= '9');
		messages = end + 1;
	}
}

static void check_value(const struct config_key *k, const void *base)
{
	switch (k->type) {
	case TYPE_COUNT:
		check(*FIELD(base, k, uint32_t) >= k->min && *FIELD(base, k, uint32_t) <= k->max);
		break;
	case TYPE_BYTES:
		check(*FIELD(base, k, uint64_t) <= k->max);
		break;
	case TYPE_LABEL:
	case TYPE_PATH:
	case TYPE_PORT:
		check(memchr(FIELD(base, k, char), '\0', k->size) != NULL);
		break;
	case TYPE_RANGES:
		check(FIELD(base, k, struct policy)->count <= POLICY_RANGES);
		break;
	default:
		break;
	}
}

static void check_named(const struct config_key *k)
{
	for (uint32_t i = 0; k->section == SECTION_PEER && i < config.peer_count; i++)
		check_value(k, &config.peers[i]);
	for (uint32_t i = 0; k->section == SECTION_DOMAIN && i < config.domain_count; i++)
		check_value(k, &config.domains[i]);
}

static void check_config(void)
{
	bool upstream = config.upstream.addr.type != ADDR_NONE;

	check(config.role == ROLE_PRIVATE || config.role == ROLE_CENTRAL);
	check(addr_valid(addr_pair_any(&config.listen)) && config.peer_count <= CONFIG_PEERS);
	check(config.domain_count <= CONFIG_DOMAINS);
	check(config.role == ROLE_PRIVATE || !upstream);
	for (unsigned int i = 0; i < CONFIG_KEYS; i++) {
		const struct config_key *k = &config_keys[i];

		if (config_sections[k->section].named)
			check_named(k);
		else if (k->section != SECTION_UPSTREAM || upstream)
			check_value(k, &config);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	int fd = memfd_create("config", MFD_CLOEXEC), rc;
	char path[32], *messages;
	size_t size;
	FILE *err;

	check(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	err = open_memstream(&messages, &size);
	rc = config_load(path, &config, err);
	fclose(err);
	if (rc == 0) {
		check(size == 0);
		check_config();
		config_free(&config);
	} else {
		check_messages(path, messages);
	}
	config_free(&config);
	free(messages);
	close(fd);
	return 0;
}
