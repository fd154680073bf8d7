/* SPDX-License-Identifier: BSD-3-Clause
 * What all threads of a relay share. Control fills it in before the workers
 * start; later changes go through the atomics and lock-free tables in it.
 */
#ifndef DATAPLANE_RELAY_H
#define DATAPLANE_RELAY_H

#include <rte_rcu_qsbr.h>

#include "dataplane/budget.h"
#include "dataplane/clock.h"
#include "dataplane/keyring.h"
#include "dataplane/lease.h"
#include "dataplane/macs.h"
#include "dataplane/message.h"
#include "dataplane/nexthop.h"
#include "dataplane/port.h"
#include "dataplane/shed.h"
#include "dataplane/upload_slot.h"
#include "store/cache.h"

/* Token keys: two slots, swapped when an epoch begins. A slot is rewritten an
 * epoch after it was last current. */
struct relay_keys {
	struct token_ring slot[2]; /* control: wo, workers: ro */
	_Atomic unsigned int current;
};

#define RELAY_PEERS 64

/* Hosts of this relay's peers, which are never targets. An IPv4 address is held
 * as its IPv4-mapped IPv6 one. A torn read of an entry that changes is harmless:
 * who asks is refused, or the peer drops what it is sent. */
struct peer_hosts {
	_Atomic uint32_t count;
	struct {
		_Atomic uint64_t w[2];
	} host[RELAY_PEERS];
};
/* Control: sets the host of peer `i`. */
void peer_hosts_set(struct peer_hosts *p, uint32_t i, const struct addr *host);
bool peer_hosts_have(const struct peer_hosts *p, const struct addr *host);

/* How many OFFERs targets without a lease get: one budget for each target, and
 * one for each source network and target, so that a stranger cannot use up a
 * victim's. */
struct offer_budget {
	struct budget pair;
	struct budget target;
};

struct relay {
	/* read-mostly */
	struct addr_pair self; /* what it listens on */
	bool central;
	bool spin;		    /* idle workers never sleep */
	bool unfinished_checksums;  /* are accepted */
	uint32_t rules;		    /* bit (1 << enum rule): accepted */
	bool possession;	    /* a hit costs its source a proof */
	uint64_t hide_hits;	    /* bytes: hits of blobs up to this are not admitted */
	uint32_t offers_per_target; /* a second, without a lease */
	uint64_t rate_per_target;   /* bytes of DATA a second to one address; 0: no limit */
	struct shed_limits strangers;
	uint32_t control_per_source; /* frames a second for control; 0: no limit */
	struct port port;
	struct slab slab;
	struct index *index;
	struct cache *cache; /* each worker is the reader of its number */
	uint64_t max_blob;   /* bytes */
	struct lease_table *leases;
	struct nexthop_table *nexthops;
	struct rte_rcu_qsbr *qsbr;
	struct relay_keys keys;
	_Atomic(struct keyring *) keyring; /* control: wo; workers: ro, in an RCU section */
	struct peer_hosts peers;
	struct flow_table flows; /* all threads mark in it */
	struct clock_ref clock;
	struct doorbell control_bell;
	_Atomic bool stop;		   /* workers return */
	struct upload_slot *uploads;	   /* UPLOAD_SLOTS of them */
	struct rte_ether_addr gateway_mac; /* of ports without a kernel interface; */
	bool has_gateway_mac;		   /* false: from `macs` */
	struct mac_table macs;
	/* limits of the relay as a whole: all threads take from them */
	struct offer_budget offer_budget;
	struct budget data_target;	/* bytes of DATA by target */
	struct budget error_source;	/* ERRORs by source */
	struct budget stranger_source;	/* strangers' frames by source */
	struct budget control_source;	/* frames for control, by source */
	bucket domain[KEYRING_DOMAINS]; /* SENDs, by domain slot */
};

/* Makes the budgets that the limits above want. */
void relay_limits_init(struct relay *r);

static inline const struct token_ring *relay_keys(const struct relay *r)
{
	return &r->keys.slot[atomic_load_explicit(&((struct relay *)(uintptr_t)r)->keys.current,
						  memory_order_acquire)];
}

static inline const struct keyring *relay_keyring(const struct relay *r)
{
	return atomic_load_explicit(&((struct relay *)(uintptr_t)r)->keyring, memory_order_acquire);
}

/* The address that hosts of this one's IP version reach the relay at; ADDR_NONE: none. */
static inline const struct addr *relay_self(const struct relay *r, const struct addr *other)
{
	return addr_pair_of(&r->self, other->type);
}

/* Would a hit of this blob tell a source that somebody else has it? */
static inline bool relay_hides(const struct relay *r, uint64_t length)
{
	return length > 0 && length <= r->hide_hits;
}

#endif
