/* SPDX-License-Identifier: BSD-3-Clause
 * From frames to payloads and back, and what a chunk costs that is copied or chained.
 */
#include <stdlib.h>

#include <rte_lcore.h>

#include "bench/content.h"
#include "bench/micro/micro.h"
#include "dataplane/packet.h"
#include "dataplane/port_part.h"
#include "store/flight.h"
#include "store/slab.h"

#define BURST 32u
#define BUFFERS 1023
#define PAYLOAD 256 /* a PULL's length, about */

static const struct rte_ether_addr mac_a = {{2, 0, 0, 0, 0, 0xa}}, mac_b = {{2, 0, 0, 0, 0, 0xb}};
static struct rte_mempool *pool, *chains;
static struct flights *flights;
static struct addr_pair self;
static struct addr peer;
static struct rte_mbuf *arrived;
static uint16_t arrived_len;
static struct head head;
static uint8_t chunk[CHUNK_SIZE];
static uint8_t frame[HEAD_MAX];

static bool parse_run(uint64_t times)
{
	bool ok = true;

	while (times-- > 0) {
		arrived->data_off = RTE_PKTMBUF_HEADROOM;
		arrived->data_len = arrived_len;
		arrived->pkt_len = arrived_len;
		ok &= packet_parse(arrived, &self) == DROP_NONE;
	}
	return ok;
}

static bool finish_run(uint64_t times)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

	if (m == NULL)
		return false;
	packet_init(m, &peer);
	while (times-- > 0) {
		m->data_off = RTE_PKTMBUF_HEADROOM;
		m->data_len = PAYLOAD;
		m->pkt_len = PAYLOAD;
		packet_finish(m, &self.ip4, &mac_a, &mac_b);
		micro_use(m);
	}
	rte_pktmbuf_free(m);
	return true;
}

static bool head_make_run(uint64_t times)
{
	const struct echo echo = {0};
	const struct data d = {.echo = &echo, .stream = 1, .number = 1};
	struct head h;

	while (times-- > 0) {
		head_make(&h, &self.ip4, &mac_a, &peer, &mac_b, 0, 1, &d);
		head_sum(&h);
		micro_use(&h);
	}
	return true;
}

static bool head_write_run(uint64_t times)
{
	for (uint64_t i = 0; i < times; i++) {
		head_write(&head, frame, (uint32_t)i, CHUNK_SIZE, 0x1234);
		micro_use(frame);
	}
	return true;
}

static bool sum_run(uint64_t times)
{
	uint16_t sum = 0;

	while (times-- > 0) {
		sum = bytes_sum(chunk, sizeof(chunk));
		micro_use(&sum);
	}
	return sum == bytes_sum(chunk, sizeof(chunk));
}

/* Bursts of frames that are taken, filled and freed. */
static bool copy_run(uint64_t times)
{
	struct rte_mbuf *m[BURST];

	for (uint64_t done = 0; done < times; done += BURST) {
		if (rte_pktmbuf_alloc_bulk(pool, m, BURST) != 0)
			return false;
		for (unsigned int i = 0; i < BURST; i++) {
			memcpy(rte_pktmbuf_mtod(m[i], void *), chunk, sizeof(chunk));
			micro_use(m[i]);
		}
		rte_pktmbuf_free_bulk(m, BURST);
	}
	return true;
}

static void chain(struct rte_mbuf *m, struct rte_mbuf *of, struct flight *flight)
{
	struct rte_mbuf_ext_shared_info *info = rte_mbuf_to_priv(of);

	info->free_cb = flight_lands;
	info->fcb_opaque = flight;
	rte_mbuf_ext_refcnt_set(info, 1);
	rte_pktmbuf_attach_extbuf(of, chunk, (rte_iova_t)(uintptr_t)chunk, sizeof(chunk), info);
	m->next = of;
	m->nb_segs = 2;
}

static bool chain_run(uint64_t times)
{
	struct flight *flight = flight_now(flights, 0);
	struct rte_mbuf *m[BURST], *of[BURST];

	for (uint64_t done = 0; done < times; done += BURST) {
		if (rte_pktmbuf_alloc_bulk(pool, m, BURST) != 0 ||
		    rte_mempool_get_bulk(chains, (void **)of, BURST) != 0)
			return false;
		flight_sends(flight, BURST);
		for (unsigned int i = 0; i < BURST; i++) {
			chain(m[i], of[i], flight);
			micro_use(m[i]);
		}
		rte_pktmbuf_free_bulk(m, BURST);
	}
	return flights_count(flights) == 0;
}

/* ---- what they are done to ---- */

static void arrive(void)
{
	struct addr relay = self.ip4;

	arrived = rte_pktmbuf_alloc(pool);
	if (arrived == NULL)
		abort();
	packet_init(arrived, &relay);
	memset(rte_pktmbuf_append(arrived, PAYLOAD), 0x5a, PAYLOAD);
	packet_finish(arrived, &peer, &mac_b, &mac_a);
	arrived_len = arrived->data_len;
	/* as it lies in a fresh buffer */
	memmove((uint8_t *)arrived->buf_addr + RTE_PKTMBUF_HEADROOM,
		rte_pktmbuf_mtod(arrived, void *), arrived_len);
}

void micro_packet(void)
{
	static const struct micro list[] = {
		{.name = "packet_parse", .run = parse_run, .bytes = PAYLOAD},
		{.name = "packet_finish", .run = finish_run, .bytes = PAYLOAD},
		{.name = "head_make", .run = head_make_run},
		{.name = "head_write", .run = head_write_run},
		{.name = "bytes_sum/chunk", .run = sum_run, .bytes = CHUNK_SIZE},
		{.name = "chunk/copied", .run = copy_run, .bytes = CHUNK_SIZE},
		{.name = "chunk/chained", .run = chain_run, .bytes = CHUNK_SIZE},
	};
	const struct echo echo = {0};
	const struct data d = {.echo = &echo, .stream = 1, .number = 1};

	pool = rte_pktmbuf_pool_create("packets", BUFFERS, PORT_CACHE, PORT_PRIVATE_SIZE,
				       RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	chains = rte_pktmbuf_pool_create("chains", BUFFERS, PORT_CACHE, PORT_PRIVATE_SIZE, 0,
					 SOCKET_ID_ANY);
	flights = flights_create(1);
	if (pool == NULL || chains == NULL || flights == NULL ||
	    addr_parse("192.0.2.1", WIRE_PORT, &self.ip4) < 0 ||
	    addr_parse("10.0.1.1", 40000, &peer) < 0)
		abort();
	content_fill(3, 0, chunk, sizeof(chunk));
	arrive();
	head_make(&head, &self.ip4, &mac_a, &peer, &mac_b, 0, 1, &d);
	head_sum(&head);
	micro_add(list, sizeof(list) / sizeof(list[0]));
}
