/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_malloc.h>
#include <rte_udp.h>

#include "dataplane/port_part.h"
#include "tests/unit/relay_box.h"
#include "tests/unit/unit_clock.h"

#define BUFFERS 4095
#define RING 2048
#define TURNS_MAX 100000 /* far more than any test needs: it turns for ever */

void __wrap_jobs_submit(struct jobs *h, struct job *job);
void __real_jobs_submit(struct jobs *h, struct job *job);

static struct box box; /* large */
static const struct rte_ether_addr own_mac = {{2, 0, 0, 0, 0, 1}}, peer_mac = {{2, 0, 0, 0, 0, 2}};

/* ---- the port: rings of the test's own; it outlives a box ---- */

static struct {
	struct rte_ring *rx, *tx;
	struct rte_mempool *pool;
	struct port chains; /* what zero-copy on it needs */
	int id;
} wire = {.id = -1};

static int chains_open(void)
{
	char why[256];

	wire.chains.workers = 1;
	return chain_open(&wire.chains, (uint16_t)wire.id, why, sizeof(why));
}

static int wire_open(void)
{
	const struct rte_eth_conf conf = {0};

	wire.rx = rte_ring_create("box-rx", RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	wire.tx = rte_ring_create("box-tx", RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	wire.pool = rte_pktmbuf_pool_create("box", BUFFERS, 0, PORT_PRIVATE_SIZE,
					    RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (wire.rx == NULL || wire.tx == NULL || wire.pool == NULL)
		return -ENOMEM;
	wire.id = rte_eth_from_rings("box", &wire.rx, 1, &wire.tx, 1, 0);
	if (wire.id < 0)
		return -EIO;
	if (rte_eth_dev_configure((uint16_t)wire.id, 1, 1, &conf) != 0 ||
	    rte_eth_rx_queue_setup((uint16_t)wire.id, 0, 64, 0, NULL, wire.pool) != 0 ||
	    rte_eth_tx_queue_setup((uint16_t)wire.id, 0, 64, 0, NULL) != 0)
		return -EIO;
	return rte_eth_dev_start((uint16_t)wire.id) == 0 ? chains_open() : -EIO;
}

static void wire_drain(struct rte_ring *r)
{
	void *m;

	while (rte_ring_dequeue(r, &m) == 0)
		rte_pktmbuf_free(m);
}

/* ---- hash jobs: done in the test's own thread, from the loop as ever ---- */

static struct {
	struct job *head, **tail;
	bool hold;
} hashes;

static void hashes_run(void)
{
	struct job *job;

	while (!hashes.hold && (job = hashes.head) != NULL) {
		hashes.head = job->next;
		if (hashes.head == NULL)
			hashes.tail = &hashes.head;
		job->run(job);
		job->done(job); /* may submit more */
	}
}

void __wrap_jobs_submit(struct jobs *h, struct job *job)
{
	if (h == box.control.io) { /* the engine's: box_settle() waits for them */
		__real_jobs_submit(h, job);
		return;
	}
	job->next = NULL;
	*hashes.tail = job;
	hashes.tail = &job->next;
}

void box_hold_hashes(struct box *b, bool hold)
{
	(void)b;
	hashes.hold = hold;
}

/* ---- a relay's life, as main() has it ---- */

/* One generation, whose key is the set's number over and over. */
static void key_fill(struct key_set *k)
{
	k->count = 1;
	k->key[0].generation = 1;
	memset(k->key[0].key, (int)k->id, sizeof(k->key[0].key));
}

static void pair_config(struct peer_config *p, uint32_t id, bool ip6)
{
	char text[64];

	snprintf(p->name, sizeof(p->name), "pair-%u", id);
	snprintf(text, sizeof(text), "%s%u", ip6 ? "2001:db8:ffff::" : "198.51.100.", id);
	addr_parse(text, WIRE_PORT, &p->addr);
	p->keys.id = id;
	key_fill(&p->keys);
}

static struct domain_config domains[BOX_DOMAINS];

void box_domains(struct config *c)
{
	memset(domains, 0, sizeof(domains));
	for (uint32_t i = 0; i < BOX_DOMAINS; i++) {
		snprintf(domains[i].name, sizeof(domains[i].name), "domain-%u", i + 1);
		domains[i].keys.id = i + 1;
		key_fill(&domains[i].keys);
	}
	c->domains = domains;
	c->domain_count = BOX_DOMAINS;
}

uint32_t box_field(uint32_t domain)
{
	return domain != 0 ? domain << 8 | 1 : 0;
}

void box_domain_keys(uint32_t domain, struct domain_keys *keys)
{
	struct key_set set = {.id = domain};

	key_fill(&set);
	domain_keys_derive(keys, set.key[0].key);
}

void box_config(struct config *c, enum role role, bool ip6)
{
	memset(c, 0, sizeof(*c));
	c->engine = ENGINE_MEMORY;
	c->role = role;
	strcpy(c->instance, "box");
	strcpy(c->port, "vdev:net_ring");
	c->gateway_mac = peer_mac;
	if (ip6)
		addr_parse("2001:db8::1", WIRE_PORT, &c->listen.ip6);
	else
		addr_parse("192.0.2.1", WIRE_PORT, &c->listen.ip4);
	c->workers = 1;
	c->control_cpu = -1;
	memset(c->master_key, 7, sizeof(c->master_key));
	c->slab_size = 2 << 20;
	c->max_blob = 1 << 20;
	c->slab_blobs = 64;
	c->zero_copy = true;
	c->stream = true;
	c->rules = 1u << RULE_SHA256;
	c->max_uploads = 4;
	c->max_uploads_per_source = 2;
	c->max_waiters = 16;
	c->max_waiters_per_source = 8;
	c->parked_seconds = 900;
	c->parked_percent = 10;
	c->upload_credit = 4096;
	c->lease_seconds = 60;
	c->max_leases = 16;
	c->max_leases_per_host = 8;
	c->offers_per_target = 64;
	c->upstream_timeout_ms = 1000;
	if (role == ROLE_PRIVATE)
		pair_config(&c->upstream, BOX_PAIR_UPSTREAM, ip6);
	else
		pair_config(&c->peers[c->peer_count++], BOX_PAIR_PEER, ip6);
}

static void relay_configure(const struct config *c, struct relay *r)
{
	control_relay(c, r);
	r->port = (struct port){
		.kind = PORT_VDEV,
		.workers = 1,
		.id = (uint16_t)wire.id,
		.mtu = 1500,
		.rx_fd = {-1},
		.pool = {wire.pool},
		.lock_fd = -1,
		.kernel_fd = {-1, -1},
		.program = -1,
		.ports_map = -1,
		.stats_map = -1,
		.flows_map = -1,
		.state_map = -1,
	};
	port_mac_set(&r->port, &own_mac);
	if (c->zero_copy) {
		r->port.chain_pool[0] = wire.chains.chain_pool[0];
		r->port.flights = wire.chains.flights;
	}
}

static unsigned int buffers_free(void)
{
	return rte_mempool_avail_count(wire.pool) +
	       rte_mempool_avail_count(wire.chains.chain_pool[0]);
}

static int store_open(const struct config *c, struct relay *r)
{
	const struct slab_config sc = {.bytes = c->slab_size, .pieces = c->slab_blobs};
	int ret = slab_open(&r->slab, &sc);

	if (ret == 0)
		ret = index_create(&r->index, "box", c->slab_blobs, SOCKET_ID_ANY);
	if (ret < 0)
		slab_close(&r->slab);
	return ret;
}

static int rcu_create(struct relay *r)
{
	r->qsbr = rte_zmalloc("qsbr", rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE);
	return r->qsbr != NULL ? rte_rcu_qsbr_init(r->qsbr, 1) : -ENOMEM;
}

static int worker_open(struct box *b)
{
	struct worker *w = worker_create(&b->relay, 0, SOCKET_ID_ANY);

	b->control.worker[0] = w;
	if (w == NULL)
		return -ENOMEM;
	rte_rcu_qsbr_thread_register(b->relay.qsbr, 0);
	rte_rcu_qsbr_thread_online(b->relay.qsbr, 0);
	return 0;
}

/* Workers tell the time by the TSC from a point that control publishes; this
 * one only by the point. */
static void clock_set(struct box *b)
{
	b->relay.clock.us_per_tick = 0;
	clock_publish(&b->relay.clock, 0, b->control.unix_us);
}

struct box *box_open(const struct config *c)
{
	char why[256] = "no memory";
	struct box *b = &box;
	cpu_set_t all;
	int ret = 0;

	if (wire.id < 0)
		ret = wire_open();
	memset(b, 0, sizeof(*b));
	b->config = *c;
	b->mac = peer_mac;
	hashes.head = NULL;
	hashes.tail = &hashes.head;
	hashes.hold = false;
	sched_getaffinity(0, sizeof(all), &all);
	b->buffers = buffers_free();
	relay_configure(c, &b->relay);
	if (ret == 0)
		ret = rcu_create(&b->relay);
	if (ret == 0)
		ret = store_open(c, &b->relay);
	if (ret == 0)
		ret = control_init(&b->control, &b->config, &b->relay, &all, why, sizeof(why));
	if (ret == 0)
		ret = control_attach(&b->control, why, sizeof(why));
	if (ret == 0)
		ret = worker_open(b);
	if (ret < 0) {
		fprintf(stderr, "no box: %s\n", why);
		return NULL;
	}
	clock_set(b);
	return b;
}

unsigned int box_close(struct box *b)
{
	rte_rcu_qsbr_thread_offline(b->relay.qsbr, 0);
	rte_rcu_qsbr_thread_unregister(b->relay.qsbr, 0);
	worker_destroy(b->control.worker[0]);
	control_fini(&b->control);
	index_destroy(b->relay.index);
	slab_close(&b->relay.slab);
	rte_free(b->relay.qsbr);
	wire_drain(wire.rx);
	wire_drain(wire.tx);
	return b->buffers - buffers_free();
}

/* ---- turns ---- */

void box_settle(struct box *b)
{
	struct control *ctl = &b->control;
	unsigned int idle = 0;

	for (unsigned int i = 0; idle < 2; i++) {
		unsigned int seen = worker_turn(ctl->worker[0]);
		const struct job *jobs = hashes.hold ? NULL : hashes.head;

		seen += control_turn(ctl, false);
		hashes_run();
		if (ctl->io != NULL)
			store_drain(&ctl->store);
		seen += !TAILQ_EMPTY(&ctl->attempts->dirty);
		idle = seen == 0 && jobs == NULL ? idle + 1 : 0;
		if (i == TURNS_MAX) {
			fprintf(stderr, "the box does not come to rest\n");
			abort();
		}
	}
}

void box_pass(struct box *b, uint64_t us, uint64_t step)
{
	while (us > 0) {
		uint64_t now = us < step ? us : step;

		unit_clock_advance(now);
		us -= now;
		clock_set(b);
		box_settle(b);
	}
}

uint64_t box_seconds(void)
{
	return control_seconds(&box.control);
}

/* ---- packets ---- */

/* Headers as packet_finish() writes them for the relay, the other way round. */
uint16_t box_inject(struct box *b, const struct addr *from, const void *payload, size_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(wire.pool);
	struct addr self = *relay_self(&b->relay, from);
	uint16_t bytes = (uint16_t)(addr_overhead(from) + len);

	if (m == NULL || len > rte_pktmbuf_tailroom(m)) {
		fprintf(stderr, "no buffer for a frame of %zu bytes\n", len);
		abort();
	}
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), payload, len);
	packet_of(m)->peer = self;
	packet_of(m)->summed = 0;
	packet_finish(m, from, &b->mac, &own_mac);
	if (rte_ring_enqueue(wire.rx, m) != 0)
		rte_pktmbuf_free(m);
	return bytes;
}

static uint16_t headers_read(const struct rte_mbuf *m, struct box_frame *f)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const void *);
	const struct rte_ipv4_hdr *ip4 = (const void *)(eth + 1);
	const struct rte_ipv6_hdr *ip6 = (const void *)(eth + 1);
	const struct rte_udp_hdr *udp;

	f->mac = eth->dst_addr;
	memset(&f->peer, 0, sizeof(f->peer));
	if (eth->ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4)) {
		f->peer.type = ADDR_IP4;
		memcpy(f->peer.ip, &ip4->dst_addr, 4);
		f->ip_bytes = rte_be_to_cpu_16(ip4->total_length);
		udp = (const void *)(ip4 + 1);
	} else {
		f->peer.type = ADDR_IP6;
		memcpy(f->peer.ip, ip6->dst_addr, 16);
		f->ip_bytes = (uint16_t)(rte_be_to_cpu_16(ip6->payload_len) + sizeof(*ip6));
		udp = (const void *)(ip6 + 1);
	}
	memcpy(&f->peer.port, &udp->dst_port, sizeof(f->peer.port));
	return (uint16_t)((const uint8_t *)(udp + 1) - (const uint8_t *)eth);
}

/* As DPDK's own code sees them: with the right one in place it computes 0, written 0xffff. */
static bool checksums_right(struct rte_mbuf *m)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const void *);
	const struct rte_ipv4_hdr *ip4 = (const void *)(eth + 1);
	const struct rte_ipv6_hdr *ip6 = (const void *)(eth + 1);

	if (eth->ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4))
		return rte_raw_cksum(ip4, sizeof(*ip4)) == 0xffff &&
		       rte_ipv4_udptcp_cksum(ip4, ip4 + 1) == 0xffff;
	return rte_ipv6_udptcp_cksum(ip6, ip6 + 1) == 0xffff;
}

bool box_take(struct box *b, struct box_frame *f)
{
	struct rte_mbuf *m;
	uint16_t head;
	void *next;

	(void)b;
	if (rte_ring_dequeue(wire.tx, &next) != 0)
		return false;
	m = next;
	f->segments = (uint8_t)m->nb_segs;
	if (rte_pktmbuf_linearize(m) != 0 || !checksums_right(m)) {
		fprintf(stderr, "a frame with a wrong checksum left, or one too long\n");
		abort();
	}
	head = headers_read(m, f);
	f->len = (uint16_t)(rte_pktmbuf_data_len(m) - head);
	memcpy(f->payload, rte_pktmbuf_mtod_offset(m, void *, head), f->len);
	rte_pktmbuf_free(m);
	return true;
}

/* ---- the store ---- */

static void ident_of(uint8_t rule, const void *bytes, size_t len, struct ident *id)
{
	struct ident_state *s = ident_begin(rule);

	ident_update(s, bytes, len);
	ident_final(s, id);
	ident_free(s);
}

static int box_result;

static void box_stored(struct store_put *put, int result)
{
	(void)put;
	box_result = result;
}

static void box_ended(struct store_put *put)
{
	(void)put;
}

int box_store(struct box *b, uint32_t domain, uint8_t rule, const void *bytes, size_t len,
	      struct ident *id)
{
	const struct slab *s = &b->relay.slab;
	struct blob_name name = {.length = len, .domain = domain, .rule = rule};
	const uint8_t *from = bytes;
	struct store_put put;
	int ret;

	ident_of(rule, bytes, len, &name.id);
	*id = name.id;
	ret = store_put_begin(&b->control.store, &name, &put);
	if (ret < 0)
		return ret;
	ret = store_put_grow(&put, chunk_count(len));
	for (uint32_t i = 0; ret == 0 && i < chunk_count(len); i++)
		chunk_store(s, slab_piece(s, put.piece[i / PIECE_CHUNKS]), i % PIECE_CHUNKS,
			    from + (size_t)i * CHUNK_SIZE, chunk_length(len, i));
	if (ret == 0) {
		store_put_ready(&put, chunk_count(len));
		store_put_commit(&put, box_stored);
		store_poll(&b->control.store, box_seconds() * 1000000);
		ret = box_result;
	}
	store_put_end(&put, box_ended);
	return ret;
}
