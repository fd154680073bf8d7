/* SPDX-License-Identifier: BSD-3-Clause
 * The router against the real kernel: a network namespace of our own (v0,
 * 10.77.0.1 and fd77::1), a veth pair, and at its other end a neighbour (v1,
 * 10.77.0.2, fd77::2 and fe80::2) in a second namespace that a child holds.
 * Both go with their processes. Needs root.
 */
#ifndef TESTS_UNIT_ROUTE_NET_H
#define TESTS_UNIT_ROUTE_NET_H

#include "control/net/router.h"

#define MAC1 "02:00:00:00:00:01"
#define MAC2 "02:00:00:00:00:02"

struct route_net {
	struct event_base *base;
	struct nexthop_table *table;
	struct router *router;
	struct router_config config;
	unsigned int calls; /* of the router, to say that a neighbour is resolved */
	struct addr called; /* by the last of them */
};
extern struct route_net net;

struct CMUnitTest;

/* cmocka's set-up and tear-down, for each test. */
int net_make(void **state);
int net_free(void **state);
/* A whole main(): skips with meson's exit status where namespaces cannot be made. */
int net_main(const struct CMUnitTest *tests, size_t count);

/* Shell commands, here and in the neighbour's namespace; a failure fails the test. */
__attribute__((format(printf, 1, 2))) void run(const char *fmt, ...);
void run_other(const char *command);

struct addr host(const char *text);
/* What router_create() is given. */
void net_resolved(void *ctx, const struct addr *a);
/* Milliseconds. */
uint64_t clock_ms(void);
/* Runs the loop for a while. */
void turn_for(unsigned int ms);
/* Runs the loop until the router has called n times. Milliseconds that took. */
uint64_t wait_calls(unsigned int n, unsigned int ms);

/* Does a lookup find this now? mac: its last byte, of READY. */
bool is(const char *host, enum nexthop_state state, uint8_t mac);
/* Within this time, while frames to the host are sent, and ask for what is not known. */
void wait_is(const char *host, enum nexthop_state state, uint8_t mac, unsigned int ms);
/* Asks for the way, on behalf of this network's host 1: what router_resolve() returns. */
int resolve(const char *host);
/* Asks, and expects this answer. */
void must_resolve(const char *host, enum nexthop_state state, uint8_t mac);
/* Makes the router anew: with another configuration, say, in net.config. */
void router_restart(void);
/* Runs the loop until it has nothing to bring up to date. */
void settle(void);

#endif
