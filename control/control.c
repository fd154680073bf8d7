/* SPDX-License-Identifier: BSD-3-Clause
 * The control thread's loop: workers' rings first, then libevent.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_malloc.h>
#include <sodium.h>

#include "control/base/base.h"
#include "control/control.h"

#define NOTES_A_ROUND 256 /* messages from one worker before the others and timers get a turn */
#define SPIN_ROUNDS 64	  /* empty rounds before the loop blocks */
#define LANDING_US 1000	  /* a blocked loop looks for landed frames this often */

#define CLOCK_STEP_US 1000000 /* NTP steps beyond 0.128 s; below a second nobody notices */
#define CLOCK_SLEW_US 50000   /* a second: limits and deadlines are wrong by no more than that */

uint64_t table_seed;

static uint64_t clock_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void clock_read(struct control *ctl)
{
	ctl->now_us = clock_us(CLOCK_MONOTONIC);
	ctl->wall_us = clock_us(CLOCK_REALTIME);
}

static void clock_start(struct control *ctl)
{
	clock_read(ctl);
	ctl->unix_us = ctl->wall_us;
	ctl->unix_offset = ctl->unix_us - ctl->now_us;
	/* so that the first time it is set is a change */
	health_set(&ctl->clock, ctl->now_us, false, "the host's clock is as it was at the start");
}

void control_clock(struct control *ctl)
{
	int64_t behind, step;

	clock_read(ctl);
	ctl->unix_us = ctl->now_us + ctl->unix_offset;
	behind = (int64_t)(ctl->wall_us - ctl->unix_us);
	step = behind - ctl->clock_behind;
	ctl->clock_behind = behind;
	if (llabs(step) < CLOCK_STEP_US)
		return;
	health_set(&ctl->clock, ctl->now_us, false,
		   "the host's clock was set %.3f s %s; tokens and deadlines follow by %d ms a "
		   "second",
		   (double)llabs(step) / 1e6, step > 0 ? "forward" : "back", CLOCK_SLEW_US / 1000);
	peers_clock_set(ctl);
}

/* Once a second. A clock that is disciplined without steps never gets away. */
static void clock_follow(struct control *ctl)
{
	int64_t slew = RTE_MAX(RTE_MIN(ctl->clock_behind, CLOCK_SLEW_US), -CLOCK_SLEW_US);

	ctl->unix_offset += (uint64_t)slew;
	ctl->unix_us += (uint64_t)slew;
	ctl->clock_behind -= slew;
	clock_publish(&ctl->relay->clock, rte_rdtsc(), ctl->unix_us);
}

/* The keys of the current epoch go into the slot that is not in use. */
static void keys_update(struct control *ctl)
{
	struct relay_keys *k = &ctl->relay->keys;
	unsigned int current = atomic_load_explicit(&k->current, memory_order_relaxed);

	if (k->slot[current].epoch == token_epoch(control_seconds(ctl)))
		return;
	token_ring_advance(&k->slot[!current], &k->slot[current], ctl->config->master_key,
			   control_seconds(ctl));
	atomic_store_explicit(&k->current, !current, memory_order_release);
}

static void storage_review(struct control *ctl)
{
	const struct store *s = &ctl->store;

	if (s->failed)
		health_set(
			&ctl->storage, ctl->now_us, true,
			"the store in %s does not work: %s; it is opened again each second; what "
			"is in memory is served, nothing is taken",
			s->config.path, s->why);
	else if (store_disk_full(s))
		health_set(&ctl->storage, ctl->now_us, true,
			   "the disk of %s has %" PRIu64 " MiB free: nothing is taken until it has "
			   "more; free some, or lower [store] max_bytes or min_free",
			   s->config.path, s->disk_free >> 20);
	else if (s->kept)
		health_set(&ctl->storage, ctl->now_us, false, "the store in %s works",
			   s->config.path);
	health_review(&ctl->storage, ctl->now_us);
}

static void control_second(evutil_socket_t fd, short what, void *arg)
{
	struct control *ctl = arg;

	(void)fd;
	(void)what;
	control_clock(ctl);
	clock_follow(ctl);
	keys_update(ctl);
	lease_expire(ctl->relay->leases, control_seconds(ctl));
	flow_table_epoch(&ctl->relay->flows, token_epoch(control_seconds(ctl)));
	peers_review(ctl);
	uploads_review(ctl);
	sweep_review(ctl);
	storage_review(ctl);
	watch_review(ctl);
	health_review(&ctl->clock, ctl->now_us);
	health_review(&ctl->upstream, ctl->now_us);
	traffic_review(ctl);
}

static void ask_dispatch(struct control *ctl, const struct ask_carried *c)
{
	if (c->is_query)
		handle_query(ctl, c);
	else
		handle_send_slow(ctl, c);
}

static void frame_dispatch(struct control *ctl, const struct packet *p, const struct frame *f)
{
	switch (f->verb) {
	case VERB_LISTEN:
		handle_listen(ctl, p, f);
		break;
	case VERB_STOP:
		handle_stop(ctl, p, f);
		break;
	case VERB_PULL:
		handle_pull_slow(ctl, p, f);
		break;
	case VERB_RECEIPT:
		handle_foreign_receipt(ctl, p, f);
		break;
	case VERB_ANSWER:
		handle_answer(ctl, p, f);
		break;
	case VERB_NOTICE:
		handle_notice(ctl, p, f);
		break;
	default: /* workers hand over nothing else */
		control_drop(ctl, DROP_VERB);
		break;
	}
}

/* How long a frame waited, and was dealt with. */
static void latency_note(struct control *ctl, uint64_t came_us)
{
	const uint64_t now = clock_unix_us(&ctl->relay->clock, rte_rdtsc());
	uint64_t us = now > came_us ? now - came_us : 0;
	unsigned int i = 0;

	for (us >>= 4; us > 0 && i < CONTROL_LATENCIES - 1; us >>= 2)
		i++;
	ctl->latency[i]++;
}

static void message_handle(struct control *ctl, const struct message *msg)
{
	switch (msg->kind) {
	case MESSAGE_ASK:
		ask_dispatch(ctl, ask_carried(msg->mbuf));
		rte_pktmbuf_free(msg->mbuf);
		latency_note(ctl, msg->came_us);
		break;
	case MESSAGE_FRAME:
		frame_dispatch(ctl, packet_of(msg->mbuf), packet_frame(msg->mbuf));
		rte_pktmbuf_free(msg->mbuf);
		latency_note(ctl, msg->came_us);
		break;
	case MESSAGE_NEXT_HOP:
		pending_add(ctl, msg->mbuf);
		break;
	case MESSAGE_CHUNK:
		attempt_chunk(ctl, msg);
		break;
	default:
		break;
	}
}

static unsigned int rings_drain(struct control *ctl)
{
	struct message msg[32];
	unsigned int total = 0;

	for (uint16_t i = 0; i < ctl->relay->port.workers; i++) {
		unsigned int n, seen = 0;

		ctl->ring_most[i] =
			RTE_MAX(ctl->ring_most[i], rte_ring_count(ctl->worker[i]->to_control));
		do {
			n = message_get(ctl->worker[i]->to_control, msg, RTE_DIM(msg));
			for (unsigned int k = 0; k < n; k++)
				message_handle(ctl, &msg[k]);
			seen += n;
		} while (n == RTE_DIM(msg) && seen < NOTES_A_ROUND);
		total += seen;
	}
	return total;
}

static bool rings_empty(const struct control *ctl)
{
	for (uint16_t i = 0; i < ctl->relay->port.workers; i++)
		if (!rte_ring_empty(ctl->worker[i]->to_control))
			return false;
	return true;
}

static void landing_look(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg; /* the next turn does */
}

/* Blocks until a worker rings, a timer or a descriptor is due. */
static void control_wait(struct control *ctl)
{
	const struct timeval landing = {.tv_usec = LANDING_US};
	struct doorbell *bell = &ctl->relay->control_bell;

	/* a driver may keep frames for as long as it likes: nobody rings when they land */
	if (reclaim_waits_flown(ctl->reclaim))
		event_add(ctl->landing, &landing);
	atomic_store_explicit(&bell->sleeping, 1, memory_order_relaxed);
	/* `sleeping` must be visible before the rings are looked at again */
	atomic_thread_fence(memory_order_seq_cst);
	if (rings_empty(ctl))
		event_base_loop(ctl->base, EVLOOP_ONCE);
	doorbell_clear(bell);
}

bool control_turn(struct control *ctl, bool may_wait)
{
	unsigned int seen;

	control_clock(ctl);
	seen = rings_drain(ctl);
	requests_pump(ctl);
	reclaim_poll(ctl->reclaim); /* first: the store may want what comes free */
	store_poll(&ctl->store, ctl->unix_us);
	requests_pump(ctl);
	outbox_flush(ctl);
	if (!may_wait || seen > 0 || reclaim_waits(ctl->reclaim) || store_waits(&ctl->store))
		event_base_loop(ctl->base, EVLOOP_NONBLOCK);
	else
		control_wait(ctl);
	return seen > 0;
}

void control_run(struct control *ctl)
{
	unsigned int idle = 0;

	while (!ctl->stop)
		idle = control_turn(ctl, idle >= SPIN_ROUNDS) ? 0 : idle + 1;
}

void control_stop(struct control *ctl)
{
	ctl->stop = true;
	event_base_loopbreak(ctl->base);
}

void control_fail(struct control *ctl, int err, const char *format, ...)
{
	va_list args;

	if (ctl->failure == 0) {
		ctl->failure = err;
		va_start(args, format);
		vsnprintf(ctl->why, sizeof(ctl->why), format, args);
		va_end(args);
	}
	control_stop(ctl);
}

static void bell_rung(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	doorbell_clear(arg);
}

/* The rooms' own state. */
struct rooms {
	struct pending pending;
	struct watch watch;
	struct traffic traffic;
	struct requests requests;
	struct queries queries;
	struct uploads uploads;
	struct attempts attempts;
	struct peers peers;
	struct possession_queue possession;
	struct sweep sweep;
	struct fetches fetches;
	struct lookups lookups;
	struct reload reload;
	struct tasks tasks;
};

static int rooms_open(struct control *ctl)
{
	struct rooms *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return -ENOMEM;
	ctl->rooms = r;
	ctl->pending = &r->pending;
	ctl->watch = &r->watch;
	ctl->traffic = &r->traffic;
	ctl->requests = &r->requests;
	ctl->queries = &r->queries;
	ctl->uploads = &r->uploads;
	ctl->attempts = &r->attempts;
	ctl->peers = &r->peers;
	ctl->possession = &r->possession;
	ctl->sweep = &r->sweep;
	ctl->fetches = &r->fetches;
	ctl->lookups = &r->lookups;
	ctl->reload = &r->reload;
	ctl->tasks = &r->tasks;
	requests_init(ctl);
	queries_init(ctl);
	uploads_init(ctl);
	attempts_init(ctl);
	fetches_init(ctl);
	lookups_init(ctl);
	return 0;
}

static void rooms_close(struct control *ctl)
{
	if (ctl->rooms == NULL)
		return;
	tasks_fini(ctl);
	fetches_fini(ctl);
	lookups_fini(ctl);
	possession_fini(ctl);
	uploads_fini(ctl);
	requests_fini(ctl);
	peers_fini(ctl);
	pending_free(ctl);
	watch_stop(ctl);
}

/* Its address space is little to ask for, but not where the host overcommits nothing. */
static struct nexthop_table *nexthops_create(struct control *ctl)
{
	struct nexthop_table *t = NULL;

	if (ctl->relay->port.ifindex == 0) /* nobody looks into it */
		return nexthop_table_create(1, 1, ctl->reclaim);
	for (uint32_t blocks = ROUTE_BLOCKS; t == NULL && blocks >= 4096; blocks /= 2)
		t = nexthop_table_create(ROUTE_SLOTS, blocks, ctl->reclaim);
	return t;
}

static void domain_limits(void *ctx, uint32_t domain, struct store_limits *out)
{
	const struct control *ctl = ctx;
	const struct domain *d = keyring_domain(relay_keyring(ctl->relay), domain);

	if (d != NULL)
		*out = (struct store_limits){.bytes = d->max_bytes,
					     .blobs = d->max_blobs,
					     .keep_seconds = d->keep_seconds};
}

void control_limits(struct control *ctl)
{
	const struct config *c = ctl->config;
	const struct store_policy p = {
		.all = {.bytes = c->max_bytes,
			.blobs = c->max_blobs,
			.keep_seconds = c->keep_seconds},
		.free_least = c->min_free,
		.refuse = c->at_limit == AT_LIMIT_REFUSE,
		.of = domain_limits,
		.ctx = ctl,
	};

	store_limit(&ctl->store, &p);
}

static int tables_create(struct control *ctl)
{
	struct relay *r = ctl->relay;
	struct keyring *k;
	int ret;

	ctl->reclaim = reclaim_create(r->qsbr, r->port.flights);
	if (ctl->reclaim == NULL)
		return -ENOMEM;
	ret = store_init(&ctl->store, &r->slab, r->index, ctl->reclaim, r->port.workers);
	if (ret < 0)
		return ret;
	r->cache = ctl->store.cache;
	ret = flow_table_open(&r->flows, &r->port, &r->strangers,
			      token_epoch(control_seconds(ctl)));
	if (ret < 0)
		return ret;
	peers_mark(ctl);
	ret = keyring_build(ctl, ctl->config, &k);
	if (ret < 0)
		return ret;
	keyring_publish(ctl, k);
	control_limits(ctl);
	r->leases = lease_table_create(ctl->config->max_leases, ctl->config->max_leases_per_host,
				       ctl->reclaim);
	/* without a kernel interface nobody fills it */
	r->nexthops = nexthops_create(ctl);
	r->uploads =
		rte_zmalloc("uploads", UPLOAD_SLOTS * sizeof(*r->uploads), RTE_CACHE_LINE_SIZE);
	return r->leases && r->nexthops && r->uploads ? 0 : -ENOMEM;
}

static void store_over(evutil_socket_t fd, short what, void *arg)
{
	struct control *ctl = arg;

	(void)fd;
	(void)what;
	control_clock(ctl);
	store_poll(&ctl->store, ctl->unix_us);
}

int control_attach(struct control *ctl, char *why, size_t why_size)
{
	const uint64_t keep = ctl->config->parked_seconds;
	const struct store_engine e = {
		.open = engine_rocksdb_open,
		.path = ctl->config->store_path,
		.log_path = rte_eal_get_runtime_dir(),
		.keep_since = keep > 0 ? control_seconds(ctl) - keep : UINT64_MAX,
		.sync = (enum store_sync)ctl->config->sync,
		.jobs = ctl->io,
	};
	int ret = ctl->io != NULL ? store_attach(&ctl->store, &e, why, why_size) : 0;
	if (ret == 0 && ctl->io != NULL)
		adopt_all(ctl);
	if (ret == 0)
		sweep_start(ctl); /* domains may have gone while it was closed */
	return ret;
}

static int store_threads(struct control *ctl, const cpu_set_t *affinity)
{
	if (ctl->config->engine == ENGINE_MEMORY)
		return 0;
	ctl->io = jobs_start(ctl->config->io_threads, affinity);
	if (ctl->io == NULL)
		return -errno;
	ctl->stored = event_new(ctl->base, jobs_fd(ctl->io), EV_READ | EV_PERSIST, store_over, ctl);
	return ctl->stored != NULL && event_add(ctl->stored, NULL) == 0 ? 0 : -ENOMEM;
}

static void jobs_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	jobs_collect(arg);
}

static int events_create(struct control *ctl, const cpu_set_t *affinity)
{
	const struct timeval second = {.tv_sec = 1};
	struct event_config *ec = event_config_new();
	struct relay *r = ctl->relay;

	/* pull windows pace in fractions of a millisecond */
	if (ec != NULL)
		event_config_set_flag(ec, EVENT_BASE_FLAG_PRECISE_TIMER);
	ctl->base = ec != NULL ? event_base_new_with_config(ec) : NULL;
	if (ec != NULL)
		event_config_free(ec);
	if (ctl->base == NULL)
		return -ENOMEM;
	ctl->second = event_new(ctl->base, -1, EV_PERSIST, control_second, ctl);
	ctl->bell = event_new(ctl->base, r->control_bell.fd, EV_READ | EV_PERSIST, bell_rung,
			      &r->control_bell);
	ctl->landing = evtimer_new(ctl->base, landing_look, NULL);
	if (ctl->second == NULL || ctl->bell == NULL || ctl->landing == NULL ||
	    event_add(ctl->second, &second) < 0 || event_add(ctl->bell, NULL) < 0)
		return -ENOMEM;
	ctl->hasher = jobs_start(ctl->config->hash_threads, affinity);
	if (ctl->hasher == NULL)
		return -errno;
	ctl->hashed = event_new(ctl->base, jobs_fd(ctl->hasher), EV_READ | EV_PERSIST, jobs_over,
				ctl->hasher);
	if (ctl->hashed == NULL || event_add(ctl->hashed, NULL) < 0)
		return -ENOMEM;
	return store_threads(ctl, affinity);
}

static int router_open(struct control *ctl)
{
	const struct relay *r = ctl->relay;
	struct router_config c = {
		.base = ctl->base,
		.table = r->nexthops,
		.ifindex = r->port.ifindex,
		.port = (uint8_t)r->port.id,
		.ip4 = r->self.ip4.type != ADDR_NONE,
		.ip6 = r->self.ip6.type != ADDR_NONE,
		.resolved = pending_release,
		.ctx = ctl,
	};

	/* without the kernel's socket an address is not the kernel's */
	if (r->port.kernel_fd[0] >= 0)
		c.from.ip4 = r->self.ip4;
	if (r->port.kernel_fd[1] >= 0)
		c.from.ip6 = r->self.ip6;
	ctl->router = router_create(&c);
	return ctl->router != NULL ? 0 : -errno;
}

void control_relay(const struct config *c, struct relay *r)
{
	r->self = c->listen;
	r->central = c->role == ROLE_CENTRAL;
	r->spin = c->idle == IDLE_SPIN;
	r->unfinished_checksums = c->unfinished_checksums;
	r->rules = c->rules;
	r->max_blob = c->max_blob;
	r->offers_per_target = c->offers_per_target;
	r->rate_per_target = c->rate_per_target;
	r->strangers.source = c->strangers_per_source;
	r->strangers.total = c->strangers;
	r->control_per_source = c->control_per_source;
	r->gateway_mac = c->gateway_mac;
	r->has_gateway_mac = !rte_is_zero_ether_addr(&c->gateway_mac);
	r->possession = c->possession;
	r->hide_hits = c->hide_hits;
	r->control_bell.fd = -1;
}

int control_init(struct control *ctl, const struct config *c, struct relay *relay,
		 const cpu_set_t *affinity, char *why, size_t why_size)
{
	int ret;

	memset(ctl, 0, sizeof(*ctl));
	randombytes_buf(&table_seed, sizeof(table_seed));
	ctl->config = c;
	ctl->relay = relay;
	relay->clock.us_per_tick = 1e6 / (double)rte_get_tsc_hz();
	clock_start(ctl);
	ctl->started_us = ctl->now_us;
	clock_publish(&relay->clock, rte_rdtsc(), ctl->unix_us);
	keys_update(ctl);
	relay_limits_init(relay);
	relay->control_bell.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ret = relay->control_bell.fd < 0 ? -errno : rooms_open(ctl);
	if (ret == 0) {
		peers_update(ctl, c);
		ret = tables_create(ctl);
	}
	if (ret == 0)
		ret = events_create(ctl, affinity);
	if (ret == 0 && relay->port.ifindex != 0)
		ret = router_open(ctl);
	if (ret == 0)
		ret = watch_start(ctl);
	if (ret < 0) {
		snprintf(why, why_size, "the control thread cannot start: %s", strerror(-ret));
		control_fini(ctl);
	}
	return ret;
}

void control_fini(struct control *ctl)
{
	struct relay *r = ctl->relay;

	if (ctl->hashed != NULL)
		event_free(ctl->hashed);
	jobs_stop(ctl->hasher);
	if (ctl->stored != NULL)
		event_free(ctl->stored);
	store_closing(&ctl->store);
	if (ctl->store.loads != NULL)
		store_drain(&ctl->store);
	rooms_close(ctl);
	router_destroy(ctl->router);
	/* workers have stopped: nothing has to be waited for */
	if (ctl->reclaim != NULL)
		reclaim_flush(ctl->reclaim);
	if (ctl->store.loads != NULL)
		store_drain(&ctl->store); /* what that ended */
	reclaim_destroy(ctl->reclaim);
	jobs_stop(ctl->io);
	store_fini(&ctl->store);
	nexthop_table_destroy(r->nexthops);
	lease_table_destroy(r->leases);
	flow_table_close(&r->flows);
	keyring_free(atomic_exchange(&r->keyring, NULL));
	rte_free(r->uploads);
	if (ctl->second != NULL)
		event_free(ctl->second);
	if (ctl->bell != NULL)
		event_free(ctl->bell);
	if (ctl->landing != NULL)
		event_free(ctl->landing);
	if (ctl->base != NULL)
		event_base_free(ctl->base);
	if (r->control_bell.fd >= 0)
		close(r->control_bell.fd);
	free(ctl->rooms);
}
