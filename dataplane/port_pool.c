/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>
#include <rte_memzone.h>

#include "dataplane/message.h"
#include "dataplane/packet.h"
#include "dataplane/port_part.h"

#define OBJECT_HEADER RTE_ALIGN_CEIL(sizeof(struct rte_mempool_objhdr), RTE_MEMPOOL_ALIGN)
#define XDP_DATA_ROOM \
	(PORT_OBJECT_SIZE - OBJECT_HEADER - sizeof(struct rte_mbuf) - PORT_PRIVATE_SIZE)
#define VDEV_DATA_ROOM RTE_MBUF_DEFAULT_BUF_SIZE
#define XDP_KERNEL_HEADROOM 256u /* XDP_PACKET_HEADROOM: the kernel keeps it free for programs */
#define ETHER_ROOM 18u		 /* Ethernet header and one VLAN tag */

_Static_assert(PORT_PRIVATE_SIZE % RTE_MBUF_PRIV_ALIGN == 0, "mbuf private areas are aligned");
#define FRAME_ROOM \
	(RTE_PKTMBUF_HEADROOM + PACKET_HEADROOM + ETHER_ROOM + WIRE_MAX_FRAME + PACKET_FRAME_ROOM)
_Static_assert(VDEV_DATA_ROOM >= FRAME_ROOM && XDP_DATA_ROOM >= XDP_KERNEL_HEADROOM + FRAME_ROOM,
	       "what control gets has its struct frame behind it");

uint16_t pool_xdp_mtu(void)
{
	return XDP_DATA_ROOM - RTE_PKTMBUF_HEADROOM - XDP_KERNEL_HEADROOM - ETHER_ROOM;
}

uint32_t pool_minimum(enum port_kind kind)
{
	/* the worker's cache and the main lcore's, which grow to half as much again */
	const uint32_t caches = 2 * (PORT_CACHE + PORT_CACHE / 2);
	/* a control thread that does not get to run leaves all of them full */
	const uint32_t control = RING_TO_CONTROL - 1 + RING_TO_WORKER - 1 + PENDING_TOTAL;

	if (kind == PORT_AF_XDP)
		return PORT_XDP_FILL + 3 * PORT_XDP_RING + caches + control;
	return 2 * PORT_VDEV_RING + caches + control;
}

static void pool_memory_free(struct rte_mempool_memhdr *chunk, void *zone)
{
	(void)chunk;
	rte_memzone_free(zone);
}

/* One chunk of memory that starts on a page: a umem is one range of pages. */
static int pool_populate(struct rte_mempool *mp, uint32_t buffers, int socket)
{
	const size_t object = mp->header_size + mp->elt_size + mp->trailer_size;
	const struct rte_memzone *zone;
	int n;

	zone = rte_memzone_reserve_aligned(mp->name, buffers * object, socket, 0, getpagesize());
	if (!zone)
		return -rte_errno;
	n = rte_mempool_populate_iova(mp, zone->addr, zone->iova, zone->len, pool_memory_free,
				      (void *)(uintptr_t)zone);
	if (n > 0 && (uint32_t)n == buffers)
		return 0;
	if (n <= 0)
		rte_memzone_free(zone);
	return n < 0 ? n : -ENOMEM;
}

struct pool_span {
	const uint8_t *start;
	const uint8_t *end;
	uint32_t page_misses;
};

static void pool_object_check(struct rte_mempool *mp, void *opaque, void *object, unsigned int i)
{
	struct pool_span *span = opaque;
	const uint8_t *start = (const uint8_t *)object - mp->header_size;

	(void)i;
	if ((uintptr_t)start % PORT_OBJECT_SIZE)
		span->page_misses++;
	if (!span->start || start < span->start)
		span->start = start;
	if (start + PORT_OBJECT_SIZE > span->end)
		span->end = start + PORT_OBJECT_SIZE;
}

/* The driver registers `populated objects * object size` bytes from the chunk's
 * start as umem, whatever the objects' real places: make sure they agree. */
static bool pool_covered(struct rte_mempool *mp)
{
	struct pool_span span = {0};
	const uint8_t *base;

	if (rte_mempool_calc_obj_size(mp->elt_size, mp->flags, NULL) != PORT_OBJECT_SIZE ||
	    mp->nb_mem_chunks != 1)
		return false;
	base = STAILQ_FIRST(&mp->mem_list)->addr;
	rte_mempool_obj_iter(mp, pool_object_check, &span);
	return !span.page_misses && span.start == base &&
	       span.end <= base + (size_t)mp->populated_size * PORT_OBJECT_SIZE;
}

static int pool_fill(struct rte_mempool *mp, enum port_kind kind, uint32_t buffers,
		     uint16_t data_room, int socket)
{
	struct rte_pktmbuf_pool_private private = {
		.mbuf_data_room_size = data_room,
		.mbuf_priv_size = PORT_PRIVATE_SIZE,
	};
	int err;

	err = rte_mempool_set_ops_byname(mp, rte_mbuf_best_mempool_ops(), NULL);
	if (err)
		return err;
	rte_pktmbuf_pool_init(mp, &private);
	if (kind == PORT_AF_XDP) {
		err = pool_populate(mp, buffers, socket);
	} else {
		err = rte_mempool_populate_default(mp);
		err = err < 0 ? err : 0;
	}
	if (err)
		return err;
	rte_mempool_obj_iter(mp, rte_pktmbuf_init, NULL);
	return kind == PORT_AF_XDP && !pool_covered(mp) ? -EFAULT : 0;
}

int pool_create(struct port *p, uint16_t worker, uint32_t buffers, int socket, char *why,
		size_t size)
{
	const bool xdp = p->kind == PORT_AF_XDP;
	const uint16_t data_room = xdp ? XDP_DATA_ROOM : VDEV_DATA_ROOM;
	char name[RTE_MEMPOOL_NAMESIZE];
	struct rte_mempool *mp;
	int err;

	if (buffers < pool_minimum(p->kind))
		return port_fail(why, size, -EINVAL,
				 "packet_buffers = %u is too few: the port's rings alone can hold "
				 "more; set it to at least %u",
				 buffers, pool_minimum(p->kind));
	snprintf(name, sizeof(name), "packets-%u", worker);
	/* spreading over memory channels would make the object larger than a page */
	mp = rte_mempool_create_empty(
		name, buffers, sizeof(struct rte_mbuf) + PORT_PRIVATE_SIZE + data_room, PORT_CACHE,
		sizeof(struct rte_pktmbuf_pool_private), socket, xdp ? RTE_MEMPOOL_F_NO_SPREAD : 0);
	err = mp ? pool_fill(mp, p->kind, buffers, data_room, socket) : -rte_errno;
	if (!err) {
		p->pool[worker] = mp;
		return 0;
	}
	rte_mempool_free(mp);
	if (err == -EFAULT)
		return port_fail(
			why, size, err,
			"packet buffers of worker %u do not lie page by page in one range, "
			"as AF_XDP needs; this DPDK lays pools out differently",
			worker);
	return port_fail(
		why, size, err,
		"no memory for %u packet buffers of worker %u: %s; lower packet_buffers or "
		"reserve more hugepages",
		buffers, worker, strerror(-err));
}

uint64_t port_memory(uint16_t workers, uint32_t buffers)
{
	/* the pool's own ring of pointers, rounded up to a power of two by DPDK,
	 * and its caches and names */
	const uint64_t ring = rte_align64pow2((uint64_t)buffers + 1) * sizeof(void *);
	const uint64_t rest = (uint64_t)2 << 20;

	return workers * ((uint64_t)buffers * PORT_OBJECT_SIZE + ring + rest + chain_memory());
}
