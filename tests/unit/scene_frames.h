/* SPDX-License-Identifier: BSD-3-Clause
 * Frames that people of a scene send, each with the cookie it is given.
 */
#ifndef TESTS_UNIT_SCENE_FRAMES_H
#define TESTS_UNIT_SCENE_FRAMES_H

#include "tests/unit/relay_scene.h"

/* What the next SEND, PULL or RECEIPT is about. */
struct scene_about {
	uint32_t deadline; /* of the SEND, seconds; 0: a minute */
	const struct ident *id;
	uint64_t length;
	struct addr target;
	uint8_t transfer;
	uint8_t meta_len;
	const struct proof *proof; /* NULL: none */
	const struct proof *vouch; /* NULL: none */
	const struct moved *moved; /* NULL: it did not */
	struct echo echo;
	struct ticket ticket;
	uint64_t attempt; /* PULL: 0: none */
	uint32_t first;	  /* PULL: this chunk alone; 0: all */
};
extern struct scene_about about;

/* The frame's length in buf (WIRE_MAX_FRAME bytes), not signed. */
typedef size_t (*scene_maker)(struct person *p, const struct cookie *c, uint8_t *buf);
size_t make_listen(struct person *p, const struct cookie *c, uint8_t *buf);
size_t make_stop(struct person *p, const struct cookie *c, uint8_t *buf);
size_t make_send(struct person *p, const struct cookie *c, uint8_t *buf);
size_t make_pull(struct person *p, const struct cookie *c, uint8_t *buf);
size_t make_receipt(struct person *p, const struct cookie *c, uint8_t *buf);
/* Of a verb that does not exist. */
size_t make_unknown(struct person *p, const struct cookie *c, uint8_t *buf);

/* Puts a ticket for the blob into `about`, as the relay gives them, for a
 * transfer of this source's, which is then proven. */
void about_ticket(struct scene *s, struct person *source, const struct addr *home,
		  uint32_t seconds);

#endif
