/* SPDX-License-Identifier: BSD-3-Clause
 * The router against the real kernel: a network namespace of our own (v0,
 * 10.77.0.1 and fd77::1), a veth pair, and at its other end a neighbour (v1,
 * 10.77.0.2, fd77::2 and fe80::2) in a second namespace that a child holds.
 * Both go with their processes. Needs root.
 */
#ifndef TESTS_UNIT_ROUTE_NET_H
#define TESTS_UNIT_ROUTE_NET_H

#include "control/net/route.h"

#define MAC1 "02:00:00:00:00:01"
#define MAC2 "02:00:00:00:00:02"

struct route_net {
	struct event_base *base;
	struct nexthop_table *table;
	struct router *router;
	unsigned int calls; /* of the router, to say that a host is resolved */
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

/* Is the host in the table like this? state -1: not at all. mac: its last byte. */
bool is(const char *text, int state, uint8_t mac);
void wait_is(const char *text, int state, uint8_t mac, unsigned int ms);
uint16_t mtu(const char *text);

void resolve(const char *text);
/* Asks, and expects this answer within 3 s, once. */
void must_resolve(const char *text, int state, uint8_t mac);

#endif
