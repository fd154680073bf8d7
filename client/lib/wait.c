/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "client/lib/clock.h"
#include "client/lib/wait.h"

static int watch(const struct wait *w, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &event);
}

void wait_init(struct wait *w)
{
	*w = (struct wait){.epoll = -1, .timer = -1, .armed = 0};
}

void wait_close(struct wait *w)
{
	if (w->epoll >= 0)
		close(w->epoll);
	if (w->timer >= 0)
		close(w->timer);
	wait_init(w);
}

static void timer_set(const struct wait *w)
{
	struct itimerspec at = {0};

	if (w->armed == 0) /* zero would disarm it */
		at.it_value.tv_nsec = 1;
	else if (w->armed != NEVER)
		at.it_value = (struct timespec){(time_t)(w->armed / SECOND),
						(long)(w->armed % SECOND * 1000)};
	/* setting it also takes back that it has run out */
	timerfd_settime(w->timer, TFD_TIMER_ABSTIME, &at, NULL);
}

int wait_fd(struct wait *w, int fd)
{
	if (w->epoll >= 0)
		return w->epoll;
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (w->epoll < 0 || w->timer < 0 || watch(w, fd) < 0 || watch(w, w->timer) < 0) {
		wait_close(w);
		return fd;
	}
	timer_set(w);
	return w->epoll;
}

void wait_arm(struct wait *w, uint64_t due, uint64_t now)
{
	bool set = due == w->armed && due > now;

	w->armed = due;
	if (w->epoll >= 0 && !set)
		timer_set(w);
}
