/* SPDX-License-Identifier: BSD-3-Clause
 * The registry of all numbers that a relay has of itself: name, help, type, what it is
 * told apart by, and where it lives. `oncewire status` prints from it.
 */
#ifndef CONTROL_ADMIN_METRICS_H
#define CONTROL_ADMIN_METRICS_H

#include "control/admin/socket.h"
#include "control/core.h"

enum metric_type {
	METRIC_COUNTER,	  /* since the start */
	METRIC_GAUGE,	  /* now */
	METRIC_HISTOGRAM, /* counters since the start, by an upper bound */
};

enum metric_where {
	METRIC_THREADS,	       /* in struct stats of each worker and of control: their sum */
	METRIC_CONTROL,	       /* in struct control */
	METRIC_XDP,	       /* in the XDP program's map (struct port_xdp_stats) */
	METRIC_DOMAIN_THREADS, /* in struct domain_stats of each worker: their sum */
	METRIC_DOMAIN,	       /* in struct domain_usage */
	METRIC_DOMAIN_STORE,   /* in struct store_usage */
	METRIC_READ,	       /* by a function */
};

struct metric {
	const char *name; /* stable: scripts depend on it */
	const char *help;
	enum metric_type type;
	enum metric_where where;
	const char *label;   /* "reason", "worker", "domain", "le"; NULL: it is one number */
	unsigned int labels; /* how many there are of "reason" and "le" */
	void (*name_label)(unsigned int i, char *buf, size_t size); /* of these */
	size_t offset; /* of a uint64_t, or of several */
	uint64_t (*read)(const struct control *ctl, unsigned int i);
};

/* All counts at one moment. */
struct metrics_view {
	const struct control *ctl;
	struct stats sum;
	struct port_xdp_stats xdp;
	bool has_xdp;
};

extern const struct metric metrics[];
extern const unsigned int metrics_count;

void metrics_take(struct metrics_view *v, const struct control *ctl);
/* How many values it has now; 0: it does not apply to this relay. */
unsigned int metric_values(const struct metrics_view *v, const struct metric *m);
uint64_t metric_value(const struct metrics_view *v, const struct metric *m, unsigned int i);
/* What value i is of, in `buf`. */
void metric_label(const struct metrics_view *v, const struct metric *m, unsigned int i, char *buf,
		  size_t size);

/* The admin command `metrics`: an array of {name, type, label, help}. */
json_t *metrics_describe(void *ctl, struct admin_client *client, int argc, char **argv);

#endif
