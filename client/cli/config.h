/* SPDX-License-Identifier: BSD-3-Clause
 * The command's configuration: $ONCEWIRE_CONFIG, else ~/.config/oncewire.conf,
 * else /etc/oncewire/oncewire.conf. None need exist, except one that
 * ONCEWIRE_CONFIG names.
 */
#ifndef CLIENT_CLI_CONFIG_H
#define CLIENT_CLI_CONFIG_H

#include <limits.h>
#include <stdio.h>

#include "client/lib/hosts.h"

struct client_config {
	char private_relay[HOST_TEXT_MAX]; /* "" : not configured; so all of them */
	char central_relay[HOST_TEXT_MAX];
	char listen[HOST_TEXT_MAX];
	char domain_key[PATH_MAX];
	char content_key[PATH_MAX];
	char identity[PATH_MAX];
	char admin[PATH_MAX];
	char private_files[64]; /* "yes" or "no"; what is neither is told so, not cut */
};

/* Reads one file. Returns 0, -EINVAL after a line on `errors` for each mistake
 * ("FILE:LINE: [section] key: problem; remedy"), or another -errno if the file
 * cannot be read. */
int config_read(struct client_config *c, const char *path, FILE *errors);
/* Finds the file and reads it. Returns 0, or -errno after a line on `errors`. */
int config_load(struct client_config *c, FILE *errors);

#endif
