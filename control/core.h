/* SPDX-License-Identifier: BSD-3-Clause
 * What all rooms of control share: its clocks, its counters, its way to the workers,
 * and where each room has its own state. It knows none of them. Control is one thread:
 * all of this is touched by no other.
 *
 *   base/      log, health, hash tables, memory: knows nothing of control
 *   config/    the configuration file                         base
 *   host/      EAL, hugepages, privileges, cleaner            base, config
 *   core.h     this                                           base, config
 *   net/       netlink, routes, interface                     core and above
 *   transfer/  requests, queries, uploads, peers, consent     net and above
 *   admin/     socket, status, reload                         all of the above
 *   control.c, main.c                                         everything
 */
#ifndef CONTROL_CORE_H
#define CONTROL_CORE_H

#include <event2/event.h>

#include "control/base/health.h"
#include "control/config/config.h"
#include "dataplane/worker.h"
#include "store/jobs.h"
#include "store/store.h"

/* X(field, help): events since start */
#define CONTROL_COUNTERS(X)                                                                       \
	X(misses, "SENDs (their repeats not counted) and QUERYs whose blob was not here")         \
	X(uploads, "uploads verified and stored")                                                 \
	X(upload_failures, "uploads of a wrong identifier, or without room")                      \
	X(uploads_put_off, "uploads given up for lack of progress; their sources may begin anew") \
	X(uploads_resumed, "uploads that went on where an earlier one was cut off")               \
	X(vouch_failures, "sources whose blob did not begin as what was kept of it")              \
	X(sources_moved, "requests whose source went on from another address")                    \
	X(proofs, "proofs of possession that were right")                                         \
	X(proof_failures, "proofs of possession that were wrong")                                 \
	X(queries, "private: requests asked of central; central: QUERYs answered")                \
	X(query_hits, "of these, found at central")                                               \
	X(query_timeouts, "queries that central did not answer in time")                          \
	X(notices, "central: outcomes reported to a private relay")                               \
	X(notice_failures, "outcomes that a private relay did not acknowledge")

struct counters {
#define X(field, help) uint64_t field;
	CONTROL_COUNTERS(X)
#undef X
};

/* From a frame's burst in a worker until control has dealt with it: up to 16, 64, 256 us,
 * 1, 4, 16, 65 ms, and longer. */
#define CONTROL_LATENCIES 8

/* What a domain does here, by its slot. What it keeps: store_usage(). */
struct domain_usage {
	uint64_t uploads;  /* under way */
	uint64_t requests; /* waiting */
	uint64_t hits;	   /* SENDs and QUERYs served by control */
	uint64_t refused;  /* SENDs refused for a limit of the domain */
};

/* Whose slot of the statistics and quotas it is. A domain that is no longer
 * configured keeps its slot until another one needs it and nothing uses it. */
struct domain_slot {
	bool taken;
	uint32_t id;
};

struct control {
	const struct config *config;
	struct relay *relay;
	struct worker *worker[CONFIG_WORKERS];
	bool told[CONFIG_WORKERS]; /* since this worker's bell was last rung */
	struct event_base *base;
	struct event *second;  /* clock, keys, leases */
	struct event *bell;    /* a worker rang */
	struct event *landing; /* of a blocked loop, while reclaim waits for frames */
	struct reclaim *reclaim;
	struct store store;
	struct jobs *hasher;
	struct event *hashed; /* the hasher has something to collect */
	struct jobs *io;      /* threads of the store's engine; NULL: it has none */
	struct event *stored; /* they have something to collect */
	/* of the rooms, each its own */
	struct rooms *rooms;
	struct router *router; /* NULL: the port has no kernel interface */
	struct pending *pending;
	struct watch *watch;
	struct traffic *traffic;
	struct requests *requests;
	struct queries *queries;
	struct uploads *uploads;
	struct attempts *attempts;
	struct peers *peers;
	struct possession_queue *possession;
	struct sweep *sweep;
	struct fetches *fetches;
	struct lookups *lookups;
	struct reload *reload;
	struct tasks *tasks; /* commands on the store */
	struct domain_usage usage[KEYRING_DOMAINS];
	struct domain_slot slots[KEYRING_DOMAINS];
	struct stats stats; /* this thread's drops, and what it sends of its own */
	struct counters counters;
	uint64_t latency[CONTROL_LATENCIES];
	uint32_t ring_most[CONFIG_WORKERS]; /* messages found in a worker's ring at once */
	uint64_t now_us;		    /* monotonic, of this round of the loop */
	uint64_t wall_us;		    /* the host's clock, likewise: for other hosts' eyes */
	/* Unix time without steps, for tokens, leases and deadlines, here and in the
	 * workers: where the host's clock was set, it follows slowly. */
	uint64_t unix_us;
	uint64_t unix_offset; /* from now_us, modulo 2^64 */
	int64_t clock_behind; /* how far unix_us is behind wall_us */
	struct health_item clock;
	struct health_item storage;  /* does the engine work? */
	struct health_item upstream; /* private: does central answer? */
	uint64_t started_us;	     /* monotonic */
	bool stop;
	int failure; /* -errno: what ends the relay, in the words of `why` */
	char why[HEALTH_TEXT];
};

void control_stop(struct control *ctl);
/* Likewise, for a cause that the relay cannot live with: err is -errno. The first
 * one counts. */
void control_fail(struct control *ctl, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Has the store keep to the limits of the configuration and of the keyring, as they are now. */
void control_limits(struct control *ctl);

/* Reads the clocks: once a round, and in every callback of libevent, which may have
 * slept since. */
void control_clock(struct control *ctl);

static inline uint64_t control_seconds(const struct control *ctl)
{
	return ctl->unix_us / 1000000;
}

static inline void control_drop(struct control *ctl, enum drop reason)
{
	ctl->stats.drops[reason]++;
}

/* The head of the blob that is asked for, if it is here whole; NULL otherwise. */
const struct piece *control_blob(const struct control *ctl, const struct ask *a);

/* ---- outbox.c: frames that control wants sent ---- */

/* A buffer of `worker` for a payload to `peer`; NULL if the pool is empty (counted). */
struct rte_mbuf *outbox_alloc(struct control *ctl, uint16_t worker, const struct addr *peer);
/* Sends a payload of len bytes that was written to egress_payload(m); len 0 drops it. */
void outbox_send(struct control *ctl, struct rte_mbuf *m, size_t len);
/* Sends a complete payload to packet_of(m)->peer by packet_of(m)->worker. */
void outbox_push(struct control *ctl, struct rte_mbuf *m);
/* Likewise for a payload to the member that `key` and `conn` name; key 0: nobody's. */
void outbox_send_signed(struct control *ctl, struct rte_mbuf *m, uint32_t key, uint64_t conn,
			size_t len);
void outbox_error(struct control *ctl, uint16_t worker, const struct addr *to, uint32_t key,
		  uint64_t conn, const struct error *e);
/* To the source of an ask. */
void outbox_status(struct control *ctl, const struct ask *a, struct status *s);
void outbox_challenge(struct control *ctl, const struct ask *a);
void outbox_busy(struct control *ctl, const struct ask *a);
/* STATUS: this relay serves it. */
void outbox_serving(struct control *ctl, const struct ask *a);
/* The OFFER of a blob that is here, to the target of an ask. */
void outbox_offer(struct control *ctl, const struct ask *a, const struct ask_extras *e,
		  const struct piece *b);
/* Likewise of one that is still uploaded. */
void outbox_offer_partial(struct control *ctl, const struct ask *a, const struct ask_extras *e,
			  const struct partial *p);
/* The OFFER, under the target's lease here, of a blob that another relay holds: its ticket, and
 * what is there (p NULL: all). */
void outbox_offer_held(struct control *ctl, const struct ask *a, const struct ask_extras *e,
		       const struct addr *holder, const struct ticket *ticket,
		       const struct partial *p);
/* Rings the bells of the workers that were sent something. */
void outbox_flush(struct control *ctl);

#endif
