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
	{VERB_RECEIPT, "good", BOTH, receipt_good, NULL},
	{VERB_RECEIPT, "of a peer's source", ROLE_CENTRAL, receipt_foreign, NULL},
	{VERB_RECEIPT, "forged ticket", BOTH, receipt_forged, NULL},
	{VERB_DATA, "nobody asked for it", BOTH, data_unasked, NULL},
	{0, NULL, BOTH, NULL, NULL},
};
