/* SPDX-License-Identifier: BSD-3-Clause
 * Which blobs are asked for, and how often each.
 */
#ifndef PKTGEN_CATALOGUE_H
#define PKTGEN_CATALOGUE_H

#include "wire/ident.h"

struct catalogue_entry {
	struct ident id;
	uint64_t length;
};

struct catalogue {
	struct catalogue_entry *entries;
	size_t count;
	double *cumulative; /* of the entries' shares; NULL: all are alike */
};

/* One blob a line: identifier in hex, blank, length in bytes. 0, -errno, or
 * -EINVAL after one line on stderr. */
int catalogue_read(struct catalogue *c, const char *path);
/* Blobs 0 to count - 1 of a seed, as bench/content.h makes them. 0 or -ENOMEM. */
int catalogue_generate(struct catalogue *c, size_t count, uint64_t seed, uint8_t rule,
		       uint64_t length);
/* Entry i is asked for in proportion to 1 / (i + 1)^theta; 0: uniformly. 0 or -ENOMEM. */
int catalogue_weigh(struct catalogue *c, double theta);
void catalogue_free(struct catalogue *c);

/* x: from 0 to 1, 1 excluded. */
const struct catalogue_entry *catalogue_pick(const struct catalogue *c, double x);

#endif
