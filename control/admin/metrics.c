/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/admin/metrics.h"

#include "control/net/net.h"
#include "control/transfer/transfer.h"

/* ---- labels ---- */

static void label_reason(unsigned int i, char *buf, size_t size)
{
	snprintf(buf, size, "%s", drop_name(i + 1));
}

static void label_frames(unsigned int i, char *buf, size_t size)
{
	snprintf(buf, size, "%u", 1u << i);
}

static void label_latency(unsigned int i, char *buf, size_t size)
{
	if (i == CONTROL_LATENCIES - 1)
		snprintf(buf, size, "inf");
	else
		snprintf(buf, size, "%u", 16u << 2 * i);
}

/* ---- what is read where it is ---- */

static uint64_t read_workers(const struct control *ctl, unsigned int i)
{
	(void)i;
	return ctl->relay->port.workers;
}

static uint64_t read_uptime(const struct control *ctl, unsigned int i)
{
	(void)i;
	return (ctl->now_us - ctl->started_us) / 1000000;
}

static uint64_t read_blobs(const struct control *ctl, unsigned int i)
{
	(void)i;
	return store_here(&ctl->store).blobs;
}

static uint64_t read_stored_bytes(const struct control *ctl, unsigned int i)
{
	(void)i;
	return store_here(&ctl->store).bytes;
}

static struct slab_usage usage(const struct control *ctl)
{
	struct slab_usage u;

	slab_usage(&ctl->relay->slab, &u);
	return u;
}

static uint64_t read_blob_bytes(const struct control *ctl, unsigned int i)
{
	(void)i;
	return usage(ctl).bytes;
}

static uint64_t read_slab_bytes(const struct control *ctl, unsigned int i)
{
	(void)i;
	return (uint64_t)usage(ctl).extents_total * EXTENT_SIZE;
}

static uint64_t read_slab_free(const struct control *ctl, unsigned int i)
{
	(void)i;
	return (uint64_t)usage(ctl).extents_free * EXTENT_SIZE;
}

static uint64_t read_in_flight(const struct control *ctl, unsigned int i)
{
	const struct flights *f = ctl->relay->port.flights;

	(void)i;
	return f != NULL ? flights_count(f) : 0;
}

static uint64_t read_requests(const struct control *ctl, unsigned int i)
{
	(void)i;
	return HASH_COUNT(ctl->requests->by_key);
}

static uint64_t read_uploads(const struct control *ctl, unsigned int i)
{
	(void)i;
	return ctl->attempts->active;
}

static uint64_t read_parked(const struct control *ctl, unsigned int i)
{
	(void)i;
	return HASH_COUNT(ctl->attempts->parked_by_key);
}

static uint64_t read_parked_bytes(const struct control *ctl, unsigned int i)
{
	(void)i;
	return ctl->attempts->parked_bytes;
}

static uint64_t read_leases(const struct control *ctl, unsigned int i)
{
	(void)i;
	return lease_count(ctl->relay->leases);
}

static struct router_size routes(const struct control *ctl)
{
	return ctl->router != NULL ? router_size(ctl->router) : (struct router_size){0};
}

static uint64_t read_routes(const struct control *ctl, unsigned int i)
{
	(void)i;
	return routes(ctl).routes;
}

static uint64_t read_routes_out(const struct control *ctl, unsigned int i)
{
	(void)i;
	return routes(ctl).left_out;
}

static uint64_t read_rules_out(const struct control *ctl, unsigned int i)
{
	(void)i;
	return routes(ctl).rules_out;
}

static uint64_t read_route_bytes(const struct control *ctl, unsigned int i)
{
	(void)i;
	return (uint64_t)routes(ctl).blocks << 10;
}

static uint64_t read_neighbours(const struct control *ctl, unsigned int i)
{
	(void)i;
	return routes(ctl).neighbours;
}

static uint64_t read_route_lists(const struct control *ctl, unsigned int i)
{
	(void)i;
	return ctl->router != NULL ? router_stats(ctl->router)->syncs : 0;
}

static uint64_t read_neighbours_asked(const struct control *ctl, unsigned int i)
{
	(void)i;
	return ctl->router != NULL ? router_stats(ctl->router)->asks : 0;
}

static uint64_t read_to_control(const struct control *ctl, unsigned int i)
{
	return rte_ring_count(ctl->worker[i]->to_control);
}

static uint64_t read_to_control_most(const struct control *ctl, unsigned int i)
{
	return ctl->ring_most[i];
}

static uint64_t read_to_worker(const struct control *ctl, unsigned int i)
{
	return rte_ring_count(ctl->worker[i]->from_control);
}

/* ---- the registry, in the order of `oncewire status` ---- */

#define GAUGE(name_, read_, help_)                                                            \
	{                                                                                     \
		.name = (name_), .help = (help_), .type = METRIC_GAUGE, .where = METRIC_READ, \
		.read = (read_)                                                               \
	}
#define COUNT(name_, read_, help_)                                                      \
	{                                                                               \
		.name = (name_), .help = (help_), .where = METRIC_READ, .read = (read_) \
	}
#define OF_WORKER(name_, read_, help_)                                                        \
	{                                                                                     \
		.name = (name_), .help = (help_), .type = METRIC_GAUGE, .where = METRIC_READ, \
		.read = (read_), .label = "worker"                                            \
	}
#define OF_XDP(field_, help_)                                                 \
	{                                                                     \
		.name = "xdp_" #field_, .help = (help_), .where = METRIC_XDP, \
		.offset = offsetof(struct port_xdp_stats, field_)             \
	}
#define OF_STORE(name_, field_, help_)                                     \
	{                                                                  \
		.name = (name_), .help = (help_), .where = METRIC_CONTROL, \
		.offset = offsetof(struct control, store.field_)           \
	}
#define STORE_NOW(name_, field_, help_)                                                          \
	{                                                                                        \
		.name = (name_), .help = (help_), .type = METRIC_GAUGE, .where = METRIC_CONTROL, \
		.offset = offsetof(struct control, store.field_)                                 \
	}
#define DOMAIN_KEEPS(field_, help_)                                               \
	{                                                                         \
		.name = "domain_" #field_, .help = (help_), .type = METRIC_GAUGE, \
		.where = METRIC_DOMAIN_STORE, .label = "domain",                  \
		.offset = offsetof(struct store_usage, field_)                    \
	}
#define OF_DOMAIN(name_, field_, help_)                                         \
	{                                                                       \
		.name = "domain_" name_, .help = (help_), .type = METRIC_GAUGE, \
		.where = METRIC_DOMAIN, .label = "domain",                      \
		.offset = offsetof(struct domain_usage, field_)                 \
	}

const struct metric metrics[] = {
	GAUGE("workers", read_workers, "worker threads"),
	GAUGE("uptime_seconds", read_uptime, "seconds since the start"),
	GAUGE("blobs", read_blobs, "stored blobs"),
	GAUGE("stored_bytes", read_stored_bytes,
	      "the sum of their lengths, and what has come of uploads under way"),
	GAUGE("blob_bytes", read_blob_bytes, "bytes of them that are in memory"),
	GAUGE("slab_bytes", read_slab_bytes, "memory for blobs"),
	GAUGE("slab_bytes_free", read_slab_free, "of this, in extents that are free"),
	GAUGE("frames_in_flight", read_in_flight,
	      "frames at the driver whose bytes lie in that memory"),
	STORE_NOW("disk_bytes", space.written, "blobs' bytes on disk, removed ones included"),
	STORE_NOW("disk_bytes_dead", space.dead, "of this, of removed ones, and about to be free"),
	STORE_NOW("disk_free", disk_free, "free bytes of the disk"),
	OF_STORE("blobs_trimmed", counters.trimmed, "blobs removed at a limit, the oldest ones"),
	OF_STORE("blobs_expired", counters.expired, "blobs removed as they were too old"),
	OF_STORE("blobs_removed", counters.removed,
		 "blobs removed, as their domain is not configured any more"),
	OF_STORE("evictions", counters.evicted,
		 "pieces of blobs (engine = memory: blobs) that made room in memory for others"),
	OF_STORE("evicted_bytes", counters.evicted_bytes, "what was in them"),
	OF_STORE("loads", counters.loads, "pieces of blobs read from the store into memory"),
	OF_STORE("load_bytes", counters.load_bytes, "what was in them"),
	OF_STORE("load_failures", counters.load_failures, "pieces that could not be read"),
	OF_STORE("loads_after_start", counters.read_back,
		 "pieces that were read back since the start, as they were hot before it"),
	OF_STORE("blobs_corrupt", counters.corrupt, "blobs found damaged, and put aside"),
	OF_STORE("store_commits", counters.commits,
		 "times that the store was told of blobs that came or went, of several at once"),
	OF_STORE("store_failures", counters.failures, "times that the store failed"),
#define X(field, help_)           \
	{.name = #field,          \
	 .help = (help_),         \
	 .where = METRIC_THREADS, \
	 .offset = offsetof(struct stats, field)},
	STATS(X)
#undef X
#define X(field, help_)           \
	{.name = #field,          \
	 .help = (help_),         \
	 .where = METRIC_CONTROL, \
	 .offset = offsetof(struct control, counters.field)},
		CONTROL_COUNTERS(X)
#undef X
			GAUGE("requests", read_requests,
			      "requests that wait for central or an upload"),
	GAUGE("uploads_active", read_uploads, "uploads running"),
	GAUGE("uploads_parked", read_parked,
	      "uploads that were cut off, of which the beginning is kept"),
	GAUGE("uploads_parked_bytes", read_parked_bytes, "bytes of these"),
	GAUGE("leases", read_leases, "targets registered, and those that lately were"),
	GAUGE("routes", read_routes, "routes of the kernel's that are followed"),
	GAUGE("routes_left_out", read_routes_out, "prefixes that there is no room for"),
	GAUGE("rules_left_out", read_rules_out, "policy rules that cannot be followed"),
	GAUGE("route_table_bytes", read_route_bytes, "memory that the workers' route table uses"),
	GAUGE("neighbours", read_neighbours, "next hops and hosts on the link, known or asked for"),
	COUNT("route_lists", read_route_lists, "times that all of the kernel's routes were read"),
	COUNT("neighbours_asked", read_neighbours_asked,
	      "times that the kernel was asked to find a neighbour"),
	OF_XDP(redirected, "packets that the XDP program gave to the relay"),
	OF_XDP(passed, "packets that the XDP program gave to the kernel"),
	OF_XDP(shed_source, "strangers' packets dropped by XDP, over their source's rate"),
	OF_XDP(shed_total, "strangers' packets dropped by XDP, over the rate for all"),
	DOMAIN_KEEPS(bytes, "of its blobs, and of what is being uploaded"),
	DOMAIN_KEEPS(blobs, "its blobs, and those being uploaded"),
	OF_DOMAIN("uploads", uploads, "uploads under way"),
	OF_DOMAIN("waiting", requests, "requests that wait"),
#define X(field, help_)                  \
	{.name = "domain_" #field,       \
	 .help = (help_),                \
	 .where = METRIC_DOMAIN_THREADS, \
	 .label = "domain",              \
	 .offset = offsetof(struct domain_stats, field)},
	DOMAIN_STATS(X)
#undef X
		OF_WORKER("ring_to_control", read_to_control,
			  "messages that wait for the control thread"),
	OF_WORKER("ring_to_control_most", read_to_control_most,
		  "most messages that the control thread found waiting since the start"),
	OF_WORKER("ring_to_worker", read_to_worker, "frames that wait for the worker to send them"),
	{
		.name = "rx_burst_packets",
		.help = "receive bursts of up to so many frames",
		.type = METRIC_HISTOGRAM,
		.where = METRIC_THREADS,
		.label = "le",
		.labels = STATS_BURSTS,
		.name_label = label_frames,
		.offset = offsetof(struct stats, bursts),
	},
	{
		.name = "control_latency_us",
		.help = "frames for the control thread that were dealt with within so many "
			"microseconds of their arrival",
		.type = METRIC_HISTOGRAM,
		.where = METRIC_CONTROL,
		.label = "le",
		.labels = CONTROL_LATENCIES,
		.name_label = label_latency,
		.offset = offsetof(struct control, latency),
	},
	{
		.name = "drops",
		.help = "frames that were not acted on",
		.where = METRIC_THREADS,
		.label = "reason",
		.labels = DROP_COUNT - 1,
		.name_label = label_reason,
		.offset = offsetof(struct stats, drops) + sizeof(uint64_t),
	},
};

const unsigned int metrics_count = RTE_DIM(metrics);

/* ---- values ---- */

/* Threads write with plain stores; a torn sum is of no account. */
static void words_add(void *sum, const void *of, size_t size)
{
	uint64_t *to = sum;
	const uint64_t *from = of;

	for (size_t i = 0; i < size / sizeof(uint64_t); i++)
		to[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

void metrics_take(struct metrics_view *v, const struct control *ctl)
{
	_Static_assert(sizeof(struct stats) % sizeof(uint64_t) == 0, "words");

	*v = (struct metrics_view){.ctl = ctl};
	for (uint16_t i = 0; i < ctl->relay->port.workers; i++)
		words_add(&v->sum, &ctl->worker[i]->stats, sizeof(v->sum));
	words_add(&v->sum, &ctl->stats, sizeof(v->sum));
	v->has_xdp = port_xdp_stats(&ctl->relay->port, &v->xdp) >= 0;
}

unsigned int metric_values(const struct metrics_view *v, const struct metric *m)
{
	if (m->where == METRIC_XDP)
		return v->has_xdp;
	if (m->label == NULL)
		return 1;
	if (m->labels > 0)
		return m->labels;
	return strcmp(m->label, "worker") == 0 ? v->ctl->relay->port.workers
					       : v->ctl->config->domain_count;
}

void metric_label(const struct metrics_view *v, const struct metric *m, unsigned int i, char *buf,
		  size_t size)
{
	if (m->name_label != NULL)
		m->name_label(i, buf, size);
	else if (m->label != NULL && strcmp(m->label, "domain") == 0)
		snprintf(buf, size, "%s", v->ctl->config->domains[i].name);
	else
		snprintf(buf, size, "%u", i);
}

static uint64_t word_at(const void *base, size_t offset, unsigned int i)
{
	const char *at = (const char *)base + offset + i * sizeof(uint64_t);

	return *(const uint64_t *)(const void *)at;
}

static const struct domain *domain_at(const struct control *ctl, unsigned int i)
{
	return keyring_domain(relay_keyring(ctl->relay), ctl->config->domains[i].keys.id);
}

static uint64_t domain_value(const struct control *ctl, const struct metric *m, unsigned int i)
{
	const struct domain *d = domain_at(ctl, i);
	const struct domain_usage *u = &ctl->usage[d->slot];
	struct domain_stats sum = {.hits = u->hits, .refused = u->refused};
	const struct store_usage keeps = store_usage(&ctl->store, d->id);

	if (m->where == METRIC_DOMAIN_STORE)
		return word_at(&keeps, m->offset, 0);
	if (m->where == METRIC_DOMAIN)
		return word_at(u, m->offset, 0);
	for (uint16_t w = 0; w < ctl->relay->port.workers; w++)
		words_add(&sum, &ctl->worker[w]->domain[d->slot], sizeof(sum));
	return word_at(&sum, m->offset, 0);
}

uint64_t metric_value(const struct metrics_view *v, const struct metric *m, unsigned int i)
{
	switch (m->where) {
	case METRIC_THREADS:
		return word_at(&v->sum, m->offset, i);
	case METRIC_CONTROL:
		return word_at(v->ctl, m->offset, i);
	case METRIC_XDP:
		return word_at(&v->xdp, m->offset, i);
	case METRIC_READ:
		return m->read(v->ctl, i);
	default:
		return domain_value(v->ctl, m, i);
	}
}

json_t *metrics_describe(void *ctl, struct admin_client *client, int argc, char **argv)
{
	static const char *const types[] = {"counter", "gauge", "histogram"};
	json_t *all = json_array();

	(void)ctl;
	(void)client;
	(void)argc;
	(void)argv;
	for (unsigned int i = 0; i < metrics_count; i++) {
		const struct metric *m = &metrics[i];

		json_array_append_new(all, json_pack("{s:s, s:s, s:s?, s:s}", "name", m->name,
						     "type", types[m->type], "label", m->label,
						     "help", m->help));
	}
	return json_pack("{s:o}", "metrics", all);
}
