/* SPDX-License-Identifier: BSD-3-Clause
 * A relay against hosts and a peer that do anything: the input is a program of
 * frames, replays and time. Whatever it does, nobody who has not proved itself
 * is sent more than it sent (ledger.h), tables keep to their limits, and when
 * everything has run out nothing is left: no request, no upload, no buffer.
 */
#include <sodium.h>

#include "control/transfer/attempt.h"
#include "tests/fuzz/check.h"
#include "tests/fuzz/ledger.h"
#include "tests/fuzz/program.h"
#include "tests/unit/unit_clock.h"
#include "tests/unit/unit_eal.h"

#define STEPS 300
#define LONGEST_STEP_US 80000000 /* when nobody is left to look */
#define LONGEST_LIFE_US UINT64_C(4400000000)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* ---- random numbers that a crash can be repeated with ---- */

static uint64_t random_state;

static const char *random_name(void)
{
	return "fuzz";
}

static uint32_t random_word(void)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(random_state >> 32);
}

static void random_bytes(void *buf, size_t len)
{
	uint8_t *b = buf;

	while (len-- > 0)
		*b++ = (uint8_t)random_word();
}

static struct randombytes_implementation random_source = {
	.implementation_name = random_name,
	.random = random_word,
	.buf = random_bytes,
};

/* ---- what must hold ---- */

static void check_limits(const struct program *p)
{
	const struct control *ctl = &p->box->control;
	const struct config *c = &p->box->config;

	check(HASH_COUNT(ctl->requests->by_key) <= c->max_waiters);
	check(HASH_COUNT(ctl->queries->by_conn) <= HASH_COUNT(ctl->requests->by_key));
	check(ctl->attempts->active <= c->max_uploads);
	check(HASH_COUNT(ctl->uploads->by_key) <= HASH_COUNT(ctl->requests->by_key));
	check(lease_count(ctl->relay->leases) <= c->max_leases);
	check(index_count(ctl->relay->index) <= c->slab_blobs);
	check(ctl->relay->control_bell.fd >= 0);
}

/* Everything that has a deadline is past it. */
static void check_rest(const struct program *p)
{
	const struct control *ctl = &p->box->control;
	struct slab_usage u;

	slab_usage(&ctl->relay->slab, &u);
	check(HASH_COUNT(ctl->requests->by_key) == 0 && ctl->queries->by_conn == NULL);
	check(ctl->attempts->active == 0 && ctl->uploads->by_key == NULL);
	check(ctl->attempts->free_count == UPLOAD_SLOTS && ctl->attempts->hosts == NULL);
	check(u.pieces == index_count(ctl->relay->index));
	check(ctl->store.held == 0 && ctl->store.leaving_pieces == 0);
	check(ctl->fetches->count == 0 && ctl->lookups->count == 0);
	check(lease_count(ctl->relay->leases) == 0);
	check(ctl->peers->notices == NULL && ctl->possession->count == 0);
	for (unsigned int i = 0; i < KEYRING_DOMAINS; i++)
		check(ctl->usage[i].uploads == 0 && ctl->usage[i].requests == 0);
}

/* ---- the program ---- */

static size_t mutate(struct program *p, uint8_t how, uint8_t *frame, size_t len)
{
	for (unsigned int n = how & 3; n > 0; n--)
		frame[bytes_next(p, 2) % len] = byte_next(p);
	return how & 4 ? bytes_next(p, 2) % len : len;
}

/* Frames are whole, mostly; mutated before or after they are signed; or not signed. */
static void step_frame(struct program *p, uint8_t what)
{
	uint8_t buf[2048], how;
	unsigned int host = what & (HOSTS - 1);
	const struct maker_info *m = &makers[what >> 3];
	size_t len = m->make(p, &p->host[host], buf);

	if (len == 0)
		return;
	how = byte_next(p);
	if (how >= 0xf0 && (how & 8) == 0)
		len = mutate(p, how, buf, len);
	if (m->members && how != 0xef && len > 0)
		len = host_sign(&p->host[host], buf, len);
	if (how >= 0xf8 && len > 0)
		len = mutate(p, how, buf, len);
	if (len > 0)
		host_send(p, host, buf, len);
}

static void step_time(struct program *p, uint8_t how)
{
	static const uint64_t us[] = {1000,    20000,	 200000,   1000000,
				      3000000, 10000000, 60000000, 400000000};
	uint64_t span = us[how & 7];

	box_pass(p->box, span, span <= 1000000 ? span : span / 4);
}

static void step_other(struct program *p, uint8_t what)
{
	uint8_t how = byte_next(p);
	struct ident id;

	uint32_t domain;

	switch (what & 7) {
	case 0:
		p->serve = how & 1;
		break;
	case 1:
		p->hold = how & 1;
		break;
	case 2:
		box_hold_hashes(p->box, how & 1);
		break;
	case 3:
		domain = p->host[how >> 6].domain;
		how &= BLOBS - 1;
		p->has[domain][how] = true;
		box_store(p->box, domain, RULE_SHA256, blob_bytes(how), blob_size(how), &id);
		break;
	case 4:
		upload_serve(p, how & (HOSTS - 1), how >> 4, how & 8);
		break;
	default:
		step_time(p, how);
		break;
	}
}

static void program_run(struct program *p)
{
	for (unsigned int i = 0; i < STEPS && p->next < p->end; i++) {
		uint8_t what = byte_next(p);

		if (what & 0x80)
			step_other(p, what);
		else
			step_frame(p, what);
		if (!p->hold || p->gathered >= WORKER_BURST)
			frames_take(p);
		check_limits(p);
	}
	p->serve = false;
	box_hold_hashes(p->box, false);
	frames_take(p);
	for (uint64_t us = 0; us < LONGEST_LIFE_US; us += LONGEST_STEP_US) {
		box_pass(p->box, LONGEST_STEP_US, LONGEST_STEP_US);
		frames_take(p);
	}
	check_rest(p);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	randombytes_set_implementation(&random_source);
	check(sodium_init() >= 0 && unit_eal_start(NULL) == 0);
	blobs_make();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct program p; /* large */
	static struct config c;
	uint8_t how;

	memset(&p, 0, sizeof(p));
	p.next = bytes;
	p.end = bytes + len;
	random_state = 1;
	unit_clock_reset();
	ledger_reset();
	how = byte_next(&p);
	box_config(&c, how & 1 ? ROLE_CENTRAL : ROLE_PRIVATE, how & 2);
	if (how & 4)
		box_domains(&c);
	c.possession = how & 8;
	c.hide_hits = how & 16 ? CHUNK_SIZE : 0;
	c.strangers_per_source = how & 32 ? 8 : 0;
	c.strangers = how & 64 ? 16 : 0;
	p.box = box_open(&c);
	check(p.box != NULL);
	p.peer_nonce = unit_clock_unix_us();
	hosts_make(&p, how & 2, how & 4);
	program_run(&p);
	check(box_close(p.box) == 0);
	return 0;
}
