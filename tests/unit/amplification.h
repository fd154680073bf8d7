/* SPDX-License-Identifier: BSD-3-Clause
 * What the files of test_amplification share: one scene, three blobs, and the
 * rows, each of which is a verb in a state that others have led to.
 */
#ifndef TESTS_UNIT_AMPLIFICATION_H
#define TESTS_UNIT_AMPLIFICATION_H

#include "tests/unit/scene_frames.h"

#define PRESENT 5000 /* bytes of the blob that is in the store */
#define WANTED 4000  /* of one that is not */
#define SMALL 300    /* of one that fits into an OFFER */

extern struct scene scene;
extern uint8_t bytes[PRESENT]; /* all three begin with them */
extern struct ident present, wanted, small;

enum { STRANGER = 1, TARGET, BYSTANDER };
struct person *person(unsigned int which);
/* Sends it with the person's valid cookie, signed if it is a member. */
void person_send(struct person *p, scene_maker make);
bool was_sent(unsigned int whom, uint8_t verb);
/* The code of the last STATUS. */
uint8_t status_of(unsigned int whom);
/* To TARGET, without anything that a flow before has left. */
void about_blob(const struct ident *id, uint64_t length);

#define BOTH 0
struct row {
	uint8_t verb;
	const char *state;
	int role; /* enum role, or BOTH */
	void (*run)(void);
	void (*adjust)(struct config *); /* NULL: nothing */
};
/* Each ends with a row of verb 0. */
extern const struct row send_rows[], pull_rows[], peer_rows[];

#endif
