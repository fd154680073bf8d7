/* SPDX-License-Identifier: BSD-3-Clause
 * What a receiver knows of thousands of deliveries: where they are found, and when they are due.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "client/lib/clock.h"
#include "client/lib/deliveries.h"

static struct deliveries ds;
static struct contact relay, other;

static int setup(void **state)
{
	(void)state;
	deliveries_init(&ds);
	return 0;
}

static void drop(struct delivery *d)
{
	deliveries_remove(&ds, d);
	free(d);
}

static int teardown(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < ds.room; i++)
		if (ds.slot[i] != NULL)
			drop(ds.slot[i]);
	deliveries_fini(&ds);
	return 0;
}

/* Transfer `number`, of blob `blob`. */
static struct delivery *make(uint32_t number, uint32_t blob)
{
	struct delivery *d = calloc(1, sizeof(*d));

	d->state = DELIVERY_ASKING;
	d->rule = RULE_SHA256;
	memcpy(d->transfer, &number, sizeof(number));
	memcpy(d->id.b, &blob, sizeof(blob));
	d->length = 1000;
	d->offered = number;
	d->lifetime = 10 * SECOND;
	d->peer = &relay;
	return d;
}

static struct delivery *add(uint32_t number, uint32_t blob)
{
	struct delivery *d = make(number, blob);

	assert_int_equal(deliveries_add(&ds, d), 0);
	return d;
}

static struct delivery *find(const struct delivery *d)
{
	const struct offer o = {.rule = d->rule,
				.transfer = d->transfer,
				.leg = d->leg,
				.id = &d->id,
				.length = d->length};

	return deliveries_of_offer(&ds, &o);
}

static void untouch_all(void)
{
	while (deliveries_touched(&ds) != NULL)
		;
}

static void test_found(void **state)
{
	struct delivery *d[100], twin;

	(void)state;
	assert_null(deliveries_of_stream(&ds, 0));
	for (uint32_t i = 0; i < 100; i++)
		d[i] = add(i, i);
	for (uint32_t i = 0; i < 100; i++) {
		assert_ptr_equal(deliveries_of_stream(&ds, d[i]->stream), d[i]);
		assert_ptr_equal(find(d[i]), d[i]);
	}
	/* a stream is its whole number, an OFFER all that names it */
	assert_null(deliveries_of_stream(&ds, d[7]->stream + DELIVERIES_MAX));
	d[7]->stream += 3 * DELIVERIES_MAX;
	assert_ptr_equal(deliveries_of_stream(&ds, d[7]->stream), d[7]);
	assert_null(deliveries_of_stream(&ds, DELIVERIES_MAX - 1));
	twin = *d[7];
	twin.leg++;
	assert_null(find(&twin));
	twin = *d[7];
	twin.length++;
	assert_null(find(&twin));
	twin = *d[7];
	twin.rule = RULE_XXH3;
	assert_null(find(&twin));
	/* a slot is given again, and what was there is not found */
	twin = *d[7];
	drop(d[7]);
	assert_null(find(&twin));
	assert_null(deliveries_of_stream(&ds, twin.stream));
	assert_int_equal(delivery_slot(add(200, 200)), delivery_slot(&twin));
}

/* Whatever was made of the names before, all are found by those they have. */
static void test_renamed(void **state)
{
	struct delivery *d[64];

	(void)state;
	for (uint32_t i = 0; i < 64; i++)
		d[i] = add(i, 7);
	for (uint32_t i = 0; i < 64; i += 3) {
		const struct delivery old = *d[i];
		const uint8_t transfer[TRANSFER_SIZE] = {(uint8_t)(200 - i)};

		deliveries_rename(&ds, d[i], transfer, 5);
		assert_null(find(&old));
	}
	for (uint32_t i = 0; i < 64; i++)
		assert_ptr_equal(find(d[i]), d[i]);
}

static void test_blob(void **state)
{
	struct delivery *a = add(1, 5), *c, *b, *at;
	uint32_t n = 0;

	(void)state;
	add(2, 6);
	b = add(3, 5);
	add(4, 4);
	c = add(5, 5);
	for (at = deliveries_of_blob(&ds, c); at != NULL; at = deliveries_next_of_blob(at)) {
		assert_true(at == a || at == b || at == c);
		n++;
	}
	assert_int_equal(n, 3);
	drop(a);
	drop(b);
	assert_ptr_equal(deliveries_of_blob(&ds, c), c);
	assert_null(deliveries_next_of_blob(c));
}

static void test_full(void **state)
{
	struct delivery *first = add(0, 0), *more;

	(void)state;
	for (uint32_t i = 1; i < DELIVERIES_MAX; i++)
		add(i, i);
	more = make(DELIVERIES_MAX, 0);
	assert_int_equal(deliveries_add(&ds, more), -ENOSPC);
	/* who was not offered for longest is the first of those that wait */
	deliveries_renew(&ds, first);
	assert_ptr_equal(TAILQ_FIRST(&ds.waiting), ds.slot[1]);
	assert_null(deliveries_idlest(&ds));
	drop(ds.slot[1]);
	assert_int_equal(deliveries_add(&ds, more), 0);
	assert_int_equal(ds.count, DELIVERIES_MAX);
}

/* Of those that have begun, the one not offered for longest of which nothing has come. */
static void test_idlest(void **state)
{
	struct pullwin idle = {0}, moved = {.pulls.have = 1};
	struct delivery *d[4];

	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		d[i] = add(i, i);
		deliveries_begun(&ds, d[i]);
		d[i]->window = i == 0 ? &moved : &idle;
	}
	d[1]->offered = 100;
	assert_ptr_equal(deliveries_idlest(&ds), d[2]);
	assert_null(TAILQ_FIRST(&ds.waiting));
}

static void test_due(void **state)
{
	struct delivery *d[50];
	uint64_t last = 0;

	(void)state;
	assert_true(deliveries_due(&ds) == NEVER);
	for (uint32_t i = 0; i < 50; i++) {
		d[i] = add(i, i);
		/* each comes before what it was, so that none is lost by moving */
		deliveries_schedule(&ds, d[i], 5000);
		deliveries_schedule(&ds, d[i], 1000 + i * 37 % 50);
	}
	untouch_all();
	assert_int_equal(deliveries_due(&ds), 1000);
	deliveries_wake(&ds, 1024);
	for (uint32_t i = 0; i < 25; i++) {
		struct delivery *next = deliveries_touched(&ds);

		assert_non_null(next);
		assert_in_range(next->due, last, 1024);
		last = next->due;
	}
	assert_null(deliveries_touched(&ds));
	/* who is touched is looked at once, whatever touches it */
	deliveries_touch(&ds, d[3]);
	deliveries_touch(&ds, d[3]);
	deliveries_schedule(&ds, d[3], 0);
	deliveries_wake(&ds, 0);
	assert_ptr_equal(deliveries_touched(&ds), d[3]);
	assert_null(deliveries_touched(&ds));
	/* who is gone is due no more */
	deliveries_touch(&ds, d[3]);
	drop(d[3]);
	assert_null(deliveries_touched(&ds));
	assert_int_equal(deliveries_due(&ds), 1000);
}

static void test_contact(void **state)
{
	struct delivery *mine = add(1, 1), *his = add(2, 2);

	(void)state;
	untouch_all();
	his->peer = &other;
	deliveries_touch_of(&ds, &other);
	assert_ptr_equal(deliveries_touched(&ds), his);
	assert_null(deliveries_touched(&ds));
	deliveries_touch_all(&ds);
	assert_true(mine->touched && his->touched);
}

static void end(struct delivery *d)
{
	deliveries_remove(&ds, d);
	d->state = DELIVERY_COMPLETE;
	deliveries_remember(&ds, d);
}

static void test_ended(void **state)
{
	struct delivery *a = add(1, 1), *b = add(2, 1), *c = add(3, 3);

	(void)state;
	end(a);
	end(b);
	assert_ptr_equal(find(a), a);
	assert_null(deliveries_of_blob(&ds, b));
	deliveries_owe(&ds, a, true);
	deliveries_owe(&ds, b, true);
	deliveries_owe(&ds, a, true);
	assert_ptr_equal(TAILQ_FIRST(&ds.owed), a);
	/* one that is still asked for stays, the others go with their time */
	a->offered = 5 * SECOND;
	deliveries_renew(&ds, a);
	deliveries_expire(&ds, b->offered + b->lifetime);
	assert_int_equal(ds.ended_count, 1);
	assert_ptr_equal(find(a), a);
	assert_ptr_equal(TAILQ_FIRST(&ds.owed), a);
	assert_null(TAILQ_NEXT(a, touched_link));
	deliveries_owe(&ds, a, false);
	assert_null(TAILQ_FIRST(&ds.owed));
	deliveries_expire(&ds, 15 * SECOND);
	assert_int_equal(ds.ended_count, 0);
	assert_ptr_equal(find(c), c);
}

static void test_ended_most(void **state)
{
	struct delivery last;

	(void)state;
	for (uint32_t i = 0; i <= ENDED_MAX; i++) {
		struct delivery *d = add(i, i);

		last = *d;
		end(d);
	}
	assert_int_equal(ds.ended_count, ENDED_MAX);
	assert_non_null(find(&last));
	assert_int_equal(TAILQ_FIRST(&ds.ended)->offered, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_found, setup, teardown),
		cmocka_unit_test_setup_teardown(test_renamed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_blob, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_idlest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_due, setup, teardown),
		cmocka_unit_test_setup_teardown(test_contact, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ended, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ended_most, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
