/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "control/transfer/hasher.h"

struct job_list {
	struct hash_job *head;
	struct hash_job **tail;
};

struct hasher {
	pthread_mutex_t lock; /* of both lists and stop */
	pthread_cond_t work;
	struct job_list todo;
	struct job_list done;
	bool stop;
	int done_fd; /* eventfd: `done` is not empty */
	struct event *done_event;
	unsigned int threads;
	pthread_t thread[];
};

static void list_init(struct job_list *l)
{
	l->head = NULL;
	l->tail = &l->head;
}

static void list_push(struct job_list *l, struct hash_job *job)
{
	job->next = NULL;
	*l->tail = job;
	l->tail = &job->next;
}

static struct hash_job *list_pop(struct job_list *l)
{
	struct hash_job *job = l->head;

	if (job != NULL) {
		l->head = job->next;
		if (l->head == NULL)
			l->tail = &l->head;
	}
	return job;
}

static void *hasher_thread(void *arg)
{
	struct hasher *h = arg;
	struct hash_job *job;
	uint64_t one = 1;

	pthread_mutex_lock(&h->lock);
	for (;;) {
		while (!h->stop && h->todo.head == NULL)
			pthread_cond_wait(&h->work, &h->lock);
		if (h->stop)
			break;
		job = list_pop(&h->todo);
		pthread_mutex_unlock(&h->lock);
		job->run(job);
		pthread_mutex_lock(&h->lock);
		list_push(&h->done, job);
		/* fails only when the counter is full, and then it is readable */
		if (write(h->done_fd, &one, sizeof(one)) < 0)
			continue;
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

static void hasher_done(evutil_socket_t fd, short what, void *arg)
{
	struct hasher *h = arg;
	struct hash_job *job, *next;
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&h->lock);
	job = h->done.head;
	list_init(&h->done);
	pthread_mutex_unlock(&h->lock);
	for (; job != NULL; job = next) {
		next = job->next; /* done() may submit the job again */
		job->done(job);
	}
}

struct hasher *hasher_start(struct event_base *base, unsigned int threads,
			    const cpu_set_t *affinity)
{
	struct hasher *h = calloc(1, sizeof(*h) + threads * sizeof(h->thread[0]));
	pthread_attr_t attr;
	int ret = 0;

	if (h == NULL)
		return NULL;
	list_init(&h->todo);
	list_init(&h->done);
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->work, NULL);
	h->done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (h->done_fd >= 0)
		h->done_event = event_new(base, h->done_fd, EV_READ | EV_PERSIST, hasher_done, h);
	if (h->done_event == NULL || event_add(h->done_event, NULL) < 0) {
		hasher_stop(h);
		return NULL;
	}
	pthread_attr_init(&attr);
	pthread_attr_setaffinity_np(&attr, sizeof(*affinity), affinity);
	while (h->threads < threads && ret == 0) {
		ret = pthread_create(&h->thread[h->threads], &attr, hasher_thread, h);
		h->threads += ret == 0;
	}
	pthread_attr_destroy(&attr);
	if (ret != 0) {
		hasher_stop(h);
		errno = ret;
		return NULL;
	}
	return h;
}

void hasher_submit(struct hasher *h, struct hash_job *job)
{
	pthread_mutex_lock(&h->lock);
	list_push(&h->todo, job);
	pthread_cond_signal(&h->work);
	pthread_mutex_unlock(&h->lock);
}

void hasher_stop(struct hasher *h)
{
	if (h == NULL)
		return;
	pthread_mutex_lock(&h->lock);
	h->stop = true;
	pthread_cond_broadcast(&h->work);
	pthread_mutex_unlock(&h->lock);
	for (unsigned int i = 0; i < h->threads; i++)
		pthread_join(h->thread[i], NULL);
	if (h->done_event != NULL)
		event_free(h->done_event);
	if (h->done_fd >= 0)
		close(h->done_fd);
	pthread_cond_destroy(&h->work);
	pthread_mutex_destroy(&h->lock);
	free(h);
}
