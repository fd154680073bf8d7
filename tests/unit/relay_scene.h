/* SPDX-License-Identifier: BSD-3-Clause
 * People around a relay box: who was sent what, against what came from them.
 * For cmocka tests.
 */
#ifndef TESTS_UNIT_RELAY_SCENE_H
#define TESTS_UNIT_RELAY_SCENE_H

#include "tests/unit/relay_box.h"

#define SCENE_PEOPLE 64
#define SCENE_FRAMES 128

struct person {
	struct addr addr;
	uint64_t conn;
	uint32_t domain;	      /* 0: none */
	bool proven;		      /* has shown a valid cookie, or is a relay of ours */
	uint64_t received, sent;      /* IP bytes, from and to it */
	uint64_t sends, named;	      /* SENDs that name it, and their IP bytes */
	uint64_t offers, offer_bytes; /* to it */
};

struct scene {
	struct config config;
	struct box *box;
	struct person person[SCENE_PEOPLE];
	unsigned int people;
	struct box_frame frame[SCENE_FRAMES]; /* sent by the relay since scene_clear() */
	unsigned int frames;
};

/* A box of the configuration in s->config. */
void scene_open(struct scene *s);
/* No buffer may be lost. */
void scene_close(struct scene *s);
/* Forgets bytes and frames, not who is proven. */
void scene_clear(struct scene *s);

/* The person at 11.0.0.`host`; made at the first call. */
struct person *scene_person(struct scene *s, unsigned int host);
/* A frame arrives from a person; what the relay does about it is counted. SENDs
 * and QUERYs count for their target. */
void scene_send(struct scene *s, struct person *from, const uint8_t *frame, size_t len);
void scene_pass(struct scene *s, uint64_t us);
/* The last frame of this verb to a person, parsed; NULL if there is none. */
const struct frame *scene_sent(struct scene *s, const struct person *to, uint8_t verb);
/* Nobody unproven was sent more than came from them, nor more than one OFFER
 * for each SEND, nor a larger one. */
void scene_check(const struct scene *s);

enum cookie_state {
	COOKIE_NONE,
	COOKIE_WRONG,
	COOKIE_STALE,
	COOKIE_OF_ANOTHER, /* address */
	COOKIE_OF_OTHER_CONN,
	COOKIE_VALID, /* the person is then proven */
	COOKIE_STATES
};
extern const char *const cookie_state_names[COOKIE_STATES];
struct cookie scene_cookie(struct scene *s, struct person *p, enum cookie_state state);
struct echo scene_echo(const struct scene *s, const struct person *p, unsigned int age);
/* Signed for the person's domain, if it has one. */
size_t scene_sign(const struct person *p, uint8_t *frame, size_t len);
const struct token_ring *scene_keys(const struct scene *s);

#endif
