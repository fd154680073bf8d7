/* SPDX-License-Identifier: BSD-3-Clause
 * Sources that upload one blob, and targets that pull it meanwhile, around a relay box. For
 * cmocka tests.
 */
#ifndef TESTS_UNIT_UPLOAD_SCENE_H
#define TESTS_UNIT_UPLOAD_SCENE_H

#include "tests/unit/scene_frames.h"

#define CHUNKS (PIECE_CHUNKS + 30) /* of two pieces */
#define LENGTH ((CHUNKS - 1) * CHUNK_SIZE + 5)
#define SECOND UINT64_C(1000000)

enum { SOURCE = 1, OTHER, TARGET, OTHER_TARGET, PEOPLE };

/* What somebody was sent. */
struct heard {
	/* a source: */
	uint64_t stream;
	uint32_t number[CHUNKS]; /* of the PULL that asked for it; 0: none did */
	uint8_t refused;	 /* enum refuse_reason */
	bool stored;
	uint8_t transfer; /* of its newest SEND, */
	uint8_t status;	  /* the newest STATUS's code of that, */
	uint64_t kept;	  /* bytes, */
	bool asked;	  /* and with CHALLENGE, which is: */
	struct challenge challenge;
	/* a target: */
	uint32_t offers;
	uint64_t attempt; /* of the newest OFFER */
	uint32_t available;
	struct ticket ticket;
	uint32_t chunks[CHUNKS]; /* how often each came */
	bool partial;		 /* as the newest DATA said, and */
	uint32_t data_available;
	uint8_t error; /* enum error_code, and what came with it */
	uint32_t error_available;
	uint16_t error_len;
};

extern struct scene scene;
extern struct heard heard[PEOPLE];
extern uint8_t bytes[LENGTH]; /* the blob's */
extern struct ident id;
extern uint16_t pull_len;	  /* of the newest PULL */
extern const struct proof *vouch; /* that the next SENDs have, or NULL */
/* what central was asked */
extern struct asked {
	uint32_t heard, holding;
	uint64_t conn, nonce, attempt;
	uint8_t transfer[TRANSFER_SIZE];
	struct ticket ticket;
} asked;

/* adjust: NULL: the box's configuration as it is. */
void setup_as(enum role role, void (*adjust)(struct config *));
/* cmocka's: a central relay; checks the scene. */
int setup(void **state);
int teardown(void **state);
struct person *person(unsigned int i);
/* Time passes, and everybody hears what was sent to them. */
void pass(uint64_t us);
/* A SEND to this target. */
void send_say(unsigned int who, unsigned int target);
/* One that the source sends once more under another transfer. */
void send_again(unsigned int who, unsigned int target, uint8_t transfer);
/* A chunk that was asked for; lie: what its first byte is changed by. */
void chunk_say(unsigned int who, uint32_t chunk, uint8_t lie);
/* Sends its chunks from `first` to before `end`, as they are asked for. */
void upload(unsigned int who, uint32_t first, uint32_t end);
/* A PULL with these tokens of the target's. */
void pull_say(unsigned int who, uint64_t attempt, const struct ticket *t, const struct ident *of,
	      uint32_t first, uint32_t mask);
/* Likewise with those of its newest OFFER. */
void pull(unsigned int who, uint64_t attempt, uint32_t first, uint32_t mask);
/* How many chunks it got. */
uint32_t chunks_of(unsigned int who);
struct control *control(void);
/* How many uploads are. */
uint32_t parked(void);
/* A right VOUCH, for what its relay says that it has. */
struct proof vouch_of(unsigned int who);
/* How many chunks before this one it was asked for. */
uint32_t asked_below(unsigned int who, uint32_t chunk);
/* Nothing of it is served, by whatever number it is called. */
void assert_not_served(unsigned int who, uint64_t attempt);

#endif
