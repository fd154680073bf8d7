/* SPDX-License-Identifier: BSD-3-Clause
 * An IP address and UDP port, as frames carry it.
 */
#ifndef WIRE_ADDR_H
#define WIRE_ADDR_H

#include <stdbool.h>
#include <stddef.h>

#include "wire/endian.h"

enum addr_type {
	ADDR_NONE = 0,
	ADDR_IP4 = 4, /* the address in ip[0..3], the rest zero */
	ADDR_IP6 = 6,
	ADDR_LISTENER = 32, /* reserved: a 32-byte listener key, only as a target */
};

/* The one representation of an address everywhere in oncewire: it is compared
 * and hashed as 20 bytes, so unused bytes must be zero. */
struct addr {
	uint8_t type; /* enum addr_type */
	uint8_t zero;
	be16 port;
	uint8_t ip[16];
};
_Static_assert(sizeof(struct addr) == 20, "wire layout");

#define ADDR_TEXT_MAX 56 /* "[v6]:port" and its NUL */

/* One of each IP version, ADDR_NONE where there is none: what a relay listens on. */
struct addr_pair {
	struct addr ip4, ip6;
};

/* The one of that version. */
static inline const struct addr *addr_pair_of(const struct addr_pair *p, uint8_t type)
{
	return type == ADDR_IP6 ? &p->ip6 : &p->ip4;
}

/* One that is there. */
static inline const struct addr *addr_pair_any(const struct addr_pair *p)
{
	return p->ip4.type != ADDR_NONE ? &p->ip4 : &p->ip6;
}

#define ADDR_PAIR_TEXT_MAX (2 * ADDR_TEXT_MAX)
/* "192.0.2.1:4870, [2001:db8::1]:4870", or the one that is there; returns buf. */
char *addr_pair_text(const struct addr_pair *p, char buf[ADDR_PAIR_TEXT_MAX]);

/* What a SEND names: wide enough for a listener key. */
struct target {
	struct addr addr;
	uint8_t key_tail[16]; /* bytes 16..31 of a listener key, else zero */
};
_Static_assert(sizeof(struct target) == 36, "wire layout");

/* Well-formed IPv4 or IPv6 with a port and zero padding? An IPv4-mapped IPv6
 * address is not: it would give one host two names. */
bool addr_valid(const struct addr *a);
bool addr_equal(const struct addr *a, const struct addr *b);
/* The same host, whatever the port? */
bool addr_same_host(const struct addr *a, const struct addr *b);

/* "1.2.3.4", "1.2.3.4:9", "::1", "[::1]:9". default_port 0 makes the port
 * mandatory. Returns 0, or -EINVAL. No names, no resolver. */
int addr_parse(const char *text, uint16_t default_port, struct addr *out);
/* Writes into buf (at least ADDR_TEXT_MAX bytes) and returns it. */
const char *addr_text(const struct addr *a, char *buf);

/* Is this an address a relay must not send to unless the configuration allows
 * it: loopback, link-local, multicast, broadcast, unspecified, private,
 * shared (CGNAT), unique-local, documentation, reserved (RFC 6890). */
bool addr_special_use(const struct addr *a);
/* Can a packet be sent to it and reach one host? Not unspecified, multicast,
 * reserved or broadcast ones. */
bool addr_one_host(const struct addr *a);
bool addr_loopback(const struct addr *a);

/* Bytes of IP and UDP header in front of a payload to this address. */
static inline uint32_t addr_overhead(const struct addr *a)
{
	return a->type == ADDR_IP6 ? 48 : 28;
}

#endif
