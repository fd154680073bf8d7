/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/base/log.h"
#include "control/core.h"
#include "control/transfer/adopt.h"
#include "control/transfer/parked.h"
#include "control/transfer/slot.h"

/* With the slot that its number leads to, so that targets find it again. */
static struct attempt *adopt_make(struct control *ctl, const struct engine_upload *u)
{
	struct attempt *a = attempt_make(ctl, u->name.rule);

	if (a == NULL)
		return NULL;
	a->number = u->attempt;
	if (slot_reserve_of(ctl->attempts, a->number, &a->slot)) {
		if (store_put_adopt(&ctl->store, u, &a->put) == 0)
			return a;
		slot_release(ctl->attempts, a->slot);
	}
	attempt_free(a);
	return NULL;
}

static bool adopt(struct control *ctl, const struct engine_upload *u)
{
	const struct upload_key key = {
		.id = u->name.id,
		.length = u->name.length,
		.rule = u->name.rule,
		.domain = u->name.domain,
	};
	struct attempt *a = adopt_make(ctl, u);

	if (a == NULL) {
		store_put_refuse(&ctl->store, u);
		return false;
	}
	a->put.newest_stay = ctl->config->stream;
	a->hashed = a->contiguous = a->put.ready;
	a->cold = true;
	if (parked_enter(a, &key) && parked_weigh(a))
		return true;
	attempt_left(a);
	return false;
}

void adopt_all(struct control *ctl)
{
	const struct engine_upload *u;
	uint32_t count, kept = 0;

	u = store_uploads(&ctl->store, &count);
	for (uint32_t i = 0; i < count; i++)
		kept += adopt(ctl, &u[i]);
	if (count > 0)
		log_line(LOG_INFO, "%u of %u uploads that the last run left may go on", kept,
			 count);
}

/* In a thread of the store's. */
static void adopted_read(struct store_put *put, const void *bytes, uint32_t len)
{
	ident_update(attempt_of_put(put)->hash, bytes, len);
}

static void adopted_recalled(struct store_put *put)
{
	struct attempt *a = attempt_of_put(put);

	a->hashing = false;
	a->hashed = a->contiguous = put->ready;
	attempt_left(a);
}

void adopt_warm(struct attempt *a)
{
	a->cold = false;
	a->hashing = true;
	store_put_recall(&a->put, adopted_read, adopted_recalled);
}
