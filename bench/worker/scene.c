/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/worker/scene.h"

#include <errno.h>
#include <stdlib.h>

#include <rte_malloc.h>
#include <sodium.h>

#include "bench/content.h"
#include "dataplane/port_part.h"

#define IFINDEX 1 /* not 0: the worker looks next hops up, as on a port of the kernel's */
#define LEASE_SECONDS 3600

static const struct rte_ether_addr own_mac = {{2, 0, 0, 0, 0, 2}},
				   router_mac = {{2, 0, 0, 0, 0, 9}};

static int fail(const char *what, int err)
{
	fprintf(stderr, "worker_bench: %s: %s\n", what, strerror(-err));
	return err;
}

static void port_fill(struct port *p, const struct ports *from)
{
	*p = (struct port){
		.kind = PORT_VDEV,
		.workers = (uint16_t)from->workers,
		.id = from->rx,
		.mtu = 1500,
		.rx_fd = {-1, -1},
		.pool = {from->pool[0], from->pool[1]},
		.lock_fd = -1,
		.kernel_fd = {-1, -1},
		.program = -1,
		.ports_map = -1,
		.stats_map = -1,
		.flows_map = -1,
		.state_map = -1,
	};
	port_mac_set(p, &own_mac);
}

static int memory_open(struct scene *s)
{
	const struct config *c = &s->config;
	struct relay *r = &s->relay;
	const struct slab_config sc = {
		.bytes = c->slab_size, .pieces = c->slab_blobs, .hugepages = c->hugepages};
	int ret;

	r->qsbr =
		rte_zmalloc("qsbr", rte_rcu_qsbr_get_memsize(r->port.workers), RTE_CACHE_LINE_SIZE);
	ret = r->qsbr != NULL ? rte_rcu_qsbr_init(r->qsbr, r->port.workers) : -ENOMEM;
	if (ret == 0)
		ret = slab_open(&r->slab, &sc);
	if (ret == 0)
		ret = index_create(&r->index, "blobs", c->slab_blobs, SOCKET_ID_ANY);
	return ret < 0 ? fail("memory for the store", ret) : 0;
}

/* A host with one router, whose address is known: all goes there, and leaves by `port`. */
static int routes_make(struct scene *s, uint16_t port)
{
	const struct nexthop nh = {
		.mac = router_mac, .state = NEXTHOP_READY, .port = (uint8_t)port};
	const struct prefix all = {.type = ADDR_IP4};
	struct path path = {.up_to = UINT32_MAX};
	struct nexthop_table *t = nexthop_table_create(64, 4096, s->control.reclaim);
	uint32_t hop;
	int ret;

	if (t == NULL)
		return -ENOMEM;
	nexthop_table_destroy(s->relay.nexthops);
	s->relay.nexthops = t;
	s->relay.port.ifindex = IFINDEX;
	ret = nexthop_neighbour_add(t, &path.neighbour);
	if (ret == 0)
		ret = nexthop_hop_add(t, &hop);
	if (ret < 0)
		return ret;
	nexthop_neighbour_set(t, path.neighbour, &nh);
	ret = nexthop_hop_set(t, hop, &path, 1);
	return ret == 0 ? fib_set(nexthop_fib(t), &all, hop) : ret;
}

/* ---- blobs ---- */

/* Whose the blobs and the sources are: everybody's, or those of the only domain. */
static const struct domain *scene_domain(const struct scene *s)
{
	return &relay_keyring(&s->relay)->domain[0];
}

static int put_result;

static void on_stored(struct store_put *put, int result)
{
	(void)put;
	put_result = result;
}

static void on_ended(struct store_put *put)
{
	(void)put;
}

static void blob_fill(struct scene *s, const struct store_put *put, const uint8_t *bytes)
{
	const struct slab *slab = &s->relay.slab;
	const uint64_t length = s->catalogue.bytes;

	for (uint32_t i = 0; i < chunk_count(length); i++)
		chunk_store(slab, slab_piece(slab, put->piece[i / PIECE_CHUNKS]), i % PIECE_CHUNKS,
			    bytes + (size_t)i * CHUNK_SIZE, chunk_length(length, i));
}

/* As if it had been uploaded. */
static int blob_load(struct scene *s, uint32_t number, uint8_t *bytes)
{
	struct store *store = &s->control.store;
	const struct catalogue_spec *c = &s->catalogue;
	struct blob_name name = {
		.length = c->bytes, .domain = scene_domain(s)->id, .rule = RULE_SHA256};
	struct store_put put;
	int ret = content_ident(c->seed, number, name.rule, c->bytes, &name.id);

	if (ret == 0)
		ret = store_put_begin(store, &name, &put);
	if (ret < 0)
		return ret;
	content_fill(c->seed, number, bytes, c->bytes);
	ret = store_put_grow(&put, chunk_count(c->bytes));
	if (ret == 0) {
		blob_fill(s, &put, bytes);
		store_put_ready(&put, chunk_count(c->bytes));
		put_result = -EINPROGRESS;
		store_put_commit(&put, on_stored);
		store_poll(store, s->control.unix_us);
		ret = put_result;
	}
	if (ret == 0)
		s->blob_of[store_find(store, &name) - s->relay.slab.pieces] = number;
	store_put_end(&put, on_ended);
	return ret;
}

static int blobs_load(struct scene *s)
{
	uint8_t *bytes = malloc(s->catalogue.bytes);
	int ret;

	s->blob_of = malloc(s->config.slab_blobs * sizeof(*s->blob_of));
	ret = bytes != NULL && s->blob_of != NULL ? 0 : -ENOMEM;
	for (uint32_t i = 0; i < s->catalogue.blobs && ret == 0; i++)
		ret = blob_load(s, i, bytes);
	free(bytes);
	return ret < 0 ? fail("blobs do not fit [store] slab_size or slab_blobs", ret) : 0;
}

/* ---- who asks ---- */

static void captured_know(struct scene *s, const struct capture *rs, struct captured *r)
{
	const struct blob_name name = {
		.id = *captured_ident(rs, r),
		.length = s->catalogue.bytes,
		.domain = scene_domain(s)->id,
		.rule = RULE_SHA256,
	};
	const struct piece *p = store_find(&s->control.store, &name);

	r->blob = p != NULL ? s->blob_of[p - s->relay.slab.pieces] : BLOB_NONE;
}

/* What answers a SEND inline is bound to its target's lease. */
static int source_lease(struct scene *s, const struct captured *r, uint32_t key)
{
	const struct lease l = {
		.target = r->source,
		.key = key,
		.conn = r->conn,
		.number = 1,
		.expiry = s->requests.unix_seconds + LEASE_SECONDS,
		.forget = s->requests.unix_seconds + LEASE_SECONDS,
	};
	int ret = lease_set(s->relay.leases, &l);

	return ret == -EEXIST ? 0 : ret;
}

static int capture_know(struct scene *s, struct capture *rs)
{
	const struct domain *d = scene_domain(s);
	const uint32_t key = d->id != DOMAIN_OPEN ? d->field[0] : 0;

	for (uint32_t i = 0; i < rs->count; i++) {
		int ret = source_lease(s, &rs->list[i], key);

		if (ret < 0)
			return fail("sources do not fit [limits] max_leases", ret);
		captured_know(s, rs, &rs->list[i]);
	}
	return 0;
}

/* ---- the whole ---- */

static int relay_open(struct scene *s, const struct ports *ports)
{
	char why[512] = "";
	cpu_set_t any;
	int ret;

	CPU_ZERO(&any);
	CPU_SET(0, &any);
	s->config.workers = ports->workers;
	control_relay(&s->config, &s->relay);
	s->relay.spin = true;
	port_fill(&s->relay.port, ports);
	if (s->config.zero_copy && chain_open(&s->relay.port, ports->tx, why, sizeof(why)) < 0) {
		fprintf(stderr, "worker_bench: %s\n", why);
		return -ENOMEM;
	}
	ret = memory_open(s);
	if (ret < 0)
		return ret;
	ret = control_init(&s->control, &s->config, &s->relay, &any, why, sizeof(why));
	if (ret < 0) {
		fprintf(stderr, "worker_bench: %s\n", why);
		return ret;
	}
	ret = routes_make(s, ports->tx);
	if (ret < 0)
		return fail("routes", ret);
	for (uint16_t i = 0; i < ports->workers; i++) {
		s->worker[i] = worker_create(&s->relay, i, SOCKET_ID_ANY);
		s->control.worker[i] = s->worker[i];
		if (s->worker[i] == NULL)
			return fail("a worker", -ENOMEM);
	}
	return 0;
}

/* However old the requests are. */
static void keys_rewind(struct scene *s)
{
	struct relay *r = &s->relay;
	const uint64_t then = s->requests.unix_seconds;

	token_ring_derive(&r->keys.slot[atomic_load(&r->keys.current)], s->config.master_key, then);
	flow_table_epoch(&r->flows, token_epoch(then));
}

int scene_open(struct scene *s, const char *config, const struct ports *ports)
{
	int ret;

	if (config_load(config, &s->config, stderr) < 0 ||
	    config_load_keys(config, &s->config, stderr) < 0)
		return -EINVAL;
	ret = relay_open(s, ports);
	if (ret == 0)
		ret = blobs_load(s);
	if (ret == 0)
		ret = capture_know(s, &s->requests);
	if (ret == 0)
		ret = capture_know(s, &s->second);
	if (ret == 0)
		keys_rewind(s);
	return ret;
}

void scene_close(struct scene *s)
{
	for (unsigned int i = 0; i < PORTS_WORKERS; i++)
		worker_destroy(s->worker[i]);
	control_fini(&s->control);
	index_destroy(s->relay.index);
	slab_close(&s->relay.slab);
	rte_free(s->relay.qsbr);
	free(s->blob_of);
	capture_free(&s->requests);
	capture_free(&s->second);
	config_free(&s->config);
}

void scene_rewind(struct scene *s)
{
	struct control *ctl = &s->control;
	uint64_t back;

	relay_limits_init(&s->relay); /* buckets know when they will be full */
	control_clock(ctl);
	/* what is said once a second follows the host's clock slowly from there */
	back = ctl->unix_us - s->requests.unix_seconds * 1000000;
	ctl->unix_us -= back;
	ctl->unix_offset -= back;
	ctl->clock_behind += (int64_t)back;
	clock_publish(&s->relay.clock, rte_rdtsc(), ctl->unix_us);
}
