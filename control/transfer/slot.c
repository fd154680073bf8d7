/* SPDX-License-Identifier: BSD-3-Clause */
#include <sodium.h>

#include "control/core.h"
#include "control/transfer/slot.h"

void slots_init(struct attempts *as)
{
	for (uint32_t i = 0; i < UPLOAD_SLOTS; i++)
		as->free[as->free_count++] = (uint16_t)(UPLOAD_SLOTS - 1 - i);
}

uint16_t slot_reserve(struct attempts *as)
{
	return as->free[--as->free_count];
}

bool slot_reserve_of(struct attempts *as, uint64_t number, uint16_t *slot)
{
	*slot = number & (UPLOAD_SLOTS - 1);
	for (uint32_t i = 0; i < as->free_count; i++) {
		if (as->free[i] != *slot)
			continue;
		as->free[i] = as->free[--as->free_count];
		return true;
	}
	return false;
}

void slot_release(struct attempts *as, uint16_t slot)
{
	as->free[as->free_count++] = slot;
}

uint64_t slot_number(uint16_t slot)
{
	uint64_t random;

	do
		randombytes_buf(&random, sizeof(random));
	while ((uint32_t)(random >> UPLOAD_SLOT_BITS) == 0);
	return (random & ~(uint64_t)(UPLOAD_SLOTS - 1)) | slot;
}

void slot_fill(struct attempt *a)
{
	struct upload_slot *s = &a->ctl->relay->uploads[a->slot];

	s->length = a->ask.length;
	s->filled = (uint64_t *)(a->bits + pullwin_memory(a->ask.length));
	bits_fill(s->filled, a->hashed);
	s->piece = a->put.piece;
	atomic_store_explicit(&s->available, 0, memory_order_relaxed);
}

void slot_open(struct attempt *a, const struct domain_keys *keys)
{
	struct upload_slot *s = &a->ctl->relay->uploads[a->slot];
	const struct ask *ask = &a->ask;
	const uint64_t stream = slot_number(a->slot);

	a->stream = (uint32_t)(stream >> UPLOAD_SLOT_BITS);
	s->source = ask->key.source;
	s->conn = ask->conn;
	s->member = ask->field != 0;
	if (keys != NULL)
		session_derive(keys, ask->conn, &ask->key.source, &s->session);
	s->worker = ask->worker;
	s->attempt = a;
	atomic_store_explicit(&s->limit, a->limit, memory_order_relaxed);
	/* all of the above before a worker can find the slot */
	atomic_store_explicit(&s->stream, stream, memory_order_release);
}

void slot_close(struct attempt *a)
{
	struct upload_slot *s = &a->ctl->relay->uploads[a->slot];

	atomic_store_explicit(&s->stream, 0, memory_order_release);
	s->attempt = NULL;
}

bool slot_show(struct attempt *a)
{
	struct upload_slot *s = &a->ctl->relay->uploads[a->slot];

	/* release: the workers' notes made the chunks and their pieces visible to us */
	atomic_store_explicit(&s->available, a->contiguous, memory_order_release);
	if (a->shown)
		return false;
	a->shown = true;
	atomic_store_explicit(&s->number, a->number, memory_order_release);
	return true;
}

void slot_hide(struct attempt *a)
{
	atomic_store_explicit(&a->ctl->relay->uploads[a->slot].number, 0, memory_order_release);
	a->shown = false;
}
