/* SPDX-License-Identifier: BSD-3-Clause
 * The daemon's configuration: one INI file, read whole and checked before
 * anything starts.
 */
#ifndef CONTROL_CONFIG_CONFIG_H
#define CONTROL_CONFIG_CONFIG_H

#include <limits.h>
#include <stdio.h>

#include <rte_ether.h>

#include "dataplane/policy.h"
#include "wire/addr.h"
#include "wire/ident.h"
#include "wire/keyfile.h"
#include "wire/token.h"

#define CONFIG_DOMAINS 1024
#define CONFIG_PEERS 64
#define CONFIG_NAME 32
#define CONFIG_USER 33
#define CONFIG_WORKERS 16

enum role { ROLE_PRIVATE = 1, ROLE_CENTRAL };
enum idle { IDLE_ADAPTIVE = 0, IDLE_SPIN };
enum at_limit { AT_LIMIT_OLDEST = 0, AT_LIMIT_REFUSE };
enum engine_kind { ENGINE_ROCKSDB = 0, ENGINE_MEMORY };

struct peer_config {
	char name[CONFIG_NAME];
	struct addr addr; /* upstream: where it listens; peer: ADDR_NONE accepts any */
	char key_file[PATH_MAX];
	int key_line;	     /* of the file, for messages */
	struct key_set keys; /* filled by config_load_keys() */
};

struct domain_config {
	char name[CONFIG_NAME];
	char key_file[PATH_MAX];
	int key_line;
	struct key_set keys; /* filled by config_load_keys() */
	uint64_t max_bytes;  /* of blobs; 0: no limit, as in all of these */
	uint32_t max_blobs;
	uint32_t keep_seconds;
	uint32_t max_uploads;  /* at once */
	uint32_t max_requests; /* waiting, at once */
	uint32_t requests_per_second;
	struct policy targets; /* empty: what [targets] says holds */
};

struct config {
	/* [relay] */
	enum role role;
	char instance[CONFIG_NAME];
	struct addr_pair listen; /* this relay's addresses and UDP ports */
	char port[256];		 /* "af_xdp:IFNAME" or "vdev:ARGS" */
	char xdp_program[PATH_MAX];
	struct rte_ether_addr gateway_mac; /* zero: none */
	bool unfinished_checksums;	   /* `accept` (default) or `drop` */
	uint32_t workers;
	int control_cpu;		 /* -1: any CPU */
	int worker_cpus[CONFIG_WORKERS]; /* -1: any CPU */
	enum idle idle;
	char master_key_file[PATH_MAX];
	int master_key_line;
	uint8_t master_key[MASTER_KEY_SIZE]; /* filled by config_load_keys() */
	char admin_socket[PATH_MAX];	     /* default: /run/oncewire/INSTANCE.sock */
	char admin_group[CONFIG_USER];	     /* "": the user's own */
	char user[CONFIG_USER];
	bool hugepages;		 /* `auto` (default) or `off` */
	bool zero_copy;		 /* `auto` (default) or `off` */
	bool stream;		 /* deliver: `streaming` (default) or `stored` */
	uint32_t packet_buffers; /* mbufs a worker */
	char log_level[16];	 /* of EAL and drivers: error, warning, info, debug */

	/* [store] */
	enum engine_kind engine;
	char store_path[PATH_MAX]; /* default: /var/lib/oncewire/INSTANCE */
	uint32_t sync;		   /* enum store_sync */
	uint32_t io_threads;
	uint64_t slab_size;  /* bytes */
	uint64_t max_blob;   /* bytes; what fits at most */
	uint32_t slab_blobs; /* in memory at once */
	bool slab_chosen;    /* slab_size is from the host's memory */
	uint64_t max_bytes;  /* of blobs on disk; 0: no limit, as in these */
	uint32_t max_blobs;
	uint32_t keep_seconds;
	uint64_t min_free;  /* bytes of the disk */
	uint32_t at_limit;  /* enum at_limit */
	uint32_t rules;	    /* bit (1 << enum rule) */
	bool possession;    /* always: a source proves that it holds what it names */
	uint64_t hide_hits; /* bytes: up to here a source uploads, hit or not */

	/* [limits] */
	uint32_t max_uploads; /* at once */
	uint32_t max_uploads_per_source;
	uint32_t max_waiters; /* SENDs that wait for an upload or a query, in all */
	uint32_t max_waiters_per_source;
	uint32_t parked_seconds; /* what came of an upload that was cut off stays; 0: not at all */
	uint32_t parked_percent; /* of the store, that such may take */
	uint32_t upload_credit;	 /* chunks in flight over all uploads, in 10 ms of a long path */
	uint32_t lease_seconds;	 /* longest lease granted */
	uint32_t max_leases;
	uint32_t max_leases_per_host;
	uint32_t offers_per_target;    /* a second, to a target without a lease */
	uint64_t rate_per_target;      /* bytes of DATA a second to one address; 0: no limit */
	uint32_t strangers_per_source; /* frames a second; 0: no limit */
	uint32_t strangers;	       /* of all sources together */
	uint32_t control_per_source;   /* frames a second; 0: no limit */
	uint32_t hash_threads;

	/* [targets] */
	struct policy targets; /* `allow` */

	/* [domain NAME], in the file's order; none: anybody may use the relay */
	struct domain_config *domains;
	uint32_t domain_count;

	/* [upstream], private only; addr.type ADDR_NONE when absent */
	struct peer_config upstream;
	uint32_t upstream_timeout_ms; /* after which an unanswered QUERY is a miss */

	/* [peer NAME], central only */
	struct peer_config peers[CONFIG_PEERS];
	uint32_t peer_count;
};

/* Reads and checks a file. On failure writes one line a problem to `err`:
 *   FILE:LINE: [section] key: what is wrong; what to do
 * and returns -EINVAL (or -errno if the file cannot be read); *c is then empty.
 * Of the machine it looks at the memory alone, for what is `auto`. */
int config_load(const char *path, struct config *c, FILE *err);
/* Reads the key files, then sees to it that no two sections have one id. Same
 * error format, with the key's line. */
int config_load_keys(const char *path, struct config *c, FILE *err);
/* Keeps in `next` what cannot change while the relay runs as `running` says;
 * one line to `err` for each key that would have. */
void config_retain(const struct config *running, struct config *next, FILE *err);
/* Without a domain: logs that anybody may use the relay. */
void config_warn_open(const struct config *c);
/* Wipes the keys too. An empty (zeroed) one is allowed. */
void config_free(struct config *c);
/* Prints every key with its default and help, in the form of a sample file.
 * docs/oncewired.conf.sample is this output. */
void config_print_sample(FILE *out);

/* "1G", "1500": into buf (at least 24 bytes); returns buf. */
const char *config_bytes_text(uint64_t bytes, char *buf);
const char *role_name(enum role role);

#endif
