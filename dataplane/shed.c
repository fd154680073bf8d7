/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sys/mman.h>

#include <rte_prefetch.h>
#include <sodium.h>

#include "dataplane/shed.h"
#include "dataplane/xdp/steer.h"
#include "wire/frame.h"

#define SECOND_NS UINT64_C(1000000000)
#define TOTAL_BURST_NS (SECOND_NS / 10)

_Static_assert((int)STEER_HELLO == VERB_HELLO && (int)STEER_WELCOME == VERB_WELCOME &&
		       (int)STEER_QUERY == VERB_QUERY && (int)STEER_ANSWER == VERB_ANSWER &&
		       (int)STEER_NOTICE == VERB_NOTICE && STEER_VERB_LAST + 1 == VERB_COUNT &&
		       STEER_VERSION == WIRE_VERSION &&
		       STEER_HEADER == sizeof(struct wire_header) &&
		       offsetof(struct wire_header, conn) == 8,
	       "the XDP program reads the same header");

static uint64_t load(const __u64 *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static void store(__u64 *p, uint64_t value)
{
	__atomic_store_n(p, value, __ATOMIC_RELAXED);
}

/* ---- known flows ---- */

static void *memory_map(int fd, size_t size)
{
	int flags = fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* A bucket of `burst_ns`: what its rate lets through in that time. */
static struct steer_rate steer_rate_of(uint64_t per_second, uint64_t parts, uint64_t burst_ns)
{
	struct steer_rate r = {0};

	if (per_second == 0)
		return r;
	r.interval = SECOND_NS * parts / per_second;
	if (r.interval == 0)
		r.interval = 1;
	r.ahead = burst_ns > r.interval ? burst_ns - r.interval : 0;
	return r;
}

int flow_table_open(struct flow_table *t, const struct port *port, const struct shed_limits *limits,
		    uint64_t epoch)
{
	t->sets = memory_map(port->flows_map, STEER_SETS * sizeof(*t->sets));
	t->state = memory_map(port->state_map, sizeof(*t->state));
	if (t->sets == NULL || t->state == NULL) {
		int err = -errno;

		flow_table_close(t);
		return err;
	}
	randombytes_buf(&t->state->seed, sizeof(t->state->seed));
	t->state->source = steer_rate_of(limits->source, 1, 2 * SECOND_NS);
	t->state->queue = steer_rate_of(limits->total, port->workers, TOTAL_BURST_NS);
	flow_table_epoch(t, epoch);
	return 0;
}

void flow_table_close(struct flow_table *t)
{
	if (t->sets != NULL)
		munmap(t->sets, STEER_SETS * sizeof(*t->sets));
	if (t->state != NULL)
		munmap(t->state, sizeof(*t->state));
	memset(t, 0, sizeof(*t));
}

/* Never 0: that is an empty slot. A tag comes again after a day. */
static uint64_t epoch_tag(uint64_t epoch)
{
	return 1 + epoch % STEER_TAG;
}

void flow_table_epoch(struct flow_table *t, uint64_t epoch)
{
	store(&t->state->tag, epoch_tag(epoch));
	store(&t->state->tag_before, epoch_tag(epoch - 1));
}

/* Where a flow that is not in its set would go: where nobody is any more, or
 * else where nobody can foretell. */
static unsigned int set_room(const struct steer_set *set, uint64_t print, uint64_t tag,
			     uint64_t tag_before, bool *evicts)
{
	*evicts = false;
	for (unsigned int i = 0; i < STEER_WAYS; i++) {
		uint64_t its_tag = load(&set->slot[i]) & STEER_TAG;

		if (its_tag != tag && its_tag != tag_before)
			return i;
	}
	*evicts = true;
	return (print >> 32) % STEER_WAYS;
}

static struct flow set_find(struct steer_set *set, uint64_t print, uint64_t tag,
			    uint64_t tag_before)
{
	const uint64_t now = print | tag, before = print | tag_before;
	unsigned int way = STEER_WAYS;
	bool known, evicts = false;

	/* no early exit: where in its set a flow lies is chance */
	for (unsigned int i = 0; i < STEER_WAYS; i++) {
		uint64_t slot = load(&set->slot[i]);

		way = slot == now || slot == before ? i : way;
	}
	known = way < STEER_WAYS;
	if (!known)
		way = set_room(set, print, tag, tag_before, &evicts);
	return (struct flow){
		.slot = &set->slot[way],
		.mark = now,
		.known = known,
		.marked = known && load(&set->slot[way]) == now,
		.evicts = evicts,
	};
}

uint64_t flow_hash(const struct flow_table *t, const struct addr *peer, uint8_t verb, uint64_t conn)
{
	struct steer_flow f = {.conn = conn};

	_Static_assert(sizeof(f.ip) == sizeof(peer->ip), "both hold an IPv6 address");
	memcpy(f.ip, peer->ip, sizeof(f.ip));
	memcpy(&f.port, &peer->port, sizeof(peer->port));
	steer_flow_verb(&f, verb);
	return steer_flow_hash(t->state->seed, &f);
}

struct flow flow_at(const struct flow_table *t, uint64_t hash)
{
	return set_find(&t->sets[steer_flow_set(hash)], steer_flow_print(hash),
			load(&t->state->tag), load(&t->state->tag_before));
}

void flow_prefetch(const struct flow_table *t, uint64_t hash)
{
	rte_prefetch0(&t->sets[steer_flow_set(hash)]);
}

struct flow flow_find(const struct flow_table *t, const struct addr *peer, uint8_t verb,
		      uint64_t conn)
{
	return flow_at(t, flow_hash(t, peer, verb, conn));
}

bool flow_mark(const struct flow *f)
{
	/* all workers read the line: it is written only when it changes */
	if (load(f->slot) == f->mark)
		return false;
	store(f->slot, f->mark);
	return f->evicts;
}

void flow_forget(const struct flow *f)
{
	if (f->known)
		store(f->slot, 0);
}

void flow_mark_peer(const struct flow_table *t, const struct addr *peer)
{
	struct flow f = flow_find(t, peer, VERB_QUERY, 0);

	flow_mark(&f);
}

/* ---- strangers ---- */

void shed_init(struct shed *s, const struct shed_limits *limits, uint16_t workers,
	       struct budget *source)
{
	uint64_t share = (limits->total + workers - 1u) / workers;

	s->source = source;
	s->rate = rate_make(share, share / 10 + 1);
	atomic_init(&s->total, 0);
}

enum drop shed_admit(struct shed *s, const struct addr *peer, uint64_t now_us)
{
	uint64_t source = shed_source(peer);

	/* the source first: its flood must not take the tokens of all */
	if (!budget_take(s->source, &source, sizeof(source), 1, now_us))
		return DROP_SHED_SOURCE;
	if (!bucket_take(&s->total, &s->rate, 1, now_us))
		return DROP_SHED_TOTAL;
	return DROP_NONE;
}
