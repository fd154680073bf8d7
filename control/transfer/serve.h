/* SPDX-License-Identifier: BSD-3-Clause
 * Central answers QUERYs (handle_query(), peer.h). Those whose blob is not in RAM wait for
 * the store.
 */
#ifndef CONTROL_TRANSFER_SERVE_H
#define CONTROL_TRANSFER_SERVE_H

#include <stdint.h>
#include <sys/queue.h>

struct control;
struct lookup;

struct lookups {
	TAILQ_HEAD(, lookup) all;
	uint32_t count;
};

void lookups_init(struct control *ctl);
void lookups_fini(struct control *ctl);

#endif
