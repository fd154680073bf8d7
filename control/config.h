/* SPDX-License-Identifier: BSD-3-Clause
 * The daemon's configuration: one INI file, read whole and checked before
 * anything starts.
 */
#ifndef CONTROL_CONFIG_H
#define CONTROL_CONFIG_H

#include <limits.h>
#include <stdio.h>

#include "dataplane/policy.h"
#include "wire/addr.h"
#include "wire/ident.h"
#include "wire/token.h"

#define CONFIG_PEERS 64
#define CONFIG_NAME 32
#define CONFIG_WORKERS 16

enum role { ROLE_PRIVATE = 1, ROLE_CENTRAL };
enum idle { IDLE_ADAPTIVE = 0, IDLE_SPIN };

struct peer_config {
	char name[CONFIG_NAME];
	uint32_t id;	  /* pair id, 1..0xffffff: the `key` field is id << 8 */
	struct addr addr; /* upstream: where it listens; peer: ADDR_NONE accepts any */
	char key_file[PATH_MAX];
	uint8_t key[PAIR_KEY_SIZE]; /* filled by config_load_keys() */
};

struct config {
	/* [relay] */
	enum role role;
	char instance[CONFIG_NAME];
	struct addr listen; /* this relay's address and UDP port */
	char port[256];	    /* "af_xdp:IFNAME" or "vdev:ARGS" */
	char xdp_program[PATH_MAX];
	uint32_t workers;
	int control_cpu;		 /* -1: any CPU */
	int worker_cpus[CONFIG_WORKERS]; /* -1: any CPU */
	enum idle idle;
	char master_key_file[PATH_MAX];
	uint8_t master_key[MASTER_KEY_SIZE]; /* filled by config_load_keys() */
	char admin_socket[PATH_MAX];	     /* default: /run/oncewire/INSTANCE.sock */
	bool hugepages;			     /* `auto` (default) or `off` */
	uint32_t packet_buffers;	     /* mbufs a worker */
	char log_level[16];		     /* of EAL and drivers: error, warning, info, debug */

	/* [store] */
	uint64_t slab_size; /* bytes */
	uint64_t max_blob;  /* bytes; default 1 GiB */
	uint32_t max_blobs;
	uint32_t rules; /* bit (1 << enum rule) */

	/* [limits] */
	uint32_t max_uploads; /* at once */
	uint32_t max_uploads_per_source;
	uint32_t max_waiters;	/* SENDs that wait for an upload or a query, in all */
	uint32_t upload_credit; /* chunks in flight over all uploads */
	uint32_t lease_seconds; /* longest lease granted */
	uint32_t max_leases;
	uint32_t offers_per_target; /* a second, to a target without a lease */
	uint64_t rate_per_target;   /* bytes of DATA a second to one address; 0: no limit */
	uint32_t hash_threads;

	/* [targets] */
	struct policy targets; /* `allow` */

	/* [upstream], private only; addr.type ADDR_NONE when absent */
	struct peer_config upstream;
	uint32_t upstream_timeout_ms; /* after which an unanswered QUERY is a miss */

	/* [peer NAME], central only */
	struct peer_config peers[CONFIG_PEERS];
	uint32_t peer_count;
};

/* Reads and checks a file. On failure writes one line a problem to `err`:
 *   FILE:LINE: [section] key: what is wrong; what to do
 * and returns -EINVAL (or -errno if the file cannot be read). Does not look at
 * key files, interfaces or CPUs of the machine. */
int config_load(const char *path, struct config *c, FILE *err);
/* Reads the key files. Same error format, with the key's line. */
int config_load_keys(const char *path, struct config *c, FILE *err);
/* Prints every key with its default and help, in the form of a sample file.
 * docs/oncewired.conf.sample is this output. */
void config_print_sample(FILE *out);

const char *role_name(enum role role);

#endif
