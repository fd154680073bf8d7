/* SPDX-License-Identifier: BSD-3-Clause
 * Rows of PULL, RECEIPT and DATA.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/amplification.h"

static void pull_with(unsigned int echo_age, uint32_t ticket_seconds, const struct ident *id)
{
	struct person *p = person(STRANGER);

	about_blob(id, PRESENT);
	about.echo = scene_echo(&scene, p, echo_age);
	about_ticket(&scene, person(BYSTANDER), addr_pair_any(&scene.config.listen),
		     ticket_seconds);
	person_send(p, make_pull);
}

static void pull_refused(void)
{
	struct person *p = person(STRANGER);

	assert_true(was_sent(STRANGER, VERB_ERROR) && !was_sent(STRANGER, VERB_DATA));
	assert_true(p->sent <= p->received);
}

static void pull_good(void)
{
	pull_with(0, 60, &present);
	assert_true(was_sent(STRANGER, VERB_DATA));
}

static void pull_stale_echo(void)
{
	pull_with(20, 60, &present);
	pull_refused();
}

static void pull_no_echo(void)
{
	about_blob(&present, PRESENT);
	about_ticket(&scene, person(BYSTANDER), addr_pair_any(&scene.config.listen), 60);
	person_send(person(STRANGER), make_pull);
	pull_refused();
}

static void pull_no_ticket(void)
{
	about_blob(&present, PRESENT);
	about.echo = scene_echo(&scene, person(STRANGER), 0);
	about.ticket.source = about.ticket.home = person(BYSTANDER)->addr;
	person_send(person(STRANGER), make_pull);
	pull_refused();
}

static void pull_expired_ticket(void)
{
	pull_with(0, (uint32_t)-1, &present);
	pull_refused();
}

static void pull_unknown_blob(void)
{
	pull_with(0, 60, &wanted);
	pull_refused();
}

/* BYSTANDER uploads a blob, of which one chunk has come. */
static void pull_partial(uint32_t first)
{
	const struct frame *f;
	struct offer o;
	struct pull wanted_of;
	struct data d = {.upload = true, .bytes = bytes, .len = CHUNK_SIZE};
	uint8_t buf[WIRE_MAX_FRAME];

	about_blob(&wanted, WANTED);
	person_send(person(BYSTANDER), make_send);
	f = scene_sent(&scene, person(BYSTANDER), VERB_PULL);
	assert_non_null(f);
	assert_int_equal(pull_decode(f, &wanted_of), DROP_NONE);
	d.stream = wanted_of.stream;
	d.number = wanted_of.number;
	scene_send(&scene, person(BYSTANDER), buf,
		   data_encode(buf, sizeof(buf), 0, person(BYSTANDER)->conn, &d));
	f = scene_sent(&scene, person(TARGET), VERB_OFFER);
	assert_non_null(f);
	assert_int_equal(offer_decode(f, &o), DROP_NONE);
	assert_int_not_equal(o.attempt, 0);
	about.attempt = o.attempt;
	about.first = first;
	about.echo = scene_echo(&scene, person(STRANGER), 0);
	about.ticket = *o.ticket;
	person_send(person(STRANGER), make_pull);
}

static void pull_uploaded(void)
{
	pull_partial(0);
	assert_true(was_sent(STRANGER, VERB_DATA) && was_sent(STRANGER, VERB_ERROR));
}

static void pull_not_yet_uploaded(void)
{
	pull_partial(2);
	pull_refused();
}

static void receipt_good(void)
{
	about_blob(&present, PRESENT);
	about_ticket(&scene, person(BYSTANDER), addr_pair_any(&scene.config.listen), 60);
	person_send(person(STRANGER), make_receipt);
	assert_int_equal(status_of(BYSTANDER), STATUS_DELIVERED);
}

static void receipt_foreign(void)
{
	about_blob(&present, PRESENT);
	about_ticket(&scene, person(BYSTANDER), &scene.config.peers[0].addr, 60);
	person_send(person(STRANGER), make_receipt);
	scene_pass(&scene, UINT64_C(4000000));
	assert_int_equal(scene_sent(&scene, person(STRANGER), VERB_NOTICE) != NULL, false);
	assert_false(was_sent(BYSTANDER, VERB_STATUS));
}

/* A ticket that the relay did not make, which names a victim as its source. */
static void receipt_forged(void)
{
	about_blob(&present, PRESENT);
	about_ticket(&scene, person(BYSTANDER), addr_pair_any(&scene.config.listen), 60);
	person(BYSTANDER)->proven = false;
	about.ticket.mac[0] ^= 1;
	person_send(person(STRANGER), make_receipt);
	assert_int_equal(scene.frames, 0);
}

static void data_unasked(void)
{
	const struct data d = {.upload = true, .stream = 77, .bytes = bytes, .len = CHUNK_SIZE};
	struct person *p = person(STRANGER);
	uint8_t buf[WIRE_MAX_FRAME];

	scene_send(&scene, p, buf, data_encode(buf, sizeof(buf), 0, p->conn, &d));
	assert_int_equal(scene.frames, 0);
}

const struct row pull_rows[] = {
	{VERB_PULL, "good", BOTH, pull_good, NULL},
	{VERB_PULL, "no echo", BOTH, pull_no_echo, NULL},
	{VERB_PULL, "stale echo", BOTH, pull_stale_echo, NULL},
	{VERB_PULL, "no ticket", BOTH, pull_no_ticket, NULL},
	{VERB_PULL, "expired ticket", BOTH, pull_expired_ticket, NULL},
	{VERB_PULL, "unknown blob", BOTH, pull_unknown_blob, NULL},
	{VERB_PULL, "still uploaded", ROLE_CENTRAL, pull_uploaded, NULL},
	{VERB_PULL, "not yet uploaded", ROLE_CENTRAL, pull_not_yet_uploaded, NULL},
	{VERB_RECEIPT, "good", BOTH, receipt_good, NULL},
	{VERB_RECEIPT, "of a peer's source", ROLE_CENTRAL, receipt_foreign, NULL},
	{VERB_RECEIPT, "forged ticket", BOTH, receipt_forged, NULL},
	{VERB_DATA, "nobody asked for it", BOTH, data_unasked, NULL},
	{0, NULL, BOTH, NULL, NULL},
};
