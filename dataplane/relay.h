/* SPDX-License-Identifier: BSD-3-Clause
 * What all threads of a relay share. Control fills it in before the workers
 * start; later changes go through the atomics and lock-free tables in it.
 */
#ifndef DATAPLANE_RELAY_H
#define DATAPLANE_RELAY_H

#include <rte_rcu_qsbr.h>

#include "dataplane/clock.h"
#include "dataplane/lease.h"
#include "dataplane/message.h"
#include "dataplane/nexthop.h"
#include "dataplane/policy.h"
#include "dataplane/port.h"
#include "dataplane/upload.h"
#include "store/index.h"

/* Token keys: two slots, swapped when an epoch begins. A slot is rewritten an
 * epoch after it was last current. */
struct relay_keys {
	struct token_ring slot[2]; /* control: wo, workers: ro */
	_Atomic unsigned int current;
};

struct relay {
	/* read-mostly */
	struct addr self;
	bool central;
	bool spin;		    /* idle workers never sleep */
	uint32_t rules;		    /* bit (1 << enum rule): accepted */
	uint32_t offers_per_target; /* a second, without a lease */
	uint64_t rate_per_target;   /* bytes of DATA a second to one address; 0: no limit */
	struct policy policy;
	struct port port;
	struct slab slab;
	struct index *index;
	struct lease_table *leases;
	struct nexthop_table *nexthops;
	struct rte_rcu_qsbr *qsbr;
	struct relay_keys keys;
	struct clock_ref clock;
	struct doorbell control_bell;
	_Atomic bool stop;	     /* workers return */
	struct upload_slot *uploads; /* UPLOAD_SLOTS of them */
};

static inline const struct token_ring *relay_keys(const struct relay *r)
{
	return &r->keys.slot[atomic_load_explicit(&((struct relay *)(uintptr_t)r)->keys.current,
						  memory_order_acquire)];
}

#endif
