/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>

#include "control/base/log.h"
#include "control/core.h"
#include "control/transfer/sweep.h"

static bool domain_gone(void *ctx, uint32_t domain)
{
	const struct control *ctl = ctx;

	return keyring_domain(relay_keyring(ctl->relay), domain) == NULL;
}

static void sweep_try(struct control *ctl)
{
	struct sweep *s = ctl->sweep;

	if (store_drop(&ctl->store, domain_gone, ctl) < 0)
		return; /* in a second */
	s->wanted = false;
	if (s->runs)
		return;
	s->runs = true;
	s->blobs = ctl->store.counters.removed;
	s->bytes = ctl->store.counters.removed_bytes;
}

void sweep_start(struct control *ctl)
{
	ctl->sweep->wanted = true;
	sweep_try(ctl);
}

void sweep_review(struct control *ctl)
{
	struct sweep *s = ctl->sweep;
	uint64_t blobs;

	if (s->wanted)
		sweep_try(ctl);
	if (s->wanted || !s->runs || store_drops(&ctl->store))
		return;
	s->runs = false;
	blobs = ctl->store.counters.removed - s->blobs;
	if (blobs > 0)
		log_line(LOG_NOTICE,
			 "removed %" PRIu64 " blob%s (%" PRIu64 " bytes) of domains that are not "
			 "configured any more",
			 blobs, blobs == 1 ? "" : "s",
			 ctl->store.counters.removed_bytes - s->bytes);
}
