/* SPDX-License-Identifier: BSD-3-Clause
 * One transfer, watched: a line "SECONDS BYTES" for what was there when, which
 * bench/wan makes a rate of. The bytes of `recv` are at the target, those of `send`
 * have left for the relay once.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/lib/oncewire.h"

static volatile sig_atomic_t stopped;

static void stop(int number)
{
	(void)number;
	stopped = 1;
}

static void line_print(uint64_t bytes)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	printf("%ld.%06ld %llu\n", (long)t.tv_sec, t.tv_nsec / 1000, (unsigned long long)bytes);
	fflush(stdout);
}

static void show(void *ctx, enum ow_phase phase, uint64_t done, uint64_t total)
{
	const enum ow_phase *wanted = ctx;

	(void)total;
	if (phase == *wanted)
		line_print(done);
}

static void file_show(void *ctx, const struct ow_file *file)
{
	(void)ctx;
	line_print(file->bytes);
	printf("done %s\n", file->path);
	fflush(stdout);
}

static int receive(const char *directory, const char *listen)
{
	static enum ow_phase phase = OW_RECEIVING;
	const struct ow_receive_options options = {.directory = directory,
						   .listen = listen,
						   .count = 1,
						   .file = file_show,
						   .progress = show,
						   .ctx = &phase,
						   .stop = &stopped};
	char message[OW_MESSAGE_MAX];
	int ret = ow_receive(&options, message);

	if (ret != OW_OK && ret != OW_STOPPED)
		fprintf(stderr, "goodput: %s\n", message);
	return ret == OW_OK || ret == OW_STOPPED ? 0 : 1;
}

static int transmit(const char *relay, const char *target, const char *path)
{
	static enum ow_phase phase = OW_UPLOADING;
	const struct ow_send_options options = {.relay = relay,
						.via = OW_VIA_PRIVATE,
						.target = target,
						.path = path,
						.timeout_ms = 3600000,
						.progress = show,
						.ctx = &phase,
						.stop = &stopped};
	struct ow_send_result result;
	char message[OW_MESSAGE_MAX];
	int ret = ow_send(&options, &result, message);

	if (ret == OW_OK)
		printf("done %s\n", ow_outcome_name(result.outcome));
	else if (ret != OW_STOPPED)
		fprintf(stderr, "goodput: %s\n", message);
	return ret == OW_OK || ret == OW_STOPPED ? 0 : 1;
}

int main(int argc, char **argv)
{
	signal(SIGTERM, stop);
	signal(SIGINT, stop);
	if (argc == 4 && strcmp(argv[1], "recv") == 0)
		return receive(argv[2], argv[3]);
	if (argc == 5 && strcmp(argv[1], "send") == 0)
		return transmit(argv[2], argv[3], argv[4]);
	fputs("usage: goodput recv DIRECTORY LISTEN\n       goodput send RELAY TARGET FILE\n",
	      stderr);
	return 2;
}
