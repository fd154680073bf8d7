/* SPDX-License-Identifier: BSD-3-Clause
 * worker_bench: the relay's own worker on software ports, its blobs in memory. It does what
 * lines on its standard input say, and answers each with a line of JSON; bench/loop drives it.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

#include <jansson.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <sodium.h>

#include "bench/eal_end.h"
#include "bench/worker/openloop.h"
#include "bench/worker/run.h"

#define EXIT_USAGE 2
#define BURST 32
#define SECONDS_MAX ECHO_SECONDS /* the requests' echoes are good for as long */

static struct scene scene; /* large */
static struct ports ports;

static void usage(FILE *out)
{
	fputs("usage: worker_bench --config FILE --requests FILE --blobs N [OPTION...]\n"
	      "\n"
	      "  --config FILE    of a central oncewired with engine = memory; its port is not "
	      "used\n"
	      "  --requests FILE  made by request_pcap with --target left out\n"
	      "  --blobs N        how many there are in memory: request_pcap's --generate\n"
	      "  --bytes N        of each: its --bytes (1152)\n"
	      "  --seed N         its --content-seed (1)\n"
	      "  --second FILE    pcap: requests of other sources, for a second worker, on A\n"
	      "  --port KIND      pcap: from net_pcap, for ever, to net_null, or\n"
	      "                   rings: from and to this program, which looks at all (pcap)\n"
	      "  --cpus A,B       of the program and of its worker (0,1)\n"
	      "  --hugepages      for all memory; there must be enough of them\n"
	      "\n"
	      "On standard input, a line each, of which each is answered with a line:\n"
	      "  run SECONDS [WHAT]            pcap: the worker turns, and\n"
	      "      control                   control, or\n"
	      "      churn RATE                control, which stores and removes so many blobs a\n"
	      "                                second of 64 bytes, or\n"
	      "      both                      the second worker\n"
	      "  offer RATE SECONDS [swapped]  rings: so many requests a second; with `swapped`,\n"
	      "                                they come back from a bare reflector\n"
	      "  quit\n",
	      out);
}

/* ---- command line ---- */

struct command_line {
	const char *config, *requests, *second, *cpus;
	bool rings, hugepages;
};

static bool number_parse(const char *text, uint64_t max, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	return end != text && *end == '\0' && *text != '-' && errno == 0 && *out <= max;
}

static bool option_take(struct command_line *cl, int opt, const char *text)
{
	struct catalogue_spec *c = &scene.catalogue;
	uint64_t n;

	switch (opt) {
	case 'c':
		cl->config = text;
		return true;
	case 'r':
		cl->requests = text;
		return true;
	case '2':
		cl->second = text;
		return true;
	case 'n':
		if (!number_parse(text, UINT32_MAX - 1, &n))
			return false;
		c->blobs = (uint32_t)n;
		return n > 0;
	case 'b':
		return number_parse(text, BLOB_MAX_LENGTH, &c->bytes) && c->bytes > 0;
	case 's':
		return number_parse(text, UINT64_MAX, &c->seed);
	case 'p':
		cl->rings = strcmp(text, "rings") == 0;
		return cl->rings || strcmp(text, "pcap") == 0;
	case 'u':
		cl->cpus = text;
		return true;
	case 'g':
		cl->hugepages = true;
		return true;
	default:
		return false;
	}
}

static bool command_line_parse(int argc, char **argv, struct command_line *cl)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"requests", required_argument, NULL, 'r'},
		{"second", required_argument, NULL, '2'},
		{"blobs", required_argument, NULL, 'n'},
		{"bytes", required_argument, NULL, 'b'},
		{"seed", required_argument, NULL, 's'},
		{"port", required_argument, NULL, 'p'},
		{"cpus", required_argument, NULL, 'u'},
		{"hugepages", no_argument, NULL, 'g'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int opt;

	*cl = (struct command_line){.cpus = "0,1"};
	scene.catalogue = (struct catalogue_spec){.bytes = CHUNK_SIZE, .seed = 1};
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'h') {
			usage(stdout);
			exit(EXIT_SUCCESS);
		}
		if (!option_take(cl, opt, optarg)) {
			usage(stderr);
			return false;
		}
	}
	if (optind == argc && cl->config != NULL && cl->requests != NULL &&
	    scene.catalogue.blobs > 0 && !(cl->rings && cl->second != NULL))
		return true;
	usage(stderr);
	return false;
}

/* ---- the EAL ---- */

/* The index, leases and neighbours beside the ports, as in oncewired. */
static uint64_t memory_needed(void)
{
	return ports_memory(scene.requests.count) +
	       (scene.second.count > 0 ? ports_memory(scene.second.count) : 0) +
	       (uint64_t)scene.catalogue.blobs * 2 * 128 + (UINT64_C(96) << 20);
}

static int eal_open(const struct command_line *cl)
{
	char lcores[64], memory[24], prefix[48], in_memory[] = "--in-memory";
	/* the two differ in their last words: --no-huge allows of no --in-memory */
	char *argv[] = {"worker_bench",
			lcores,
			prefix,
			"-m",
			memory,
			"--no-pci",
			"--iova-mode=va",
			"--no-telemetry",
			"--log-level=error",
			"--no-huge",
			"--no-shconf",
			NULL};
	int cpu, worker, argc = (int)RTE_DIM(argv) - 1;

	if (sscanf(cl->cpus, "%d,%d", &cpu, &worker) != 2) {
		fprintf(stderr, "worker_bench: --cpus %s: two numbers, such as 0,1\n", cl->cpus);
		return -EINVAL;
	}
	snprintf(lcores, sizeof(lcores), "--lcores=0@%d,%u@%d,%u@%d", cpu, worker_lcore(0), worker,
		 worker_lcore(1), cpu);
	snprintf(memory, sizeof(memory), "%llu", (unsigned long long)(memory_needed() >> 20));
	snprintf(prefix, sizeof(prefix), "--file-prefix=worker_bench-%d", (int)getpid());
	if (cl->hugepages) {
		argc--;
		argv[argc - 1] = in_memory;
		argv[argc] = NULL;
	}
	if (rte_eal_init(argc, argv) >= 0)
		return 0;
	fprintf(stderr, "worker_bench: the EAL does not start: %s\n", rte_strerror(rte_errno));
	return -ENODEV;
}

/* ---- offer ---- */

static void frame_swap(struct rte_mbuf *m)
{
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(eth + 1);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);

	RTE_SWAP(eth->src_addr, eth->dst_addr);
	RTE_SWAP(ip->src_addr, ip->dst_addr);
	RTE_SWAP(udp->src_port, udp->dst_port);
}

/* What testpmd's 5tswap does, where testpmd cannot be. */
static int reflector_run(void *arg)
{
	struct rte_mbuf *m[BURST];

	(void)arg;
	while (!atomic_load_explicit(&scene.relay.stop, memory_order_relaxed)) {
		uint16_t n = rte_eth_rx_burst(ports.rx, 0, m, BURST), sent;

		for (uint16_t i = 0; i < n; i++)
			frame_swap(m[i]);
		sent = n > 0 ? rte_eth_tx_burst(ports.tx, 0, m, n) : 0;
		rte_pktmbuf_free_bulk(m + sent, (unsigned int)(n - sent));
	}
	return 0;
}

static json_t *offer(double rate, double seconds, bool swapped)
{
	const struct openloop o = {.scene = &scene,
				   .ports = &ports,
				   .swapped = swapped,
				   .rate = rate,
				   .seconds = seconds};
	const struct stats before = scene.worker[0]->stats;
	struct openloop_result r;
	int ret;

	scene_rewind(&scene);
	atomic_store(&scene.relay.stop, false);
	rte_eal_remote_launch(swapped ? reflector_run : worker_run, scene.worker[0],
			      worker_lcore(0));
	ret = openloop_run(&o, &r);
	atomic_store(&scene.relay.stop, true);
	rte_eal_wait_lcore(worker_lcore(0));
	ports_rings_drain(&ports); /* on a busy host some came too late to be waited for */
	if (ret < 0)
		return json_pack("{s:s}", "error", strerror(-ret));
	return json_pack("{s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:f, s:f, s:f, s:f, s:o}",
			 "seconds", r.took, "offered", (json_int_t)r.offered, "sent",
			 (json_int_t)r.sent, "answered", (json_int_t)r.answered, "frames",
			 (json_int_t)r.frames, "wrong", (json_int_t)r.wrong, "late",
			 (json_int_t)r.late, "fault", r.fault != NULL ? r.fault : "", "p50_us",
			 r.p50, "p99_us", r.p99, "p999_us", r.p999, "most_us", r.most, "drops",
			 drops_json(&before, &scene.worker[0]->stats));
}

/* ---- standard input ---- */

static bool seconds_ok(double seconds)
{
	return seconds > 0 && seconds < SECONDS_MAX;
}

/* NULL: it is not to go on. */
static json_t *command(const char *line)
{
	char verb[16] = "", word[16] = "";
	double first = 0, second = 0;
	struct run_spec spec;

	if (sscanf(line, "%15s", verb) != 1 || strcmp(verb, "quit") == 0)
		return NULL;
	if (ports.in == NULL && run_parse(line, ports.workers, &spec) && seconds_ok(spec.seconds))
		return run(&scene, &spec);
	if (ports.in != NULL && sscanf(line, "offer %lf %lf %15s", &first, &second, word) >= 2 &&
	    first >= 1 && first <= 1e9 && seconds_ok(second) &&
	    (word[0] == '\0' || strcmp(word, "swapped") == 0))
		return offer(first, second, word[0] != '\0');
	return json_pack("{s:s}", "error", "no such command for this port, see --help");
}

static void answer(json_t *j)
{
	json_dumpf(j, stdout, JSON_REAL_PRECISION(9));
	putchar('\n');
	fflush(stdout);
	json_decref(j);
}

static void commands_serve(void)
{
	char line[256];
	json_t *j;

	answer(json_pack("{s:I, s:b}", "requests", (json_int_t)scene.requests.count, "hugepages",
			 scene.relay.slab.huge));
	while (fgets(line, sizeof(line), stdin) != NULL && (j = command(line)) != NULL)
		answer(j);
}

static int pcap_open(const struct command_line *cl)
{
	const char *const path[PORTS_WORKERS] = {cl->requests, cl->second};
	const uint32_t requests[PORTS_WORKERS] = {scene.requests.count, scene.second.count};

	return ports_pcap(&ports, path, requests, cl->second != NULL ? 2 : 1);
}

int main(int argc, char **argv)
{
	struct command_line cl;
	int ret;

	if (!command_line_parse(argc, argv, &cl))
		return EXIT_USAGE;
	if (sodium_init() < 0 || capture_read(&scene.requests, cl.requests) < 0 ||
	    (cl.second != NULL && capture_read(&scene.second, cl.second) < 0) || eal_open(&cl) < 0)
		return EXIT_FAILURE;
	ret = cl.rings ? ports_rings(&ports) : pcap_open(&cl);
	if (ret == 0)
		ret = scene_open(&scene, cl.config, &ports);
	if (ret == 0) {
		commands_serve();
		scene_close(&scene);
	}
	bench_eal_end();
	return ret < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
