/* SPDX-License-Identifier: BSD-3-Clause
 * A relay on software ports, as the daemon would have made it, and blobs in its memory.
 * Control is there, and turns only when it is asked to.
 */
#ifndef BENCH_WORKER_SCENE_H
#define BENCH_WORKER_SCENE_H

#include "bench/worker/ports.h"
#include "control/control.h"

struct catalogue_spec {
	uint32_t blobs; /* 0 to this, not included */
	uint64_t bytes; /* of each */
	uint64_t seed;	/* bench/content.h */
};

struct scene {
	struct config config;
	struct relay relay;
	struct control control;
	struct worker *worker[PORTS_WORKERS];
	struct capture requests, second; /* the second: of a second worker, or none */
	struct catalogue_spec catalogue;
	uint32_t *blob_of; /* by the number of the head's descriptor */
};

/* `config` is a file for oncewired: role = central, engine = memory; its [relay] port and
 * workers are not looked at. Loads the blobs, and gives each source of the requests, which are
 * read, a lease. The EAL runs. 0, or -errno after a line on stderr. */
int scene_open(struct scene *s, const char *config, const struct ports *ports);
void scene_close(struct scene *s);
/* The worker's clock stands at the requests' second again, and goes on from there: their
 * echoes are fresh once more. The workers rest. */
void scene_rewind(struct scene *s);

#endif
