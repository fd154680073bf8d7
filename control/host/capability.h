/* SPDX-License-Identifier: BSD-3-Clause
 * Capabilities of the daemon's threads, see capabilities(7).
 */
#ifndef CONTROL_HOST_CAPABILITY_H
#define CONTROL_HOST_CAPABILITY_H

#include <sys/types.h>

#include <jansson.h>

#include "dataplane/port.h"

/* Gives up for good what would let this process, or what it executes, gain any.
 * For threads started later. 0 or -errno. */
int capabilities_confine(void);
/* Both: the caller keeps what the port needs until its end, as far as it has it;
 * all other threads keep none. 0 or -errno. The first makes all of them another
 * user's, without supplementary groups; which takes root. */
int capabilities_drop_as(const struct port *p, uid_t uid, gid_t gid);
int capabilities_drop(const struct port *p);

/* Names of those that starting on this port takes and the caller does not have,
 * as "cap_net_raw, cap_bpf"; "" if none. Returns buf. */
const char *capabilities_missing(const struct port *p, bool change_user, char *buf, size_t size);
/* Names of the caller's effective ones: a new array. */
json_t *capabilities_names(void);

#endif
