/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>

#include "control/base/log.h"
#include "control/core.h"
#include "control/transfer/keyring_build.h"
#include "control/transfer/sweep.h"

#define SWEEP_BURST 8192 /* descriptors at once */

static void blob_judge(void *ctx, const struct piece *head)
{
	struct control *ctl = ctx;
	const struct blob_name name = piece_name(head);

	if (keyring_domain(relay_keyring(ctl->relay), name.domain) != NULL ||
	    store_remove(&ctl->store, &name) < 0)
		return;
	ctl->sweep->blobs++;
	ctl->sweep->bytes += name.length;
	ctl->counters.blobs_removed++;
}

static void sweep_end(struct control *ctl)
{
	struct sweep *s = ctl->sweep;

	if (s->blobs > 0)
		log_line(LOG_NOTICE,
			 "removed %" PRIu64 " blob%s (%" PRIu64 " bytes) of domains that are not "
			 "configured any more",
			 s->blobs, s->blobs == 1 ? "" : "s", s->bytes);
	s->cursor = 0;
	s->blobs = s->bytes = 0;
	if (s->again)
		sweep_start(ctl);
}

static void sweep_run(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval pause = {.tv_usec = 1000};
	struct control *ctl = arg;

	(void)fd;
	(void)what;
	if (store_walk(&ctl->store, &ctl->sweep->cursor, SWEEP_BURST, blob_judge, ctl))
		event_add(ctl->sweep->timer, &pause);
	else
		sweep_end(ctl);
}

void sweep_start(struct control *ctl)
{
	static const struct timeval now = {0};
	struct sweep *s = ctl->sweep;

	s->again = s->cursor > 0;
	if (!s->again)
		event_add(s->timer, &now);
}

int sweep_init(struct control *ctl)
{
	ctl->sweep->timer = evtimer_new(ctl->base, sweep_run, ctl);
	return ctl->sweep->timer != NULL ? 0 : -ENOMEM;
}

void sweep_fini(struct control *ctl)
{
	if (ctl->sweep->timer != NULL)
		event_free(ctl->sweep->timer);
}
