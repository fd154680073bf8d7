/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "control/control.h"

#define CLOCK_SKEW_MS 30000 /* between two relays' clocks */

static void peer_add(struct control *ctl, const struct peer_config *config)
{
	struct peer *p = &ctl->peers.peer[ctl->peers.count++];

	p->config = config;
	p->key = config->id << 8;
	p->addr = config->addr;
	/* rises over restarts as long as frames average below one a microsecond */
	p->nonce = ctl->unix_us;
}

void peers_init(struct control *ctl)
{
	const struct config *c = ctl->config;

	if (c->upstream.addr.type != ADDR_NONE)
		peer_add(ctl, &c->upstream);
	for (uint32_t i = 0; i < c->peer_count; i++)
		peer_add(ctl, &c->peers[i]);
}

static struct peer *peer_find(struct control *ctl, uint32_t key)
{
	for (uint32_t i = 0; i < ctl->peers.count; i++)
		if (ctl->peers.peer[i].key == key)
			return &ctl->peers.peer[i];
	return NULL;
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
	struct peer *p = peer_find(ctl, f->key);
	uint64_t now_ms = ctl->unix_us / 1000;

	if (p == NULL) {
		control_drop(ctl, DROP_KEY_UNKNOWN);
		return NULL;
	}
	if (!trailer_check(p->config->key, f->start, f->len - TRAILER_SIZE, f->trailer)) {
		control_drop(ctl, DROP_AUTH);
		return NULL;
	}
	if (time_ms + CLOCK_SKEW_MS < now_ms || time_ms > now_ms + CLOCK_SKEW_MS ||
	    !nonce_fresh(p, nonce)) {
		control_drop(ctl, DROP_REPLAY);
		return NULL;
	}
	return p;
}
