/* SPDX-License-Identifier: BSD-3-Clause
 * Receives one file and prints, fifty times a second, what its window thinks of the
 * path: seconds, bytes, the model's rate in Mb/s, chunks that may be in flight and are,
 * the smoothed round trip and the one without a queue in milliseconds. For bench/trace.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>

#include "client/lib/clock.h"
#include "client/lib/receiver.h"

#define EVERY (20 * MILLISECOND)

static volatile sig_atomic_t stopped;

static void stop(int number)
{
	(void)number;
	stopped = 1;
}

static void window_print(const struct pullwin *w, uint64_t now)
{
	printf("%.3f %llu %.3f %u %u %.3f %.3f\n", (double)now / SECOND,
	       (unsigned long long)w->pulls.have * CHUNK_SIZE, w->congestion.rate * CHUNK_SIZE * 8,
	       pullwin_window(w), w->pulls.flight, (double)w->recovery.srtt / MILLISECOND,
	       (double)congestion_rtt(&w->congestion) / MILLISECOND);
	fflush(stdout);
}

static const struct pullwin *window_find(const struct ow_receiver *r)
{
	for (uint32_t i = 0; i < r->deliveries.room; i++)
		if (r->deliveries.slot[i] != NULL && r->deliveries.slot[i]->window != NULL)
			return r->deliveries.slot[i]->window;
	return NULL;
}

int main(int argc, char **argv)
{
	struct ow_receive_options o = {.count = 1};
	const struct pullwin *w;
	struct ow_receiver *r;
	uint64_t next = 0;
	int ret;

	if (argc != 3) {
		fputs("usage: window_trace DIRECTORY LISTEN\n", stderr);
		return 2;
	}
	signal(SIGTERM, stop);
	o.directory = argv[1];
	o.listen = argv[2];
	if (ow_receiver_open(&o, &r) != OW_OK) {
		fprintf(stderr, "window_trace: %s\n", r ? ow_receiver_message(r) : "out of memory");
		return 1;
	}
	while (!stopped && (ret = ow_receiver_process(r)) == OW_AGAIN) {
		struct pollfd p = {.fd = ow_receiver_fd(r), .events = POLLIN};
		uint64_t now = clock_now();

		w = window_find(r);
		if (w != NULL && now >= next) {
			window_print(w, now);
			next = now + EVERY;
		}
		poll(&p, 1, (int)(EVERY / MILLISECOND));
	}
	ow_receiver_close(r);
	return 0;
}
