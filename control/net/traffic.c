/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/net/traffic.h"

#include "control/base/log.h"
#include "control/core.h"

#define UNFINISHED_US 60000000 /* without such a frame: they come no more */

/* When was the last packet seen? To the second. */
static void packets_note(struct control *ctl)
{
	struct traffic *t = ctl->traffic;
	uint64_t sum = 0;

	for (uint16_t i = 0; i < ctl->relay->port.workers; i++)
		sum += __atomic_load_n(&ctl->worker[i]->stats.rx_packets, __ATOMIC_RELAXED);
	if (sum == t->packets)
		return;
	t->packets = sum;
	t->packets_us = ctl->now_us;
}

/* Whose frames have unfinished checksums, if anybody's. */
static const struct addr *unfinished_find(const struct control *ctl, uint64_t *count)
{
	const struct addr *from = NULL;

	*count = 0;
	for (uint16_t i = 0; i < ctl->relay->port.workers; i++) {
		uint64_t n = __atomic_load_n(&ctl->worker[i]->stats.unfinished_checksums,
					     __ATOMIC_ACQUIRE);

		*count += n;
		if (n > 0)
			from = &ctl->worker[i]->unfinished;
	}
	return from;
}

/* The first such frame is worth a line; dropped ones are a problem while they come. */
static void checksums_judge(struct control *ctl)
{
	struct traffic *t = ctl->traffic;
	char text[ADDR_TEXT_MAX];
	uint64_t count;
	const struct addr *from = unfinished_find(ctl, &count);

	if (from == NULL)
		return;
	addr_text(from, text);
	if (ctl->relay->unfinished_checksums && t->unfinished == 0)
		log_line(LOG_INFO,
			 "%s sends unfinished UDP checksums, as a container or virtual machine "
			 "of this host does: accepted",
			 text);
	if (count != t->unfinished) {
		t->unfinished = count;
		t->unfinished_us = ctl->now_us;
	}
	if (ctl->relay->unfinished_checksums)
		return;
	if (ctl->now_us - t->unfinished_us < UNFINISHED_US)
		health_set(&t->checksums, ctl->now_us, true,
			   "%s sends unfinished UDP checksums, which are dropped: there, `ethtool "
			   "-K IF tx off`, or here [relay] unfinished_checksums = accept",
			   text);
	else
		health_set(&t->checksums, ctl->now_us, false,
			   "no more unfinished UDP checksums come");
}

void traffic_review(struct control *ctl)
{
	packets_note(ctl);
	checksums_judge(ctl);
	health_review(&ctl->traffic->checksums, ctl->now_us);
}
