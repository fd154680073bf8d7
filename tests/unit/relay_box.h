/* SPDX-License-Identifier: BSD-3-Clause
 * A whole relay in a test's hands: a real worker and a real control on a
 * software port, without threads. Frames go in and come out one by one; time
 * (unit_clock.h) and hash threads move only when they are told to. One box at
 * a time. The program is linked with --wrap=clock_gettime,
 * --wrap=jobs_submit and the static libevent_core.
 */
#ifndef TESTS_UNIT_RELAY_BOX_H
#define TESTS_UNIT_RELAY_BOX_H

#include "control/control.h"

#define BOX_PAIR_UPSTREAM 1 /* a private box's central relay: 198.51.100.1 */
#define BOX_PAIR_PEER 2	    /* a central box's private relay: 198.51.100.2 */
#define BOX_DOMAINS 2	    /* at most */

struct box {
	struct config config;
	struct relay relay;
	struct control control;
	unsigned int buffers;	   /* of the pool, before anything was sent */
	struct rte_ether_addr mac; /* that injected frames come from; at first the gateway's */
};

/* What the relay sent, or what it is sent. */
struct box_frame {
	struct addr peer;
	struct rte_ether_addr mac; /* where it went */
	uint16_t ip_bytes;	   /* the whole IP packet */
	uint16_t len;		   /* of the UDP payload */
	uint8_t segments;	   /* of the mbuf */
	uint8_t payload[2048];
};

/* A small relay of this role, with a peer: its address is 192.0.2.1, or
 * 2001:db8::1 with ip6, and special-use targets are refused. */
void box_config(struct config *c, enum role role, bool ip6);
/* Gives it the domains 1 and 2. */
void box_domains(struct config *c);
/* The header's key field of such a domain's members; 0 for domain 0, nobody's. */
uint32_t box_field(uint32_t domain);
/* What its members derive from its key. */
void box_domain_keys(uint32_t domain, struct domain_keys *keys);
/* The EAL runs (unit_eal.h). NULL, with a line on standard error, if it cannot be. */
struct box *box_open(const struct config *c);
/* Packet buffers that are lost: 0 unless the relay leaks. */
unsigned int box_close(struct box *b);

/* The packet arrives, with right headers and checksums. Returns its IP bytes. */
uint16_t box_inject(struct box *b, const struct addr *from, const void *payload, size_t len);
/* Turns worker and control until both have nothing more to do now. */
void box_settle(struct box *b);
/* Lets time pass, in steps of at most `step` microseconds, and settles after each. */
void box_pass(struct box *b, uint64_t us, uint64_t step);
/* The next frame that the relay has sent; false if there is none. Until then it is in flight. */
bool box_take(struct box *b, struct box_frame *f);
/* Keeps hash jobs from being done until it is called with false. */
void box_hold_hashes(struct box *b, bool hold);

/* Puts a blob of a domain into the store, as if it had been uploaded. 0 or -errno. */
int box_store(struct box *b, uint32_t domain, uint8_t rule, const void *bytes, size_t len,
	      struct ident *id);
/* Unix seconds of the box. */
uint64_t box_seconds(void);

#endif
