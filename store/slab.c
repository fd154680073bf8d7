/* SPDX-License-Identifier: BSD-3-Clause
 * The slab's file and mapping:
 *
 *   page 0    struct slab_header
 *   4096      descriptors
 *   ...       data area, from the next multiple of EXTENT_SIZE
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "store/extent.h"

#define SLAB_MAGIC UINT64_C(0x42414c5357434e4f) /* "ONCWSLAB" */
#define SLAB_VERSION 3
#define SLAB_MIN_BYTES (1u << 20)
#define HEADER_SIZE 4096u
#define PAGE_ORDINARY 4096u
#define PAGE_HUGE (2u << 20)

/* What a process must find as it expects before it may use the rest. */
struct slab_header {
	uint64_t magic;
	uint32_t version;
	uint32_t clean; /* 1: closed in order */
	uint64_t class_hash;
	uint32_t piece_size; /* of a descriptor */
	uint32_t piece_count;
	uint32_t extent_size;
	uint32_t extent_count;
	uint64_t data_offset;
};
_Static_assert(sizeof(struct slab_header) <= HEADER_SIZE, "one page");

/* capacity: the slot less two bytes of sum for each chunk. The last class ends
 * at 28 chunks: what is longer takes extents. */
const struct slab_class slab_classes[] = {
	{256, 254, 256},  {640, 638, 102}, {1216, 1212, 53},  {2368, 2362, 27},
	{4672, 4662, 14}, {9280, 9262, 7}, {18496, 18462, 3}, {32768, 28 * CHUNK_SIZE, 2},
};
const unsigned slab_class_count = sizeof(slab_classes) / sizeof(slab_classes[0]);
_Static_assert(sizeof(slab_classes) / sizeof(slab_classes[0]) == SLAB_CLASSES, "heads of lists");

static uint64_t round_up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) / unit * unit;
}

/* Hugepages are taken here and now: a fault that finds none later is a SIGBUS.
 * Mapping a hugetlb file reserves its pages or fails; fallocate() then takes
 * them, and fails where the reservation did not bind (cgroup, NUMA policy). */
static int huge_pages_take(int fd, size_t size)
{
	int rc;

	do {
		rc = fallocate(fd, 0, 0, (off_t)size);
	} while (rc < 0 && errno == EINTR);
	return rc < 0 ? -errno : 0;
}

static int slab_map(struct slab *s, size_t size, bool huge)
{
	unsigned flags = MFD_CLOEXEC | (huge ? MFD_HUGETLB | MFD_HUGE_2MB : 0);
	void *base;
	int rc;

	/* Ordinary pages are taken as they are written: better refuse now than
	 * meet the OOM killer later. */
	if (!huge && size / PAGE_ORDINARY > (size_t)sysconf(_SC_PHYS_PAGES))
		return -ENOMEM;
	size = round_up(size, huge ? PAGE_HUGE : PAGE_ORDINARY);
	s->fd = memfd_create("oncewire-slab", flags);
	if (s->fd < 0)
		return -errno;
	if (ftruncate(s->fd, (off_t)size) < 0) {
		rc = -errno;
		goto fail_fd;
	}
	base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
	if (base == MAP_FAILED) {
		rc = -errno;
		goto fail_fd;
	}
	if (huge) {
		rc = huge_pages_take(s->fd, size);
		if (rc < 0)
			goto fail_map;
	}
	/* Other people's data has no place in a core file. */
	madvise(base, size, MADV_DONTDUMP);
	s->base = base;
	s->mapped = size;
	s->huge = huge;
	return 0;
fail_map:
	munmap(base, size);
fail_fd:
	close(s->fd);
	s->fd = -1;
	return rc;
}

static void header_write(const struct slab *s)
{
	struct slab_header *h = (struct slab_header *)s->base;

	*h = (struct slab_header){
		.magic = SLAB_MAGIC,
		.version = SLAB_VERSION,
		.class_hash = XXH3_64bits(slab_classes, sizeof(slab_classes)),
		.piece_size = sizeof(struct piece),
		.piece_count = s->piece_count,
		.extent_size = EXTENT_SIZE,
		.extent_count = s->extent_count,
		.data_offset = (uint64_t)(s->data - s->base),
	};
}

static bool config_valid(const struct slab_config *c)
{
	return c->bytes >= SLAB_MIN_BYTES && c->bytes / EXTENT_SIZE < EXTENT_NONE &&
	       c->pieces > 0 && c->pieces < PIECE_NONE;
}

/* Where extent 0 begins. */
static uint64_t data_offset(const struct slab_config *c)
{
	return round_up(HEADER_SIZE + (uint64_t)c->pieces * sizeof(struct piece), EXTENT_SIZE);
}

uint64_t slab_bytes(const struct slab_config *c)
{
	return data_offset(c) + c->bytes / EXTENT_SIZE * EXTENT_SIZE;
}

int slab_open(struct slab *s, const struct slab_config *c)
{
	uint64_t size;
	int rc;

	memset(s, 0, sizeof(*s));
	s->fd = -1;
	if (!config_valid(c))
		return -EINVAL;
	s->piece_count = c->pieces;
	s->extent_count = (uint32_t)(c->bytes / EXTENT_SIZE);
	s->alloc = slab_alloc_create(s->piece_count, s->extent_count);
	if (!s->alloc)
		return -ENOMEM;

	size = slab_bytes(c);
	rc = c->hugepages ? slab_map(s, size, true) : -ENOMEM;
	if (rc < 0)
		rc = slab_map(s, size, false);
	if (rc < 0) {
		slab_alloc_destroy(s->alloc);
		s->alloc = NULL;
		return rc;
	}
	s->pieces = (struct piece *)(s->base + HEADER_SIZE);
	s->data = s->base + data_offset(c);
	header_write(s);
	return 0;
}

void slab_close(struct slab *s)
{
	if (!s->base)
		return;
	((struct slab_header *)s->base)->clean = 1;
	munmap(s->base, s->mapped);
	close(s->fd);
	slab_alloc_destroy(s->alloc);
	memset(s, 0, sizeof(*s));
	s->fd = -1;
}

void slab_usage(const struct slab *s, struct slab_usage *u)
{
	u->pieces = s->piece_count - number_left(&s->alloc->pieces);
	u->extents_total = s->extent_count;
	u->extents_free = number_left(&s->alloc->extents);
	u->bytes = s->alloc->ready_bytes;
}
