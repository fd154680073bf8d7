/* SPDX-License-Identifier: BSD-3-Clause */
#include <sodium.h>

#include "control/control.h"

#define CLOCK_SKEW_MS 30000 /* between two relays' clocks */

static const struct peer_config *peer_config_find(const struct config *c, uint32_t id)
{
	if (c->upstream.keys.id == id)
		return &c->upstream;
	for (uint32_t i = 0; i < c->peer_count; i++)
		if (c->peers[i].keys.id == id)
			return &c->peers[i];
	return NULL;
}

struct peer *peer_find(struct control *ctl, uint32_t id)
{
	for (uint32_t i = 0; i < RTE_DIM(ctl->peers.peer); i++)
		if (ctl->peers.peer[i].keys.id == id)
			return &ctl->peers.peer[i];
	return NULL;
}

static void peer_locate(struct control *ctl, struct peer *p, const struct addr *addr)
{
	p->addr = *addr;
	peer_hosts_set(&ctl->relay->peers, (uint32_t)(p - ctl->peers.peer), addr);
}

static void peer_remove(struct control *ctl, struct peer *p)
{
	notices_forget(ctl, p);
	sodium_memzero(p, sizeof(*p));
	peer_locate(ctl, p, &p->addr);
}

/* The place of this generation in the set; the newest if it is not there. */
static uint32_t generation_find(const struct key_set *keys, uint32_t field)
{
	for (uint32_t i = 0; i < keys->count; i++)
		if (key_set_field(keys, i) == field)
			return i;
	return 0;
}

static void peer_set(struct control *ctl, struct peer *p, const struct peer_config *pc)
{
	uint32_t field = peer_field(p);

	/* rises over restarts as long as frames average below one a microsecond */
	if (p->keys.id == 0)
		p->nonce = ctl->unix_us;
	p->keys = pc->keys;
	/* a private relay rotates after central, which goes on with what it was asked with */
	p->generation = ctl->relay->central ? generation_find(&p->keys, field) : 0;
	if (!addr_equal(&p->configured, &pc->addr))
		peer_locate(ctl, p, &pc->addr);
	p->configured = pc->addr;
}

void peers_update(struct control *ctl, const struct config *c)
{
	const struct peer_config *pc;

	for (uint32_t i = 0; i < ctl->peers.count; i++) {
		struct peer *p = &ctl->peers.peer[i];

		if (p->keys.id == 0)
			continue;
		pc = peer_config_find(c, p->keys.id);
		if (pc != NULL)
			peer_set(ctl, p, pc);
		else
			peer_remove(ctl, p);
	}
	if (c->upstream.keys.id != 0 && peer_find(ctl, c->upstream.keys.id) == NULL)
		peer_set(ctl, &ctl->peers.peer[0], &c->upstream);
	for (uint32_t i = 0; i < c->peer_count; i++)
		if (peer_find(ctl, c->peers[i].keys.id) == NULL)
			peer_set(ctl, peer_find(ctl, 0), &c->peers[i]);
	ctl->peers.count = 0;
	for (uint32_t i = 0; i < RTE_DIM(ctl->peers.peer); i++)
		if (ctl->peers.peer[i].keys.id != 0)
			ctl->peers.count = i + 1;
}

void peers_mark(struct control *ctl)
{
	for (uint32_t i = 0; i < ctl->peers.count; i++)
		if (ctl->peers.peer[i].addr.type != ADDR_NONE)
			flow_mark_peer(&ctl->relay->flows, &ctl->peers.peer[i].addr);
}

void peer_heard(struct control *ctl, struct peer *p, const struct addr *from, uint32_t field)
{
	peer_locate(ctl, p, from);
	p->generation = generation_find(&p->keys, field);
}

/* Has the nonce been seen, or is it too old to know? Marks it. (RFC 6479) */
static bool nonce_fresh(struct peer *p, uint64_t nonce)
{
	uint64_t word = nonce / 64, newest = p->highest / 64, bit = UINT64_C(1) << (nonce % 64);
	const uint64_t words = PEER_WINDOW / 64;

	if (nonce > p->highest) {
		uint64_t clear = word - newest < words ? word - newest : words;

		for (uint64_t i = 1; i <= clear; i++)
			p->window[(newest + i) % words] = 0;
		p->highest = nonce;
	} else if (newest - word >= words || (p->window[word % words] & bit)) {
		return false;
	}
	p->window[word % words] |= bit;
	return true;
}

struct peer *peer_authenticate(struct control *ctl, const struct frame *f, uint64_t nonce,
			       uint64_t time_ms)
{
	uint64_t now_ms = ctl->unix_us / 1000;
	struct peer *p = f->key >> 8 != 0 ? peer_find(ctl, f->key >> 8) : NULL;

	if (p == NULL) {
		control_drop(ctl, DROP_KEY_UNKNOWN);
		return NULL;
	}
	/* nonces begin at the clock and rise by one: further ahead no honest one is,
	 * and taking it would shut out all that follow it */
	if (time_ms + CLOCK_SKEW_MS < now_ms || time_ms > now_ms + CLOCK_SKEW_MS ||
	    nonce / 1000 > now_ms + CLOCK_SKEW_MS || !nonce_fresh(p, nonce)) {
		control_drop(ctl, DROP_REPLAY);
		return NULL;
	}
	return p;
}
