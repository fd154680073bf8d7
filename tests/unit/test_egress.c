/* SPDX-License-Identifier: BSD-3-Clause
 * Where frames go on a port without an interface of the kernel, and SENDs that a
 * relay refuses or drops before anything is uploaded.
 */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "tests/unit/scene_frames.h"
#include "tests/unit/unit_clock.h"
#include "tests/unit/unit_eal.h"

enum { SOURCE = 1, TARGET, OTHER };

static struct scene scene;
static uint8_t bytes[5000];
static struct ident present, wanted = {{9}};
static const struct rte_ether_addr gateway = {{2, 0, 0, 0, 0, 2}};

/* Everybody is on the same wire, with an Ethernet address of their own. */
static struct rte_ether_addr mac_of(unsigned int who)
{
	return (struct rte_ether_addr){{2, 0, 0, 0, 1, (uint8_t)who}};
}

static struct person *person(unsigned int who)
{
	return scene_person(&scene, who);
}

static void assert_went(const struct box_frame *f, const struct rte_ether_addr *mac)
{
	assert_memory_equal(&f->mac, mac, sizeof(*mac));
}

static uint64_t dropped(enum drop reason)
{
	return scene.box->control.worker[0]->stats.drops[reason] +
	       scene.box->control.stats.drops[reason];
}

static int setup(void **state)
{
	(void)state;
	unit_clock_reset();
	memset(&scene, 0, sizeof(scene));
	box_config(&scene.config, ROLE_CENTRAL, false);
	scene.config.targets.allow_special = true;
	scene_open(&scene);
	scene.box->relay.has_gateway_mac = false;
	assert_int_equal(box_store(scene.box, 0, RULE_SHA256, bytes, sizeof(bytes), &present), 0);
	return 0;
}

/* All that SOURCE says is signed, and what it is answered. */
static int setup_member(void **state)
{
	(void)state;
	unit_clock_reset();
	memset(&scene, 0, sizeof(scene));
	box_config(&scene.config, ROLE_CENTRAL, false);
	box_domains(&scene.config);
	scene.config.targets.allow_special = true;
	scene_open(&scene);
	scene.box->relay.has_gateway_mac = false;
	person(SOURCE)->domain = 1;
	assert_int_equal(box_store(scene.box, 1, RULE_SHA256, bytes, sizeof(bytes), &present), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	scene_close(&scene);
	return 0;
}

static void about_file(const struct ident *id, uint64_t length, uint8_t transfer)
{
	memset(&about, 0, sizeof(about));
	about.id = id;
	about.length = length;
	about.target = person(TARGET)->addr;
	about.transfer = transfer;
}

static size_t frame_of(unsigned int who, enum cookie_state state, scene_maker make, uint8_t *buf)
{
	const struct cookie c = scene_cookie(&scene, person(who), state);

	return scene_sign(person(who), buf, make(person(who), &c, buf));
}

static void say(unsigned int who, const struct rte_ether_addr *from, enum cookie_state state,
		scene_maker make)
{
	uint8_t buf[WIRE_MAX_FRAME];

	scene.box->mac = *from;
	scene_clear(&scene);
	scene_send(&scene, person(who), buf, frame_of(who, state, make, buf));
}

static void say_well(unsigned int who, scene_maker make)
{
	const struct rte_ether_addr mac = mac_of(who);

	say(who, &mac, COOKIE_VALID, make);
}

static const struct box_frame *sent(unsigned int who, uint8_t verb)
{
	for (unsigned int i = 0; i < scene.frames; i++)
		if (addr_equal(&scene.frame[i].peer, &person(who)->addr) &&
		    scene.frame[i].payload[1] == verb)
			return &scene.frame[i];
	return NULL;
}

/* Two hosts ask in one burst. */
static void answers_go_back_to_who_asked(void **state)
{
	uint8_t buf[WIRE_MAX_FRAME];
	struct box_frame f;
	unsigned int seen = 0;

	(void)state;
	about_file(&present, sizeof(bytes), 1);
	for (unsigned int who = SOURCE; who <= OTHER; who++) {
		scene.box->mac = mac_of(who);
		/* no echo: ERROR(FRESH) */
		box_inject(scene.box, &person(who)->addr, buf,
			   frame_of(who, COOKIE_VALID, make_pull, buf));
	}
	box_settle(scene.box);
	while (box_take(scene.box, &f)) {
		struct rte_ether_addr mac = mac_of(f.peer.ip[3]);

		assert_int_equal(f.payload[1], VERB_ERROR);
		assert_went(&f, &mac);
		seen++;
	}
	assert_int_equal(seen, 3);
}

/* An OFFER answers no frame of its target's. */
static void offer_goes_where_the_target_was_last(void **state)
{
	const struct rte_ether_addr target = mac_of(TARGET), other = mac_of(OTHER);
	const struct box_frame *f;

	(void)state;
	about_file(&present, sizeof(bytes), 1);
	say_well(SOURCE, make_send);
	assert_null(sent(TARGET, VERB_OFFER));
	assert_int_equal(dropped(DROP_NO_NEIGHBOUR), 1);
	/* who has proved nothing teaches nothing */
	say(TARGET, &other, COOKIE_WRONG, make_listen);
	say_well(SOURCE, make_send);
	assert_int_equal(dropped(DROP_NO_NEIGHBOUR), 2);
	say_well(TARGET, make_listen);
	say_well(SOURCE, make_send);
	f = sent(TARGET, VERB_OFFER);
	assert_non_null(f);
	assert_went(f, &target);
	/* nor diverts anything */
	say(TARGET, &other, COOKIE_WRONG, make_listen);
	say_well(SOURCE, make_send);
	f = sent(TARGET, VERB_OFFER);
	assert_non_null(f);
	assert_went(f, &target);
	/* the host has moved */
	say(TARGET, &other, COOKIE_VALID, make_stop);
	say_well(SOURCE, make_send);
	f = sent(TARGET, VERB_OFFER);
	assert_non_null(f);
	assert_went(f, &other);
}

static void gateway_takes_what_answers_nothing(void **state)
{
	const struct rte_ether_addr source = mac_of(SOURCE);

	(void)state;
	scene.box->relay.gateway_mac = gateway;
	scene.box->relay.has_gateway_mac = true;
	about_file(&present, sizeof(bytes), 1);
	say_well(SOURCE, make_send);
	assert_went(sent(TARGET, VERB_OFFER), &gateway);
	assert_went(sent(SOURCE, VERB_STATUS), &source);
}

static void upload_is_asked_of_the_source(void **state)
{
	const struct rte_ether_addr source = mac_of(SOURCE);

	(void)state;
	about_file(&wanted, sizeof(bytes), 1);
	say_well(SOURCE, make_send);
	assert_went(sent(SOURCE, VERB_STATUS), &source);
	assert_went(sent(SOURCE, VERB_PULL), &source);
}

static uint8_t reason_of_status(void)
{
	const struct frame *f = scene_sent(&scene, person(SOURCE), VERB_STATUS);
	struct status st;

	assert_non_null(f);
	assert_int_equal(status_decode(f, &st), DROP_NONE);
	assert_int_equal(st.code, STATUS_REFUSED);
	return st.reason;
}

/* A small answer takes the place of what it answers: it needs no buffer. */
static void answers_need_no_buffer(void **state)
{
	const struct worker *w = scene.box->control.worker[0];
	const unsigned int some = rte_mempool_avail_count(w->pool) - 1;
	void **held = malloc(some * sizeof(*held));

	(void)state;
	assert_non_null(held);
	assert_int_equal(rte_mempool_get_bulk(w->pool, held, some), 0);
	about_file(&present, sizeof(bytes), 1);
	assert_int_equal(addr_parse("127.0.0.1", WIRE_TARGET_PORT, &about.target), 0);
	say_well(SOURCE, make_send);
	assert_int_equal(reason_of_status(), REFUSE_TARGET_UNREACHABLE);
	say(SOURCE, &gateway, COOKIE_STALE, make_send);
	assert_non_null(sent(SOURCE, VERB_ERROR));
	/* but an OFFER does, which goes to another */
	about_file(&present, sizeof(bytes), 2);
	scene.box->relay.has_gateway_mac = true;
	say_well(SOURCE, make_send);
	assert_non_null(sent(SOURCE, VERB_STATUS));
	assert_null(sent(TARGET, VERB_OFFER));
	assert_int_equal(dropped(DROP_NO_BUFFER), 1);
	rte_mempool_put_bulk(w->pool, held, some);
	free(held);
}

static void no_upload_for_what_is_no_host(void **state)
{
	static const char *const targets[] = {"0.0.0.0",   "127.0.0.1",	      "127.9.9.9",
					      "224.0.0.1", "255.255.255.255", "240.0.0.1"};

	(void)state;
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		about_file(&wanted, sizeof(bytes), (uint8_t)i);
		assert_int_equal(addr_parse(targets[i], WIRE_TARGET_PORT, &about.target), 0);
		say_well(SOURCE, make_send);
		assert_int_equal(reason_of_status(), REFUSE_TARGET_UNREACHABLE);
	}
	assert_int_equal(scene.box->control.counters.misses, 0);
}

/* One number for two transfers: the second is dropped, by name. */
static void transfer_is_of_one_blob_and_target(void **state)
{
	static const struct ident another = {{10}};

	(void)state;
	about_file(&wanted, sizeof(bytes), 1);
	say_well(SOURCE, make_send);
	assert_non_null(sent(SOURCE, VERB_STATUS));
	about_file(&another, sizeof(bytes), 1);
	say_well(SOURCE, make_send);
	assert_int_equal(dropped(DROP_CONFLICT), 1);
	about_file(&wanted, sizeof(bytes) - 1, 1);
	say_well(SOURCE, make_send);
	assert_int_equal(dropped(DROP_CONFLICT), 2);
	about_file(&wanted, sizeof(bytes), 1);
	about.target = person(OTHER)->addr;
	say_well(SOURCE, make_send);
	assert_int_equal(dropped(DROP_CONFLICT), 3);
	assert_null(sent(SOURCE, VERB_STATUS));
	about_file(&wanted, sizeof(bytes), 1);
	say_well(SOURCE, make_send);
	assert_non_null(sent(SOURCE, VERB_STATUS));
	assert_int_equal(dropped(DROP_CONFLICT), 3);
}

/* Memory comes with the data, not with the length that a SEND names. */
static void upload_takes_memory_as_it_comes(void **state)
{
	struct slab_usage before, after;

	(void)state;
	slab_usage(&scene.box->relay.slab, &before);
	about_file(&wanted, 1 << 20, 1);
	say_well(SOURCE, make_send);
	assert_non_null(sent(SOURCE, VERB_PULL));
	slab_usage(&scene.box->relay.slab, &after);
	assert_true(before.extents_free - after.extents_free <= 5);
}

/* Nor its bitmaps: a file of 700 MB that does not come. */
static void long_upload_takes_no_memory(void **state)
{
	size_t before, after;

	(void)state;
	scene_close(&scene);
	memset(&scene, 0, sizeof(scene));
	box_config(&scene.config, ROLE_CENTRAL, false);
	scene.config.targets.allow_special = true;
	scene.config.slab_size = UINT64_C(1) << 30;
	scene.config.max_blob = 700000000;
	scene.config.slab_blobs = 1024;
	scene_open(&scene);
	about_file(&wanted, 700000000, 1);
	before = mallinfo2().uordblks + mallinfo2().hblkhd;
	say_well(SOURCE, make_send);
	assert_non_null(sent(SOURCE, VERB_PULL));
	after = mallinfo2().uordblks + mallinfo2().hblkhd;
	assert_in_range(after - before, 0, 70000);
}

static int start(void **state)
{
	return sodium_init() < 0 ? -1 : unit_eal_start(state);
}

/* A ticket of a relay that has both IP versions, reported to one that has not: there is
 * no way to its source, and no frame of the wrong version. */
static void no_frame_without_an_address_of_its_version(void **state)
{
	struct person stranger = {.conn = 7};

	(void)state;
	about_file(&present, sizeof(bytes), 1);
	addr_parse("[2001:db8::77]:5000", 0, &stranger.addr);
	about_ticket(&scene, &stranger, &scene.config.listen.ip4, 60);
	scene.box->relay.has_gateway_mac = true;
	say_well(TARGET, make_receipt);
	assert_int_equal(scene.box->control.worker[0]->stats.receipts, 1);
	assert_int_equal(dropped(DROP_NO_ROUTE), 1);
	assert_int_equal(scene.frames, 0);
}

/* The kernel's tables say so: all hosts are on the link, and this one is known. */
static void neighbour_known(const struct addr *host, const struct rte_ether_addr *mac)
{
	const struct path link = {.up_to = UINT32_MAX, .neighbour = NEXTHOP_ON_LINK};
	const struct nexthop ready = {
		.mac = *mac, .state = NEXTHOP_READY, .port = (uint8_t)scene.box->relay.port.id};
	const struct prefix all = {.type = ADDR_IP4};
	struct nexthop_table *t;
	uint32_t hop, slot;

	nexthop_table_destroy(scene.box->relay.nexthops);
	t = nexthop_table_create(64, 64, scene.box->control.reclaim);
	scene.box->relay.nexthops = t;
	assert_int_equal(nexthop_hop_add(t, &hop), 0);
	assert_int_equal(nexthop_hop_set(t, hop, &link, 1), 0);
	assert_int_equal(fib_set(nexthop_fib(t), &all, hop), 0);
	assert_int_equal(nexthop_neighbour_add(t, &slot), 0);
	nexthop_neighbour_set(t, slot, &ready);
	assert_int_equal(nexthop_neighbour_list(t, slot, host), 0);
}

/* What a frame before had in its buffer says nothing about where this one goes. */
static void data_goes_to_its_target_in_a_used_buffer(void **state)
{
	const struct rte_ether_addr target = mac_of(TARGET);
	struct rte_mempool *pool = scene.box->relay.port.pool[0];
	struct rte_mbuf *used[512];
	unsigned int seen = 0;
	struct box_frame f;

	(void)state;
	while (rte_pktmbuf_alloc_bulk(pool, used, 512) == 0) {
		for (unsigned int i = 0; i < 512; i++) {
			packet_of(used[i])->mac = mac_of(OTHER);
			packet_of(used[i])->has_mac = true;
		}
		/* the pool gives the last ones first */
		rte_pktmbuf_free_bulk(used, 512);
		if (seen++ == rte_mempool_avail_count(pool) / 512)
			break;
	}
	seen = 0;
	neighbour_known(&person(TARGET)->addr, &target);
	scene.box->relay.port.ifindex = 7;
	about_file(&present, sizeof(bytes), 1);
	about_ticket(&scene, person(SOURCE), &scene.config.listen.ip4, 60);
	about.echo = scene_echo(&scene, person(TARGET), 0);
	say_well(TARGET, make_pull);
	for (unsigned int i = 0; i < scene.frames; i++) {
		f = scene.frame[i];
		assert_int_equal(f.payload[1], VERB_DATA);
		assert_went(&f, &target);
		seen++;
	}
	assert_int_equal(seen, chunk_count(sizeof(bytes)));
	scene.box->relay.port.ifindex = 0;
}

/* Whatever becomes of answers that were to be signed: to an Ethernet address that is none they
 * cannot go, nor an OFFER to where nobody was. */
static void answers_without_a_way_leave_no_trace(void **state)
{
	const struct rte_ether_addr nobody = {{3, 0, 0, 0, 0, 1}}; /* of a group */
	const unsigned int many = 2 * WORKER_TX_BURST + 1;
	struct domain_keys keys;
	struct session session;
	const struct frame *f;

	(void)state;
	about_file(&present, sizeof(bytes), 1);
	for (unsigned int i = 0; i < many; i++) {
		say(SOURCE, &nobody, COOKIE_VALID, make_send);
		assert_int_equal(scene.frames, 0);
		scene_pass(&scene, 100000); /* no more OFFERs than a target may have */
	}
	assert_int_equal(dropped(DROP_ADDRESS), many);
	assert_int_equal(dropped(DROP_NO_NEIGHBOUR), many);
	say_well(SOURCE, make_send);
	f = scene_sent(&scene, person(SOURCE), VERB_STATUS);
	assert_non_null(f);
	box_domain_keys(1, &keys);
	session_derive(&keys, person(SOURCE)->conn, &person(SOURCE)->addr, &session);
	assert_true(frame_signed(f, &session));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(answers_go_back_to_who_asked),
		TEST(offer_goes_where_the_target_was_last),
		TEST(gateway_takes_what_answers_nothing),
		TEST(upload_is_asked_of_the_source),
		TEST(answers_need_no_buffer),
		TEST(no_upload_for_what_is_no_host),
		TEST(transfer_is_of_one_blob_and_target),
		TEST(upload_takes_memory_as_it_comes),
		TEST(long_upload_takes_no_memory),
		TEST(no_frame_without_an_address_of_its_version),
		TEST(data_goes_to_its_target_in_a_used_buffer),
		cmocka_unit_test_setup_teardown(answers_without_a_way_leave_no_trace, setup_member,
						teardown),
	};

	return cmocka_run_group_tests(tests, start, unit_eal_stop);
}
