/* SPDX-License-Identifier: BSD-3-Clause
 * Ethernet, IPv4 and UDP around a payload, as they would lie on the wire, and
 * the capture file they are written to.
 */
#ifndef PKTGEN_PACKET_H
#define PKTGEN_PACKET_H

#include <stdio.h>

#include "wire/addr.h"

#define PACKET_HEADERS 42 /* 14 + 20 + 8 */
#define PACKET_MAX 1514

struct packet_path {
	uint8_t from_mac[6];
	uint8_t to_mac[6];
	struct addr from; /* both IPv4 */
	struct addr to;
};

/* "02:00:00:00:00:01". 0 or -EINVAL. */
int mac_parse(const char *text, uint8_t mac[6]);

/* Writes the packet, both checksums filled in; its length, 0: longer than PACKET_MAX. */
size_t packet_build(uint8_t out[PACKET_MAX], const struct packet_path *path, const uint8_t *payload,
		    size_t len);

/* Make a built packet what only the kernel takes: the first fragment of more, or
 * one with IP options (four bytes of no operation). Return its length. */
size_t packet_fragment(uint8_t packet[PACKET_MAX], size_t len);
size_t packet_options(uint8_t packet[PACKET_MAX], size_t len);

/* A classic capture file: microseconds, Ethernet, little-endian. All return
 * 0 or -errno. */
int capture_begin(FILE *f);
int capture_put(FILE *f, uint64_t unix_us, const uint8_t *packet, size_t len);

#endif
