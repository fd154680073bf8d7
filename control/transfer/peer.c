/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include <sodium.h>

#include "control/core.h"
#include "control/transfer/peer.h"

#define CLOCK_SKEW_MS 30000 /* between two relays' clocks */
/* Nonces rise by one a frame, or jump to the clock: after a restart, say. A frame is
 * not lost together with a million others. */
#define RUN_GAP 1000000

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
	for (uint32_t i = 0; i < RTE_DIM(ctl->peers->peer); i++)
		if (ctl->peers->peer[i].keys.id == id)
			return &ctl->peers->peer[i];
	return NULL;
}

static void peer_locate(struct control *ctl, struct peer *p, const struct addr *addr)
{
	p->addr = *addr;
	peer_hosts_set(&ctl->relay->peers, (uint32_t)(p - ctl->peers->peer), addr);
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
		p->nonce = ctl->wall_us;
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

	for (uint32_t i = 0; i < ctl->peers->count; i++) {
		struct peer *p = &ctl->peers->peer[i];

		if (p->keys.id == 0)
			continue;
		pc = peer_config_find(c, p->keys.id);
		if (pc != NULL)
			peer_set(ctl, p, pc);
		else
			peer_remove(ctl, p);
	}
	if (c->upstream.keys.id != 0 && peer_find(ctl, c->upstream.keys.id) == NULL)
		peer_set(ctl, &ctl->peers->peer[0], &c->upstream);
	for (uint32_t i = 0; i < c->peer_count; i++)
		if (peer_find(ctl, c->peers[i].keys.id) == NULL)
			peer_set(ctl, peer_find(ctl, 0), &c->peers[i]);
	ctl->peers->count = 0;
	for (uint32_t i = 0; i < RTE_DIM(ctl->peers->peer); i++)
		if (ctl->peers->peer[i].keys.id != 0)
			ctl->peers->count = i + 1;
}

void peers_mark(struct control *ctl)
{
	for (uint32_t i = 0; i < ctl->peers->count; i++)
		if (ctl->peers->peer[i].addr.type != ADDR_NONE)
			flow_mark_peer(&ctl->relay->flows, &ctl->peers->peer[i].addr);
}

void peer_heard(struct control *ctl, struct peer *p, const struct addr *from, uint32_t field)
{
	peer_locate(ctl, p, from);
	p->generation = generation_find(&p->keys, field);
}

/* Nonces begin at a host's clock and rise by one a frame: further ahead no honest one
 * is, and taking it would shut out all that follow it. */
static bool nonce_ahead(const struct control *ctl, uint64_t nonce)
{
	return nonce / 1000 > ctl->wall_us / 1000 + CLOCK_SKEW_MS;
}

/* Taken when our clock was ahead, the peer's numbers would shut out those that it
 * uses now: back to those before them. When the clock comes there again, they must
 * not pass a second time. */
static void peer_turn_back(const struct control *ctl, struct peer *p)
{
	p->barred_from = p->run;
	p->barred_to = p->highest;
	p->highest = nonce_ahead(ctl, p->before) ? 0 : p->before;
	p->before = 0;
	/* which of the older ones were seen is not known any more: all */
	memset(p->window, 0xff, sizeof(p->window));
}

void peers_clock_set(struct control *ctl)
{
	for (uint32_t i = 0; i < ctl->peers->count; i++) {
		struct peer *p = &ctl->peers->peer[i];

		if (p->keys.id == 0)
			continue;
		/* ahead: refused. Behind: perhaps below what an earlier run of ours used. */
		if (nonce_ahead(ctl, p->nonce) || p->nonce < ctl->wall_us)
			p->nonce = ctl->wall_us;
		if (nonce_ahead(ctl, p->highest))
			peer_turn_back(ctl, p);
	}
}

/* Has the nonce been seen, or is it too old to know? Marks it. (RFC 6479) */
static bool nonce_fresh(struct peer *p, uint64_t nonce)
{
	uint64_t word = nonce / 64, newest = p->highest / 64, bit = UINT64_C(1) << (nonce % 64);
	const uint64_t words = PEER_WINDOW / 64;

	if (nonce >= p->barred_from && nonce <= p->barred_to)
		return false;
	if (nonce > p->highest) {
		uint64_t clear = word - newest < words ? word - newest : words;

		if (nonce - p->highest > RUN_GAP) {
			p->before = p->highest;
			p->run = nonce > PEER_WINDOW ? nonce - PEER_WINDOW : 1;
		}
		for (uint64_t i = 1; i <= clear; i++)
			p->window[(newest + i) % words] = 0;
		p->highest = nonce;
	} else if (newest - word >= words || (p->window[word % words] & bit)) {
		return false;
	}
	p->window[word % words] |= bit;
	return true;
}

/* Milliseconds by which the frame's sender is ahead of us. */
static int64_t clock_ahead(const struct control *ctl, uint64_t time_ms)
{
	uint64_t now = ctl->wall_us / 1000;
	uint64_t apart = time_ms > now ? time_ms - now : now - time_ms;

	apart = RTE_MIN(apart, (uint64_t)INT64_MAX);
	return time_ms > now ? (int64_t)apart : -(int64_t)apart;
}

/* Its frame is authentic, and no replay: is its clock right, or ours? */
static void clock_judge(struct control *ctl, struct peer *p, int64_t ahead_ms)
{
	const struct peer_config *pc = peer_config_find(ctl->config, p->keys.id);
	const char *name = pc != NULL ? pc->name : "";
	const bool wrong = llabs(ahead_ms) > CLOCK_SKEW_MS;

	p->clock_ahead_ms = ahead_ms;
	if (wrong && !p->clock.bad)
		health_set(&p->clock, ctl->now_us, true,
			   "the clock of relay %s is %lld s %s this host's: its frames are dropped "
			   "as replay; set the wrong one right, by NTP",
			   name, (long long)llabs(ahead_ms) / 1000,
			   ahead_ms > 0 ? "ahead of" : "behind");
	else if (!wrong && p->clock.bad)
		health_set(&p->clock, ctl->now_us, false, "the clock of relay %s agrees", name);
}

struct peer *peer_authenticate(struct control *ctl, uint32_t field, uint64_t nonce,
			       uint64_t time_ms)
{
	const int64_t ahead_ms = clock_ahead(ctl, time_ms);
	struct peer *p = field >> 8 != 0 ? peer_find(ctl, field >> 8) : NULL;

	if (p == NULL) {
		control_drop(ctl, DROP_KEY_UNKNOWN);
		return NULL;
	}
	if (nonce > p->highest)
		clock_judge(ctl, p, ahead_ms);
	if (llabs(ahead_ms) > CLOCK_SKEW_MS || nonce_ahead(ctl, nonce) || !nonce_fresh(p, nonce)) {
		control_drop(ctl, DROP_REPLAY);
		return NULL;
	}
	p->heard_us = ctl->now_us;
	return p;
}

void peers_review(struct control *ctl)
{
	peers_mark(ctl);
	for (uint32_t i = 0; i < ctl->peers->count; i++)
		health_review(&ctl->peers->peer[i].clock, ctl->now_us);
}

json_t *peers_status(const struct control *ctl, json_t *problems)
{
	json_t *all = json_object();

	for (uint32_t i = 0; i < ctl->peers->count; i++) {
		const struct peer *p = &ctl->peers->peer[i];
		const struct peer_config *pc = peer_config_find(ctl->config, p->keys.id);
		json_t *o;

		if (p->keys.id == 0 || pc == NULL)
			continue;
		o = json_object();
		if (p->heard_us != 0) {
			json_object_set_new(
				o, "heard_seconds",
				json_integer((json_int_t)((ctl->now_us - p->heard_us) / 1000000)));
			json_object_set_new(o, "clock_ahead_ms", json_integer(p->clock_ahead_ms));
		}
		json_object_set_new(all, pc->name, o);
		if (p->clock.bad)
			json_array_append_new(problems, json_string(p->clock.text));
	}
	return all;
}
