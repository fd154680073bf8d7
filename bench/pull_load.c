/* SPDX-License-Identifier: BSD-3-Clause
 * Load from one kernel UDP socket, in a closed window: single-frame hits of a
 * relay, or datagrams that a reflector sends back. Every reply is checked, and a
 * wrong one fails the run. Prints one JSON object.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "bench/window.h"

#define EXIT_USAGE 2

static void usage(FILE *out)
{
	fputs("usage: pull_load --workload pull|send|echo --server ADDR[:PORT]\n"
	      "                 [--bytes N] [--blob N] [--window N] [--warmup S] [--seconds S]\n"
	      "                 [--domain FILE] [--pid PID]\n"
	      "\n"
	      "  pull   PULLs of one chunk; one DATA answers each\n"
	      "  send   SENDs to this very socket; STATUS and an OFFER with the blob answer each\n"
	      "  echo   datagrams that come back as they are\n"
	      "\n"
	      "  --bytes N    of the blob, or of the datagram (256; 1 to 1152)\n"
	      "  --blob N     which blob; it is uploaded if the relay has not got it (0)\n"
	      "  --domain F   key file of a domain: its member signs the requests\n"
	      "  --window N   requests under way (64)\n"
	      "  --warmup S   seconds that do not count (0.2)\n"
	      "  --seconds S  seconds that do (1.5)\n"
	      "  --pid PID    of the server, whose CPU time is reported\n",
	      out);
}

struct command_line {
	const struct workload *workload;
	struct addr server;
	const char *domain;
	uint64_t blob;
	uint64_t bytes;
	struct window_options window;
};

/* A number of the range, else 0 with *ok cleared. */
static double number_parse(const char *text, double min, double max, bool *ok)
{
	char *end;
	double x = strtod(text, &end);

	if (end != text && *end == '\0' && x >= min && x <= max)
		return x;
	fprintf(stderr, "pull_load: %s: use a number from %g to %g\n", text, min, max);
	*ok = false;
	return 0;
}

static bool option_take(struct command_line *cl, int opt, const char *text)
{
	bool ok = true;

	switch (opt) {
	case 'w':
		cl->workload = workload_find(text);
		return cl->workload != NULL;
	case 's':
		return addr_parse(text, WIRE_PORT, &cl->server) == 0;
	case 'd':
		cl->domain = text;
		break;
	case 'b':
		cl->bytes = (uint64_t)number_parse(text, 1, CHUNK_SIZE, &ok);
		break;
	case 'n':
		cl->blob = (uint64_t)number_parse(text, 0, 1e15, &ok);
		break;
	case 'W':
		cl->window.size = (uint32_t)number_parse(text, 1, WINDOW_MAX, &ok);
		break;
	case 'u':
		cl->window.warmup = (uint64_t)(1e6 * number_parse(text, 0, 3600, &ok));
		break;
	case 't':
		cl->window.measure = (uint64_t)(1e6 * number_parse(text, 0.01, 3600, &ok));
		break;
	case 'p':
		cl->window.pid = (int)number_parse(text, 1, INT32_MAX, &ok);
		break;
	default:
		return false;
	}
	return ok;
}

static bool command_line_parse(int argc, char **argv, struct command_line *cl)
{
	static const struct option options[] = {
		{"workload", required_argument, NULL, 'w'},
		{"server", required_argument, NULL, 's'},
		{"domain", required_argument, NULL, 'd'},
		{"bytes", required_argument, NULL, 'b'},
		{"blob", required_argument, NULL, 'n'},
		{"window", required_argument, NULL, 'W'},
		{"warmup", required_argument, NULL, 'u'},
		{"seconds", required_argument, NULL, 't'},
		{"pid", required_argument, NULL, 'p'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int opt;

	*cl = (struct command_line){
		.bytes = 256,
		.window = {.size = 64, .warmup = 200000, .measure = 1500000},
	};
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'h') {
			usage(stdout);
			exit(EXIT_SUCCESS);
		}
		if (!option_take(cl, opt, optarg))
			return false;
	}
	return optind == argc && cl->workload != NULL && cl->server.type != ADDR_NONE &&
	       (cl->domain == NULL || cl->workload->relay);
}

static void result_print(const struct command_line *cl, const struct window_result *r,
			 double open_seconds)
{
	printf("{\"workload\":\"%s\",\"requests\":%llu,\"seconds\":%.6f,\"lost\":%llu,"
	       "\"strays\":%llu,\"server_cpu\":%.2f,\"window\":%u,\"request_bytes\":%zu,"
	       "\"open_seconds\":%.6f}\n",
	       cl->workload->name, (unsigned long long)r->requests, r->seconds,
	       (unsigned long long)r->lost, (unsigned long long)r->strays, r->server_cpu,
	       cl->window.size, r->request_bytes, open_seconds);
}

static double now_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int domain_join(struct conversation *s, const char *path)
{
	int ret = session_join(s, path);

	if (ret == -EPERM)
		fprintf(stderr, "pull_load: %s: others may read it: chmod 600\n", path);
	else if (ret == -EINVAL)
		fprintf(stderr, "pull_load: %s: make it with oncewire keygen domain\n", path);
	return ret;
}

/* open_seconds: what session_open() took. */
static int load_run(const struct command_line *cl, struct window_result *r, double *open_seconds)
{
	static struct conversation s;
	int ret = session_connect(&s, &cl->server, cl->blob, (uint16_t)cl->bytes);

	if (ret < 0)
		return ret;
	if (cl->domain != NULL)
		ret = domain_join(&s, cl->domain);
	*open_seconds = now_seconds();
	if (ret == 0 && cl->workload->relay)
		ret = session_open(&s);
	*open_seconds = now_seconds() - *open_seconds;
	if (ret == 0)
		ret = window_run(&s, cl->workload, &cl->window, r);
	close(s.fd);
	return ret;
}

int main(int argc, char **argv)
{
	struct command_line cl;
	struct window_result r;
	double open_seconds;
	int ret;

	if (!command_line_parse(argc, argv, &cl)) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (sodium_init() < 0)
		return EXIT_FAILURE;
	ret = load_run(&cl, &r, &open_seconds);
	if (ret < 0) {
		fprintf(stderr, "pull_load: %s\n",
			ret == -EPROTO ? "a wrong answer" : strerror(-ret));
		return EXIT_FAILURE;
	}
	result_print(&cl, &r, open_seconds);
	return EXIT_SUCCESS;
}
