/* SPDX-License-Identifier: BSD-3-Clause
 * A relay as a client knows it: the number of the conversation, the cookie and
 * the echo that it gave, the HELLO that gets them, and for a member of a domain
 * the key under which both sign.
 *
 * Anybody can write somebody else's address into an OFFER or a WELCOME, so an
 * address gets nothing but single HELLOs until it has answered one itself.
 */
#ifndef CLIENT_LIB_CONTACT_H
#define CLIENT_LIB_CONTACT_H

#include "client/lib/member.h"
#include "client/lib/udp.h"

#define CONTACT_UNLIMITED UINT32_MAX

struct contact {
	struct addr asked;	     /* where HELLO goes */
	struct addr addr;	     /* where everything else goes, once it is known */
	uint64_t conn;		     /* random, ours */
	uint64_t nonce;		     /* of the HELLO */
	struct addr named;	     /* WELCOME's `self`, if that is another address; */
	uint64_t named_conn;	     /* it gets a HELLO of its own, so that who named it */
	uint64_t named_nonce;	     /* cannot answer in its place */
	bool named_due;		     /* that HELLO is to be sent */
	bool proven;		     /* addr has answered a HELLO of this conn */
	const struct member *member; /* NULL: of no domain, nothing is signed */
	struct session session;	     /* once known */
	struct addr seen;	     /* we, as it sees us */
	struct cookie cookie;
	struct echo echo;
	bool known;	      /* cookie and echo are there */
	bool central;	      /* it says that it is a central relay */
	bool both_ip;	      /* and that it sends to targets of either IP version */
	uint16_t longest;     /* blob that it takes, MiB; 0: it does not say */
	uint8_t foreign;      /* the newest version it speaks, which is not ours; 0: ours is */
	bool asking;	      /* a HELLO is not answered yet */
	uint32_t budget;      /* HELLOs that may still be sent */
	uint32_t hellos;      /* sent since asking began */
	uint64_t asked_since; /* when asking began, microseconds */
	uint64_t ask_floor;   /* asking does not begin again before */
	uint64_t ask_gap;     /* and how long after it the next time */
	uint64_t hello_at;    /* when the next HELLO is due */
	uint64_t hello_wait;  /* and how long after it the one that follows */
	uint64_t refresh_at;  /* from when on the cookie should be renewed */
	uint64_t heard;	      /* when a frame of it last came, 0: never */
	uint64_t refused_at;  /* when the domain key counts as refused, else NEVER */
	uint32_t deliveries;  /* under way that have it for their relay */
};

/* member: NULL, or what stays for as long as the peer does. */
void contact_init(struct contact *p, const struct addr *addr, const struct member *member);
/* Says HELLO (again), unless that is going on already or there is no budget for
 * it: at once, but not over and over, whatever the relay answers. */
void contact_ask(struct contact *p, uint64_t now);
/* When the relay counts as silent, if nothing comes from it until then. */
uint64_t contact_quiet_at(const struct contact *p);
/* Sends the HELLO that is due, if any. */
void contact_tick(struct contact *p, struct udp *u, struct udp_tx *tx, uint64_t now);
/* All HELLOs it may be sent are sent, and the last one had its time. */
bool contact_silent(const struct contact *p, uint64_t now);
/* When contact_tick() is due, or contact_silent() or contact_refused() may become true. */
uint64_t contact_due(const struct contact *p);
/* May a frame of `conn` from `from` be this relay's? */
bool contact_owns(const struct contact *p, const struct addr *from, uint64_t conn);
/* The header's key field for frames to it. */
uint32_t contact_key(const struct contact *p);
/* Sends it the frame of `len` bytes (0: none) in buf, which is udp_slot()'s;
 * signs it for a member. */
void contact_commit(const struct contact *p, struct udp *u, struct udp_tx *tx, uint8_t *buf,
		    size_t len);
/* May its answer be believed? To a member it must be signed. */
bool contact_verified(const struct contact *p, const struct frame *f);
/* An ERROR(KEY) for a member, which the relay cannot sign without the key, so
 * anybody may have made it: HELLO asks whether it is true. */
void contact_doubt(struct contact *p, uint64_t now);
/* It is: HELLO with the key stays without an answer. */
bool contact_refused(const struct contact *p, uint64_t now);
/* A WELCOME: true if it answers our HELLO, from the address that it names as its
 * own; cookie, echo and addr are then new. */
bool contact_welcome(struct contact *p, const struct frame *f, const struct addr *from,
		     uint64_t now);
/* May a HELLO go to an address because somebody at `by` named it? It must reach
 * one host, and never through somebody else's word our own. */
bool contact_nameable(const struct addr *named, const struct addr *by);

#endif
