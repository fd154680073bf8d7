/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/window.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define REPLY_MAX 2048
#define LOST_US 200000
#define SCAN_US 20000 /* between two looks for lost requests */

struct slot {
	uint64_t sent;
	uint32_t number;  /* of the request that holds it, or held it last */
	uint32_t missing; /* parts of the answer; 0: free */
};

struct window {
	struct conversation *s;
	const struct workload *w;
	uint32_t size;
	uint32_t free_count;
	size_t unsigned_len; /* of a request */
	uint64_t now, scan;
	struct window_result count;
	struct slot slot[WINDOW_MAX]; /* requests in slot i are numbered i, i + size, ... */
	uint32_t free[WINDOW_MAX];    /* slots, a stack */
	/* requests that go out in one call, and replies that come in in one */
	uint8_t request[BATCH][WIRE_MAX_FRAME];
	uint8_t reply[BATCH][REPLY_MAX];
	struct iovec out_iov[BATCH], in_iov[BATCH];
	struct mmsghdr out[BATCH], in[BATCH];
};

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static int window_init(struct window *w, struct conversation *s, const struct workload *work,
		       uint32_t size)
{
	size_t len = 0;

	w->s = s;
	w->w = work;
	w->size = size;
	for (uint32_t i = 0; i < size; i++) {
		w->slot[i].number = i;
		w->free[w->free_count++] = i;
	}
	for (unsigned int i = 0; i < BATCH; i++) {
		w->unsigned_len = work->prepare(s, w->request[i]);
		len = session_sign(s, w->request[i], w->unsigned_len);
		w->out_iov[i] = (struct iovec){.iov_base = w->request[i], .iov_len = len};
		w->out[i].msg_hdr = (struct msghdr){.msg_iov = &w->out_iov[i], .msg_iovlen = 1};
		w->in_iov[i] = (struct iovec){.iov_base = w->reply[i], .iov_len = REPLY_MAX};
		w->in[i].msg_hdr = (struct msghdr){.msg_iov = &w->in_iov[i], .msg_iovlen = 1};
	}
	w->count.request_bytes = len;
	return len > 0 ? 0 : -EMSGSIZE;
}

static void request_make(struct window *w, uint8_t *request, uint32_t number)
{
	w->w->number(w->s, request, number);
	session_sign(w->s, request, w->unsigned_len);
}

/* Sends as many requests as there are free slots, at most one batch. */
static int window_fill(struct window *w)
{
	unsigned int n = w->free_count < BATCH ? w->free_count : BATCH;
	const uint32_t *slots = &w->free[w->free_count - n];
	int sent;

	if (n == 0)
		return 0;
	for (unsigned int i = 0; i < n; i++)
		request_make(w, w->request[i], w->slot[slots[i]].number + w->size);
	sent = sendmmsg(w->s->fd, w->out, n, 0);
	if (sent < 0)
		return errno == EAGAIN || errno == ENOBUFS ? 0 : -errno;
	for (int i = 0; i < sent; i++) {
		struct slot *slot = &w->slot[slots[i]];

		slot->number += w->size;
		slot->sent = w->now;
		slot->missing = w->w->parts;
	}
	/* what was not sent moves down */
	w->free_count -= n;
	for (unsigned int i = (unsigned int)sent; i < n; i++)
		w->free[w->free_count++] = slots[i];
	return 0;
}

static int reply_take(struct window *w, const uint8_t *buf, size_t len)
{
	uint32_t number, part;
	struct slot *slot;

	switch (w->w->check(w->s, buf, len, &number, &part)) {
	case VERDICT_WRONG:
		return -EPROTO;
	case VERDICT_STRAY:
		w->count.strays++;
		return 0;
	case VERDICT_PART:
		break;
	}
	slot = &w->slot[number % w->size];
	if (slot->number != number || (slot->missing & part) == 0) {
		w->count.strays++;
		return 0;
	}
	slot->missing &= ~part;
	if (slot->missing == 0) {
		w->free[w->free_count++] = number % w->size;
		w->count.requests++;
	}
	return 0;
}

static int window_drain(struct window *w)
{
	int n = recvmmsg(w->s->fd, w->in, BATCH, MSG_DONTWAIT, NULL), ret = 0;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n && ret == 0; i++)
		ret = reply_take(w, w->reply[i], w->in[i].msg_len);
	return ret;
}

/* A late answer then finds its slot under another number. */
static void window_scan(struct window *w)
{
	if (w->now < w->scan)
		return;
	w->scan = w->now + SCAN_US;
	for (uint32_t i = 0; i < w->size; i++) {
		struct slot *slot = &w->slot[i];

		if (slot->missing != 0 && w->now - slot->sent > LOST_US) {
			slot->missing = 0;
			w->free[w->free_count++] = i;
			w->count.lost++;
		}
	}
}

static int window_until(struct window *w, uint64_t end)
{
	int ret = 0;

	for (w->now = now_us(); w->now < end && ret == 0; w->now = now_us()) {
		ret = window_fill(w);
		if (ret == 0)
			ret = window_drain(w);
		window_scan(w);
	}
	return ret;
}

/* User and system time of all threads of a process (proc(5), fields 14 and 15). */
static int process_cpu(int pid, double *seconds)
{
	char path[64], text[1024];
	unsigned long user, system;
	const char *p;
	size_t len;
	FILE *f;

	*seconds = 0;
	if (pid == 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (f == NULL)
		return -errno;
	len = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[len] = '\0';
	p = strrchr(text, ')'); /* the name before it may hold anything */
	if (p == NULL || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
				&user, &system) != 2)
		return -EINVAL;
	*seconds = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
	return 0;
}

static int window_measure(struct window *w, const struct window_options *o)
{
	double cpu_before, cpu_after;
	uint64_t start;
	int ret = window_until(w, now_us() + o->warmup);

	if (ret < 0)
		return ret;
	w->count = (struct window_result){.request_bytes = w->count.request_bytes};
	ret = process_cpu(o->pid, &cpu_before);
	start = now_us();
	if (ret == 0)
		ret = window_until(w, start + o->measure);
	w->count.seconds = (double)(now_us() - start) / 1e6;
	if (ret == 0)
		ret = process_cpu(o->pid, &cpu_after);
	if (ret < 0)
		return ret;
	w->count.server_cpu = cpu_after - cpu_before;
	return w->count.requests > 0 ? 0 : -ETIMEDOUT;
}

int window_run(struct conversation *s, const struct workload *w, const struct window_options *o,
	       struct window_result *r)
{
	struct window *win = calloc(1, sizeof(*win));
	int ret;

	if (win == NULL)
		return -ENOMEM;
	ret = window_init(win, s, w, o->size);
	if (ret == 0)
		ret = window_measure(win, o);
	*r = win->count;
	free(win);
	return ret;
}
