/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "client/clock.h"
#include "client/wait.h"

static int watch(const struct wait *w, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &event);
}

int wait_open(struct wait *w, int fd)
{
	int ret;

	w->armed = NEVER;
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (w->epoll >= 0 && w->timer >= 0 && watch(w, fd) == 0 && watch(w, w->timer) == 0)
		return 0;
	ret = -errno;
	wait_close(w);
	return ret;
}

void wait_close(struct wait *w)
{
	if (w->epoll >= 0)
		close(w->epoll);
	if (w->timer >= 0)
		close(w->timer);
	w->epoll = w->timer = -1;
}

void wait_arm(struct wait *w, uint64_t due, uint64_t now)
{
	struct itimerspec at = {0};

	if (w->epoll < 0 || (due == w->armed && due > now))
		return;
	w->armed = due;
	if (due == 0) /* zero would disarm it */
		at.it_value.tv_nsec = 1;
	else if (due != NEVER)
		at.it_value =
			(struct timespec){(time_t)(due / SECOND), (long)(due % SECOND * 1000)};
	/* setting it also takes back that it has run out */
	timerfd_settime(w->timer, TFD_TIMER_ABSTIME, &at, NULL);
}
