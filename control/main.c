/* SPDX-License-Identifier: BSD-3-Clause
 * oncewired: starts everything in order, runs, and unwinds in reverse.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <rte_launch.h>
#include <rte_malloc.h>
#include <sodium.h>

#include "control/admin/socket.h"
#include "control/host/cleaner.h"
#include "control/control.h"
#include "control/host/eal.h"
#include "control/host/hugepages.h"
#include "control/base/log.h"
#include "control/host/privilege.h"

#define EXIT_USAGE 2 /* of the command line, or a mistake in the configuration */
#define WHY_MAX (PATH_MAX + 256)

static const struct admin_command admin_commands[] = {
	{"status", false, control_status},
	{"metrics", false, metrics_describe},
	{"store", true, control_store},
	{NULL, false, NULL},
};

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	control_stop(arg);
}

/* Bytes of EAL memory: pools, tables, rings, workers. */
static uint64_t eal_memory(const struct config *c)
{
	/* an rte_hash entry: 32 bytes of key store, 16 of bucket, rounded up twice */
	uint64_t entries = (uint64_t)c->slab_blobs + c->max_leases + ROUTE_NEIGHBOURS;

	return port_memory((uint16_t)c->workers, c->packet_buffers) + entries * 128 +
	       c->workers * (sizeof(struct worker) +
			     (RING_TO_CONTROL + RING_TO_WORKER) * sizeof(struct message)) +
	       (UINT64_C(32) << 20);
}

static struct slab_config slab_config(const struct config *c)
{
	return (struct slab_config){
		.bytes = c->slab_size,
		.pieces = c->slab_blobs,
		.hugepages = c->hugepages,
	};
}

static void store_say(const struct config *c)
{
	char slab[24], blob[24];

	if (c->slab_chosen)
		log_line(LOG_INFO,
			 "blobs have %s of memory, a quarter of what it may use, for up to %u at "
			 "once, the longest of %s; for other sizes set [store] slab_size, "
			 "slab_blobs, max_blob",
			 config_bytes_text(c->slab_size, slab), c->slab_blobs,
			 config_bytes_text(c->max_blob >> 20 << 20, blob));
}

static int store_open(const struct config *c, struct relay *r, char *why)
{
	const struct slab_config sc = slab_config(c);
	int ret = slab_open(&r->slab, &sc);

	if (ret < 0) {
		snprintf(why, WHY_MAX,
			 "no memory for a slab of %llu bytes (%s); lower [store] slab_size",
			 (unsigned long long)c->slab_size, strerror(-ret));
		return ret;
	}
	/* otherwise eal_hugepages() has said so */
	if (c->hugepages && !r->slab.huge && rte_eal_has_hugepages())
		log_line(LOG_WARNING,
			 "warning: the slab lies in ordinary pages: not enough free hugepages; "
			 "echo %llu > /proc/sys/vm/nr_hugepages",
			 (unsigned long long)hugepages_wanted(slab_bytes(&sc), 0));
	store_say(c);
	ret = index_create(&r->index, "blobs", c->slab_blobs, (int)rte_socket_id());
	if (ret < 0) {
		snprintf(why, WHY_MAX,
			 "no memory for an index of %u blobs (%s); lower [store] slab_blobs",
			 c->slab_blobs, strerror(-ret));
		slab_close(&r->slab);
	}
	return ret;
}

static int rcu_create(const struct config *c, struct relay *r)
{
	size_t size = rte_rcu_qsbr_get_memsize(c->workers);

	r->qsbr = rte_zmalloc("qsbr", size, RTE_CACHE_LINE_SIZE);
	return r->qsbr != NULL && rte_rcu_qsbr_init(r->qsbr, c->workers) == 0 ? 0 : -ENOMEM;
}

static int workers_start(struct control *ctl)
{
	struct relay *r = ctl->relay;

	for (uint16_t i = 0; i < r->port.workers; i++) {
		ctl->worker[i] = worker_create(r, i, (int)rte_socket_id());
		if (ctl->worker[i] == NULL)
			return -ENOMEM;
	}
	/* lcores 1..workers: eal_start() laid them out */
	for (uint16_t i = 0; i < r->port.workers; i++)
		rte_eal_remote_launch(worker_run, ctl->worker[i], i + 1u);
	return 0;
}

static void workers_stop(struct control *ctl)
{
	atomic_store(&ctl->relay->stop, true);
	for (uint16_t i = 0; i < ctl->relay->port.workers; i++)
		if (ctl->worker[i] != NULL)
			doorbell_ring(&ctl->worker[i]->bell);
	rte_eal_mp_wait_lcore();
}

static void workers_free(struct control *ctl)
{
	for (uint16_t i = 0; i < ctl->relay->port.workers; i++)
		worker_destroy(ctl->worker[i]);
}

static int socket_give(void *socket, uid_t uid, gid_t gid)
{
	return admin_give(socket, uid, gid);
}

/* From a prepared relay to the loop and back. */
static int relay_serve(struct config *c, const char *path, struct control *ctl, char *why)
{
	struct event *term = evsignal_new(ctl->base, SIGTERM, on_signal, ctl);
	struct event *interrupt = evsignal_new(ctl->base, SIGINT, on_signal, ctl);
	struct admin *admin = NULL;
	char text[ADDR_PAIR_TEXT_MAX];
	int ret = -ENOMEM;

	if (term == NULL || interrupt == NULL || event_add(term, NULL) < 0 ||
	    event_add(interrupt, NULL) < 0 || reload_open(ctl, path, c) < 0) {
		snprintf(why, WHY_MAX, "signals cannot be handled: no memory");
		goto out;
	}
	ret = workers_start(ctl);
	if (ret < 0) {
		snprintf(why, WHY_MAX, "no memory for %u workers", c->workers);
		goto stop;
	}
	admin = admin_open(ctl->base, c->admin_socket, admin_commands, ctl);
	if (admin == NULL) {
		ret = -errno;
		snprintf(why, WHY_MAX, "admin socket %s: %s; set [relay] admin_socket",
			 c->admin_socket, strerror(errno));
		goto stop;
	}
	ret = privilege_drop(c, path, &ctl->relay->port, socket_give, admin, why, WHY_MAX);
	if (ret < 0)
		goto stop;
	ret = control_attach(ctl, why, WHY_MAX);
	if (ret < 0)
		goto stop;
	ret = port_steer(&ctl->relay->port, true);
	if (ret < 0) {
		snprintf(why, WHY_MAX, "packets cannot be steered to the relay: %s",
			 strerror(-ret));
		goto stop;
	}
	log_line(LOG_NOTICE, "ready: %s relay %s on %s, %s", role_name(c->role), c->instance,
		 addr_pair_text(&c->listen, text), c->port);
	control_run(ctl);
	port_steer(&ctl->relay->port, false);
	ret = ctl->failure;
	if (ret < 0)
		snprintf(why, WHY_MAX, "%s", ctl->why);
stop:
	workers_stop(ctl);
	admin_close(admin);
out:
	reload_close(ctl);
	if (interrupt != NULL)
		event_free(interrupt);
	if (term != NULL)
		event_free(term);
	return ret;
}

static int relay_run(struct config *c, const char *path, struct relay *r, const char *progname)
{
	static struct control ctl; /* too large for a stack */
	char why[WHY_MAX] = "";
	uint64_t memory = eal_memory(c);
	const struct slab_config sc = slab_config(c);
	bool huge;
	int ret;

	ret = privilege_prepare(c, why, sizeof(why));
	if (ret < 0)
		goto out;
	huge = eal_hugepages(c, memory, slab_bytes(&sc), why, sizeof(why));
	if (!huge && why[0] != '\0')
		log_line(LOG_WARNING, "%s", why);
	ret = port_prepare(&r->port, c->port, &c->listen, (uint16_t)c->workers, c->xdp_program,
			   !huge, why, sizeof(why));
	if (ret < 0)
		goto out;
	if (r->has_gateway_mac && r->port.ifindex != 0)
		log_line(LOG_WARNING,
			 "warning: [relay] gateway_mac has no effect: the kernel finds "
			 "next hops for this port");
	ret = eal_start(c, &r->port, progname, memory, why, sizeof(why));
	if (ret < 0)
		goto release;
	ret = port_start(&r->port, c->packet_buffers, c->zero_copy, why, sizeof(why));
	if (ret < 0)
		goto eal;
	ret = rcu_create(c, r);
	if (ret < 0) {
		snprintf(why, sizeof(why), "no EAL memory for RCU");
		goto port;
	}
	ret = store_open(c, r, why);
	if (ret < 0)
		goto port;
	ret = control_init(&ctl, c, r, eal_saved_affinity(), why, sizeof(why));
	if (ret < 0)
		goto store;
	ret = relay_serve(c, path, &ctl, why);
	workers_free(&ctl);
	control_fini(&ctl);
store:
	index_destroy(r->index);
	slab_close(&r->slab);
port:
	rte_free(r->qsbr);
	port_stop(&r->port);
eal:
	eal_stop(c);
release:
	port_release(&r->port);
out:
	cleaner_finish();
	if (ret < 0) {
		log_line(LOG_ERR, "%s", why);
		privilege_explain(&r->port);
	}
	return ret;
}

static void usage(FILE *out)
{
	fputs("usage: oncewired --config FILE [--check-config]\n"
	      "       oncewired --print-sample | --version | --help\n"
	      "\n"
	      "  -c, --config FILE   run the relay that FILE describes (see --print-sample)\n"
	      "      --check-config  check FILE and its key files, then exit\n"
	      "      --print-sample  print a commented sample configuration\n",
	      out);
}

struct command_line {
	const char *config;
	bool check;
};

/* -1: run on; else the exit status. */
static int command_line_parse(int argc, char **argv, struct command_line *cl)
{
	enum { OPT_CHECK = 256, OPT_SAMPLE, OPT_VERSION };
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"check-config", no_argument, NULL, OPT_CHECK},
		{"print-sample", no_argument, NULL, OPT_SAMPLE},
		{"version", no_argument, NULL, OPT_VERSION},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (opt) {
		case 'c':
			cl->config = optarg;
			break;
		case OPT_CHECK:
			cl->check = true;
			break;
		case OPT_SAMPLE:
			config_print_sample(stdout);
			return EXIT_SUCCESS;
		case OPT_VERSION:
			printf("oncewired %s\n", ONCEWIRE_VERSION);
			return EXIT_SUCCESS;
		case 'h':
			usage(stdout);
			return EXIT_SUCCESS;
		default:
			usage(stderr);
			return EXIT_USAGE;
		}
	}
	if (cl->config == NULL || optind < argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	return -1;
}

int main(int argc, char **argv)
{
	static struct config c;
	static struct relay r;
	struct command_line cl = {0};
	int status = command_line_parse(argc, argv, &cl);

	if (status >= 0)
		return status;
	if (sodium_init() < 0) {
		log_line(LOG_ERR, "libsodium cannot be initialised");
		return EXIT_FAILURE;
	}
	if (config_load(cl.config, &c, stderr) < 0 || config_load_keys(cl.config, &c, stderr) < 0)
		return EXIT_USAGE;
	if (cl.check) {
		printf("%s: ok\n", cl.config);
		return EXIT_SUCCESS;
	}
	control_relay(&c, &r);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN); /* until it can be served */
	config_warn_open(&c);
	status = relay_run(&c, cl.config, &r, argv[0]) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	config_free(&c);
	return status;
}
