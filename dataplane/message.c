/* SPDX-License-Identifier: BSD-3-Clause */
#include <unistd.h>

#include "dataplane/message.h"

bool doorbell_ring(struct doorbell *d)
{
	uint64_t one = 1;

	/* the enqueue before must be visible before `sleeping` is read */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&d->sleeping, memory_order_relaxed) == 0)
		return false;
	/* one bell a sleep, whoever rings first */
	if (atomic_exchange_explicit(&d->sleeping, 0, memory_order_relaxed) == 0)
		return false;
	/* can only fail when the counter is full, which wakes as well */
	return write(d->fd, &one, sizeof(one)) == sizeof(one);
}

void doorbell_clear(struct doorbell *d)
{
	uint64_t count;

	atomic_store_explicit(&d->sleeping, 0, memory_order_relaxed);
	/* EAGAIN: something else woke us */
	if (read(d->fd, &count, sizeof(count)) < 0)
		return;
}
