/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "store/jobs.h"

struct job_list {
	struct job *head;
	struct job **tail;
};

struct jobs {
	pthread_mutex_t lock; /* of both lists and stop */
	pthread_cond_t work;
	struct job_list todo;
	struct job_list done;
	bool stop;
	int done_fd; /* eventfd: `done` is not empty */
	unsigned int threads;
	pthread_t thread[];
};

static void list_init(struct job_list *l)
{
	l->head = NULL;
	l->tail = &l->head;
}

static void list_push(struct job_list *l, struct job *job)
{
	job->next = NULL;
	*l->tail = job;
	l->tail = &job->next;
}

static struct job *list_pop(struct job_list *l)
{
	struct job *job = l->head;

	if (job != NULL) {
		l->head = job->next;
		if (l->head == NULL)
			l->tail = &l->head;
	}
	return job;
}

static void *jobs_thread(void *arg)
{
	struct jobs *j = arg;
	struct job *job;
	uint64_t one = 1;

	pthread_mutex_lock(&j->lock);
	for (;;) {
		while (!j->stop && j->todo.head == NULL)
			pthread_cond_wait(&j->work, &j->lock);
		if (j->stop)
			break;
		job = list_pop(&j->todo);
		pthread_mutex_unlock(&j->lock);
		job->run(job);
		pthread_mutex_lock(&j->lock);
		list_push(&j->done, job);
		/* fails only when the counter is full, and then it is readable */
		if (write(j->done_fd, &one, sizeof(one)) < 0)
			continue;
	}
	pthread_mutex_unlock(&j->lock);
	return NULL;
}

int jobs_fd(const struct jobs *j)
{
	return j->done_fd;
}

void jobs_collect(struct jobs *j)
{
	struct job *job, *next;
	uint64_t count;

	if (read(j->done_fd, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&j->lock);
	job = j->done.head;
	list_init(&j->done);
	pthread_mutex_unlock(&j->lock);
	for (; job != NULL; job = next) {
		next = job->next; /* done() may submit the job again */
		job->done(job);
	}
}

struct jobs *jobs_start(unsigned int threads, const cpu_set_t *affinity)
{
	struct jobs *j = calloc(1, sizeof(*j) + threads * sizeof(j->thread[0]));
	pthread_attr_t attr;
	int ret = 0;

	if (j == NULL)
		return NULL;
	list_init(&j->todo);
	list_init(&j->done);
	pthread_mutex_init(&j->lock, NULL);
	pthread_cond_init(&j->work, NULL);
	j->done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (j->done_fd < 0) {
		ret = errno;
		goto fail;
	}
	pthread_attr_init(&attr);
	pthread_attr_setaffinity_np(&attr, sizeof(*affinity), affinity);
	while (j->threads < threads && ret == 0) {
		ret = pthread_create(&j->thread[j->threads], &attr, jobs_thread, j);
		j->threads += ret == 0;
	}
	pthread_attr_destroy(&attr);
	if (ret == 0)
		return j;
fail:
	jobs_stop(j);
	errno = ret;
	return NULL;
}

void jobs_submit(struct jobs *j, struct job *job)
{
	pthread_mutex_lock(&j->lock);
	list_push(&j->todo, job);
	pthread_cond_signal(&j->work);
	pthread_mutex_unlock(&j->lock);
}

void jobs_stop(struct jobs *j)
{
	if (j == NULL)
		return;
	pthread_mutex_lock(&j->lock);
	j->stop = true;
	pthread_cond_broadcast(&j->work);
	pthread_mutex_unlock(&j->lock);
	for (unsigned int i = 0; i < j->threads; i++)
		pthread_join(j->thread[i], NULL);
	if (j->done_fd >= 0)
		close(j->done_fd);
	pthread_cond_destroy(&j->work);
	pthread_mutex_destroy(&j->lock);
	free(j);
}
