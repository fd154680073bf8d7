/* SPDX-License-Identifier: BSD-3-Clause
 * SIGHUP: the configuration file and its key files are read anew, whole. If
 * anything in them is wrong, everything stays as it was.
 */
#ifndef CONTROL_ADMIN_RELOAD_H
#define CONTROL_ADMIN_RELOAD_H

#include <event2/event.h>
#include <jansson.h>

#include "control/config/config.h"

struct control;

struct reload {
	const char *path;
	struct config *config; /* the running one, which a reload changes in place */
	struct event *hangup;
	uint64_t count; /* of the reloads since the start */
	uint64_t time;	/* of the last one, Unix seconds */
	bool failed;
	char *messages; /* its problems and warnings, a line each; NULL: none */
};

/* From now on SIGHUP reloads the file at `path`, out of which `running` came
 * (ctl->config points to it). 0 or -ENOMEM. */
int reload_open(struct control *ctl, const char *path, struct config *running);
void reload_close(struct control *ctl);
/* What SIGHUP does: takes effect whole, or not at all. True if it did; what was
 * wrong, or needs a restart, is on stderr and in ctl->reload. */
bool reload_run(struct control *ctl);
/* For `oncewire status`. */
json_t *reload_status(const struct control *ctl);

#endif
