/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "control/core.h"
#include "control/transfer/keyring_build.h"

static uint32_t pairs_count(const struct config *c)
{
	uint32_t n = c->upstream.keys.count;

	for (uint32_t i = 0; i < c->peer_count; i++)
		n += c->peers[i].keys.count;
	return n;
}

static void pair_add(struct keyring *k, const struct key_set *keys)
{
	for (uint32_t i = 0; i < keys->count; i++) {
		struct pair *p = &k->pair[k->pair_count++];

		p->field = key_set_field(keys, i);
		memcpy(p->key, keys->key[i].key, sizeof(p->key));
	}
}

static void domain_fill(struct domain *d, const struct domain_config *dc)
{
	d->id = dc->keys.id;
	d->limited = dc->targets.count > 0 || dc->targets.allow_special;
	d->targets = dc->targets;
	d->key_count = dc->keys.count;
	for (uint32_t i = 0; i < dc->keys.count; i++) {
		d->field[i] = key_set_field(&dc->keys, i);
		domain_keys_derive(&d->keys[i], dc->keys.key[i].key);
	}
	d->max_requests = dc->max_requests;
	d->sends = rate_make(dc->requests_per_second, dc->requests_per_second);
	d->max_bytes = dc->max_bytes;
	d->max_blobs = dc->max_blobs;
	d->keep_seconds = dc->keep_seconds;
	d->max_uploads = dc->max_uploads;
}

static int domain_compare(const void *a, const void *b)
{
	uint32_t x = ((const struct domain *)a)->id, y = ((const struct domain *)b)->id;

	return (x > y) - (x < y);
}

static struct domain_slot *slot_of(struct control *ctl, uint32_t id)
{
	for (uint32_t i = 0; i < KEYRING_DOMAINS; i++)
		if (ctl->slots[i].taken && ctl->slots[i].id == id)
			return &ctl->slots[i];
	return NULL;
}

static bool slot_used(const struct control *ctl, const struct keyring *k, uint32_t i)
{
	const struct domain_usage *u = &ctl->usage[i];

	return u->uploads > 0 || u->requests > 0 || keyring_domain(k, ctl->slots[i].id) != NULL;
}

/* One that was never taken; else one whose domain is gone and left nothing. */
static struct domain_slot *slot_free(struct control *ctl, const struct keyring *k)
{
	for (uint32_t i = 0; i < KEYRING_DOMAINS; i++)
		if (!ctl->slots[i].taken)
			return &ctl->slots[i];
	for (uint32_t i = 0; i < KEYRING_DOMAINS; i++)
		if (!slot_used(ctl, k, i))
			return &ctl->slots[i];
	return NULL;
}

static int slots_give(struct control *ctl, struct keyring *k)
{
	for (uint32_t i = 0; i < k->domain_count; i++) {
		struct domain_slot *s = slot_of(ctl, k->domain[i].id);

		if (s == NULL)
			s = slot_free(ctl, k);
		if (s == NULL)
			return -ENOSPC;
		*s = (struct domain_slot){.taken = true, .id = k->domain[i].id};
		k->domain[i].slot = (uint16_t)(s - ctl->slots);
	}
	return 0;
}

static void pads_derive(struct keyring *k, const struct index *ix)
{
	for (uint32_t i = 0; i < k->domain_count; i++)
		for (uint8_t rule = 0; rule < RULE_COUNT; rule++)
			index_pad(ix, k->domain[i].id, rule, &k->domain[i].pad[rule]);
}

int keyring_build(struct control *ctl, const struct config *c, struct keyring **out)
{
	uint32_t domains = c->domain_count > 0 ? c->domain_count : 1;
	struct keyring *k = keyring_alloc(domains, pairs_count(c));
	int ret;

	if (k == NULL)
		return -ENOMEM;
	k->open = c->domain_count == 0;
	k->policy = c->targets;
	k->domain_count = domains;
	for (uint32_t i = 0; i < c->domain_count; i++)
		domain_fill(&k->domain[i], &c->domains[i]);
	qsort(k->domain, domains, sizeof(k->domain[0]), domain_compare);
	ret = slots_give(ctl, k);
	if (ret < 0) {
		keyring_free(k);
		return ret;
	}
	pads_derive(k, ctl->relay->index);
	pair_add(k, &c->upstream.keys);
	for (uint32_t i = 0; i < c->peer_count; i++)
		pair_add(k, &c->peers[i].keys);
	*out = k;
	return 0;
}

static void keyring_retire(void *ctx, uint64_t arg)
{
	(void)arg;
	keyring_free(ctx);
}

void keyring_publish(struct control *ctl, struct keyring *k)
{
	struct relay *r = ctl->relay;
	struct keyring *old = atomic_exchange(&r->keyring, k);

	if (old == NULL || reclaim_defer(ctl->reclaim, keyring_retire, old, 0) == 0)
		return;
	rte_rcu_qsbr_synchronize(r->qsbr, RTE_QSBR_THRID_INVALID);
	keyring_free(old);
}
