/* SPDX-License-Identifier: BSD-3-Clause
 * Telemetry: one JSON object with every counter, for `oncewire status`. Names
 * are stable: scripts depend on them.
 */
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include "control/admin/reload.h"
#include "control/admin/status.h"
#include "control/core.h"
#include "control/host/capability.h"
#include "control/host/privilege.h"
#include "control/net/net.h"
#include "control/transfer/transfer.h"

/* Workers write their counters with plain stores; a torn sum is of no account. */
static void stats_add(struct stats *sum, const struct stats *s)
{
#define X(field) sum->field += __atomic_load_n(&s->field, __ATOMIC_RELAXED);
	STATS(X)
#undef X
	for (unsigned int i = 0; i < DROP_COUNT; i++)
		sum->drops[i] += __atomic_load_n(&s->drops[i], __ATOMIC_RELAXED);
}

static void put(json_t *object, const char *name, uint64_t value)
{
	json_object_set_new(object, name, json_integer((json_int_t)value));
}

static json_t *drops_object(const struct stats *sum)
{
	json_t *drops = json_object();

	for (unsigned int i = DROP_NONE + 1; i < DROP_COUNT; i++)
		put(drops, drop_name(i), sum->drops[i]);
	return drops;
}

static void put_store(json_t *o, const struct control *ctl)
{
	struct slab_usage u;

	slab_usage(&ctl->relay->slab, &u);
	put(o, "blobs", index_count(ctl->relay->index));
	put(o, "blob_bytes", u.bytes);
	put(o, "slab_bytes", (uint64_t)u.extents_total * EXTENT_SIZE);
	put(o, "slab_bytes_free", (uint64_t)u.extents_free * EXTENT_SIZE);
	json_object_set_new(o, "slab_hugepages", json_boolean(ctl->relay->slab.huge));
}

static void put_xdp(json_t *o, const struct control *ctl)
{
	struct port_xdp_stats xdp;

	if (port_xdp_stats(&ctl->relay->port, &xdp) < 0)
		return;
	put(o, "xdp_redirected", xdp.redirected);
	put(o, "xdp_passed", xdp.passed);
	put(o, "xdp_shed_source", xdp.shed_source);
	put(o, "xdp_shed_total", xdp.shed_total);
}

static void put_privileges(json_t *o)
{
	json_object_set_new(o, "user", json_string(privilege_user()));
	json_object_set_new(o, "capabilities", capabilities_names());
	json_object_set_new(o, "seccomp",
			    json_boolean(prctl(PR_GET_SECCOMP) == SECCOMP_MODE_FILTER));
}

/* A domain's counters are in its slot, by thread. */
static json_t *domain_object(const struct control *ctl, const struct domain_config *c,
			     const struct domain *d)
{
	const struct domain_usage *u = &ctl->usage[d->slot];
	json_t *o = json_object(), *generations = json_array();
	struct domain_stats sum = {.hits = u->hits, .refused = u->refused};

	for (uint16_t i = 0; i < ctl->relay->port.workers; i++) {
		const struct domain_stats *s = &ctl->worker[i]->domain[d->slot];
#define X(field) sum.field += __atomic_load_n(&s->field, __ATOMIC_RELAXED);
		DOMAIN_STATS(X)
#undef X
	}
	for (uint32_t i = 0; i < c->keys.count; i++)
		json_array_append_new(generations, json_integer(c->keys.key[i].generation));
	put(o, "id", d->id);
	json_object_set_new(o, "generations", generations);
	put(o, "bytes", u->bytes);
	put(o, "blobs", u->blobs);
	put(o, "uploads", u->uploads);
	put(o, "waiting", u->requests);
#define X(field) put(o, #field, sum.field);
	DOMAIN_STATS(X)
#undef X
	return o;
}

/* By name, newest generation first. */
static json_t *domains_object(const struct control *ctl)
{
	const struct keyring *k = relay_keyring(ctl->relay);
	json_t *o = json_object();

	for (uint32_t i = 0; i < ctl->config->domain_count; i++) {
		const struct domain_config *c = &ctl->config->domains[i];

		json_object_set_new(o, c->name,
				    domain_object(ctl, c, keyring_domain(k, c->keys.id)));
	}
	return o;
}

static void put_problem(json_t *problems, const struct health_item *h)
{
	if (h->bad)
		json_array_append_new(problems, json_string(h->text));
}

/* What a monitor looks at first. */
static json_t *health_object(const struct control *ctl)
{
	json_t *o = json_object(), *problems = json_array();
	uint64_t strays;

	watch_status(ctl, o, problems);
	json_object_set_new(o, "peers", peers_status(ctl, problems));
	put_problem(problems, &ctl->upstream);
	put_problem(problems, &ctl->traffic->checksums);
	if (ctl->traffic->packets_us != 0)
		put(o, "last_packet_seconds", (ctl->now_us - ctl->traffic->packets_us) / 1000000);
	if (port_strays(&ctl->relay->port, &strays) == 0)
		put(o, "kernel_socket_drops", strays);
	json_object_set_new(o, "ok", json_boolean(json_array_size(problems) == 0));
	json_object_set_new(o, "problems", problems);
	return o;
}

json_t *control_status(void *ctx, int argc, char **argv)
{
	struct control *ctl = ctx;
	struct stats sum = {0};
	char text[ADDR_TEXT_MAX];
	json_t *o = json_object();

	(void)argc;
	(void)argv;
	for (uint16_t i = 0; i < ctl->relay->port.workers; i++)
		stats_add(&sum, &ctl->worker[i]->stats);
	stats_add(&sum, &ctl->stats);
	json_object_set_new(o, "version", json_string(ONCEWIRE_VERSION));
	json_object_set_new(o, "role", json_string(role_name(ctl->config->role)));
	json_object_set_new(o, "instance", json_string(ctl->config->instance));
	json_object_set_new(o, "listen", json_string(addr_text(&ctl->relay->self, text)));
	json_object_set_new(o, "port", json_string(ctl->config->port));
	json_object_set_new(o, "health", health_object(ctl));
	put_privileges(o);
	put(o, "workers", ctl->relay->port.workers);
	put(o, "uptime_seconds", (ctl->now_us - ctl->started_us) / 1000000);
	put_store(o, ctl);
#define X(field) put(o, #field, sum.field);
	STATS(X)
#undef X
#define X(field) put(o, #field, ctl->counters.field);
	CONTROL_COUNTERS(X)
#undef X
	put(o, "requests", HASH_COUNT(ctl->requests->by_key));
	put(o, "uploads_active", ctl->attempts->active);
	put(o, "leases", lease_count(ctl->relay->leases));
	put(o, "next_hops", nexthop_count(ctl->relay->nexthops));
	put_xdp(o, ctl);
	json_object_set_new(o, "domains", domains_object(ctl));
	json_object_set_new(o, "reload", reload_status(ctl));
	json_object_set_new(o, "drops", drops_object(&sum));
	return o;
}
