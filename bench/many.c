/* SPDX-License-Identifier: BSD-3-Clause
 * Thousands of transfers from one process, each with a handle of its own, as an application
 * would have them. bench/many runs it: once for the targets, and once for each kind of sources.
 *
 * A blob follows from its number, which is also its name: targets make it again, and compare.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "client/lib/clock.h"
#include "client/lib/oncewire.h"

#define EVENTS 256
#define PATIENCE_MS 900000

static volatile sig_atomic_t stopped;

static void stop(int number)
{
	(void)number;
	stopped = 1;
}

static void *must(void *memory)
{
	if (memory == NULL) {
		fputs("many: out of memory\n", stderr);
		exit(1);
	}
	return memory;
}

/* Of no use to anybody who compresses, and never the same for two numbers (Vigna 2015,
 * splitmix64). */
static void blob_fill(uint64_t number, uint64_t *words, size_t count)
{
	uint64_t state = number << 32, z;

	for (size_t i = 0; i < count; i++) {
		state += UINT64_C(0x9e3779b97f4a7c15);
		z = (state ^ (state >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
		words[i] = z ^ (z >> 31);
	}
}

static void *blob_make(uint64_t number, size_t bytes)
{
	uint64_t *blob = must(malloc(bytes));

	blob_fill(number, blob, bytes / sizeof(*blob));
	return blob;
}

/* ---- a loop of many handles ---- */

struct loop {
	int epoll;
	uint32_t running;
	bool (*run)(void *handle); /* false: it has ended */
};

static int loop_open(struct loop *l, bool (*run)(void *handle))
{
	*l = (struct loop){.epoll = epoll_create1(EPOLL_CLOEXEC), .run = run};
	return l->epoll;
}

static int loop_add(struct loop *l, int fd, void *handle)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = handle};

	l->running++;
	return epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &event);
}

/* Handles are waited for by their descriptors alone, so each must have had one of its own. */
static void loop_run(struct loop *l)
{
	struct epoll_event events[EVENTS];

	while (l->running > 0 && !stopped) {
		const int n = epoll_wait(l->epoll, events, EVENTS, 1000);

		for (int i = 0; i < n; i++)
			if (!l->run(events[i].data.ptr))
				l->running--;
	}
}

static double seconds(const struct timeval *t)
{
	return (double)t->tv_sec + (double)t->tv_usec * 1e-6;
}

/* What the process took, as members of a JSON object. */
static void usage_print(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	printf("\"cpu_seconds\": %.2f, \"most_memory\": %ld}\n",
	       seconds(&r.ru_utime) + seconds(&r.ru_stime), r.ru_maxrss * 1024);
}

/* ---- targets ---- */

struct target {
	struct ow_receiver *receiver;
	bool ended;
};

static struct {
	uint32_t files, wrong;
	size_t bytes;
} got;

static bool file_right(const struct ow_file *file, uint64_t number)
{
	const int fd = open(file->path, O_RDONLY | O_CLOEXEC);
	uint8_t *has = must(malloc(got.bytes)), *wants = blob_make(number, got.bytes);
	size_t done = 0;
	ssize_t n = 1;

	while (fd >= 0 && done < got.bytes && n > 0) {
		n = read(fd, has + done, got.bytes - done);
		done += n > 0 ? (size_t)n : 0;
	}
	n = done == got.bytes && file->bytes == got.bytes ? memcmp(has, wants, done) : 1;
	close(fd);
	free(has);
	free(wants);
	return n == 0;
}

/* A file's place is needed for others. */
static void file_take(void *ctx, const struct ow_file *file)
{
	const char *name = strrchr(file->path, '/') + 1;

	(void)ctx;
	got.wrong += !file_right(file, strtoull(name, NULL, 10));
	got.files++;
	unlink(file->path);
}

static void complain(void *ctx, const char *text)
{
	(void)ctx;
	fprintf(stderr, "many: %s\n", text);
}

static bool target_run(void *handle)
{
	struct target *t = handle;

	if (t->ended)
		return true;
	t->ended = ow_receiver_process(t->receiver) != OW_AGAIN;
	if (t->ended)
		fprintf(stderr, "many: %s\n", ow_receiver_message(t->receiver));
	return !t->ended;
}

/* directory address port receivers bytes: until SIGTERM, as a RECEIPT may have been lost */
static int receive(char **words)
{
	const uint32_t port = (uint32_t)atoi(words[2]), count = (uint32_t)atoi(words[3]);
	struct target *targets = must(calloc(count, sizeof(*targets)));
	struct loop loop;

	got.bytes = strtoull(words[4], NULL, 10);
	if (loop_open(&loop, target_run) < 0)
		return 1;
	for (uint32_t i = 0; i < count; i++) {
		char listen[OW_ADDRESS_MAX];
		const struct ow_receive_options options = {.directory = words[0],
							   .listen = listen,
							   .file = file_take,
							   .warning = complain};

		snprintf(listen, sizeof(listen), "%.45s:%u", words[1], port + i);
		if (ow_receiver_open(&options, &targets[i].receiver) != OW_OK ||
		    loop_add(&loop, ow_receiver_fd(targets[i].receiver), &targets[i]) < 0) {
			complain(NULL, ow_receiver_message(targets[i].receiver));
			return 1;
		}
	}
	puts("ready");
	fflush(stdout);
	loop_run(&loop);
	printf("{\"files\": %u, \"wrong\": %u, ", got.files, got.wrong);
	usage_print();
	for (uint32_t i = 0; i < count; i++)
		ow_receiver_close(targets[i].receiver);
	free(targets);
	return 0;
}

/* ---- sources ---- */

struct source {
	struct ow_sender *sender;
	uint64_t moved;	  /* bytes that the target, or before that the relay, has */
	uint64_t at_half; /* that, when half of all bytes had moved */
	bool delivering;  /* it is the target that `moved` is of */
	double took;	  /* seconds; 0: not delivered */
};

static struct {
	struct source *source;
	uint32_t count, failed;
	uint32_t outcomes[OW_UPLOADED_CENTRAL + 1];
	uint64_t began, bytes, moved;
	bool half;
} all;

static void moved_set(struct source *s, uint64_t moved)
{
	all.moved += moved - s->moved;
	s->moved = moved;
	if (all.half || all.moved < all.bytes * all.count / 2)
		return;
	all.half = true;
	for (uint32_t i = 0; i < all.count; i++)
		all.source[i].at_half = all.source[i].moved;
}

static void progress(void *ctx, enum ow_phase phase, uint64_t done, uint64_t total)
{
	struct source *s = ctx;

	(void)total;
	if (phase == OW_UPLOADING && !s->delivering)
		moved_set(s, done);
	if (phase != OW_DELIVERING)
		return;
	s->delivering = true;
	moved_set(s, done);
}

static bool source_run(void *handle)
{
	struct source *s = handle;
	struct ow_send_result result;
	int ret;

	if (s->sender == NULL)
		return true;
	ret = ow_sender_process(s->sender);
	if (ret == OW_AGAIN)
		return true;
	ow_sender_result(s->sender, &result);
	all.outcomes[result.outcome]++;
	if (ret == OW_OK) {
		s->took = (double)(clock_now() - all.began) * 1e-6;
		moved_set(s, all.bytes);
	} else {
		all.failed++;
		complain(NULL, ow_sender_message(s->sender));
	}
	ow_sender_close(s->sender);
	s->sender = NULL;
	return false;
}

static void result_print(void)
{
	const char *between = "";

	fputs("{\"took\": [", stdout);
	for (uint32_t i = 0; i < all.count; i++)
		printf("%s%.3f", i > 0 ? ", " : "", all.source[i].took);
	fputs("], \"half\": [", stdout);
	for (uint32_t i = 0; i < all.count; i++)
		printf("%s%llu", i > 0 ? ", " : "", (unsigned long long)all.source[i].at_half);
	fputs("], \"outcomes\": {", stdout);
	for (int i = 0; i <= OW_UPLOADED_CENTRAL; i++) {
		if (all.outcomes[i] == 0)
			continue;
		printf("%s\"%s\": %u", between, i == OW_NONE ? "failed" : ow_outcome_name(i),
		       all.outcomes[i]);
		between = ", ";
	}
	fputs("}, ", stdout);
	usage_print();
}

/* relay address port receivers from count first blobs bytes: transfers `from` to from + count; i is
 * for receiver i % receivers, and no two of a receiver's are of the same of as many blobs. They
 * begin with a line of stdin. */
static int transmit(char **words)
{
	const uint32_t port = (uint32_t)atoi(words[2]), receivers = (uint32_t)atoi(words[3]),
		       from = (uint32_t)atoi(words[4]), blobs = (uint32_t)atoi(words[7]);
	const uint64_t first = strtoull(words[6], NULL, 10);
	void **blob = must(calloc(blobs, sizeof(*blob)));
	struct loop loop;

	all.count = (uint32_t)atoi(words[5]);
	all.bytes = strtoull(words[8], NULL, 10);
	all.source = must(calloc(all.count, sizeof(*all.source)));
	if (loop_open(&loop, source_run) < 0)
		return 1;
	for (uint32_t i = 0; i < all.count; i++) {
		const uint32_t face = (from + i) % receivers,
			       which = ((from + i) / receivers + face) % blobs;
		struct source *s = &all.source[i];
		char target[OW_ADDRESS_MAX], name[24];
		struct ow_send_options options = {.relay = words[0],
						  .via = OW_VIA_PRIVATE,
						  .target = target,
						  .size = all.bytes,
						  .name = name,
						  .timeout_ms = PATIENCE_MS,
						  .progress = progress,
						  .ctx = s};

		if (blob[which] == NULL)
			blob[which] = blob_make(first + which, all.bytes);
		options.data = blob[which];
		snprintf(target, sizeof(target), "%.45s:%u", words[1], port + face);
		snprintf(name, sizeof(name), "%llu", (unsigned long long)(first + which));
		if (ow_sender_open(&options, &s->sender) != OW_OK ||
		    loop_add(&loop, ow_sender_fd(s->sender), s) < 0) {
			complain(NULL, ow_sender_message(s->sender));
			return 1;
		}
	}
	puts("ready");
	fflush(stdout);
	getchar();
	all.began = clock_now();
	loop_run(&loop);
	result_print();
	for (uint32_t i = 0; i < all.count; i++)
		ow_sender_close(all.source[i].sender);
	for (uint32_t i = 0; i < blobs; i++)
		free(blob[i]);
	free(blob);
	free(all.source);
	return all.failed == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	signal(SIGTERM, stop);
	signal(SIGINT, stop);
	if (argc == 7 && strcmp(argv[1], "recv") == 0)
		return receive(argv + 2);
	if (argc == 11 && strcmp(argv[1], "send") == 0)
		return transmit(argv + 2);
	fputs("usage: many recv DIRECTORY ADDRESS PORT RECEIVERS BYTES\n"
	      "       many send RELAY ADDRESS PORT RECEIVERS FROM COUNT FIRST BLOBS BYTES\n",
	      stderr);
	return 2;
}
