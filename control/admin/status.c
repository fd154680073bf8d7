/* SPDX-License-Identifier: BSD-3-Clause
 * One JSON object for `oncewire status`: what the relay is, how it is, and all that the
 * registry (metrics.h) has.
 */
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include "control/admin/metrics.h"
#include "control/admin/reload.h"
#include "control/admin/status.h"
#include "control/core.h"
#include "control/host/capability.h"
#include "control/host/privilege.h"
#include "control/net/net.h"
#include "control/transfer/transfer.h"

static void put(json_t *object, const char *name, uint64_t value)
{
	json_object_set_new(object, name, json_integer((json_int_t)value));
}

static void put_privileges(json_t *o)
{
	json_object_set_new(o, "user", json_string(privilege_user()));
	json_object_set_new(o, "capabilities", capabilities_names());
	json_object_set_new(o, "seccomp",
			    json_boolean(prctl(PR_GET_SECCOMP) == SECCOMP_MODE_FILTER));
}

/* A number, or an object of numbers by what they are told apart by. */
static void put_metric(json_t *o, const struct metrics_view *v, const struct metric *m)
{
	const unsigned int n = metric_values(v, m);
	json_t *values;
	char label[64];

	if (m->label == NULL) {
		if (n > 0)
			put(o, m->name, metric_value(v, m, 0));
		return;
	}
	values = json_object();
	for (unsigned int i = 0; i < n; i++) {
		metric_label(v, m, i, label, sizeof(label));
		put(values, label, metric_value(v, m, i));
	}
	json_object_set_new(o, m->name, values);
}

static bool of_domain(const struct metric *m)
{
	return m->label != NULL && strcmp(m->label, "domain") == 0;
}

static json_t *domain_object(const struct metrics_view *v, unsigned int domain)
{
	const struct domain_config *c = &v->ctl->config->domains[domain];
	json_t *o = json_object(), *generations = json_array();

	for (uint32_t i = 0; i < c->keys.count; i++)
		json_array_append_new(generations, json_integer(c->keys.key[i].generation));
	put(o, "id", c->keys.id);
	json_object_set_new(o, "generations", generations);
	for (unsigned int i = 0; i < metrics_count; i++)
		if (of_domain(&metrics[i]))
			put(o, metrics[i].name + strlen("domain_"),
			    metric_value(v, &metrics[i], domain));
	return o;
}

/* By name, newest generation first. */
static json_t *domains_object(const struct metrics_view *v)
{
	json_t *o = json_object();

	for (uint32_t i = 0; i < v->ctl->config->domain_count; i++)
		json_object_set_new(o, v->ctl->config->domains[i].name, domain_object(v, i));
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
	put_problem(problems, &ctl->storage);
	put_problem(problems, &ctl->traffic->checksums);
	if (ctl->traffic->packets_us != 0)
		put(o, "last_packet_seconds", (ctl->now_us - ctl->traffic->packets_us) / 1000000);
	if (port_strays(&ctl->relay->port, &strays) == 0)
		put(o, "kernel_socket_drops", strays);
	json_object_set_new(o, "ok", json_boolean(json_array_size(problems) == 0));
	json_object_set_new(o, "problems", problems);
	return o;
}

json_t *control_status(void *ctx, struct admin_client *client, int argc, char **argv)
{
	struct control *ctl = ctx;
	struct metrics_view v;
	char text[ADDR_PAIR_TEXT_MAX];
	json_t *o = json_object();

	(void)client;
	(void)argc;
	(void)argv;
	metrics_take(&v, ctl);
	json_object_set_new(o, "version", json_string(ONCEWIRE_VERSION));
	json_object_set_new(o, "role", json_string(role_name(ctl->config->role)));
	json_object_set_new(o, "instance", json_string(ctl->config->instance));
	json_object_set_new(o, "listen", json_string(addr_pair_text(&ctl->relay->self, text)));
	json_object_set_new(o, "port", json_string(ctl->config->port));
	json_object_set_new(o, "health", health_object(ctl));
	put_privileges(o);
	json_object_set_new(o, "slab_hugepages", json_boolean(ctl->relay->slab.huge));
	json_object_set_new(o, "zero_copy", json_boolean(ctl->relay->port.flights != NULL));
	for (unsigned int i = 0; i < metrics_count; i++)
		if (!of_domain(&metrics[i]))
			put_metric(o, &v, &metrics[i]);
	json_object_set_new(o, "domains", domains_object(&v));
	json_object_set_new(o, "reload", reload_status(ctl));
	return o;
}
