/* SPDX-License-Identifier: BSD-3-Clause
 * Frames whose bytes lie in the slab: they are those that a copy would be, and what they
 * hold stays until the driver has let go of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <rte_mempool.h>
#include <sodium.h>

#include "tests/unit/scene_frames.h"
#include "tests/unit/unit_clock.h"
#include "tests/unit/unit_eal.h"

#define SLAB (UINT64_C(2) << 20)
#define LONGEST (PIECE_SIZE + 40 * CHUNK_SIZE + 7)
#define TX_RING 2047 /* frames that the box's driver holds */

static struct scene scene;
static uint8_t bytes[LONGEST];
static struct box_frame taken[PULL_MAX_CHUNKS];

static void open_box(bool zero_copy, bool ip6)
{
	memset(&scene, 0, sizeof(scene));
	box_config(&scene.config, ROLE_CENTRAL, ip6);
	scene.config.slab_size = SLAB;
	scene.config.max_blob = LONGEST;
	scene.config.zero_copy = zero_copy;
	scene_open(&scene);
}

static struct person *reader(void)
{
	struct person *p = scene_person(&scene, 1);

	if (scene.config.listen.ip6.type != ADDR_NONE)
		addr_parse("[2600::1]:4871", 0, &p->addr);
	return p;
}

static int try_store(size_t length, uint8_t salt, struct ident *id)
{
	for (size_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)(i * 7 + (i >> 8) * 13 + salt);
	return box_store(scene.box, 0, RULE_SHA256, bytes, length, id);
}

static struct ident stored(size_t length, uint8_t salt)
{
	struct ident id;

	assert_int_equal(try_store(length, salt, &id), 0);
	return id;
}

/* What answers it is at the driver then. */
static void pull(const struct ident *id, uint64_t length, uint32_t first, uint32_t mask)
{
	struct person *p = reader();
	const struct cookie cookie = scene_cookie(&scene, p, COOKIE_VALID);
	const struct echo echo = scene_echo(&scene, p, 0);
	uint8_t buf[WIRE_MAX_FRAME];
	struct pull wanted = {
		.cookie = &cookie,
		.echo = &echo,
		.id = id,
		.rule = RULE_SHA256,
		.stream = 1,
		.number = 1,
		.first = first,
		.mask = mask,
		.length = length,
	};

	about.id = id;
	about.length = length;
	about_ticket(&scene, p, &scene.config.listen.ip4, 60);
	wanted.ticket = &about.ticket;
	box_inject(scene.box, &p->addr, buf, pull_encode(buf, sizeof(buf), 0, p->conn, &wanted));
	box_settle(scene.box);
}

static unsigned int take(void)
{
	unsigned int n = 0;

	while (n < PULL_MAX_CHUNKS && box_take(scene.box, &taken[n]))
		n++;
	return n;
}

static uint64_t in_flight(void)
{
	return flights_count(scene.box->relay.port.flights);
}

static const struct stats *stats(void)
{
	return &scene.box->control.worker[0]->stats;
}

static uint32_t extents_free(void)
{
	struct slab_usage u;

	slab_usage(&scene.box->relay.slab, &u);
	return u.extents_free;
}

static int removed;

static void on_removed(struct store_removal *r, int result)
{
	(void)r;
	removed = result;
}

static void blob_remove(const struct ident *id, uint64_t length)
{
	struct store_removal r = {
		.name = {.id = *id, .length = length, .rule = RULE_SHA256},
		.fn = on_removed,
	};

	removed = -1;
	assert_int_equal(store_remove(&scene.box->control.store, &r), 0);
	box_settle(scene.box);
	assert_int_equal(removed, 0);
}

/* ---- both ways ---- */

struct wanted {
	uint64_t length;
	uint32_t first, mask;
};

static const struct wanted wanted[] = {
	{1, 0, 1},
	{511, 0, 1},
	{512, 0, 1},
	{513, 0, 1},
	{CHUNK_SIZE - 1, 0, 1},
	{CHUNK_SIZE, 0, 1},
	{CHUNK_SIZE + 1, 0, 3},
	{5 * CHUNK_SIZE + 700, 0, 0x3f},
	{28 * CHUNK_SIZE, 0, 0x0fffffff}, /* a slot of the largest class */
	{29 * CHUNK_SIZE, 0, 0x1fffffff}, /* an extent */
	{LONGEST, 0, 0xffffffff},
	{LONGEST, 50, 0xffffffff},		  /* from one extent into the next */
	{LONGEST, 50, 0x80000041},		  /* of it three, one of them behind */
	{LONGEST, PIECE_CHUNKS - 9, 0x5555aaab},  /* from one piece into the next */
	{LONGEST, PIECE_CHUNKS + 20, 0x001fffff}, /* to the end, of 7 bytes */
};

/* The frames of one, as they left; the next by another pass. */
static unsigned int left_by(const struct wanted *want, bool zero_copy, bool ip6,
			    struct box_frame out[])
{
	const bool chained = zero_copy && want->length >= 512;
	unsigned int n;
	struct ident id;

	open_box(zero_copy, ip6);
	id = stored(want->length, 3);
	pull(&id, want->length, want->first, want->mask);
	assert_int_equal(stats()->data_zero_copy, chained ? stats()->data_chunks : 0);
	n = take();
	assert_int_equal(n, __builtin_popcount(want->mask));
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(taken[i].segments, chained ? 2 : 1);
	memcpy(out, taken, sizeof(taken));
	scene_close(&scene);
	return n;
}

static void assert_asked_for(const struct wanted *want, const struct box_frame *f, uint32_t chunk)
{
	struct frame frame;
	struct data d;

	assert_int_equal(frame_parse(f->payload, f->len, &frame), DROP_NONE);
	assert_int_equal(data_decode(&frame, &d), DROP_NONE);
	assert_int_equal(d.first, chunk);
	assert_int_equal(d.len, chunk_length(want->length, chunk));
	assert_memory_equal(d.bytes, bytes + (size_t)chunk * CHUNK_SIZE, d.len);
}

/* box_take() has looked at the checksums, with DPDK's own code. */
static void frames_are_the_same_either_way(void **state)
{
	static struct box_frame by_reference[PULL_MAX_CHUNKS], copied[PULL_MAX_CHUNKS];

	(void)state;
	for (unsigned int i = 0; i < 2 * RTE_DIM(wanted); i++) {
		const struct wanted *want = &wanted[i / 2];
		const bool ip6 = i % 2 != 0;
		const unsigned int n = left_by(want, true, ip6, by_reference);
		uint32_t mask = want->mask;

		assert_int_equal(left_by(want, false, ip6, copied), n);
		for (unsigned int k = 0; k < n; k++, mask &= mask - 1) {
			by_reference[k].segments = copied[k].segments;
			assert_asked_for(want, &copied[k],
					 want->first + (uint32_t)__builtin_ctz(mask));
			assert_int_equal(by_reference[k].len, copied[k].len);
			assert_int_equal(by_reference[k].ip_bytes, copied[k].ip_bytes);
			assert_memory_equal(&by_reference[k].mac, &copied[k].mac,
					    sizeof(copied[k].mac));
			assert_true(addr_equal(&by_reference[k].peer, &copied[k].peer));
			assert_memory_equal(by_reference[k].payload, copied[k].payload,
					    copied[k].len);
		}
	}
}

/* ---- in flight ---- */

static int setup(void **state)
{
	(void)state;
	open_box(true, false);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(in_flight(), 0);
	scene_close(&scene);
	return 0;
}

static void assert_bytes_of(uint8_t salt)
{
	const unsigned int n = take();

	assert_int_equal(n, PULL_MAX_CHUNKS);
	for (unsigned int i = 0; i < n; i++) {
		struct frame frame;
		struct data d;

		assert_int_equal(frame_parse(taken[i].payload, taken[i].len, &frame), DROP_NONE);
		assert_int_equal(data_decode(&frame, &d), DROP_NONE);
		for (uint32_t k = 0; k < d.len; k++) {
			const size_t at = (size_t)d.first * CHUNK_SIZE + k;

			assert_int_equal(d.bytes[k], (uint8_t)(at * 7 + (at >> 8) * 13 + salt));
		}
	}
}

/* A grace period does not free it, nor does the wish for its room. */
static void what_is_in_flight_stays(void **state)
{
	const uint64_t length = PULL_MAX_CHUNKS * CHUNK_SIZE;
	const uint32_t before = extents_free();
	struct ident id = stored(length, 3), other;
	uint8_t salt = 100;

	(void)state;
	pull(&id, length, 0, UINT32_MAX);
	assert_int_equal(in_flight(), PULL_MAX_CHUNKS);
	blob_remove(&id, length);
	box_pass(scene.box, 1000000, 10000);
	assert_true(reclaim_waits_flown(scene.box->control.reclaim));
	assert_int_equal(extents_free(), before - 1);
	while (try_store(length, salt, &other) == 0) {
		box_settle(scene.box);
		salt++;
	}
	assert_int_equal(salt, 100 + before - 1);
	assert_bytes_of(3);
	box_settle(scene.box);
	assert_false(reclaim_waits_flown(scene.box->control.reclaim));
	other = stored(length, salt); /* now there is room */
	pull(&other, length, 0, UINT32_MAX);
	assert_bytes_of(salt);
}

/* It goes when the last frame has landed, whoever else is served all the time. */
static void it_goes_when_the_last_has_landed(void **state)
{
	const uint64_t length = PULL_MAX_CHUNKS * CHUNK_SIZE;
	const struct ident id = stored(length, 3), hot = stored(length, 4);
	const uint32_t before = extents_free();

	(void)state;
	pull(&id, length, 0, UINT32_MAX);
	blob_remove(&id, length);
	for (unsigned int i = 0; i < PULL_MAX_CHUNKS; i++) {
		assert_int_equal(extents_free(), before);
		pull(&hot, length, 0, 1); /* at the end of the queue */
		assert_true(box_take(scene.box, &taken[0]));
		box_settle(scene.box);
	}
	/* what is in flight now is newer than the removal, but of the same epoch perhaps */
	for (unsigned int i = 0; i < 2 * PULL_MAX_CHUNKS && extents_free() == before; i++) {
		pull(&hot, length, 0, 1);
		assert_true(box_take(scene.box, &taken[0]));
		box_settle(scene.box);
	}
	assert_int_equal(in_flight(), PULL_MAX_CHUNKS);
	assert_int_equal(extents_free(), before + 1);
	assert_int_equal(take(), PULL_MAX_CHUNKS);
}

/* What the driver does not take is not in flight. */
static void what_is_dropped_has_landed(void **state)
{
	const uint64_t length = PULL_MAX_CHUNKS * CHUNK_SIZE;
	const struct ident id = stored(length, 3);

	(void)state;
	for (unsigned int i = 0; i <= TX_RING / PULL_MAX_CHUNKS; i++)
		pull(&id, length, 0, UINT32_MAX);
	assert_int_equal(stats()->drops[DROP_TX_FULL], 1);
	assert_int_equal(in_flight(), TX_RING);
	while (take() > 0)
		continue;
}

/* Those of another thread, as a driver's may be. */
static void *take_elsewhere(void *arg)
{
	(void)arg;
	return (void *)(uintptr_t)take();
}

static void frames_may_land_in_another_thread(void **state)
{
	const uint64_t length = PULL_MAX_CHUNKS * CHUNK_SIZE;
	const struct ident id = stored(length, 3);
	pthread_t thread;
	void *n;

	(void)state;
	pull(&id, length, 0, UINT32_MAX);
	assert_int_equal(pthread_create(&thread, NULL, take_elsewhere, NULL), 0);
	assert_int_equal(pthread_join(thread, &n), 0);
	assert_int_equal((uintptr_t)n, PULL_MAX_CHUNKS);
}

/* All of a PULL, or it would come out of order. */
static void without_buffers_for_it_bytes_are_copied(void **state)
{
	const uint64_t length = PULL_MAX_CHUNKS * CHUNK_SIZE;
	const struct ident id = stored(length, 3);
	struct rte_mempool *pool = scene.box->relay.port.chain_pool[0];
	const unsigned int all = rte_mempool_avail_count(pool), some = all - 5;
	struct rte_mbuf **held = calloc(all, sizeof(*held));

	(void)state;
	assert_non_null(held);
	assert_int_equal(rte_mempool_get_bulk(pool, (void **)held, some), 0);
	pull(&id, length, 0, UINT32_MAX);
	assert_int_equal(in_flight(), 0);
	assert_int_equal(stats()->data_chunks, PULL_MAX_CHUNKS);
	assert_int_equal(stats()->data_zero_copy, 0);
	assert_bytes_of(3);
	pull(&id, length, 0, 0x1f); /* of five there are enough */
	assert_int_equal(stats()->data_zero_copy, 5);
	assert_int_equal(take(), 5);
	rte_mempool_put_bulk(pool, (void **)held, some);
	free(held);
}

/* A relay that ends while the driver holds frames does not wait for them. */
static void the_end_waits_for_no_frames(void **state)
{
	const uint64_t length = PULL_MAX_CHUNKS * CHUNK_SIZE;
	const struct ident id = stored(length, 3);

	(void)state;
	pull(&id, length, 0, UINT32_MAX);
	blob_remove(&id, length);
	assert_true(reclaim_waits_flown(scene.box->control.reclaim));
	scene_close(&scene); /* it frees what the ring holds at last */
	assert_int_equal(in_flight(), 0);
	open_box(true, false);
}

static int start(void **state)
{
	return sodium_init() < 0 ? -1 : unit_eal_start(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_are_the_same_either_way),
		TEST(what_is_in_flight_stays),
		TEST(it_goes_when_the_last_has_landed),
		TEST(what_is_dropped_has_landed),
		TEST(frames_may_land_in_another_thread),
		TEST(without_buffers_for_it_bytes_are_copied),
		TEST(the_end_waits_for_no_frames),
	};

	return cmocka_run_group_tests_name("zero_copy", tests, start, unit_eal_stop);
}
